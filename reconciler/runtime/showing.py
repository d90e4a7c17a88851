"""Follows a running cycle: how far each part is, how fast it goes, how long it still takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.ports import Clock

TELL_SECONDS = 0.25
"""How often one part is told of at most."""
RATE_SECONDS = 30.0
"""Over which time the rate is taken."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far one part of a cycle is."""

    part: str
    """users, groups, apply, members."""
    done: int
    total: int | None
    about: bool
    """The total is what the last cycle came to, not what this one is known to."""
    per_second: float | None
    seconds_left: float | None

    def as_json(self) -> dict[str, Any]:
        return {
            "part": self.part,
            "done": self.done,
            "total": self.total,
            "about": self.about,
            "per_second": None if self.per_second is None else round(self.per_second, 1),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
        }


class Following:
    """A `Progress` that can be asked how far the cycle is, and tells of each step: not more often than is of use."""

    def __init__(self, clock: Clock, tell: Callable[[Step], None], expected: Mapping[str, int]) -> None:
        """`expected`: what each part came to in the cycle before."""
        self._clock, self._tell, self._expected = clock, tell, expected
        self._steps: dict[str, Step] = {}
        self._past: dict[str, deque[tuple[float, int]]] = {}
        self._told_at: dict[str, float] = {}
        self.counts: Mapping[str, int] = {}

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return how far each part is, in the order in which they began."""
        return tuple(self._steps.values())

    def advance(self, part: str, done: int, total: int | None = None) -> None:
        now = self._clock.monotonic()
        past = self._past.setdefault(part, deque())
        per_second = self._rate(past, now, done)
        about = total is None and self._expected.get(part, 0) > done
        total = self._expected[part] if about else total
        left = (total - done) / per_second if total is not None and per_second else None
        step = self._steps[part] = Step(part, done, total, about, per_second, left)
        if done == total or now - self._told_at.get(part, -TELL_SECONDS) >= TELL_SECONDS:
            self._told_at[part] = now
            past.append((now, done))
            self._tell(step)

    def follow(self, counts: Mapping[str, int]) -> None:
        self.counts = counts

    @staticmethod
    def _rate(past: deque[tuple[float, int]], now: float, done: int) -> float | None:
        while len(past) > 1 and now - past[0][0] > RATE_SECONDS:
            past.popleft()
        if not past or now <= past[0][0]:
            return None
        return (done - past[0][1]) / (now - past[0][0])
