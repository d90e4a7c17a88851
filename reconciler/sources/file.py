"""Reads users, groups and memberships from files, and judges whether what it read was all."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence, Set
from contextlib import aclosing
from functools import partial
from itertools import compress, repeat
from pathlib import Path
from typing import Any, Literal

import anyio.lowlevel
import orjson

from reconciler.core.met import Keys
from reconciler.core.model import KINDS, PSEUDO_ATTRIBUTES, Entry, Identity, Kind, SourceId
from reconciler.ports import (
    Clock,
    Diagnosis,
    EntryPage,
    GroupMembers,
    MembershipPage,
    ReadEnd,
    ReadEvent,
    Wanted,
    Watermark,
)
from reconciler.sources.file_archive import archived
from reconciler.sources.file_names import is_pattern, meant, newest
from reconciler.sources.file_page import Row, RowPage
from reconciler.sources.file_rows import PLAIN, Format, RowFile, Unreadable, is_delimited, open_rows, unit
from reconciler.sources.lacking import lacking
from reconciler.sources.one_thread import OneThread

_PAGE_ENTRIES = 1000
_PAGE_MEMBERS = 50_000
_PROBLEMS_LISTED = 20
NOT_COLUMNS = PSEUDO_ATTRIBUTES | {"objectId"}

_Rows = tuple[list[SourceId], Sequence[Row], Sequence[int]]
"""Ids, rows and places of one step, aligned; no id twice in one reading."""


class FileSource:
    """A snapshot in files: JSON Lines, JSON, CSV or TSV by suffix. Who is not in a complete file is not there."""

    def __init__(
        self,
        name: str,
        *,
        users: Path | None,
        groups: Path | None,
        key: str = "id",
        members: str = "members",
        allow_empty: frozenset[str] = frozenset(),
        max_age_seconds: float | None = None,
        form: Format = PLAIN,
        archive: Path | None = None,
        clock: Clock,
    ) -> None:
        """The last name of a path may be a pattern: of those that fit, the last in the order of names is read.

        `allow_empty` holds "users", "groups" or both: such a file may have no rows and still be all there is."""
        named = users or groups
        assert named is not None
        self._name = name
        self._named: Mapping[Kind, Path | None] = {"user": users, "group": groups}
        self._format, self._archive = form, archive
        self._key = key
        self._members = members
        self._allow_empty = allow_empty
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        # Links within the path are not followed: an export is often published by moving one, and stays the same source.
        self.identity = Identity("file", os.path.abspath(named), key)  # noqa: PTH100  # absolute() keeps ".."

    @property
    def incremental(self) -> bool:
        return False

    async def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        """See `ports.Source.read`. Holds one step of a file at a time, and waits for nobody between two steps."""
        if wanted.memberships:
            async for event in self._read_memberships():
                yield event
        if wanted.users:
            async for event in self._read_entries("user", wanted):
                yield event
        if wanted.groups:
            async for event in self._read_entries("group", wanted):
                yield event
        yield Watermark(None)

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        """See `ports.Source.fetch`. Reads the file up to the last one asked for."""
        missing = set(ids)
        found: dict[SourceId, Entry | None] = {}
        if not missing:
            return found
        problems = Problems(self.path(kind))
        async with aclosing(self._entries(kind, wanted, problems)) as pages:
            async for page in pages:
                for entry in page:
                    if entry.id in missing:
                        found[entry.id] = entry
                        missing.discard(entry.id)
                if not missing:
                    return found
        if not problems.count:
            found.update(dict.fromkeys(missing))
        return found

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        """Read every file to its end, where it has the columns that are wanted; one line for each."""
        lines = []
        for kind in KINDS:
            path = self.path(kind)
            if path is not None:
                lines.append(await self._test(kind, path, wanted))
        return lines

    async def close(self) -> None:
        """Nothing stays open between two readings."""

    async def settled(self) -> list[str]:
        """See `ports.Tidying`. Moves files that a newer one has replaced."""
        if self._archive is None:
            return []
        thread = OneThread(self._name)  # an archive on another disk is written to
        problems = await thread.do(partial(self.put_away, self._archive))
        thread.end()
        return [f"source {self._name}: {problem}" for problem in problems]

    def put_away(self, archive: Path) -> list[str]:
        """Move those that a pattern means besides the one that is read; return what could not be moved."""
        patterns = dict.fromkeys(path for path in self._named.values() if path is not None and is_pattern(path))
        return [why for pattern in patterns for path in meant(pattern)[:-1] for why in archived(path, archive)]

    def path(self, kind: Kind) -> Path | None:
        """Return the file of a kind as it is now."""
        named = self._named[kind]
        return None if named is None else newest(named)

    async def _test(self, kind: Kind, path: Path, wanted: Wanted) -> Diagnosis:
        problems, count, columns = Problems(path), 0, dict[str, Any]()
        needed = self._needed(kind, wanted)
        if kind == "group" and wanted.memberships:
            needed |= {self._members}
        async for _, rows, _ in self.rows(kind, needed, problems):
            count += len(rows)
            for row in rows:
                columns.update(row)
        step = f"{kind}s file"
        usable, of = " can be used" if problems.count else "", f" with {', '.join(columns)}" if columns else ""
        text = f"{path}: {count:,} {kind}s{usable}{of}"
        if problems.count:
            hint = "nobody is taken for absent until the file is whole"
            return Diagnosis(step, False, f"{text}. {'. '.join(problems.listed())}", hint)
        return Diagnosis(step, True, text)

    def _needed(self, kind: Kind, wanted: Wanted) -> Set[str]:
        """Return the columns that entries are made of."""
        names = wanted.user_attributes if kind == "user" else wanted.group_attributes
        return (names - NOT_COLUMNS) | {self._key}

    async def _read_memberships(self) -> AsyncIterator[ReadEvent]:
        path = self.path("group")
        in_cell = path is not None and is_delimited(path)
        problems, page, weight = Problems(path), list[GroupMembers](), 0
        async for ids, rows, places in self.rows("group", {self._key, self._members}, problems):
            for group_id, row, place in zip(ids, rows, places, strict=True):
                members = member_ids(row.get(self._members), in_cell=in_cell)
                if members is None:
                    problems.add(f"'{self._members}' is not a list of ids", place)
                    continue
                name = row.get("displayName")
                page.append(GroupMembers(group_id, name if isinstance(name, str) else "", members))
                weight += len(members)
                if len(page) >= _PAGE_ENTRIES or weight >= _PAGE_MEMBERS:
                    yield MembershipPage(page)
                    page, weight = [], 0
        if page:
            yield MembershipPage(page)
        yield problems.end("memberships")

    async def _read_entries(self, kind: Kind, wanted: Wanted) -> AsyncIterator[ReadEvent]:
        problems = Problems(self.path(kind))
        async for page in self._entries(kind, wanted, problems):
            yield EntryPage(kind, page)
        yield problems.end(kind)

    async def _entries(self, kind: Kind, wanted: Wanted, problems: Problems) -> AsyncGenerator[list[Entry]]:
        """Yield full pages of entries; what is wrong goes to `problems`."""
        waiting: list[Entry] = []
        async with aclosing(self.rows(kind, self._needed(kind, wanted), problems)) as steps:
            async for ids, rows, _ in steps:
                if kind == "group" and self._members not in wanted.group_attributes:
                    # Members travel in pages of their own: as an attribute they would weigh on every look at the group.
                    for row in rows:
                        row.pop(self._members, None)
                waiting += map(Entry, repeat(kind), ids, rows)
                while len(waiting) >= _PAGE_ENTRIES:
                    yield waiting[:_PAGE_ENTRIES]
                    waiting = waiting[_PAGE_ENTRIES:]
        if waiting:
            yield waiting

    async def rows(self, kind: Kind, needed: Set[str], problems: Problems) -> AsyncGenerator[_Rows]:
        """Yield the usable rows of a kind's file, none where the file as a whole is unusable."""
        path = self.path(kind)
        if path is None:
            problems.add(f"source '{self._name}' names no {kind}s file")
            return
        try:
            opened = open_rows(path, self._format)
            if isinstance(opened, Unreadable):
                problems.add(opened.why)
                return
            with opened as file:
                problems.add(self.too_old(file.modified_at))
                if why := await _survey(file, needed):
                    problems.add(why)
                    return
                keys, has_rows = Keys(), False
                for page in file.pages():
                    has_rows = has_rows or bool(page.rows or page.faults)
                    yield self._judged(page, keys, problems)
                    await anyio.lowlevel.checkpoint()
                if not has_rows and f"{kind}s" not in self._allow_empty:
                    problems.add(f'has no rows (where that is right: allow_empty = ["{kind}s"])')
                if file.changed():
                    problems.add("was replaced or written to while it was read")
        except OSError as error:
            problems.add(f"cannot be read: {error.strerror}")

    def _judged(self, page: RowPage, keys: Keys, problems: Problems) -> _Rows:
        """Return the rows that have a key which none had before: text, or a whole number, which becomes text."""
        problems.add(page.unusable)
        for place, fault in page.faults:
            problems.add(fault, place)
        values: list[Any] = [row.get(self._key) for row in page.rows]
        rows, places = page.rows, page.places
        are_texts = set(map(type, values)) == {str} and not any(map(str.isspace, values))
        ids: list[Any] = values if are_texts else list(map(id_of, values))
        if not all(ids):
            for value, place in zip(values, places, strict=True):
                if not id_of(value):
                    missing = value is None or value == ""
                    why = "has no" if missing else "has neither text nor a whole number as"
                    problems.add(f"{why} '{self._key}'", place)
            ids, rows, places = _kept(list(map(bool, ids)), ids, rows, places)
        if repeated := keys.add(ids):
            keep = [True] * len(ids)
            for position in repeated:
                problems.add(f"has the '{self._key}' of a row before it; the first is used", places[position])
                keep[position] = False
            ids, rows, places = _kept(keep, ids, rows, places)
        return ids, rows, places

    def too_old(self, modified_at: float) -> str:
        """Return why a file of this age is not believed to be all there is; empty where it is."""
        if self._max_age_seconds is None:
            return ""
        age_seconds = self._clock.now() - modified_at
        if age_seconds <= self._max_age_seconds:
            return ""
        return (
            f"was last written {age_seconds / 86400:.1f} days ago, max_age is {self._max_age_seconds / 86400:.1f} days"
        )


class Problems:
    """Why the reading of one file is incomplete; an empty one says that it was complete."""

    __slots__ = ("_first", "_path", "count")

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._first: list[str] = []
        self.count = 0

    def add(self, why: str, place: int = 0) -> None:
        """Note what is wrong with the file, or with one place in it; nothing where `why` is empty."""
        if not why:
            return
        self.count += 1
        if len(self._first) < _PROBLEMS_LISTED:
            self._first.append(f"{self._where(place)}: {why}" if self._path else why)

    def listed(self) -> tuple[str, ...]:
        more = self.count - len(self._first)
        return (*self._first, f"and {more:,} more") if more else tuple(self._first)

    def end(self, part: Literal["memberships", "user", "group"]) -> ReadEnd:
        return ReadEnd(part, complete=self.count == 0, problems=self.listed())

    def _where(self, place: int) -> str:
        assert self._path is not None
        return f"{self._path.name} {unit(self._path)} {place}" if place else self._path.name


async def _survey(file: RowFile, needed: Set[str]) -> str:
    """Return why nothing of the file can be used; empty where every needed column is there.

    Looks no further than it must: at the header, or at the first rows that have the columns between them.
    """
    missing, seen, has_rows = set(needed), set[str](), False
    for page in file.pages():
        if page.unusable:
            return page.unusable
        has_rows = has_rows or bool(page.rows or page.columns)
        seen.update(page.columns)
        for row in page.rows:
            if not missing <= seen:
                seen.update(row)
        missing -= seen
        if not missing:
            return ""
        if page.columns:
            break
        await anyio.lowlevel.checkpoint()
    return lacking(sorted(missing), seen, "file") if has_rows else ""


def id_of(value: object) -> SourceId | None:
    if type(value) is int:
        return SourceId(str(value))
    return SourceId(value) if isinstance(value, str) and value and not value.isspace() else None


def _kept(keep: list[bool], ids: list[SourceId], rows: Sequence[Row], places: Sequence[int]) -> _Rows:
    return list(compress(ids, keep)), list(compress(rows, keep)), list(compress(places, keep))


def member_ids(value: Any, *, in_cell: bool) -> list[SourceId] | None:
    """Return the members that a value names, each once; None where it is not a list of ids."""
    if in_cell:
        value = _from_cell(value)
    if not isinstance(value, list):
        return None
    ids = list(map(id_of, value))
    known = [member for member in ids if member is not None]
    return list(dict.fromkeys(known)) if len(known) == len(ids) else None


def _from_cell(cell: str | None) -> Any:
    """Return the list in a cell: JSON, or ids between semicolons, or where there is none between bars."""
    if cell is None:
        return []
    if cell.lstrip().startswith("["):
        try:
            return orjson.loads(cell)
        except orjson.JSONDecodeError:
            return None
    return [member for part in cell.split(";" if ";" in cell else "|") if (member := part.strip())]
