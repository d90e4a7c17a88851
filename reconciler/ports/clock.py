"""Time and chance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class Dice(Protocol):
    def uniform(self, low: float, high: float) -> float: ...

    def hex(self, digits: int) -> str:
        """Return an identifier of so many hexadecimal digits."""
        ...


class Ticks(Protocol):
    """Wakes the schedule: one moment per job, replaced when it is set again."""

    def set(self, job: str, at: float, wake: Callable[[], Awaitable[None]]) -> None: ...

    def cancel(self, job: str) -> None: ...

    def stop(self) -> None: ...
