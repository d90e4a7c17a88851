"""Counts of whom a cycle cannot tell whether they take part, so that nobody stays on for it unnoticed."""

from __future__ import annotations

import shlex

from reconciler.core.records import Record


class Unsure:
    """Those who are left as they are because something that decides is not known."""

    def __init__(self, job: str) -> None:
        self._job, self._count = job, 0
        self._first: Record | None = None

    def add(self, record: Record) -> None:
        self._first = self._first or record
        self._count += 1

    @property
    def problems(self) -> list[str]:
        """Return what a report must say, in a sentence; it names one of them by key, so that somebody can look why."""
        if self._first is None:
            return []
        key = shlex.quote(self._first.source_id)
        whose = f"1 {self._first.kind} takes" if self._count == 1 else f"{self._count:,} entries take"
        return [
            f"it is not known whether {whose} part, so nothing is done to them:"
            f" `reconciler provision {self._job} {key} --dry-run` shows why"
        ]
