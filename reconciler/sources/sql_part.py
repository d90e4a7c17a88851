"""One list of a database: what is asked of it, how far it was read, and the entries that its rows are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

import orjson

from reconciler.core.met import Keys
from reconciler.core.model import PSEUDO_ATTRIBUTES, Entry, Kind, SourceId
from reconciler.core.outcomes import Failed
from reconciler.ports import ReadEnd, Wanted
from reconciler.sources import sql_values
from reconciler.sources.lacking import lacking
from reconciler.sources.sql_queries import Unusable

NEEDED_OF_MEMBERS = frozenset({"group_id", "member_id"})
_NOT_COLUMNS = PSEUDO_ATTRIBUTES | {"objectId"}


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

    def is_deleted(self, row: Mapping[str, Any]) -> bool:
        return self.deleted is not None and sql_values.is_set(row.get(self.deleted))


@dataclass(frozen=True, slots=True)
class Token:
    """The watermark: how far each kind was read."""

    of: str
    until: float
    """What changed later than this does not count: a mistyped date would hide every change until then."""
    marks: dict[str, sql_values.Mark] = field(default_factory=dict)
    newest: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, since: str | None, place: str, queries: Queries, until: float) -> Token:
        """Return the marks of a watermark; none where it belongs to another database or to other queries."""
        about = orjson.dumps((place, queries.key, queries.users, queries.groups, queries.changed, queries.deleted))
        fresh = cls(blake2b(about, digest_size=8).hexdigest(), until)
        try:
            kept = orjson.loads(since) if since is not None else None
        except orjson.JSONDecodeError:
            kept = None
        if isinstance(kept, dict) and kept.get("of") == fresh.of and isinstance(kept.get("marks"), dict):
            fresh.marks.update((kind, mark) for kind, mark in kept["marks"].items() if kind in ("user", "group"))
        return fresh

    def note(self, kind: Kind, value: Any) -> None:
        latest = sql_values.newest([self.newest.get(kind), value], self.until)
        if latest is not None:
            self.newest[kind] = latest

    def text(self) -> str:
        seen = {kind: mark for kind, value in self.newest.items() if (mark := sql_values.mark(value)) is not None}
        return orjson.dumps({"of": self.of, "marks": {**self.marks, **seen}}).decode()


@dataclass(frozen=True, slots=True)
class Part:
    """Users or groups of one reading."""

    queries: Queries
    kind: Kind
    wanted: Wanted
    token: Token

    @property
    def sql(self) -> str | None:
        return self.queries.of(self.kind)

    @property
    def needed(self) -> Set[str]:
        """The columns that a query must have: what rules read, the key, and what tells changes of users."""
        names = self.wanted.user_attributes if self.kind == "user" else self.wanted.group_attributes
        needed = (names - _NOT_COLUMNS) | {self.queries.key}
        if self.kind == "user":
            needed |= {name for name in (self.queries.changed, self.queries.deleted) if name is not None}
        return needed

    def entries(
        self, given: Sequence[str], page: Sequence[Sequence[Any]], keys: Keys, problems: Problems
    ) -> list[Entry]:
        """Return the entries of a page whose key nobody had before, and move the mark."""
        raw = [row[given.index(self.queries.key)] for row in page]
        ids = [sql_values.key_of(value) or "" for value in raw]
        if not all(ids):
            problems.add(f"a row has neither text nor a whole number as '{self.queries.key}'")
        repeated = set(keys.add(ids))
        if twice := [ids[position] for position in sorted(repeated) if ids[position]]:
            why = f"two rows have the same '{self.queries.key}'; the first is used. Does a JOIN double rows?"
            problems.add(why, twice[0])
        if self.queries.changed in given:
            self._note_changes([row[given.index(self.queries.changed)] for row in page], ids, problems)
        return [
            Entry(self.kind, SourceId(one), row, gone=self.queries.is_deleted(row))
            for position, (one, row) in enumerate(zip(ids, sql_values.rows(given, page), strict=True))
            if one and position not in repeated
        ]

    def _note_changes(self, values: Sequence[Any], ids: Sequence[str], problems: Problems) -> None:
        if no_moment := [one for one, value in zip(ids, values, strict=True) if not sql_values.is_moment(value)]:
            problems.add(f"'{self.queries.changed}' is neither a time nor seconds since 1970", no_moment[0])
        self.token.note(self.kind, sql_values.newest(values, self.token.until))


class Problems:
    """Why the reading of one part is incomplete, each told once, with the query that it is about."""

    def __init__(self, where: str, fault_of: Callable[[Unusable], Failed | None]) -> None:
        self._where, self._query, self._fault_of = where, "", fault_of
        self._found: dict[str, str] = {}
        self._fault: Failed | None = None

    def within(self, query: str) -> None:
        """Let what is added from now on be about this query."""
        self._query = f" {query}"

    def add(self, why: str, key: str = "") -> None:
        """Note what is wrong. `key`: of a row of which it is so; the first is told."""
        self._found.setdefault(f"{self._where}{self._query}: {why}", key)

    def unusable(self, unusable: Unusable) -> None:
        self.add(unusable.why)
        self._fault = self._fault or self._fault_of(unusable)

    def end(self, part: Literal["memberships", "user", "group"], *, delta: bool = False) -> ReadEnd:
        told = tuple(f"{why} (the first: {key})" if key else why for why, key in self._found.items())
        return ReadEnd(part, complete=not self._found, problems=told, delta=delta, fault=self._fault)


def need(have: Sequence[str], needed: Set[str]) -> None:
    """Raise Unusable where a column is not there."""
    if why := lacking(sorted(needed - set(have)), have, "query"):
        raise Unusable(why)
