"""Joins what belongs together once everybody has a target id: managers, then the members of groups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from reconciler.core import safeguards, settling, telling
from reconciler.core.decisions import Operation
from reconciler.core.model import KINDS, Action, Change, Job, Kind, SourceId, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, MembersDone, Missing
from reconciler.core.records import LogRecord, Modified, Record, Step, Verdict
from reconciler.core.safeguards import Held
from reconciler.ports import Clock, MemberDelta, Progress, Store, Target, chunks
from reconciler.runtime.apply import Applier
from reconciler.runtime.journal import Journal

PAGE = 500

Removals = Literal["allowed", "held", "not known"]
"""Whether members may be taken out: "not known" after an incomplete reading, which says nothing of who has left."""
_NOT_KNOWN = "not known"


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
        tell: Callable[[Operation], None],
    ) -> None:
        self._job, self._job_id, self._store, self._target = job, job_id, store, target
        self._journal, self._applier, self._clock, self._progress = journal, applier, clock, progress
        self._tell = tell
        self.held: list[tuple[Record, int, str]] = []
        """Groups whose removals a safeguard holds back: record, how many, arithmetic."""
        self._removals: Removals = "allowed"
        self._why_held = ""
        self._told: Collection[SourceId] = ()
        self._whole = True
        self._seen_through = 0
        self._looked_empty: set[TargetId] = set()
        self._protected_ids: frozenset[TargetId] | None = None

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
        if record.escrow is not None and (record.due_at is None or record.due_at > self._clock.now()):
            return  # it failed lately, and is tried with the rest of the entry
        changes = tuple(
            Change(path, link.agreed.get(path), _joined(link.agreed.get(path), ids))
            for path, ids in paths.items()
            if _joined(link.agreed.get(path), ids) != link.agreed.get(path)
        )
        names = ", ".join(paths)
        why = f"what {names} points to has an account now"
        if changes:
            self._tell(Operation("update", record, why, record.verdict, record.fingerprint, changes))
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
            reason=why,
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
        # it waits as any entry that failed; when its time comes, what it points to is sent with the rest of it
        log = telling.rejected(record, failure.error_code, why, now, "referenceResolution")
        if (
            failure.fault is Fault.NOT_FOUND
            and record.link is not None
            and await self._is_missing(record.kind, record.link.target_id)
        ):
            # the entry is matched again in the next cycle, and what it points to goes with it
            gone = replace(record, link=None, fingerprint=None, verdict=Verdict.NEW, attempted_at=None)
            await self._journal.entry(gone, log, pending=(), touches_groups=True)
        else:
            rejected = settling.rejected(record, record.fingerprint, failure.error_code, why, now)
            rejected.attempted_at = now if failure.may_have_been_done else rejected.attempted_at
            await self._journal.entry(rejected, log)
        self._applier.failed(record.source_id, "update", failure.error_code, why)

    async def members(
        self,
        removals: Removals,
        why_held: str,
        *,
        told: Collection[SourceId] = (),
        compare: Sequence[SourceId] = (),
        leaving: Collection[SourceId] = (),
        whole: bool = True,
    ) -> None:
        """Bring the members of every group that changed to what the source says; adds before removes.

        `told` are groups whose hold is in the log already; `compare` those whose members at the target are looked at;
        `leaving` those that are to be deleted themselves. Unless everything that the source has was read (`whole`),
        nobody can be said to be a stranger in a group.
        """
        self._whole = whole
        self._removals, self._why_held, self._told = removals, why_held, told
        self._seen_through = 0
        for groups in chunks([group for group in compare if group not in leaving], PAGE):
            await self._groups(groups, compare=True)
        after, looked_at = "", {*compare, *leaving}
        while self._applier.stopped is None:
            dirty = await self._store.dirty_groups(self._job_id, after, PAGE, self._clock.now())
            if not dirty:
                break
            after = dirty[-1]
            await self._groups([group for group in dirty if group not in looked_at], compare=False)

    async def _groups(self, groups: Sequence[SourceId], *, compare: bool) -> None:
        rules = self._job.groups
        records = await self._store.records(self._job_id, "group", groups)
        for group in groups:
            record = records.get(group)
            if record is None or record.link is None or record.verdict is not Verdict.IN_SCOPE:
                continue  # of a group that is kept, or not known to take part, nothing is changed
            if self._applier.stopped is None and rules is not None and Action.UPDATE in rules.actions:
                await self._group(record, exact=rules.members == "exact", compare=compare)
            self._seen_through += 1
            self._progress.advance("members", self._seen_through)
        await self._journal.flush()

    async def _group(self, record: Record, *, exact: bool, compare: bool) -> None:
        assert record.link is not None
        group = record.link.target_id
        if compare and (failure := await self._learn(record, group)) is not None:
            await self._group_failed(record, failure)
            return
        delta = await self._store.member_delta(self._job_id, record.source_id)
        ledger = await self._store.ledger(self._job_id, record.source_id) if delta.remove or exact else {}
        add = {target_id: source_id for source_id, target_id in delta.add}
        remove = {target_id: source_id for source_id, target_id in delta.remove}
        held = self._hold(len(remove), len(ledger))
        outcome = await self._change(group, add, {} if held else remove)
        if isinstance(outcome, Failed):
            if outcome.may_have_been_done:
                await self._look_what_was_done(record, group, add, {} if held else remove)
            await self._group_failed(record, outcome)
            return
        doubtful = [one for one, refusal in outcome.refused.items() if refusal.may_have_been_done]
        if doubtful:
            wanted = {one: add[one] for one in doubtful if one in add}
            await self._look_what_was_done(record, group, wanted, [one for one in doubtful if one in remove])
        if group in self._looked_empty:
            await self._target.members(group)  # now it is not: whether the target hides members shows for good
        added = [(add[one], one) for one in outcome.done if one in add]
        removed = [one for one in outcome.done if one in remove]
        if held:
            self._put_on_hold(record, len(remove), held)
        elif exact and not self._whole:
            held = _NOT_KNOWN
        elif exact:
            members = (ledger.keys() | {one for _, one in added}) - set(removed)
            strangers = await self._strangers(group, members, delta)
            if isinstance(strangers, Failed):
                await self._group_failed(record, strangers)
                return
            held = self._hold(len(strangers) + len(removed), len(members) + len(strangers)) if strangers else ""
            if held:
                self._put_on_hold(record, len(strangers), held)
            elif strangers:
                left = await self._change(group, {}, dict.fromkeys(strangers, SourceId("")))
                outcome = _both(outcome, left)
                removed += [one for one in outcome.done if one in strangers]
        await self._note(record, outcome, added, removed, held, len(delta.unresolved))

    async def _note(
        self,
        record: Record,
        outcome: MembersDone,
        added: Sequence[tuple[SourceId, TargetId]],
        removed: Sequence[TargetId],
        held: str,
        unresolved: int,
    ) -> None:
        failure = next(iter(outcome.refused.values()), None)
        self._journal.counts["members_added"] += len(added)
        self._journal.counts["members_removed"] += len(removed)
        for target_id, refusal in outcome.refused.items():
            why = f"member {target_id}: {refusal.reason}"
            self._applier.failed(record.source_id, "members", refusal.error_code, why)
        why_held = held if held != _NOT_KNOWN else ""
        log = []
        if added or removed or failure is not None or (why_held and record.source_id not in self._told):
            now = self._clock.now()
            log.append(telling.members(record, len(added), len(removed), failure, now, why_held, unresolved))
        settled = failure is None and not held
        refused = failure is not None and failure.fault not in _PASSING
        await self._journal.members(record.source_id, log, added, removed, settled=settled, refused=refused)

    def _hold(self, removals: int, members: int) -> str:
        """Return why members are not taken out of a group now; empty: they are."""
        if not removals:
            return ""
        match self._removals:
            case "not known":
                return _NOT_KNOWN
            case "held":
                return self._why_held
            case "allowed":
                verdict = safeguards.member_verdict(removals, max(members, removals), self._job.safeguards)
                return verdict.arithmetic if isinstance(verdict, Held) else ""

    def _put_on_hold(self, record: Record, removals: int, why: str) -> None:
        if why != _NOT_KNOWN:
            self.held.append((record, removals, why))

    async def _change(
        self, group: TargetId, add: Mapping[TargetId, SourceId], remove: Mapping[TargetId, SourceId]
    ) -> MembersDone | Failed:
        if not add and not remove:
            return MembersDone()
        return await self._target.change_members(group, list(add), list(remove))

    async def _learn(self, record: Record, group: TargetId) -> Failed | None:
        """Take the members that the target shows into the ledger, and those out of it that it does not show."""
        shown = await self._target.members(group)
        if isinstance(shown, Missing):
            return Failed(Fault.NOT_FOUND, "the group is not there any more", 404)
        if isinstance(shown, Failed):
            # where members are not shown, what we remember counts
            return None if shown.fault is Fault.NOT_SCIM else shown
        ledger = await self._store.ledger(self._job_id, record.source_id)
        if shown and not _overlap(ledger, shown):
            return None
        if ledger and not shown:
            self._looked_empty.add(group)
        lost = [one for one in ledger if one not in shown]
        delta = await self._store.member_delta(self._job_id, record.source_id)
        there = [(source_id, target_id) for source_id, target_id in delta.add if target_id in shown]
        if lost or there:
            await self._journal.members(record.source_id, [], there, lost, settled=False)
            await self._journal.flush()
        return None

    async def _strangers(
        self, group: TargetId, members: Collection[TargetId], delta: MemberDelta
    ) -> frozenset[TargetId] | Failed:
        """Return who is in the group at the target and should not be, for members = "exact"."""
        shown = await self._target.members(group)
        if isinstance(shown, Missing) or (isinstance(shown, Failed) and shown.fault is Fault.NOT_SCIM):
            return frozenset()
        if isinstance(shown, Failed):
            return shown
        strangers = shown - frozenset(members)
        if not strangers or not _overlap(members, shown):
            return frozenset()
        strangers = strangers - await self._protected() - await self._left_alone(delta)
        return strangers - await self._listed_without_link(strangers, delta)

    async def _listed_without_link(self, strangers: Collection[TargetId], delta: MemberDelta) -> frozenset[TargetId]:
        """Return the accounts of members whom the source lists and who have no link yet; who cannot be told is one."""
        names: set[str] = set()
        for kind in KINDS:
            records = await self._store.records(self._job_id, kind, delta.unresolved)
            names.update(name.casefold() for r in records.values() if r.link is None for name in (r.name, r.source_id))
        found: set[TargetId] = set()
        for stranger in strangers if names else ():
            answer = await self._target.get("user", stranger)
            match answer:
                case Account(resource=resource):
                    if any(isinstance(value, str) and value.casefold() in names for value in resource.values()):
                        found.add(stranger)
                case Failed():
                    found.add(stranger)
                case Missing():
                    pass
        return frozenset(found)

    async def _look_what_was_done(
        self, record: Record, group: TargetId, add: Mapping[TargetId, SourceId], remove: Collection[TargetId]
    ) -> None:
        """Take into the ledger what became of a change whose answer said nothing certain."""
        shown = await self._target.members(group)
        ledger = await self._store.ledger(self._job_id, record.source_id)
        if isinstance(shown, (Missing, Failed)) or not _overlap(ledger, shown):
            return
        there = [(source_id, target_id) for target_id, source_id in add.items() if target_id in shown]
        left = [one for one in remove if one not in shown]
        await self._journal.members(record.source_id, [], there, left, settled=False)

    async def _left_alone(self, delta: MemberDelta) -> frozenset[TargetId]:
        """Return the accounts of members of whom nothing may be changed: not known, or kept."""
        found: set[TargetId] = set()
        for kind in KINDS:
            records = await self._store.records(self._job_id, kind, delta.unresolved)
            links = [r.link for r in records.values() if r.link is not None and r.link.disabled_at is None]
            found.update(link.target_id for link in links)
        return frozenset(found)

    async def _protected(self) -> frozenset[TargetId]:
        """Return the ids of the accounts that are never touched, by asking for them once."""
        if self._protected_ids is None:
            found: set[TargetId] = {TargetId(name) for name in self._job.protected}
            matching = [m.to for m in self._job.users.mappings if m.match is not None] if self._job.users else []
            for name in self._job.protected:
                for path in matching:
                    answer = await self._target.find("user", path, name)
                    if isinstance(answer, Found):
                        found.update(account.id for account in answer.accounts)
            self._protected_ids = frozenset(found)
        return self._protected_ids

    async def _is_missing(self, kind: Kind, target_id: TargetId) -> bool:
        """Whether the target is sure: a 404 may be about a member, or come from a gateway on a bad day."""
        return isinstance(await self._target.get(kind, target_id), Missing)

    async def _group_failed(self, record: Record, failure: Failed) -> None:
        if failure.fault in (Fault.UNREACHABLE, Fault.UNAUTHORIZED):
            self._applier.stopped = failure
            return
        group = record.link.target_id if record.link is not None else None
        if failure.fault is Fault.NOT_FOUND and group is not None and await self._is_missing("group", group):
            # the group is matched or made again in the next cycle; its members follow then
            gone = replace(record, link=None, fingerprint=None)
            await self._journal.entry(gone, telling.members(record, 0, 0, failure, self._clock.now()))
        else:
            log = telling.members(record, 0, 0, failure, self._clock.now())
            refused = failure.fault not in _PASSING
            await self._journal.members(record.source_id, [log], (), (), settled=False, refused=refused)
        self._applier.failed(record.source_id, "members", failure.error_code, failure.reason)


_PASSING = frozenset({Fault.INTERRUPTED, Fault.SERVER_ERROR, Fault.THROTTLED, Fault.NOT_SCIM})
"""Faults that say nothing about the members: the group is looked at again in the next cycle, however often."""


def _overlap(known: Collection[TargetId], shown: Collection[TargetId]) -> bool:
    """Whether what a target shows can be ids: some servers show names in place of them."""
    return not known or any(one in shown for one in known)


def _both(first: MembersDone, second: MembersDone | Failed) -> MembersDone:
    if isinstance(second, Failed):
        return MembersDone(first.done, {**first.refused, TargetId("*"): second})
    return MembersDone((*first.done, *second.done), {**first.refused, **second.refused})


def _joined(agreed: object, ids: Sequence[TargetId]) -> object:
    """Return what a reference holds when these are resolved too: one id, or the list with them."""
    if isinstance(agreed, list):
        return [*agreed, *(one for one in ids if one not in agreed)]
    return ids[0] if len(ids) == 1 else list(ids)
