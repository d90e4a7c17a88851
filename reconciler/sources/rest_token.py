"""The watermark of a system with a REST API: how far each of its lists was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from reconciler.core.model import Kind
from reconciler.dialects import rest
from reconciler.dialects.rest import Unreadable


@dataclass(slots=True)
class Token:
    """How far each list was read, and what hung on the entries then."""

    of: str
    marks: dict[str, float] = field(default_factory=dict)
    newest: dict[str, float] = field(default_factory=dict)
    joined_before: dict[str, str] = field(default_factory=dict)
    joined: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, since: str | None, about: str) -> Token:
        """Return the marks of a watermark; none where it is not about the same system and description."""
        token = cls(blake2b(about.encode(), digest_size=8).hexdigest())
        try:
            kept = orjson.loads(since) if since is not None else None
        except orjson.JSONDecodeError:
            kept = None
        match kept:
            case {"of": token.of, "marks": dict(marks), "joined": dict(joined)} if all(
                isinstance(mark, float | int) for mark in marks.values()
            ):
                token.marks, token.joined_before = marks, joined
        return token

    def kept_joined(self, kind: Kind) -> bool:
        """Whether what hangs on entries is as it was."""
        return self.joined.get(kind) == self.joined_before.get(kind)

    def note(self, kind: Kind, page: Sequence[Mapping[str, Any]], since: rest.Since, until: float) -> None:
        """Move the mark to the newest change of a page. Raises Unreadable where an item says none."""
        for item in page:
            at = rest.moment_of(rest.value_at(item, since.changed), since.format)
            if at is None:
                raise Unreadable(f"an item has no moment at '{since.changed}'")
            if at <= until:
                self.newest[kind] = max(at, self.newest.get(kind, 0.0))

    def ended(self, part: str, took_seconds: float) -> None:
        """Close a list that took so long to read: what changed meanwhile, on a page that had passed, comes again."""
        if part in self.newest:
            self.newest[part] = max(self.newest[part] - took_seconds, self.marks.get(part, 0.0))

    def text(self) -> str:
        joined = {**self.joined_before, **self.joined}
        return orjson.dumps({"of": self.of, "marks": {**self.marks, **self.newest}, "joined": joined}).decode()
