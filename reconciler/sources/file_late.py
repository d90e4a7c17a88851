"""Notices change files that come after others which they should have come before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reconciler.core.model import KINDS
from reconciler.sources.file_change_rows import Change
from reconciler.sources.file_kept import Writing
from reconciler.sources.file_names import in_order


class Lateness:
    """One change file, from before its first rows are applied to when all are.

    It is late where its numbers are not above the highest that was applied, although no file ever brought them; without
    numbers, where a file of a higher name has already said something of the same entries.
    """

    def __init__(self, writing: Writing, path: Path) -> None:
        self._writing, self._path, self._highest, self._last = writing, path, writing.highest, writing.sequence
        self._is_in_order = not self._highest or in_order(path) >= in_order(Path(self._highest))
        self._span: tuple[int, int] | None = None
        self._missed = 0
        self._newer: set[str] = set()

    def look(self, changes: Sequence[Change]) -> None:
        """Look at rows that are about to be applied, or passed over."""
        numbers = [one.sequence for one in changes if one.sequence is not None]
        if numbers:
            self._look_at_numbers(numbers)
        elif not self._is_in_order:
            for kind in KINDS:
                names = self._writing.last_said_by(kind, [one.id for one in changes if one.kind == kind])
                self._newer |= {name for name in names if in_order(Path(name)) > in_order(self._path)}

    def keep(self) -> None:
        """Keep what was seen of the file, now that all of it is applied."""
        highest = self._path.name if self._is_in_order else self._highest
        self._writing.note_changes(self._path.name, self._span, highest=highest, late=self._why())

    def _look_at_numbers(self, numbers: Sequence[int]) -> None:
        passed = [one for one in numbers if self._last is not None and one <= self._last]
        spans = self._writing.brought(passed[0], passed[-1]) if passed else []
        self._missed += sum(not any(first <= one <= last for first, last in spans) for one in passed)
        if fresh := numbers[len(passed) :]:
            self._span = (self._span[0] if self._span is not None else fresh[0], fresh[-1])

    def _why(self) -> str:
        if self._missed:
            return (
                f"{self._path.name} came late: {self._missed:,} of its rows have numbers up to {self._last} that no"
                " file brought before, and are passed over; send these rows again with new numbers, or a new snapshot"
            )
        if self._newer:
            newest = max(self._newer, key=lambda name: in_order(Path(name)))
            return (
                f"{self._path.name} came late: it counts now, although {newest} had said something of the same entries;"
                " send a file that says how these are, or a new snapshot"
            )
        return ""
