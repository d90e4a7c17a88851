"""Decides, for one entry, the one operation that brings its account to what the rules say."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.core import diffing
from reconciler.core.decisions import Ask, Decision, Judged, Leave, Operation, Reject, Word, verdict_of
from reconciler.core.leaving import CAUSES, Deprovisioning
from reconciler.core.levelling import guarded
from reconciler.core.mapping import Mapped
from reconciler.core.mapping_checks import Failure
from reconciler.core.model import Action, Cause, Change, Job, ObjectRules, Resource, TargetId
from reconciler.core.outcomes import Account
from reconciler.core.profile import Profile
from reconciler.core.reasons import Reason
from reconciler.core.records import Link, Record, Verdict
from reconciler.core.scoping import InScope, Leaving


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans for one kind of one job."""

    job: Job
    rules: ObjectRules
    profile: Profile
    leaving: Deprovisioning
    hidden: frozenset[str]
    """The paths whose values the target never shows."""
    protected: frozenset[str]
    """What stands for the names and ids of accounts that are never touched (`guarded`)."""

    @classmethod
    def of(cls, job: Job, rules: ObjectRules, profile: Profile) -> Planner:
        hidden = diffing.never_shown(profile.attributes(rules.kind))
        protected = frozenset[str]().union(*map(guarded, job.protected))
        return cls(job, rules, profile, Deprovisioning(job, rules, profile, hidden), hidden, protected)

    def plan(self, judged: Judged, now: float) -> Decision:
        """Return what is to be done."""
        link, standing, mapped = judged.record.link, judged.standing, judged.mapped
        if link is None:
            return self._plan_unlinked(standing, mapped)
        if self._is_protected(link.target_id, link.agreed, mapped):
            return Leave("the account is protected: it is never touched", "Protected", verdict_of(standing))
        if isinstance(standing, Leaving) and not standing.entitled:
            return self.leaving.plan(judged, link, standing, now)
        assert mapped is not None
        return self._plan_linked(judged, link, mapped, now)

    def plan_matched(self, judged: Judged, account: Account | None) -> Decision:
        """Return create or adopt for an entry without a link, now that the target has answered."""
        standing, mapped = judged.standing, judged.mapped
        assert mapped is not None
        if account is not None:
            return self._adopt(judged, mapped, account)
        if isinstance(standing, Leaving):
            return Leave(f"{standing.why}; no account is made for somebody inactive", "NotActive", verdict_of(standing))
        if Action.CREATE not in self.rules.actions:
            return Leave(
                "no account matches, and create is not among the actions", "CreateNotAllowed", Verdict.IN_SCOPE
            )
        creation, failures = mapped.on_create()
        if failures:
            return _rejected(failures)
        return Operation(
            word="create",
            record=judged.record,
            why=_with_doubt(f"in scope through {standing.through}; no account matches", mapped),
            verdict=Verdict.IN_SCOPE,
            fingerprint=judged.fingerprint,
            resource={**creation, **judged.references},
            pending=judged.pending,
            match=mapped.match_values,
            redacted=mapped.redacted,
        )

    def _plan_unlinked(self, standing: InScope | Leaving, mapped: Mapped | None) -> Decision:
        if isinstance(standing, Leaving) and not standing.entitled:
            why = f"{standing.why}; {standing.unsettled or 'it has no account'}"
            return Leave(why, _skip_code(standing), verdict_of(standing))
        assert mapped is not None
        if mapped.ignored:
            return Leave("the mapping ignores this entry (IgnoreObjectFlow)", "IgnoreObjectFlow", verdict_of(standing))
        if not mapped.match_values:
            failed = {failure.path: failure for failure in mapped.problems}
            for mapping in sorted((m for m in self.rules.mappings if m.match is not None), key=lambda m: m.match or 0):
                if mapping.to in failed:
                    return Reject(failed[mapping.to].error_code, f"{mapping.to}: {failed[mapping.to].reason}")
            names = ", ".join(mapping.to for mapping in self.rules.mappings if mapping.match is not None)
            return Reject("ImportSkipped", f"no matching attribute has a value: {names}")
        if self._is_protected(None, {}, mapped):
            return Leave("the account is protected: it is never touched", "Protected", verdict_of(standing))
        return Ask(mapped.match_values)

    def _plan_linked(self, judged: Judged, link: Link, mapped: Mapped, now: float) -> Decision:
        record, standing = judged.record, judged.standing
        active = self.profile.active
        agreed = diffing.as_kept(link, judged.found, active, self.hidden)
        beside: Leave | None = None
        if isinstance(standing, Leaving):
            if mapped.ignored or mapped.problems or not self.leaving.disables(standing):
                return self.leaving.plan(judged, link, standing, now)
            if self.leaving.stays_off(record, link, standing, judged.found):
                agreed = {**agreed, active: False}
            elif (waits := self.leaving.waits(record, link, standing, now)) is not None:
                return waits
            else:
                agreed = self.leaving.agreed(link, judged.found)
            if agreed.get(active) is False:
                settled = self.leaving.settled(record, link, standing, now)
                if isinstance(settled, Operation):
                    return settled  # what still differs may differ each time, and must not put off a delete for ever
                beside = settled
        elif mapped.ignored:
            return Leave("the mapping ignores this entry (IgnoreObjectFlow)", "IgnoreObjectFlow", verdict_of(standing))
        elif mapped.problems:
            return self._plan_despite_failures(record, standing, mapped, agreed)
        wanted = self._wanted(judged, mapped, agreed)
        if isinstance(standing, InScope) and link.disabled_because in CAUSES and agreed.get(active) is False:
            wanted.setdefault(active, True)  # also where `active` flows on creation only: it was us who disabled it
        changes = self._changes(wanted, agreed)
        used_up = tuple(change.path for change in changes if self._is_used_up(link, change))
        if used_up:
            changes = tuple(change for change in changes if change.path not in used_up)
        if used_up and not changes and isinstance(standing, InScope):
            return Leave(_used_up(used_up), "ChangeLimitReached", Verdict.IN_SCOPE)
        if not changes:
            if isinstance(standing, Leaving):
                return beside or self.leaving.settled(record, link, standing, now)
            if self._keeps_name(wanted, agreed):
                why = f"{_why_in(standing)}; the app does not rename groups: displayName stays there as it is"
                return Leave(why, "GroupNotRenamed", Verdict.IN_SCOPE)
            return Leave(f"{_why_in(standing)}; the account is as it should be", "RedundantExport", Verdict.IN_SCOPE)
        if Action.UPDATE not in self.rules.actions:
            return beside or Leave("update is not among the actions", "UpdateNotAllowed", verdict_of(standing))
        word, why = self._word(changes, standing)
        if used_up:
            why = f"{why}; {_used_up(used_up)}"
        return Operation(
            word=word,
            record=record,
            why=why,
            verdict=verdict_of(standing),
            fingerprint=judged.fingerprint,
            changes=changes,
            pending=judged.pending,
            match=mapped.match_values,
            cause=standing.cause if isinstance(standing, Leaving) else None,
            redacted=mapped.redacted,
            due_at=beside.due_at if beside is not None else None,
            beside=beside,
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
            return Operation(
                word,
                record,
                why,
                Verdict.IN_SCOPE,
                None,
                changes=changes,
                match=mapped.match_values,
                redacted=mapped.redacted,
            )
        return Reject(mapped.problems[0].error_code, f"{mapped.problems[0].path}: {mapped.problems[0].reason}")

    def _wanted(self, judged: Judged, mapped: Mapped, agreed: Resource) -> Resource:
        """Return what flows to an account that has `agreed`; of roles that are not known nothing does."""
        standing = judged.standing
        wanted = {**mapped.on_update(agreed), **judged.references}
        if isinstance(standing, Leaving):
            if self.leaving.disables(standing):
                wanted[self.profile.active] = False
        elif standing.roles_unknown:
            for path in mapped.mapper.role_paths:
                wanted.pop(path, None)
        return wanted

    def _adopt(self, judged: Judged, mapped: Mapped, account: Account) -> Decision:
        standing = judged.standing
        if self._is_protected(account.id, account.resource, mapped):
            return Leave("the account is protected: it is never touched", "Protected", verdict_of(standing))
        if mapped.problems and isinstance(standing, InScope):
            return Reject(mapped.problems[0].error_code, f"{mapped.problems[0].path}: {mapped.problems[0].reason}")
        if self.rules.kind == "group" and not self.profile.can_adopt_groups and judged.record.attempted_at is None:
            reason = "a group of this name is there, and the app does not let it be taken over: rename one of the two"
            return Reject("EntryConflict", reason)
        wanted = self._wanted(judged, mapped, account.resource)
        changes = self._changes(wanted, account.resource) if Action.UPDATE in self.rules.actions else ()
        disables = any(c.path == self.profile.active and c.new is False for c in changes)
        return Operation(
            word="disable" if disables else "adopt",
            record=judged.record,
            why=f"{standing.why if isinstance(standing, Leaving) else 'in scope through ' + standing.through}; "
            f"an account with the same {mapped.match_values[0][0]} exists",
            verdict=verdict_of(standing),
            fingerprint=judged.fingerprint,
            changes=changes,
            account=account,
            pending=judged.pending,
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

    def _is_used_up(self, link: Link, change: Change) -> bool:
        most = self.profile.attribute(self.rules.kind, change.path).max_changes
        return most is not None and change.old is not None and link.changed.get(change.path, 0) >= most

    def _keeps_name(self, wanted: Resource, agreed: Resource) -> bool:
        """Whether a group is called otherwise there and cannot be renamed."""
        if self.rules.kind != "group" or self.profile.can_rename_groups:
            return False
        attribute = self.profile.attribute("group", "displayName")
        return bool(
            diffing.changes({k: v for k, v in wanted.items() if k == "displayName"}, agreed, lambda _: attribute)
        )

    def _word(self, changes: tuple[Change, ...], standing: InScope | Leaving) -> tuple[Word, str]:
        for change in changes:
            if change.path == self.profile.active:
                if change.new is False:
                    return "disable", standing.why if isinstance(standing, Leaving) else "the mapping says not active"
                if change.old is False:
                    return "enable", _why_in(standing)
        names = ", ".join(change.path for change in changes)
        return "update", f"{_why_in(standing)}; changed: {names}"

    def _is_protected(self, target_id: TargetId | None, agreed: Resource, mapped: Mapped | None) -> bool:
        if not self.protected:
            return False
        values = [] if target_id is None else [str(target_id)]
        values += [str(agreed[m.to]) for m in self.rules.mappings if m.match is not None and m.to in agreed]
        values += [value for _, value in mapped.match_values] if mapped is not None else []
        return not all(self.protected.isdisjoint(guarded(value)) for value in values)


def _rejected(failures: tuple[Failure, ...]) -> Reject:
    """Return what stands in the way of a create: the first problem, with every path that has the same one."""
    first = failures[0]
    alike = [each.path for each in failures if (each.error_code, each.reason) == (first.error_code, first.reason)]
    return Reject(first.error_code, f"{', '.join(alike)}: {first.reason}")


def _why_in(standing: InScope | Leaving) -> str:
    return f"in scope through {standing.through}" if isinstance(standing, InScope) else standing.why


def _with_doubt(why: str, mapped: Mapped) -> str:
    return f"{why}; {mapped.doubt}" if mapped.doubt else why


def _used_up(paths: tuple[str, ...]) -> str:
    return f"not changed: {', '.join(paths)}, which was changed as often as the target allows"


def _skip_code(standing: Leaving) -> Reason:
    match standing.cause:
        case Cause.GONE:
            return "Gone"
        case Cause.INACTIVE:
            return "NotActive"
        case Cause.ROLE_LOST:
            return "HasNoRole"
        case Cause.OUT_OF_SCOPE:
            return "FilteredOut" if standing.filtered else "NotEffectivelyEntitled"
