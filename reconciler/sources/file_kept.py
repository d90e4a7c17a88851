"""Keeps what change files have said so far: the last row of everybody, and when it changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from reconciler.core.model import Kind, SourceId

_WAIT_SECONDS = 60.0
_PAGE_ROWS = 1000
_ASKED_AT_ONCE = 500
_FORM = 2
_TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  kind TEXT, id TEXT, change INTEGER NOT NULL, row BLOB, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_change ON entries (kind, change);
CREATE TABLE IF NOT EXISTS columns (kind TEXT, name TEXT, PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, version TEXT, digest BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (change INTEGER PRIMARY KEY, name TEXT, first INTEGER, last INTEGER, late TEXT);
INSERT OR IGNORE INTO facts VALUES ('of', lower(hex(randomblob(8)))), ('change', 0);
PRAGMA user_version = 2;
COMMIT;
"""


class Row(NamedTuple):
    """The last row of somebody; None: the source said that they are gone."""

    id: SourceId
    attributes: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Applied:
    """A file that was applied: what it looked like then, and a hash of what was in it."""

    version: str
    digest: bytes


class Kept:
    """One SQLite file. Every method is for one thread at a time; raises sqlite3.Error where the disk does not do."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    def begin(self) -> Writing:
        """Take changes in: until `commit` nobody sees them. Waits for others who do."""
        if self._database is None:
            self._database = self._connect()
        self._database.execute("BEGIN IMMEDIATE")
        return Writing(self._database)

    def look(self) -> Reading:
        """Return one state of it, whoever writes meanwhile; to be closed."""
        database = self._connect()
        database.execute("BEGIN")
        return Reading(database)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        database = sqlite3.connect(self._path, _WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if database.execute("PRAGMA user_version").fetchone()[0] < _FORM:
                database.execute("PRAGMA journal_mode=WAL")
                database.executescript(_TABLES)
            database.execute("PRAGMA synchronous=FULL")
        except BaseException:
            database.close()
            raise
        return database


class Reading:
    """What was kept when the reading began."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def close(self) -> None:
        self._database.close()

    @property
    def of(self) -> str:
        """What tells this file from any other that was ever made."""
        return str(_fact(self._database, "of"))

    @property
    def change(self) -> int:
        """The number of the last change."""
        return int(_fact(self._database, "change"))

    def columns(self, kind: Kind) -> frozenset[str]:
        return _columns(self._database, kind)

    def any(self, kind: Kind) -> bool:
        """Whether there is anybody who is not gone."""
        asked = "SELECT EXISTS (SELECT 1 FROM entries WHERE kind = ? AND row IS NOT NULL)"
        return bool(self._database.execute(asked, (kind,)).fetchone()[0])

    def count(self, kind: Kind) -> int:
        """Return how many there are who are not gone; all of them are looked at for it."""
        asked = "SELECT count(*) FROM entries WHERE kind = ? AND row IS NOT NULL"
        return int(self._database.execute(asked, (kind,)).fetchone()[0])

    def everybody(self, kind: Kind) -> Iterator[list[Row]]:
        """Yield pages of all who are not gone."""
        asked = "SELECT id, row FROM entries WHERE kind = ? AND row IS NOT NULL ORDER BY id"
        return _paged(self._database.execute(asked, (kind,)))

    def since(self, kind: Kind, change: int) -> Iterator[list[Row]]:
        """Yield pages of those who changed after a change."""
        return _paged(
            self._database.execute("SELECT id, row FROM entries WHERE kind = ? AND change > ?", (kind, change))
        )

    def late(self, change: int) -> list[str]:
        """Return what is to be told of change files that were applied after a change, and came late."""
        asked = "SELECT late FROM changes WHERE change > ? AND late != '' ORDER BY change"
        return [why for (why,) in self._database.execute(asked, (change,))]

    def applied(self, path: Path) -> Applied | None:
        return _applied(self._database, path)

    def among(self, kind: Kind, ids: Sequence[SourceId]) -> dict[SourceId, Row]:
        """Return those of whom anything was ever said."""
        found: dict[SourceId, Row] = {}
        for start in range(0, len(ids), _ASKED_AT_ONCE):
            some = ids[start : start + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(some))
            asked = f"SELECT id, row FROM entries WHERE kind = ? AND id IN ({marks})"  # noqa: S608  # marks alone
            for page in _paged(self._database.execute(asked, (kind, *some))):
                found.update((row.id, row) for row in page)
        return found


class Writing:
    """Changes on their way in. Each file has a number, and whoever changes by it has that number from then on."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._change = int(_fact(database, "change"))

    @property
    def change(self) -> int:
        """The number of the last change so far."""
        return self._change

    def commit(self) -> None:
        self._database.execute("COMMIT")

    def roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def begin_file(self) -> None:
        """Begin to apply one file: as a whole, or with `undo_file` not at all."""
        self._database.execute("SAVEPOINT file")
        self._change += 1

    def keep_file(self) -> None:
        _set_fact(self._database, "change", self._change)
        self._database.execute("RELEASE file")

    def undo_file(self) -> None:
        self._change -= 1
        if self._database.in_transaction:
            self._database.execute("ROLLBACK TO file")
            self._database.execute("RELEASE file")

    def put(self, kind: Kind, rows: Iterable[tuple[SourceId, Mapping[str, Any]]]) -> None:
        """Keep rows; who has just this row already does not change."""
        self._database.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET row = excluded.row,"
            " change = excluded.change WHERE row IS NOT excluded.row",
            [(kind, one, self._change, orjson.dumps(row, option=orjson.OPT_SORT_KEYS)) for one, row in rows],
        )

    def drop(self, kind: Kind, ids: Iterable[SourceId]) -> None:
        """Keep that they are gone; nothing where nobody has heard of them."""
        self._database.executemany(
            "UPDATE entries SET row = NULL, change = ? WHERE kind = ? AND id = ? AND row IS NOT NULL",
            [(self._change, kind, one) for one in ids],
        )

    def forget_met(self) -> None:
        """Begin a snapshot."""
        self._database.execute("CREATE TEMP TABLE IF NOT EXISTS met (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("DELETE FROM temp.met")

    def meet(self, ids: Iterable[SourceId]) -> None:
        """Take note of who is in a snapshot."""
        self._database.executemany("INSERT OR IGNORE INTO temp.met VALUES (?)", [(one,) for one in ids])

    def drop_unmet(self, kind: Kind) -> None:
        """Keep of all whom a whole snapshot does not have that they are gone."""
        self._database.execute(
            "UPDATE entries SET row = NULL, change = ?"
            " WHERE kind = ? AND row IS NOT NULL AND id NOT IN (SELECT id FROM temp.met)",
            (self._change, kind),
        )

    def columns(self, kind: Kind) -> frozenset[str]:
        return _columns(self._database, kind)

    def add_columns(self, kind: Kind, names: Iterable[str]) -> None:
        rows = [(kind, name) for name in names]
        self._database.executemany("INSERT OR IGNORE INTO columns VALUES (?, ?)", rows)

    def replace_columns(self, kind: Kind, names: Iterable[str]) -> None:
        self._database.execute("DELETE FROM columns WHERE kind = ?", (kind,))
        self.add_columns(kind, names)

    @property
    def sequence(self) -> int | None:
        """The highest sequence number that was applied."""
        value = _fact(self._database, "sequence")
        return None if value is None else int(value)

    @sequence.setter
    def sequence(self, value: int) -> None:
        _set_fact(self._database, "sequence", value)

    def applied(self, path: Path) -> Applied | None:
        return _applied(self._database, path)

    def brought(self, first: int, last: int) -> list[tuple[int, int]]:
        """Return the first and the last number of each change file that brought any between these two."""
        asked = "SELECT first, last FROM changes WHERE last >= ? AND first <= ?"
        return self._database.execute(asked, (first, last)).fetchall()

    def last_said_by(self, kind: Kind, ids: Sequence[SourceId]) -> set[str]:
        """Return the names of the change files by which any of these became as they are."""
        asked = (
            "SELECT DISTINCT name FROM changes JOIN entries USING (change)"
            " WHERE kind = ? AND id IN (SELECT value FROM json_each(?))"
        )
        return {name for (name,) in self._database.execute(asked, (kind, orjson.dumps(ids).decode()))}

    @property
    def highest(self) -> str:
        """The name of the last change file in the order of names; empty before the first."""
        return str(_fact(self._database, "highest") or "")

    def note_changes(self, name: str, span: tuple[int, int] | None, *, highest: str, late: str) -> None:
        """Keep the name of the change file that is being applied, its first and last number, and what is to be told."""
        first, last = span or (None, None)
        row = (self._change, name, first, last, late)
        self._database.execute("INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?, ?)", row)
        _set_fact(self._database, "highest", highest)

    def note(self, path: Path, applied: Applied) -> None:
        """Keep that a file was applied."""
        rows = (str(path), applied.version, applied.digest)
        self._database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)


def _applied(database: sqlite3.Connection, path: Path) -> Applied | None:
    found = database.execute("SELECT version, digest FROM files WHERE path = ?", (str(path),)).fetchone()
    return None if found is None else Applied(*found)


def _fact(database: sqlite3.Connection, name: str) -> Any:
    found = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if found is None else found[0]


def _set_fact(database: sqlite3.Connection, name: str, value: object) -> None:
    database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def _columns(database: sqlite3.Connection, kind: Kind) -> frozenset[str]:
    return frozenset(name for (name,) in database.execute("SELECT name FROM columns WHERE kind = ?", (kind,)))


def _paged(cursor: sqlite3.Cursor) -> Iterator[list[Row]]:
    while rows := cursor.fetchmany(_PAGE_ROWS):
        yield [Row(SourceId(one), None if row is None else orjson.loads(row)) for one, row in rows]
