"""The daemon: runs the jobs when they are due, side by side, never one over itself."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from reconciler import logs
from reconciler.errors import ReconcilerError
from reconciler.ports import Clock, Store, Ticks
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.report import CycleReport
from reconciler.runtime.world import Plan, World

DRAIN_SECONDS = 60.0
"""How long running cycles may go on after SIGTERM, before they are cut off between two requests."""


class Jobs(Protocol):
    """The jobs of the configuration in force."""

    def plans(self) -> Mapping[str, Plan]: ...

    def world(self, job_name: str) -> AbstractAsyncContextManager[World]: ...


@dataclass(frozen=True, slots=True)
class Reloaded:
    """A configuration that takes the place of another."""

    jobs: Jobs
    changes: tuple[str, ...]
    """What is different, one sentence each."""
    touched: frozenset[str] = frozenset()
    """Jobs whose source or target is reached in another way now: they run at once, whether it works."""


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
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        """`reload` reads the configuration again; raises ReconcilerError where it cannot be used."""
        self._jobs, self._store, self._clock, self._ticks, self._reload = jobs, store, clock, ticks, reload
        self._drain_seconds = drain_seconds
        self._plans = jobs.plans()
        self._running: set[str] = set()
        self._again: set[str] = set()
        """Jobs that were asked for while they were running: they run once more."""
        self._one_ended = anyio.Event()
        self._stopping = False
        self._log = logs.get()

    async def run(self, signals: AsyncIterator[signal.Signals]) -> signal.Signals | None:
        """Run the jobs until SIGTERM or SIGINT comes, let running cycles end for a limited time; return the signal.

        Raises StateError where the state cannot say when the jobs are due; nothing has run then.
        """
        due = await self._due_times()
        async with anyio.create_task_group() as tasks:
            self._tasks: TaskGroup = tasks
            for name, at in due.items():
                self._arm(name, at)
            received = await self._listen(signals)
            self._stopping = True
            self._ticks.stop()
            self._log.info(
                "service.stopping", running=sorted(self._running), signal=received.name if received else None
            )
            await self._drain(signals)
            tasks.cancel_scope.cancel()
        self._log.info("service.stopped")
        return received

    async def _due_times(self) -> Mapping[str, float]:
        now, times = self._clock.now(), {}
        for name, plan in self._plans.items():
            if not plan.job.enabled:
                self._log.info("job.not_enabled", job=name)
                continue
            due = await self._store.next_due(name)
            times[name] = at = now if due is None else max(now, due)
            overdue = due is not None and due < now
            self._log.info("job.scheduled", job=name, in_seconds=round(at - now, 1), overdue=overdue)
        return times

    async def _listen(self, signals: AsyncIterator[signal.Signals]) -> signal.Signals | None:
        """Return the signal that ends the service; SIGHUP takes the configuration anew meanwhile."""
        async for received in signals:
            if received != signal.SIGHUP:
                return received
            await self._take_over()
        return None

    # --- one job -------------------------------------------------------------------------------------------------

    def _arm(self, name: str, at: float) -> None:
        async def wake() -> None:
            self._begin(name)

        self._ticks.set(name, at, wake)

    def _begin(self, name: str) -> None:
        """Start a cycle of the job; where one is running, note that another is to follow it."""
        plan = self._plans.get(name)
        if self._stopping or plan is None or not plan.job.enabled:
            return
        if name in self._running:
            self._again.add(name)
            return
        self._running.add(name)
        self._tasks.start_soon(self._run_job, self._jobs, plan)

    async def _run_job(self, jobs: Jobs, plan: Plan) -> None:
        """Run one cycle under the configuration that was in force when it began, and arm the next one."""
        name, began = plan.job.name, self._clock.now()
        try:
            await self._cycle(jobs, plan)
            await self._arm_next(name, began)
        finally:
            self._running.discard(name)
            self._one_ended.set()
            self._one_ended = anyio.Event()
            if name in self._again:
                self._again.discard(name)
                self._begin(name)

    async def _cycle(self, jobs: Jobs, plan: Plan) -> None:
        name = plan.job.name
        self._log.info("cycle.started", job=name)
        try:
            async with jobs.world(name) as world:
                report = await run_cycle(plan, world)
        except ReconcilerError as error:
            self._log.error("cycle.failed", job=name, problem=str(error))
        except Exception:
            # the other jobs go on, whatever mistake of ours brought this one down
            self._log.exception("cycle.crashed", job=name)
        else:
            self._tell(report)

    async def _arm_next(self, name: str, began: float) -> None:
        plan = self._plans.get(name)
        if plan is None or not plan.job.enabled:
            return
        now = self._clock.now()
        at = max(now, began + plan.job.interval_seconds)
        await self._keep_due(name, at)
        if not self._stopping:
            self._arm(name, at)
            self._log.info("job.scheduled", job=name, in_seconds=round(at - now, 1), overdue=False)

    async def _keep_due(self, name: str, at: float) -> None:
        """Write down when the job is due. Where that fails, this process knows it all the same."""
        try:
            await self._store.set_next_due(name, at)
        except ReconcilerError as error:
            self._log.error("job.due_not_kept", job=name, problem=str(error))

    def _tell(self, report: CycleReport) -> None:
        counts = {name: n for name, n in report.counts.items() if n}
        level = self._log.info if report.exit_code == 0 else self._log.warning
        level(
            "cycle.finished",
            job=report.job,
            cycle_id=report.cycle_id,
            kind=report.kind,
            state=report.state,
            took_seconds=round(report.duration_seconds, 3),
            users=report.users_read,
            groups=report.groups_read,
            complete=report.complete,
            requests=sum(report.requests.values()),
            safeguard=report.arithmetic,
            problems=list(report.problems),
            **counts,
        )

    # --- another configuration, and the end ----------------------------------------------------------------------

    async def _take_over(self) -> None:
        """Take a changed configuration, or keep the old one and say what is wrong with the new."""
        try:
            reloaded = await self._reload(self._jobs)
        except ReconcilerError as error:
            self._log.error("config.refused", problems=str(error).splitlines(), kept="the configuration as it was")
            return
        before, self._jobs, self._plans = self._plans, reloaded.jobs, reloaded.jobs.plans()
        self._log.info("config.reloaded", changes=list(reloaded.changes) or ["nothing changed"])
        for name in before.keys() - self._plans.keys():
            self._stand_down(name)
        for name, plan in self._plans.items():
            was = before.get(name)
            if not plan.job.enabled:
                self._stand_down(name)
            elif _differs(was, plan) or name in reloaded.touched:
                self._ticks.cancel(name)
                self._begin(name)
            elif was is not None and was.job.interval_seconds != plan.job.interval_seconds:
                await self._arm_anew(name, plan.job.interval_seconds)

    def _stand_down(self, name: str) -> None:
        """Start no further cycle of the job; one that is running goes on to its end."""
        self._ticks.cancel(name)
        self._again.discard(name)

    async def _arm_anew(self, name: str, interval_seconds: float) -> None:
        """Let a changed interval count from now, unless the job is due sooner. One that is running arms itself."""
        if name in self._running:
            return
        latest = self._clock.now() + interval_seconds
        try:
            due = await self._store.next_due(name)
        except ReconcilerError as error:
            self._log.error("job.due_not_known", job=name, problem=str(error))
            due = None
        at = latest if due is None else min(due, latest)
        await self._keep_due(name, at)
        if name not in self._running:
            self._arm(name, at)

    async def _drain(self, signals: AsyncIterator[signal.Signals]) -> None:
        """Wait until no cycle runs any more: at most so long, and only until a second signal says to end now."""
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(self._hear_a_second, signals, waiting.cancel_scope)
            with anyio.move_on_after(self._drain_seconds):
                while self._running:
                    await self._one_ended.wait()
            waiting.cancel_scope.cancel()
        if self._running:
            self._log.warning("service.cut_off", running=sorted(self._running), waited_at_most=self._drain_seconds)

    async def _hear_a_second(self, signals: AsyncIterator[signal.Signals], waiting: anyio.CancelScope) -> None:
        async for received in signals:
            if received != signal.SIGHUP:
                waiting.cancel()
                return


def _differs(was: Plan | None, now: Plan) -> bool:
    """Whether a job is new, newly enabled, or judges by other rules or other limits: then it runs at once."""
    if was is None or not was.job.enabled:
        return True
    return was.rules_version != now.rules_version or was.job.safeguards != now.job.safeguards


def differences(before: Mapping[str, Plan], after: Mapping[str, Plan]) -> tuple[str, ...]:
    """Return what a reload changes in the jobs, in sentences, and whether an initial cycle follows."""
    said = [
        f"job {name} left the configuration: its accounts stay as they are" for name in before.keys() - after.keys()
    ]
    said += [
        f"job {name} is new" + ("" if after[name].job.enabled else ", and not enabled")
        for name in after.keys() - before.keys()
    ]
    for name in before.keys() & after.keys():
        was, now = before[name], after[name]
        if was.rules_version != now.rules_version:
            when = "an initial cycle follows" if now.job.enabled else "an initial cycle follows once it is enabled"
            said.append(f"job {name}: mappings, scope or other rules changed; {when}")
        if was.job.enabled != now.job.enabled:
            said.append(f"job {name} is {'enabled' if now.job.enabled else 'not enabled any more'}")
        if was.job.interval_seconds != now.job.interval_seconds:
            said.append(f"job {name} runs every {now.job.interval_seconds:g} s, was {was.job.interval_seconds:g} s")
        if was.job.safeguards != now.job.safeguards:
            said.append(f"job {name}: the safeguards changed; what they hold is looked at again")
        for what in ("source", "target"):
            if getattr(was.job, what) != getattr(now.job, what):
                said.append(f"job {name}: its {what} is {getattr(now.job, what)}, was {getattr(was.job, what)}")
    return tuple(sorted(said))
