"""Decides what becomes of the account of somebody who leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconciler.core import diffing, settling
from reconciler.core.decisions import LEAVERS, Decision, Judged, Leave, Operation, Reject, verdict_of
from reconciler.core.model import Action, Cause, Change, DeprovisionAction, Job, ObjectRules, Resource
from reconciler.core.outcomes import Account
from reconciler.core.profile import Profile
from reconciler.core.records import BY_OTHERS, Link, Record, Verdict
from reconciler.core.scoping import Leaving

CAUSES = frozenset(str(cause) for cause in Cause)
"""Why we disable an account; what the mapping disabled has another reason."""


def kept_causes(job: Job, profile: Profile) -> tuple[Cause, ...]:
    """Return the causes for which a user's account stays as it is: by the rules, or because nothing can be done."""
    if job.users is None:
        return ()
    deprovisioning = Deprovisioning(job, job.users, profile)
    return tuple(cause for cause in Cause if deprovisioning.keeps(job.deprovision.action(cause)))


def withholds_deletes(job: Job, profile: Profile) -> bool:
    """Whether disabled accounts would be deleted in time, and are not: the job does not say what the profile wants.

    `profile` is the job's, which cannot delete until it does.
    """
    if job.users is None or job.deprovision.delete_after_seconds is None or Action.DELETE not in job.users.actions:
        return False
    return profile.confirm_delete is not None and profile.can_disable and not profile.can_delete


@dataclass(frozen=True, slots=True)
class Deprovisioning:
    """What the rules of one job do with the accounts of one kind when their owners leave."""

    job: Job
    rules: ObjectRules
    profile: Profile
    hidden: frozenset[str] = diffing.NEVER_SHOWN
    """The paths whose values the target never shows."""

    def plan(self, judged: Judged, link: Link, standing: Leaving, now: float) -> Decision:
        """Return the delete or disable that the rules ask for, or why the account is left as it is."""
        record, fingerprint, found = judged.record, judged.fingerprint, judged.found
        verdict = verdict_of(standing)
        action = self.job.deprovision.action(standing.cause)
        if standing.purged and action is DeprovisionAction.DISABLE:
            action = DeprovisionAction.DELETE
        if standing.forced and not (standing.purged and action is DeprovisionAction.DELETE):
            action = DeprovisionAction.DISABLE
        if self.rules.kind == "group" and action is DeprovisionAction.DISABLE:
            action = DeprovisionAction.DELETE  # a group cannot be disabled (docs/deprovisioning.md)
        match action:
            case DeprovisionAction.KEEP if standing.also is not None:
                return self.plan(judged, link, standing.also, now)
            case DeprovisionAction.KEEP:
                return Leave(f"{standing.why}; the account is kept by the rules", "SkipOutOfScopeDeletion", verdict)
            case DeprovisionAction.SET:
                return self._set(judged, link, standing, now)
            case DeprovisionAction.DELETE if self._may_delete:
                if self.rules.kind == "group" and link.origin == "adopted":
                    return Leave(f"{standing.why}; an adopted group is never deleted", "AdoptedGroup", verdict)
                waits = None
                if self.rules.kind == "user" and not standing.purged:
                    waits = self.waits(record, link, standing, now)
                if waits is not None:
                    return waits
                return Operation("delete", record, standing.why, verdict, fingerprint, cause=standing.cause)
            case DeprovisionAction.DELETE if self.rules.kind == "group" or not self.can_disable:
                return Leave(f"{standing.why}; {self._why_not_deleted}", "DeleteNotAllowed", verdict)
            case DeprovisionAction.DELETE | DeprovisionAction.DISABLE:
                pass  # who may not be deleted is disabled at least
        shown_on = found is not None and _is_active(found.resource, self.profile.active)
        if (link.disabled_at is not None and not shown_on) or self.stays_off(record, link, standing, found):
            return self.settled(record, link, standing, now)
        if not self.can_disable:
            unmapped = f"nothing is mapped to {self.profile.active}"
            why = unmapped if self.profile.can_disable else "the app cannot disable accounts"
            return Leave(f"{standing.why}; {why}", "DisableNotAllowed", verdict)
        if Action.UPDATE not in self.rules.actions:
            return Leave(f"{standing.why}; update is not among the actions", "UpdateNotAllowed", verdict)
        waits = self.waits(record, link, standing, now)
        if waits is not None:
            return waits
        agreed = self.agreed(link, found)
        if agreed.get(self.profile.active) is False:
            return self.settled(record, link, standing, now)
        changes = (Change(self.profile.active, agreed.get(self.profile.active), False),)
        return Operation("disable", record, standing.why, verdict, fingerprint, changes=changes, cause=standing.cause)

    def keeps(self, action: DeprovisionAction) -> bool:
        """Whether the account stays as it is where a cause asks for this."""
        match action:
            case DeprovisionAction.KEEP:
                return True
            case DeprovisionAction.SET:
                return False
            case DeprovisionAction.DELETE if self._may_delete:
                return False
            case DeprovisionAction.DELETE | DeprovisionAction.DISABLE:
                return not self.can_disable or Action.UPDATE not in self.rules.actions

    def sets(self, standing: Leaving) -> bool:
        """Whether the rules answer a cause of this leaving by writing attributes."""
        if standing.forced:
            return False
        also = standing.also is not None and self.sets(standing.also)
        return also or self.job.deprovision.action(standing.cause) is DeprovisionAction.SET

    def _set(self, judged: Judged, link: Link, standing: Leaving, now: float) -> Decision:
        """Return the change that writes what the rules set. The row of another cause counts beside it."""
        verdict, record = verdict_of(standing), judged.record
        left = Leave(f"{standing.why}; what the rules set is set", "AttributesSet", verdict)
        also = self.plan(judged, link, standing.also, now) if standing.also is not None else left
        if isinstance(also, Operation) and also.word in ("disable", "delete"):
            return also
        parting = judged.parting
        if parting is None or self.rules.kind == "group":
            return left
        if parting.problems:
            return Reject(parting.problems[0].error_code, f"{parting.problems[0].path}: {parting.problems[0].reason}")
        if Action.UPDATE not in self.rules.actions:
            return Leave(f"{standing.why}; update is not among the actions", "UpdateNotAllowed", verdict)
        if parting.mapper.volatile and record.verdict is verdict:
            return left  # what reads the time is written when somebody leaves, and not every time we look
        agreed = diffing.as_kept(link, judged.found, self.profile.active, self.hidden)
        wanted = parting.on_update(agreed)
        changes = diffing.changes(wanted, agreed, lambda path: self.profile.attribute(self.rules.kind, path))
        if not changes:
            return left
        off = any(c.path == self.profile.active and c.new is False for c in changes)
        why = f"{standing.why}; set: {', '.join(change.path for change in changes)}"
        return Operation(
            word="disable" if off else "update",
            record=record,
            why=why,
            verdict=verdict,
            fingerprint=judged.fingerprint,
            changes=changes,
            cause=standing.cause,
            redacted=parting.redacted,
        )

    def disables(self, standing: Leaving) -> bool:
        """Whether the rules answer this cause with a disable that is possible."""
        return self.job.deprovision.action(standing.cause) is DeprovisionAction.DISABLE and self.can_disable

    def waits(self, record: Record, link: Link, standing: Leaving, now: float) -> Leave | None:
        """Return Leave while the grace period of a leaver runs; another cause does not start it anew."""
        grace = self.job.deprovision.disable_after_seconds
        if not grace or standing.forced or link.disabled_at is not None:
            return None
        until = now + grace
        if _had_left(record) and record.due_at is not None:
            until = min(until, record.due_at)
        if until <= now:
            return None
        return Leave(f"{standing.why}; waits {grace / 86400:g} days", "GracePeriod", verdict_of(standing), due_at=until)

    def stays_off(self, record: Record, link: Link, standing: Leaving, found: Account | None) -> bool:
        """Whether the account of somebody who had left was seen off, not by us, and has not been seen on since.

        Whom a person takes out is sent the disable all the same.
        """
        if link.disabled_because != BY_OTHERS or not _had_left(record) or standing.forced:
            return False
        return found is None or not _is_active(found.resource, self.profile.active)

    def agreed(self, link: Link, found: Account | None) -> Resource:
        """Return what the account of a leaver has, as far as it matters (`diffing.as_kept`).

        Where it is off because the target did not keep our enable it counts as on: the disable that it is sent is ours.
        """
        agreed, active = diffing.as_kept(link, found, self.profile.active, self.hidden), self.profile.active
        if link.disabled_at is None and link.is_ours_if_off and agreed.get(active) is False:
            return {**agreed, active: True}
        return agreed

    def settled(self, record: Record, link: Link, standing: Leaving, now: float) -> Operation | Leave:
        """Return what is left to do for an account that is disabled: the delete when its time comes."""
        verdict = verdict_of(standing)
        already = f"{standing.why}; the account is disabled already"
        if link.disabled_at is None:
            return Leave(already, "RedundantExport", verdict, off_by_others=True)
        begins = standing.cause if link.disabled_because not in CAUSES else None
        wait = self.job.deprovision.delete_after_seconds
        by_hand = standing.forced and standing.cause is Cause.INACTIVE  # nobody said that the person has left
        if wait is None or by_hand or not self._may_delete:
            return Leave(already, "RedundantExport", verdict, leaves_disabled=begins)
        delete_at = wait + (now if begins is not None else link.disabled_at)
        if delete_at > now or begins is not None:
            why = f"{already} and waits to be deleted"
            return Leave(why, "RedundantExport", verdict, due_at=delete_at, leaves_disabled=begins)
        why = f"{standing.why}; disabled long enough, so the account is deleted"
        can_disable = self.can_disable and Action.UPDATE in self.rules.actions
        return Operation(
            "delete", record, why, verdict, record.fingerprint, cause=standing.cause, after_disable=can_disable
        )

    @property
    def can_disable(self) -> bool:
        return self.profile.can_disable and any(mapping.to == self.profile.active for mapping in self.rules.mappings)

    @property
    def _may_delete(self) -> bool:
        possible = self.profile.can_delete_groups if self.rules.kind == "group" else self.profile.can_delete
        return possible and Action.DELETE in self.rules.actions

    @property
    def _why_not_deleted(self) -> str:
        if Action.DELETE not in self.rules.actions:
            return "delete is not among the actions"
        if self.rules.kind == "user" and self.profile.confirm_delete is not None:
            return "the job does not repeat confirm_delete, without which nobody is deleted"
        return f"the app cannot delete {'groups' if self.rules.kind == 'group' else 'accounts'}"


def disabled_again(delete: Operation, shown: Account, profile: Profile) -> Operation:
    """Return the disable that takes the place of a delete whose account is on although we had disabled it."""
    record = delete.record
    assert record.link is not None
    return replace(
        delete,
        word="disable",
        record=replace(record, link=settling.compared(record.link, shown, record.kind, profile)),
        why=f"{delete.why}; but it is on, so it is disabled again, and deleted later",
        changes=(Change(profile.active, True, False),),
        after_disable=False,
    )


def _had_left(record: Record) -> bool:
    """Whether the last that was decided is that somebody leaves; of whom nothing is known now has not come back."""
    return record.verdict in LEAVERS or (record.verdict is Verdict.UNKNOWN and record.escrow is None)


def _is_active(resource: Resource, active: str) -> bool:
    return resource.get(active) is not False
