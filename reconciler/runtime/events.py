"""Tells whoever listens what the daemon does, without ever waiting for a listener."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from reconciler.ports import Clock

WAITING_MAX = 1000
"""How many events wait for a slow listener before the oldest are dropped."""
DROPPED = "events.dropped"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `facts` are plain JSON values, and name no secret and no attribute of a person."""

    number: int
    """Counts from 1 since the daemon was started."""
    at: float
    name: str
    job: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "at": self.at, "event": self.name, "job": self.job, **self.facts}


class Listener:
    """Takes events in order. Of what it is too slow for it learns only how many there were."""

    def __init__(self, job: str | None, waiting_max: int) -> None:
        self._job, self._waiting_max = job, waiting_max
        self._waiting: deque[Event] = deque()
        self._dropped = 0
        self._arrived = anyio.Event()

    def put(self, event: Event) -> None:
        if self._job is not None and event.job not in (self._job, None):
            return
        if len(self._waiting) >= self._waiting_max:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(event)
        self._arrived.set()

    async def next(self) -> Event:
        """Return the next event; first, where events were dropped, one that says how many."""
        while not self._waiting:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            oldest = self._waiting[0]
            return Event(oldest.number - 1, oldest.at, DROPPED, None, {"count": dropped})
        return self._waiting.popleft()


class Events:
    """What happens now: nothing is kept for those who do not listen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._takers: list[Callable[[Event], None]] = []
        self._told = 0

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def tell(self, name: str, job: str | None = None, **facts: Any) -> None:
        """Give an event to every listener. Never waits."""
        self._told += 1
        if self._listeners or self._takers:
            event = Event(self._told, self._clock.now(), name, job, facts)
            for take in self._takers:
                take(event)
            for listener in self._listeners:
                listener.put(event)

    def give(self, take: Callable[[Event], None]) -> None:
        """Give every event to `take` from now on, at once and without loss; it must be quick."""
        self._takers.append(take)

    @contextmanager
    def listen(self, job: str | None = None, *, waiting_max: int = WAITING_MAX) -> Iterator[Listener]:
        """Take every event from now on; with `job` only those of this job and those of no job."""
        listener = Listener(job, waiting_max)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
