"""Decides, for one entry, the one operation that brings its account to what the rules say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from reconciler.core import diffing
from reconciler.core.mapping import Mapped
from reconciler.core.model import (
    Action,
    Cause,
    Change,
    DeprovisionAction,
    Job,
    Kind,
    ObjectRules,
    Profile,
    Resource,
    SourceId,
    TargetId,
)
from reconciler.core.outcomes import Account
from reconciler.core.records import Link, Record, Verdict
from reconciler.core.scoping import InScope, Leaving, Standing

Word = Literal["create", "adopt", "update", "enable", "disable", "delete"]

UNKEPT_MAX = 3
"""How often a value is sent again that the target takes and does not keep."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A reference whose target id is not known yet."""

    path: str
    kind: Kind
    source_id: SourceId


@dataclass(slots=True)
class Operation:
    """What will be done to one account, with its why. `record` is the entry's memory as it is before."""

    word: Word
    record: Record
    why: str
    verdict: Verdict
    fingerprint: bytes | None
    changes: tuple[Change, ...] = ()
    resource: Resource = field(default_factory=dict)
    """With create: the whole account."""
    account: Account | None = None
    """With adopt: what the target showed."""
    pending: tuple[Pending, ...] = ()
    match: tuple[tuple[str, str], ...] = ()
    """(path, value) to ask the target with, in order of precedence."""
    cause: Cause | None = None
    redacted: frozenset[str] = frozenset()
    in_doubt: bool = False
    """An earlier try may have done it, or a part of it, whatever a later one came to."""

    @property
    def negative(self) -> bool:
        return self.word in ("disable", "delete")

    def touches(self, path: str) -> bool:
        return any(change.path == path for change in self.changes)


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is sent; `code` is the reason's name in the provisioning log."""

    why: str
    code: str
    verdict: Verdict
    due_at: float | None = None
    """When the entry must be looked at again although nothing changes."""
    leaves_disabled: Cause | None = None
    """The mapping had disabled the account before its owner left: from now on it counts as disabled because of this."""
    claims: TargetId | None = None
    """The account that another job has for this entry, and that is this job's when that one lets it go."""


@dataclass(frozen=True, slots=True)
class Reject:
    """The entry fails before anything is sent; it is tried again later."""

    error_code: str
    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """The target must be asked whether it has an account for this entry."""

    match: tuple[tuple[str, str], ...]


Decision = Operation | Leave | Reject | Ask

_VERDICTS = {
    Cause.GONE: Verdict.GONE,
    Cause.INACTIVE: Verdict.INACTIVE,
    Cause.ROLE_LOST: Verdict.ROLE_LOST,
    Cause.OUT_OF_SCOPE: Verdict.OUT_OF_SCOPE,
}
LEAVERS = frozenset(_VERDICTS.values())
_CAUSES = frozenset(str(cause) for cause in Cause)


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans for one kind of one job."""

    job: Job
    rules: ObjectRules
    profile: Profile

    def plan(
        self,
        record: Record,
        standing: InScope | Leaving,
        mapped: Mapped | None,
        references: Mapping[str, TargetId | list[TargetId]],
        pending: tuple[Pending, ...],
        fingerprint: bytes | None,
        now: float,
        found: Account | None = None,
    ) -> Decision:
        """Return what is to be done.

        `mapped` is None only where nothing was mapped (the entry is gone). `found` is what the target shows in a
        full cycle; without it the last agreed resource counts.
        """
        if record.link is None:
            return self._plan_unlinked(record, standing, mapped)
        if self._is_protected(record.link.target_id, record.link.agreed, mapped):
            return Leave("the account is protected: it is never touched", "Protected", verdict_of(standing))
        if isinstance(standing, Leaving) and not standing.entitled:
            return self._plan_leaver(record, record.link, standing, fingerprint, now, found)
        assert mapped is not None
        return self._plan_linked(record, record.link, standing, mapped, references, pending, fingerprint, found, now)

    def plan_matched(
        self,
        record: Record,
        standing: InScope | Leaving,
        mapped: Mapped,
        references: Mapping[str, TargetId | list[TargetId]],
        pending: tuple[Pending, ...],
        fingerprint: bytes | None,
        account: Account | None,
        now: float,
    ) -> Decision:
        """Return create or adopt for an entry without a link, now that the target has answered."""
        if account is not None:
            return self._adopt(record, standing, mapped, references, pending, fingerprint, account, now)
        if isinstance(standing, Leaving):
            return Leave(f"{standing.why}; no account is made for somebody inactive", "NotActive", verdict_of(standing))
        if Action.CREATE not in self.rules.actions:
            return Leave(
                "no account matches, and create is not among the actions", "CreateNotAllowed", Verdict.IN_SCOPE
            )
        creation, failures = mapped.on_create()
        if failures:
            return Reject(failures[0].error_code, f"{failures[0].path}: {failures[0].reason}")
        resource = {**creation, **references}
        return Operation(
            word="create",
            record=record,
            why=f"in scope through {standing.through}; no account matches",
            verdict=Verdict.IN_SCOPE,
            fingerprint=fingerprint,
            resource=resource,
            pending=pending,
            match=mapped.match_values,
            redacted=mapped.redacted,
        )

    def _plan_unlinked(self, record: Record, standing: InScope | Leaving, mapped: Mapped | None) -> Decision:
        if isinstance(standing, Leaving) and not standing.entitled:
            return Leave(f"{standing.why}; it has no account", _skip_code(standing.cause), verdict_of(standing))
        assert mapped is not None
        if mapped.ignored:
            return Leave("the mapping ignores this entry (IgnoreObjectFlow)", "IgnoreObjectFlow", verdict_of(standing))
        if not mapped.match_values:
            failed = {failure.path: failure for failure in mapped.problems}
            for mapping in sorted((m for m in self.rules.mappings if m.match is not None), key=lambda m: m.match or 0):
                if mapping.to in failed:
                    return Reject(failed[mapping.to].error_code, f"{mapping.to}: {failed[mapping.to].reason}")
            return Reject("ImportSkipped", "no matching attribute has a value")
        if self._is_protected(None, {}, mapped):
            return Leave("the account is protected: it is never touched", "Protected", verdict_of(standing))
        return Ask(mapped.match_values)

    def _plan_linked(
        self,
        record: Record,
        link: Link,
        standing: InScope | Leaving,
        mapped: Mapped,
        references: Mapping[str, TargetId | list[TargetId]],
        pending: tuple[Pending, ...],
        fingerprint: bytes | None,
        found: Account | None,
        now: float,
    ) -> Decision:
        active = self.profile.active
        agreed = _agreed(link, found, active)
        if isinstance(standing, Leaving):
            action = self.job.deprovision.action(standing.cause)
            if mapped.ignored or mapped.problems or action is not DeprovisionAction.DISABLE or not self._can_disable:
                return self._plan_leaver(record, link, standing, fingerprint, now, found)
            waits = self._waits(record, link, standing, now)
            if waits is not None:
                return waits
        elif mapped.ignored:
            return Leave("the mapping ignores this entry (IgnoreObjectFlow)", "IgnoreObjectFlow", verdict_of(standing))
        elif mapped.problems:
            return self._plan_despite_failures(record, standing, mapped, agreed)
        wanted = self._wanted(standing, mapped, agreed, references)
        if isinstance(standing, InScope) and link.disabled_because in _CAUSES and agreed.get(active) is False:
            wanted.setdefault(active, True)  # also where `active` flows on creation only: it was us who disabled it
        changes = self._changes(wanted, agreed)
        if not changes:
            return self._settled(record, link, standing, now)
        if Action.UPDATE not in self.rules.actions:
            return Leave("update is not among the actions", "UpdateNotAllowed", verdict_of(standing))
        word, why = self._word(changes, standing)
        return Operation(
            word=word,
            record=record,
            why=why,
            verdict=verdict_of(standing),
            fingerprint=fingerprint,
            changes=changes,
            pending=pending,
            match=mapped.match_values,
            cause=standing.cause if isinstance(standing, Leaving) else None,
            redacted=mapped.redacted,
        )

    def _plan_despite_failures(self, record: Record, standing: InScope, mapped: Mapped, agreed: Resource) -> Decision:
        """Return the disable alone where the mapping says so: no other attribute's failure stands before it."""
        active = self.profile.active
        wanted = mapped.on_update(agreed)
        if (
            wanted.get(active, True) is False
            and agreed.get(active) is not False
            and Action.UPDATE in self.rules.actions
        ):
            changes = (Change(active, agreed.get(active), False),)
            word, why = self._word(changes, standing)
            return Operation(word, record, why, Verdict.IN_SCOPE, None, changes=changes, match=mapped.match_values)
        return Reject(mapped.problems[0].error_code, f"{mapped.problems[0].path}: {mapped.problems[0].reason}")

    def _wanted(
        self,
        standing: InScope | Leaving,
        mapped: Mapped,
        agreed: Resource,
        references: Mapping[str, TargetId | list[TargetId]],
    ) -> Resource:
        """Return what flows to an account that has `agreed`; of roles that are not known nothing does."""
        wanted = {**mapped.on_update(agreed), **references}
        if isinstance(standing, Leaving):
            if self.job.deprovision.action(standing.cause) is DeprovisionAction.DISABLE and self._can_disable:
                wanted[self.profile.active] = False
        elif standing.roles_unknown:
            for path in mapped.mapper.role_paths:
                wanted.pop(path, None)
        return wanted

    def _plan_leaver(
        self,
        record: Record,
        link: Link,
        standing: Leaving,
        fingerprint: bytes | None,
        now: float,
        found: Account | None,
    ) -> Decision:
        verdict = verdict_of(standing)
        action = DeprovisionAction.DELETE if standing.purged else self.job.deprovision.action(standing.cause)
        if self.rules.kind == "group" and action is DeprovisionAction.DISABLE:
            action = DeprovisionAction.DELETE  # a group cannot be disabled (entra-behaviour 5.8)
        match action:
            case DeprovisionAction.KEEP if standing.also is not None:
                return self._plan_leaver(record, link, standing.also, fingerprint, now, found)
            case DeprovisionAction.KEEP:
                return Leave(f"{standing.why}; the account is kept by the rules", "SkipOutOfScopeDeletion", verdict)
            case DeprovisionAction.SET:
                return Leave(f"{standing.why}; the rules only set attributes", "SkipOutOfScopeDeletion", verdict)
            case DeprovisionAction.DELETE if self._can_delete:
                if self.rules.kind == "group" and link.origin == "adopted":
                    return Leave(f"{standing.why}; an adopted group is never deleted", "AdoptedGroup", verdict)
                return Operation("delete", record, standing.why, verdict, fingerprint, cause=standing.cause)
            case DeprovisionAction.DELETE if self.rules.kind == "group" or not self._can_disable:
                return Leave(f"{standing.why}; delete is not among the actions", "DeleteNotAllowed", verdict)
            case DeprovisionAction.DELETE | DeprovisionAction.DISABLE:
                pass  # who may not be deleted is disabled at least
        if link.disabled_at is not None and (found is None or not _is_active(found.resource, self.profile.active)):
            return self._settled(record, link, standing, now)
        if not self._can_disable:
            return Leave(f"{standing.why}; nothing is mapped to {self.profile.active}", "DisableNotAllowed", verdict)
        if Action.UPDATE not in self.rules.actions:
            return Leave(f"{standing.why}; update is not among the actions", "UpdateNotAllowed", verdict)
        waits = self._waits(record, link, standing, now)
        if waits is not None:
            return waits
        agreed = _agreed(link, found, self.profile.active)
        if agreed.get(self.profile.active) is False:
            return self._settled(record, link, standing, now)
        changes = (Change(self.profile.active, agreed.get(self.profile.active), False),)
        return Operation("disable", record, standing.why, verdict, fingerprint, changes=changes, cause=standing.cause)

    def _adopt(
        self,
        record: Record,
        standing: InScope | Leaving,
        mapped: Mapped,
        references: Mapping[str, TargetId | list[TargetId]],
        pending: tuple[Pending, ...],
        fingerprint: bytes | None,
        account: Account,
        now: float,
    ) -> Decision:
        if self._is_protected(account.id, account.resource, mapped):
            return Leave("the account is protected: it is never touched", "Protected", verdict_of(standing))
        if mapped.problems and isinstance(standing, InScope):
            return Reject(mapped.problems[0].error_code, f"{mapped.problems[0].path}: {mapped.problems[0].reason}")
        wanted = self._wanted(standing, mapped, account.resource, references)
        changes = self._changes(wanted, account.resource) if Action.UPDATE in self.rules.actions else ()
        disables = any(c.path == self.profile.active and c.new is False for c in changes)
        return Operation(
            word="disable" if disables else "adopt",
            record=record,
            why=f"{standing.why if isinstance(standing, Leaving) else 'in scope through ' + standing.through}; "
            f"an account with the same {mapped.match_values[0][0]} exists",
            verdict=verdict_of(standing),
            fingerprint=fingerprint,
            changes=changes,
            account=account,
            pending=pending,
            match=mapped.match_values,
            cause=standing.cause if isinstance(standing, Leaving) else None,
            redacted=mapped.redacted,
        )

    def _changes(self, wanted: Resource, agreed: Resource) -> tuple[Change, ...]:
        kind = self.rules.kind
        found = diffing.changes(wanted, agreed, lambda path: self.profile.attribute(kind, path))
        if not found:
            return found
        return tuple(change for change in found if self._may_change(change))

    def _may_change(self, change: Change) -> bool:
        attribute = self.profile.attribute(self.rules.kind, change.path)
        if attribute.read_only or attribute.write_once or (attribute.never_null and change.new is None):
            return False
        return not (self.rules.kind == "group" and change.path == "displayName" and not self.profile.can_rename_groups)

    def _word(self, changes: tuple[Change, ...], standing: InScope | Leaving) -> tuple[Word, str]:
        for change in changes:
            if change.path == self.profile.active:
                if change.new is False:
                    return "disable", standing.why if isinstance(standing, Leaving) else "the mapping says not active"
                if change.old is False:
                    return "enable", _why_in(standing)
        names = ", ".join(change.path for change in changes)
        return "update", f"{_why_in(standing)}; changed: {names}"

    def _waits(self, record: Record, link: Link, standing: Leaving, now: float) -> Leave | None:
        """Return Leave while the grace period of a leaver runs; another cause does not start it anew."""
        grace = self.job.deprovision.disable_after_seconds
        if not grace or link.disabled_at is not None:
            return None
        until = now + grace
        waited = record.verdict in LEAVERS or (record.verdict is Verdict.UNKNOWN and record.escrow is None)
        if waited and record.due_at is not None:
            until = min(until, record.due_at)
        if until <= now:
            return None
        return Leave(f"{standing.why}; waits {grace / 86400:g} days", "GracePeriod", verdict_of(standing), due_at=until)

    def _settled(self, record: Record, link: Link, standing: InScope | Leaving, now: float) -> Decision:
        """Return what is left to do for an account that is as wanted: of a leaver's, the delete when its time comes."""
        verdict = verdict_of(standing)
        if isinstance(standing, InScope):
            return Leave(f"{_why_in(standing)}; the account is as it should be", "RedundantExport", verdict)
        already = f"{standing.why}; the account is disabled already"
        if link.disabled_at is None:
            return Leave(already, "RedundantExport", verdict)
        begins = standing.cause if link.disabled_because not in _CAUSES else None
        wait = self.job.deprovision.delete_after_seconds
        if wait is None or not self._can_delete:
            return Leave(already, "RedundantExport", verdict, leaves_disabled=begins)
        delete_at = wait + (now if begins is not None else link.disabled_at)
        if delete_at > now or begins is not None:
            why = f"{already} and waits to be deleted"
            return Leave(why, "RedundantExport", verdict, due_at=delete_at, leaves_disabled=begins)
        why = f"{standing.why}; disabled long enough, so the account is deleted"
        return Operation("delete", record, why, verdict, record.fingerprint, cause=standing.cause)

    def _is_protected(self, target_id: TargetId | None, agreed: Resource, mapped: Mapped | None) -> bool:
        if not self.job.protected:
            return False
        names = {value.casefold() for value in self.job.protected}
        if target_id is not None and target_id.casefold() in names:
            return True
        values = [str(agreed[m.to]) for m in self.rules.mappings if m.match is not None and m.to in agreed]
        values += [value for _, value in mapped.match_values] if mapped is not None else []
        return any(value.casefold() in names for value in values)

    @property
    def _can_disable(self) -> bool:
        return self.profile.can_disable and any(mapping.to == self.profile.active for mapping in self.rules.mappings)

    @property
    def _can_delete(self) -> bool:
        return self.profile.can_delete and Action.DELETE in self.rules.actions


def verdict_of(standing: Standing) -> Verdict:
    """Return what is remembered of a standing."""
    match standing:
        case InScope():
            return Verdict.IN_SCOPE
        case Leaving(cause=cause):
            return _VERDICTS[cause]
        case _:
            return Verdict.UNKNOWN


def _why_in(standing: InScope | Leaving) -> str:
    return f"in scope through {standing.through}" if isinstance(standing, InScope) else standing.why


def _skip_code(cause: Cause) -> str:
    return {
        Cause.GONE: "Gone",
        Cause.INACTIVE: "NotActive",
        Cause.ROLE_LOST: "NotEffectivelyEntitled",
        Cause.OUT_OF_SCOPE: "NotEffectivelyEntitled",
    }[cause]


def _agreed(link: Link, found: Account | None, active: str) -> Resource:
    """Return what the account has, as far as it matters: what the target never keeps counts as it was last sent.

    Only a disable that is not kept never counts as done.
    """
    if found is None:
        return link.agreed
    stubborn = [path for path, times in link.unkept.items() if times >= UNKEPT_MAX and path != active]
    if not stubborn:
        return found.resource
    agreed = {path: value for path, value in found.resource.items() if path not in stubborn}
    return {**agreed, **{path: link.agreed[path] for path in stubborn if path in link.agreed}}


def _is_active(resource: Resource, active: str) -> bool:
    return resource.get(active) is not False
