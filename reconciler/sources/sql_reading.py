"""Reads lists of a database whole, or what changed of them since the last good reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from reconciler.core.met import Keys
from reconciler.core.model import SourceId
from reconciler.core.outcomes import Failed
from reconciler.ports import EntryPage, GroupMembers, MembershipPage, PresentPage, ReadEvent, chunks
from reconciler.sources import sql_values
from reconciler.sources.sql_part import NEEDED_OF_MEMBERS, Part, Problems, Queries, need
from reconciler.sources.sql_queries import PAGE_ROWS, Query, Unusable, apart, columns, scalar, streamed

_PAGE_MEMBERS = 50_000


class Reading:
    """Reads through one connection after the other; keeps nothing between two parts."""

    def __init__(
        self,
        name: str,
        queries: Queries,
        *,
        allow_empty: frozenset[str],
        fault_of: Callable[[Unusable], Failed | None],
    ) -> None:
        """`fault_of` says what an objection means for the database as a whole."""
        self._name, self._queries, self._allow_empty, self._fault_of = name, queries, allow_empty, fault_of

    def memberships(self, connection: Connection) -> Iterator[ReadEvent]:
        """Yield the members of every group."""
        problems = Problems(f"source {self._name}", self._fault_of)
        if self._queries.groups is None or self._queries.members is None:
            problems.add(f"names no query for {'groups' if self._queries.groups is None else 'members'}")
            yield problems.end("memberships")
            return
        try:
            with apart(connection):
                names = self._group_names(connection, problems)
                yield from self._members(connection, names, problems)
        except Unusable as unusable:
            problems.unusable(unusable)
        yield problems.end("memberships")

    def _group_names(self, connection: Connection, problems: Problems) -> dict[SourceId, str]:
        assert self._queries.groups is not None
        problems.within("groups")
        query, key = Query(self._queries.groups), self._queries.key
        need(columns(connection, query), {key, "displayName"})
        names: dict[SourceId, str] = {}
        for given, page in streamed(connection, query.all()):
            for row in sql_values.rows(given, page):
                group_id = sql_values.key_of(row[key])
                if group_id is None:
                    problems.add(f"a row has neither text nor a whole number as '{key}'")
                elif not self._queries.is_deleted(row):
                    name = row["displayName"]
                    names[SourceId(group_id)] = name if isinstance(name, str) else ""
        if not names and "groups" not in self._allow_empty:
            problems.add(_no_rows("groups"))
        return names

    def _members(
        self, connection: Connection, names: dict[SourceId, str], problems: Problems
    ) -> Iterator[MembershipPage]:
        assert self._queries.members is not None
        query, left = Query(self._queries.members), dict(names)
        page: list[GroupMembers] = []
        weight = 0
        problems.within("members")
        need(columns(connection, query), NEEDED_OF_MEMBERS)
        for group_id, pairs in groupby(self._pairs(connection, query, problems), key=lambda pair: pair[0]):
            members = list(dict.fromkeys(member for _, member in pairs))
            name = left.pop(group_id, None)
            if name is None:
                if group_id in names:
                    problems.add("a group comes twice: does its id differ from another's in letter case alone?")
                continue
            page.append(GroupMembers(group_id, name, members))
            weight += len(members)
            if len(page) >= PAGE_ROWS or weight >= _PAGE_MEMBERS:
                yield MembershipPage(page)
                page, weight = [], 0
        if (
            names
            and len(left) == len(names)
            and "members" not in self._allow_empty
            and self._has_none(connection, query)
        ):
            problems.add(_no_rows("members"))
            return
        for empty in chunks(list(left.items()), PAGE_ROWS):
            page += [GroupMembers(group_id, name, ()) for group_id, name in empty]
            yield MembershipPage(page)
            page = []
        if page:
            yield MembershipPage(page)

    @staticmethod
    def _has_none(connection: Connection, query: Query) -> bool:
        """Whether a query gives no rows at all, as one of a table that is being filled anew."""
        return not scalar(connection, query.count())

    def _pairs(self, connection: Connection, query: Query, problems: Problems) -> Iterator[tuple[SourceId, SourceId]]:
        for given, page in streamed(connection, query.all(order_by="group_id")):
            group, member = given.index("group_id"), given.index("member_id")
            for row in page:
                group_id, member_id = sql_values.key_of(row[group]), sql_values.key_of(row[member])
                if group_id is None or member_id is None:
                    problems.add("a row lacks group_id or member_id")
                else:
                    yield SourceId(group_id), SourceId(member_id)

    def entries(self, connection: Connection, part: Part) -> Iterator[ReadEvent]:
        """Yield everybody of a part, or what changed since its watermark."""
        kind = part.kind
        problems = Problems(f"source {self._name}", self._fault_of)
        sql = part.sql
        delta = False
        if sql is None:
            problems.add(f"names no query for {kind}s")
        else:
            try:
                problems.within(f"{kind}s")
                with apart(connection):
                    query = Query(sql)
                    have = columns(connection, query)
                    need(have, part.needed)
                    since = self._since(connection, query, part, have)
                    if since is None:
                        yield from self._all_of(connection, query, part, problems)
                    else:
                        yield from self._changed_of(connection, query, part, since, problems)
                        delta = self._queries.deleted is not None
            except Unusable as unusable:
                problems.unusable(unusable)
        yield problems.end(kind, delta=delta)

    def _all_of(self, connection: Connection, query: Query, part: Part, problems: Problems) -> Iterator[ReadEvent]:
        keys, any_rows = Keys(), False
        for given, page in streamed(connection, query.all()):
            any_rows = True
            if entries := part.entries(given, page, keys, problems):
                yield EntryPage(part.kind, entries)
        if not any_rows and f"{part.kind}s" not in self._allow_empty:
            problems.add(_no_rows(f"{part.kind}s"))

    def _since(self, connection: Connection, query: Query, part: Part, have: Sequence[str]) -> Any:
        """Return what rows must be newer than, in the type of their column; None where everybody is to be read."""
        changed, kept = self._queries.changed, part.token.marks.get(part.kind)
        if changed is None or changed not in have or kept is None:
            return None
        sample = scalar(connection, query.first(changed))
        like = type(sample) if sample is not None else type(kept)
        return sql_values.since(kept, like, self._queries.overlap_seconds) if sql_values.fits(kept, like) else None

    def _changed_of(
        self, connection: Connection, query: Query, part: Part, since: Any, problems: Problems
    ) -> Iterator[ReadEvent]:
        """Give what changed; then, where no column marks deleted rows, the keys of all that are there."""
        changed, keys = self._queries.changed, Keys()
        assert changed is not None
        for given, page in streamed(connection, query.since(changed, since)):
            if entries := part.entries(given, page, keys, problems):
                yield EntryPage(part.kind, entries)
        if self._queries.deleted is None:
            any_rows = False
            for _, page in streamed(connection, query.only(self._queries.key)):
                any_rows = True
                ids = [SourceId(one) for row in page if (one := sql_values.key_of(row[0])) is not None]
                if len(ids) < len(page):
                    problems.add(f"a row has neither text nor a whole number as '{self._queries.key}'")
                yield PresentPage(part.kind, ids)
            if not any_rows and f"{part.kind}s" not in self._allow_empty:
                problems.add(_no_rows(f"{part.kind}s"))


def _no_rows(what: str) -> str:
    return f'has no rows (where that is right: allow_empty = ["{what}"])'
