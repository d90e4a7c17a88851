"""Takes the time of each exchange, for the figures that are watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from reconciler.core.outcomes import Failed
from reconciler.ports import Clock, Request, Response

Note = Callable[[str, str, float], None]
"""Takes the method, the status (or the fault, where no answer came), and how many seconds it took."""


class _Exchange(Protocol):
    async def __call__(self, request: Request) -> Response | Failed: ...

    async def aclose(self) -> None: ...


class Measured:
    """An exchange that tells of each request, once it is answered or has failed."""

    __slots__ = ("_clock", "_exchange", "_note")

    def __init__(self, exchange: _Exchange, clock: Clock, note: Note) -> None:
        self._exchange, self._clock, self._note = exchange, clock, note

    async def __call__(self, request: Request) -> Response | Failed:
        began = self._clock.monotonic()
        outcome = await self._exchange(request)
        status = outcome.fault.value if isinstance(outcome, Failed) else str(outcome.status)
        self._note(request.method, status, self._clock.monotonic() - began)
        return outcome

    async def aclose(self) -> None:
        await self._exchange.aclose()
