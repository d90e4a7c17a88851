"""Finds those whom a complete reading did not show, with those whose time has come; plans what they leave behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from reconciler.core import settling, telling
from reconciler.core.decisions import Judged, Leave, Operation, Reject
from reconciler.core.model import Cause, Kind
from reconciler.core.outcomes import Account
from reconciler.core.reasons import Reason
from reconciler.core.records import Record, Verdict
from reconciler.core.scoping import Leaving
from reconciler.ports import JobState, chunks
from reconciler.runtime.auditing import Audit
from reconciler.runtime.canary import Canary
from reconciler.runtime.course import MAY_SHOW_LATER, Course
from reconciler.runtime.deciding import Deciding
from reconciler.runtime.journal import Journal
from reconciler.runtime.reading import PAGE, Reading
from reconciler.runtime.rules import KindRules
from reconciler.runtime.turns import Hand
from reconciler.runtime.world import World


class Leavers:
    """Goes through the records of those who are gone from the source."""

    def __init__(
        self,
        world: World,
        state: JobState,
        rules: Mapping[Kind, KindRules],
        journal: Journal,
        course: Course,
        deciding: Deciding,
        reading: Reading,
        canary: Canary,
        *,
        full: bool,
        hand: Hand,
    ) -> None:
        self._source, self._target, self._store, self._clock = world.source, world.target, world.store, world.clock
        self._state, self._rules, self._full, self._hand, self._canary = state, rules, full, hand, canary
        self._journal, self._course, self._deciding, self._reading = journal, course, deciding, reading

    async def find(self, *, initial: bool, audit: Audit | None = None) -> None:
        """After a complete reading, plan for those whom it did not show; and for those whose time has come."""
        if self._course.stopped is not None:
            return
        for kind, rules in self._rules.items():
            await self._told(kind, rules)
            if not self._reading.complete.get(kind, False):
                continue
            if not self._reading.delta.get(kind, False):
                async for record in self._unseen(kind):
                    if audit is not None:
                        audit.unseen(record)
                    if kind == "user" or record.source_id not in self._reading.unknown_groups:
                        await self.leave(rules, record, "no longer in the source")
            # Whose time has come since they were asked for waits for the next cycle, which asks for them, too.
            now = self._reading.looked_at.get(kind, self._clock.now())
            until = settling.WHEN_ALL_ARE if initial else now
            async for record in self._due(kind, until):
                if record.verdict is Verdict.GONE:
                    await self.leave(rules, record, _why_gone(record))

    async def _told(self, kind: Kind, rules: KindRules) -> None:
        """Plan for those of whom the source itself said that they are gone: that needs no complete reading."""
        said = {source_id: gone for (one, source_id), gone in self._reading.gone.items() if one == kind}
        for page in chunks(list(said), PAGE):
            for record in (await self._store.records(self._state.job_id, kind, page)).values():
                if record.verdict is not Verdict.GONE or record.due_at is not None or record.link is not None:
                    gone = said[record.source_id]
                    await self.leave(rules, record, gone.why, purged=gone.purged)

    async def _unseen(self, kind: Kind) -> AsyncIterator[Record]:
        after = 0
        while rows := await self._store.unseen(
            self._state.job_id, kind, self._reading.seen[kind], self._state.ceiling, after, PAGE
        ):
            for row in rows:
                if self._canary.lets_record(row):
                    yield row
            after = rows[-1].row_id or 0

    async def _due(self, kind: Kind, until: float) -> AsyncIterator[Record]:
        after = 0
        while rows := await self._store.due(self._state.job_id, kind, until, after, PAGE):
            for row in rows:
                unmet = row.row_id is not None and row.row_id not in self._reading.seen[kind]
                if unmet and self._canary.lets_record(row):
                    yield row
            after = rows[-1].row_id or 0

    async def leave(self, rules: KindRules, record: Record, why: str, *, purged: bool = False) -> None:
        """Plan for somebody who is gone."""
        with self._hand.holding([record.key]) as left_alone:
            if not left_alone:
                await self._leave(rules, record, why, purged=purged)

    async def _leave(self, rules: KindRules, record: Record, why: str, *, purged: bool) -> None:
        now = self._clock.now()
        standing = Leaving(Cause.GONE, why, purged=purged)
        if untold := await self._deciding.recovering.recover(rules, [record]):
            failure = untold[record.source_id]
            if self._course.stopped is None and self._course.unasked is None:
                self._course.failed(record.source_id, "match", failure.error_code, failure.reason)
            if failure is MAY_SHOW_LATER:
                await self._reject(replace(record, escrow=None), failure.error_code, failure.reason)
            return
        for shown in (await self._deciding.recovering.look(rules, [record])).values():
            seen = self._deciding.recovering.seen(rules, record, shown, leaving=True)
            assert isinstance(seen, Record)
            record = seen
        found = None
        if self._full and record.link is not None and self._course.unasked is None:
            answer = await self._target.get(rules.kind, record.link.target_id)
            found = answer if isinstance(answer, Account) else None
        if record.key in self._deciding.taken_out:
            standing = replace(standing, forced=True)
        parting = None
        if rules.parting is not None and rules.planner.leaving.sets(standing):
            parting = self._deciding.evaluating.parting(rules.parting, {})
        decision = rules.planner.plan(Judged(record, standing, found=found, parting=parting), now)
        match decision:
            case Operation() if decision.negative:
                self._deciding.negatives.append(decision)
            case Operation():
                self._deciding.undecided.discard(record.key)
                await self._deciding.send([decision])
            case Reject(error_code=code, why=problem):
                await self._reject(record, code, problem)
                self._course.failed(record.source_id, "update", code, problem)
            case Leave():
                self._deciding.undecided.discard(record.key)
                changed = record.verdict is not decision.verdict
                if decision.due_at is None and record.link is not None:
                    decision = replace(decision, due_at=settling.WHEN_ALL_ARE)
                left = settling.left(record, decision, None, now)
                log = telling.skipped(left, decision, now) if changed else None
                await self._journal.entry(left, log, touches_groups=changed)
            case _:
                raise AssertionError("somebody who is gone is not asked for")

    async def _reject(self, record: Record, code: Reason, why: str) -> None:
        now = self._clock.now()
        rejected = settling.rejected(record, None, code, why, now)
        await self._journal.entry(rejected, telling.rejected(rejected, code, why, now))


def _why_gone(record: Record) -> str:
    """Return what the source said of somebody who is gone, without what decisions have added to it since."""
    said, _, _ = record.why.partition("; ")
    return said or "no longer in the source"
