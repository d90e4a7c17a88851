"""Reads who is in which group of a tenant, or what changed of that."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote

from reconciler.core.model import SourceId
from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import graph_reading
from reconciler.ports import GroupMembers, MembershipPage, ReadEvent
from reconciler.sources import graph_connection
from reconciler.sources.graph_problems import Problems
from reconciler.sources.graph_round import Rounds, Token
from reconciler.sources.graph_spool import spooled
from reconciler.sources.graph_wire import GraphWire, Unreadable

_FIRST = "/groups/delta?$select=displayName,visibility,members"
_GROUPS_MAX = 1000
_MEMBERS_MAX = 50_000


class Memberships:
    """One reading of them. Direct members only, as Graph lists them; a group may be one."""

    def __init__(self, wire: GraphWire, rounds: Rounds, problems: Problems, allow_empty: frozenset[str]) -> None:
        self._wire, self._rounds, self._problems, self._allow_empty = wire, rounds, problems, allow_empty

    async def read(self, kept: Token, following: Token) -> AsyncGenerator[ReadEvent]:
        delta, nobody = False, True
        try:
            with spooled() as spool:
                link = kept.link("memberships", _FIRST)
                read = await self._rounds.read(spool, _FIRST, link, _short, doing="reading groups and their members")
                following.keep("memberships", _FIRST, read.link)
                delta = read.delta
                page: list[GroupMembers] = []
                weight = 0
                for said in read.by_id():
                    nobody = False
                    groups = [_said(SourceId(one), rows, delta=delta) for one, rows in said.items()]
                    for known in await self._settled(groups):
                        page.append(known)
                        weight += len(known.members) + len(known.removed)
                        if len(page) >= _GROUPS_MAX or weight >= _MEMBERS_MAX:
                            yield MembershipPage(page)
                            page, weight = [], 0
                if page:
                    yield MembershipPage(page)
                if nobody and not delta and "groups" not in self._allow_empty:
                    self._problems.add('there are no groups (where that is right: allow_empty = ["groups"])')
        except Unreadable as unreadable:
            self._problems.unreadable(unreadable)
        yield self._problems.end("memberships", delta=delta)

    async def _settled(self, groups: Sequence[_Said]) -> list[GroupMembers]:
        """Return the groups, those of which a round does not say enough as Graph shows them when it is asked."""
        doubtful = [one.group.group_id for one in groups if one.doubtful]
        paths = [f"/groups/{quote(one, safe='')}?$select=id,displayName" for one in doubtful]
        answers = dict(zip(doubtful, await self._wire.each(paths, doing="reading a group"), strict=True))
        settled: list[GroupMembers] = []
        for group, hidden, _ in groups:
            answer = answers.get(group.group_id)
            match answer:
                case Failed(fault=Fault.NOT_FOUND):
                    group = replace(group, gone=True)
                case Failed() as failure:
                    self._problems.unreadable(Unreadable(failure.reason))
                    continue
                case dict():
                    group = replace(group, gone=False, name=str(answer.get("displayName") or ""))
                case _:
                    pass
            if hidden and not group.gone and not await self._shows_hidden():
                self._problems.add(
                    "a group hides its members from us: grant the application permission Member.Read.Hidden"
                    " with admin consent"
                )
                group = replace(group, members=(), removed=(), partial=True)
            settled.append(group)
        return settled

    async def _shows_hidden(self) -> bool:
        granted = await graph_connection.granted(self._wire)
        return granted is not None and not granted.isdisjoint(graph_reading.READS_HIDDEN_MEMBERS)


class _Said(NamedTuple):
    """What a round says of one group."""

    group: GroupMembers
    hidden: bool
    """Its members are shown to nobody without a permission of its own."""
    doubtful: bool
    """It does not say whether the group is there, or not what it is called."""


def _short(row: dict[str, Any]) -> list[Any]:
    """Return what is kept of a row: name, visibility, why it was removed, who came and who left."""
    return [row.get("displayName"), row.get("visibility"), graph_reading.removed(row), graph_reading.members(row)]


def _said(group_id: SourceId, rows: Sequence[Any], *, delta: bool) -> _Said:
    names = [name for name, _, _, _ in rows if name is not None]
    reasons = [reason for _, _, reason, _ in rows]
    hidden = any(visibility == graph_reading.HIDDEN_MEMBERSHIP for _, visibility, _, _ in rows)
    state: dict[SourceId, bool] = {}
    for _, _, _, moved in rows:
        state.update((SourceId(member), came) for member, came in moved)
    members = [member for member, came in state.items() if came]
    left = [member for member, came in state.items() if not came] if delta else []
    group = GroupMembers(group_id, names[-1] if names else "", members, left, partial=delta, gone=all(reasons))
    return _Said(group, hidden, not all(reasons) and (any(reasons) or not names))
