"""Writes down up to where a directory was read, and for which directory and which question that is good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from reconciler.core.model import Kind

_FORM = 1


@dataclass(frozen=True, slots=True)
class Token:
    """A watermark. It is good for the same server, the same way of asking and the same question only."""

    way: str
    server: str
    question: str
    cookies: Mapping[Kind, str] = field(default_factory=dict)
    known: Mapping[Kind, int] = field(default_factory=dict)
    """How many entries there were when everything was read last."""

    def written(self) -> str:
        said = {"form": _FORM, **asdict(self)}
        return orjson.dumps({**said, "check": _check(said)}, option=orjson.OPT_SORT_KEYS).decode()

    @classmethod
    def read(cls, text: str) -> Token | None:
        """Return a token as it was written, to the letter; None for anything else."""
        try:
            said: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(said, dict) or said.pop("check", None) != _check(said) or said.pop("form", None) != _FORM:
            return None
        try:
            return cls(**said)
        except TypeError:
            return None

    def foreign(self, way: str, server: str, question: str) -> str:
        """Return why the token cannot be used here; empty where it can."""
        if self.server != server:
            return "it is another server's, or the server's data were restored"
        if self.way != way:
            return "it is of another way to ask for changes"
        return "other entries or attributes are asked for" if self.question != question else ""


def _check(said: Mapping[str, Any]) -> str:
    """Return a checksum: a server takes a cookie that it does not understand for none, and says nothing."""
    return blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
