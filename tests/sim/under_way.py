"""Which cycles and runs on demand are under way, and from when to when each job looked at the source."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.sim.life import Calendar


@dataclass(eq=False, slots=True)
class Look:
    """From when to when a job looks at the source, by `Calendar.elapsed`."""

    began: float
    ended: float = math.inf
    whom: str | None = None
    """The one whom it is for, where that is not everybody."""


@dataclass(slots=True)
class Cycle:
    """What is known of a cycle that runs."""

    job: str
    began: float
    look: Look
    sent: list[tuple[str, str]] = field(default_factory=list)
    """First tries of creates and of what takes somebody out, in order, with whom they are about."""
    alone: bool = True
    """Nobody provisioned on demand meanwhile, and no other job ran."""

    def first(self, one: tuple[str, str]) -> None:
        if one not in self.sent:
            self.sent.append(one)


class UnderWay:
    """Is told when cycles and runs on demand begin and end."""

    def __init__(self, seconds: Callable[[], float], calendar: Calendar) -> None:
        """`seconds` is the loop's time."""
        self._seconds, self._calendar = seconds, calendar
        self.cycles: dict[str, Cycle] = {}
        """The cycles that run, by job."""
        self._begun: list[float] = []
        """When the cycles and runs on demand began that are under way."""
        self._looks: dict[str, list[Look]] = {}

    def since(self) -> float:
        """Return when the first of what is under way began: what it does may be right by how things stood then."""
        return min(self._begun, default=self._seconds()) - 1.0

    def looked(self, job: str, id_: str, first: float, last: float) -> bool:
        """Whether a job looked at somebody at some moment from the first to the last, by `Calendar.elapsed`.

        One that was cut off, or did not read everything, may not have come to her: it does not count.
        """
        looks = [look for look in self._looks.get(job, ()) if look.whom in (None, id_)]
        return any(look.began <= last and look.ended >= first for look in looks)

    def cycle_begins(self, job: str) -> None:
        cycle = self.cycles[job] = Cycle(job, self._seconds(), self._look(job))
        self._begun.append(cycle.began)
        if len(self.cycles) > 1:
            self._nobody_is_alone()

    def cycle_ends(self, job: str, *, whole: bool) -> Cycle | None:
        """Return the cycle that has ended; None where it was cut off with the daemon. `whole`: it read everything."""
        cycle = self.cycles.pop(job, None)
        if cycle is not None:
            self._begun.remove(cycle.began)
            if whole:
                self._has_looked(cycle.look)
            else:
                self._looks[job].remove(cycle.look)
        return cycle

    def all_ended(self) -> None:
        """The daemon is no more, and has not come to the end of what it was looking at."""
        self.cycles.clear()
        self._begun.clear()
        for looks in self._looks.values():
            looks[:] = [look for look in looks if look.ended < math.inf]

    @contextmanager
    def on_demand(self, *, reads: tuple[str, str] | None = None) -> Iterator[None]:
        """Have somebody work on the app by hand for so long; `reads`: a job that looks for it at somebody."""
        began = self._seconds()
        self._begun.append(began)
        self._nobody_is_alone()
        look = self._look(*reads) if reads is not None else None
        yield
        if look is not None:
            self._has_looked(look)
        if began in self._begun:
            self._begun.remove(began)

    def _look(self, job: str, whom: str | None = None) -> Look:
        look = Look(self._calendar.elapsed(), whom=whom)
        self._looks.setdefault(job, []).append(look)
        return look

    def _has_looked(self, look: Look) -> None:
        look.ended = min(look.ended, self._calendar.elapsed())

    def _nobody_is_alone(self) -> None:
        for cycle in self.cycles.values():
            cycle.alone = False
