"""Brings the members of groups to what the source says, once everybody has a target id."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reconciler.core import safeguards, telling
from reconciler.core.levelling import guarded, spoken
from reconciler.core.model import KINDS, Action, Job, Kind, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed, Fault, MembersDone, Missing
from reconciler.core.records import Record, Verdict
from reconciler.core.safeguards import Held
from reconciler.ports import Clock, HeldOperation, MemberDelta, Progress, Store, Target, chunks
from reconciler.runtime.asking import Asking
from reconciler.runtime.canary import Canary
from reconciler.runtime.course import Course
from reconciler.runtime.holding import HeldRemovals, Holding
from reconciler.runtime.journal import Journal
from reconciler.runtime.lanes import each
from reconciler.runtime.turns import Hand

PAGE = 500
MEMBERS_AT_ONCE = 10_000
"""How many changes of members are held in memory, give or take a group."""

Removals = Literal["allowed", "held", "not known"]
"""Whether members may be taken out: "not known" after an incomplete reading, which says nothing of who has left."""
_NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class _Membership:
    """What is to be changed in one group."""

    record: Record
    group: TargetId
    exact: bool
    delta: MemberDelta
    ledger: Mapping[TargetId, SourceId]
    """Who is in the group by our doing; empty where it does not matter."""
    add: Mapping[TargetId, SourceId]
    leaving: Mapping[TargetId, SourceId]
    """Who is taken out now."""
    waiting: Collection[TargetId]
    """Who is to be taken out when the hold is over."""
    held: str
    """Why somebody is not taken out now."""
    stay: frozenset[str]
    """Who is left where he is because a person said so."""
    approved: frozenset[str]
    """Who may be taken out because a person said so."""


class Joining:
    """Adds and removes members, several groups side by side; within a group adds come before removes."""

    def __init__(
        self,
        job: Job,
        job_id: int,
        store: Store,
        target: Target,
        journal: Journal,
        asking: Mapping[Kind, Asking],
        course: Course,
        clock: Clock,
        progress: Progress,
        holding: Holding,
        *,
        concurrency: int,
        hand: Hand,
        canary: Canary,
    ) -> None:
        self._job, self._job_id, self._store, self._target = job, job_id, store, target
        self._journal, self._asking, self._course = journal, asking, course
        self._clock, self._progress = clock, progress
        self._holding, self._concurrency, self._hand, self._canary = holding, concurrency, hand, canary
        self.held: list[HeldRemovals] = []
        """Who is not taken out of a group because a safeguard holds it back."""
        self._removals: Removals = "allowed"
        self._why_held = ""
        self._told: Collection[SourceId] = ()
        self._whole = True
        self._seen_through = 0
        self._seen: set[SourceId] = set()
        """Groups of which it is known what is to be held."""
        self._looked_empty: set[TargetId] = set()

    async def members(
        self,
        removals: Removals,
        why_held: str,
        *,
        compare: Sequence[SourceId] = (),
        leaving: Collection[SourceId] = (),
        whole: bool = True,
    ) -> None:
        """Bring the members of every group that changed to what the source says; adds before removes.

        `compare` are groups whose members at the target are looked at; `leaving` those that are to be deleted
        themselves. Unless everything that the source has was read (`whole`), nobody can be said to be a stranger.
        """
        self._whole = whole
        self._removals, self._why_held, self._told = removals, why_held, self._holding.removals_held
        self._seen_through = 0
        for groups in chunks([group for group in compare if group not in leaving], PAGE):
            await self._groups(groups, compare=True)
        after, looked_at = "", {*compare, *leaving}
        # A stranger to a group is seen when everything is compared; who is let go then goes without another comparison.
        let_go = self._holding.groups_let_go
        looked_at |= await self._store.groups_put_off(self._job_id, let_go, self._clock.now()) if let_go else set()
        let_go = [group for group in let_go if group not in looked_at]
        await self._groups(let_go, compare=False)
        looked_at |= set(let_go)
        while self._course.stopped is None:
            dirty = await self._store.dirty_groups(self._job_id, after, PAGE, self._clock.now())
            if not dirty:
                break
            after = dirty[-1]
            await self._groups([group for group in dirty if group not in looked_at], compare=False)
        await self._go_on_holding(
            {one: held for one, held in self._holding.removals_held.items() if one not in leaving}
        )

    async def _go_on_holding(self, before: Mapping[SourceId, HeldOperation]) -> None:
        """Keep on hold what is held of groups that nobody has looked at now: they wait, or nothing changed there."""
        unseen = [group for group in before if group not in self._seen]
        for group, record in (await self._store.records(self._job_id, "group", unseen)).items() if unseen else ():
            if record.link is not None and record.verdict is Verdict.IN_SCOPE:
                members = [TargetId(one) for one in before[group].about]
                self.held.append(HeldRemovals(record, members, before[group].why))

    async def members_of(self, group: SourceId, removals: Removals, why_held: str, *, whole: bool) -> None:
        """Bring the members of this group alone to what the source says. The rest as in `members`."""
        self._whole, self._removals, self._why_held, self._told, self._seen_through = whole, removals, why_held, (), 0
        await self._groups([group], compare=False)

    async def _groups(self, groups: Sequence[SourceId], *, compare: bool) -> None:
        with self._hand.holding([("group", group) for group in groups]) as left_alone:
            await self._groups_in_turn([g for g in groups if ("group", g) not in left_alone], compare=compare)

    async def _groups_in_turn(self, groups: Sequence[SourceId], *, compare: bool) -> None:
        rules = self._job.groups
        if rules is None or Action.UPDATE not in rules.actions:
            return
        records = await self._store.records(self._job_id, "group", groups)
        linked = [(r, r.link.target_id) for group in groups if (r := records.get(group)) is not None and r.link]
        # of a group that is kept, or not known to take part, nothing is changed
        taking_part = [
            (r, group) for r, group in linked if r.verdict is Verdict.IN_SCOPE and self._canary.lets_record(r)
        ]
        if compare:
            learned: list[tuple[Record, TargetId]] = []
            await each(taking_part, lambda one: self._learn_first(*one, learned), concurrency=self._concurrency)
            await self._journal.flush()
            taking_part = learned
        waiting: list[_Membership] = []
        members = 0
        for record, group in taking_part:
            membership = await self._membership(record, group, exact=rules.members == "exact")
            waiting.append(membership)
            members += len(membership.add) + len(membership.leaving) + len(membership.waiting)
            if members >= MEMBERS_AT_ONCE:
                await self._change_all(waiting)
                waiting, members = [], 0
        await self._change_all(waiting)

    async def _learn_first(self, record: Record, group: TargetId, learned: list[tuple[Record, TargetId]]) -> None:
        if (failure := await self._learn(record, group)) is not None:
            await self._group_failed(record, failure)
        else:
            learned.append((record, group))

    async def _membership(self, record: Record, group: TargetId, *, exact: bool) -> _Membership:
        """Return what is to be changed in one group."""
        delta = await self._store.member_delta(self._job_id, record.source_id)
        ledger = await self._store.ledger(self._job_id, record.source_id) if delta.remove or exact else {}
        lets = self._canary.lets_member
        add = {target_id: source_id for source_id, target_id in delta.add if lets(source_id)}
        approved, rejected = self._holding.decided_on_members(record.source_id)
        stay = rejected | self._holding.kept_accounts
        remove = {
            target_id: source_id for source_id, target_id in delta.remove if lets(source_id) and target_id not in stay
        }
        held, waiting = self._held_of(remove, approved, len(ledger))
        leaving = {target_id: source_id for target_id, source_id in remove.items() if target_id not in waiting}
        return _Membership(record, group, exact, delta, ledger, add, leaving, waiting, held, stay, approved)

    async def _change_all(self, waiting: Sequence[_Membership]) -> None:
        """Change groups side by side, what is added and removed in each one after the other.

        Whom that is about is written down before: who is killed then, or gets no answer, does not know what was done.
        """
        for one in waiting:
            doubted = [(source_id, target_id) for target_id, source_id in (*one.add.items(), *one.leaving.items())]
            await self._journal.doubt_members(one.record.source_id, doubted)
        await self._journal.flush()
        await each(waiting, self._change_one, concurrency=self._concurrency)
        await self._journal.flush()

    async def _change_one(self, one: _Membership) -> None:
        if self._course.stopped is None:
            await self._change_group(one)
        self._seen_through += 1
        self._progress.advance("members", self._seen_through)

    async def _change_group(self, one: _Membership) -> None:
        record, group, delta, add, remove, held = one.record, one.group, one.delta, one.add, one.leaving, one.held
        outcome = await self._change(group, add, remove, filled=delta.filled)
        if isinstance(outcome, Failed):
            if outcome.may_have_been_done:
                await self._look_what_was_done(record, group, add, remove)
            await self._never_added(one, dict.fromkeys(add, outcome))
            await self._group_failed(record, outcome)
            return
        await self._never_added(one, outcome.refused)
        doubtful = [member for member, refusal in outcome.refused.items() if refusal.may_have_been_done]
        if doubtful:
            wanted = {member: add[member] for member in doubtful if member in add}
            await self._look_what_was_done(record, group, wanted, [member for member in doubtful if member in remove])
        if group in self._looked_empty:
            await self._target.members(group)  # now it is not: whether the target hides members shows for good
        added = [(add[member], member) for member in outcome.done if member in add]
        removed = [member for member in outcome.done if member in remove]
        wanted_out = {target_id for _, target_id in delta.remove}
        if held:
            self._put_on_hold(record, one.waiting, held)
        elif one.exact and not self._whole:
            held = _NOT_KNOWN
        elif one.exact:
            members = (one.ledger.keys() | {member for _, member in added}) - set(removed)
            strangers = await self._strangers(group, members, delta)
            if isinstance(strangers, Failed):
                await self._group_failed(record, strangers)
                return
            strangers -= add.keys()  # nobody knows of some whether they were added: who is to be in is no stranger
            wanted_out |= strangers
            strangers = frozenset(member for member in strangers if member not in one.stay)
            done = len([member for member in removed if member not in one.approved])
            held, waiting = self._held_of(strangers, one.approved, len(members) + len(strangers), done)
            if held:
                self._put_on_hold(record, waiting, held)
            if strangers - waiting:
                left = await self._change(group, {}, dict.fromkeys(strangers - waiting, SourceId("")), filled=True)
                outcome = _both(outcome, left)
                removed += [member for member in outcome.done if member in strangers]
        await self._holding.members_settled(record.source_id, wanted_out.difference(removed))
        if held != _NOT_KNOWN:
            self._seen.add(record.source_id)
        await self._note(record, outcome, added, removed, held, len(delta.unresolved))

    async def _never_added(self, one: _Membership, refused: Mapping[TargetId, Failed]) -> None:
        """Take those out of the ledger again who were written down before, and whom the target refused for certain."""
        certain = {
            member for member, refusal in refused.items() if refusal.fault not in _NOT_CERTAIN and not refusal.repeated
        }
        never = sorted(certain & one.add.keys() - one.delta.in_doubt)
        await self._journal.members(one.record.source_id, [], (), never, settled=False)

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
            self._course.failed(record.source_id, "members", refusal.error_code, why, reference=True)
        why_held = held if held != _NOT_KNOWN else ""
        log = []
        if added or removed or failure is not None or (why_held and record.source_id not in self._told):
            now = self._clock.now()
            log.append(telling.members(record, len(added), len(removed), failure, now, why_held, unresolved))
        settled = failure is None and not held and not self._canary.restricted
        refused = failure is not None and failure.fault not in _PASSING
        await self._journal.members(record.source_id, log, added, removed, settled=settled, refused=refused)

    def _held_of(
        self, leaving: Collection[TargetId], approved: Collection[str], members: int, done: int = 0
    ) -> tuple[str, frozenset[TargetId]]:
        """Return why members are not taken out of a group now (empty: they are), with those who stay because of it.

        `done`: how many were taken out just now. Those whom a person let go are counted no more.
        """
        weighed = frozenset(one for one in leaving if one not in approved)
        if self._removals == "not known":
            return (_NOT_KNOWN, frozenset(leaving)) if leaving else ("", frozenset())
        why = self._hold(len(weighed), len(weighed) + done, members)
        return why, weighed if why else frozenset()

    def _hold(self, waiting: int, removals: int, members: int) -> str:
        if not waiting:
            return ""
        if self._removals == "held":
            return self._why_held
        verdict = safeguards.member_verdict(removals, max(members, removals), self._job.safeguards)
        return verdict.arithmetic if isinstance(verdict, Held) else ""

    def _put_on_hold(self, record: Record, waiting: Collection[TargetId], why: str) -> None:
        if why != _NOT_KNOWN:
            self.held.append(HeldRemovals(record, sorted(waiting), why))

    async def _change(
        self, group: TargetId, add: Mapping[TargetId, SourceId], remove: Mapping[TargetId, SourceId], *, filled: bool
    ) -> MembersDone | Failed:
        if not add and not remove:
            return MembersDone()
        return await self._target.change_members(group, list(add), list(remove), filled=filled)

    async def _learn(self, record: Record, group: TargetId) -> Failed | None:
        """Take the members that the target shows into the ledger, and those out of it that it does not show."""
        shown = await self._target.members(group)
        if isinstance(shown, Missing):
            return Failed(Fault.NOT_FOUND, "the group is not there any more", 404)
        if isinstance(shown, Failed):
            # where members are not shown, what we remember counts
            return None if shown.fault is Fault.NOT_SCIM else shown
        ledger = await self._store.ledger(self._job_id, record.source_id)
        if shown and not _overlap(ledger, shown) and not await self._is_id(min(shown)):
            return None
        if ledger and not shown:
            # it may be that members are hidden: they are added again, and who is to leave, now or later, is taken out
            self._looked_empty.add(group)
            await self._journal.doubt_members(record.source_id, [(ledger[one], one) for one in ledger])
            return None
        delta = await self._store.member_delta(self._job_id, record.source_id)
        lost = [one for one in ledger if one not in shown]
        there = [(source_id, target_id) for source_id, target_id in delta.add if target_id in shown]
        if lost or there:
            await self._journal.members(record.source_id, [], there, lost, settled=False)
        return None

    async def _is_id(self, member: TargetId) -> bool:
        """Whether what a target shows as a member is the id of an account, and not her name."""
        answer = await self._target.get("user", member)
        return isinstance(answer, Account) and answer.id == member

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
        strangers = strangers - await self._left_alone(delta)
        return strangers - await self._spared(strangers, delta)

    async def _spared(self, strangers: Collection[TargetId], delta: MemberDelta) -> frozenset[TargetId]:
        """Return who stays: protected accounts, and members whom the source lists and who have no link yet.

        Who cannot be told stays, too.
        """
        protected = frozenset[str]().union(*map(guarded, self._job.protected))
        names: set[str] = set()
        for kind in KINDS:
            records = await self._store.records(self._job_id, kind, delta.unresolved)
            names.update(spoken(name) for r in records.values() if r.link is None for name in (r.name, r.source_id))
        found = {one for one in strangers if not protected.isdisjoint(guarded(one))}
        rules = self._job.users
        if rules is None or not (names or protected):
            return frozenset(found)
        shown = await self._asking["user"].look([one for one in strangers if one not in found])
        matching = {mapping.to for mapping in rules.mappings if mapping.match is not None}
        for stranger, answer in shown.items():
            if isinstance(answer, Account):
                texts = {path: value for path, value in answer.resource.items() if isinstance(value, str)}
                by = [value for path, value in texts.items() if path in matching]
                is_protected = not all(protected.isdisjoint(guarded(value)) for value in by)
                if is_protected or any(spoken(value) in names for value in texts.values()):
                    found.add(stranger)
            elif isinstance(answer, Failed):
                found.add(stranger)
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

    async def _is_missing(self, kind: Kind, target_id: TargetId) -> bool:
        """Whether the target is sure: a 404 may be about a member, or come from a gateway on a bad day."""
        return isinstance(await self._target.get(kind, target_id), Missing)

    async def _group_failed(self, record: Record, failure: Failed) -> None:
        if failure.fault in (Fault.UNREACHABLE, Fault.UNAUTHORIZED):
            self._course.stopped = failure
            return
        group = record.link.target_id if record.link is not None else None
        # what was made just now may not show yet, and is ours all the same
        not_yet = failure.fault is Fault.NOT_FOUND and self._course.made_just_now(record)
        perhaps_gone = failure.fault is Fault.NOT_FOUND and not not_yet
        if perhaps_gone and group is not None and await self._is_missing("group", group):
            # the group is matched or made again in the next cycle; its members follow then
            gone = replace(record, link=None, fingerprint=None, verdict=Verdict.NEW)
            await self._journal.entry(gone, telling.members(record, 0, 0, failure, self._clock.now()))
        else:
            log = telling.members(record, 0, 0, failure, self._clock.now())
            refused = failure.fault not in _PASSING and not not_yet
            await self._journal.members(record.source_id, [log], (), (), settled=False, refused=refused)
        self._course.failed(record.source_id, "members", failure.error_code, failure.reason, reference=True)


_PASSING = frozenset({Fault.INTERRUPTED, Fault.SERVER_ERROR, Fault.THROTTLED, Fault.NOT_SCIM})
"""Faults that say nothing about the members: the group is looked at again in the next cycle, however often."""

_NOT_CERTAIN = (*_PASSING, Fault.UNREACHABLE, Fault.UNAUTHORIZED)
"""Faults after which an earlier try of the same request may have come through."""


def _overlap(known: Collection[TargetId], shown: Collection[TargetId]) -> bool:
    """Whether what a target shows can be ids: some servers show names in place of them."""
    return not known or any(one in shown for one in known)


def _both(first: MembersDone, second: MembersDone | Failed) -> MembersDone:
    if isinstance(second, Failed):
        return MembersDone(first.done, {**first.refused, TargetId("*"): second})
    return MembersDone((*first.done, *second.done), {**first.refused, **second.refused})
