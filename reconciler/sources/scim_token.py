"""The watermark of a SCIM server: how far each list was read, and what was found out about how to read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from reconciler.core import paths
from reconciler.dialects import rest

Part = Literal["memberships", "user", "group"]
MembersFrom = Literal["list", "each", "users"]
_DAY_SECONDS = 86400.0
_last_modified = paths.reader("meta.lastModified")


@dataclass(frozen=True, slots=True)
class Mark:
    """A list was read up to here, of the server's own clock."""

    at: float
    newest_id: str
    """Who had changed last then: an honest answer to what changed since shows them again."""


@dataclass(slots=True)
class Token:
    of: str
    """What the marks belong to: the server, and what was asked of it."""
    marks: dict[Part, Mark] = field(default_factory=dict)
    """As they were when the last good cycle ended."""
    newest: dict[Part, Mark] = field(default_factory=dict)
    selects: dict[Part, bool] = field(default_factory=dict)
    """By part, whether the server gives what it is asked for by `attributes`, and nothing less."""
    members_from: MembersFrom | None = None
    """Where the members of groups were found; None: not known."""
    unmarked: set[Part] = field(default_factory=set)
    """Lists of which somebody has no time of change: what changed since cannot be asked."""

    @classmethod
    def read(cls, text: str | None, of: str) -> Token:
        """Return a watermark; an empty one where it belongs to something else or cannot be read."""
        try:
            kept = orjson.loads(text) if text is not None else None
        except orjson.JSONDecodeError:
            kept = None
        if not isinstance(kept, dict) or kept.get("of") != of or not isinstance(kept.get("marks"), dict):
            return cls(of)
        marks: dict[Part, Mark] = {}
        for part, mark in kept["marks"].items():
            match mark:
                case [int() | float() as at, str() as newest_id] if part in ("memberships", "user", "group"):
                    marks[part] = Mark(at, newest_id)
                case _:
                    return cls(of)
        return cls(of, marks, selects=kept["selects"], members_from=kept["members_from"])

    def note(self, part: Part, rows: Iterable[Mapping[str, Any]], now: float) -> None:
        """Take note of when these resources changed. A moment of tomorrow is no moment to go by."""
        newest = self.newest.get(part, Mark(0.0, ""))
        for row in rows:
            at = changed_at(row)
            if at is None:
                self.unmarked.add(part)
            elif newest.at < at <= now + _DAY_SECONDS:
                newest = Mark(at, str(row["id"]))
        if newest.newest_id:
            self.newest[part] = newest

    def ended(self, part: Part, took_seconds: float) -> None:
        """Close a list that took so long to read: what changed meanwhile, on a page that had passed, comes again."""
        newest, before = self.newest.pop(part, None), self.marks.get(part)
        if part in self.unmarked:
            self.marks.pop(part, None)
        elif newest is not None:
            at = newest.at - took_seconds
            self.newest[part] = Mark(max(at, before.at) if before is not None else at, newest.newest_id)

    def text(self) -> str:
        marks = {part: [mark.at, mark.newest_id] for part, mark in {**self.marks, **self.newest}.items()}
        kept = {"of": self.of, "marks": marks, "selects": self.selects, "members_from": self.members_from}
        return orjson.dumps(kept).decode()


def changed_at(row: Mapping[str, Any]) -> float | None:
    """Return when a resource last changed; None where the server does not say."""
    return rest.moment_of(_last_modified(row), "iso")
