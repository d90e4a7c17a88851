"""Reads a change file: who is to be as the row says, who is gone, in the order of the rows."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from reconciler.core.model import Kind, SourceId
from reconciler.sources.file import id_of, member_ids
from reconciler.sources.file_page import Row, RowPage
from reconciler.sources.file_rows import Format, RowFile, Unreadable, is_delimited, open_rows, suffix_of, unit

_UPSERT = frozenset({"upsert", "add", "create", "insert", "update", "modify", "replace"})
_DELETE = frozenset({"delete", "remove"})
_END = "end"
_KINDS: dict[str, Kind] = {"user": "user", "users": "user", "group": "group", "groups": "group"}
_HASHED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of change files mean."""

    key: str = "id"
    members: str = "members"
    operation: str = "operation"
    kind: str = "kind"
    sequence: str | None = None
    """The column that numbers changes; None: the order of files and rows alone counts."""
    end_row: bool = False
    """Whether a file is finished only by a row whose operation is `end`."""

    @property
    def of_ours(self) -> frozenset[str]:
        """The columns that say something about the change, and nothing about anybody."""
        return frozenset(name for name in (self.operation, self.kind, self.sequence) if name is not None)


@dataclass(frozen=True, slots=True)
class Change:
    """One row: how somebody is from now on; None: they are gone."""

    kind: Kind
    id: SourceId
    row: Row | None
    sequence: int | None


class NotWhole(Exception):
    """A change file of which nothing may be believed; the text continues a sentence that begins with its name."""


def changes_in(path: Path, form: Format, columns: Columns, known: dict[Kind, frozenset[str]]) -> Iterator[list[Change]]:
    """Yield the changes of a file, some at a time; `known` are the columns that were there so far.

    Raises NotWhole as soon as anything speaks against the file, perhaps only at its end: nothing of it counts then.
    Adds to `known` what the file has beyond it.
    """
    opened = open_rows(path, form)
    if isinstance(opened, Unreadable):
        raise NotWhole(opened.why)
    with opened as file:
        _look_at_its_end(path, form)
        judge = _Judge(path, columns, known)
        for page in file.pages():
            yield judge.changes(page)
        judge.end()
        _look_whether_it_changed(file)


def digest_of(path: Path) -> bytes:
    """Return a hash of what a file holds."""
    hashed = blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_HASHED_BYTES):
            hashed.update(chunk)
    return hashed.digest()


def version_of(path: Path) -> str:
    """Return what is another one after each write and each rename."""
    status = path.stat()
    return f"{status.st_dev}-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


class _Judge:
    def __init__(self, path: Path, columns: Columns, known: dict[Kind, frozenset[str]]) -> None:
        self._path, self._columns, self._known = path, columns, known
        self._header: frozenset[str] | None = None
        self._last: int | None = None
        self._ended = False
        self._any = False

    def changes(self, page: RowPage) -> list[Change]:
        if page.unusable:
            raise NotWhole(page.unusable)
        if page.faults:
            place, fault = page.faults[0]
            raise NotWhole(f"{self._at(place)}{fault}")
        if page.columns:
            self._header = frozenset(page.columns)
        self._any = self._any or bool(page.rows) or bool(page.columns)
        return [
            change
            for row, place in zip(page.rows, page.places, strict=True)
            if (change := self._change(row, place)) is not None
        ]

    def end(self) -> None:
        if not self._any:
            raise NotWhole("is empty: it is not finished")
        if self._columns.end_row and not self._ended:
            raise NotWhole(f"has no last row whose '{self._columns.operation}' is {_END}: it is not finished")

    def _change(self, row: Row, place: int) -> Change | None:
        columns, at = self._columns, self._at(place)
        if self._ended:
            raise NotWhole(f"{at}comes after the row that ends the file")
        said = row.get(columns.operation)
        operation = said.strip().lower() if isinstance(said, str) else ""
        if operation == _END:
            self._ended = True
            return None
        if operation not in _UPSERT | _DELETE:
            raise NotWhole(f"{at}'{columns.operation}' is neither upsert nor delete")
        kind = self._kind(row, at)
        source_id = id_of(row.get(columns.key))
        if source_id is None:
            raise NotWhole(f"{at}has neither text nor a whole number as '{columns.key}'")
        sequence = self._sequence(row, at)
        if operation in _DELETE:
            return Change(kind, source_id, None, sequence)
        return Change(kind, source_id, self._row(kind, row, at), sequence)

    def _kind(self, row: Row, at: str) -> Kind:
        said = row.get(self._columns.kind)
        kind = _KINDS.get(said.strip().lower()) if isinstance(said, str) else "user" if said is None else None
        if kind is None:
            raise NotWhole(f"{at}'{self._columns.kind}' is neither user nor group")
        return kind

    def _sequence(self, row: Row, at: str) -> int | None:
        name = self._columns.sequence
        if name is None:
            return None
        said = row.get(name)
        number = int(said) if isinstance(said, str) and said.strip().isascii() and said.strip().isdigit() else said
        if type(number) is not int:
            raise NotWhole(f"{at}has no whole number as '{name}'")
        if self._last is not None and number <= self._last:
            raise NotWhole(f"{at}its '{name}' is not larger than the one before")
        self._last = number
        return number

    def _row(self, kind: Kind, row: Row, at: str) -> Row:
        kept = {name: value for name, value in row.items() if name not in self._columns.of_ours}
        known = self._known.get(kind, frozenset())
        if self._header is not None and not known <= self._header:
            raise NotWhole(f"lacks the columns {', '.join(sorted(known - self._header))}, which were there so far")
        if not kept.keys() <= known:
            self._known[kind] = known | kept.keys()
        if kind == "group":
            members = member_ids(row.get(self._columns.members), in_cell=is_delimited(self._path))
            if members is None:
                raise NotWhole(f"{at}'{self._columns.members}' is not a list of ids")
            kept[self._columns.members] = members
        return kept

    def _at(self, place: int) -> str:
        return f"{unit(self._path)} {place}: " if place else ""


def _look_at_its_end(path: Path, form: Format) -> None:
    """Raise NotWhole where a file of lines ends within one; packed data, and a JSON list, say so by themselves."""
    wide = form.encoding is not None and codecs.lookup(form.encoding).name.startswith(("utf-16", "utf-32"))
    if wide or path.suffix.lower() == ".gz" or suffix_of(path) == ".json":
        return
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(-1, os.SEEK_END)
            if file.read(1) not in (b"\n", b"\r"):
                raise NotWhole("has a last line without an end: it is not finished")


def _look_whether_it_changed(file: RowFile) -> None:
    if file.changed():
        raise NotWhole("was replaced or written to while it was read")
