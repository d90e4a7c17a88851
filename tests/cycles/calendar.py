"""Time and chance for whole cycles: days pass when a test says so, and nobody waits for them."""

from __future__ import annotations

import asyncio
import time

import anyio

from reconciler.runtime.journal import FLUSH_SECONDS

HOUR = 3600.0
DAY = 24 * HOUR
LOOK_SECONDS = 0.001


class Calendar:
    """A clock that begins today and goes on only when it is turned, slept by, or looked at (a thousandth each time).

    Who sleeps turns it forward and goes on at once. The journal's beat goes on beside everything else, so it turns
    nothing: it comes when the clock has reached its moment.
    """

    def __init__(self) -> None:
        self._now = time.time()  # noqa: TID251  # because files that tests write are as old as the machine says
        self._waiting: list[tuple[float, asyncio.Event]] = []
        self.slept: list[float] = []
        """How long was slept each time, the journal's quarter of a second left out."""

    def turn(self, seconds: float) -> None:
        """Let so much time pass."""
        self._now += seconds
        for until, reached in self._waiting:
            if until <= self._now:
                reached.set()

    def now(self) -> float:
        self.turn(LOOK_SECONDS)
        return self._now

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        if seconds == FLUSH_SECONDS:
            await self._reach(self._now + seconds)
            return
        self.slept.append(seconds)
        self.turn(seconds)
        await anyio.lowlevel.checkpoint()  # the others get their turn; no time passes

    async def _reach(self, moment: float) -> None:
        reached = asyncio.Event()
        self._waiting.append((moment, reached))
        try:
            await reached.wait()
        finally:
            self._waiting.remove((moment, reached))


class NoLuck:
    """Dice that always show the lowest number: who is tried again is tried at once, unless the target asks to wait."""

    def __init__(self) -> None:
        self._thrown = 0

    def uniform(self, low: float, high: float) -> float:
        return low

    def hex(self, digits: int) -> str:
        self._thrown += 1
        return f"{self._thrown:x}".rjust(digits, "0")
