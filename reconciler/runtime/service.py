"""The daemon: runs the jobs when they are due, side by side, never one over itself."""

from __future__ import annotations

import math
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import anyio
from anyio.abc import TaskGroup

from reconciler import logs
from reconciler.core import quarantine
from reconciler.core.alerts import Watched
from reconciler.core.standing import Standing
from reconciler.errors import ReconcilerError
from reconciler.ports import Clock, Store, Ticks
from reconciler.runtime.announcing import Announcements
from reconciler.runtime.cycles import Cycles
from reconciler.runtime.events import Events
from reconciler.runtime.health import terms_of
from reconciler.runtime.postman import Postman
from reconciler.runtime.reloading import Jobs, Reloaded, differs
from reconciler.runtime.resting import begins_at, runs_by_itself
from reconciler.runtime.runs import Asked, Ended, Run, Ticket
from reconciler.runtime.set_back import mind_the_clock
from reconciler.runtime.watch import keep_watch
from reconciler.runtime.world import Plan

DRAIN_SECONDS = 60.0
"""How long running cycles may go on after SIGTERM, before they are cut off between two requests."""
CRASHED_SECONDS = 60.0
"""How long the mails rest after a mistake of ours has brought them down."""


class Service:
    """Runs until it is told to end."""

    def __init__(
        self,
        jobs: Jobs,
        store: Store,
        clock: Clock,
        ticks: Ticks,
        reload: Callable[[Jobs], Awaitable[Reloaded]],
        *,
        events: Events | None = None,
        drain_seconds: float = DRAIN_SECONDS,
        postman: Postman | None = None,
    ) -> None:
        """`reload` reads the configuration again; raises ReconcilerError where it cannot be used."""
        self._jobs, self._store, self._clock, self._ticks, self._reload = jobs, store, clock, ticks, reload
        self._drain_seconds, self._postman = drain_seconds, postman
        self._plans = jobs.plans()
        self.events = events or Events(clock)
        self._cycles = Cycles(store, clock, self.events)
        self.announcements = Announcements(
            store, clock, self.events, lambda: self._plans, lambda name, occasion: self._begin(name, occasion=occasion)
        )
        self._running: dict[str, Run] = {}
        self.config_refused: list[str] = []
        """What is wrong with the configuration that the last reload refused; empty: it took it."""
        self._again: dict[str, Asked] = {}
        """Jobs that were asked for while they were running: they run once more."""
        self._woken: set[str] = set()
        """Jobs that were to go on by themselves while a cycle of theirs was ending."""
        self._ended: dict[str, Ended] = {}
        self._due: dict[str, float] = {}
        self._runs = 0
        self._one_ended = anyio.Event()
        self._beside = 0
        """How many runs on demand are under way."""
        self._reloading = anyio.Lock()
        self.started = anyio.Event()
        """Set when the jobs are armed: from then on cycles can be asked for."""
        self.over = False
        self._stopping = False
        self._log = logs.get()

    async def run(self, signals: AsyncIterator[signal.Signals]) -> signal.Signals | None:
        """Run the jobs until SIGTERM or SIGINT comes, let running cycles end for a limited time; return the signal.

        Raises StateError where the state cannot say when the jobs are due; nothing has run then.
        """
        due = await self._due_times()
        async with anyio.create_task_group() as tasks:
            self._tasks: TaskGroup = tasks
            if self._postman is not None:
                tasks.start_soon(self._mail, self._postman)
            tasks.start_soon(
                keep_watch, self._store, self._clock, lambda: self._plans, self._watched, self._wake_postman
            )
            tasks.start_soon(mind_the_clock, self._clock, self._arm_all_anew)
            for name, at in due.items():
                self._arm(name, at)
            tasks.start_soon(self.announcements.run, self._jobs)
            self.started.set()
            received = await self._listen(signals)
            self._stopping = True
            self._ticks.stop()
            self._log.info(
                "service.stopping",
                running=sorted(self._running),
                on_demand=self._beside,
                signal=received.name if received else None,
            )
            self.events.tell("service.stopping", running=sorted(self._running))
            await self._drain(signals)
            tasks.cancel_scope.cancel()
        self._log.info("service.stopped")
        self.over = True
        self.events.tell("service.stopped")
        return received

    async def _due_times(self) -> Mapping[str, float]:
        now, times = self._clock.now(), {}
        for name, plan in self._plans.items():
            if not plan.job.enabled:
                self._log.info("job.not_enabled", job=name)
                continue
            standing = await self._store.standing(name)
            if not runs_by_itself(standing):
                self._log.info("job.rests", job=name, paused=standing.paused is not None)
                continue
            due = await self._store.next_due(name)
            if plan.job.require_test and not await self._store.history(name, 1):
                due = None  # no cycle has begun yet: what stood against it may have been mended
            times[name] = at = begins_at(plan, standing, due, now)
            overdue = due is not None and due < now
            self._log.info("job.scheduled", job=name, in_seconds=round(at - now, 1), overdue=overdue)
        return times

    async def _listen(self, signals: AsyncIterator[signal.Signals]) -> signal.Signals | None:
        """Return the signal that ends the service; SIGHUP takes the configuration anew meanwhile."""
        async for received in signals:
            if received != signal.SIGHUP:
                return received
            await self.reload(by="SIGHUP")
        return None

    # --- what can be asked ---------------------------------------------------------------------------------------

    @property
    def plans(self) -> Mapping[str, Plan]:
        """Return what the jobs of the configuration in force go by."""
        return self._plans

    @property
    def jobs(self) -> Jobs:
        """Return the jobs of the configuration in force."""
        return self._jobs

    @property
    def stopping(self) -> bool:
        """Whether no cycle begins any more, because the daemon ends."""
        return self._stopping

    def running(self, name: str) -> Run | None:
        """Return the cycle of a job that runs now."""
        return self._running.get(name)

    def ended(self, name: str) -> Ended | None:
        """Return what came of the job's last cycle since the daemon was started."""
        return self._ended.get(name)

    def due_at(self, name: str) -> float | None:
        """Return when the job runs next by itself; None where it does not, or runs now."""
        return self._due.get(name)

    def begin_now(self, name: str, *, full: bool, by: str) -> Ticket:
        """Run a cycle of a job because a person asked for it: also of one that is paused, not enabled or not due.

        Where a cycle of the job is running, another follows it.
        """
        ticket = self._begin(name, full=full, by=by)
        assert ticket is not None, "the caller has looked whether there is such a job, and whether we are ending"
        return ticket

    def cut_short(self, name: str, *, by: str) -> int | None:
        """End the job's running cycle before its time; return its number, None where none runs any more.

        What was to follow it at once does not.
        """
        following = self._again.pop(name, None)
        if following is not None:
            self.events.tell("cycle.dropped", name, run=following.number, by=by)
        run = self._running.get(name)
        if run is None or run.over:
            return None
        if not run.stopped_by:
            run.stopped_by = by
            self._log.warning("cycle.stopping", job=name, by=by)
            self.events.tell("cycle.stopping", name, run=run.number, by=by)
            run.stop.set()
        return run.number

    async def until_idle(self, name: str) -> None:
        """Wait until no cycle of the job runs."""
        while name in self._running:
            await self._one_ended.wait()

    def rest(self, name: str) -> None:
        """Start no further cycle of the job by itself; one that is running goes on to its end."""
        self._ticks.cancel(name)
        self._due.pop(name, None)
        if name in self._again and not self._again[name].by:
            asked = self._again.pop(name)
            if asked.occasion:
                self.announcements.miss(name, asked.occasion)

    async def wake(self, name: str) -> None:
        """Let a job that rested run again by itself: when it is due, at once where it is overdue."""
        plan = self._plans.get(name)
        if plan is None or not plan.job.enabled or self._stopping:
            return
        standing, due = await self._standing(name), await self._due_by_the_state(name)
        if name in self._running:
            self._woken.add(name)  # its end may have looked already whether the job rests
        elif runs_by_itself(standing):
            missed = self.announcements.missed(name)
            self._arm(name, self._clock.now() if missed else begins_at(plan, standing, due, self._clock.now()))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have the daemon's end wait for what is done beside the cycles, as it waits for these."""
        self._beside += 1
        try:
            yield
        finally:
            self._beside -= 1
            self._tell_that_one_ended()

    # --- one job -------------------------------------------------------------------------------------------------

    def _tell_that_one_ended(self) -> None:
        self._one_ended.set()
        self._one_ended = anyio.Event()

    def _arm(self, name: str, at: float) -> None:
        async def wake() -> None:
            self._due.pop(name, None)
            self._begin(name)

        self._due[name] = at
        self._ticks.set(name, at, wake)

    async def _arm_all_anew(self) -> None:
        for name in list(self._due):
            plan, standing = self._plans.get(name), await self._standing(name)
            if plan is None or (due := self._due.get(name)) is None:
                continue  # it runs, or has left, meanwhile
            at = begins_at(plan, standing, due, self._clock.now())
            await self._keep_due(name, at)
            if name in self._due:
                self._arm(name, at)

    def _begin(self, name: str, *, full: bool = False, by: str = "", occasion: str = "") -> Ticket | None:
        """Start a cycle of the job; where one is running, note that another is to follow it.

        `by` is who asked for it; without it only a job that is enabled begins.
        """
        plan = self._plans.get(name)
        if self._stopping or plan is None or not (plan.job.enabled or by):
            return None
        if name in self._running:
            waiting = self._again.get(name)
            if waiting is None:
                waiting = Asked(self._next_run(), full, by)
            self._again[name] = Asked(
                waiting.number, waiting.full or full, waiting.by or by, waiting.occasion or occasion
            )
            return Ticket(name, waiting.number, queued=True)
        return self._start(plan, Asked(self._next_run(), full, by, occasion))

    def _next_run(self) -> int:
        self._runs += 1
        return self._runs

    def _start(self, plan: Plan, asked: Asked) -> Ticket:
        name = plan.job.name
        self._ticks.cancel(name)  # what was armed is this cycle, before its time
        due = self._due.pop(name, -math.inf)
        self.announcements.missed(name)  # this cycle sees it
        run = self._running[name] = Run(
            asked.number, self._clock.now(), full=asked.full, by=asked.by, occasion=asked.occasion
        )
        self._tasks.start_soon(self._run_job, self._jobs, plan, run, due)
        return Ticket(name, asked.number, queued=False)

    async def _run_job(self, jobs: Jobs, plan: Plan, run: Run, due: float) -> None:
        """Run one cycle under the configuration that was in force when it began, and arm the next one."""
        name = plan.job.name
        try:
            if due > run.began:
                await self._keep_due(name, run.began)  # who is killed in it finds the job overdue at the next start
            before = await self._standing(name)
            ended = await self._cycles.run(jobs, plan, run)
            self._wake_postman()
            standing = await self._standing(name)
            self._cycles.tell_of_quarantine(name, before, standing)
            await self._arm_next(name, run.began, standing)
            if ended is not None:
                self._ended[name] = ended
                self.events.tell("cycle.ended", name, **ended.as_json())
        finally:
            del self._running[name]
            self._tell_that_one_ended()
            asked, plan_now = self._again.pop(name, None), self._plans.get(name)
            if asked is not None and plan_now is not None and not self._stopping and (plan_now.job.enabled or asked.by):
                self._start(plan_now, asked)
            elif name in self._woken:
                self._woken.discard(name)
                self._tasks.start_soon(self.wake, name)

    def _watched(self, name: str) -> Watched:
        run, ended = self._running.get(name), self._ended.get(name)
        return Watched(
            self._clock.now(),
            running_since=run.began if run is not None else None,
            next_due_at=self._due.get(name),
            problem=ended.problem if ended is not None else "",
        )

    def _wake_postman(self) -> None:
        if self._postman is not None:
            self._postman.wake()

    async def _standing(self, name: str) -> Standing:
        try:
            return await self._store.standing(name)
        except ReconcilerError as error:
            self._log.error("job.standing_not_known", job=name, problem=str(error))
            return Standing()

    async def _arm_next(self, name: str, began: float, standing: Standing) -> None:
        plan = self._plans.get(name)
        if plan is None or not plan.job.enabled:
            return
        now = self._clock.now()
        # where another one is to follow, the job is due until that has ended
        at = now if name in self._again else quarantine.next_turn(standing, terms_of(plan), began, now)
        await self._keep_due(name, at)
        if not self._stopping and runs_by_itself(standing):
            self._arm(name, at)
            self._log.info("job.scheduled", job=name, in_seconds=round(at - now, 1), overdue=False)

    async def _keep_due(self, name: str, at: float) -> None:
        """Write down when the job is due. Where that fails, this process knows it all the same."""
        try:
            await self._store.set_next_due(name, at)
        except ReconcilerError as error:
            self._log.error("job.due_not_kept", job=name, problem=str(error))

    async def _mail(self, postman: Postman) -> None:
        while True:
            try:
                await postman.run()
            except Exception:
                # the jobs go on, whatever mistake of ours brought the mails down
                self._log.exception("mail.crashed")
                await self._clock.sleep(CRASHED_SECONDS)

    # --- another configuration, and the end ----------------------------------------------------------------------

    async def reload(self, *, by: str) -> Reloaded | ReconcilerError:
        """Take a changed configuration; or keep the old one, and return what is wrong with the new."""
        async with self._reloading:
            self.events.tell("config.reloading", by=by)
            return await self._take_over(by)

    async def _take_over(self, by: str) -> Reloaded | ReconcilerError:
        try:
            reloaded = await self._reload(self._jobs)
        except ReconcilerError as error:
            problems = self.config_refused = str(error).splitlines()
            self._log.error("config.refused", by=by, problems=problems, kept="the configuration as it was")
            self.events.tell("config.refused", by=by, problems=problems)
            return error
        self.config_refused = []
        before, self._jobs, self._plans = self._plans, reloaded.jobs, reloaded.jobs.plans()
        changes = list(reloaded.changes) or ["nothing changed"]
        self._log.info("config.reloaded", by=by, changes=changes)
        self.events.tell("config.reloaded", by=by, changes=changes)
        self.announcements.take_over(self._jobs, reloaded.touched)
        for name in before.keys() - self._plans.keys():
            self.rest(name)
        for name, plan in self._plans.items():
            was = before.get(name)
            if not plan.job.enabled:
                self.rest(name)
            elif not runs_by_itself(await self._standing(name)):
                continue
            elif differs(was, plan) or name in reloaded.touched:
                self._ticks.cancel(name)
                self._begin(name)
            elif was is not None and was.job.interval_seconds != plan.job.interval_seconds:
                await self._arm_anew(name, plan.job.interval_seconds)
        return reloaded

    async def _arm_anew(self, name: str, interval_seconds: float) -> None:
        """Let a changed interval count from now, unless the job is due sooner. One that is running arms itself."""
        if name in self._running:
            return
        latest = self._clock.now() + interval_seconds
        due = await self._due_by_the_state(name)
        at = latest if due is None else min(due, latest)
        await self._keep_due(name, at)
        if name not in self._running:
            self._arm(name, at)

    async def _due_by_the_state(self, name: str) -> float | None:
        try:
            return await self._store.next_due(name)
        except ReconcilerError as error:
            self._log.error("job.due_not_known", job=name, problem=str(error))
            return None

    async def _drain(self, signals: AsyncIterator[signal.Signals]) -> None:
        """Wait until nothing runs any more: at most so long, and only until a second signal says to end now."""
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(self._hear_a_second, signals, waiting.cancel_scope)
            with anyio.move_on_after(self._drain_seconds):
                while self._running or self._beside:
                    await self._one_ended.wait()
            waiting.cancel_scope.cancel()
        if self._running or self._beside:
            self._log.warning(
                "service.cut_off",
                running=sorted(self._running),
                on_demand=self._beside,
                waited_at_most=self._drain_seconds,
            )

    async def _hear_a_second(self, signals: AsyncIterator[signal.Signals], waiting: anyio.CancelScope) -> None:
        async for received in signals:
            if received != signal.SIGHUP:
                waiting.cancel()
                return
