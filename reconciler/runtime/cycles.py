"""Runs a cycle for the daemon, whatever becomes of it, and tells those who watch."""

from __future__ import annotations

from reconciler import logs
from reconciler.core import quarantine
from reconciler.core.standing import Standing
from reconciler.errors import ReconcilerError
from reconciler.ports import Clock, Store
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.events import Events
from reconciler.runtime.health import terms_of, test_connection
from reconciler.runtime.reloading import Jobs
from reconciler.runtime.report import CycleReport
from reconciler.runtime.runs import Ended, Run
from reconciler.runtime.showing import Following, Step
from reconciler.runtime.world import Plan


class Cycles:
    """What all cycles of the daemon have in common."""

    def __init__(self, store: Store, clock: Clock, events: Events) -> None:
        self._store, self._clock, self._events = store, clock, events
        self._log = logs.get()

    async def run(self, jobs: Jobs, plan: Plan, run: Run) -> Ended | None:
        """Run one cycle to its end, or until `run` is cut short. Never raises for what brings a cycle down.

        None: nobody asked for it, and the job rests; in quarantine its connection was tested, in vain.
        """
        name = plan.job.name
        report, problem = None, ""
        try:
            if not run.by and not await self._may_run(jobs, plan):
                return None
            self._log.info("cycle.started", job=name, run=run.number, by=run.by or None, occasion=run.occasion or None)
            self._events.tell("cycle.started", name, run=run.number, full=run.full, by=run.by, occasion=run.occasion)
            run.following = await self._follow(name, run)
            async with jobs.world(name, progress=run.following) as world:
                report = await run_cycle(
                    plan, world, full=run.full, stop=run.stop, though_paused=bool(run.by), asked_by=run.by
                )
        except ReconcilerError as error:
            problem = str(error)
            self._log.error("cycle.failed", job=name, problem=problem)
        except Exception:
            # the other jobs go on, whatever mistake of ours brought this one down
            problem = "a mistake in reconciler brought the cycle down; its log has the traceback"
            self._log.exception("cycle.crashed", job=name)
        run.over = True
        if report is not None:
            self._tell(report)
        if run.stopped_by:
            problem = f"stopped by {run.stopped_by}"
            self._log.warning("cycle.stopped", job=name, by=run.stopped_by)
        return Ended(run.number, self._clock.now(), report, problem)

    async def _may_run(self, jobs: Jobs, plan: Plan) -> bool:
        """Return whether a cycle is to follow; of a job in quarantine the connection test may have to say so first."""
        name, terms = plan.job.name, terms_of(plan)
        standing = await self._store.standing(name)
        match quarantine.turn(standing, terms, self._clock.now()):
            case "cycle":
                return True
            case "rest":
                await self._store.settle(name, lambda s: quarantine.passing_time(terms, s, self._clock.now()))
                return False
            case "test":
                async with jobs.world(name) as world:
                    breach = await test_connection(world, standing, plan)
                await self._store.settle(name, lambda s: quarantine.after_test(terms, s, breach, self._clock.now()))
                self._log.info("quarantine.tested", job=name, answers=breach is None)
                return breach is None

    async def _follow(self, name: str, run: Run) -> Following:
        """Return what follows a cycle's progress; it knows what the cycle before came to."""
        expected: dict[str, int] = {}
        for past in await self._store.history(name, 1):
            expected = {part: n for part, n in past["read"].items() if part in ("users", "groups")}

        def tell(step: Step) -> None:
            counts = {word: n for word, n in following.counts.items() if n}
            self._events.tell("cycle.progress", name, run=run.number, **step.as_json(), counts=counts)

        following = Following(self._clock, tell, expected)
        return following

    def tell_of_quarantine(self, name: str, before: Standing, after: Standing) -> None:
        """Tell what a cycle made of the job's standing."""
        was, now = before.quarantine, after.quarantine
        if now is not None and (was is None or was.reason != now.reason or was.error_code != now.error_code):
            self._log.warning("quarantine.entered", job=name, rule=now.rule, arithmetic=now.arithmetic)
            self._events.tell("quarantine.entered", name, reason=now.reason, rule=now.rule, arithmetic=now.arithmetic)
        elif was is not None and now is None:
            self._log.info("quarantine.left", job=name)
            self._events.tell("quarantine.left", name, reason=was.reason)

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
