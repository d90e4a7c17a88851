"""Reads files that say what changed, beside snapshots or alone, and keeps what they have said so far."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence, Set
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal

import orjson

from reconciler.core.model import KINDS, Entry, Identity, Kind, SourceId
from reconciler.ports import (
    Diagnosis,
    EntryPage,
    GroupMembers,
    MembershipPage,
    ReadEnd,
    ReadEvent,
    Wanted,
    Watermark,
)
from reconciler.sources.file import NOT_COLUMNS, FileSource, Problems, member_ids
from reconciler.sources.file_archive import archived
from reconciler.sources.file_change_rows import Change, Columns, NotWhole, changes_in, digest_of, version_of
from reconciler.sources.file_kept import Applied, Kept, Reading, Row, Writing
from reconciler.sources.file_late import Lateness
from reconciler.sources.file_names import meant, there_now
from reconciler.sources.file_rows import Format, is_delimited
from reconciler.sources.file_waiting import Foreseen
from reconciler.sources.lacking import lacking
from reconciler.sources.one_thread import OneThread

_Part = Literal["memberships", "user", "group"]


class ChangeFiles:
    """Change files in the order of their names, with snapshots that start over; what they come to is kept in a file.

    Each file counts once and as a whole, for every job that reads the source, whichever reads it first.
    """

    def __init__(
        self,
        name: str,
        *,
        changes: Path,
        kept: Path,
        snapshots: FileSource | None,
        columns: Columns,
        form: Format,
        archive: Path | None,
        allow_empty: frozenset[str],
        identity: Identity,
    ) -> None:
        self._name, self._changes, self._snapshots, self._columns = name, changes, snapshots, columns
        self._form, self._archive, self._allow_empty = form, archive, allow_empty
        self._kept_at, self._kept = kept, Kept(kept)
        self._thread = OneThread(name)
        self._do = self._thread.do
        self.identity = identity

    @property
    def incremental(self) -> bool:
        return True

    async def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        """See `ports.Source.read`. Takes in what new files say first, then gives what is kept."""
        parts: list[_Part] = []
        parts += ["memberships"] if wanted.memberships else []
        parts += ["user"] if wanted.users else []
        parts += ["group"] if wanted.groups else []
        problems: dict[_Part, list[str]] = {part: [] for part in parts}
        try:
            found = await self._take_in(wanted)
            for part in parts:
                problems[part] += found.of("user" if part == "user" else "group")
            look = await self._do(self._kept.look)
        except (sqlite3.Error, OSError) as error:
            for part in parts:
                yield ReadEnd(part, complete=False, problems=(f"source {self._name}: {self._trouble(error)}",))
            yield Watermark(None)
            return
        try:
            token = orjson.dumps([await self._do(lambda: look.of), await self._do(lambda: look.change)]).decode()
            after = _after(since, token)
            late = await self._do(partial(look.late, found.change if after is None else after))
            for part in parts:
                told = late if part == parts[-1] else ()
                async with aclosing(self._part(look, part, wanted, after, problems[part], told)) as events:
                    async for event in events:
                        yield event
            yield Watermark(token)
        finally:
            await self._do(look.close)

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        """See `ports.Source.fetch`. Answers from what is kept; of whom it says nothing only a whole snapshot did."""
        try:
            look = await self._do(self._kept.look)
            try:
                if not await self._do(lambda: look.any(kind)):
                    return {}
                rows = await self._do(partial(look.among, kind, ids))
                says_all = await self._do(partial(self._has_said_all, look, kind))
            finally:
                await self._do(look.close)
        except (sqlite3.Error, OSError):
            return {}
        found = {row.id: self._entry(kind, row, wanted) for row in rows.values() if row.attributes is not None}
        return {one: found.get(one) for one in ids if one in rows or says_all}

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        """Look at the snapshots, at what is kept, and at the change files that wait; apply none of them."""
        try:
            look = await self._do(self._kept.look)
            try:
                return await self._tested(look, wanted)
            finally:
                await self._do(look.close)
        except (sqlite3.Error, OSError) as error:
            return [Diagnosis("kept", False, self._trouble(error))]

    async def _tested(self, look: Reading, wanted: Wanted) -> list[Diagnosis]:
        counts = [await self._do(partial(look.count, kind)) for kind in KINDS]
        lines = [Diagnosis("kept", True, f"{self._kept_at}: {counts[0]:,} users, {counts[1]:,} groups")]
        new = await self._do(partial(self._new_snapshots, look, _Found()))
        if self._snapshots is not None:
            # what one lacks that was applied before, change files may have brought since
            of_users = wanted.user_attributes if "user" in new else frozenset()
            of_groups = wanted.group_attributes if "group" in new else frozenset()
            lines += await self._snapshots.test(Wanted(of_users, of_groups, memberships=wanted.memberships))
        found = _Found()
        paths = await self._do(partial(self._changes_there, found))
        lines += [Diagnosis("change file", False, why) for why in found.of("user")]
        foreseen = await self._do(partial(Foreseen, look, self._form, self._columns))
        lines += await self._do(partial(foreseen.take_in, paths))
        asked: dict[Kind, bool] = {"user": wanted.users, "group": wanted.groups or wanted.memberships}
        for kind in (kind for kind in KINDS if asked[kind] and kind not in new):
            if why := self._lacking(kind, foreseen.columns[kind], wanted, there=kind in foreseen.there):
                lines.append(Diagnosis(f"{kind}s", False, f"{self._kept_at}: {why}"))
        return lines

    async def settled(self) -> list[str]:
        """See `ports.Tidying`. Moves change files that were applied, and snapshots that a newer one replaced."""
        if self._archive is None:
            return []
        try:
            return await self._do(partial(self._put_away, self._archive))
        except (sqlite3.Error, OSError) as error:
            return [f"source {self._name}: what was applied stays where it is: {self._trouble(error)}"]

    async def close(self) -> None:
        await self._do(self._kept.close)
        self._thread.end()

    # --- taking in ---------------------------------------------------------------------------------------------------

    async def _take_in(self, wanted: Wanted) -> _Found:
        """Apply what is new: change files by name, and a snapshot before the change files that are younger than it."""
        writing = await self._do(self._kept.begin)
        found, again = _Found(writing.change), _Again(set())
        try:
            waiting = await self._do(partial(self._new_snapshots, writing, found))
            for path in await self._do(partial(self._changes_there, found)):
                try:
                    version, modified_at = await self._do(partial(_looked_at, path))
                    for kind in [kind for kind, (_, at) in waiting.items() if at <= modified_at]:
                        await self._take_snapshot(writing, kind, waiting.pop(kind)[0], wanted, found)
                        again.kinds.add(kind)
                    await self._do(partial(self._take_changes, writing, path, version, again))
                except (NotWhole, OSError) as reason:
                    why = f"cannot be read: {reason.strerror}" if isinstance(reason, OSError) else str(reason)
                    found.add(KINDS, f"{path.name}: {why}; nothing of it or after it is applied")
                    break
            for kind, (path, _) in waiting.items():
                await self._take_snapshot(writing, kind, path, wanted, found)
            await self._do(writing.commit)
        finally:
            await self._do(writing.roll_back)
        return found

    def _changes_there(self, found: _Found) -> list[Path]:
        try:
            return there_now(self._changes)
        except OSError as error:
            found.add(KINDS, f"{self._changes.parent} cannot be looked into: {error.strerror}")
            return []

    def _new_snapshots(self, kept: Writing | Reading, found: _Found) -> dict[Kind, tuple[Path, float]]:
        """Return the snapshots that were not applied as they are now, and when they were written."""
        new: dict[Kind, tuple[Path, float]] = {}
        for kind in KINDS:
            path = self._snapshots.path(kind) if self._snapshots is not None else None
            if self._snapshots is None or path is None:
                continue
            try:
                version, modified_at = _looked_at(path)
            except OSError:
                new[kind] = (path, 0.0)  # what is wrong with it is said where it is read
                continue
            applied = kept.applied(path)
            if applied is None or applied.version != version:
                new[kind] = (path, modified_at)
            elif why := self._snapshots.too_old(modified_at):
                found.add((kind,), f"{path.name}: {why}")
        return new

    async def _take_snapshot(self, writing: Writing, kind: Kind, path: Path, wanted: Wanted, found: _Found) -> None:
        """Apply a snapshot: what its good rows say, and who is missing from it only where it is whole."""
        assert self._snapshots is not None
        problems, columns = Problems(path), set[str]()
        names = wanted.user_attributes if kind == "user" else wanted.group_attributes
        members = {self._columns.members} if kind == "group" else set[str]()
        needed = (names - NOT_COLUMNS) | {self._columns.key} | members
        version = await self._do(partial(_version, path))
        await self._do(writing.forget_met)
        await self._do(writing.begin_file)
        try:
            async with aclosing(self._snapshots.rows(kind, needed, problems)) as steps:
                async for ids, rows, places in steps:
                    kept = []
                    for source_id, row, place in zip(ids, rows, places, strict=True):
                        columns |= row.keys()
                        if kind == "group":
                            listed = member_ids(row.get(self._columns.members), in_cell=is_delimited(path))
                            if listed is None:
                                problems.add(f"'{self._columns.members}' is not a list of ids", place)
                                continue
                            row = {**row, self._columns.members: listed}
                        kept.append((source_id, row))
                    await self._do(partial(writing.put, kind, kept))
                    await self._do(partial(writing.meet, ids))
            if problems.count:
                await self._do(partial(writing.add_columns, kind, columns))
            else:
                await self._do(partial(writing.drop_unmet, kind))
                await self._do(partial(writing.replace_columns, kind, columns))
                await self._do(partial(writing.note, path, Applied(version, b"")))
            await self._do(writing.keep_file)
        except BaseException:
            await self._do(writing.undo_file)
            raise
        for why in problems.listed():
            found.add((kind,), why)

    def _take_changes(self, writing: Writing, path: Path, version: str, again: _Again) -> None:
        """Apply a change file, as a whole or not at all. Raises NotWhole, OSError."""
        applied = writing.applied(path)
        if applied is not None and applied.version == version:
            self._apply_again(writing, path, again)
            return
        digest = digest_of(path)
        if applied is not None and applied.digest == digest:
            writing.note(path, Applied(version, digest))
            self._apply_again(writing, path, again)
            return
        known = {kind: writing.columns(kind) for kind in KINDS}
        before = dict(known)
        last, late = writing.sequence, Lateness(writing, path)
        writing.begin_file()
        try:
            for changes in changes_in(path, self._form, self._columns, known):
                fresh = [one for one in changes if one.sequence is None or last is None or one.sequence > last]
                late.look(changes)
                _apply(writing, fresh)
                if fresh and fresh[-1].sequence is not None:
                    writing.sequence = fresh[-1].sequence
            for kind in KINDS:
                writing.add_columns(kind, known[kind] - before[kind])
            late.keep()
            writing.note(path, Applied(version, digest))
            writing.keep_file()
        except BaseException:
            writing.undo_file()
            raise

    def _apply_again(self, writing: Writing, path: Path, again: _Again) -> None:
        """Apply once more what counted before, of kinds of which an older snapshot has just been taken in."""
        if not again.kinds:
            return
        known: dict[Kind, frozenset[str]] = {}
        writing.begin_file()
        try:
            for changes in changes_in(path, self._form, self._columns, known):
                _apply(writing, [one for one in again.fresh(changes) if one.kind in again.kinds])
            for kind in again.kinds & known.keys():
                writing.add_columns(kind, known[kind])
            writing.keep_file()
        except BaseException:
            writing.undo_file()
            raise

    # --- giving ------------------------------------------------------------------------------------------------------

    async def _part(
        self,
        look: Reading,
        part: _Part,
        wanted: Wanted,
        after: int | None,
        found: list[str],
        told: Sequence[str],
    ) -> AsyncGenerator[ReadEvent]:
        kind: Kind = "user" if part == "user" else "group"
        problems = [f"source {self._name}: {why}" for why in found]
        there, columns = await self._do(partial(look.any, kind)), await self._do(partial(look.columns, kind))
        if why := self._lacking(kind, columns, wanted, there=there):
            problems.append(f"source {self._name}: {why}")
        else:
            if after is None and self._says_all(kind):
                pages = look.everybody(kind)
            else:
                pages = look.since(kind, 0 if after is None else after)
            async for rows in self._pages(pages):
                if part == "memberships":
                    yield MembershipPage([self._group(row) for row in rows])
                else:
                    yield EntryPage(kind, [self._entry(kind, row, wanted) for row in rows])
        delta = after is not None or not self._says_all(kind)
        said = dict.fromkeys([*problems, *(f"source {self._name}: {why}" for why in told)])
        yield ReadEnd(part, complete=not problems, problems=tuple(said), delta=delta)

    def _says_all(self, kind: Kind) -> bool:
        """Whether a snapshot says who all are. Else only who is said to be gone is gone, and is told each time."""
        return self._snapshots is not None and self._snapshots.path(kind) is not None

    def _has_said_all(self, look: Reading, kind: Kind) -> bool:
        """Whether the snapshot that is there now was applied, as a whole."""
        path = self._snapshots.path(kind) if self._snapshots is not None else None
        return path is not None and look.applied(path) is not None

    def _lacking(self, kind: Kind, columns: Set[str], wanted: Wanted, *, there: bool) -> str:
        """Return why nothing of a kind can be used; empty where it can. `there`: whether there is anybody."""
        if not there:
            what = f"{kind}s"
            hint = f'where that is right: allow_empty = ["{what}"]'
            return "" if what in self._allow_empty else f"there are no {what} ({hint})"
        names = wanted.user_attributes if kind == "user" else wanted.group_attributes
        why = lacking(sorted(names - NOT_COLUMNS - columns), columns, "files")
        return f"what is kept of the {kind}s {why}" if why else ""

    async def _pages(self, pages: Iterator[list[Row]]) -> AsyncGenerator[list[Row]]:
        while (rows := await self._do(lambda: next(pages, None))) is not None:
            yield rows

    def _group(self, row: Row) -> GroupMembers:
        if row.attributes is None:
            return GroupMembers(row.id, "", (), gone=True)
        name = row.attributes.get("displayName")
        members = row.attributes.get(self._columns.members) or ()
        return GroupMembers(row.id, name if isinstance(name, str) else "", members)

    def _entry(self, kind: Kind, row: Row, wanted: Wanted) -> Entry:
        if row.attributes is None:
            return Entry(kind, row.id, {self._columns.key: row.id}, gone=True)
        if kind == "group" and self._columns.members not in wanted.group_attributes:
            row.attributes.pop(self._columns.members, None)
        return Entry(kind, row.id, row.attributes)

    # --- putting away ------------------------------------------------------------------------------------------------

    def _put_away(self, archive: Path) -> list[str]:
        """Move what was applied and is still what it was; return what could not be moved."""
        problems: list[str] = []
        writing = self._kept.begin()  # nobody takes in what is being moved
        try:
            for path in meant(self._changes):
                applied = writing.applied(path)
                if applied is not None and applied.version == version_of(path):
                    problems += archived(path, archive)
        finally:
            writing.roll_back()
        if self._snapshots is not None:
            problems += self._snapshots.put_away(archive)
        return [f"source {self._name}: {problem}" for problem in problems]

    def _trouble(self, error: Exception) -> str:
        said = error.strerror if isinstance(error, OSError) else str(error)
        return f"{self._kept_at.name}, where what the change files say is kept, cannot be used: {said}"


class _Found:
    """What was wrong with the files, by kind."""

    def __init__(self, change: int = 0) -> None:
        """`change`: the number of the last change before they were looked at."""
        self.change = change
        self._problems: dict[Kind, list[str]] = {kind: [] for kind in KINDS}

    def add(self, kinds: Sequence[Kind], why: str) -> None:
        for kind in kinds:
            self._problems[kind].append(why)

    def of(self, kind: Kind) -> list[str]:
        return self._problems[kind]


@dataclass(slots=True)
class _Again:
    """What has to be applied once more, because it is newer than what was taken in just now."""

    kinds: set[Kind]
    """Those of which a snapshot was taken in."""
    _last: int | None = None

    def fresh(self, changes: Sequence[Change]) -> list[Change]:
        """Return those that are no repetition, of changes that are given in their order."""
        found = [one for one in changes if one.sequence is None or self._last is None or one.sequence > self._last]
        if found:
            self._last = found[-1].sequence
        return found


def _apply(writing: Writing, changes: Sequence[Change]) -> None:
    """Write changes in their order; runs of one kind and way go together."""
    for (kind, is_gone), run in groupby(changes, key=lambda change: (change.kind, change.row is None)):
        if is_gone:
            writing.drop(kind, [change.id for change in run])
        else:
            writing.put(kind, [(change.id, change.row) for change in run if change.row is not None])


def _version(path: Path) -> str:
    """Return the version of a file; empty where it is not there, which is said where it is read."""
    try:
        return version_of(path)
    except OSError:
        return ""


def _looked_at(path: Path) -> tuple[str, float]:
    return version_of(path), path.stat().st_mtime


def _after(since: str | None, token: str) -> int | None:
    """Return the change that a watermark names; None where it belongs to another file of kept rows."""
    try:
        kept = orjson.loads(since) if since is not None else None
    except orjson.JSONDecodeError:
        return None
    of, change = orjson.loads(token)
    match kept:
        case [str() as same, int() as after] if same == of and after <= change:
            return after
    return None
