"""Decides on one page of entries: scope, mapping, matching, plan; hands the operations on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Protocol

from reconciler.core import leave_dates, settling, telling
from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.decisions import Ask, Decision, Leave, Operation, Pending, Reject, verdict_of
from reconciler.core.mapping import Mapped
from reconciler.core.model import Entry, Identity, Job, Kind, Resource, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed
from reconciler.core.profile import Profile
from reconciler.core.records import Record, Verdict
from reconciler.core.redaction import without
from reconciler.core.scoping import InScope, Leaving, Standing, StandingUnknown, judge, taken_out
from reconciler.ports import Clock, Dice, Owner, PendingReference, Store, Target
from reconciler.runtime.asking import Asking, Question
from reconciler.runtime.candidates import Candidate, Gathering
from reconciler.runtime.choosing import Choosing, choose
from reconciler.runtime.claims import Claims
from reconciler.runtime.course import MAY_SHOW_LATER, NOT_SHOWN_YET, Course
from reconciler.runtime.elsewhere import Elsewhere
from reconciler.runtime.evaluating import Evaluating
from reconciler.runtime.guarding import Guarding
from reconciler.runtime.journal import Journal
from reconciler.runtime.recovering import Recovering
from reconciler.runtime.rules import KindRules
from reconciler.runtime.taken_names import LIVING, whose
from reconciler.runtime.taking_over import TakingOver
from reconciler.runtime.turns import Hand, Making
from reconciler.runtime.unsure import Unsure

NO_MEMBERSHIPS = Memberships()


class Watch(Protocol):
    """Is told how each decision comes about: for a person who looks on."""

    def judged(self, entry: Entry, memberships: Memberships, standing: Standing) -> None: ...

    def decided(self, candidate: Candidate, decision: Decision) -> None: ...


class Deciding:
    """Decides page by page, and keeps what must wait until the reading has ended."""

    def __init__(
        self,
        job: Job,
        profile: Profile,
        job_id: int,
        store: Store,
        target: Target,
        journal: Journal,
        asking: Mapping[Kind, Asking],
        course: Course,
        clock: Clock,
        dice: Dice,
        guarding: Guarding,
        send: Callable[[Sequence[Operation]], Awaitable[None]],
        *,
        source: Identity,
        full: bool,
        hand: Hand,
        making: Making,
        watch: Watch | None = None,
        takes_over: bool = True,
    ) -> None:
        """`takes_over`: accounts of leavers of this job may pass to the same person under a new id."""
        self._job, self._profile, self._job_id, self._store, self._target = job, profile, job_id, store, target
        self._journal, self._asking, self._course, self._clock = journal, asking, course, clock
        self._send, self.evaluating = send, Evaluating(clock, dice)
        self._source, self._full, self._hand, self._watch = source, full, hand, watch
        self._taking_over = TakingOver(
            job, job_id, store, journal, clock, hand, active=profile.active, takes_over=takes_over
        )
        self._guarding = guarding
        self.elsewhere = Elsewhere(job.name, job_id, source, store, target, journal, clock, making)
        self.recovering = Recovering(profile, store, target, journal, asking, course, clock)
        self._gathering = Gathering(profile, job_id, store, target, asking, course)
        self.taken_out: Mapping[tuple[Kind, SourceId], str] = {}
        """Who was taken out by hand, and by whom."""
        self.negatives: list[Operation] = []
        """Disables and deletes: they wait until the reading has ended."""
        self.late: list[tuple[KindRules, Candidate]] = []
        """Entries whose account belongs to somebody who may be leaving in this cycle."""
        self.undecided: set[tuple[Kind, SourceId]] = set()
        """Of whom something is held, or said, and this cycle has not come to another decision so far."""
        self.matched = 0
        """How many accounts were found to be somebody's in this cycle."""
        self.claims, self.unsure = Claims(), Unsure(job.name)

    @property
    def compared(self) -> bool:
        """Whether the accounts of those who were decided on were compared with the target."""
        return self._full and self._gathering.compared

    async def page(
        self,
        rules: KindRules,
        groups: KnownGroups,
        entries: Sequence[tuple[Entry, Record, Memberships, bytes]],
        *,
        afresh: bool = False,
        last: bool = False,
    ) -> None:
        """Decide on entries of one kind. `afresh`: ask the target itself; `last`: nobody can become free any more."""
        with self._hand.holding([record.key for _, record, _, _ in entries]) as left_alone:
            if left_alone:
                entries = [one for one in entries if one[1].key not in left_alone]
            await self._page(rules, groups, entries, afresh=afresh, last=last)

    async def _page(
        self,
        rules: KindRules,
        groups: KnownGroups,
        entries: Sequence[tuple[Entry, Record, Memberships, bytes]],
        *,
        afresh: bool,
        last: bool,
    ) -> None:
        candidates = []
        records = [record for _, record, _, _ in entries]
        untold = await self.recovering.recover(rules, records, afresh=afresh)
        looks = await self.recovering.look(rules, records)
        for entry, record, memberships, fingerprint in entries:
            standing, until = judge(entry, rules.scope, groups, memberships), None
            if (leave_date := rules.leave_date) is not None:
                standing, until = leave_dates.judge(standing, entry.attributes, leave_date, self._clock.now())
            if (taken_by := self.taken_out.get(record.key)) is not None:
                standing, until = taken_out(standing, taken_by), None
            if self._watch is not None:
                self._watch.judged(entry, memberships, standing)
            record.name, record.person = rules.name_of(entry), rules.person_of(entry) or record.person
            if isinstance(standing, StandingUnknown):
                await self._leave_unknown(record, standing)
                continue
            if record.source_id in looks:
                seen = self.recovering.seen(
                    rules, record, looks[record.source_id], leaving=isinstance(standing, Leaving)
                )
                if isinstance(seen, Failed):
                    await self._unanswered(Candidate(entry, record, standing, None, memberships), seen)
                    continue
                record = seen
            unsettled = standing.roles_unknown if isinstance(standing, InScope) else standing.unsettled
            candidate = Candidate(entry, record, standing, None if unsettled else fingerprint, memberships)
            candidate.until = until
            if isinstance(standing, InScope) or standing.entitled:
                candidate.mapped = self.evaluating.wanted(rules, candidate, groups)
            failure = untold.get(record.source_id)
            if failure is not None and not self.recovering.gives_up(candidate, failure):
                await self._unanswered(candidate, failure)
                continue
            if rules.parting is not None and isinstance(standing, Leaving) and rules.planner.leaving.sets(standing):
                candidate.parting = self.evaluating.parting(rules.parting, entry.attributes)
            candidates.append(candidate)
        await self._gathering.resolve_references(candidates)
        if self._full:
            await self._gathering.compare_with_target(rules, candidates)
        if rules.mapper.choosing:
            linked = [(c, c.record.link) for c in candidates if c.record.link is not None]
            failed = await self._choose(rules, [(c, link.target_id, link.agreed) for c, link in linked], afresh=afresh)
            candidates = [candidate for candidate in candidates if candidate.entry.id not in failed]
        await self._decide(rules, candidates, afresh=afresh, last=last)

    async def decide_late(self, *, last: bool) -> None:
        """Match again the entries whose account belonged to somebody, now that the leavers are known."""
        late, self.late = self.late, []
        by_kind: dict[Kind, tuple[KindRules, list[Candidate]]] = {}
        for rules, candidate in late:
            by_kind.setdefault(rules.kind, (rules, []))[1].append(candidate)
        for rules, candidates in by_kind.values():
            with self._hand.holding([candidate.record.key for candidate in candidates]) as left_alone:
                free = [candidate for candidate in candidates if candidate.record.key not in left_alone]
                await self._decide(rules, free, afresh=True, last=last)

    async def _choose(
        self,
        rules: KindRules,
        entries: Sequence[tuple[Candidate, TargetId | None, Resource]],
        *,
        afresh: bool,
    ) -> Set[SourceId]:
        """Settle what is to be unique, for entries with their account if any; return those that nobody answered for."""
        open_ = []
        for candidate, own, agreed in entries:
            if candidate.mapped is not None and candidate.mapped.choices:
                if own is not None:
                    candidate.mapped.settle_choices(agreed)
                open_.append(Choosing(candidate.entry.id, candidate.mapped, own))
        failed = await choose(self._asking[rules.kind], rules.kind, open_, self.claims.claimed, afresh=afresh)
        for candidate, _, _ in entries:
            if candidate.entry.id in failed:
                await self._unanswered(candidate, failed[candidate.entry.id])
        return failed.keys()

    async def _leave_unknown(self, record: Record, standing: StandingUnknown) -> None:
        self.unsure.add(record)
        self._journal.counts["skip"] += 1
        log = None
        if record.verdict is not Verdict.UNKNOWN:
            decision = Leave(standing.why, "Unknown", Verdict.UNKNOWN)
            log = replace(telling.skipped(record, decision, self._clock.now()), status="warning")
        await self._journal.entry(replace(record, verdict=Verdict.UNKNOWN, why=standing.why, fingerprint=None), log)

    async def _decide(self, rules: KindRules, candidates: Sequence[Candidate], *, afresh: bool, last: bool) -> None:
        now = self._clock.now()
        positives: list[Operation] = []
        asked: list[tuple[Candidate, Ask]] = []
        for candidate in candidates:
            decision = rules.planner.plan(candidate.judged, now)
            if isinstance(decision, Ask):
                asked.append((candidate, decision))
            else:
                await self._take(candidate, decision, positives)
        if asked:
            await self._match(rules, asked, positives, afresh=afresh, last=last)
        await self.send(await self._guarding.pass_through(positives))

    async def send(self, positives: list[Operation]) -> None:
        """Hand on what no safeguard keeps, and no other job does."""
        if any(operation.word == "create" for operation in positives):
            positives = await self.elsewhere.made_by_nobody_else(positives)
        positives = await self.attempt(positives)
        if pointed_at := self._course.pointed_at:
            # those whom others refer to go first, so that the others can be created whole
            positives.sort(key=lambda o: (o.record.kind, o.record.source_id) not in pointed_at)
        if positives:
            await self._send(positives)

    async def attempt(self, operations: Sequence[Operation]) -> list[Operation]:
        """Commit that these are about to be sent: who is killed then, or gets no answer, looks before anything else.

        Return those that are to be sent: the account that was found for one may have another owner by now.
        """
        sent = [o for o in operations if o.word == "create" or o.negative or o.changes]
        if not sent:
            return list(operations)
        known, now = len(self._journal.refused), self._clock.now()
        attempts = [settling.attempted(operation, now) for operation in sent]
        await self._journal.entries(attempts)
        await self._journal.flush()
        for operation, attempt in zip(sent, attempts, strict=True):
            operation.record.row_id = attempt.row_id
        refused = frozenset(self._journal.refused[known:])
        return [operation for operation in operations if operation.record.key not in refused]

    async def _take(self, candidate: Candidate, decision: Decision, positives: list[Operation]) -> None:
        candidate.record.claims = None
        if not (isinstance(decision, Operation) and decision.negative):
            settling.left_on(candidate.record, candidate.found, self._profile.active)
        if isinstance(decision, Operation):
            decision.due_at = settling.earliest(decision.due_at, candidate.until)
        match decision:
            case Operation() if decision.negative:
                self._tell(candidate, decision)
                self.negatives.append(decision)
            case Operation():
                self._tell(candidate, decision)
                self.undecided.discard(candidate.record.key)
                if isinstance(candidate.standing, InScope):
                    settling.is_back(decision.record)
                positives.append(decision)
            case Leave():
                await self._leave(candidate, decision)
            case Reject():
                await self.reject(candidate, decision)
            case Ask():
                raise AssertionError("a question is not a decision yet")

    def _tell(self, candidate: Candidate, decision: Decision) -> None:
        if self._watch is not None:
            self._watch.decided(candidate, decision)

    async def _leave(self, candidate: Candidate, decision: Leave) -> None:
        self._tell(candidate, decision)
        self.undecided.discard(candidate.record.key)
        self._journal.counts["skip"] += 1
        before = candidate.record
        record = settling.left(before, decision, candidate.fingerprint, self._clock.now())
        record.due_at = settling.earliest(record.due_at, candidate.until)
        changed = before.row_id is None or before.verdict is not decision.verdict or before.escrow is not None
        if decision.code == "GroupNotRenamed":  # once for each new name
            changed = changed or before.why != decision.why or before.fingerprint != candidate.fingerprint
        log = telling.skipped(record, decision, self._clock.now()) if changed else None
        waits = (
            [_pending_row(candidate.record, pending) for pending in candidate.pending]
            if record.link is not None
            else []
        )
        await self._journal.entry(record, log, pending=waits, touches_groups=changed)

    async def reject(
        self, candidate: Candidate, decision: Reject, *, claims: TargetId | None = None, not_shown_yet: bool = False
    ) -> None:
        """Write down an entry that failed before anything was sent for it; `claims`: the account that it waits for."""
        decision = replace(decision, why=_told(candidate.mapped, decision.why))
        self._tell(candidate, decision)
        now = self._clock.now()
        candidate.record.claims = claims
        if isinstance(candidate.standing, InScope):
            settling.is_back(candidate.record)
        # to wait is not to fail once more: what is waited for may show in the next cycle
        before = replace(candidate.record, escrow=None) if not_shown_yet else candidate.record
        record = settling.rejected(before, candidate.fingerprint, decision.error_code, decision.why, now)
        record.due_at = settling.earliest(record.due_at, candidate.until)
        await self._journal.entry(record, telling.rejected(record, decision.error_code, decision.why, now))
        known = not_shown_yet or (record.escrow is not None and record.escrow.failures > 1)
        self._course.failed(record.source_id, "match", decision.error_code, decision.why, known=known)

    async def _match(
        self,
        rules: KindRules,
        asked: Sequence[tuple[Candidate, Ask]],
        positives: list[Operation],
        *,
        afresh: bool,
        last: bool,
    ) -> None:
        if self._course.unasked is not None:
            return  # nothing is written down of them: they are asked for in the next cycle
        free, asking, in_doubt = [], self._asking[rules.kind], self._course.in_doubt
        for candidate, ask in asked:
            if self.claims.take(asking, rules.kind, candidate.entry.id, ask.match, in_doubt, last=last):
                free.append((candidate, ask))
            elif last:
                why = f"another entry of this cycle has the same {ask.match[0][0]}"
                await self.reject(candidate, Reject("DuplicateSourceEntries", why))
            else:
                self.late.append((rules, candidate))
        questions = [Question(candidate.record.source_id, ask.match) for candidate, ask in free]
        answers = await asking.ask(questions, afresh=afresh)
        answers = {**answers, **await self.elsewhere.known(asking, rules.kind, questions, answers)}
        ids = [a.id for answer in answers.values() if not isinstance(answer, Failed) for a in answer]
        owners: Mapping[TargetId, Owner] = {}
        if ids:
            await self._journal.flush()
            owners = await self._store.owners(self._target.identity, rules.kind, ids)
        failed: Set[SourceId] = frozenset()
        if rules.mapper.choosing:
            failed = await self._choose(rules, _to_choose(free, answers), afresh=afresh)
        for candidate, ask in free:
            answer = answers[candidate.record.source_id]
            if candidate.entry.id in failed:
                continue
            if isinstance(answer, Failed):
                await self._unanswered(candidate, answer)
            elif len(answer) > 1:
                why = f"{len(answer)} accounts of the target have this {ask.match[0][0]}"
                await self.reject(candidate, Reject("DuplicateTargetEntries", why))
            else:
                account = answer[0] if answer else None
                if account is not None:
                    if (account := await self._if_free(rules, candidate, account, owners, last=last)) is None:
                        continue
                    self.matched += 1
                await self._take(candidate, rules.planner.plan_matched(candidate.judged, account), positives)

    async def _unanswered(self, candidate: Candidate, failure: Failed) -> None:
        if self._course.refused_a_question(failure):
            return
        settling.left_on(candidate.record, candidate.found, self._profile.active)
        waits = failure in (NOT_SHOWN_YET, MAY_SHOW_LATER)
        why = failure.reason if waits else f"the target could not be asked: {failure.reason}"
        reject = Reject(failure.error_code, why)
        await self.reject(candidate, reject, claims=candidate.record.claims, not_shown_yet=waits)

    async def _if_free(
        self,
        rules: KindRules,
        candidate: Candidate,
        account: Account,
        owners: Mapping[TargetId, Owner],
        *,
        last: bool,
    ) -> Account | None:
        """Return the account if it is free for this entry: one account, one owner."""
        claim, claimed = (rules.kind, f"id={account.id}"), self.claims.claimed
        if (first := claimed.first(claim, candidate.entry.id)) != candidate.entry.id:
            why = f"the account {account.id} was matched by {first} already"
            await self.reject(candidate, Reject("DuplicateSourceEntries", why))
            return None
        owner = owners.get(account.id)
        if owner is None or (owner.job == self._job.name and owner.source_id == candidate.entry.id):
            return account
        same_person = candidate.record.person is not None and owner.person == candidate.record.person
        if owner.job != self._job.name:
            same_person = same_person or (owner.source_id == candidate.entry.id and owner.source == self._source)
        leaving = owner.job == self._job.name and any(
            negative.record.kind == rules.kind and negative.record.source_id == owner.source_id
            for negative in self.negatives
        )
        left = same_person and (leaving or Verdict(owner.verdict) not in LIVING)
        if left and (taken := await self._taking_over.take(candidate, account, owner, self.negatives)) is not None:
            return taken
        if same_person and (owner.job != self._job.name or isinstance(candidate.standing, Leaving)):
            await self._leave_to(candidate, account, owner)
            return None
        if not last:
            claimed.drop(claim)
            self.late.append((rules, candidate))
            return None
        why = f"the account {account.id} belongs to {owner.source_id}"
        why += f" of job {owner.job}" if owner.job != self._job.name else ""
        await self.reject(candidate, Reject(whose(owner, self._job), why), claims=account.id)
        return None

    async def _leave_to(self, candidate: Candidate, account: Account, owner: Owner) -> None:
        """Leave the account to the entry of the same person that has it, until that one lets it go."""
        standing = candidate.standing
        who = f"{owner.source_id} of job {owner.job}"
        if isinstance(standing, Leaving):
            why = f"{standing.why}; the account {account.id} belongs to {who}, the same person"
            await self._leave(candidate, Leave(why, "NotActive", verdict_of(standing)))
            return
        why = f"in scope through {standing.through}; the account {account.id} belongs to {who}"
        await self._leave(candidate, Leave(why, "OwnedByOtherJob", Verdict.IN_SCOPE, claims=account.id))


def _told(mapped: Mapped | None, why: str) -> str:
    """Return a reason without what the mapping keeps out of the log: it may hold a target's own words."""
    if mapped is None or not mapped.redacted:
        return why
    return without(why, [mapped.values[path] for path in mapped.redacted & mapped.values.keys()])


def _pending_row(record: Record, pending: Pending) -> PendingReference:
    return PendingReference(record.kind, record.source_id, pending.path, pending.kind, pending.source_id)


def _to_choose(
    asked: Sequence[tuple[Candidate, Ask]], answers: Mapping[SourceId, tuple[Account, ...] | Failed]
) -> list[tuple[Candidate, TargetId | None, Resource]]:
    """Return the entries whose account is known, or known to be none, with its id and what it has."""
    known: list[tuple[Candidate, TargetId | None, Resource]] = []
    for candidate, _ in asked:
        answer = answers[candidate.record.source_id]
        if not isinstance(answer, Failed) and len(answer) < 2:
            known.append((candidate, answer[0].id if answer else None, answer[0].resource if answer else {}))
    return known
