"""Sends one operation to the target, and asks where the answer leaves a doubt, before it says what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.core import settling
from reconciler.core.decisions import Operation
from reconciler.core.model import Kind, SourceId, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Missing
from reconciler.core.profile import Profile
from reconciler.ports import Clock, Target
from reconciler.runtime.asking import Asking
from reconciler.runtime.course import Course
from reconciler.runtime.journal import Journal
from reconciler.runtime.last_look import last_look


class Sending:
    """Turns operations into requests. A 404 is believed only after a look; an unanswered create is asked for."""

    def __init__(
        self,
        profile: Profile,
        target: Target,
        journal: Journal,
        asking: Mapping[Kind, Asking],
        clock: Clock,
        course: Course,
    ) -> None:
        self._profile, self._target, self._journal = profile, target, journal
        self._asking, self._clock, self._course = asking, clock, course
        self.disabled_alone: set[tuple[Kind, SourceId]] = set()
        """Who was disabled without the rest of the change, such as a new name: that is tried in the next cycle."""

    async def send(self, operation: Operation) -> tuple[Operation, Done | Missing | Failed]:
        """Return what was sent, and the answer: in place of a delete a disable where the account is on all the same."""
        if operation.after_disable:
            looked = await last_look(operation, self._target, self._profile)
            if isinstance(looked, Failed):
                return operation, looked
            if looked.word != operation.word:
                await self._journal.entry(settling.attempted(looked, self._clock.now()))
                await self._journal.flush()
            operation = looked
        outcome = await self._answer(operation)
        settling.keep_doubt(operation, outcome)  # it may be told later of a taken name, and not of this outcome
        return operation, outcome

    async def _answer(self, operation: Operation) -> Done | Missing | Failed:
        record = operation.record
        match operation.word:
            case "create":
                return await self._create(operation)
            case "delete":
                assert record.link is not None
                return await self._delete(record.kind, record.link.target_id)
            case "adopt" | "update" | "enable" | "disable":
                return await self._update(operation)

    async def _update(self, operation: Operation) -> Done | Failed:
        record = operation.record
        if operation.account is not None:
            target_id, agreed = operation.account.id, operation.account.resource
        else:
            assert record.link is not None
            target_id, agreed = record.link.target_id, record.link.agreed
        if not operation.changes:
            return Done()
        outcome = await self._target.update(record.kind, target_id, operation.changes, agreed)
        if isinstance(outcome, Failed) and outcome.fault is Fault.NOT_FOUND:
            outcome = await self._gone_or_refused(record.kind, target_id, outcome)
        if isinstance(outcome, Failed) and operation.word == "disable" and outcome.fault not in _REACHES_NOTHING:
            alone = tuple(c for c in operation.changes if c.path == self._profile.active)
            if len(alone) < len(operation.changes) or outcome.fault is Fault.CONFLICT:
                # nothing may stand between a leaver and the disable: not another attribute's refusal, which may be that
                # of a taken name, and not somebody who changes the account at the same moment
                settling.send_only(operation, alone)
                self.disabled_alone.add(record.key)
                settling.keep_doubt(operation, outcome)
                return await self._target.update(record.kind, target_id, alone, agreed)
        return outcome

    async def _delete(self, kind: Kind, target_id: TargetId) -> Done | Missing | Failed:
        """Delete. A 404 of an account that is there comes from something before the app, or from one that cannot."""
        outcome = await self._target.delete(kind, target_id)
        if isinstance(outcome, Missing) and isinstance(await self._target.get(kind, target_id), Account):
            why = f"deleting a {kind}: the target says that there is no such {kind}, and shows it all the same"
            return Failed(Fault.INVALID, why, 404)
        return outcome

    async def _gone_or_refused(self, kind: Kind, target_id: TargetId, failure: Failed) -> Failed:
        """Return the 404 only of an account that is not there: it may be about a manager whom the change names.

        A link that is dropped too early may end in a second account, a disable that counts as done in an open door.
        """
        match await self._target.get(kind, target_id):
            case Missing():
                return failure
            case Account():
                return replace(failure, fault=Fault.INVALID, reason=f"{failure.reason}; the {kind} itself is there")
            case Failed() as unanswered:
                return unanswered.following(failure)

    async def _create(self, operation: Operation) -> Done | Failed:
        late = self._profile.shows_late(operation.record.kind)
        if late and self._course.age_seconds > _SOON_SECONDS:
            # it may have waited for its turn for long, and for how long it is not shown counts from now on
            await self._journal.entry(settling.attempted(operation, self._clock.now()))
            await self._journal.flush()
        outcome = await self._target.create(operation.record.kind, operation.resource)
        if not (isinstance(outcome, Failed) and outcome.may_have_been_done):
            return outcome
        self._course.in_doubt.add((operation.record.kind, operation.record.source_id))
        found = await self._asking[operation.record.kind].ask_one(operation.match)
        match found:
            case (account,) if not await self._journal.owner(self._target.identity, operation.record.kind, account.id):
                return Done(account)
        # Before it is sent again, a list that is older than this is made anew. Where somebody has the account, or
        # several have the name, the next look tells whose they are: another create may be a second account.
        self._asking[operation.record.kind].outdate()
        return outcome


_SOON_SECONDS = 30.0
"""What is sent so soon after its cycle began was committed as attempted just before."""
_REACHES_NOTHING = (Fault.UNREACHABLE, Fault.UNAUTHORIZED, Fault.NOT_FOUND, Fault.THROTTLED)
"""What a smaller request meets just as well."""
