"""Reads users, groups and memberships from a database by the queries of its administrator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from itertools import groupby
from typing import Any, Literal
from uuid import UUID

import orjson
from sqlalchemy import URL, Connection

from reconciler.core.met import Keys
from reconciler.core.model import PSEUDO_ATTRIBUTES, Entry, Identity, Kind, SourceId
from reconciler.core.outcomes import Failed, Fault
from reconciler.errors import ConfigError
from reconciler.ports import (
    Clock,
    Diagnosis,
    EntryPage,
    GroupMembers,
    MembershipPage,
    PresentPage,
    ReadEnd,
    ReadEvent,
    Wanted,
    Watermark,
    chunks,
)
from reconciler.sources import sql_values
from reconciler.sources.one_thread import OneThread
from reconciler.sources.sql_queries import PAGE_ROWS, Database, Query, Unusable, apart, columns, scalar, streamed

_NOT_COLUMNS = PSEUDO_ATTRIBUTES | {"objectId"}
_DAY_SECONDS = 86400.0
_PAGE_MEMBERS = 50_000
_FETCHED_AT_ONCE = 500
_NEEDED_OF_MEMBERS = frozenset({"group_id", "member_id"})


@dataclass(frozen=True, slots=True)
class Queries:
    """What an administrator asks the database for, and what the columns mean."""

    users: str | None
    groups: str | None = None
    members: str | None = None
    """Gives group_id and member_id."""
    key: str = "id"
    changed: str | None = None
    """The column that says when a row last changed; None: everybody is read each time."""
    deleted: str | None = None
    """The column that marks rows as deleted; None: what left is found by a sweep of all keys."""
    overlap_seconds: float = 600.0

    def of(self, kind: Kind) -> str | None:
        return self.users if kind == "user" else self.groups


class SqlSource:
    """A database behind SQLAlchemy. One thread of its own works in it; nothing is ever written."""

    def __init__(
        self,
        name: str,
        url: URL,
        queries: Queries,
        *,
        read_password: Callable[[], str] | None = None,
        allow_empty: frozenset[str] = frozenset(),
        timeout_seconds: float = 60.0,
        clock: Clock,
    ) -> None:
        self._name, self._queries, self._allow_empty, self._clock = name, queries, allow_empty, clock
        self._read_password = read_password
        self._database = Database(url, timeout_seconds=timeout_seconds, clock=clock)
        self._thread = OneThread(name)
        self._do = self._thread.do
        place = url.set(drivername=url.get_backend_name(), username=None, password=None, query={})
        self.identity = Identity("sql", place.render_as_string(), queries.key)

    @property
    def incremental(self) -> bool:
        return self._queries.changed is not None

    async def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        """See `ports.Source.read`. All parts see one state of the data; a page of rows is in memory at a time."""
        async with aclosing(self._stream(partial(self._events, wanted, since))) as events:
            async for event in events:
                yield event

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        """See `ports.Source.fetch`."""
        return await self._do(partial(self._fetch, kind, ids, wanted)) if ids else {}

    async def test(self) -> list[Diagnosis]:
        """Sign in, and run each query: one line for each."""
        return await self._do(self._test)

    async def close(self) -> None:
        await self._do(self._database.forget)
        self._thread.end()

    async def _stream(self, begin: Callable[[], Iterator[ReadEvent]]) -> AsyncGenerator[ReadEvent]:
        """Yield what a generator gives, which runs in the thread and is closed there."""
        events = begin()
        try:
            while (event := await self._do(lambda: next(events, None))) is not None:
                yield event
        finally:
            await self._do(partial(_close, events))

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _events(self, wanted: Wanted, since: str | None) -> Iterator[ReadEvent]:
        token = self._token(since)
        parts: list[Literal["memberships", "user", "group"]] = []
        parts += ["memberships"] if wanted.memberships else []
        parts += ["user"] if wanted.users else []
        parts += ["group"] if wanted.groups else []
        done: list[str] = []
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(self._database.reading(self._password()))
                for part in parts:
                    if part == "memberships":
                        yield from self._memberships(connection)
                    else:
                        yield from self._entries(connection, _Part(part, wanted, token))
                    done.append(part)
            except Unusable as unusable:
                # Raised where the connection is made or lost; what was wrong with one query is told at its own part.
                why, fault = f"source {self._name}: {unusable.why}", self._fault(unusable)
                for part in [part for part in parts if part not in done]:
                    yield ReadEnd(part, complete=False, problems=(why,), fault=fault)
        yield Watermark(token.text() if self.incremental else None)

    def _memberships(self, connection: Connection) -> Iterator[ReadEvent]:
        problems = _Problems(f"source {self._name}", self._fault)
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

    def _group_names(self, connection: Connection, problems: _Problems) -> dict[SourceId, str]:
        assert self._queries.groups is not None
        problems.within("groups")
        query, key = Query(self._queries.groups), self._queries.key
        _need(columns(connection, query), {key, "displayName"})
        names: dict[SourceId, str] = {}
        for given, page in streamed(connection, query.all()):
            for row in sql_values.rows(given, page):
                group_id = sql_values.key_of(row[key])
                if group_id is None:
                    problems.add(f"a row has neither text nor a whole number as '{key}'")
                elif not self._is_deleted(row):
                    name = row["displayName"]
                    names[SourceId(group_id)] = name if isinstance(name, str) else ""
        if not names and "groups" not in self._allow_empty:
            problems.add(_no_rows("groups"))
        return names

    def _members(
        self, connection: Connection, names: dict[SourceId, str], problems: _Problems
    ) -> Iterator[MembershipPage]:
        assert self._queries.members is not None
        query, left = Query(self._queries.members), dict(names)
        page: list[GroupMembers] = []
        weight = 0
        problems.within("members")
        _need(columns(connection, query), _NEEDED_OF_MEMBERS)
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
        for empty in chunks(list(left.items()), PAGE_ROWS):
            page += [GroupMembers(group_id, name, ()) for group_id, name in empty]
            yield MembershipPage(page)
            page = []
        if page:
            yield MembershipPage(page)

    def _pairs(self, connection: Connection, query: Query, problems: _Problems) -> Iterator[tuple[SourceId, SourceId]]:
        for given, page in streamed(connection, query.all(order_by="group_id")):
            group, member = given.index("group_id"), given.index("member_id")
            for row in page:
                group_id, member_id = sql_values.key_of(row[group]), sql_values.key_of(row[member])
                if group_id is None or member_id is None:
                    problems.add("a row lacks group_id or member_id")
                else:
                    yield SourceId(group_id), SourceId(member_id)

    def _entries(self, connection: Connection, part: _Part) -> Iterator[ReadEvent]:
        kind = part.kind
        problems = _Problems(f"source {self._name}", self._fault)
        sql = self._queries.of(kind)
        delta = False
        if sql is None:
            problems.add(f"names no query for {kind}s")
        else:
            try:
                problems.within(f"{kind}s")
                with apart(connection):
                    query = Query(sql)
                    have = columns(connection, query)
                    _need(have, self._needed(part))
                    kept = part.token.marks.get(kind) if self._queries.changed in have else None
                    if kept is None:
                        yield from self._all_of(connection, query, part, problems)
                    else:
                        yield from self._changed_of(connection, query, part, kept, problems)
                        delta = self._queries.deleted is not None
            except Unusable as unusable:
                problems.unusable(unusable)
        yield problems.end(kind, delta=delta)

    def _all_of(self, connection: Connection, query: Query, part: _Part, problems: _Problems) -> Iterator[ReadEvent]:
        keys, any_rows = Keys(), False
        for given, page in streamed(connection, query.all()):
            any_rows = True
            if entries := self._judged(part, given, page, keys, problems):
                yield EntryPage(part.kind, entries)
        if not any_rows and f"{part.kind}s" not in self._allow_empty:
            problems.add(_no_rows(f"{part.kind}s"))

    def _changed_of(
        self, connection: Connection, query: Query, part: _Part, kept: sql_values.Mark, problems: _Problems
    ) -> Iterator[ReadEvent]:
        """Give what changed; then, where no column marks deleted rows, the keys of all that are there."""
        changed, keys = self._queries.changed, Keys()
        assert changed is not None
        sample = scalar(connection, query.first(changed))
        since = sql_values.since(kept, type(sample) if sample is not None else str, self._queries.overlap_seconds)
        for given, page in streamed(connection, query.since(changed, since)):
            if entries := self._judged(part, given, page, keys, problems):
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

    def _judged(
        self, part: _Part, given: Sequence[str], page: Sequence[Sequence[Any]], keys: Keys, problems: _Problems
    ) -> list[Entry]:
        """Return the entries of a page whose key nobody had before, and move the mark."""
        raw = [row[given.index(self._queries.key)] for row in page]
        ids = [sql_values.key_of(value) or "" for value in raw]
        if not all(ids):
            problems.add(f"a row has neither text nor a whole number as '{self._queries.key}'")
        repeated = set(keys.add(ids))
        if any(ids[position] for position in repeated):
            problems.add(f"two rows have the same '{self._queries.key}'; the first is used. Does a JOIN double rows?")
        if self._queries.changed in given:
            self._note_changes(part, [row[given.index(self._queries.changed)] for row in page], problems)
        return [
            Entry(part.kind, SourceId(one), row, gone=self._is_deleted(row))
            for position, (one, row) in enumerate(zip(ids, sql_values.rows(given, page), strict=True))
            if one and position not in repeated
        ]

    def _note_changes(self, part: _Part, values: Sequence[Any], problems: _Problems) -> None:
        if not all(map(sql_values.is_moment, values)):
            problems.add(f"'{self._queries.changed}' is neither a time nor seconds since 1970")
        part.token.note(part.kind, sql_values.newest(values, self._clock.now() + _DAY_SECONDS))

    def _is_deleted(self, row: Mapping[str, Any]) -> bool:
        return self._queries.deleted is not None and sql_values.is_set(row.get(self._queries.deleted))

    def _needed(self, part: _Part) -> Set[str]:
        """Return the columns that a query must have: what rules read, the key, and what tells changes of users."""
        needed = (part.names - _NOT_COLUMNS) | {self._queries.key}
        if part.kind == "user":
            needed |= {name for name in (self._queries.changed, self._queries.deleted) if name is not None}
        return needed

    def _fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> dict[SourceId, Entry | None]:
        sql, key = self._queries.of(kind), self._queries.key
        found: dict[SourceId, Entry | None] = {}
        if sql is None:
            return found
        part = _Part(kind, wanted, _Token(""))
        try:
            with self._database.reading(self._password()) as connection:
                query = Query(sql)
                _need(columns(connection, query), self._needed(part))
                sample = scalar(connection, query.first(key))
                for some in chunks(ids, _FETCHED_AT_ONCE):
                    problems, rows = _Problems("", self._fault), dict[SourceId, Entry | None]()
                    values, as_text = _as_stored(some, sample)
                    for given, page in streamed(connection, query.among(key, values, as_text=as_text)):
                        rows.update((entry.id, entry) for entry in self._judged(part, given, page, Keys(), problems))
                    found.update({one: rows.get(one) for one in some})
        except Unusable:
            pass  # left out of the answer: not known
        return {one: None if entry is not None and entry.gone else entry for one, entry in found.items()}

    def _test(self) -> list[Diagnosis]:
        lines = []
        try:
            with self._database.reading(self._password()) as connection:
                lines.append(Diagnosis("database", True, f"{self.identity.place}: signed in, reading only"))
                for part, sql in (("users", self._queries.users), ("groups", self._queries.groups)):
                    if sql is not None:
                        lines.append(self._tested(connection, part, Query(sql), self._of_test(part)))
                if self._queries.members is not None:
                    query = Query(self._queries.members)
                    lines.append(self._tested(connection, "members", query, _NEEDED_OF_MEMBERS))
        except Unusable as unusable:
            text, fault = f"{self.identity.place}: {unusable.why}", self._fault(unusable)
            lines.append(Diagnosis("database", False, text, fault=fault))
        return lines

    def _fault(self, unusable: Unusable) -> Failed | None:
        """Return what stands against the database as a whole."""
        if unusable.fault is None:
            return None
        return Failed(unusable.fault, unusable.why, request=f"connect {self.identity.place}")

    def _of_test(self, part: str) -> Set[str]:
        kind: Kind = "user" if part == "users" else "group"
        return self._needed(_Part(kind, Wanted(frozenset(), frozenset({"displayName"})), _Token("")))

    def _tested(self, connection: Connection, part: str, query: Query, needed: Set[str]) -> Diagnosis:
        where = f"[sources.{self._name}] {part}"
        try:
            with apart(connection):
                have = columns(connection, query)
                _need(have, needed)
                count = scalar(connection, query.count())
        except Unusable as unusable:
            return Diagnosis(part, False, f"{where} {unusable.why}", "nobody is taken for absent because of it")
        return Diagnosis(part, True, f"{where}: {count:,} rows with {', '.join(have)}")

    def _password(self) -> str | None:
        if self._read_password is None:
            return None
        try:
            return self._read_password()
        except ConfigError as error:
            raise Unusable(f"the password cannot be read: {error}", Fault.UNAUTHORIZED) from None

    def _token(self, since: str | None) -> _Token:
        """Return the marks of a watermark; none where it belongs to another database or to other queries."""
        of = (self.identity.place, self.identity.key, self._queries.users, self._queries.groups, self._queries.changed)
        about = orjson.dumps(of)
        fresh = _Token(blake2b(about, digest_size=8).hexdigest())
        try:
            kept = orjson.loads(since) if since is not None else None
        except orjson.JSONDecodeError:
            kept = None
        if isinstance(kept, dict) and kept.get("of") == fresh.of and isinstance(kept.get("marks"), dict):
            marks = {kind: mark for kind, mark in kept["marks"].items() if kind in ("user", "group")}
            return replace(fresh, marks=marks)
        return fresh


@dataclass(frozen=True, slots=True)
class _Token:
    """The watermark: how far each kind was read."""

    of: str
    marks: dict[str, sql_values.Mark] = field(default_factory=dict)
    newest: dict[str, Any] = field(default_factory=dict)

    def note(self, kind: Kind, value: Any) -> None:
        before = self.newest.get(kind)
        if value is not None and (before is None or value > before):
            self.newest[kind] = value

    def text(self) -> str:
        seen = {kind: mark for kind, value in self.newest.items() if (mark := sql_values.mark(value)) is not None}
        return orjson.dumps({"of": self.of, "marks": {**self.marks, **seen}}).decode()


@dataclass(frozen=True, slots=True)
class _Part:
    """Users or groups of one reading."""

    kind: Kind
    wanted: Wanted
    token: _Token

    @property
    def names(self) -> frozenset[str]:
        return self.wanted.user_attributes if self.kind == "user" else self.wanted.group_attributes


class _Problems:
    """Why the reading of one part is incomplete, each told once, with the query that it is about."""

    def __init__(self, where: str, fault_of: Callable[[Unusable], Failed | None]) -> None:
        self._where, self._query, self._fault_of = where, "", fault_of
        self._found: dict[str, None] = {}
        self._fault: Failed | None = None

    def within(self, query: str) -> None:
        """Let what is added from now on be about this query."""
        self._query = f" {query}"

    def add(self, why: str) -> None:
        self._found[f"{self._where}{self._query}: {why}"] = None

    def unusable(self, unusable: Unusable) -> None:
        self.add(unusable.why)
        self._fault = self._fault or self._fault_of(unusable)

    def end(self, part: Literal["memberships", "user", "group"], *, delta: bool = False) -> ReadEnd:
        return ReadEnd(part, complete=not self._found, problems=tuple(self._found), delta=delta, fault=self._fault)


def _need(have: Sequence[str], needed: Set[str]) -> None:
    by_folded = {name.casefold(): name for name in have}
    missing = [
        f"'{name}'" + (f" (there is '{near}': quote the name)" if (near := by_folded.get(name.casefold())) else "")
        for name in sorted(needed - set(have))
    ]
    if missing:
        raise Unusable(f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; nothing of it is used")


def _no_rows(what: str) -> str:
    return f'has no rows (where that is right: allow_empty = ["{what}"])'


def _as_stored(ids: Sequence[SourceId], sample: Any) -> tuple[list[Any], bool]:
    """Return ids in the type of the key's column, so that its index can be used; else as text, to be compared so."""
    if isinstance(sample, bool) or not isinstance(sample, str | int | UUID):
        return list(ids), True
    if isinstance(sample, str):
        return list(ids), False
    values: list[Any] = []
    for one in ids:
        try:
            values.append(int(one) if isinstance(sample, int) else UUID(one))
        except ValueError:
            continue  # no row can have it
    return values, False


def _close(events: Iterator[ReadEvent]) -> None:
    if hasattr(events, "close"):
        events.close()
