"""Reads users, groups and memberships from a database by the queries of its administrator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, aclosing
from functools import partial
from typing import Literal

from sqlalchemy import URL, Connection

from reconciler.core.model import Entry, Identity, Kind, SourceId
from reconciler.core.outcomes import Failed, Fault
from reconciler.errors import ConfigError
from reconciler.ports import Clock, Diagnosis, ReadEnd, ReadEvent, Wanted, Watermark
from reconciler.sources.one_thread import OneThread
from reconciler.sources.sql_fetching import fetched
from reconciler.sources.sql_part import NEEDED_OF_MEMBERS, Part, Queries, Token, need
from reconciler.sources.sql_queries import Database, Query, Unusable, apart, columns, scalar
from reconciler.sources.sql_reading import Reading

_DAY_SECONDS = 86400.0


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
        self._name, self._queries, self._clock = name, queries, clock
        self._read_password, self._allow_empty = read_password, allow_empty
        self._database = Database(url, timeout_seconds=timeout_seconds, clock=clock)
        self._reading = Reading(name, queries, allow_empty=allow_empty, fault_of=self._fault)
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

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        """Sign in, look whether each query has the columns that are wanted, and run it: one line for each."""
        return await self._do(partial(self._test, wanted))

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
                        yield from self._reading.memberships(connection)
                    else:
                        yield from self._reading.entries(connection, Part(self._queries, part, wanted, token))
                    done.append(part)
            except Unusable as unusable:
                # Raised where the connection is made or lost; what was wrong with one query is told at its own part.
                why, fault = f"source {self._name}: {unusable.why}", self._fault(unusable)
                for part in [part for part in parts if part not in done]:
                    yield ReadEnd(part, complete=False, problems=(why,), fault=fault)
        yield Watermark(token.text() if self.incremental else None)

    def _fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> dict[SourceId, Entry | None]:
        part = Part(self._queries, kind, wanted, self._token(None))
        try:
            with self._database.reading(self._password()) as connection:
                return fetched(connection, part, ids, may_be_empty=f"{kind}s" in self._allow_empty)
        except Unusable:
            return {}  # left out of the answer: not known

    def _test(self, wanted: Wanted) -> list[Diagnosis]:
        lines = []
        try:
            with self._database.reading(self._password()) as connection:
                lines.append(Diagnosis("database", True, f"{self.identity.place}: signed in, reading only"))
                of = self._queries
                for part, sql in (("users", of.users), ("groups", of.groups), ("members", of.members)):
                    if sql is not None:
                        lines.append(self._tested(connection, part, Query(sql), self._needed(part, wanted)))
        except Unusable as unusable:
            text, fault = f"{self.identity.place}: {unusable.why}", self._fault(unusable)
            lines.append(Diagnosis("database", False, text, fault=fault))
        return lines

    def _fault(self, unusable: Unusable) -> Failed | None:
        """Return what stands against the database as a whole."""
        if unusable.fault is None:
            return None
        return Failed(unusable.fault, unusable.why, request=f"connect {self.identity.place}")

    def _needed(self, part: str, wanted: Wanted) -> Set[str]:
        """Return the columns that a query must have for a reading of what is wanted."""
        if part == "members":
            return NEEDED_OF_MEMBERS if wanted.memberships else frozenset()
        kind: Kind = "user" if part == "users" else "group"
        needed = Part(self._queries, kind, wanted, self._token(None)).needed
        return needed | {"displayName"} if kind == "group" and wanted.memberships else needed

    def _tested(self, connection: Connection, part: str, query: Query, needed: Set[str]) -> Diagnosis:
        where = f"[sources.{self._name}] {part}"
        try:
            with apart(connection):
                have = columns(connection, query)
                need(have, needed)
                count = scalar(connection, query.count())
        except Unusable as unusable:
            return Diagnosis(part, False, f"{where}: {unusable.why}", "nobody is taken for absent because of it")
        return Diagnosis(part, True, f"{where}: {count:,} rows with {', '.join(have)}")

    def _password(self) -> str | None:
        if self._read_password is None:
            return None
        try:
            return self._read_password()
        except ConfigError as error:
            raise Unusable(f"the password cannot be read: {error}", Fault.UNAUTHORIZED) from None

    def _token(self, since: str | None) -> Token:
        return Token.read(since, self.identity.place, self._queries, self._clock.now() + _DAY_SECONDS)


def _close(events: Iterator[ReadEvent]) -> None:
    if hasattr(events, "close"):
        events.close()
