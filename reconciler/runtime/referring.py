"""Sets references, managers mostly, once what they point to has a target id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.core import settling, telling
from reconciler.core.decisions import Operation
from reconciler.core.model import KINDS, Action, Change, Job, Kind, SourceId, TargetId
from reconciler.core.outcomes import Done, Failed, Fault, Missing
from reconciler.core.records import Link, LogRecord, Record, Step, Verdict
from reconciler.ports import Clock, Store, Target
from reconciler.runtime.canary import Canary
from reconciler.runtime.course import Course
from reconciler.runtime.journal import Journal
from reconciler.runtime.lanes import each
from reconciler.runtime.turns import Hand

PAGE = 500


@dataclass(frozen=True, slots=True)
class _Reference:
    """One entry whose references can be set now."""

    operation: Operation
    link: Link
    names: str
    numbers: Sequence[int]
    """The rows of the references that waited."""


class Referring:
    """Replays references that waited, several entries side by side."""

    def __init__(
        self,
        job: Job,
        job_id: int,
        store: Store,
        target: Target,
        journal: Journal,
        course: Course,
        clock: Clock,
        tell: Callable[[Operation], None],
        *,
        concurrency: int,
        hand: Hand,
        canary: Canary,
    ) -> None:
        self._job, self._job_id, self._store, self._target = job, job_id, store, target
        self._journal, self._course, self._clock = journal, course, clock
        self._tell, self._concurrency, self._hand, self._canary = tell, concurrency, hand, canary

    async def references(self) -> None:
        """Send each reference whose wanted entry has a target id by now."""
        after = 0
        while self._course.stopped is None:
            rows = await self._store.resolvable(self._job_id, after, PAGE)
            if not rows:
                break
            after = rows[-1][0]
            by_entry: dict[tuple[Kind, SourceId], dict[str, list[TargetId]]] = {}
            numbers: dict[tuple[Kind, SourceId], list[int]] = {}
            for number, pending, target_id in rows:
                numbers.setdefault((pending.kind, pending.source_id), []).append(number)
                paths = by_entry.setdefault((pending.kind, pending.source_id), {})
                paths.setdefault(pending.path, []).append(target_id)
            with self._hand.holding(by_entry) as left_alone:
                await self._refer_all({key: by_entry[key] for key in by_entry if key not in left_alone}, numbers)

    async def _refer_all(
        self,
        by_entry: Mapping[tuple[Kind, SourceId], Mapping[str, list[TargetId]]],
        numbers: Mapping[tuple[Kind, SourceId], Sequence[int]],
    ) -> None:
        waiting: list[_Reference] = []
        for kind in KINDS:
            ids = [source_id for one, source_id in by_entry if one == kind]
            records = await self._store.records(self._job_id, kind, ids) if ids else {}
            for record in records.values():
                key = (kind, record.source_id)
                if (reference := self._reference(record, by_entry[key], numbers[key])) is not None:
                    waiting.append(reference)
        now = self._clock.now()
        for reference in waiting:
            if reference.operation.changes:
                self._tell(reference.operation)
                await self._journal.entry(settling.attempted(reference.operation, now))
        await self._journal.flush()
        await each(waiting, self._refer, concurrency=self._concurrency)
        await self._journal.flush()

    def _reference(
        self, record: Record, paths: Mapping[str, list[TargetId]], numbers: Sequence[int]
    ) -> _Reference | None:
        link, rules = record.link, self._job.rules(record.kind)
        if link is None or rules is None or Action.UPDATE not in rules.actions or not self._canary.lets_record(record):
            return None
        if record.escrow is not None and (record.due_at is None or record.due_at > self._clock.now()):
            return None  # it failed lately, and is tried with the rest of the entry
        changes = tuple(
            change for path, ids in paths.items() if (change := _change(path, link.agreed.get(path), ids)) is not None
        )
        names = ", ".join(paths)
        why = f"what {names} points to has an account now"
        operation = Operation("update", record, why, record.verdict, record.fingerprint, changes)
        return _Reference(operation, link, names, numbers)

    async def _refer(self, reference: _Reference) -> None:
        operation, link, names = reference.operation, reference.link, reference.names
        record, changes = operation.record, operation.changes
        if self._course.stopped is not None:
            await self._journal.entry(record)  # that it was to be sent is written down already: it was not
            return
        began = self._clock.monotonic()
        outcome = await self._target.update(record.kind, link.target_id, changes, link.agreed) if changes else Done()
        now = self._clock.now()
        took_ms = round((self._clock.monotonic() - began) * 1000)
        if isinstance(outcome, Failed):
            await self._not_referred(record, changes, outcome, now)
            return
        agreed = {**link.agreed, **{change.path: change.new for change in changes}}
        record = replace(record, link=replace(link, agreed=agreed))
        log = LogRecord(
            at=now,
            kind=record.kind,
            source_id=record.source_id,
            name=record.name,
            action="update",
            operation="update",
            status="success",
            target_id=link.target_id,
            reason=operation.why,
            steps=(Step("referenceResolution", "success", f"{names} resolved"), Step("export", "success", "update")),
            modified=tuple((c.path, c.old, c.new) for c in changes),
            took_ms=took_ms,
        )
        if changes:
            self._journal.counts["update"] += 1
        await self._journal.entry(record, log if changes else None, pending_done=reference.numbers)

    async def _not_referred(self, record: Record, changes: Sequence[Change], failure: Failed, now: float) -> None:
        if failure.fault in (Fault.UNREACHABLE, Fault.UNAUTHORIZED):
            self._course.stopped = failure
            return
        names = ", ".join(change.path for change in changes)
        why = f"{names}: {failure.reason}"
        # it waits as any entry that failed; when its time comes, what it points to is sent with the rest of it
        log = telling.rejected(record, failure.error_code, why, now, "referenceResolution")
        if (
            failure.fault is Fault.NOT_FOUND
            and record.link is not None
            and not self._course.made_just_now(record)
            and isinstance(await self._target.get(record.kind, record.link.target_id), Missing)
        ):
            # the entry is matched again in the next cycle, and what it points to goes with it
            gone = replace(record, link=None, fingerprint=None, verdict=Verdict.NEW)
            gone.attempted_at = gone.attempted_off_at = None
            await self._journal.entry(gone, log, pending=(), touches_groups=True)
        else:
            rejected = settling.rejected(record, record.fingerprint, failure.error_code, why, now)
            rejected.attempted_at = now if failure.may_have_been_done else rejected.attempted_at
            if failure.fault is Fault.NOT_FOUND and self._course.made_just_now(record):
                rejected.due_at = now  # a target that does not show it yet may do so in the next cycle
            await self._journal.entry(rejected, log)
        self._course.failed(record.source_id, "update", failure.error_code, why, reference=True)


def _change(path: str, agreed: object, ids: Sequence[TargetId]) -> Change | None:
    """Return what sets a reference that waited; None: a list that has all of these.

    A single one was lost while it waited, also where its account came back under the id that was agreed.
    """
    wanted = _joined(agreed, ids)
    if wanted != agreed:
        return Change(path, agreed, wanted)
    return None if isinstance(agreed, list) else Change(path, None, wanted)


def _joined(agreed: object, ids: Sequence[TargetId]) -> object:
    """Return what a reference holds when these are resolved too: one id, or the list with them."""
    if isinstance(agreed, list):
        return [*agreed, *(one for one in ids if one not in agreed)]
    return ids[0] if len(ids) == 1 else list(ids)
