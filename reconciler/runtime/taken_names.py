"""Sends once more what met a taken name: it may have become free, and two who swap names come right in a ring."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from reconciler.core import settling
from reconciler.core.decisions import Operation
from reconciler.core.levelling import level
from reconciler.core.model import Change, Job, Kind, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed, Fault
from reconciler.core.reasons import Reason
from reconciler.core.records import Verdict
from reconciler.ports import Owner, Target
from reconciler.runtime.asking import FEW, Asking
from reconciler.runtime.course import Course
from reconciler.runtime.journal import Journal
from reconciler.runtime.turns import Hand

ROUNDS_MAX = 3
"""How often what met a taken name is sent again within one cycle."""

LOCAL_PART_MAX = 64
"""So many characters stand before the @ of an address at most (RFC 5321 §4.5.3.1.1; sign-in names of Entra ID)."""

NOT_SHOWN = "does not show by whom"

LIVING = frozenset({Verdict.IN_SCOPE, Verdict.INACTIVE, Verdict.UNKNOWN, Verdict.NEW})


class Sender(Protocol):
    """Sends one operation, and writes down what becomes of it."""

    async def perform(self, operation: Operation) -> None: ...

    async def fail(
        self, operation: Operation, failure: Failed, took_ms: int = 0, *, together_with: Owner | None = None
    ) -> None: ...

    async def not_done(self, operation: Operation) -> None: ...

    async def match_again(self, operation: Operation, found: Sequence[Account]) -> bool: ...

    async def enable_alone(self, operation: Operation) -> Operation: ...


class TakenNames:
    """Keeps the operations that met a taken name, until everything else has run."""

    def __init__(
        self,
        job: Job,
        target: Target,
        journal: Journal,
        asking: Mapping[Kind, Asking],
        hand: Hand,
        course: Course,
        sender: Sender,
    ) -> None:
        self._job, self._target, self._journal, self._asking, self._hand = job, target, journal, asking, hand
        self._course, self._sender = course, sender
        self.aside: list[Operation] = []
        self._unclear: dict[tuple[Kind, SourceId], Failed] = {}
        """What the target said to those whom it may have refused because of a taken name, without a word of that."""
        self._renamed: dict[tuple[Kind, SourceId], Change] = {}
        """What was to become of the names of those who have interim ones."""
        self._agreed: dict[Kind, Mapping[tuple[str, str], Sequence[TargetId]]] = {}
        """Which of our accounts have the names that are waited for, by what was agreed last; asked where none shows."""

    def may_be_why(self, operation: Operation, refusal: Failed) -> bool:
        """Whether a taken name may be why the target refuses: some answer that with a bare 400.

        Of creates a few are believed to be so: where many are refused, that is not because of their names.
        """
        names = [path for path, _ in operation.match]
        if operation.word != "create":
            rename = None if operation.negative or operation.record.link is None else _rename(operation)
            names = [] if rename is None or _folded(rename.new) == _folded(rename.old) else [rename.path]
        elif len(self._unclear) >= FEW:
            return False
        if refusal.unsent or not names or refusal.attribute not in (None, *names):
            return False
        self._unclear[operation.record.key] = refusal
        return True

    async def settle(self) -> None:
        """Send again what met a taken name, now that everything else has run; two who swap names end right."""
        await self._fail_who_needs_no_name()
        await self._send_again()
        waiting, self.aside = self.aside, []
        if self._course.stopped is None:
            for operation in waiting:
                await self._give_back(operation)
        for operation in waiting:
            if not self._hand.leaves_alone(operation.record.key):
                await self._give_up(operation, waiting)
        self._unclear.clear()
        self._renamed.clear()
        self._agreed.clear()

    async def _send_again(self) -> None:
        for _ in range(ROUNDS_MAX):
            if not self.aside or self._course.stopped is not None:
                return
            waiting, self.aside = self.aside, []
            for operation in waiting:
                await self._sender.perform(operation)
            if len(self.aside) == len(waiting) and not await self._break_a_ring():
                return

    async def _fail_who_needs_no_name(self) -> None:
        """Fail those whose refusal has no word of a taken name, where nobody is known to have the name.

        Somebody is: one of those who wait, by what is known of them, whom the target shows, or who had it when last
        agreed.
        """
        if not self._unclear:
            return
        waiting, self.aside = self.aside, []
        known = {
            _folded(operation.record.link.agreed.get(path))
            for operation in waiting
            if operation.record.link is not None
            for path, _ in operation.match
        }
        for operation in waiting:
            refusal = self._unclear.get(operation.record.key)
            if refusal is None or any(_folded(value) in known for _, value in _needed(operation)):
                self.aside.append(operation)
            elif holders := await self._holders(operation):
                if not await self._sender.match_again(operation, holders):
                    self.aside.append(operation)
            elif await self._had(operation, waiting):
                self.aside.append(operation)
            elif not self._hand.leaves_alone(operation.record.key):
                await self._sender.fail(operation, refusal)
        self._agreed.clear()  # what is sent now may change who has which name

    async def _holders(self, operation: Operation) -> tuple[Account, ...]:
        """Return the accounts that the target shows with the name that this one needs.

        Many who are refused at once are not asked for: that is not because of their names.
        """
        link = operation.record.link
        if len(self._unclear) > FEW or self._course.stopped is not None:
            return ()
        found = await self._asking[operation.record.kind].ask_one(_needed(operation))
        if isinstance(found, Failed):
            return ()
        return tuple(account for account in found if link is None or account.id != link.target_id)

    async def _break_a_ring(self) -> bool:
        """Give one of those who wait for each other's names an interim name; return whether there was one."""
        waiting, self.aside = self.aside, []
        holders: dict[int, Operation | None] = {}
        for index, operation in enumerate(waiting):
            if self._hand.leaves_alone(operation.record.key):
                continue
            rename, link = _rename(operation), operation.record.link
            if rename is None or link is None or not await self._is_in_a_ring(waiting, operation, holders):
                continue
            interim = Change(rename.path, rename.old, _interim(link.target_id, rename.new))
            with self._hand.holding([operation.record.key]) as left_alone:
                if left_alone:
                    continue
                outcome = await self._target.update(operation.record.kind, link.target_id, [interim], link.agreed)
                if isinstance(outcome, Failed):
                    settling.keep_doubt(operation, outcome)
                    continue
                link = replace(link, agreed={**link.agreed, interim.path: interim.new})
                operation.record = replace(operation.record, link=link, fingerprint=None)
                await self._journal.entry(operation.record)
            self._renamed.setdefault(operation.record.key, rename)
            operation.changes = tuple(c._replace(old=interim.new) if c is rename else c for c in operation.changes)
            # the others first: the name that this one held is free now
            self.aside = waiting[index + 1 :] + waiting[:index] + [operation]
            break
        else:
            self.aside = waiting
            return False
        ready, self.aside = self.aside, []
        for operation in ready:
            await self._sender.perform(operation)
        return True

    async def _give_back(self, operation: Operation) -> None:
        """Give somebody her own name again who got an interim one, and then not the name that it was for."""
        meant, link = self._renamed.get(operation.record.key), operation.record.link
        if meant is None or link is None or not isinstance(meant.old, str):
            return
        with self._hand.holding([operation.record.key]) as left_alone:
            if left_alone:
                return
            back = Change(meant.path, link.agreed.get(meant.path), meant.old)
            outcome = await self._target.update(operation.record.kind, link.target_id, [back], link.agreed)
        if isinstance(outcome, Failed):
            settling.keep_doubt(operation, outcome)
            return
        link = replace(link, agreed={**link.agreed, back.path: back.new})
        operation.record = replace(operation.record, link=link)
        operation.changes = tuple(c._replace(old=meant.old) if c.path == meant.path else c for c in operation.changes)

    async def _give_up(self, operation: Operation, waiting: Sequence[Operation]) -> None:
        """Fail who has not got the name, and say who has it. Where nothing more is sent, the next cycle tries again."""
        if self._course.stopped is not None:
            await self._sender.not_done(operation)
            return
        failure, owner, account_id = await self._explain(operation, waiting)
        rest = await self._sender.enable_alone(operation)
        rest.record.claims = account_id
        await self._sender.fail(rest, failure, together_with=owner)

    async def _is_in_a_ring(
        self, waiting: Sequence[Operation], operation: Operation, holders: dict[int, Operation | None]
    ) -> bool:
        """Whether those whose names this one and the next wait for end with itself: else an interim name frees none.

        `holders` is who holds the name that each of them needs, as far as somebody has asked.
        """
        seen: set[int] = set()
        holder: Operation | None = operation
        while holder is not None and id(holder) not in seen:
            seen.add(id(holder))
            if id(holder) not in holders:
                holders[id(holder)] = await self._holder(waiting, holder)
            holder = holders[id(holder)]
        return holder is operation

    async def _holder(self, waiting: Sequence[Operation], operation: Operation) -> Operation | None:
        """Return who of those who wait has the name that this one needs."""
        rename = _rename(operation)
        if rename is None:
            return None
        others = [(o, o.record.link) for o in waiting if o is not operation]
        for other, link in others:
            if link is not None and _folded(link.agreed.get(rename.path)) == _folded(rename.new):
                return other  # as far as we know; a target that does not find its own names cannot say more
        found = await self._asking[operation.record.kind].ask_one([(rename.path, str(rename.new))])
        ids = {account.id for account in found} if not isinstance(found, Failed) else set()
        return next((other for other, link in others if link is not None and link.target_id in ids), None)

    async def _explain(
        self, operation: Operation, waiting: Sequence[Operation]
    ) -> tuple[Failed, Owner | None, TargetId | None]:
        """Return why a name is not free, who of this job has it, and the account of another entry, where one has it."""
        refusal, link = self._unclear.get(operation.record.key), operation.record.link
        found = await self._asking[operation.record.kind].ask_one(operation.match)
        if isinstance(found, Failed):
            return refusal or replace(found, unsent=True), None, None
        unseen = refusal or Failed(Fault.CONFLICT, f"the target says that the name is taken, and {NOT_SHOWN}", 409)
        shown = [account.id for account in found if link is None or account.id != link.target_id]
        for account_id in shown or await self._had(operation, waiting):
            owner = await self._journal.owner(self._target.identity, operation.record.kind, account_id)
            if owner is None:
                unseen = Failed(Fault.CONFLICT, f"the account {account_id}, which is nobody's here, has the name", 409)
            elif (owner.job, owner.source_id) != (self._job.name, operation.record.source_id):
                why = f"the account {account_id} belongs to {owner.source_id} of job {owner.job}"
                why += "" if shown else f" and had the name when it was last agreed; the target {NOT_SHOWN} it is taken"
                ours = owner if owner.job == self._job.name else None
                return Failed(Fault.CONFLICT, why, 409, code=whose(owner, self._job)), ours, account_id
        return unseen, None, None

    async def _had(self, operation: Operation, waiting: Sequence[Operation]) -> Sequence[TargetId]:
        """Return the accounts of others here that had the name which this one needs when it was agreed last.

        Of our own accounts that is known whatever a search shows. It is looked up once for all who wait.
        """
        kind, link = operation.record.kind, operation.record.link
        if kind not in self._agreed:
            names = {(path, _folded(value)) for o in waiting if o.record.kind == kind for path, value in _needed(o)}
            self._agreed[kind] = await self._journal.having(self._target.identity, kind, names)
        for path, value in _needed(operation):
            had = self._agreed[kind].get((path, _folded(value)), ())
            if others := [account_id for account_id in had if link is None or account_id != link.target_id]:
                return others
        return ()


def _interim(target_id: TargetId, name: str) -> str:
    """Return a name that nobody else has, in the domain of the one that is waited for, and no longer than may be."""
    head = f"interim-{hashlib.sha256(target_id.encode()).hexdigest()[:8]}-"
    local, at, domain = name.rpartition("@") if "@" in name else (name, "", "")
    return f"{head}{local[: LOCAL_PART_MAX - len(head)].rstrip('.')}{at}{domain}"


def _rename(operation: Operation) -> Change | None:
    """Return the change of the name that the account is found by."""
    names = dict(operation.match)
    return next((c for c in operation.changes if c.path in names and isinstance(c.new, str)), None)


def _needed(operation: Operation) -> Sequence[tuple[str, str]]:
    """Return (path, value) of what must be free for this operation, in order of precedence."""
    if operation.word == "create":
        return operation.match
    rename = _rename(operation)
    return [] if rename is None else [(rename.path, str(rename.new))]


def _folded(value: object) -> str:
    return level(str(value))


def whose(owner: Owner, job: Job) -> Reason:
    """Return why an account is not free: two entries of this job that are both there want it, or it is another's."""
    both_there = owner.job == job.name and Verdict(owner.verdict) in LIVING
    return "DuplicateSourceEntries" if both_there else "AccountTaken"
