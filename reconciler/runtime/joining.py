"""Joins what belongs together once everybody has a target id: managers, then the members of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.core import safeguards, telling
from reconciler.core.model import Action, Change, Job, Kind, SourceId, TargetId
from reconciler.core.outcomes import Done, Failed, Fault, MembersDone
from reconciler.core.records import LogRecord, Modified, Record, Step
from reconciler.core.safeguards import Held
from reconciler.ports import Clock, MemberDelta, Progress, Store, Target
from reconciler.runtime.apply import Applier
from reconciler.runtime.journal import Journal

PAGE = 500


class Joining:
    """Replays references that waited, and brings the members of groups to what the source says."""

    def __init__(
        self,
        job: Job,
        job_id: int,
        store: Store,
        target: Target,
        journal: Journal,
        applier: Applier,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._job, self._job_id, self._store, self._target = job, job_id, store, target
        self._journal, self._applier, self._clock, self._progress = journal, applier, clock, progress
        self.held: list[tuple[Record, int, str]] = []
        """Groups whose removals a safeguard holds back: record, how many, arithmetic."""

    async def references(self) -> None:
        """Send each reference whose wanted entry has a target id by now."""
        after = 0
        while self._applier.stopped is None:
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
            for kind in {kind for kind, _ in by_entry}:
                ids = [source_id for one, source_id in by_entry if one == kind]
                records = await self._store.records(self._job_id, kind, ids)
                for source_id in ids:
                    if source_id in records and self._applier.stopped is None:
                        key = (kind, source_id)
                        await self._refer(records[source_id], by_entry[key], numbers[key])
            await self._journal.flush()

    async def _refer(self, record: Record, paths: Mapping[str, list[TargetId]], numbers: Sequence[int]) -> None:
        link = record.link
        rules = self._job.rules(record.kind)
        if link is None or rules is None or Action.UPDATE not in rules.actions:
            return
        changes = tuple(
            Change(path, link.agreed.get(path), _joined(link.agreed.get(path), ids))
            for path, ids in paths.items()
            if _joined(link.agreed.get(path), ids) != link.agreed.get(path)
        )
        began = self._clock.monotonic()
        outcome = await self._target.update(record.kind, link.target_id, changes, link.agreed) if changes else Done()
        now = self._clock.now()
        took_ms = round((self._clock.monotonic() - began) * 1000)
        if isinstance(outcome, Failed):
            await self._not_referred(record, changes, outcome, now)
            return
        agreed = {**link.agreed, **{change.path: change.new for change in changes}}
        record = replace(record, link=replace(link, agreed=agreed))
        names = ", ".join(paths)
        log = LogRecord(
            at=now,
            kind=record.kind,
            source_id=record.source_id,
            name=record.name,
            action="update",
            operation="update",
            status="success",
            target_id=link.target_id,
            reason=f"what {names} points to has an account now",
            steps=(Step("referenceResolution", "success", f"{names} resolved"), Step("export", "success", "update")),
            modified=tuple(Modified(c.path, c.old, c.new) for c in changes),
            took_ms=took_ms,
        )
        if changes:
            self._journal.counts["update"] += 1
        await self._journal.entry(record, log if changes else None, pending_done=numbers)

    async def _not_referred(self, record: Record, changes: Sequence[Change], failure: Failed, now: float) -> None:
        if failure.fault in (Fault.UNREACHABLE, Fault.UNAUTHORIZED):
            self._applier.stopped = failure
            return
        names = ", ".join(change.path for change in changes)
        why = f"{names}: {failure.reason}"
        self._journal.log(telling.rejected(record, failure.error_code, why, now, "referenceResolution"))
        self._applier.failed(record.source_id, "update", failure.error_code, why)

    async def members(self, *, removals_allowed: bool, why_not: str = "") -> None:
        """Bring the members of every group that changed to what the source says; adds before removes."""
        after, done = "", 0
        while self._applier.stopped is None:
            groups = await self._store.dirty_groups(self._job_id, after, PAGE)
            if not groups:
                break
            after = groups[-1]
            records = await self._store.records(self._job_id, "group", groups)
            for group in groups:
                record = records.get(group)
                if record is not None and record.link is not None and self._applier.stopped is None:
                    await self._group(record, removals_allowed=removals_allowed, why_not=why_not)
                done += 1
                self._progress.advance("members", done)
            await self._journal.flush()

    async def _group(self, record: Record, *, removals_allowed: bool, why_not: str) -> None:
        assert record.link is not None
        rules = self._job.groups
        if rules is None or Action.UPDATE not in rules.actions:
            return
        delta = await self._store.member_delta(self._job_id, record.source_id)
        remove = {target_id: source_id for source_id, target_id in delta.remove}
        if rules.members == "exact":
            extra = await self._strangers(record.link.target_id, record.source_id, delta)
            if isinstance(extra, Failed):
                await self._group_failed(record, extra)
                return
            remove.update(extra)
        held = why_not if remove and not removals_allowed else ""
        if remove and not held:
            size = len(await self._store.ledger(self._job_id, record.source_id))
            verdict = safeguards.member_verdict(len(remove), max(size, len(remove)), self._job.safeguards)
            held = verdict.arithmetic if isinstance(verdict, Held) else ""
        if held:
            self.held.append((record, len(remove), held))
            remove = {}
        add = {target_id: source_id for source_id, target_id in delta.add}
        outcome: MembersDone | Failed = MembersDone()
        if add or remove:
            outcome = await self._target.change_members(record.link.target_id, list(add), list(remove))
        if isinstance(outcome, Failed):
            await self._group_failed(record, outcome)
            return
        added = [(add[one], one) for one in outcome.done if one in add]
        removed = [one for one in outcome.done if one in remove]
        failure = next(iter(outcome.refused.values()), None)
        self._journal.counts["members_added"] += len(added)
        self._journal.counts["members_removed"] += len(removed)
        for target_id, refusal in outcome.refused.items():
            why = f"member {add.get(target_id) or remove.get(target_id)}: {refusal.reason}"
            self._applier.failed(record.source_id, "members", refusal.error_code, why)
        log = []
        if added or removed or held or failure is not None:
            now = self._clock.now()
            log.append(telling.members(record, len(added), len(removed), failure, now, held, len(delta.unresolved)))
        await self._journal.members(record.source_id, log, added, removed, settled=failure is None and not held)

    async def _strangers(
        self, group: TargetId, source_id: SourceId, delta: MemberDelta
    ) -> dict[TargetId, SourceId] | Failed:
        """Return members at the target that are neither wanted nor in the ledger, for members = "exact"."""
        shown = await self._target.members(group)
        if isinstance(shown, Failed):
            return shown
        if not isinstance(shown, frozenset):
            return {}
        known = await self._store.ledger(self._job_id, source_id)
        wanted = {target_id for _, target_id in delta.add}
        return {one: SourceId(one) for one in shown if one not in known and one not in wanted}

    async def _group_failed(self, record: Record, failure: Failed) -> None:
        if failure.fault in (Fault.UNREACHABLE, Fault.UNAUTHORIZED):
            self._applier.stopped = failure
            return
        if failure.fault is Fault.NOT_FOUND:
            # the group is matched or made again in the next cycle; its members follow then
            gone = replace(record, link=None, fingerprint=None)
            await self._journal.entry(gone, telling.members(record, 0, 0, failure, self._clock.now()))
        else:
            self._journal.log(telling.members(record, 0, 0, failure, self._clock.now()))
        self._applier.failed(record.source_id, "members", failure.error_code, failure.reason)


def _joined(agreed: object, ids: Sequence[TargetId]) -> object:
    """Return what a reference holds when these are resolved too: one id, or the list with them."""
    if isinstance(agreed, list):
        return [*agreed, *(one for one in ids if one not in agreed)]
    return ids[0] if len(ids) == 1 else list(ids)
