"""Opens the state's database: its file, its lock, its settings, its revision; and says in a sentence what is wrong."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, PoolProxiedConnection
from sqlalchemy.util import LRUCache

from reconciler.errors import StateError
from reconciler.store.locking import Writer, lock_file, lock_server
from reconciler.store.migrating import SHIPPED, Revisions, check_revision, current_revision, migrate, no_state_yet

BUSY_SECONDS = 10.0
"""How long SQLite waits for a lock: only for a backup or a checkpoint of another program, as there is one writer."""
CACHE_KIB = 16 * 1024
CHECKPOINT_PAGES = 16 * 1024
"""How much is written before the file itself is brought up to date: a batch touches most pages of an index again."""
_dialects: dict[str, Dialect] = {}
_compiled: LRUCache[Any, Any] = LRUCache(1000)


@dataclass(slots=True)
class Database:
    """One open connection, and what has to be let go with it."""

    place: str
    """What messages call it: the path of the file, or the URL without its password."""
    connection: Connection
    lock: int | None = None

    def close(self) -> None:
        self.connection.close()
        self.connection.engine.dispose()
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit at the end, roll back on any error; errors of the database leave as StateError."""
        with sentences(self.place), self.connection.begin():
            yield self.connection


def open_database(url: str, writer: Writer | None, revisions: Revisions = SHIPPED) -> Database:
    """Open the state; with a writer, lock it first and bring it to the newest revision.

    Raises StateLocked where another process writes, and StateError with what to do about everything else.
    """
    scheme, _, place = url.partition("://")
    if scheme == "sqlite":
        # Not read as a URL: a path may hold any character.
        path = place.removeprefix("/")
        if path in ("", ":memory:"):
            return _open_memory(revisions)
        return _open_reading(Path(path), revisions) if writer is None else _open_writing(Path(path), writer, revisions)
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StateError(
            "[state] url cannot be read; it is sqlite:///state.db or postgresql://user@host/name"
        ) from None
    if parsed.get_backend_name() != "postgresql":
        raise StateError(
            f"[state] url: {parsed.get_backend_name()!r} is not supported; use sqlite:/// or postgresql://"
        )
    return _open_server(parsed, writer, revisions)


def copy_state(source: Path, copy: Path) -> None:
    """Copy a SQLite state, also while it is written to; the copy appears under its name when it is whole.

    Raises StateError where there is none, where it is no state, or where the copy cannot be written.
    """
    with sentences(str(source)):
        if not source.exists():
            raise no_state_yet(str(source))
    unfinished = copy.with_name(copy.name + ".unfinished")
    with sentences(str(copy)):
        try:
            unfinished.unlink(missing_ok=True)
            _create(unfinished)
            with closing(_connect(source, "ro")) as reading, closing(_connect(unfinished, "rw")) as writing:
                reading.backup(writing)
            _sync(unfinished)
            unfinished.replace(copy)
            _sync(copy.parent)  # its name is on the disk, too, before anything relies on it
        except sqlite3.Error as error:
            written = str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_FULL", "SQLITE_IOERR"))
            raise StateError(_sentence(str(copy if written else source), error)) from error


@contextmanager
def sentences(place: str) -> Iterator[None]:
    """Turn what the database or the file system objects to into a StateError that says what to do."""
    try:
        yield
    except IntegrityError as error:
        # Its text may hold the values of a row.
        name = getattr(getattr(error.orig, "diag", None), "constraint_name", None) or type(error.orig).__name__
        raise StateError(f"{place}: the state refused a row ({name}); nothing of this step was written") from None
    except DBAPIError as error:
        raise StateError(_sentence(place, error.orig)) from error
    except OSError as error:
        raise StateError(f"{place}: the state cannot be opened or written: {error.strerror}") from error


_SENTENCES = (
    ("SQLITE_FULL", "the disk is full; nothing of this step was written. Make room and start again"),
    (
        "SQLITE_IOERR",
        "the disk does not read or write (full, over a limit, or failing); nothing of this step was written",
    ),
    ("SQLITE_NOTADB", "this file is not a state of reconciler; name another one in [state] url"),
    ("SQLITE_CORRUPT", "the file is damaged; restore a backup (state.db.before-…), or move it away to start anew"),
    ("SQLITE_CANTOPEN", "the file cannot be opened; its directory must exist and be writable for this user"),
    ("SQLITE_READONLY", "the state can be read but not written by this user or command; its file and directory decide"),
    ("SQLITE_BUSY", f"another program has held the file for {BUSY_SECONDS:.0f} s; let it end and start again"),
    ("SQLITE_PERM", "this user may not open the file"),
    ("SQLITE_AUTH", "this user may not open the file"),
)


def _sentence(place: str, error: BaseException | None) -> str:
    code = str(getattr(error, "sqlite_errorname", ""))
    for start, sentence in _SENTENCES:
        if code.startswith(start):
            return f"{place}: {sentence} ({code})"
    diagnosis = getattr(error, "diag", None)
    primary = getattr(diagnosis, "message_primary", None) or str(error).splitlines()[0]
    return f"{place}: the state's database says: {primary}"


# --- SQLite ------------------------------------------------------------------------------------------------------


def _open_writing(path: Path, writer: Writer, revisions: Revisions) -> Database:
    place = str(path)
    with sentences(place):
        if not path.parent.is_dir():
            raise StateError(f"{place}: there is no directory {path.parent}; make it, or name another in [state] url")
    lock = lock_file(path.with_name(path.name + ".lock"), writer)
    try:
        with sentences(place):
            if not path.exists():
                _create(path)
            connection = _connection(lambda: _connect(path, "rw"), "BEGIN IMMEDIATE")
    except BaseException:
        os.close(lock)
        raise
    database = Database(place, connection, lock)
    with _closed_on_error(database), sentences(place):
        for pragma in ("journal_mode = WAL", "synchronous = FULL", f"wal_autocheckpoint = {CHECKPOINT_PAGES}"):
            _pragma(connection, pragma)
        with connection.begin():
            current = current_revision(connection, place)
        check_revision(current, revisions, place, may_migrate=True)
        if current != revisions.head:
            if current is not None:
                copy_state(path, path.with_name(f"{path.name}.before-{revisions.head}"))
            _migrate_sqlite(connection, revisions, place)
        _pragma(connection, "foreign_keys = ON")
    return database


def _open_reading(path: Path, revisions: Revisions) -> Database:
    place = str(path)
    with sentences(place):
        if not path.exists():
            raise no_state_yet(place)
        connection = _connection(lambda: _connect(path, "ro"), "BEGIN")
    database = Database(place, connection)
    with _closed_on_error(database), sentences(place), connection.begin():
        check_revision(current_revision(connection, place), revisions, place, may_migrate=False)
    return database


def _open_memory(revisions: Revisions) -> Database:
    """Open a state that nobody else sees and that ends with its store: for trials."""
    connection = _connection(
        lambda: sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False), "BEGIN IMMEDIATE"
    )
    _migrate_sqlite(connection, revisions, "memory")
    _pragma(connection, "foreign_keys = ON")
    return Database("memory", connection)


def _migrate_sqlite(connection: Connection, revisions: Revisions, place: str) -> None:
    """Migrate in one transaction. Foreign keys rest meanwhile (a table may be made anew) and are checked at the end."""
    _pragma(connection, "foreign_keys = OFF")
    with connection.begin():
        migrate(connection, revisions)
        if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise StateError(f"{place}: the migration to {revisions.head} would lose rows; nothing was changed")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _create(path: Path) -> None:
    """Make an empty file that only its owner reads; SQLite gives its other files the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open without Python's own transactions: it would commit before each statement that makes a table."""
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_SECONDS,
    )


def _connection(connect: Callable[[], sqlite3.Connection], begin: str) -> Connection:
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def settings(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        entry.info["begin"] = begin

    connection = _compiling_once(engine, "sqlite")
    connection.dialect.do_begin = _begin  # type: ignore[method-assign]  # because a listener costs as much as a statement
    return connection


def _begin(dbapi_connection: PoolProxiedConnection) -> None:
    driver = dbapi_connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute(dbapi_connection.info["begin"])


def _pragma(connection: Connection, pragma: str) -> None:
    """Set it outside of any transaction: within one SQLite ignores most of them."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    try:
        driver.execute(f"PRAGMA {pragma}")
    except sqlite3.Error as error:
        raise DBAPIError.instance(f"PRAGMA {pragma}", None, error, sqlite3.Error) from error


# --- PostgreSQL --------------------------------------------------------------------------------------------------


def _open_server(url: URL, writer: Writer | None, revisions: Revisions) -> Database:
    place = url.render_as_string(hide_password=True)
    if find_spec("psycopg") is None:
        raise StateError(f"{place}: needs the PostgreSQL driver; install reconciler[postgresql]")
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"), poolclass=NullPool, hide_parameters=True, paramstyle="format"
    )
    with sentences(place):
        connection = _compiling_once(engine, place)
    database = Database(place, connection)
    with _closed_on_error(database), sentences(place):
        if writer is not None:
            with connection.begin():
                lock_server(connection, place, writer)
        with connection.begin():
            current = current_revision(connection, place)
            check_revision(current, revisions, place, may_migrate=writer is not None)
            if current != revisions.head:
                migrate(connection, revisions)
        if writer is None:
            with connection.begin():
                connection.exec_driver_sql("SET default_transaction_read_only = on")
    return database


# --- both --------------------------------------------------------------------------------------------------------


def _compiling_once(engine: Engine, server: str) -> Connection:
    """Connect so that a statement is compiled once for all that is opened at a server in this process.

    SQLAlchemy compiles for a dialect, and makes one for each engine.
    """
    connection = engine.connect()
    engine.dialect = connection.dialect = _dialects.setdefault(server, connection.dialect)
    return connection.execution_options(compiled_cache=_compiled)


@contextmanager
def _closed_on_error(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise
