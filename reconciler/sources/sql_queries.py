"""Runs the queries of an administrator in a database: read only, bounded in time, page by page."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Select,
    String,
    bindparam,
    cast,
    column,
    create_engine,
    event,
    func,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import NullType

from reconciler.core.outcomes import Fault
from reconciler.ports import Clock
from reconciler.sources.temporary import room, temporary_file

PAGE_ROWS = 1000
_STREAMED = {"stream_results": True, "yield_per": PAGE_ROWS}
_COLON = re.compile(r"(?<![:\w\\]):(?=\w)")
_IDLE_SECONDS_MAX = 86_400
"""How long a connection may wait for us between two queries: what the first one gave is worked on meanwhile."""
_STEPS_BETWEEN_LOOKS = 100_000
"""How many of its own instructions SQLite runs between two looks at the clock."""


class Unusable(Exception):
    """The database did not do what was asked; `why` continues a sentence that begins with the query's name.

    `fault`: the database as a whole cannot be worked with.
    """

    def __init__(self, why: str, fault: Fault | None = None) -> None:
        self.why, self.fault = why, fault
        super().__init__(why)


class Database:
    """A database that is only read. To be used from one thread; each transaction has a connection of its own."""

    def __init__(self, url: URL, *, timeout_seconds: float, clock: Clock) -> None:
        self.url, self._timeout_seconds, self._clock = url, timeout_seconds, clock
        self._engine: Engine | None = None
        self._until = 0.0
        """When the statement that runs now has taken too long, where the database itself does not look."""

    @property
    def backend(self) -> str:
        return self.url.get_backend_name()

    @contextmanager
    def reading(self, password: str | None) -> Iterator[Connection]:
        """Open a transaction that cannot write and sees one state of the data where the database has that."""
        with _said():
            engine = self._engine or self._create(password)
            with engine.connect() as connection:
                for statement in self._first():
                    connection.exec_driver_sql(statement)
                try:
                    yield connection
                finally:
                    connection.rollback()

    def forget(self) -> None:
        """Sign in anew the next time."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _create(self, password: str | None) -> Engine:
        url = self.url if password is None else self.url.set(password=password)
        options: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
        if self.backend == "sqlite":
            # A path that is not there must not become an empty database; PRAGMA query_only stands in _first.
            url = url.set(database=f"file:{quote(url.database or '')}", query={"mode": "ro", "uri": "true"})
        elif self.backend == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "connect_args": {"connect_timeout": 10}}
        engine = create_engine(url, **options)
        if self.backend == "postgresql":
            engine = engine.execution_options(postgresql_readonly=True)
        if self.backend == "sqlite":
            event.listen(engine, "connect", self._bound_sqlite)
            event.listen(engine, "before_cursor_execute", self._begin_to_count)
        self._engine = engine
        return engine

    def _bound_sqlite(self, connection: Any, _record: Any) -> None:
        def look() -> int:
            return int(self._clock.monotonic() > self._until)

        connection.set_progress_handler(look, _STEPS_BETWEEN_LOOKS)

    def _begin_to_count(self, *_: Any) -> None:
        self._until = self._clock.monotonic() + self._timeout_seconds

    def _first(self) -> Sequence[str]:
        milliseconds = int(self._timeout_seconds * 1000)
        if self.backend == "sqlite":
            return ("PRAGMA query_only = ON",)
        if self.backend == "postgresql":
            return (
                f"SET LOCAL statement_timeout = {milliseconds}",
                "SET LOCAL idle_in_transaction_session_timeout = 0",
            )
        if self.backend == "mariadb" or (self.backend == "mysql" and self.url.drivername.startswith("mariadb")):
            limit = f"max_statement_time = {self._timeout_seconds:g}"
            return (f"SET SESSION {limit}, wait_timeout = {_IDLE_SECONDS_MAX}", "START TRANSACTION READ ONLY")
        if self.backend == "mysql":
            limit = f"max_execution_time = {milliseconds}"
            return (f"SET SESSION {limit}, wait_timeout = {_IDLE_SECONDS_MAX}", "START TRANSACTION READ ONLY")
        return ()


@dataclass(frozen=True, slots=True)
class Query:
    """What an administrator wrote; it is always the inner part of a SELECT of ours, so it can change nothing."""

    sql: str

    def all(self, *, order_by: str = "") -> Select[Any]:
        wanted = self._select(literal_column("*"))
        return wanted.order_by(column(order_by)) if order_by else wanted

    def none(self) -> Select[Any]:
        """Return the query without rows: what columns it has."""
        return self._select(literal_column("*")).where(literal_column("1") == literal_column("0"))

    def first(self, name: str) -> Select[Any]:
        return self._select(column(name)).where(column(name).is_not(None)).limit(1)

    def only(self, name: str) -> Select[Any]:
        return self._select(column(name))

    def count(self) -> Select[Any]:
        return self._select(func.count())

    def since(self, name: str, value: Any) -> Select[Any]:
        """Return rows that changed since then, with those that do not say when."""
        given = bindparam(None, value, type_=NullType())
        return self.all().where(or_(column(name) >= given, column(name).is_(None)))

    def among(self, name: str, values: Sequence[Any], *, as_text: bool) -> Select[Any]:
        found: ColumnElement[Any] = column(name)
        if as_text:
            found = cast(column(name), String)
        return self.all().where(found.in_(bindparam(None, list(values), type_=NullType(), expanding=True)))

    def _select(self, what: Any) -> Select[Any]:
        # A colon before a word would be a parameter of ours.
        return select(what).select_from(text(f"({_COLON.sub(chr(92) + ':', self.sql)}\n) AS given"))


def streamed(connection: Connection, statement: Select[Any]) -> Iterator[tuple[Sequence[str], Sequence[Sequence[Any]]]]:
    """Yield names of columns and pages of rows.

    A cursor of the server gives them all before the first is yielded: however long somebody works on a page (a target
    that is slow is asked about everybody on it), no limit of time runs meanwhile, and no server waits.
    """
    count = 0
    with temporary_file(Unusable) as file:
        with _said(), connection.execute(statement, execution_options=_STREAMED) as result:
            names = tuple(result.keys())
            for page in result.partitions(PAGE_ROWS):
                with room(Unusable):
                    file.write(_written(page))
                count += 1
        with room(Unusable):
            file.seek(0)
        for _ in range(count):
            with room(Unusable):
                rows: list[tuple[Any, ...]] = pickle.load(file)  # noqa: S301  # nobody else can write there
            yield names, rows


def _written(page: Sequence[Sequence[Any]]) -> bytes:
    rows = list(map(tuple, page))
    try:
        return pickle.dumps(rows)
    except TypeError:  # some drivers give views of memory, which cannot be written
        plain = [tuple(bytes(one) if isinstance(one, memoryview) else one for one in row) for row in rows]
        return pickle.dumps(plain)


@contextmanager
def apart(connection: Connection) -> Iterator[None]:
    """Let a query that fails in here leave the transaction as it was, for the next one."""
    with _said():
        if connection.dialect.name != "postgresql":
            yield
            return
        point = connection.begin_nested()
        try:
            yield
        finally:
            point.rollback()


def columns(connection: Connection, query: Query) -> tuple[str, ...]:
    with _said():
        return tuple(connection.execute(query.none()).keys())


def scalar(connection: Connection, statement: Select[Any]) -> Any:
    with _said():
        return connection.execute(statement).scalar()


@contextmanager
def _said() -> Iterator[None]:
    """Turn what the database objects to into Unusable."""
    try:
        yield
    except DBAPIError as error:
        raise _unusable(error) from None
    except NoSuchModuleError:
        raise Unusable("cannot be read: no such kind of database is known; is the url right?") from None
    except SQLAlchemyError as error:
        raise Unusable(f"cannot be read: {type(error).__name__}") from None
    except ModuleNotFoundError as error:
        raise Unusable(f"cannot be read: its driver {error.name} is not installed (docs/sources/sql.md)") from None


_CLASSES = {
    "08": "there is no connection",
    "28": "the database refused our sign-in: are user and password right?",
    "3D": "there is no database of this name",
    "42501": "we have no right to read this: GRANT SELECT to the user of the url",
    "57014": "the database took longer than timeout allows",
    "25006": "writes, and sources are only read",
    "53300": "the database has no connection left for us",
}
_FAULTS = {
    "08": Fault.UNREACHABLE,
    "28": Fault.UNAUTHORIZED,
    "3D": Fault.NOT_FOUND,
    "53300": Fault.THROTTLED,
    "57P": Fault.UNREACHABLE,
    "SQLITE_CANTOPEN": Fault.UNREACHABLE,
    "SQLITE_NOTADB": Fault.NOT_SCIM,
}
"""What stands against a database as a whole, by the state that it names."""
_SAID = {
    "28": re.compile("FATAL.*(?:authenti|password|pg_hba|role )|no password supplied", re.I),
    "3D": re.compile("FATAL.*database .* does not exist", re.I),
}
"""How PostgreSQL's library tells that a server was there and did not let us in."""
_MYSQL = {
    1040: "53300",
    1044: "28",
    1045: "28",
    1049: "3D",
    1142: "42501",
    1792: "25006",
    1969: "57014",
    2002: "08",
    2003: "08",
    2006: "08",
    2013: "08",
    3024: "57014",
}


def _unusable(error: DBAPIError) -> Unusable:
    """Say what is wrong; never more of the database's own words than the part about the query's text."""
    cause = error.orig
    state = str(getattr(cause, "sqlstate", None) or "")
    code = cause.args[0] if cause is not None and cause.args and isinstance(cause.args[0], int) else 0
    state = state or _MYSQL.get(code, "") or str(getattr(cause, "sqlite_errorname", ""))
    words = str(cause).strip().splitlines()[0] if cause is not None and str(cause).strip() else ""
    if not state and type(cause).__name__ == "OperationalError" and code == 0:
        # a connection that was not made has no state, and tells in words alone whether the server was there
        state = next((state for state, said in _SAID.items() if said.search(words)), "08")
    fault = _FAULTS.get(state) or _FAULTS.get(state[:3]) or _FAULTS.get(state[:2])
    known = _CLASSES.get(state) or _CLASSES.get(state[:2])
    if known:
        return Unusable(f"{known}: {words}" if words and state in ("08", "28") else known, fault)
    if "interrupted" in words:
        return Unusable(_CLASSES["57014"])
    if state.startswith("42") or code in (1054, 1064, 1146) or _is_of_sqlite(cause):
        return Unusable(f"the database does not take it: {words}", fault)
    return Unusable(f"the database stopped with {state or code or type(cause).__name__}", fault)


def _is_of_sqlite(cause: BaseException | None) -> bool:
    return type(cause).__module__ == "sqlite3" and type(cause).__name__ in (
        "OperationalError",
        "DatabaseError",
        "ProgrammingError",
    )
