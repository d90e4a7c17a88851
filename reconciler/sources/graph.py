"""Reads users, groups, memberships and assignments of a tenant from Microsoft Graph, or what changed of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing

from reconciler.core.model import KINDS, Attributes, Entry, Identity, Kind, SourceId
from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import graph_reading
from reconciler.dialects.graph_reading import Reading
from reconciler.net.client import Client
from reconciler.ports import Clock, Diagnosis, EntryPage, ReadEvent, Wanted, Watermark, chunks
from reconciler.sources import graph_assignments, graph_connection
from reconciler.sources.graph_memberships import Memberships
from reconciler.sources.graph_problems import Problems
from reconciler.sources.graph_round import Round, Rounds, Token
from reconciler.sources.graph_spool import spooled
from reconciler.sources.graph_wire import GraphWire, Unreadable

PAGE = 1000
_ASKED_AT_ONCE = 400
_NOTHING: Mapping[SourceId, Attributes] = {}


class GraphSource:
    """One tenant. What cannot be read, and what its permissions hide from us, is an incomplete part.

    A round that says what changed is only believed for who changed: each of them is asked for, and given whole. The
    replica that answers may not have heard of the change yet, and no later round repeats it: so the values that the
    round itself names go before those of the answer.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str,
        tenant: str,
        client: Client,
        clock: Clock,
        timeout_seconds: float = 30.0,
        allow_empty: frozenset[str] = frozenset(),
        entries_max: int | None = None,
    ) -> None:
        self._name, self._client, self._allow_empty = name, client, allow_empty
        self._wire = GraphWire(client, clock, url, timeout_seconds, entries_max=entries_max)
        self._rounds = Rounds(self._wire)
        self.identity = Identity("graph", url, tenant.lower())

    @property
    def incremental(self) -> bool:
        return True

    async def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        """See `ports.Source.read`."""
        kept, following = Token.read(since, str(self.identity)), Token(str(self.identity))
        if wanted.app is not None:
            async for event in graph_assignments.read(self._wire, wanted.app, self._problems("assignments")):
                yield event
        if wanted.memberships:
            memberships = Memberships(self._wire, self._rounds, self._problems("memberships"), self._allow_empty)
            async for event in memberships.read(kept, following):
                yield event
        asked: dict[Kind, bool] = {"user": wanted.users, "group": wanted.groups}
        for kind in (kind for kind in KINDS if asked[kind]):
            async with aclosing(self._entries(kind, wanted, kept, following)) as events:
                async for event in events:
                    yield event
        yield Watermark(following.text())

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        """See `ports.Source.fetch`. Who is not found is gone where the recycle bin has them.

        Else the replica that answers may not have heard of them yet; of who is deleted for good a round tells.
        """
        how = graph_reading.reading(kind, _names(kind, wanted))
        if not ids or how.unusable or await self._hidden(how):
            return {}
        found = await self._each(how, ids)
        deleted = await self._deleted([one for one, entry in found.items() if _is_not_found(entry)])
        told = {one: entry for one, entry in found.items() if not isinstance(entry, Failed)}
        return {**told, **dict.fromkeys(deleted)}

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        """Sign in, name the permissions that are missing for what is wanted, and read a little of each part."""
        return await graph_connection.test(self._wire, wanted)

    async def close(self) -> None:
        await self._client.aclose()

    async def _entries(self, kind: Kind, wanted: Wanted, kept: Token, following: Token) -> AsyncGenerator[ReadEvent]:
        problems, delta = self._problems(f"{kind}s"), False
        how = graph_reading.reading(kind, _names(kind, wanted))
        try:
            with spooled() as spool:
                if how.unusable:
                    raise Unreadable(f"{', '.join(how.unusable)}: no property of Graph is called so")
                if why := await self._hidden(how):
                    raise Unreadable(why)
                doing = f"reading {kind}s"
                link = kept.link(kind, how.first)
                read = await self._rounds.read(spool, how.first, link, lambda row: row, doing=doing)
                following.keep(kind, how.first, read.link)
                delta, nobody = read.delta, True
                waiting: list[Entry] = []
                async for entries in self._judged(how, read, problems):
                    nobody = False
                    waiting += entries
                    while len(waiting) >= PAGE:
                        yield EntryPage(kind, waiting[:PAGE])
                        waiting = waiting[PAGE:]
                if waiting:
                    yield EntryPage(kind, waiting)
                if nobody and not delta and f"{kind}s" not in self._allow_empty:
                    problems.add(f'there is nobody (where that is right: allow_empty = ["{kind}s"])')
        except Unreadable as unreadable:
            problems.unreadable(unreadable)
        yield problems.end(kind, delta=delta)

    async def _judged(self, how: Reading, read: Round, problems: Problems) -> AsyncGenerator[list[Entry]]:
        """Yield who is there and who is gone; of whom a round says both, or that something changed, is asked for."""
        doubtful: dict[SourceId, tuple[str | None, Attributes]] = {}
        for said in read.by_id():
            entries: list[Entry] = []
            for one, rows in said.items():
                reasons = [graph_reading.removed(row) for row in rows]
                if all(reasons):
                    entries.append(_gone(how.kind, SourceId(one), reasons))
                elif read.delta or any(reasons):
                    named = graph_reading.plain_values(rows) if not any(reasons) else {}
                    doubtful[SourceId(one)] = next(filter(None, reasons), None), named
                else:
                    attributes = how.attributes(graph_reading.merged(rows))
                    entries.append(Entry(how.kind, SourceId(one), attributes))
            if entries:
                yield entries
            while len(doubtful) >= _ASKED_AT_ONCE:
                some = dict(list(doubtful.items())[:_ASKED_AT_ONCE])
                doubtful = {one: said for one, said in doubtful.items() if one not in some}
                yield await self._asked_for(how, some, problems)
        if doubtful:
            yield await self._asked_for(how, doubtful, problems)

    async def _asked_for(
        self, how: Reading, some: Mapping[SourceId, tuple[str | None, Attributes]], problems: Problems
    ) -> list[Entry]:
        entries: list[Entry] = []
        named = {one: values for one, (_, values) in some.items()}
        for one, entry in (await self._each(how, list(some), named)).items():
            said, _ = some[one]
            if _is_not_found(entry):
                entry = None
            if isinstance(entry, Failed):
                problems.unreadable(Unreadable(entry.reason))
            elif entry is not None:
                entries.append(entry)
            elif said is not None:
                entries.append(_gone(how.kind, one, [said]))
            else:
                problems.add(f"a {how.kind} who changed is not found when asked for: the next cycle reads it again")
        return entries

    async def _each(
        self, how: Reading, ids: Sequence[SourceId], named: Mapping[SourceId, Attributes] = _NOTHING
    ) -> dict[SourceId, Entry | Failed | None]:
        """Return each entry as it is now, with the values that are `named` already; None: there is none of this id."""
        found: dict[SourceId, Entry | Failed | None] = {one: None for one in ids if not graph_reading.is_id(one)}
        real = [one for one in dict.fromkeys(ids) if one not in found]
        for some in chunks(real, _ASKED_AT_ONCE):
            paths = [graph_reading.one_path(one, how) for one in some]
            for one, answer in zip(some, await self._wire.each(paths, doing=f"reading a {how.kind}"), strict=True):
                if isinstance(answer, Failed):
                    found[one] = answer
                elif str(answer.get("id")).casefold() != one.casefold():
                    reason = f"reading a {how.kind}: the answer is not the one that was asked for"
                    found[one] = Failed(Fault.NOT_SCIM, reason)
                else:
                    # an id is compared letter by letter: what Graph writes otherwise is known by what it writes
                    is_it = answer.get("id") == one
                    row = {**answer, **named.get(one, {})}
                    found[one] = Entry(how.kind, one, how.attributes(row)) if is_it else None
        return found

    async def _deleted(self, ids: Sequence[SourceId]) -> list[SourceId]:
        """Return those who are in the recycle bin."""
        deleted: list[SourceId] = []
        for some in chunks(ids, _ASKED_AT_ONCE):
            answers = await self._wire.each(list(map(graph_reading.deleted_path, some)), doing="reading who is deleted")
            deleted += [one for one, answer in zip(some, answers, strict=True) if not isinstance(answer, Failed)]
        return deleted

    async def _hidden(self, how: Reading) -> str:
        """Return what our permissions hide of what is asked; empty: nothing, or that cannot be told."""
        needed = [one for one in how.properties if one in graph_reading.NEEDS]
        granted = await graph_connection.granted(self._wire) if needed else None
        for one in needed:
            if granted is not None and granted.isdisjoint(graph_reading.NEEDS[one]):
                permission = graph_reading.NEEDS[one][0]
                return f"{one} is hidden from us: grant the application permission {permission} with admin consent"
        return ""

    def _problems(self, part: str) -> Problems:
        return Problems(f"source {self._name} {part}")


def _is_not_found(entry: Entry | Failed | None) -> bool:
    return isinstance(entry, Failed) and entry.fault is Fault.NOT_FOUND


def _names(kind: Kind, wanted: Wanted) -> frozenset[str]:
    return wanted.user_attributes if kind == "user" else wanted.group_attributes


def _gone(kind: Kind, one: SourceId, reasons: Sequence[str | None]) -> Entry:
    return Entry(kind, one, {}, gone=True, purged="deleted" in reasons)
