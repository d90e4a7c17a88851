"""Looks at change files that wait, and says what there would be if they were applied; applies none of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reconciler.core.model import KINDS, Kind
from reconciler.ports import Diagnosis
from reconciler.sources.file_change_rows import Columns, NotWhole, changes_in, digest_of, version_of
from reconciler.sources.file_kept import Reading
from reconciler.sources.file_rows import Format


class Foreseen:
    """What is kept, and what the change files that wait would add to it."""

    def __init__(self, look: Reading, form: Format, columns: Columns) -> None:
        self._look, self._form, self._columns = look, form, columns
        self.columns: dict[Kind, frozenset[str]] = {kind: look.columns(kind) for kind in KINDS}
        self.there: set[Kind] = {kind for kind in KINDS if look.any(kind)}
        """The kinds of which there is anybody."""

    def take_in(self, paths: Sequence[Path]) -> list[Diagnosis]:
        """Return a line for each of the files, in their order."""
        return [self._taken(path) for path in paths]

    def _taken(self, path: Path) -> Diagnosis:
        try:
            if self._is_applied(path):
                return Diagnosis("change file", True, f"{path}: was applied before")
            count = 0
            for changes in changes_in(path, self._form, self._columns, self.columns):
                count += len(changes)
                self.there.update(one.kind for one in changes if one.row is not None)
        except NotWhole as reason:
            return Diagnosis("change file", False, f"{path}: {reason}", "nothing of it is applied")
        except OSError as error:
            return Diagnosis("change file", False, f"{path}: cannot be read: {error.strerror}")
        return Diagnosis("change file", True, f"{path}: {count:,} changes")

    def _is_applied(self, path: Path) -> bool:
        applied = self._look.applied(path)
        return applied is not None and (applied.version == version_of(path) or applied.digest == digest_of(path))
