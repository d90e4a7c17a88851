"""The real clock, the real dice."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Mapping

import anyio


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class SystemDice:
    """The machine's own chance."""

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)  # noqa: S311  # because it spreads retries, it guards nothing

    def hex(self, digits: int) -> str:
        return secrets.token_hex((digits + 1) // 2)[:digits]


class NoProgress:
    """Nobody looks."""

    def advance(self, part: str, done: int, total: int | None = None) -> None:
        """Say nothing."""

    def follow(self, counts: Mapping[str, int]) -> None:
        """Look at nothing."""
