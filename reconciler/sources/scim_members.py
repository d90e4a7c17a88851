"""Reads who is in which group of a SCIM server, from wherever the server shows it.

Servers show a group's members in the list of groups, or only with the group itself, or not at all: then the users'
own `groups` say it (RFC 7643 §4.1.2). A group without members has no `members` at all, and so has one whose members
are not shown: only where the members of some group were seen is such a group known to be empty.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from itertools import groupby
from typing import Any, Literal

from reconciler.core import paths
from reconciler.core.met import Keys
from reconciler.core.model import SourceId
from reconciler.dialects.identifiers import id_in
from reconciler.ports import GroupMembers, MembershipPage, chunks
from reconciler.sources.scim_server import PAGE_MEMBERS, Problems, Row, Selection, Server, Unreadable, filtered
from reconciler.sources.scim_shape import projection
from reconciler.sources.scim_token import Mark, MembersFrom, Token
from reconciler.sources.temporary import room

PAGE_GROUPS = 1000
_PAGE_WEIGHT = 50_000
_SAMPLES = 5
"""So many members are looked for among the users, until one is found."""
_members = paths.reader("members", reference=False)
_groups = paths.reader("groups", reference=False)
_value = paths.reader("value")
_type = paths.reader("type")
_SHOWN = ("displayName", "members", "meta")


class Members:
    """The memberships of one reading."""

    def __init__(
        self,
        server: Server,
        token: Token,
        problems: Problems,
        *,
        members_from: Literal["auto"] | MembersFrom,
        members_max: int | None,
        may_be_none: bool,
        now: float,
    ) -> None:
        """`may_be_none`: that no member of any group is seen means that there are none."""
        self._server, self._token, self._problems = server, token, problems
        self._from: MembersFrom | None = None if members_from == "auto" else members_from
        self._members_max, self._may_be_none, self._now = members_max, may_be_none, now
        self._none_shown: dict[SourceId, str] = {}
        self._cut: dict[SourceId, str] = {}
        """Groups that show as many members as the server ever shows."""
        self._is_any_shown = False
        self._is_any_found = False
        self._groups = Keys()
        self._samples: dict[SourceId, None] = {}
        self.any_groups = False

    async def everybody(self) -> AsyncGenerator[MembershipPage]:
        """Yield the members of all groups. Raises Unreadable."""
        async with aclosing(self._listed("")) as pages:
            async for page in pages:
                yield page
                self._sample(page)
        async for page in self._of_those_without():
            yield page
            self._sample(page)
        await self._check_samples()
        if self._cut:
            async for page in self._from_users(self._cut):
                yield page
        if self._from is not None and self._none_shown and not (self._is_any_shown or self._is_any_found):
            self._note_none()

    async def changed(self, mark: Mark, since: str, *, sweep: bool) -> AsyncGenerator[MembershipPage]:
        """Yield the members of the groups that changed, and of the others that they are there. Raises Unreadable."""
        self._from = self._token.members_from
        self._is_any_shown = True
        met: set[str] = set()
        async with aclosing(self._listed(since)) as pages:
            async for page in pages:
                met.update(group.group_id for group in page.groups)
                yield page
        met.update(self._none_shown)
        met.update(self._cut)
        async for page in self._of_those_without():
            yield page
        if self._cut:
            async for page in self._from_users(self._cut):
                yield page
        if sweep:
            async for rows in self._server.named("group", self._problems, "displayName"):
                self.any_groups = self.any_groups or bool(rows)
                others = [row for row in rows if str(row["id"]) not in met]
                if others:
                    yield MembershipPage(
                        [
                            GroupMembers(SourceId(str(row["id"])), _name(row), (), partial=True, unchanged=True)
                            for row in others
                        ]
                    )

    def _note_none(self) -> None:
        if not self._may_be_none:
            self._problems.add(
                "no group shows members, and no user groups: whether there are none is not known"
                ' (where there are none: allow_empty = ["members"])'
            )

    def _sample(self, page: MembershipPage) -> None:
        self._is_any_found = self._is_any_found or any(group.members for group in page.groups)
        for group in page.groups if len(self._samples) < _SAMPLES else ():
            self._samples.update(dict.fromkeys(group.members[:1]))

    async def _check_samples(self) -> None:
        """Note where members are named by something else than their ids: nobody would seem to be in any group."""
        samples = [one for one in self._samples if one not in self._groups]
        for source_id in samples[:_SAMPLES]:
            if await self._server.one("user", source_id, projection(["id"])) is not None:
                return
        if samples:
            self._problems.add("the members that groups show are no ids of users: who is in them is not known")

    async def _listed(self, since: str) -> AsyncGenerator[MembershipPage]:
        """Yield the groups that show members in the list; the others are kept for later."""
        alone = self._from in ("each", "users")
        selection = Selection("memberships", projection(_SHOWN[::2] if alone else _SHOWN), _nameless)
        pages = self._server.rows(
            "group",
            self._problems,
            doing="listing groups with members",
            selection=selection,
            query=since,
            size=None if alone else PAGE_MEMBERS,
        )
        async with aclosing(pages):
            async for rows in pages:
                self.any_groups = True
                self._groups.add([str(row["id"]) for row in rows])
                self._token.note("memberships", rows, self._now)
                shown: list[GroupMembers] = []
                for row in rows:
                    group_id, members = SourceId(str(row["id"])), None if alone else self._ids_in(row)
                    if members is None:
                        self._none_shown[group_id] = _name(row)
                    elif self._members_max is not None and len(members) >= self._members_max:
                        self._cut[group_id] = _name(row)
                    else:
                        shown.append(GroupMembers(group_id, _name(row), members))
                    self._is_any_shown = self._is_any_shown or bool(members)
                for page in _pages(shown):
                    yield page

    async def _of_those_without(self) -> AsyncGenerator[MembershipPage]:
        """Yield the groups that showed no members in the list, as what they are."""
        source = self._from or ("list" if self._is_any_shown or not self._none_shown else None)
        if source is None:
            # Nobody's members were in the list: is it the list that does not show them?
            source = await self._shown_alone() or ("users" if await self._users_show_groups() else None)
        if source is None and not self._may_be_none:
            self._note_none()
            return
        if self._from is None:
            self._token.members_from = source
        if source == "each":
            async for page in self._one_by_one(self._none_shown):
                yield page
        elif source == "users":
            async for page in self._from_users(self._none_shown):
                yield page
        else:
            for page in _pages(GroupMembers(group_id, name, ()) for group_id, name in self._none_shown.items()):
                yield page

    async def _shown_alone(self) -> Literal["each"] | None:
        for some in chunks(list(self._none_shown), PAGE_GROUPS):
            async for found in self._server.several("group", some):
                for _, row in found:
                    if isinstance(row, Unreadable):
                        raise row
                    if row is not None and self._ids_in(row):
                        return "each"
        return None

    def _ids_in(self, row: Mapping[str, Any]) -> list[SourceId] | None:
        """Return the members that a group shows, each once; None where it shows none."""
        shown = _members(row)
        if not isinstance(shown, list):
            if not shown:
                return None
            shown = [shown]  # some write a list of one without the list
        ids = dict.fromkeys(id_in(_value(one) if isinstance(one, dict) else one) for one in shown)
        if None in ids:
            self._problems.add("a group shows a member without an id: who is in it is not known")
        return [SourceId(one) for one in ids if one is not None]

    async def _one_by_one(self, names: Mapping[SourceId, str]) -> AsyncGenerator[MembershipPage]:
        async for found in self._server.several("group", list(names)):
            given = []
            for group_id, row in found:
                if isinstance(row, Unreadable):
                    self._problems.ended_by(row)
                elif row is not None:
                    members = self._ids_in(row) or ()
                    if self._members_max is not None and len(members) >= self._members_max:
                        self._cut[group_id] = names[group_id]
                    else:
                        given.append(GroupMembers(group_id, names[group_id], members))
            for page in _pages(given):
                yield page

    async def _users_show_groups(self) -> bool:
        async with aclosing(self._users_with_groups()) as pages:
            async for rows in pages:
                if any(_groups(row) for row in rows):
                    return True
        return False

    async def _from_users(self, names: Mapping[SourceId, str]) -> AsyncGenerator[MembershipPage]:
        """Yield the members of groups as the users themselves show them."""
        with closing(_Pairs()) as pairs:
            async with aclosing(self._users_with_groups()) as pages:
                async for rows in pages:
                    pairs.add(
                        (group_id, SourceId(str(row["id"])))
                        for row in rows
                        for group_id in _direct(row)
                        if group_id in names
                    )
            left = dict(names)
            for page in _pages(GroupMembers(one, left.pop(one), members) for one, members in pairs.by_group()):
                yield page
            if left and names is self._cut:
                self._problems.add(f"{len(left)} groups show no more than {self._members_max} members, nor do users")
                return
            for page in _pages(GroupMembers(group_id, name, ()) for group_id, name in left.items()):
                yield page

    def _users_with_groups(self) -> AsyncGenerator[list[Row]]:
        return self._server.rows("user", self._problems, doing="listing users' groups", query=projection(["groups"]))


class _Pairs:
    """Who is in which group, kept on disk: two million memberships stay small. Unreadable where there is no room."""

    def __init__(self) -> None:
        # An empty name is SQLite's own temporary file, which goes with the connection.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute("CREATE TABLE pairs (group_id TEXT, member TEXT)")
        self._database.execute("BEGIN")

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        with room(Unreadable):
            self._database.executemany("INSERT INTO pairs VALUES (?, ?)", pairs)

    def by_group(self) -> Iterator[tuple[SourceId, list[SourceId]]]:
        with room(Unreadable):
            rows = self._database.execute("SELECT DISTINCT group_id, member FROM pairs ORDER BY group_id, member")
            for group_id, of_group in groupby(rows, key=lambda row: row[0]):
                yield SourceId(group_id), [SourceId(member) for _, member in of_group]

    def close(self) -> None:
        self._database.close()


def changed_since(moment: str) -> str:
    """Return the parameter that asks for what changed at this moment or later."""
    return filtered(f'meta.lastModified ge "{moment}"')


def _nameless(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [] if any(_name(row) for row in rows) else ["displayName"]


_display_name = paths.reader("displayName")


def _name(row: Mapping[str, Any]) -> str:
    name = _display_name(row)
    return name if isinstance(name, str) else ""


def _direct(row: Mapping[str, Any]) -> list[SourceId]:
    shown = _groups(row)
    elements = [one for one in shown if isinstance(one, dict)] if isinstance(shown, list) else []
    direct = (one for one in elements if str(_type(one) or "direct").lower() != "indirect")
    return [SourceId(str(value)) for one in direct if (value := _value(one))]


def _pages(groups: Iterable[GroupMembers]) -> Iterator[MembershipPage]:
    page: list[GroupMembers] = []
    weight = 0
    for group in groups:
        page.append(group)
        weight += len(group.members)
        if len(page) >= PAGE_GROUPS or weight >= _PAGE_WEIGHT:
            yield MembershipPage(page)
            page, weight = [], 0
    if page:
        yield MembershipPage(page)
