"""Knows the entries of a directory by their names: DN → anchor."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import ldap.dn

from reconciler.core.model import SourceId

_PLAIN = re.compile(r'[^\\"+#;<>\s](?:[^\\"+#;<>\s]|(?<![,=\s]) (?![,=\s]|$))*')
_CACHE_KIB = 32 * 1024


def canonical(dn: str) -> str | None:
    """Return a DN so that equal names are equal texts (letter case, spaces, escapes); None where it is no DN."""
    if _PLAIN.fullmatch(dn):
        return dn.casefold()
    try:
        parts = ldap.dn.str2dn(dn)
    except ldap.DECODING_ERROR:
        return None
    return ",".join(
        "+".join(sorted(f"{name}={ldap.dn.escape_dn_chars(' '.join(value.split()))}" for name, value, _ in part))
        for part in parts
    ).casefold()


def is_below(dn: str, base: str) -> bool:
    """Return whether an entry is the base or below it; both canonical."""
    return not base or dn == base or dn.endswith(f",{base}")


class Names:
    """Which anchor each name has, of the entries that a reading has shown. Kept on disk: two million stay small."""

    def __init__(self) -> None:
        # An empty name is SQLite's own temporary file, which goes with the connection.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._database.execute("CREATE TABLE names (key BLOB PRIMARY KEY, id TEXT) WITHOUT ROWID")

    def add(self, entries: Iterable[tuple[str, SourceId]]) -> None:
        """Remember entries by DN."""
        rows = [(_key(name), id_) for dn, id_ in entries if (name := canonical(dn)) is not None]
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO names VALUES (?, ?)", rows)
        self._database.execute("COMMIT")

    def ids(self, dns: Sequence[str]) -> list[SourceId | None]:
        """Return the anchor of each; None: no entry of this name was shown."""
        found: list[SourceId | None] = []
        for dn in dns:
            name = canonical(dn)
            row = None
            if name is not None:
                row = self._database.execute("SELECT id FROM names WHERE key = ?", (_key(name),)).fetchone()
            found.append(None if row is None else SourceId(row[0]))
        return found

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM names").fetchone()[0])

    def close(self) -> None:
        self._database.close()


def _key(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=16).digest()
