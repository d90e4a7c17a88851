"""Weighs what would take something away in one cycle; keeps what is held, with what people said to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from reconciler.core import notices, safeguards, settling, telling
from reconciler.core.decisions import Leave, Operation
from reconciler.core.guarding import Guards
from reconciler.core.model import KINDS, Job, Kind, SourceId, TargetId
from reconciler.core.notices import HeldEntry, Notice, Settle
from reconciler.core.reasons import Reason
from reconciler.core.records import Record, Verdict
from reconciler.core.safeguards import ALWAYS_HELD, Held, Safeguard
from reconciler.core.standing import Standing
from reconciler.ports import Decided, HeldOperation, Hold, JobState, chunks
from reconciler.runtime.beside import Beside
from reconciler.runtime.journal import Journal
from reconciler.runtime.passing_on import leave_to, let_go
from reconciler.runtime.recovering import Recovering
from reconciler.runtime.world import World

PAGE = 1000
Key = tuple[Kind, SourceId, str]


@dataclass(frozen=True, slots=True)
class HeldRemovals:
    """The members that a safeguard keeps in one group."""

    group: Record
    members: Sequence[TargetId]
    why: str


class Withheld(NamedTuple):
    """What a safeguard holds back of one entry."""

    word: str
    code: Reason
    why: str


@dataclass(slots=True)
class _Held:
    """What one safeguard holds in this cycle."""

    why: str
    operations: list[HeldOperation] = field(default_factory=list)


class Holding:
    """What is held: before this cycle, by this cycle, after it."""

    def __init__(
        self,
        job: Job,
        world: World,
        state: JobState,
        journal: Journal,
        guards: Guards,
        tell: Callable[[Sequence[Operation], str], None],
        *,
        first: bool,
    ) -> None:
        """`first`: no cycle has completed under the rules as they are now."""
        self._job, self._world, self._state, self._journal, self._tell = job, world, state, journal, tell
        self._store, self._clock, self._guards, self._first = world.store, world.clock, guards, first
        self.arithmetic = ""
        """The line of each safeguard that was asked, whether it holds or not."""
        self.taken_out: Mapping[tuple[Kind, SourceId], str] = {}
        """Who was taken out by hand, and by whom."""
        self.undecided: set[tuple[Kind, SourceId]] = set()
        """Of whom something was held, or said, before this cycle, and it has come to no other decision so far."""
        self.withheld: dict[tuple[Kind, SourceId], Withheld] = {}
        """The entries of which this cycle holds something back."""
        self.notices: Sequence[Notice] = ()
        """What people are to be told of: the holds as they are at the end."""
        self.kept_accounts: set[TargetId] = set()
        """Accounts whose disable or delete does not run now: they stay in their groups, too."""
        self._held: dict[Safeguard, _Held] = {}
        self._before: dict[Safeguard, Mapping[Key, HeldOperation]] = {}
        self._decided: dict[Key, Decided] = {}
        self._wanted: set[Key] = set()
        """The operations of this cycle on which something was decided before."""
        self._planned: set[Key] = set()
        """The operations of this cycle that were looked at."""
        self._whole = False
        self._forced = False
        """A person said: this time everybody goes whom the rules let go."""

    async def begin(self) -> None:
        """Take up what was held, and what people have said to it since."""
        for hold in await self._store.held(self._job.name):
            self._before[hold.safeguard] = {operation.key: operation for operation in hold.operations}
        self.taken_out = await self._store.who_is_out(self._job.name)
        self._forced = (await self._store.standing(self._job.name)).force_deletes
        self._decided = {decided.operation.key: decided for decided in await self._store.decisions(self._job.name)}
        spoken_of = {*self._decided, *(key for before in self._before.values() for key in before)}
        self.undecided = {(kind, source_id) for kind, source_id, _ in spoken_of}

    # --- disables and deletes ------------------------------------------------------------------------------------

    async def pass_on(
        self, negatives: Sequence[Operation], beside: Beside, recovering: Recovering, *, memberships_known: bool
    ) -> list[Operation]:
        """Pass accounts on that other jobs have in scope; return the operations on the accounts that are left."""
        left = await let_go(
            negatives,
            self._job.name,
            self._state,
            self._world.source.identity,
            self._world.target.identity,
            self._store,
            self._journal,
            recovering,
            self._clock.now(),
        )
        said = await beside.ask(left, self._world, self._state.job_id, complete=memberships_known)
        self.undecided.difference_update(said.wanted)
        return await leave_to(left, said, self._journal, self._clock.now())

    async def weigh(self, negatives: Sequence[Operation], *, managed: int, whole: bool) -> list[Operation]:
        """Look at all disables and deletes together; return those that may run.

        A person's word goes before any limit. `whole`: everything was read, so what was held before and is not
        planned any more has lost its cause, unless nothing could be decided.
        """
        self._whole = whole
        if whole:
            await self._leave_out_the_settled({operation.record.key for operation in negatives})
        cleared, together = [], []
        for operation in negatives:
            key = (*operation.record.key, operation.word)
            if (said := await self.decided(operation, operation.word)) is not None:
                cleared += [operation] if said else []
                continue
            safeguard = self._guards.of_negative(operation, first=self._first)
            if key in self._before.get("adopted", {}):
                safeguard = "adopted"  # a cycle that is not the first does not slip past
            if safeguard == "deletions" and operation.word == "delete" and self._state.leap is not None:
                await self.hold(operation, "clock", self._state.leap.why_deletes_wait)
            elif safeguard == "deletions":
                together.append(operation)
            else:
                await self.hold(operation, safeguard, ALWAYS_HELD[safeguard])
        cleared += await self._weigh_together(together, managed)
        self._tell(cleared, "")
        return cleared

    async def _weigh_together(self, negatives: list[Operation], managed: int) -> list[Operation]:
        since = self._clock.now() - self._job.safeguards.window_seconds
        recent = await self._store.counted_since(self._state.job_id, "deletions", since)
        n_still_held = len(self.still_held("deletions")) if negatives else 0
        n_still_held += len(held.operations) if negatives and (held := self._held.get("deletions")) is not None else 0
        verdict = safeguards.verdict(len(negatives) + n_still_held, recent, managed, self._job.safeguards)
        self.note(verdict.arithmetic)
        if isinstance(verdict, Held):
            for operation in negatives:
                await self.hold(operation, "deletions", verdict.arithmetic)
            return []
        return negatives

    def still_held(self, safeguard: Safeguard, *, removals: bool = False) -> list[HeldOperation]:
        """Return what was held before, and cannot be said to be without cause: it was not read, or not decided on."""
        before = [o for key, o in self._before.get(safeguard, {}).items() if key not in self._planned]
        return [o for o in before if (removals or o.operation != "members") and not self._lost_its_cause(o)]

    def _lost_its_cause(self, operation: HeldOperation) -> bool:
        return self._whole and (operation.kind, operation.source_id) not in self.undecided

    async def _leave_out_the_settled(self, planned: Set[tuple[Kind, SourceId]]) -> None:
        """Take those out of the undecided whom this cycle had no cause to look at, as an earlier one settled them."""
        await self._journal.flush()
        for kind in KINDS:
            ids = sorted(source_id for one, source_id in self.undecided - planned if one == kind)
            for page in chunks(ids, PAGE):
                records = await self._store.records(self._state.job_id, kind, page)
                self.undecided -= {(kind, one) for one in page if one not in records or _is_settled(records[one])}

    # --- one operation -------------------------------------------------------------------------------------------

    async def decided(
        self, operation: Operation, word: str, about: tuple[str, ...] = (), *, rest: Operation | None = None
    ) -> bool | None:
        """Return what a person said to the operation: True, it may run; False, it is left; None: nothing yet.

        Of what was rejected, the account stays as it is until the verdict on its owner changes. `rest`: what is done
        all the same.
        """
        key = (*operation.record.key, word)
        self._planned.add(key)
        if operation.negative and (self._forced or operation.record.key in self.taken_out):
            operation.approved = True
            return True
        said = self._decided.get(key)
        if said is None or not set(about) <= set(said.operation.about or about):
            return None
        if said.decision == "approved":
            self._wanted.add(key)
            operation.approved = True
            return True
        if said.operation.verdict != str(operation.verdict):
            return None
        self._wanted.add(key)
        self._keep_account(operation)
        if rest is None:
            why = f"{operation.why}; rejected by {said.by}"
            new = operation.record.why != why
            record = settling.let_be(operation, why, self._clock.now())
            left = Leave(why, "RejectedByOperator", operation.verdict)
            await self._journal.entry(record, telling.skipped(record, left, self._clock.now()) if new else None)
            self._journal.counts["skip"] += 1
        return False

    async def hold(
        self, operation: Operation, safeguard: Safeguard, why: str, *, word: str = "", rest: Operation | None = None
    ) -> None:
        """Hold an operation back. `word`: what is held of it; `rest`: what is done of it all the same."""
        record, word = operation.record, word or operation.word
        held = self._held.setdefault(safeguard, _Held(why))
        held.why = why
        about = self._guards.about(operation, safeguard)
        reason = self._guards.why(operation, safeguard)
        one = HeldOperation(
            record.kind, record.source_id, record.name, word, reason, str(operation.verdict), tuple(about)
        )
        held.operations.append(one)
        self.withheld[record.key] = Withheld(word, telling.HELD_BY[safeguard], why)
        if safeguard != "deletions":  # of which all removals wait
            self._keep_account(operation)
        self._journal.counts["held"] += 1
        self._tell([operation], why)
        if rest is None:
            await self._journal.entry(settling.not_sent(operation, self._clock.now()))
        if one.key not in self._before.get(safeguard, {}):
            self._journal.log(telling.staged(operation, reason, why, safeguard, self._clock.now()))

    def note(self, arithmetic: str) -> None:
        """Keep the line of a safeguard for the report."""
        self.arithmetic = f"{self.arithmetic}; {arithmetic}" if self.arithmetic else arithmetic

    def _keep_account(self, operation: Operation) -> None:
        if operation.negative and operation.record.link is not None:
            self.kept_accounts.add(operation.record.link.target_id)

    # --- members of groups ---------------------------------------------------------------------------------------

    @property
    def why_removals_are_held(self) -> str:
        """Why no member is taken out of a group either; empty: nothing stands against it."""
        if (held := self._held.get("deletions")) is not None:
            return f"the job is held: {held.why}"
        still = self.still_held("deletions")
        return f"the job is held: {still[0].why}" if still else ""

    @property
    def removals_held(self) -> Mapping[SourceId, HeldOperation]:
        """The groups of which an operator knows already that their removals are held, with what is."""
        held = [operation for before in self._before.values() for operation in before.values()]
        return {operation.source_id: operation for operation in held if operation.operation == "members"}

    @property
    def groups_let_go(self) -> list[SourceId]:
        """Return the groups out of which members may be taken now who could not before.

        A person said so, and they are still there; or they waited with the job's disables, which nothing holds now.
        """
        let_go = {key[1] for key, said in self._decided.items() if key[2] == "members" and said.decision == "approved"}
        if not self.why_removals_are_held:
            let_go |= {key[1] for key in self._before.get("deletions", {}) if key[2] == "members"}
        return sorted(let_go)

    def decided_on_members(self, group: SourceId) -> tuple[frozenset[str], frozenset[str]]:
        """Return the accounts that a person let go from a group, and those that are to stay."""
        said = self._decided.get(("group", group, "members"))
        if said is None:
            return frozenset(), frozenset()
        about = frozenset(said.operation.about)
        return (about, frozenset()) if said.decision == "approved" else (frozenset(), about)

    async def members_settled(self, group: SourceId, wanted: Collection[TargetId]) -> None:
        """Take in who is still to be taken out of a group: a decision on anybody else is needed no more."""
        key: Key = ("group", group, "members")
        if (said := self._decided.get(key)) is not None:
            left = [one for one in said.operation.about if one in wanted]
            self._wanted.add(key)
            if not left:
                await self._store.drop_decisions(self._state.job_id, [key])
            elif len(left) < len(said.operation.about):
                await self._store.narrow_decision(self._state.job_id, key, left)

    def after_cycle(self, *, went_through: bool) -> Settle:
        """Return who is to be told what is held.

        That a person forced the deletes was good for one cycle that went through, also where it could not read
        everything: nobody has looked at what a later reading may want to take away.
        """

        def settle(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
            done = went_through and self._forced
            return (replace(standing, force_deletes=False) if done else standing), self.notices

        return settle

    # --- the end -------------------------------------------------------------------------------------------------

    @property
    def problems(self) -> list[str]:
        """Return what is held, and by which arithmetic, for a person."""
        return [f"held: {held.why}" for held in self._held.values()]

    async def keep(self, cycle_id: str, removals: Sequence[HeldRemovals]) -> None:
        """Write down everything that is held, for a person to allow; where nothing is any more, release the hold."""
        job_held = bool(self.why_removals_are_held)
        by: dict[Safeguard, list[HeldOperation]] = {s: list(held.operations) for s, held in self._held.items()}
        why: dict[Safeguard, str] = {safeguard: held.why for safeguard, held in self._held.items()}
        safeguard: Safeguard
        for one in removals:
            # what only waits with the job's disables is decided on with them
            safeguard = "deletions" if job_held else "members"
            why.setdefault(safeguard, one.why)
            by.setdefault(safeguard, []).append(
                HeldOperation(
                    *("group", one.group.source_id, one.group.name, "members", one.why),
                    verdict=str(one.group.verdict),
                    about=tuple(one.members),
                )
            )
        self._planned.update(("group", one.group.source_id, "members") for one in removals)
        for safeguard in self._before:
            if still := self.still_held(safeguard, removals=True):
                by.setdefault(safeguard, []).extend(still)
                why.setdefault(safeguard, still[0].why)
        decided = await self._decided_meanwhile()
        for safeguard in {**by, **self._before}:
            if operations := [one for one in by.get(safeguard, ()) if not _is_decided(one, decided.get(one.key))]:
                now = self._clock.now()
                await self._store.hold(self._state.job_id, cycle_id, now, why[safeguard], operations, safeguard)
            else:
                await self._store.release(self._state.job_id, safeguard)
        await self._drop_what_is_decided_and_done()
        self.notices = [_notice(hold, self._clock.now()) for hold in await self._store.held(self._job.name)]

    async def _decided_meanwhile(self) -> Mapping[Key, Decided]:
        """Return what people have said since this cycle began: they are not asked again."""
        decided = await self._store.decisions(self._job.name)
        return {said.operation.key: said for said in decided if said.operation.key not in self._decided}

    async def _drop_what_is_decided_and_done(self) -> None:
        """Forget a person's word where the operation was done, or is not wanted any more."""
        await self._journal.flush()
        dropped: list[Key] = []
        for kind in KINDS:
            of_kind = [said for said in self._decided.values() if said.operation.kind == kind]
            ids = [said.operation.source_id for said in of_kind]
            records = await self._store.records(self._state.job_id, kind, ids) if ids else {}
            dropped += [
                said.operation.key for said in of_kind if self._is_over(said, records.get(said.operation.source_id))
            ]
        if dropped:
            await self._store.drop_decisions(self._state.job_id, dropped)

    def _is_over(self, said: Decided, record: Record | None) -> bool:
        operation = said.operation
        if record is None or _was_done(operation.operation, record):
            return True
        if operation.key in self._wanted:
            return False
        if said.decision == "rejected":
            return record.verdict is not Verdict.UNKNOWN and str(record.verdict) != operation.verdict
        settled = record.verdict is Verdict.IN_SCOPE and record.fingerprint is not None
        return operation.operation != "members" and (self._lost_its_cause(operation) or settled)


def _is_decided(held: HeldOperation, said: Decided | None) -> bool:
    """Return whether a person's word is about just this operation."""
    if said is None or not set(held.about) <= set(said.operation.about):
        return False
    return said.decision == "approved" or said.operation.verdict == held.verdict


def _is_settled(record: Record) -> bool:
    """Return whether all that was to be decided on an entry is decided."""
    looked_at_again = record.fingerprint is None and record.verdict is not Verdict.GONE
    return not looked_at_again and record.escrow is None and record.verdict is not Verdict.UNKNOWN


def _was_done(word: str, record: Record) -> bool:
    link = record.link
    match word:
        case "create":
            return link is not None
        case "disable":
            return link is not None and link.disabled_at is not None
        case "delete" | "members":
            return link is None
        case _:
            return False


def _notice(hold: Hold, now: float) -> Notice:
    told = [HeldEntry(o.kind, o.source_id, o.name, o.operation, o.why) for o in hold.operations]
    return notices.held(
        hold.job, now, hold_id=hold.id, since=hold.since, arithmetic=hold.why, operations=told, total=len(told)
    )
