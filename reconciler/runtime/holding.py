"""Weighs what would take something away in one cycle; holds it back where a safeguard says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.core import safeguards, settling, telling
from reconciler.core.decisions import Operation
from reconciler.core.model import Job, SourceId
from reconciler.core.records import Record
from reconciler.core.safeguards import Held
from reconciler.ports import HeldOperation, JobState
from reconciler.runtime.journal import Journal
from reconciler.runtime.passing_on import let_go
from reconciler.runtime.world import World


class Holding:
    """What is held: before this cycle, by this cycle, after it."""

    def __init__(
        self,
        job: Job,
        world: World,
        state: JobState,
        journal: Journal,
        tell: Callable[[Sequence[Operation], str], None],
    ) -> None:
        self._job, self._world, self._state, self._journal, self._tell = job, world, state, journal, tell
        self._store, self._clock = world.store, world.clock
        self.held: list[Operation] = []
        self.why = ""
        """The arithmetic by which this cycle holds; empty: it does not."""
        self.arithmetic = ""
        self._before: list[HeldOperation] = []
        self._still: list[HeldOperation] = []
        """What was held before, and cannot be said to be without cause after a reading that is not whole."""

    async def pass_on(self, negatives: Sequence[Operation]) -> list[Operation]:
        """Pass accounts on that other jobs have in scope; return the operations on the accounts that are left."""
        return await let_go(
            negatives,
            self._job.name,
            self._state,
            self._world.source.identity,
            self._world.target.identity,
            self._store,
            self._journal,
            self._clock.now(),
        )

    async def weigh(self, negatives: list[Operation], *, managed: int, whole: bool) -> list[Operation]:
        """Look at all disables and deletes together; return them, or nothing where a safeguard holds them.

        `whole`: everything was read, so what was held before and is not planned any more has lost its cause.
        """
        now = self._clock.now()
        since = now - self._job.safeguards.window_seconds
        recent = await self._store.negatives_since(self._state.job_id, since)
        self._before = [held for hold in await self._store.held(self._job.name) for held in hold.operations]
        planned = {(o.record.kind, o.record.source_id, o.word) for o in negatives}
        if not whole:
            self._still = [b for b in self._before if (b.kind, b.source_id, b.operation) not in planned]
        n_still_held = sum(held.operation != "members" for held in self._still) if negatives else 0
        verdict = safeguards.verdict(len(negatives) + n_still_held, recent, managed, self._job.safeguards)
        self.arithmetic = verdict.arithmetic
        if not isinstance(verdict, Held):
            self._tell(negatives, "")
            return negatives
        await self._hold_back(negatives, verdict.arithmetic, now)
        return []

    async def _hold_back(self, negatives: list[Operation], why: str, now: float) -> None:
        self.held, self.why = negatives, why
        self._journal.counts["held"] += len(negatives)
        self._tell(negatives, why)
        before = {(held.kind, held.source_id, held.operation) for held in self._before}
        for operation in negatives:
            await self._journal.entry(settling.held(operation, now))
            if (operation.record.kind, operation.record.source_id, operation.word) not in before:
                self._journal.log(telling.staged(operation, why, now))

    @property
    def why_removals_are_held(self) -> str:
        """Why no member is taken out of a group either; empty: nothing stands against it."""
        if self.held or any(held.operation != "members" for held in self._still):
            return f"the job is held: {self.why or self._still[0].why}"
        return ""

    @property
    def groups_held_before(self) -> frozenset[SourceId]:
        """The groups of which an operator knows already that their removals are held."""
        return frozenset(held.source_id for held in self._before if held.operation == "members")

    async def keep(self, cycle_id: str, groups: Sequence[tuple[Record, int, str]]) -> None:
        """Write down everything that is held, for a person to allow; where nothing is any more, release the hold.

        `groups`: the groups of which removals are held, how many of them, by which arithmetic.
        """
        held = [HeldOperation(o.record.kind, o.record.source_id, o.record.name, o.word, o.why) for o in self.held]
        held += [HeldOperation("group", r.source_id, r.name, "members", why) for r, _, why in groups]
        if self._still:
            known = {(one.kind, one.source_id, one.operation) for one in held}
            held += [b for b in self._still if (b.kind, b.source_id, b.operation) not in known]
        if held:
            why = self.why or held[0].why
            await self._store.hold(self._state.job_id, cycle_id, self._clock.now(), why, held)
        else:
            await self._store.release(self._state.job_id)
