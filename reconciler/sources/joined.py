"""Reads people out of several sources that know them by a common key, as if they were one."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import orjson

from reconciler.core.given import GivenAssignment
from reconciler.core.model import Entry, Identity, Kind, SourceId
from reconciler.core.outcomes import Failed
from reconciler.ports import (
    AssignmentPage,
    Diagnosis,
    EntryPage,
    GroupMembers,
    MembershipPage,
    PresentPage,
    ReadEnd,
    ReadEvent,
    Source,
    Tidying,
    Wanted,
    Watermark,
    chunks,
)
from reconciler.ports.source import Part as PartOfReading
from reconciler.sources import joined_listening as listening
from reconciler.sources.joined_copy import EVERYTHING, Copy, Part, Row, Since
from reconciler.sources.joined_merging import Joining, Merger, key_of, names_in

_T = TypeVar("_T")
_PARTS: Mapping[PartOfReading, Part] = {"memberships": "members", "user": "user", "group": "group"}
_PAGE_MEMBERS = 50_000


@dataclass(slots=True)
class _Round:
    """What has become of reading the parts."""

    ends: dict[PartOfReading, ReadEnd] = field(default_factory=dict)
    """Of the first part."""
    assignments: list[GivenAssignment] = field(default_factory=list)
    """Who is assigned to the app by the first part's word. Nothing of it is kept: it is always told whole."""
    trusted: list[bool] = field(default_factory=list)
    """Of each part, whether its users were read to their end."""
    problems: dict[int, list[str]] = field(default_factory=dict)
    """Of the other parts; at 0 what is said of all."""
    changed: list[int] = field(default_factory=list)
    """Of each part, how many users and groups were not as they were known, or there no more."""
    is_back: bool = False
    """Whether the first part says that a group has the members that it had, and who they were is not known."""


class JoinedSource:
    """Several sources joined by a key. The first says who exists; groups, memberships and assignments are its own."""

    def __init__(self, name: str, parts: Sequence[Source], joining: Joining, *, copy: Path | None = None) -> None:
        """`copy`: where what the parts said last is kept for the next reading; None: everything is read each time."""
        self._name, self._sources, self._joining = name, list(parts), joining
        self._copy = Copy(copy)
        self._opened, self._valid = "", False
        self._fresh: Wanted | None = None
        self._round = _Round()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"joined-{name}")
        places = " + ".join(str(part.identity) for part in parts)
        self.identity = Identity("joined", places, joining.described())

    @property
    def incremental(self) -> bool:
        return self._copy.path is not None

    async def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        """See `ports.Source.read`. The parts are read one after the other into the copy, then joined out of it."""
        if not wanted.users:
            async for event in self._sources[0].read(wanted, None):
                if not isinstance(event, Watermark):
                    yield event
            yield Watermark(None)
            return
        try:
            reach = await self._brought_up_to_date(wanted, since, reading=not wanted.once)
        except (sqlite3.Error, OSError) as error:
            for end in self._cannot(wanted, error):
                yield end
            yield Watermark(since)
            return
        ended = set[PartOfReading]()
        try:
            async with aclosing(self._shown(wanted, reach)) as events:
                async for event in events:
                    if isinstance(event, ReadEnd):
                        ended.add(event.part)
                    yield event
        except (sqlite3.Error, OSError) as error:
            for end in self._cannot(wanted, error):
                if end.part not in ended:
                    yield end
            yield Watermark(since)
            return
        complete = all(self._round.trusted) and all(end.complete for end in self._round.ends.values())
        token = await self._in_thread(self._copy.token) if self._copy.kept else None
        yield Watermark(token if complete else since)

    async def _shown(self, wanted: Wanted, reach: Since) -> AsyncGenerator[ReadEvent, None]:
        """Yield what the copy shows, part by part."""
        merger = Merger(self._copy, self._joining, self._round.trusted, wanted)
        if wanted.app is not None:
            for assignments in chunks(self._round.assignments, 1000):
                yield AssignmentPage(assignments)
            yield self._round.ends["assignments"]
        if wanted.memberships:
            async for event in self._memberships(reach):
                yield event
        async for event in self._users(merger, reach):
            yield event
        if wanted.groups:
            async for event in self._groups(reach):
                yield event

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        """See `ports.Source.fetch`. Where nothing was read yet, the parts are asked for what changed first."""
        if kind == "group":
            return await self._sources[0].fetch(kind, ids, wanted)
        if not ids:
            return {}
        if self._fresh is None or not wanted.user_attributes <= self._fresh.user_attributes:
            try:
                await self._brought_up_to_date(replace(wanted, app=None), None, reading=False)
            except (sqlite3.Error, OSError):
                return {}
        try:
            return await self._fetched(ids, wanted)
        except (sqlite3.Error, OSError):
            return {}

    async def withheld(self, kind: Kind, ids: Sequence[SourceId]) -> Set[SourceId]:
        """See `ports.Withholding`: who has a key that another one has, too."""
        found = set[SourceId]()
        if kind == "group" or self._fresh is None or not self._round.trusted[0]:
            return found
        try:
            for some in chunks(ids, 1000):
                merger = Merger(self._copy, self._joining, self._round.trusted, self._fresh)
                await self._in_thread(merger.merged, await self._in_thread(self._copy.with_ids, some))
                found |= merger.doubled
        except (sqlite3.Error, OSError):
            return set()
        return found

    async def _fetched(self, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        found: dict[SourceId, Entry | None] = {}
        sure = self._round.trusted[0]
        for some in chunks(ids, 1000):
            merger = Merger(self._copy, self._joining, self._round.trusted, wanted)
            rows = await self._in_thread(self._copy.with_ids, some)
            merged = await self._in_thread(merger.merged, rows)
            found.update((entry.id, entry) for entry in merged)
            there = {row[0] for row in rows}
            absent = (set(some) - there) | set(merger.missing)
            if sure:
                found.update(dict.fromkeys(absent))
        return found

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        """Test each part for what is asked of it."""
        lines: list[Diagnosis] = []
        for side, (name, part) in enumerate(zip(self._joining.names, self._sources, strict=True)):
            said = await part.test(self._joining.wanted_of(side, wanted))
            lines += [replace(line, step=f"{name}: {line.step}") for line in said]
        return lines

    def changes(self) -> AsyncGenerator[None, None]:
        """See `ports.Announcing.changes`. Each part that announces anything is listened to."""
        return listening.changes(self._name, dict(zip(self._joining.names, self._sources, strict=True)))

    async def settled(self) -> list[str]:
        """See `ports.Tidying`. Each part puts away what is its own."""
        return [why for part in self._sources if isinstance(part, Tidying) for why in await part.settled()]

    async def close(self) -> None:
        """Close every part, and the copy."""
        try:
            for part in self._sources:
                await part.close()
        finally:
            await self._in_thread(self._copy.close)
            self._thread.shutdown(wait=False)

    # --- the parts, into the copy --------------------------------------------------------------------------------

    async def _brought_up_to_date(self, wanted: Wanted, since: str | None, *, reading: bool = True) -> Since:
        """Read the parts; return from where on what they said has to be shown."""
        copy = self._copy
        asked = [self._joining.wanted_of(side, wanted) for side in range(len(self._sources))]
        definition = self._definition(asked)
        if definition != self._opened:
            self._valid = await self._in_thread(copy.open, definition, reading)
            self._opened = definition
        reach = await self._in_thread(copy.since, since) if since is not None and self._valid else None
        if reach is not None:
            await self._in_thread(copy.forget, reach)
        everybody = range(len(asked))
        self._round = _Round(changed=[0] * len(asked), trusted=[False] * len(asked))
        tokens = [await self._in_thread(copy.noted, f"token {side}") if self._valid else "" for side in everybody]
        await self._turn(asked, everybody, tokens)
        if reading and reach is None and self._valid and all(self._round.trusted):
            # what changed is taken in: what a reading of everything finds now, nobody had told of
            self._round.changed = [0] * len(asked)
            await self._turn(asked, [side for side in everybody if tokens[side]], [""] * len(asked))
            self._round.problems[0] = [
                f"{name}: {changed} entries had changed without being told of as changes"
                for name, changed in zip(self._joining.names, self._round.changed, strict=True)
                if changed
            ]
        self._valid, self._fresh = True, wanted
        return reach or EVERYTHING

    async def _turn(self, asked: Sequence[Wanted], sides: Sequence[int], tokens: Sequence[str]) -> None:
        await self._in_thread(self._copy.begin)
        for side in sides:
            await self._take(side, self._sources[side], asked[side], tokens[side] or None)

    async def _take(self, side: int, part: Source, wanted: Wanted, token: str | None) -> None:
        name, ends = self._joining.names[side], dict[PartOfReading, ReadEnd]()
        new: str | None = None
        not_read: dict[PartOfReading, int] = {"user": 0, "group": 0}
        if side == 0:
            self._round.assignments, self._round.is_back = [], False
        async for event in part.read(wanted, token):
            match event:
                case EntryPage(kind=kind, entries=entries):
                    await self._take_entries(side, kind, entries, wanted)
                case MembershipPage(groups=groups):
                    await self._in_thread(self._take_members, groups)
                case PresentPage(kind=kind, ids=ids):
                    unknown = await self._in_thread(self._copy.show, side, kind, ids)
                    if unknown:
                        more = await part.fetch(kind, unknown, wanted)
                        not_read[kind] += sum(one not in more for one in unknown)
                        await self._take_entries(side, kind, [one for one in more.values() if one is not None], wanted)
                case ReadEnd(part=which, complete=complete, delta=delta):
                    if not_read.get(which):
                        why = f"{not_read[which]} {which}s who have come or are back could not be read"
                        event = replace(event, complete=False, problems=(*event.problems, why))
                        complete = False
                    ends[which] = event
                    if complete and not delta and which in _PARTS:
                        gone = await self._in_thread(self._copy.sweep, side, _PARTS[which])
                        self._round.changed[side] += gone if which != "memberships" else 0
                case Watermark(token=given):
                    new = given
                case AssignmentPage(assignments=assignments):
                    assert side == 0, "no other part is asked for the assignments to an app"
                    self._round.assignments += assignments
        if side == 0 and self._round.is_back and token is not None:
            await self._take(side, part, wanted, None)
            return
        self._round.trusted[side] = "user" in ends and ends["user"].complete
        if side == 0:
            self._round.ends = ends
        else:
            self._round.problems[side] = [f"{name}: {one}" for end in ends.values() for one in end.problems]
        if all(end.complete for end in ends.values()):
            await self._in_thread(self._copy.note, {f"token {side}": new or ""})

    async def _take_entries(self, side: int, kind: Kind, entries: Sequence[Entry], wanted: Wanted) -> None:
        joining = self._joining

        def take() -> int:
            rows = []
            for one in entries:
                if one.gone:
                    rows.append(Row(one.id, None, None))
                    continue
                key = key_of(joining, side, one) if kind == "user" else None
                names = names_in(joining, side, one.attributes) if kind == "user" and side else ()
                told = one.attributes
                if kind == "user":  # a source may show more than it was asked for; it is not written down
                    told = {name: value for name, value in told.items() if name in wanted.user_attributes}
                body = orjson.dumps(told, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
                rows.append(Row(one.id, key, body, names))
            return self._copy.take(side, kind, rows)

        self._round.changed[side] += await self._in_thread(take)

    def _take_members(self, groups: Sequence[GroupMembers]) -> None:
        rows = []
        for group in groups:
            if group.gone:
                rows.append(Row(group.group_id, None, None))
                continue
            members: Sequence[str] = group.members
            if group.partial:
                known = self._copy.members(group.group_id)
                if group.unchanged and known is None:
                    self._round.is_back = True
                    continue
                before: list[str] = orjson.loads(known)[1] if known is not None else []
                members = list(dict.fromkeys([*before, *group.members]))
                if group.removed:
                    removed = set(group.removed)
                    members = [one for one in members if one not in removed]
            rows.append(Row(group.group_id, None, orjson.dumps([group.name, list(members)])))
            if group.partial:
                self._copy.take(0, "members", rows)  # the next addition may be to the same group
                rows = []
        self._copy.take(0, "members", rows)

    # --- and out of it -------------------------------------------------------------------------------------------

    async def _memberships(self, reach: Since) -> AsyncIterator[ReadEvent]:
        end = self._round.ends["memberships"]
        gone, vanished = await self._in_thread(self._copy.gone, "members", reach)
        if vanished:
            reach = EVERYTHING
        page: list[GroupMembers] = []
        weight = 0
        async for rows in self._pages(self._copy.changed("members", reach)):
            for id_, _, body in rows:
                name, members = orjson.loads(body)
                page.append(GroupMembers(id_, name, members))
                weight += len(members)
                if weight >= _PAGE_MEMBERS:
                    yield MembershipPage(page)
                    page, weight = [], 0
            if page:
                yield MembershipPage(page)
                page, weight = [], 0
        if reach is not EVERYTHING:
            for ids in chunks(gone, 1000):
                yield MembershipPage([GroupMembers(id_, "", (), gone=True) for id_ in ids])
        yield replace(end, delta=end.complete and reach is not EVERYTHING)

    async def _users(self, merger: Merger, reach: Since) -> AsyncIterator[ReadEvent]:
        end, joining = self._round.ends["user"], self._joining
        async for rows in self._pages(self._copy.changed("user", reach)):
            entries = await self._in_thread(merger.merged, rows)
            if entries:
                yield EntryPage("user", entries)
            if reach is EVERYTHING and merger.withheld:
                yield PresentPage("user", merger.taken_withheld())
        gone, vanished = await self._in_thread(self._copy.gone, "user", reach)
        for ids in chunks(gone, 1000):
            yield EntryPage("user", [Entry("user", id_, {}, gone=True) for id_ in ids])
        complete = end.complete and all(self._round.trusted)
        needed = range(1, len(self._sources)) if joining.everywhere else ()
        sweeps = reach is not EVERYTHING and (vanished or joining.everywhere)
        if sweeps and complete:
            async for present in self._pages(self._copy.present("user", needed)):
                yield PresentPage("user", present)
        problems = (*end.problems, *(one for of in self._round.problems.values() for one in of), *merger.problems())
        yield ReadEnd(
            "user", complete, problems, delta=reach is not EVERYTHING and not (sweeps and complete), fault=self._fault()
        )

    async def _groups(self, reach: Since) -> AsyncIterator[ReadEvent]:
        end = self._round.ends["group"]
        async for rows in self._pages(self._copy.changed("group", reach)):
            yield EntryPage("group", [Entry("group", id_, orjson.loads(body)) for id_, _, body in rows])
        gone, vanished = await self._in_thread(self._copy.gone, "group", reach)
        for ids in chunks(gone, 1000):
            yield EntryPage("group", [Entry("group", id_, {}, gone=True) for id_ in ids])
        if vanished and end.complete:
            async for present in self._pages(self._copy.present("group", ())):
                yield PresentPage("group", present)
        yield replace(end, delta=reach is not EVERYTHING and not (vanished and end.complete))

    # --- what they share -----------------------------------------------------------------------------------------

    def _fault(self) -> Failed | None:
        return self._round.ends["user"].fault

    def _cannot(self, wanted: Wanted, error: Exception) -> Iterator[ReadEnd]:
        why = f"{self._name}: what the parts said last cannot be kept ({error}); is there room in its directory?"
        asked: tuple[tuple[PartOfReading, bool], ...] = (
            ("assignments", wanted.app is not None),
            ("memberships", wanted.memberships),
            ("user", wanted.users),
            ("group", wanted.groups),
        )
        for part, is_asked in asked:
            if is_asked:
                yield ReadEnd(part, complete=False, problems=(why,))

    def _definition(self, asked: Sequence[Wanted]) -> str:
        """Return what a copy is bound to: the parts, how they are joined, and what is asked of them."""
        said = [
            str(self.identity),
            self._joining.described(),
            [[sorted(one.user_attributes), sorted(one.group_attributes), one.groups, one.memberships] for one in asked],
        ]
        return hashlib.blake2b(orjson.dumps(said), digest_size=16).hexdigest()

    async def _pages(self, pages: Iterator[_T]) -> AsyncIterator[_T]:
        while (page := await self._in_thread(next, pages, None)) is not None:
            yield page

    async def _in_thread(self, call: Callable[..., _T], *given: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *given)
