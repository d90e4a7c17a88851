"""One cycle of one job, from the watermark to the watermark: read it top to bottom."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import anyio

from reconciler.core import safeguards, settling, telling
from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.model import KINDS, Cause, Entry, Job, Kind, Profile, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed
from reconciler.core.planning import Leave, Operation
from reconciler.core.records import Record, Verdict
from reconciler.core.safeguards import Held
from reconciler.core.scoping import Leaving
from reconciler.errors import StateError
from reconciler.ports import (
    Clock,
    Dice,
    EntryPage,
    GroupMembers,
    HeldOperation,
    JobState,
    MembershipPage,
    Progress,
    ReadEnd,
    Seen,
    Source,
    Store,
    Target,
    Wanted,
    Watermark,
    chunks,
)
from reconciler.runtime.apply import Applier
from reconciler.runtime.asking import Asking
from reconciler.runtime.deciding import NO_MEMBERSHIPS, Deciding
from reconciler.runtime.joining import Joining, Removals
from reconciler.runtime.journal import Journal
from reconciler.runtime.passing_on import let_go
from reconciler.runtime.report import CycleReport, State
from reconciler.runtime.rules import Fingerprint, KindRules
from reconciler.runtime.spool import Spool

PAGE = 1000
SHOWN_AFTER_SECONDS = 2.0
"""How long a target is given to show what it made before it is asked again for whom no answer came."""


@dataclass(frozen=True, slots=True)
class World:
    """What a cycle may ask and tell."""

    source: Source
    target: Target
    store: Store
    clock: Clock
    dice: Dice
    progress: Progress


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job's cycle goes by: the job, what is known of the vendor, and the version of both."""

    job: Job
    profile: Profile
    rules_version: str
    concurrency: int


Observer = Callable[[Operation, str], None]
"""Is told each operation, and why it is held (empty: it is not)."""


@dataclass(slots=True)
class Reading:
    """What the source gave in this cycle."""

    users: int = 0
    groups: int = 0
    complete: dict[str, bool] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    watermark: str | None = None
    seen_groups: set[SourceId] = field(default_factory=set)
    unknown_groups: set[SourceId] = field(default_factory=set)
    """Groups that the rules name and the source does not show any more: not known, so not gone."""
    named: KnownGroups = field(default_factory=lambda: KnownGroups({}, complete=True))

    ended: bool = False

    @property
    def all_complete(self) -> bool:
        return self.ended and all(self.complete.values())


async def run_cycle(plan: Plan, world: World, *, full: bool = False, observer: Observer | None = None) -> CycleReport:
    """Run one cycle and return what it came to.

    Raises StateError where the state cannot be used; everything else that goes wrong is in the report.
    """
    try:
        return await _Cycle(plan, world, full=full, observer=observer).run()
    except BaseExceptionGroup as errors:
        raise _one_of(errors) from errors


class _Cycle:
    def __init__(self, plan: Plan, world: World, *, full: bool, observer: Observer | None) -> None:
        self._plan, self._world, self._full, self._observer = plan, world, full, observer
        self._job = plan.job
        self._store, self._clock = world.store, world.clock
        self._rules = {
            kind: rules for kind in KINDS if (rules := KindRules.compile(plan.job, kind, plan.profile)) is not None
        }
        self._reading = Reading()
        self._held: list[Operation] = []
        self._held_before: list[HeldOperation] = []
        self._still_held: list[HeldOperation] = []
        """What was held before, and cannot be said to be without cause after a reading that is not whole."""
        self._in_source: list[SourceId] = []
        """In a full cycle: the groups that the source showed."""
        self._hold_why = ""
        self._arithmetic = ""

    async def run(self) -> CycleReport:
        began, ticking = self._clock.now(), self._clock.monotonic()
        requests_before = dict(self._world.target.requests)
        cycle_id = self._world.dice.hex(32)
        state = await self._store.open_job(
            self._job.name, self._world.source.identity, self._world.target.identity, began, cycle_id=cycle_id
        )
        self._managed = await self._store.linked_count(state.job_id)
        initial = self._full or state.completed_rules != self._plan.rules_version
        self._furnish(state, cycle_id, expect_many=initial)

        try:
            await self._go_through(state, cycle_id, initial=initial)
        finally:
            with anyio.CancelScope(shield=True):  # what was done is written down, also when we are cut off
                await self._journal.flush()
        return await self._finish(state, cycle_id, began, self._clock.monotonic() - ticking, requests_before, initial)

    async def _go_through(self, state: JobState, cycle_id: str, *, initial: bool) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._journal.keep_flushing)
            async with anyio.create_task_group() as workers:
                for _ in range(self._plan.concurrency):
                    workers.start_soon(self._applier.work)
                await self._list_for_comparison()
                await self._read(state, initial=initial)
                await self._find_leavers(state, initial=initial)
                cleared = await self._cleared(state)
                await self._deciding.attempt(cleared)
                self._spool.put_urgent(cleared)
                self._spool.close()
            await self._applier.settle_aside()
            await self._match_again(state)
            await self._journal.flush()
            await self._look_again_at_who_points_to(self._applier.vanished, state)
            await self._join()
            await self._keep_hold(state, cycle_id)
            tasks.cancel_scope.cancel()

    def _furnish(self, state: JobState, cycle_id: str, *, expect_many: bool) -> None:
        """Set up the parts of this cycle around the opened job."""
        job_id, world, plan = state.job_id, self._world, self._plan
        self._journal = Journal(world.store, job_id, state.epoch, world.clock)
        self._spool = Spool(world.store, job_id)
        self._asking: dict[Kind, Asking] = {
            kind: Asking(
                world.store,
                world.target,
                job_id,
                kind,
                plan.profile,
                [mapping.to for mapping in rules.mapper.match_mappings],
                concurrency=plan.concurrency,
                expect_many=expect_many,
            )
            for kind, rules in self._rules.items()
        }
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
        )
        self._deciding = Deciding(
            plan.job,
            plan.profile,
            job_id,
            world.store,
            world.target,
            self._journal,
            self._asking,
            self._applier,
            world.clock,
            self._send,
            source=world.source.identity,
            full=self._full,
        )
        self._joining = Joining(
            plan.job,
            job_id,
            world.store,
            world.target,
            self._journal,
            self._applier,
            world.clock,
            world.progress,
            lambda operation: self._tell([operation], ""),
        )

    async def _send(self, operations: Sequence[Operation]) -> None:
        if self._observer is not None:
            for operation in operations:
                self._observer(operation, "")
        await self._spool.put(operations)

    # --- reading -------------------------------------------------------------------------------------------------

    async def _list_for_comparison(self) -> None:
        """In a full cycle, take everything that the target shows into the store once."""
        if not self._full:
            return
        for asking in self._asking.values():
            end = await asking.list_all()
            if isinstance(end, Failed) and self._applier.refused_a_question(end):
                return

    async def _read(self, state: JobState, *, initial: bool) -> None:
        """Take what the source gives, part by part, and decide on each page as it comes."""
        since = state.watermark if self._world.source.incremental and not initial else None
        self._seen: dict[Kind, Seen] = {kind: Seen(state.ceiling) for kind in KINDS}
        self._fingerprint: dict[Kind, Fingerprint] = {
            kind: rules.fingerprinter(state.fingerprint_key, self._plan.rules_version)
            for kind, rules in self._rules.items()
        }
        wanted = self._wanted()
        staged: list[GroupMembers] = []
        async for event in self._world.source.read(wanted, since):
            match event:
                case MembershipPage():
                    await self._stage(state, event, staged)
                case ReadEnd(part=part, complete=complete, problems=problems):
                    self._reading.complete[part] = complete
                    self._reading.problems += problems
                    if part == "memberships":
                        await self._resolve_groups(state, staged)
                case EntryPage(kind=kind, entries=entries):
                    await self._page(state, self._rules[kind], entries)
                case Watermark(token=token):
                    self._reading.watermark = token
            if self._applier.stopped is not None:
                return
        self._reading.ended = True

    def _wanted(self) -> Wanted:
        users, groups = self._rules.get("user"), self._rules.get("group")
        names = [name for rules in self._rules.values() for name in rules.scope.group_names]
        return Wanted(
            user_attributes=users.reads if users is not None else frozenset(),
            group_attributes=groups.reads if groups is not None else frozenset(),
            users=users is not None,
            groups=groups is not None,
            memberships=groups is not None or bool(names),
        )

    async def _stage(self, state: JobState, page: MembershipPage, staged: list[GroupMembers]) -> None:
        """Write memberships. Who is missing from a list is taken out only when all of it was read well."""
        self._reading.seen_groups.update(group.group_id for group in page.groups)
        if await self._store.stage_memberships(state.job_id, page.groups, additive=True):
            mixed = await self._store.mixed_groups(state.job_id, [group.group_id for group in page.groups])
            staged += [group for group in page.groups if group.group_id in mixed]

    async def _resolve_groups(self, state: JobState, staged: Sequence[GroupMembers]) -> None:
        complete = self._reading.complete["memberships"]
        if complete:
            for groups in chunks(staged, PAGE):
                await self._store.stage_memberships(state.job_id, groups, additive=False)
        names = [name for rules in self._rules.values() for name in rules.scope.group_names]
        named = await self._store.groups_named(state.job_id, sorted(set(names)))
        if complete and not self._world.source.incremental:
            staged_before = named
            # a group that a complete reading does not show is not there, whatever was staged earlier
            named = {name: tuple(i for i in ids if i in self._reading.seen_groups) for name, ids in named.items()}
        self._reading.named = KnownGroups(named, complete=complete)
        missing = self._reading.named.missing(tuple(sorted(set(names))))
        self._reading.problems += [f"the source has no group {name}: who is in it is unknown" for name in missing]
        if complete and not self._world.source.incremental:
            unknown = {group_id for name in missing for group_id in staged_before.get(name, ())}
            await self._store.drop_groups(state.job_id, self._reading.seen_groups | unknown)
            self._reading.unknown_groups = unknown

    async def _page(self, state: JobState, rules: KindRules, entries: Sequence[Entry]) -> None:
        """Tell the changed from the unchanged, and decide on the changed."""
        kind = rules.kind
        if kind == "user":
            self._reading.users += len(entries)
        else:
            self._reading.groups += len(entries)
            self._in_source += [entry.id for entry in entries] if self._full else []
        memberships = await self._memberships(state, rules, [entry.id for entry in entries])
        fingerprint = self._fingerprint[kind]
        prints = [(entry.id, fingerprint(entry, memberships.get(entry.id, NO_MEMBERSHIPS))) for entry in entries]
        records = dict(await self._store.compare(state.job_id, kind, prints, self._seen[kind], self._clock.now()))
        if self._full or rules.mapper.volatile:
            rest = [source_id for source_id, _ in prints if source_id not in records]
            more = await self._store.records(state.job_id, kind, rest)
            # a mapping that reads Now() changes what an account should be, not who has one, nor when a failure is due
            records.update({i: r for i, r in more.items() if self._full or (r.link is not None and r.escrow is None)})
        if records:
            work = [
                (entry, records[entry.id], memberships.get(entry.id, NO_MEMBERSHIPS), print_)
                for entry, (_, print_) in zip(entries, prints, strict=True)
                if entry.id in records
            ]
            await self._deciding.page(rules, self._reading.named, work)
        self._world.progress.advance("users" if kind == "user" else "groups", self._reading.users)

    async def _memberships(
        self, state: JobState, rules: KindRules, ids: Sequence[SourceId]
    ) -> Mapping[SourceId, Memberships]:
        """Return who of these is in which of the groups that the rules name."""
        direct_groups = self._reading.named.ids(rules.scope.direct_groups)
        nested_groups = self._reading.named.ids(rules.scope.nested_groups)
        direct: Mapping[SourceId, frozenset[SourceId]] = {}
        nested: Mapping[SourceId, frozenset[SourceId]] = {}
        if direct_groups:
            direct = await self._store.memberships(state.job_id, ids, direct_groups, nested=False)
        if nested_groups:
            nested = await self._store.memberships(state.job_id, ids, nested_groups, nested=True)
        none: frozenset[SourceId] = frozenset()
        return {one: Memberships(direct.get(one, none), nested.get(one, none)) for one in {*direct, *nested}}

    # --- leaving -------------------------------------------------------------------------------------------------

    async def _find_leavers(self, state: JobState, *, initial: bool) -> None:
        """After a complete reading, plan for those whom it did not show; and for those whose time has come."""
        if self._applier.stopped is not None:
            return
        for kind, rules in self._rules.items():
            if not self._reading.complete.get(kind, False):
                continue
            if not self._world.source.incremental:
                async for record in self._unseen(state, kind):
                    if kind == "user" or record.source_id not in self._reading.unknown_groups:
                        await self._leave(rules, record, "no longer in the source")
            until = settling.WHEN_ALL_ARE if initial else self._clock.now()
            async for record in self._due(state, kind, until):
                if record.verdict is Verdict.GONE:
                    await self._leave(rules, record, record.why or "no longer in the source")

    async def _unseen(self, state: JobState, kind: Kind) -> AsyncIterator[Record]:
        after = 0
        while rows := await self._store.unseen(state.job_id, kind, self._seen[kind], state.ceiling, after, PAGE):
            for row in rows:
                yield row
            after = rows[-1].row_id or 0

    async def _due(self, state: JobState, kind: Kind, until: float) -> AsyncIterator[Record]:
        after = 0
        while rows := await self._store.due(state.job_id, kind, until, after, PAGE):
            for row in rows:
                if row.row_id is not None and row.row_id not in self._seen[kind]:
                    yield row
            after = rows[-1].row_id or 0

    async def _leave(self, rules: KindRules, record: Record, why: str) -> None:
        now = self._clock.now()
        standing = Leaving(Cause.GONE, why)
        if untold := await self._deciding.recover(rules, [record]):
            failure = untold[record.source_id]
            if self._applier.stopped is None and self._applier.unasked is None:
                self._applier.failed(record.source_id, "match", failure.error_code, failure.reason)
            return
        for shown in (await self._deciding.look(rules, [record])).values():
            seen = self._deciding.seen(record, shown, leaving=True)
            assert isinstance(seen, Record)
            record = seen
        found = None
        if self._full and record.link is not None and self._applier.unasked is None:
            answer = await self._world.target.get(rules.kind, record.link.target_id)
            found = answer if isinstance(answer, Account) else None
        decision = rules.planner.plan(record, standing, None, {}, (), None, now, found)
        match decision:
            case Operation():
                self._deciding.negatives.append(decision)
            case Leave():
                changed = record.verdict is not decision.verdict
                if decision.due_at is None and record.link is not None:
                    decision = replace(decision, due_at=settling.WHEN_ALL_ARE)
                left = settling.left(record, decision, None, now)
                log = telling.skipped(left, decision, now) if changed else None
                await self._journal.entry(left, log, touches_groups=changed)
            case _:
                raise AssertionError("somebody who is gone is neither asked for nor rejected")

    async def _cleared(self, state: JobState) -> list[Operation]:
        """Look at all disables and deletes together; return them, or nothing where a safeguard holds them."""
        await self._deciding.decide_late(last=False)
        now = self._clock.now()
        self._deciding.negatives = negatives = await let_go(
            self._deciding.negatives,
            self._job.name,
            state,
            self._world.source.identity,
            self._world.target.identity,
            self._store,
            self._journal,
            now,
        )
        since = now - self._job.safeguards.window_seconds
        recent = await self._store.negatives_since(state.job_id, since)
        # Accounts that were made in this cycle are no reason to let more of the others go.
        managed = self._managed + self._deciding.matched
        self._held_before = [held for *_, operations in await self._store.held(self._job.name) for held in operations]
        planned = {(o.record.kind, o.record.source_id, o.word) for o in negatives}
        if not self._reading.all_complete or self._applier.stopped is not None:
            self._still_held = [b for b in self._held_before if (b.kind, b.source_id, b.operation) not in planned]
        n_still_held = sum(held.operation != "members" for held in self._still_held) if negatives else 0
        verdict = safeguards.verdict(len(negatives) + n_still_held, recent, managed, self._job.safeguards)
        self._arithmetic = verdict.arithmetic
        if not isinstance(verdict, Held):
            self._tell(negatives, "")
            return negatives
        self._held, self._hold_why = negatives, verdict.arithmetic
        self._journal.counts["held"] += len(negatives)
        self._tell(negatives, verdict.arithmetic)
        before = {(held.kind, held.source_id, held.operation) for held in self._held_before}
        for operation in negatives:
            await self._journal.entry(settling.held(operation, now))
            if (operation.record.kind, operation.record.source_id, operation.word) not in before:
                self._journal.log(telling.staged(operation, verdict.arithmetic, now))
        return []

    async def _keep_hold(self, state: JobState, cycle_id: str) -> None:
        """Write down everything that is held, for a person to allow; where nothing is any more, release the hold."""
        held = [HeldOperation(o.record.kind, o.record.source_id, o.record.name, o.word, o.why) for o in self._held]
        held += [HeldOperation("group", r.source_id, r.name, "members", why) for r, _, why in self._joining.held]
        if self._still_held:
            known = {(one.kind, one.source_id, one.operation) for one in held}
            held += [b for b in self._still_held if (b.kind, b.source_id, b.operation) not in known]
        if held:
            why = self._hold_why or held[0].why
            await self._store.hold(state.job_id, cycle_id, self._clock.now(), why, held)
        else:
            await self._store.release(state.job_id)

    def _tell(self, operations: Sequence[Operation], held: str) -> None:
        if self._observer is not None:
            for operation in operations:
                self._observer(operation, held)

    # --- what is left --------------------------------------------------------------------------------------------

    async def _match_again(self, state: JobState) -> None:
        """Match once more whose account has vanished, whose name was taken, or whose account is free only now."""
        await self._drain(lambda: self._deciding.decide_late(last=True))
        again, self._applier.again = self._applier.again, []
        self._applier.last_round = True
        unasked = self._applier.unasked
        if self._applier.lost_an_answer and self._applier.stopped is None and unasked is None:
            await self._clock.sleep(SHOWN_AFTER_SECONDS)
        for kind in KINDS:
            ids = [source_id for one, source_id in again if one == kind]
            if ids and kind in self._rules and self._applier.stopped is None and unasked is None:
                await self._drain(lambda kind=kind, ids=ids: self._fetch(state, self._rules[kind], ids))  # type: ignore[misc]  # because mypy infers no default
        for kind, source_id in self._applier.again:
            self._applier.failed(source_id, "match", "InvalidAnchor", f"the {kind}'s account vanishes again and again")

    async def _look_again_at_who_points_to(self, vanished: Collection[TargetId], state: JobState) -> None:
        """Have the next cycle look at every entry whose agreed references name an account that is gone."""
        for kind, rules in self._rules.items() if vanished else ():
            paths = [m.to for m in rules.rules.mappings if self._plan.profile.attribute(kind, m.to).references]
            after = 0
            while paths and (rows := await self._store.unseen(state.job_id, kind, Seen(0), sys.maxsize, after, PAGE)):
                after = rows[-1].row_id or 0
                for record in rows:
                    if record.link is not None and _names_one_of(vanished, [record.link.agreed.get(p) for p in paths]):
                        await self._journal.entry(replace(record, fingerprint=None))
                await self._journal.flush()

    async def _fetch(self, state: JobState, rules: KindRules, ids: Sequence[SourceId]) -> None:
        await self._journal.flush()
        entries = await self._world.source.fetch(rules.kind, ids, self._wanted())
        present = [entry for entry in entries.values() if entry is not None]
        memberships = await self._memberships(state, rules, [entry.id for entry in present])
        records = await self._store.records(state.job_id, rules.kind, [entry.id for entry in present])
        fingerprint = self._fingerprint[rules.kind]
        work = []
        for entry in present:
            of = memberships.get(entry.id, NO_MEMBERSHIPS)
            record = records.get(entry.id) or Record(rules.kind, entry.id)
            work.append((entry, record, of, fingerprint(entry, of)))
        await self._deciding.page(rules, self._reading.named, work, afresh=True, last=True)

    async def _drain(self, produce: Callable[[], object]) -> None:
        """Let something plan operations, and send them at once. What would take something away is left for later."""
        self._spool.reopen()
        async with anyio.create_task_group() as workers:
            for _ in range(self._plan.concurrency):
                workers.start_soon(self._applier.work)
            await produce()  # type: ignore[misc]  # because the callables given are coroutine functions
            self._spool.close()
        await self._applier.settle_aside()

    async def _join(self) -> None:
        await self._joining.references()
        if "group" in self._rules:
            removals: Removals = "allowed"
            if self._held or any(held.operation != "members" for held in self._still_held):
                removals = "held"
            if not self._reading.complete.get("memberships", False):
                removals = "not known"
            told = frozenset(held.source_id for held in self._held_before if held.operation == "members")
            why_held = f"the job is held: {self._hold_why or self._still_held[0].why}" if removals == "held" else ""
            whole = self._reading.all_complete
            leaving = {o.record.source_id for o in self._deciding.negatives if o.record.kind == "group"}
            await self._joining.members(
                removals, why_held, told=told, compare=self._in_source, leaving=leaving, whole=whole
            )
        for _, held, _ in self._joining.held:
            self._journal.counts["held"] += held

    async def _finish(
        self,
        state: JobState,
        cycle_id: str,
        began: float,
        took: float,
        requests_before: Mapping[str, int],
        initial: bool,
    ) -> CycleReport:
        stopped = self._applier.stopped or self._applier.unasked
        result: State = "active"
        if self._held or self._joining.held:
            result = "held"
        if not self._reading.all_complete:
            result = "incomplete"
        forbidden = self._applier.forbidden if not self._journal.counts["create"] else None
        if stopped is not None or forbidden is not None:
            result = "unreachable"
        for kind, source_id in self._journal.refused:
            self._applier.failed(source_id, "link", "DuplicateSourceEntries", f"another {kind} holds this account")
        problems = list(self._reading.problems)
        problems += [refusal.reason for refusal in (stopped, forbidden) if refusal is not None]
        problems += [f"held: {self._hold_why}"] if self._held else []
        problems += [f"group {record.name} held: {why}" for record, _, why in self._joining.held]
        requests = {method: n - requests_before.get(method, 0) for method, n in self._world.target.requests.items()}
        report = CycleReport(
            job=self._job.name,
            cycle_id=cycle_id,
            kind="initial" if initial else "incremental",
            started_at=began,
            duration_seconds=took,
            state=result,
            users_read=self._reading.users,
            groups_read=self._reading.groups,
            complete=self._reading.all_complete,
            counts=dict(self._journal.counts),
            requests=requests,
            failures=self._applier.failures,
            problems=problems,
            arithmetic=self._arithmetic,
        )
        good = stopped is None and self._reading.all_complete
        await self._store.close_cycle(
            state.job_id,
            state.epoch,
            watermark=self._reading.watermark if good else None,
            rules=self._plan.rules_version if good else None,
            summary=report.as_dict(),
            now=self._clock.now(),
        )
        return report


def _names_one_of(ids: Collection[TargetId], references: Sequence[object]) -> bool:
    return any(one in ids for value in references for one in (value if isinstance(value, list) else [value]))


def _one_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that a person can mend, where several tasks were brought down by one."""
    state = errors.subgroup(StateError)
    chosen: BaseException = state if state is not None else errors
    while isinstance(chosen, BaseExceptionGroup):
        chosen = chosen.exceptions[0]
    return chosen
