"""Runs jobs before their time: when their source says that something changed, or when a webhook does."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import anyio
from anyio.abc import TaskGroup

from reconciler import logs
from reconciler.errors import NotAnnounced, ReconcilerError
from reconciler.ports import Clock, Store
from reconciler.runtime.events import Events
from reconciler.runtime.reloading import Jobs
from reconciler.runtime.world import Plan

WAIT_SECONDS, WAIT_SECONDS_MAX = 1.0, 300.0
"""How long to wait before a source is listened to again: after the first failure, and at most."""
STEADY_SECONDS = 60.0
"""Who was heard for so long is tried again soon."""
Prospect = Literal["soon", "resting", "not enabled"]


@dataclass(slots=True)
class Ear:
    """How a source is listened to."""

    scope: anyio.CancelScope
    since: float | None = None
    """Since when it is heard; None: it is not."""
    problem: str = ""
    next_try: float | None = None
    announced: float | None = None
    """When it last said that something changed."""


class Announcements:
    """Listens to every source that a job wants to hear of, and has the jobs run: each at most once a debounce time."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        events: Events,
        plans: Callable[[], Mapping[str, Plan]],
        begin: Callable[[str, str], object],
    ) -> None:
        """`begin` starts a cycle of a job, or has one follow that which runs; it is given the occasion in words."""
        self._store, self._clock, self._events, self._plans, self._begin = store, clock, events, plans, begin
        self._ears: dict[str, Ear] = {}
        self._soon: set[str] = set()
        self._missed: dict[str, str] = {}
        """Jobs that rested when something changed, with the occasion."""
        self._tasks: TaskGroup | None = None
        self._log = logs.get()

    async def run(self, jobs: Jobs) -> None:
        """Listen until it is cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            self.take_over(jobs)
            await anyio.sleep_forever()

    def take_over(self, jobs: Jobs, touched: Collection[str] = ()) -> None:
        """Listen to what these jobs want to hear of; anew to the sources of those that are `touched`."""
        if self._tasks is None:
            return
        wanted = {
            plan.job.source for plan in self._plans().values() if plan.job.enabled and plan.job.triggers.announced
        }
        anew = {plan.job.source for name, plan in self._plans().items() if name in touched}
        for source in [source for source in self._ears if source not in wanted or source in anew]:
            self._ears.pop(source).scope.cancel()
        for source in sorted(wanted - self._ears.keys()):
            ear = self._ears[source] = Ear(anyio.CancelScope())
            self._tasks.start_soon(self._listen, jobs, source, ear)

    def of(self, source: str) -> Ear | None:
        """Return how a source is listened to; None where it is not."""
        return self._ears.get(source)

    async def announce(self, name: str, occasion: str) -> Prospect:
        """Have a job run soon, unless it rests: then it runs when it is let go on."""
        plan = self._plans().get(name)
        if plan is None or not plan.job.enabled or self._tasks is None:
            return "not enabled"
        if await self._rests(name):
            self.miss(name, occasion)
            return "resting"
        if name not in self._soon:
            self._soon.add(name)
            self._tasks.start_soon(self._run_soon, name, plan.job.triggers.debounce_seconds, occasion)
        return "soon"

    def miss(self, name: str, occasion: str) -> None:
        """Remember that a job was to run and rests."""
        self._missed.setdefault(name, occasion)

    def missed(self, name: str) -> str:
        """Return what a job that rested missed, and forget it; empty: nothing."""
        return self._missed.pop(name, "")

    async def _run_soon(self, name: str, debounce_seconds: float, occasion: str) -> None:
        """Wait for more of the same, then run the job once for all."""
        await self._clock.sleep(debounce_seconds)
        self._soon.discard(name)
        if await self._rests(name):
            self.miss(name, occasion)
            return
        self._begin(name, occasion)

    async def _rests(self, name: str) -> bool:
        """Return whether nobody but a person, or its own time, may begin a cycle of the job.

        In quarantine because of its source it is tested as soon as that is heard: so it can be reached again.
        """
        try:
            standing = await self._store.standing(name)
        except ReconcilerError as error:
            self._log.error("job.standing_not_known", job=name, problem=str(error))
            return True
        found = standing.quarantine
        waits = found is not None and not (found.source and self._is_heard(name))
        return standing.paused is not None or standing.stopped_at is not None or waits

    def _is_heard(self, name: str) -> bool:
        plan = self._plans().get(name)
        ear = self._ears.get(plan.job.source) if plan is not None else None
        return ear is not None and ear.since is not None

    async def _listen(self, jobs: Jobs, source: str, ear: Ear) -> None:
        """Listen to a source for as long as it is wanted, whatever becomes of the listening."""
        with ear.scope:
            wait_seconds = WAIT_SECONDS
            while True:
                try:
                    await self._hear(jobs, source, ear)
                except ReconcilerError as error:
                    ear.problem = str(error)
                except Exception:
                    # the jobs go on by their time, whatever mistake of ours brought this down
                    ear.problem = "a mistake in reconciler brought the listening down; its log has the traceback"
                    self._log.exception("source.listening_crashed", source=source)
                now = self._clock.now()
                if ear.since is not None and now - ear.since >= STEADY_SECONDS:
                    wait_seconds = WAIT_SECONDS
                ear.since, ear.next_try = None, now + wait_seconds
                self._log.warning(
                    "source.not_heard", source=source, problem=ear.problem, again_in_seconds=round(wait_seconds, 1)
                )
                self._events.tell("source.not_heard", source=source, problem=ear.problem)
                await self._clock.sleep(wait_seconds)
                wait_seconds = min(wait_seconds * 2, WAIT_SECONDS_MAX)

    async def _hear(self, jobs: Jobs, source: str, ear: Ear) -> None:
        """Pass on what a source announces. Raises NotAnnounced, or ReconcilerError where it cannot be opened."""
        async with jobs.announcing(source) as announcing:
            if announcing is None:
                raise NotAnnounced(f"the source {source} is of a type that announces nothing: set announced = false")
            changes = announcing.changes()
            try:
                async for _ in changes:
                    await self._heard(source, ear)
            finally:
                if isinstance(changes, AsyncGenerator):
                    await changes.aclose()
        raise NotAnnounced(f"the source {source} stopped announcing changes without a reason")

    async def _heard(self, source: str, ear: Ear) -> None:
        if ear.since is None:
            ear.since, ear.next_try, ear.problem = self._clock.now(), None, ""
            self._log.info("source.heard", source=source)
            self._events.tell("source.heard", source=source)
            await self._announced(source, f"{source} is listened to from now on")
            return
        ear.announced = self._clock.now()
        await self._announced(source, f"{source} announced a change")

    async def _announced(self, source: str, occasion: str) -> None:
        for name, plan in self._plans().items():
            if plan.job.source == source and plan.job.triggers.announced:
                await self.announce(name, occasion)
