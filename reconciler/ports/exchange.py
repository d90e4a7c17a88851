"""The wire: one request, one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from reconciler.core.outcomes import Failed

_NO_HEADERS: Mapping[str, str] = {}


class Request(NamedTuple):
    """One HTTP request. `url` is absolute and encoded; `body` is sent as it is."""

    method: str
    url: str
    headers: Mapping[str, str] = _NO_HEADERS
    body: bytes | None = None
    deadline_seconds: float = 60.0


class Response(NamedTuple):
    """One HTTP answer. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    repeated: bool = False
    """An earlier try of the same request got no answer, and may have come through."""


class Exchange(Protocol):
    """One request, one answer: no retry, no redirect, no decision. The simulator stands here."""

    async def __call__(self, request: Request) -> Response | Failed:
        """Return the answer, or Failed with UNREACHABLE (nothing was sent) or INTERRUPTED (it may have been done)."""
        ...


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of a connection test."""

    step: str
    ok: bool
    text: str
    hint: str = ""
    fault: Failed | None = None
    """Of a source: why it cannot be worked with as a whole, as `ReadEnd.fault` says it."""
    partial: bool = False
    """It is not ok, and most can be done all the same: a permission is missing that only some of it needs."""
