"""Knows who was taken out by hand, also while a cycle runs: it is decided long before a create is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping

from reconciler.core.model import Kind, SourceId
from reconciler.ports import Clock, Store

KNOWN_SECONDS = 0.5
"""So long is believed who is out before the state is asked again."""


class OutByNow:
    """Asks the state from time to time, and one worker for all: behind a commit it takes its time to answer.

    The others would stand still until then, each with a question of its own; they do so only before the first answer.
    """

    def __init__(self, store: Store, job: str, clock: Clock) -> None:
        self._store, self._job, self._clock = store, job, clock
        self._out: Mapping[tuple[Kind, SourceId], str] | None = None
        self._asked_again_at = -math.inf

    async def has(self, key: tuple[Kind, SourceId]) -> bool:
        now = self._clock.monotonic()
        if self._out is None or now >= self._asked_again_at:
            self._asked_again_at = now + KNOWN_SECONDS
            self._out = await self._store.who_is_out(self._job)
        return key in self._out
