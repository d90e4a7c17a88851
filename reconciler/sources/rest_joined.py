"""Keeps the lists that hang on the entries of a REST source, by what joins them, until the entries come."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self

import anyio.lowlevel
import orjson

from reconciler.dialects.rest import Unreadable
from reconciler.sources.temporary import room

_CACHE_KIB = 16 * 1024
_AT_ONCE = 5000


class Joined:
    """Items by list and key, in the order in which they came. On disk: two million employments stay small.

    To be used in a `with`. Raises Unreadable where there is no room.
    """

    __slots__ = ("_count", "_database", "filled")

    def __init__(self) -> None:
        # An empty name is SQLite's own temporary file, which goes with the connection.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._count = 0
        self.filled: set[str] = set()
        """The lists of which there is anything."""

    def __enter__(self) -> Self:
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._database.execute(
            "CREATE TABLE items (list TEXT, key TEXT, n INTEGER, body BLOB, PRIMARY KEY (list, key, n)) WITHOUT ROWID"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, name: str, items: Iterable[tuple[str, Any]]) -> None:
        """Add items of a list by their keys."""
        rows = [(name, key, self._count + n, orjson.dumps(item)) for n, (key, item) in enumerate(items)]
        self._count += len(rows)
        self.filled.update([name] if rows else ())
        with room(Unreadable):
            self._database.execute("BEGIN")
            self._database.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", rows)
            self._database.execute("COMMIT")

    def among(self, name: str, keys: Collection[str]) -> Mapping[str, list[Any]]:
        """Return the items of a list that have one of these keys."""
        found: dict[str, list[Any]] = {}
        asked = orjson.dumps(list(keys)).decode()
        query = "SELECT key, body FROM items WHERE list = ? AND key IN (SELECT value FROM json_each(?)) ORDER BY key, n"
        with room(Unreadable):
            for key, body in self._database.execute(query, (name, asked)):
                found.setdefault(key, []).append(orjson.loads(body))
        return found

    async def digest(self) -> str:
        """Return what is the same when each list says the same of each key; others may work in between."""
        digest = blake2b(digest_size=8)
        with room(Unreadable):
            rows = self._database.execute("SELECT list, key, body FROM items ORDER BY list, key, n")
        while some := self._next(rows):
            for name, key, body in some:
                digest.update(orjson.dumps([name, key, len(body)]) + body)
            await anyio.lowlevel.checkpoint()
        return digest.hexdigest()

    @staticmethod
    def _next(rows: sqlite3.Cursor) -> list[tuple[str, str, bytes]]:
        with room(Unreadable):
            return rows.fetchmany(_AT_ONCE)
