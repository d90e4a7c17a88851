"""Notices that somebody has set the machine's clock back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from reconciler import logs
from reconciler.ports import Clock

LOOK_SECONDS = 600.0
"""How often is looked, and by how much a clock must be set back to count."""


async def mind_the_clock(clock: Clock, arm_anew: Callable[[], Awaitable[None]]) -> None:
    """Have the jobs armed anew when the clock was set back: they would wait for a moment of the wrong time, for years.

    Never returns.
    """
    while True:
        before = clock.now() - clock.monotonic()
        await clock.sleep(LOOK_SECONDS)
        back_seconds = before - (clock.now() - clock.monotonic())
        if back_seconds >= LOOK_SECONDS:
            logs.get().warning("clock.set_back", seconds=round(back_seconds))
            await arm_anew()
