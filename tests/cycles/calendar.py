"""Time and chance for whole cycles: days pass when a test says so, and waiting costs next to nothing."""

from __future__ import annotations

import asyncio
import time

from reconciler.runtime.journal import FLUSH_SECONDS

HOUR = 3600.0
DAY = 24 * HOUR
_WAIT_MAX_SECONDS = 0.02


class Calendar:
    """A clock that runs with the machine's and can be turned forward. Who sleeps turns it forward by what is left."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self.slept: list[float] = []
        """How long was slept each time, the journal's quarter of a second left out."""

    def turn(self, seconds: float) -> None:
        """Let so much time pass."""
        self._ahead += seconds

    def now(self) -> float:
        return time.time() + self._ahead  # noqa: TID251  # this is the clock

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        if seconds == FLUSH_SECONDS:  # the journal's own beat goes on all the time: it must not turn the calendar
            await asyncio.sleep(seconds)  # noqa: TID251  # because real sockets answer in real time
            return
        self.slept.append(seconds)
        short = min(seconds, _WAIT_MAX_SECONDS)
        await asyncio.sleep(short)  # noqa: TID251  # because real sockets answer in real time; the rest is turned
        self._ahead += seconds - short


class NoLuck:
    """Dice that always show the lowest number: who is tried again is tried at once, unless the target asks to wait."""

    def __init__(self) -> None:
        self._thrown = 0

    def uniform(self, low: float, high: float) -> float:
        return low

    def hex(self, digits: int) -> str:
        self._thrown += 1
        return f"{self._thrown:x}".rjust(digits, "0")
