"""One cycle of one job, from the watermark to the watermark: read it top to bottom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

import anyio

from reconciler.core.decisions import Operation
from reconciler.core.escrow import OF_AN_OUTAGE
from reconciler.core.guarding import Guards
from reconciler.core.health import compares
from reconciler.core.model import KINDS, Kind
from reconciler.core.outcomes import Failed
from reconciler.core.standing import Standing
from reconciler.ports import JobState
from reconciler.runtime import health
from reconciler.runtime.apply import Applier
from reconciler.runtime.asking import Asking
from reconciler.runtime.beside import Beside
from reconciler.runtime.canary import Canary
from reconciler.runtime.closing import Begun, Closing
from reconciler.runtime.course import Course
from reconciler.runtime.deciding import Deciding
from reconciler.runtime.draining import drain
from reconciler.runtime.grouped import one_of
from reconciler.runtime.guarding import Guarding
from reconciler.runtime.holding import Holding
from reconciler.runtime.joining import Joining, Removals
from reconciler.runtime.journal import Journal
from reconciler.runtime.leavers import Leavers
from reconciler.runtime.pruning import prune
from reconciler.runtime.reading import Reader, wanted_by
from reconciler.runtime.referring import Referring
from reconciler.runtime.report import CycleReport, not_begun, not_run
from reconciler.runtime.rules import compiled
from reconciler.runtime.spool import Spool
from reconciler.runtime.turns import Hand, UnderWay
from reconciler.runtime.world import Observer, Plan, World

STOPPED_WITHIN_SECONDS = 10.0
"""How long what is under way is waited for when a person stops a cycle: an answer, not what a target asks to wait."""
SHOWN_AFTER_SECONDS = 2.0
"""How long a target is given to show what it made before it is asked again for whom no answer came."""


async def run_cycle(
    plan: Plan,
    world: World,
    *,
    full: bool = False,
    observer: Observer | None = None,
    stop: anyio.Event | None = None,
    though_paused: bool = False,
    asked_by: str = "",
    clock_is_right: bool = False,
) -> CycleReport:
    """Run one cycle and return what it came to; of a job that is paused, say so and do nothing (`though_paused`: run).

    `stop` ends it between two requests; what was done until then is written down, and the report's state is "paused".
    `asked_by` is who had it run; empty: its time had come. `clock_is_right`: a person says so, whatever the state says.
    Raises StateError where the state cannot be used; everything else that goes wrong is in the report.
    """
    standing = await world.store.standing(plan.job.name)
    if standing.paused is not None and not though_paused:
        return not_run(plan.job.name, standing.paused, world.clock.now())
    if plan.job.require_test and not await world.store.history(plan.job.name, 1):
        lines = [*await world.source.test(wanted_by(plan)), *await world.target.test()]
        if not all(line.ok for line in lines):
            failed = [f"{line.text} ({line.hint})" if line.hint else line.text for line in lines if not line.ok]
            return not_begun(plan.job.name, failed, world.clock.now())
    try:
        full = full or compares(standing, plan.job.full_interval_seconds, world.clock.now())
        report = await _Cycle(
            *(plan, world, standing),
            full=full,
            observer=observer,
            stop=stop,
            asked_by=asked_by,
            clock_is_right=clock_is_right,
        ).run()
        if observer is None and plan.log_retention_seconds is not None:
            now = world.clock.now()
            await prune(world.store, now - plan.log_retention_seconds, now)
        return report
    except BaseExceptionGroup as errors:
        raise one_of(errors) from errors


class _Cycle:
    def __init__(
        self,
        plan: Plan,
        world: World,
        standing: Standing,
        *,
        full: bool,
        observer: Observer | None,
        stop: anyio.Event | None,
        asked_by: str,
        clock_is_right: bool,
    ) -> None:
        self._clock_is_right = clock_is_right
        self._standing = standing
        self._plan, self._world, self._full, self._observer = plan, world, full, observer
        self._stop, self._asked_by = stop, asked_by
        self._job = plan.job
        self._turns, self._hand, self._canary = world.turns.of(plan.job.name), Hand(), Canary(plan.job)
        self._beside = Beside(plan.job, plan.beside)
        self._store, self._clock = world.store, world.clock
        self._rules = compiled(plan.job, plan.profile)

    async def run(self) -> CycleReport:
        at, ticking = self._clock.now(), self._clock.monotonic()
        requests = dict(self._world.target.requests)
        cycle_id = self._world.dice.hex(32)
        async with self._turns.door:
            state = await self._store.open_job(
                self._job.name,
                self._world.source.identity,
                self._world.target.identity,
                at,
                cycle_id=cycle_id,
                asked_by=self._asked_by,
                clock_is_right=self._clock_is_right,
            )
            if health.comes_after_an_outage(self._standing):
                await self._store.end_waits(state.job_id, state.epoch, OF_AN_OUTAGE, at)
            # nobody is in hand yet: what a cycle wrote of them later would be what it knew before
            named = [kind for kind, rules in self._rules.items() if rules.references]
            await self._store.unsettle_who_names_one_let_go(state.job_id, named)
            self._managed = await self._store.linked_count(state.job_id)
            initial = self._full or state.completed_rules != self._plan.rules_version
            begun = Begun(cycle_id, at, ticking, requests, initial, self._standing)
            self._furnish(state, expect_many=initial)
            await self._holding.begin()
            self._deciding.taken_out = self._holding.taken_out
            self._deciding.undecided = self._holding.undecided
            self._turns.cycle = UnderWay(
                cycle_id, state, self._hand, self._deciding.claims.claimed, write_down=self._journal.flush
            )
        try:
            try:
                await self._go_through(state, cycle_id, initial=initial)
            finally:
                with anyio.CancelScope(shield=True):  # what was done is written down, also when we are cut off
                    await self._journal.flush()
            async with self._turns.door:
                await self._look_again_at_whom_it_left_alone(state)
                return await self._closing.close(begun)
        finally:
            self._turns.cycle = None
            self._deciding.elsewhere.end()

    async def _go_through(self, state: JobState, cycle_id: str, *, initial: bool) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._journal.keep_flushing)
            tasks.start_soon(self._hear_stop, tasks.cancel_scope)
            async with anyio.create_task_group() as workers:
                for _ in range(self._plan.concurrency):
                    workers.start_soon(self._applier.work)
                await self._list_for_comparison()
                await self._reader.read(initial=initial)
                await self._leavers.find(initial=initial, audit=self._reader.audit)
                await self._reader.say_what_was_missed()
                await self._let_negatives_go()
                await self._deciding.send(await self._guarding.weigh())
                self._spool.close()
            await self._applier.taken_names.settle()
            await self._match_again()
            await self._journal.flush()
            await self._join()
            await self._holding.keep(cycle_id, self._joining.held)
            tasks.cancel_scope.cancel()

    async def _hear_stop(self, going_on: anyio.CancelScope) -> None:
        """Let nothing more be asked or sent once a person says so; what does not end by itself is cut off."""
        if self._stop is None:
            return
        await self._stop.wait()
        self._course.halt()
        await self._clock.sleep(STOPPED_WITHIN_SECONDS)
        going_on.cancel()

    def _furnish(self, state: JobState, *, expect_many: bool) -> None:
        """Set up the parts of this cycle around the opened job."""
        job_id, world, plan = state.job_id, self._world, self._plan
        self._journal = Journal(world.store, job_id, state.epoch, world.clock)
        world.progress.follow(self._journal.counts)
        self._spool = Spool(world.store, job_id)
        self._asking: dict[Kind, Asking] = {
            kind: Asking(
                world.store,
                world.target,
                job_id,
                kind,
                plan.profile,
                [*(mapping.to for mapping in rules.mapper.match_mappings), *rules.mapper.choosing],
                concurrency=plan.concurrency,
                expect_many=expect_many,
            )
            for kind, rules in self._rules.items()
        }
        self._course = Course(self._journal.counts, world.clock)
        self._applier = Applier(
            plan.job,
            plan.profile,
            world.store,
            world.target,
            self._journal,
            self._spool,
            self._asking,
            world.clock,
            world.progress,
            self._hand,
            self._course,
        )
        guards, first = Guards.of(plan.job, plan.profile), state.completed_rules != plan.rules_version
        self._holding = Holding(plan.job, world, state, self._journal, guards, self._tell, first=first)
        self._guarding = Guarding(
            plan.job,
            job_id,
            world.store,
            world.clock,
            guards,
            self._holding,
            managed=self._managed,
            some=self._canary.restricted,
        )
        self._deciding = Deciding(
            plan.job,
            plan.profile,
            job_id,
            world.store,
            world.target,
            self._journal,
            self._asking,
            self._course,
            world.clock,
            world.dice,
            self._guarding,
            self._send,
            source=world.source.identity,
            full=self._full,
            hand=self._hand,
            making=world.turns.making,
        )
        self._referring = Referring(
            plan.job,
            job_id,
            world.store,
            world.target,
            self._journal,
            self._course,
            world.clock,
            lambda operation: self._tell([operation], ""),
            concurrency=plan.concurrency,
            hand=self._hand,
            canary=self._canary,
        )
        self._joining = Joining(
            plan.job,
            job_id,
            world.store,
            world.target,
            self._journal,
            self._asking,
            self._course,
            world.clock,
            world.progress,
            self._holding,
            concurrency=plan.concurrency,
            hand=self._hand,
            canary=self._canary,
        )
        self._reader = Reader(
            plan,
            world,
            state,
            self._rules,
            self._journal,
            self._course,
            self._deciding,
            self._canary,
            self._beside,
            full=self._full,
        )
        self._reading = self._reader.reading
        self._leavers = Leavers(
            world,
            state,
            self._rules,
            self._journal,
            self._course,
            self._deciding,
            self._reading,
            self._canary,
            full=self._full,
            hand=self._hand,
        )
        self._closing = Closing(
            plan, world, state, self._journal, self._course, self._reader, self._deciding, self._holding, self._joining
        )

    async def _send(self, operations: Sequence[Operation]) -> None:
        self._tell(operations, "")
        await self._spool.put(operations)

    def _tell(self, operations: Sequence[Operation], held: str) -> None:
        if self._observer is not None:
            for operation in operations:
                self._observer(operation, held)

    async def _list_for_comparison(self) -> None:
        """In a full cycle, take everything that the target shows into the store once."""
        if not self._full:
            return
        for asking in self._asking.values():
            end = await asking.list_all()
            if isinstance(end, Failed) and self._course.refused_a_question(end):
                return

    async def _let_negatives_go(self) -> None:
        await self._deciding.decide_late(last=False)
        negatives = self._deciding.negatives
        with self._hand.holding([operation.record.key for operation in negatives]) as left_alone:
            self._deciding.negatives = [o for o in negatives if o.record.key not in left_alone]
            cleared = await self._deciding.attempt(await self._cleared())
        self._spool.put_urgent(cleared)

    async def _cleared(self) -> list[Operation]:
        """Return the disables and deletes that no safeguard holds, once it is known who takes an account over."""
        known = self._reading.complete.get("memberships", False)
        recovering = self._deciding.recovering
        negatives = self._deciding.negatives
        negatives = await self._holding.pass_on(negatives, self._beside, recovering, memberships_known=known)
        self._deciding.negatives = negatives
        # who takes no part has not lost the cause for which an operation of hers is held
        whole = self._reading.all_complete and self._course.stopped is None and not self._canary.restricted
        # Accounts that were made in this cycle are no reason to let more of the others go.
        return await self._holding.weigh(negatives, managed=self._managed + self._deciding.matched, whole=whole)

    async def _match_again(self) -> None:
        """Match once more whose account has vanished, whose name was taken, or whose account is free only now."""
        weighed = {id(operation): operation for operation in self._deciding.negatives}
        await self._drain(partial(self._deciding.decide_late, last=True))
        again, self._applier.again = self._applier.again, []
        self._applier.last_round = True
        unasked = self._course.unasked
        if self._applier.lost_an_answer and self._course.stopped is None and unasked is None:
            await self._clock.sleep(SHOWN_AFTER_SECONDS)
        for kind in KINDS:
            ids = [source_id for one, source_id in again if one == kind]
            if ids and kind in self._rules and self._course.stopped is None and unasked is None:
                await self._drain(partial(self._reader.fetch, self._rules[kind], ids))
        for kind, source_id in self._applier.again:
            self._course.failed(source_id, "match", "InvalidAnchor", f"the {kind}'s account vanishes again and again")
        # what is to be taken away of these was not weighed with the others: the next cycle plans it anew
        for operation in self._deciding.negatives:
            if id(operation) not in weighed:
                await self._journal.entry(replace(operation.record, fingerprint=None))

    async def _drain(self, produce: Callable[[], Awaitable[object]]) -> None:
        await drain(produce, self._spool, self._applier, concurrency=self._plan.concurrency)

    async def _join(self) -> None:
        await self._referring.references()
        if "group" in self._rules:
            why_held = self._holding.why_removals_are_held
            removals: Removals = "held" if why_held else "allowed"
            if not self._reading.complete.get("memberships", False):
                removals = "not known"
            await self._joining.members(
                removals,
                why_held,
                compare=self._reading.in_source,
                leaving={o.record.source_id for o in self._deciding.negatives if o.record.kind == "group"},
                whole=self._reading.all_complete and not self._canary.restricted,
            )
        for one in self._joining.held:
            self._journal.counts["held"] += len(one.members)

    async def _look_again_at_whom_it_left_alone(self, state: JobState) -> None:
        """Have the next cycle look at whom this one left to a run on demand: what it had read of them may be newer."""
        for kind in KINDS:
            ids = [source_id for one, source_id in self._hand.passed_over if one == kind]
            for record in (await self._store.records(state.job_id, kind, ids)).values() if ids else ():
                await self._journal.entry(replace(record, fingerprint=None))
        await self._journal.flush()
