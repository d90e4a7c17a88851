"""Reads from a header of the app's own when its limit ends, where Retry-After does not say it."""

from __future__ import annotations

from typing import Protocol

from reconciler.core.outcomes import Failed
from reconciler.ports import Clock, Request, Response

_MOMENT_MIN = 1_000_000_000.0
"""What is less is how many seconds to wait; what is more, a moment."""
_MILLISECONDS_MIN = 100_000_000_000.0
_MARGIN_SECONDS = 1.0
"""The app's clock and ours are not the same, and it counts in whole seconds."""


class _Exchange(Protocol):
    async def __call__(self, request: Request) -> Response | Failed: ...

    async def aclose(self) -> None: ...


class LimitTold:
    """An exchange whose 429 says in Retry-After what it said in another header: seconds, or a moment (Unix time)."""

    __slots__ = ("_clock", "_exchange", "_header")

    def __init__(self, exchange: _Exchange, clock: Clock, header: str) -> None:
        """`header` is in lower case."""
        self._exchange, self._clock, self._header = exchange, clock, header

    async def __call__(self, request: Request) -> Response | Failed:
        outcome = await self._exchange(request)
        if isinstance(outcome, Failed) or outcome.status != 429 or "retry-after" in outcome.headers:
            return outcome
        wait_seconds = seconds_told(outcome.headers.get(self._header, ""), self._clock.now())
        if wait_seconds is None:
            return outcome
        return outcome._replace(headers={**outcome.headers, "retry-after": f"{wait_seconds:.3f}"})

    async def aclose(self) -> None:
        await self._exchange.aclose()


def seconds_told(text: str, now: float) -> float | None:
    """Return how many seconds to wait, None where the text is no number."""
    try:
        told = float(text)
    except ValueError:
        return None
    if told >= _MILLISECONDS_MIN:
        told /= 1000
    wait_seconds = told - now + _MARGIN_SECONDS if told >= _MOMENT_MIN else told
    return max(0.0, wait_seconds)
