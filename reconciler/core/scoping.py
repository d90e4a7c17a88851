"""Decides whether an entry takes part in a job.

Causes for leaving, strongest first: gone > inactive > role lost > out of scope. What is known decides; where the answer
hangs on something unknown, the standing is unknown, and nothing is done because of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from reconciler.core.assignments import (
    Assignments,
    Entitlement,
    EntitlementUnknown,
    KnownGroups,
    Memberships,
    NotEntitled,
)
from reconciler.core.conditions import HOLDS, CompiledCondition, Judgement, compile_condition
from reconciler.core.model import ActiveRule, AppRole, Attributes, Cause, Entry, Job, Kind, MemberOf, Scope
from reconciler.core.operators import as_boolean, as_text, is_null
from reconciler.core.redaction import HIDDEN, hidden_attributes

__all__ = [
    "CompiledCondition",
    "InScope",
    "Judgement",
    "Leaving",
    "ScopeRules",
    "Standing",
    "StandingUnknown",
    "compile_condition",
    "is_soft_deleted",
    "judge",
]


class InScope(NamedTuple):
    """Takes part, through what and as what."""

    through: str
    roles: tuple[AppRole, ...] = ()
    roles_unknown: str = ""
    """Why there may be other roles than these; empty: these are all."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """Does not take part. `cause` is the strongest that is known."""

    cause: Cause
    why: str
    also: Leaving | None = None
    """The next weaker cause of somebody inactive, for when the stronger one's row says `keep`."""
    unsettled: str = ""
    """Why there may be a weaker cause that is not known; empty: there is none but `also`."""
    purged: bool = False
    """The source deleted it for good: the account is deleted at once."""
    filtered: bool = False
    """It is entitled, and the filter keeps it out."""

    forced: bool = False
    """A person took the entry out by hand: the account is disabled, whatever the rules say of the cause."""

    @property
    def entitled(self) -> bool:
        """Whether only inactivity stands in the way: an active one is known to take part."""
        return self.cause is Cause.INACTIVE and self.also is None and not self.unsettled and not self.forced


@dataclass(frozen=True, slots=True)
class StandingUnknown:
    """It cannot be told. The account stays as it is."""

    why: str


Standing = InScope | Leaving | StandingUnknown


@dataclass(frozen=True, slots=True)
class ScopeRules:
    """What decides on the entries of one kind in one job, ready for many of them."""

    kind: Kind
    assignments: Assignments
    filter: CompiledCondition | None
    active: ActiveRule | None
    reads: frozenset[str]
    """The attributes that filter, role conditions and `active` look at: a source must have them."""
    reads_if_present: frozenset[str]
    """The attributes that are looked at where an entry has them (how assigned users and groups are found)."""
    direct_groups: tuple[str, ...]
    """The groups whose direct members matter, by the names that the rules use: look them up, then the memberships."""
    nested_groups: tuple[str, ...]
    """Likewise, for the members of groups within them too."""
    hidden: frozenset[str] = frozenset()
    """The attributes whose values no reason shows."""

    @property
    def group_names(self) -> tuple[str, ...]:
        """Every group that the rules name, each once."""
        return tuple(dict.fromkeys((*self.direct_groups, *self.nested_groups)))

    def asking_too(self, memberships: Iterable[MemberOf]) -> ScopeRules:
        """Return the same rules with further memberships looked up: those that mappings ask about."""
        direct = [one.group for one in memberships if not one.nested]
        nested = [one.group for one in memberships if one.nested]
        return replace(
            self,
            direct_groups=tuple(dict.fromkeys((*self.direct_groups, *sorted(direct)))),
            nested_groups=tuple(dict.fromkeys((*self.nested_groups, *sorted(nested)))),
        )

    @classmethod
    def compile(cls, job: Job, kind: Kind) -> ScopeRules:
        """Return the job's rules for one kind. Raises ConfigError for a condition that can never be evaluated."""
        assignments = Assignments.compile(job)
        rules = job.rules(kind)
        hidden = hidden_attributes(rules)
        filtering = None
        if rules is not None and rules.filter is not None:
            filtering = compile_condition(rules.filter, f"jobs.{job.name}.{kind}s filter", hidden=hidden)
        active = job.active if kind == "user" else None
        reads = set(filtering.reads) if filtering else set[str]()
        asked: dict[MemberOf, None] = dict.fromkeys(assignments.groups)
        if filtering:
            asked.update(dict.fromkeys(filtering.groups))
        if kind == "user":
            reads |= assignments.reads
            if_present = assignments.reads_if_present
        else:
            if_present = frozenset({"displayName"}) if job.scope is Scope.ASSIGNED else frozenset[str]()
        if active:
            reads.add(active.attribute)
        return cls(
            kind=kind,
            assignments=assignments,
            filter=filtering,
            active=active,
            reads=frozenset(reads),
            reads_if_present=if_present - reads,
            direct_groups=tuple(one.group for one in asked if not one.nested),
            nested_groups=tuple(one.group for one in asked if one.nested),
            hidden=hidden,
        )


_NO_MEMBERSHIPS = Memberships()


def judge(entry: Entry, rules: ScopeRules, groups: KnownGroups, of: Memberships = _NO_MEMBERSHIPS) -> Standing:
    """Say where an entry stands. `of` are its memberships in the groups that `rules` name.

    An entry that the source reports as deleted is judged by that alone: a tombstone has no attributes to rely on.
    """
    if entry.gone or entry.purged:
        why = "deleted for good in the source" if entry.purged else "deleted in the source"
        return Leaving(Cause.GONE, why, purged=entry.purged)
    standing = _place(entry, rules, groups, of)
    if rules.active is None:
        return standing
    activity = activity_of(rules.active, entry.attributes, rules.hidden)
    if activity.truth is False:
        if isinstance(standing, StandingUnknown):
            return Leaving(Cause.INACTIVE, activity.why, unsettled=standing.why)
        return Leaving(Cause.INACTIVE, activity.why, standing if isinstance(standing, Leaving) else None)
    if activity.truth is None and isinstance(standing, InScope):
        return StandingUnknown(activity.why)
    return standing


def taken_out(standing: Standing, by: str) -> Leaving:
    """Return where somebody stands whom a person (`by`) took out by hand, whatever the source says."""
    if isinstance(standing, Leaving) and standing.cause is Cause.GONE:
        return replace(standing, forced=True)
    return Leaving(Cause.INACTIVE, f"taken out by hand by {by}", forced=True)


def is_soft_deleted(standing: Standing) -> bool | None:
    """Return the value of [IsSoftDeleted]: true for every cause of leaving; None: not known."""
    match standing:
        case InScope():
            return False
        case Leaving():
            return True
        case StandingUnknown():
            return None


def _place(entry: Entry, rules: ScopeRules, groups: KnownGroups, of: Memberships) -> Standing:
    """Say where an active entry stands: entitled, and not filtered out."""
    entitlement = entitlement_of(entry, rules, groups, of)
    if isinstance(entitlement, NotEntitled):
        return Leaving(entitlement.cause, entitlement.why)
    filtered = HOLDS
    if rules.filter is not None:
        filtered = rules.filter.judge(entry.attributes, lambda membership: groups.holds(membership, of))
    if filtered.truth is False:
        return Leaving(Cause.OUT_OF_SCOPE, f"filter: {filtered.why}", filtered=True)
    if isinstance(entitlement, EntitlementUnknown):
        return StandingUnknown(entitlement.why)
    if filtered.truth is None:
        return StandingUnknown(f"filter: {filtered.why}")
    return InScope(entitlement.through, entitlement.roles, entitlement.roles_unknown)


def entitlement_of(entry: Entry, rules: ScopeRules, groups: KnownGroups, of: Memberships) -> Entitlement:
    """Say whether an entry is entitled, whatever the filter says, active or not."""
    if rules.kind == "group":
        return rules.assignments.entitle_group(entry, groups)
    return rules.assignments.entitle(entry.attributes, entry.id, groups, of)


def activity_of(rule: ActiveRule, attributes: Attributes, hidden: frozenset[str] = frozenset()) -> Judgement:
    """Say whether somebody is active by the source's own word; null, and what cannot be read, is unknown."""
    value = attributes.get(rule.attribute)
    if is_null(value):
        return HOLDS if "" in rule.is_in else Judgement(None, f"{rule.attribute} is null: neither active nor inactive")
    truth = as_boolean(value) if not rule.is_in else _is_one_of(value, rule.is_in)
    if truth:
        return HOLDS
    shown = HIDDEN if rule.attribute in hidden else as_text(value)
    if truth is None:
        said = f"was {shown}" if as_text(value) is not None else "is not a single value"
        return Judgement(None, f"{rule.attribute} {said}: neither active nor inactive")
    return Judgement(False, f"{rule.attribute} was {shown}")


def _is_one_of(value: object, words: tuple[str, ...]) -> bool | None:
    text = as_text(value)
    if text is None:
        return None
    folded = text.strip().casefold()
    return any(folded == word.strip().casefold() for word in words)
