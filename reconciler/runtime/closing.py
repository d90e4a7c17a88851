"""Closes a cycle: what it came to for the job's health and in its report; the watermark and the rules move last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.core.health import CycleEnd, after_cycle
from reconciler.core.notices import both
from reconciler.core.outcomes import Failed
from reconciler.core.standing import QuarantineReason, Standing
from reconciler.ports import JobState, Tidying
from reconciler.runtime import health
from reconciler.runtime.course import Course
from reconciler.runtime.deciding import Deciding
from reconciler.runtime.holding import Holding
from reconciler.runtime.joining import Joining
from reconciler.runtime.journal import Journal
from reconciler.runtime.overdue import tell_of_overdue
from reconciler.runtime.reading import Reader
from reconciler.runtime.report import CycleReport, State
from reconciler.runtime.world import Plan, World


@dataclass(frozen=True, slots=True)
class Begun:
    """How things stood when the cycle began."""

    cycle_id: str
    at: float
    ticking: float
    requests: Mapping[str, int]
    initial: bool
    standing: Standing


class Closing:
    """The end of one cycle, when nothing more is sent and everything else is written down."""

    def __init__(
        self,
        plan: Plan,
        world: World,
        state: JobState,
        journal: Journal,
        course: Course,
        reader: Reader,
        deciding: Deciding,
        holding: Holding,
        joining: Joining,
    ) -> None:
        self._plan, self._world, self._state, self._job = plan, world, state, plan.job
        self._store, self._clock = world.store, world.clock
        self._journal, self._course, self._reader, self._reading = journal, course, reader, reader.reading
        self._deciding, self._holding, self._joining = deciding, holding, joining

    async def close(self, begun: Begun) -> CycleReport:
        """Write the history; the watermark moves only after a good cycle."""
        stopped = self._course.stopped or self._course.unasked
        for kind, source_id in self._journal.refused:
            self._course.failed(source_id, "link", "AccountTaken", f"another {kind} holds this account")
        good = stopped is None and self._reading.all_complete
        end = await self._end(begun, good=good)
        report = self._report(begun, stopped, end)
        await self._store.close_cycle(
            self._state.job_id,
            self._state.epoch,
            watermark=self._reading.watermark if good else None,
            rules=self._plan.rules_version if good else None,
            summary=report.as_dict(),
            now=end.at,
            settle=both(
                both(
                    after_cycle(health.terms_of(self._plan), end),
                    self._holding.after_cycle(went_through=stopped is None),
                ),
                await tell_of_overdue(self._store, self._job.name, end.at),
            ),
        )
        return replace(report, problems=[*report.problems, *await self._put_away()]) if good else report

    async def _end(self, begun: Begun, *, good: bool) -> CycleEnd:
        """Return what the cycle came to for the job's health."""
        course, counts, standing = self._course, self._journal.counts, begun.standing
        figures = await self._store.figures(self._job.name)
        breach = health.breach_of(course, counts, figures, standing)
        proves: bool | None = True
        if breach is None and not course.halted:
            breach = await health.breach_of_source(self._world, self._plan, self._reading)
        if breach is None and not course.halted:
            proves = health.proves(standing, counts, figures, self._reading)
        looks_dead = not course.halted and not health.at_once(breach) and health.looks_dead(course, counts)
        if proves is None or looks_dead:
            # an app that is away fails everybody: that is told as what it is, and not by how many they are
            breach = await health.test_target(self._world.target) or breach
        unread = breach is not None and bool(breach.source)
        return CycleEnd(
            self._clock.now(),
            good,
            compared=self._deciding.compared,
            judged=self._reading.all_complete if self._reading.ended and not unread else None,
            watermark=self._reading.watermark is not None,
            halted=course.halted,
            breach=breach,
            proves=proves is not False,
            failures=await health.failures_of(self._store, self._state.job_id, begun.cycle_id, figures),
            problems=self._reading.problems,
            missing_groups=self._reading.missing_groups,
            target=self._job.target,
            expires=self._plan.credential_expires,
        )

    def _report(self, begun: Begun, stopped: Failed | None, end: CycleEnd) -> CycleReport:
        holding, held_groups, requests = self._holding, self._joining.held, self._world.target.requests
        result: State = "active"
        if holding.problems or held_groups:
            result = "held"
        if end.breach is not None or not end.proves:
            result = "quarantine"
        if not self._reading.all_complete:
            result = "incomplete"
        forbidden = self._course.forbidden if not self._journal.counts["create"] else None
        dead = end.breach is not None and end.breach.reason is QuarantineReason.EXCEPTION
        if stopped is not None or forbidden is not None or dead:
            result = "unreachable"
        if self._course.halted:
            result = "paused"
        problems = self._reader.problems
        problems += [refusal.reason for refusal in (stopped, forbidden) if refusal is not None]
        if end.breach is not None and stopped is None and forbidden is None:
            problems.append(f"{end.breach.rule}: {end.breach.arithmetic or end.breach.answer}")
        problems += holding.problems
        problems += [f"group {one.group.name} held: {one.why}" for one in held_groups]
        return CycleReport(
            job=self._job.name,
            cycle_id=begun.cycle_id,
            kind="initial" if begun.initial else "incremental",
            started_at=begun.at,
            duration_seconds=self._clock.monotonic() - begun.ticking,
            state=result,
            users_read=self._reading.users,
            groups_read=self._reading.groups,
            complete=self._reading.all_complete,
            counts=dict(self._journal.counts),
            requests={method: n - begun.requests.get(method, 0) for method, n in requests.items()},
            failures=self._course.failures,
            problems=list(dict.fromkeys(problems)),
            arithmetic=holding.arithmetic,
            only=self._job.only,
        )

    async def _put_away(self) -> list[str]:
        """Let the source put away what it gave, now that it is safe; return what could not be."""
        source = self._world.source
        return [] if self._world.rehearsal or not isinstance(source, Tidying) else await source.settled()
