"""Has operations sent with bounded concurrency, and writes down what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import anyio

from reconciler.core import settling, telling
from reconciler.core.decisions import Operation
from reconciler.core.model import Change, Job, Kind, SourceId, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Missing
from reconciler.core.profile import Profile
from reconciler.core.reasons import Reason
from reconciler.core.records import LogRecord, Record, Verdict
from reconciler.ports import Clock, Owner, PendingReference, Progress, Store, Target
from reconciler.runtime.asking import Asking
from reconciler.runtime.course import NOT_SHOWN_YET, Course
from reconciler.runtime.journal import Journal
from reconciler.runtime.keeping import Keeping, as_changes, is_passing, not_kept, shows_all
from reconciler.runtime.out_by_now import OutByNow
from reconciler.runtime.sending import Sending
from reconciler.runtime.spool import Spool
from reconciler.runtime.taken_names import TakenNames
from reconciler.runtime.turns import Hand

_LINKS_AT_ONCE = 1000


class Applier:
    """Takes operations out of the spool until it is closed and empty, or until the target refuses us."""

    def __init__(
        self,
        job: Job,
        profile: Profile,
        store: Store,
        target: Target,
        journal: Journal,
        spool: Spool,
        asking: Mapping[Kind, Asking],
        clock: Clock,
        progress: Progress,
        hand: Hand,
        course: Course,
    ) -> None:
        self._job, self._profile, self._store, self._target = job, profile, store, target
        self._journal, self._spool, self._asking, self._clock = journal, spool, asking, clock
        self._progress, self._hand, self._course = progress, hand, course
        self._sending = Sending(profile, target, journal, asking, clock, course)
        self._keeping = Keeping(target, profile)
        self.taken_names = TakenNames(job, target, journal, asking, hand, course, self)
        self.again: list[tuple[Kind, SourceId]] = []
        """Entries whose account has vanished at the target: to be matched again."""
        self._out = OutByNow(store, job.name, clock)
        self.finished = 0
        self.lost_an_answer = False
        """Whether the answer to a create did not come, so that nobody knows whether it was done."""
        self.last_round = False
        """Whether nothing can be matched once more in this cycle."""
        self._known: dict[tuple[Kind, SourceId], TargetId] = {}
        """Of those to whom others refer, who has an account by now."""
        self._making: dict[tuple[Kind, SourceId], anyio.Event] = {}
        """Of those, whose account is being made; who waits for one of them is not among them."""

    async def work(self) -> None:
        """Send operations one after the other; several workers run side by side."""
        while (operation := await self._spool.take()) is not None:
            await self.perform(operation)

    async def perform(self, operation: Operation) -> None:
        """Send one operation and write down what became of it. Nothing is created once questions are not answered."""
        with self._hand.holding([operation.record.key]) as left_alone:
            if left_alone:
                return
            if self._course.stopped is None:
                await self._perform_in_turn(operation)
            else:
                await self.not_done(operation)

    async def not_done(self, operation: Operation) -> None:
        """Take back that it was attempted: an account that is found later is none that we have made.

        Unless it, or an earlier try of this cycle, may have come through: then that is looked at before anything else.
        """
        doubtful = operation.in_doubt or operation.record.key in self._course.in_doubt
        remembered = settling.attempted if doubtful else settling.not_sent
        await self._journal.entry(remembered(operation, self._clock.now()))

    async def _perform_in_turn(self, operation: Operation) -> None:
        if operation.word != "create":
            await self._perform(operation)
            return
        for pending in operation.pending:
            if (made := self._making.get((pending.kind, pending.source_id))) is not None:
                await made.wait()  # the answer is on its way: with it the account is made whole
        key = (operation.record.kind, operation.record.source_id)
        if key not in self._course.pointed_at:
            await self._create(operation)
            return
        # at once, before anything is waited for: whoever refers to this one may be in the hands of the next worker
        made = self._making[key] = anyio.Event()
        try:
            await self._create(operation)
        finally:
            del self._making[key]
            made.set()

    async def _create(self, operation: Operation) -> None:
        if self._course.unasked is not None or await self._out.has(operation.record.key):
            await self.not_done(operation)
        else:
            self._refer(operation)
            await self._perform(operation)

    async def _perform(self, operation: Operation) -> None:
        began = self._clock.monotonic()
        operation, outcome = await self._sending.send(operation)
        took_ms = round((self._clock.monotonic() - began) * 1000)
        self.finished += 1
        self._progress.advance("apply", self.finished, max(self.finished, self._spool.planned))
        match outcome:
            case Done() as done:
                await self._done(operation, done, took_ms)
            case Missing():
                await self._vanished(operation, took_ms)
            case Failed(fault=Fault.CONFLICT) if not operation.negative:
                await self._conflict(operation)
            case Failed(fault=Fault.INVALID) if self.taken_names.may_be_why(operation, outcome):
                self.taken_names.aside.append(operation)
            case Failed(fault=Fault.NOT_FOUND) if operation.word != "create":
                await self._vanished(operation, took_ms)
            case Failed(fault=Fault.INTERRUPTED, timed_out=False, unsent=False) if (
                operation.word == "create" and not self.last_round
            ):
                # asked for once more at the end: by then also a slow target shows what it made;
                # but what timed out may be made later still, so the next cycle asks
                self.lost_an_answer = True
                self.again.append((operation.record.kind, operation.record.source_id))
            case Failed():
                await self.fail(operation, outcome, took_ms)

    async def fail(
        self, operation: Operation, failure: Failed, took_ms: int = 0, *, together_with: Owner | None = None
    ) -> None:
        """Write down a failure. Where the target cannot be worked with at all, nothing more is sent.

        `together_with` has the name that this entry needs: where it waits for another try itself, both are tried in
        one cycle, since two who swap names come right in no other way.
        """
        if failure.fault in (Fault.UNREACHABLE, Fault.UNAUTHORIZED):
            self._course.stopped = self._course.stopped or failure
            settling.keep_doubt(operation, failure)
            await self.not_done(operation)
            return
        failure = telling.told_without_secrets(operation, failure)
        if failure.fault is Fault.FORBIDDEN and operation.word == "create":
            self._course.forbidden = self._course.forbidden or failure
        now = self._clock.now()
        if operation.word == "create" and operation.record.key in self._course.in_doubt:
            operation.in_doubt = True  # what refuses it now may be what an earlier try has made
        record = settling.failed(operation, failure, now)
        if together_with is not None and not operation.negative:
            if (together_with.kind, together_with.source_id) in self._sending.disabled_alone:
                record.due_at = now
            elif together_with.tried_again_at is not None:
                record.due_at = max(now, together_with.tried_again_at)
        if failure.fault is Fault.NOT_FOUND and self._course.made_just_now(record):
            record.due_at = now  # it may show in the next cycle
        target_id = operation.record.link.target_id if operation.record.link is not None else None
        await self._journal.entry(record, telling.sent(operation, failure, target_id, now, took_ms))
        self._course.first_failure = self._course.first_failure or failure
        self._course.failed(
            operation.record.source_id, operation.word, failure.error_code, failure.reason, known=_is_known(record)
        )

    def _refer(self, operation: Operation) -> None:
        """Put in what is pointed to and has got its account since the plan was made: a request less for each."""
        if not operation.pending:
            return
        paths = Counter(pending.path for pending in operation.pending)
        found = {
            pending.path: self._known[pending.kind, pending.source_id]
            for pending in operation.pending
            if paths[pending.path] == 1
            and pending.path not in operation.resource
            and (pending.kind, pending.source_id) in self._known
        }
        if found:
            operation.resource = {**operation.resource, **found}
            operation.pending = tuple(p for p in operation.pending if p.path not in found)

    async def _done(self, operation: Operation, done: Done, took_ms: int) -> None:
        now, account = self._clock.now(), done.account
        kind, link_before = operation.record.kind, operation.record.link
        if operation.word == "create":
            assert account is not None
            key = (kind, operation.record.source_id)
            if key in self._course.pointed_at:
                self._known[key] = account.id
            asked: Sequence[Change] = ()
            missing: Sequence[str] | None = ()
            refused: Failed | None = None
            late: Collection[str] = ()
            if done.was_there:
                late = operation.resource.keys() | account.resource.keys()
            elif not shows_all(account, operation.resource):
                asked = as_changes(operation.resource)
                missing, refused = await self._keeping.follow_up(operation, asked, account)
                if refused is not None and is_passing(refused):
                    missing, late = (), missing
        else:
            asked, refused, late = operation.changes, None, ()
            missing = await self._keeping.missing(operation, account)
            if operation.word == "disable" and self._profile.active in (missing or ()):
                why = "the target says that it disabled the account, and shows it active all the same"
                await self.fail(operation, Failed(Fault.INVALID, why, code="DisableNotKept"), took_ms)
                return
        counts = settling.counted(link_before, asked, missing, kind, self._profile)
        warning = not_kept(missing or (), counts)
        verdict_before = operation.record.verdict
        record = settling.done(
            operation, account, self._job.deprovision.delete_after_seconds, self._profile.active, now, missing or ()
        )
        if late and account is not None:
            settling.to_be_sent(record, late, account, now)
        if record.link is not None and counts != record.link.unkept:
            record.link = replace(record.link, unkept=counts)
        record, few_left = settling.numbered(record, () if operation.word == "create" else asked, self._profile)
        code: Reason = "ValueNotKept" if warning or not few_left else "ChangeLimitReached"
        if refused is not None:
            again = f"{', '.join(late)}: sent again in the next cycle: " if late else ""
            warning = "; ".join(filter(None, (warning, f"{again}{refused.reason}")))
            code = refused.error_code if late else code
        warning = "; ".join(filter(None, (warning, few_left)))
        link = record.link or link_before
        log = telling.sent(operation, None, link.target_id if link is not None else None, now, took_ms, warning, code)
        # what an update changes matters to no group; who may be a member of it depends on all the others
        moved = operation.word != "update" or record.verdict != verdict_before
        touches = moved and self._job.groups is not None
        if done.was_there and touches:
            await self._doubt_groups_of(record, done.groups)
        await self._write(record, operation, log, touches_groups=touches)
        self._journal.counts[operation.word] += 1

    async def _doubt_groups_of(self, record: Record, groups: Sequence[TargetId] | None) -> None:
        """Write down that an account that was brought back may be in groups: in these, or any that we have."""
        assert record.link is not None
        member = (record.source_id, record.link.target_id)
        if groups is not None:
            owners = await self._store.owners(self._target.identity, "group", groups)
            ours = [owner.source_id for owner in owners.values() if owner.job == self._job.name]
        else:
            ours, after = [], 0
            while page := await self._store.links_after(self._job.name, after, _LINKS_AT_ONCE):
                after = page[-1].row_id or 0
                ours += [one.source_id for one in page if one.kind == "group"]
        for group in ours:
            await self._journal.doubt_members(group, [member])

    async def _write(self, record: Record, operation: Operation, log: LogRecord, *, touches_groups: bool) -> None:
        pending = None
        if operation.pending or operation.word != "create":
            pending = [
                PendingReference(record.kind, record.source_id, p.path, p.kind, p.source_id) for p in operation.pending
            ]
        await self._journal.entry(record, log, pending=pending, touches_groups=touches_groups)

    async def _vanished(self, operation: Operation, took_ms: int) -> None:
        """A linked account is not there: a negative operation is done by that, any other matches the entry again.

        What was made just now is there: whoever leaves before it shows is switched off when it does. Where an earlier
        delete got no answer, that is why it is not there.
        """
        now = self._clock.now()
        deleted_before = operation.word == "delete" and operation.record.attempted_off_at is not None
        if self._course.made_just_now(operation.record) and not deleted_before:
            operation.in_doubt = True
            await self.fail(operation, NOT_SHOWN_YET, took_ms)
            return
        record = replace(operation.record, link=None, attempted_at=None, attempted_off_at=None)
        if operation.negative:
            record.verdict, record.why, record.fingerprint = operation.verdict, operation.why, operation.fingerprint
            record.escrow, record.due_at, record.off_since = None, None, None
            log = telling.sent(operation, None, None, now, took_ms, "the account was not there any more")
            await self._journal.entry(record, log, pending=(), touches_groups=True)
            self._journal.counts[operation.word] += 1
            return
        record.fingerprint, record.verdict = None, Verdict.NEW
        failure = Failed(Fault.NOT_FOUND, "the linked account is not there any more; the entry is matched again", 404)
        log = telling.sent(operation, failure, None, now, took_ms)
        await self._journal.entry(record, replace(log, status="warning"), pending=(), touches_groups=True)
        self.again.append((record.kind, record.source_id))

    async def _conflict(self, operation: Operation) -> None:
        """Somebody has the name: adopt who is free, wait for who may let it go, else say who it is."""
        if operation.word == "create":
            asking = self._asking[operation.record.kind]
            found = await asking.ask_one(operation.match)
            if not found:
                asking.doubt()
                found = await asking.ask_one(operation.match)
            if not isinstance(found, Failed) and await self.match_again(operation, found):
                return
        self.taken_names.aside.append(operation)

    async def match_again(self, operation: Operation, found: Sequence[Account]) -> bool:
        """Have a refused create matched again where one account has its name and is free; return whether it is so."""
        record = operation.record
        if operation.word != "create" or len(found) != 1:
            return False
        if await self._journal.owner(self._target.identity, record.kind, found[0].id) is not None:
            return False
        await self.not_done(operation)
        self.again.append((record.kind, record.source_id))
        return True

    async def enable_alone(self, operation: Operation) -> Operation:
        """Enable under her old name whose new one is taken; return what is left to be told of and tried again."""
        record, link = operation.record, operation.record.link
        alone = tuple(c for c in operation.changes if c.path == self._profile.active)
        if (
            operation.word != "enable"
            or link is None
            or len(alone) == len(operation.changes)
            or self._course.stopped is not None
        ):
            return operation
        with self._hand.holding([record.key]) as left_alone:
            if left_alone:
                return operation
            began = self._clock.monotonic()
            outcome = await self._target.update(record.kind, link.target_id, alone, link.agreed)
            if isinstance(outcome, Failed):
                settling.keep_doubt(operation, outcome)
                return operation
            enable = replace(operation, record=record.copy(), changes=alone, fingerprint=None)
            await self._done(enable, outcome, round((self._clock.monotonic() - began) * 1000))
        rest = tuple(c for c in operation.changes if c not in alone)
        # an enable is no reason to try the rest more often
        left = replace(enable.record, escrow=record.escrow)
        return replace(operation, word="update", record=left, changes=rest)


def _is_known(record: Record) -> bool:
    """Whether an entry that failed had failed before."""
    return record.escrow is not None and record.escrow.failures > 1
