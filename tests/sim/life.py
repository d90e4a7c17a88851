"""One life of the daemon: from its start to its end, or to the moment in which it is killed."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251  # because a simulation throws dice that can be thrown again
from collections.abc import Awaitable, Callable

EPOCH = 1_750_000_000.0
"""What the calendar says when the loop's time is 0."""


class Killed(BaseException):
    """The process is no more. No code catches it, and nothing that runs on its account does anything any more."""


def chance(seed: str) -> random.Random:
    """Return dice of this name; the same in every process."""
    return random.Random(seed)


class Life:
    """Whether the daemon is alive. Who is asked to do something for it asks here first."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.alive = True
        self.on_death: Callable[[], None] = lambda: None

    def check(self) -> None:
        """Raise Killed where the process is dead: what still unwinds then has no effect on anything."""
        if not self.alive:
            raise Killed

    def kill(self) -> None:
        """End the process here and now. Whoever calls this raises Killed."""
        if self.alive:
            self.alive = False
            self.on_death()


class Calendar:
    """The machine's time of day. It can be set; the loop's time cannot."""

    def __init__(self) -> None:
        self._set_by_seconds = self._set_forward_seconds = 0.0

    def set_by(self, seconds: float) -> None:
        """Set it forward, or back where that is negative."""
        self._set_by_seconds += seconds
        self._set_forward_seconds += max(0.0, seconds)

    def now(self) -> float:
        return EPOCH + asyncio.get_running_loop().time() + self._set_by_seconds

    def elapsed(self) -> float:
        """Return the seconds since the beginning that have passed at most, for whoever looked at it now and then."""
        return asyncio.get_running_loop().time() + self._set_forward_seconds

    def latest(self) -> float:
        """Return a moment than which it has never shown a later one."""
        return EPOCH + self.elapsed()


class LifeClock:
    """The clock of one life."""

    def __init__(self, calendar: Calendar, life: Life) -> None:
        self._calendar, self._life = calendar, life

    def now(self) -> float:
        return self._calendar.now()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        self._life.check()
        await wait(seconds)
        self._life.check()


class LifeDice:
    """The dice of one life, thrown from a seed."""

    def __init__(self, seed: str) -> None:
        self._random = chance(seed)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def hex(self, digits: int) -> str:
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"


class LifeTicks:
    """`Ticks` by the calendar, as the real one: it sleeps so long, looks at the calendar, and sleeps on or wakes."""

    def __init__(self, calendar: Calendar, life: Life) -> None:
        self._calendar, self._life = calendar, life
        self._armed: dict[str, asyncio.TimerHandle] = {}
        self._woken: dict[asyncio.Task[None], None] = {}

    def set(self, job: str, at: float, wake: Callable[[], Awaitable[None]]) -> None:
        self.cancel(job)
        seconds = max(0.0, at - self._calendar.now())
        self._armed[job] = asyncio.get_running_loop().call_later(seconds, self._look, job, at, wake)

    def cancel(self, job: str) -> None:
        armed = self._armed.pop(job, None)
        if armed is not None:
            armed.cancel()

    def stop(self) -> None:
        for job in list(self._armed):
            self.cancel(job)

    def _look(self, job: str, at: float, wake: Callable[[], Awaitable[None]]) -> None:
        self._armed.pop(job, None)
        if not self._life.alive:
            return
        if at > self._calendar.now() + 0.001:
            self.set(job, at, wake)
            return

        async def woken() -> None:
            await wake()

        task = asyncio.get_running_loop().create_task(woken())
        self._woken[task] = None
        task.add_done_callback(self._woken.pop)


async def wait(seconds: float) -> None:
    """Let so much time of the loop pass."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    handle = loop.call_later(max(0.0, seconds), _finish, over)
    try:
        await over
    finally:
        handle.cancel()


def _finish(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
