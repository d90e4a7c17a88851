"""Keeps what the parts of a joined source said last, on disk: who is who, and what changed since which reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import orjson

from reconciler.core.model import SourceId

_FORM = "2"
_CACHE_KIB = 24 * 1024
_PAGE = 1000
Part = Literal["user", "group", "members"]

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (side INTEGER, part TEXT, id TEXT, key TEXT, body BLOB, turn INTEGER, shown INTEGER, gone INTEGER,
  PRIMARY KEY (side, part, id)) WITHOUT ROWID;
CREATE INDEX by_key ON rows (key, side) WHERE key IS NOT NULL;
CREATE INDEX by_turn ON rows (turn, part);
CREATE INDEX by_leaving ON rows (turn, part) WHERE gone > 0;
CREATE TABLE touched (key TEXT, turn INTEGER, PRIMARY KEY (key, turn)) WITHOUT ROWID;
CREATE TABLE named (side INTEGER, id TEXT, by_key TEXT, PRIMARY KEY (side, id, by_key)) WITHOUT ROWID;
"""
# gone: 0 it is there, 1 its source said that it was deleted, 2 a whole reading did not show it
# Queries say which index they use: without statistics SQLite prefers the primary key, and looks at everybody.


class Row(NamedTuple):
    """An entry of one part. `body` None: its source says that it was deleted."""

    id: SourceId
    key: str | None
    body: bytes | None
    names: Sequence[str] = ()
    """The entries of the same part that it refers to."""


class Found(NamedTuple):
    """Who stands behind a key in one part."""

    id: SourceId
    body: bytes
    entries: int
    """How many there are."""


@dataclass(frozen=True, slots=True)
class Since:
    """From which turn on changes count; everything where `turn` is -1."""

    turn: int


EVERYTHING = Since(-1)


class Copy:
    """One file, used from one thread; without a path a temporary one that nobody finds again."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.kept = False
        """Whether the next process finds what is written here."""
        self._turn, self._first = 0, False
        self._db: sqlite3.Connection | None = None

    # --- open and close ------------------------------------------------------------------------------------------

    def open(self, definition: str, anew: bool) -> bool:
        """Open the copy; return whether it holds what an earlier reading of this definition wrote.

        One that another process uses is left alone, and without `anew` one of another definition: a temporary copy is
        worked on then.
        """
        self.close()
        if self.path is not None:
            try:
                if self._opened(str(self.path), definition):
                    return True
                if anew:
                    self._anew(definition)
                    return False
                self.close()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                self.close()
            except sqlite3.DatabaseError:
                self._anew(definition)
                return False
        self._connect("")
        self._make(definition)
        return False

    def close(self) -> None:
        database, self._db = self._db, None
        if database is not None:
            database.close()

    def _opened(self, place: str, definition: str) -> bool:
        self._connect(place)
        self.kept = True
        known = self._used.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0]
        return bool(known) and self.noted("definition") == f"{_FORM} {definition}"

    def _anew(self, definition: str) -> None:
        assert self.path is not None
        self.close()
        for name in (self.path, *(self.path.with_name(self.path.name + end) for end in ("-wal", "-shm", "-journal"))):
            name.unlink(missing_ok=True)
        self._connect(str(self.path))
        self.kept = True
        self._make(definition)

    def _connect(self, place: str) -> None:
        if place:
            Path(place).touch(mode=0o600)
        self._db = sqlite3.connect(place, timeout=0.0, isolation_level=None, check_same_thread=False)
        self.kept = False
        run = self._db.execute
        run(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if place:
            run("PRAGMA locking_mode = EXCLUSIVE")
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = NORMAL")
            run("BEGIN EXCLUSIVE")
            run("COMMIT")
        else:
            run("PRAGMA journal_mode = OFF")
            run("PRAGMA synchronous = OFF")

    def _make(self, definition: str) -> None:
        self._used.executescript(f"BEGIN; {_TABLES} COMMIT;")
        self.note({"definition": f"{_FORM} {definition}", "instance": uuid4().hex, "turn": "0", "floor": "0"})

    @property
    def _used(self) -> sqlite3.Connection:
        assert self._db is not None
        return self._db

    # --- what is noted -------------------------------------------------------------------------------------------

    def note(self, values: Mapping[str, str]) -> None:
        """Write down facts by name."""
        self._used.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(values.items()))

    def noted(self, name: str) -> str:
        found = self._used.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found is not None else ""

    def token(self) -> str:
        """Return what names this copy as it is now."""
        return f"{self.noted('instance')}:{self._turn}"

    def since(self, token: str) -> Since | None:
        """Return from where a token's reader has to read on; None where that is not known here."""
        instance, _, turn = token.rpartition(":")
        if instance != self.noted("instance") or not (turn.isascii() and turn.isdigit()):
            return None
        return Since(int(turn)) if int(self.noted("floor")) <= int(turn) <= int(self.noted("turn")) else None

    def begin(self) -> None:
        """Begin a turn: what changes from now on carries its number."""
        # Who reads what the first turn brings reads all of it: nobody has to be told what it touched.
        self._first = self.noted("turn") == "0"
        self._turn = int(self.noted("turn")) + 1
        self.note({"turn": str(self._turn)})

    def forget(self, since: Since) -> None:
        """Drop what nobody asks for any more whose reader has come to `since`."""
        for statement in (
            "DELETE FROM touched WHERE turn <= ?",
            "DELETE FROM rows INDEXED BY by_leaving WHERE gone > 0 AND turn <= ?",
        ):
            self._used.execute(statement, (since.turn,))
        self.note({"floor": str(since.turn)})

    # --- what a part shows ---------------------------------------------------------------------------------------

    def take(self, side: int, part: Part, rows: Sequence[Row]) -> int:
        """Take in what a part shows; return how many were not so before."""
        with self._transaction():
            before = self._before(side, part, [row.id for row in rows])
            changed: list[Row] = []
            for row in rows:
                was = before.get(row.id)
                if was is None and row.body is None:
                    continue
                if was is None or was[0] != row.key or was[1] != row.body or bool(was[2]) != (row.body is None):
                    changed.append(row)
            self._used.executemany(
                "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (side, part, row.id, row.key, row.body, self._turn, self._turn, int(row.body is None))
                    for row in changed
                ],
            )
            self._show(side, part, [row.id for row in rows])
            if part == "user":
                keys = {row.key for row in changed} | {before[row.id][0] for row in changed if row.id in before}
                self._touch(side, keys)
                self._used.executemany(
                    "INSERT OR IGNORE INTO named VALUES (?, ?, ?)",
                    [(side, name, row.key) for row in changed if row.key is not None for name in row.names],
                )
        return len(changed)

    def show(self, side: int, part: Part, ids: Sequence[SourceId]) -> list[SourceId]:
        """Note that these are there; return those of whom nothing is known."""
        with self._transaction():
            self._show(side, part, ids)
            known = self._before(side, part, ids)
        return [id_ for id_ in ids if id_ not in known or known[id_][2]]

    def sweep(self, side: int, part: Part) -> int:
        """Take for gone whom this turn did not show, after it showed everybody; return how many."""
        gone = 0
        while True:
            with self._transaction():
                rows = self._used.execute(
                    "SELECT id, key FROM rows WHERE side = ? AND part = ? AND gone = 0 AND shown < ? LIMIT ?",
                    (side, part, self._turn, _PAGE),
                ).fetchall()
                self._used.executemany(
                    "UPDATE rows SET gone = 2, turn = ?, shown = ? WHERE side = ? AND part = ? AND id = ?",
                    [(self._turn, self._turn, side, part, id_) for id_, _ in rows],
                )
                if part == "user":
                    self._touch(side, {key for _, key in rows})
            gone += len(rows)
            if len(rows) < _PAGE:
                return gone

    def members(self, id_: SourceId) -> bytes | None:
        """Return what is known of a group's members."""
        found = self._before(0, "members", [id_]).get(id_)
        return None if found is None or found[2] else found[1]

    def _before(self, side: int, part: Part, ids: Sequence[str]) -> dict[str, tuple[str | None, bytes | None, int]]:
        found = self._used.execute(
            "SELECT id, key, body, gone FROM rows"
            " WHERE side = ? AND part = ? AND id IN (SELECT value FROM json_each(?))",
            (side, part, _listed(ids)),
        )
        return {id_: (key, body, gone) for id_, key, body, gone in found}

    def _show(self, side: int, part: Part, ids: Sequence[str]) -> None:
        self._used.execute(
            "UPDATE rows SET shown = ? WHERE side = ? AND part = ? AND shown < ? AND gone = 0"
            " AND id IN (SELECT value FROM json_each(?))",
            (self._turn, side, part, self._turn, _listed(ids)),
        )

    def _touch(self, side: int, keys: Iterable[str | None]) -> None:
        """Note that whoever has these keys is another one now, and whoever refers to them refers to another one."""
        if self._first:
            return
        touched = [(key, self._turn) for key in keys if key is not None]
        self._used.executemany("INSERT OR IGNORE INTO touched VALUES (?, ?)", touched)
        self._used.execute(
            "INSERT OR IGNORE INTO touched SELECT named.by_key, ?1 FROM rows INDEXED BY by_key CROSS JOIN named"
            " ON named.side = rows.side AND named.id = rows.id"
            " WHERE rows.key IN (SELECT value FROM json_each(?2)) AND rows.part = 'user' AND rows.side > 0",
            (self._turn, _listed([key for key, _ in touched])),
        )

    def _transaction(self) -> _Transaction:
        return _Transaction(self._used)

    # --- what is asked -------------------------------------------------------------------------------------------

    def changed(self, part: Part, since: Since) -> Iterator[list[tuple[SourceId, str | None, bytes]]]:
        """Yield pages of what is there of the first part; of users those too whose key a change elsewhere touched."""
        after, of, by = "", "rows", "rows.id"
        if since is not EVERYTHING:
            of, by = "affected CROSS JOIN rows ON rows.id = affected.id", "affected.id"
            self._used.execute("DROP TABLE IF EXISTS temp.affected")
            self._used.execute("CREATE TEMP TABLE affected (id TEXT PRIMARY KEY) WITHOUT ROWID")
            for reached in (
                "SELECT id FROM rows INDEXED BY by_turn WHERE turn > ? AND part = ? AND side = 0",
                "SELECT rows.id FROM touched CROSS JOIN rows INDEXED BY by_key ON rows.key = touched.key"
                " WHERE touched.turn > ? AND rows.part = ? AND rows.side = 0",
            ):
                self._used.execute(f"INSERT OR IGNORE INTO affected {reached}", (since.turn, part))
        there = "rows.side = 0 AND rows.part = ? AND rows.gone = 0"
        beyond = f"{there} AND {by} > ? ORDER BY {by} LIMIT {_PAGE}"
        query = f"SELECT rows.id, key, body FROM {of} WHERE {beyond}"  # noqa: S608  # each part of it is written here
        while True:
            page = self._used.execute(query, (part, after)).fetchall()
            if page:
                yield page
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def gone(self, part: Part, since: Since) -> tuple[list[SourceId], bool]:
        """Return who was said to be deleted, and whether somebody just is not there any more."""
        if since is EVERYTHING:
            return [], False
        rows = self._used.execute(
            "SELECT id, gone FROM rows INDEXED BY by_leaving"
            " WHERE side = 0 AND part = ? AND gone > 0 AND turn > ? ORDER BY id",
            (part, since.turn),
        ).fetchall()
        return [id_ for id_, how in rows if how == 1], any(how == 2 for _, how in rows)

    def with_ids(self, ids: Sequence[SourceId]) -> list[tuple[SourceId, str | None, bytes]]:
        """Return those of the first part who are there."""
        return self._used.execute(
            "SELECT id, key, body FROM rows WHERE side = 0 AND part = 'user' AND gone = 0"
            " AND id IN (SELECT value FROM json_each(?))",
            (_listed(ids),),
        ).fetchall()

    def with_keys(self, side: int, keys: Sequence[str]) -> Mapping[str, Found]:
        """Return who stands behind each key in one part: of several the one with the lowest id."""
        found = self._used.execute(
            "SELECT key, min(id), body, count(*) FROM rows INDEXED BY by_key"
            " WHERE side = ? AND part = 'user' AND gone = 0 AND key IN (SELECT value FROM json_each(?)) GROUP BY key",
            (side, _listed(keys)),
        )
        return {key: Found(id_, body, count) for key, id_, body, count in found}

    def in_first(self, side: int, ids: Sequence[str]) -> Mapping[str, SourceId]:
        """Return what the first part calls those whom another part calls by these ids."""
        return dict(
            self._used.execute(
                "SELECT other.id, min(first.id) FROM rows AS other"
                " CROSS JOIN rows AS first INDEXED BY by_key ON first.key = other.key"
                " AND first.side = 0 AND first.part = 'user' AND first.gone = 0"
                " WHERE other.side = ? AND other.part = 'user' AND other.gone = 0"
                " AND other.id IN (SELECT value FROM json_each(?)) GROUP BY other.id",
                (side, _listed(ids)),
            ).fetchall()
        )

    def present(self, part: Part, needed: Sequence[int]) -> Iterator[list[SourceId]]:
        """Yield the ids of the first part's entries that are there, with a partner in each of the `needed` parts."""
        after, query = "", "SELECT id FROM rows WHERE side = 0 AND part = ? AND gone = 0 AND id > ?"
        for _ in needed:
            query += (
                " AND EXISTS (SELECT 1 FROM rows AS other INDEXED BY by_key"
                " WHERE other.key = rows.key AND other.part = 'user'"
                " AND other.gone = 0 AND other.side = ?)"
            )
        while True:
            page = self._used.execute(f"{query} ORDER BY id LIMIT {_PAGE}", (part, after, *needed)).fetchall()
            if page:
                yield [SourceId(id_) for (id_,) in page]
            if len(page) < _PAGE:
                return
            after = page[-1][0]


class _Transaction:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self._database.execute("COMMIT")
        elif self._database.in_transaction:  # a full disk has rolled it back already
            self._database.execute("ROLLBACK")


def _listed(values: Iterable[str]) -> str:
    return orjson.dumps(list(values)).decode()
