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
from reconciler.errors import ConfigError, ReconcilerError
from reconciler.ports import Clock, Store, Ticks
from reconciler.runtime.cycle import Plan, World, run_cycle
from reconciler.runtime.report import CycleReport

DRAIN_SECONDS = 60.0
"""How long running cycles may go on after SIGTERM, before they are cut off between two requests."""


class Jobs(Protocol):
    """The jobs of the configuration in force."""

    def plans(self) -> Mapping[str, Plan]: ...

    def world(self, job_name: str) -> AbstractAsyncContextManager[World]: ...


@dataclass(frozen=True, slots=True)
class Reloaded:
    """A configuration that takes the place of another, and what is different, one sentence each."""

    jobs: Jobs
    changes: tuple[str, ...]


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
        self._jobs, self._store, self._clock, self._ticks, self._reload = jobs, store, clock, ticks, reload
        self._drain_seconds = drain_seconds
        self._running: set[str] = set()
        self._wanted_again: set[str] = set()
        self._idle = anyio.Event()
        self._due, self._wakes = anyio.create_memory_object_stream[str](256)
        self._log = logs.get()

    async def run(self, signals: AsyncIterator[signal.Signals]) -> None:
        """Run the jobs until SIGTERM or SIGINT comes; then let running cycles end, for a limited time."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._start_due, tasks)
            await self._schedule_all()
            async for received in signals:
                if received == signal.SIGHUP:
                    await self._take_over()
                    continue
                self._log.info("service.stopping", running=sorted(self._running), signal=received.name)
                break
            self._ticks.stop()
            await self._drain()
            tasks.cancel_scope.cancel()
        self._log.info("service.stopped")

    async def _schedule_all(self) -> None:
        now = self._clock.now()
        for name, plan in self._jobs.plans().items():
            if not plan.job.enabled:
                self._log.info("job.not_enabled", job=name)
                continue
            due = await self._store.next_due(name)
            at = max(now, due) if due is not None else now
            self._log.info("job.scheduled", job=name, in_seconds=round(at - now, 1), overdue=due is None or due < now)
            self._arm(name, at)

    def _arm(self, name: str, at: float) -> None:
        async def wake() -> None:
            await self._due.send(name)

        self._ticks.set(name, at, wake)

    async def _start_due(self, tasks: TaskGroup) -> None:
        async for name in self._wakes:
            if name in self._running:
                self._wanted_again.add(name)
            elif name in self._jobs.plans():
                self._running.add(name)
                tasks.start_soon(self._cycle, name)

    async def _cycle(self, name: str) -> None:
        began = self._clock.now()
        plan = self._jobs.plans()[name]
        try:
            self._log.info("cycle.started", job=name)
            async with self._jobs.world(name) as world:
                report = await run_cycle(plan, world)
            self._tell(report)
        except ReconcilerError as error:
            self._log.error("cycle.failed", job=name, problem=str(error))
        except Exception:
            # the other jobs go on, whatever mistake of ours brought this one down
            self._log.exception("cycle.crashed", job=name)
        finally:
            self._running.discard(name)
            if not self._running:
                self._idle.set()
                self._idle = anyio.Event()
        await self._arm_next(name, began)

    async def _arm_next(self, name: str, began: float) -> None:
        plan = self._jobs.plans().get(name)
        if plan is None or not plan.job.enabled:
            return
        now = self._clock.now()
        at = max(now, began + plan.job.interval_seconds)
        if name in self._wanted_again:
            self._wanted_again.discard(name)
            at = now
        await self._store.set_next_due(name, at)
        self._arm(name, at)

    def _tell(self, report: CycleReport) -> None:
        counts = {name: n for name, n in report.counts.items() if n}
        level = self._log.info if report.state == "active" and not report.failures else self._log.warning
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

    async def _take_over(self) -> None:
        """Take a changed configuration, or keep the old one and say what is wrong with the new."""
        try:
            reloaded = await self._reload(self._jobs)
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
            self._log.error("config.refused", problems=problems, kept="the configuration as it was")
            return
        before = self._jobs.plans()
        self._jobs = reloaded.jobs
        after = self._jobs.plans()
        for name in before.keys() - after.keys():
            self._ticks.cancel(name)
        self._log.info("config.reloaded", changes=list(reloaded.changes) or ["nothing changed"])
        for name, plan in after.items():
            if name in self._running:
                continue
            if not plan.job.enabled:
                self._ticks.cancel(name)
                continue
            was = before.get(name)
            if was is None or was.rules_version != plan.rules_version or not was.job.enabled:
                self._arm(name, self._clock.now())
            elif was.job.interval_seconds != plan.job.interval_seconds:
                due = await self._store.next_due(name)
                self._arm(name, min(due or self._clock.now(), self._clock.now() + plan.job.interval_seconds))

    async def _drain(self) -> None:
        with anyio.move_on_after(self._drain_seconds) as scope:
            while self._running:
                await self._idle.wait()
        if scope.cancelled_caught:
            self._log.warning("service.cut_off", running=sorted(self._running), waited_seconds=self._drain_seconds)


def differences(before: Mapping[str, Plan], after: Mapping[str, Plan]) -> tuple[str, ...]:
    """Return what a reload changes, in sentences, and whether an initial cycle follows."""
    said = [
        f"job {name} left the configuration: its accounts stay as they are" for name in before.keys() - after.keys()
    ]
    said += [f"job {name} is new" for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        was, now = before[name], after[name]
        if was.rules_version != now.rules_version:
            said.append(f"job {name}: mappings, scope or other rules changed; an initial cycle follows")
        if was.job.enabled != now.job.enabled:
            said.append(f"job {name} is {'enabled' if now.job.enabled else 'not enabled any more'}")
        if was.job.interval_seconds != now.job.interval_seconds:
            said.append(f"job {name} runs every {now.job.interval_seconds:g} s, was {was.job.interval_seconds:g} s")
        if was.job.safeguards != now.job.safeguards:
            said.append(f"job {name}: the safeguards changed")
        if was.concurrency != now.concurrency:
            said.append(f"job {name}: concurrency {now.concurrency}, was {was.concurrency}")
    return tuple(sorted(said))
