"""Lets a cycle and runs on demand of one job work side by side, and never on the same entry at one time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass

import anyio

from reconciler.core.model import Identity, Kind, SourceId
from reconciler.ports import JobState
from reconciler.runtime.claims import Claimed

Key = tuple[Kind, SourceId]
Way = tuple[Identity, Identity]
"""From a source to a target, whichever job goes it."""


class Hand:
    """The entries that a cycle has in hand at the moment, and those that it leaves alone until its end.

    What was provisioned on demand while a cycle runs is not touched by that cycle any more, neither decided on nor
    sent, whatever it had planned before: the run on demand knows better. The next cycle looks at it again.
    """

    __slots__ = ("_changed", "_held", "left_alone", "passed_over")

    def __init__(self) -> None:
        self._held: dict[Key, int] = {}
        self._changed: anyio.Event | None = None
        self.left_alone: set[Key] = set()
        """Whom somebody provisioned, or is provisioning, on demand."""
        self.passed_over: set[Key] = set()
        """Of those, whom the cycle would have worked on."""

    def holding(self, keys: Iterable[Key]) -> _Holding:
        """Have entries in hand within this context; it gives those that are left alone: they must not be touched."""
        return _Holding(self, list(keys))

    def take(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._held[key] = self._held.get(key, 0) + 1

    def put_down(self, keys: Iterable[Key]) -> None:
        held = self._held
        for key in keys:
            if held[key] == 1:
                del held[key]
            else:
                held[key] -= 1
        if self._changed is not None:
            self._changed.set()

    def leaves_alone(self, key: Key) -> bool:
        """Return whether the cycle must not touch an entry, and remember that it would have."""
        if key not in self.left_alone:
            return False
        self.passed_over.add(key)
        return True

    async def let_go(self, keys: Collection[Key]) -> None:
        """Return when none of these is in hand; from now on the cycle leaves them alone."""
        self.left_alone |= set(keys)
        while any(key in self._held for key in keys):
            self._changed = anyio.Event()
            await self._changed.wait()

    def in_hand(self, keys: Collection[Key]) -> list[Key]:
        """Return those of the entries that are in hand now."""
        return [key for key in keys if key in self._held]

    def take_back(self, keys: Collection[Key]) -> None:
        """Let the cycle work on these again: nothing was done about them."""
        self.left_alone -= set(keys)


class _Holding:
    """Entries in hand. No generator, for a cycle opens one of these for each operation."""

    __slots__ = ("_hand", "_wanted")

    def __init__(self, hand: Hand, wanted: list[Key]) -> None:
        self._hand, self._wanted = hand, wanted

    def __enter__(self) -> Collection[Key]:
        apart: Collection[Key] = ()
        if self._hand.left_alone:
            apart = self._hand.left_alone.intersection(self._wanted)
            self._hand.passed_over |= apart
            self._wanted = [key for key in self._wanted if key not in apart]
        self._hand.take(self._wanted)
        return apart

    def __exit__(self, *_: object) -> None:
        self._hand.put_down(self._wanted)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A cycle that has opened its job and not closed it yet."""

    cycle_id: str
    state: JobState
    hand: Hand
    claimed: Claimed
    """The names and accounts that entries of the cycle speak for."""
    write_down: Callable[[], Awaitable[None]]
    """Commits what the cycle has found out so far."""


class JobTurns:
    """Who works on a job now: a cycle opens and closes alone, and a run on demand has the time between."""

    __slots__ = ("cycle", "door")

    def __init__(self) -> None:
        self.door = anyio.Lock()
        """Held by a run on demand from its beginning to its end; by a cycle while it opens, and while it closes."""
        self.cycle: UnderWay | None = None


class Making:
    """Whose accounts are being made: of two jobs of one app that run side by side one makes an entry's account."""

    __slots__ = ("_jobs",)

    def __init__(self) -> None:
        self._jobs: dict[Way, dict[Key, str]] = {}

    def begin(self, way: Way, entries: Iterable[Key], job: str) -> set[Key]:
        """Return whose accounts another job makes; from making those of the rest it keeps the others until `end`."""
        jobs = self._jobs.setdefault(way, {})
        return {entry for entry in entries if jobs.setdefault(entry, job) != job}

    def end(self, way: Way, entries: Iterable[Key]) -> None:
        """Hear that what became of these is written down."""
        jobs = self._jobs.get(way, {})
        for entry in entries:
            jobs.pop(entry, None)


class Turns:
    """The turns of every job of one process. The state has one writing process, so nobody else is to be asked."""

    __slots__ = ("_jobs", "making")

    def __init__(self) -> None:
        self._jobs: dict[str, JobTurns] = {}
        self.making = Making()

    def of(self, job: str) -> JobTurns:
        return self._jobs.setdefault(job, JobTurns())
