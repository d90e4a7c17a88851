"""Says who is entitled to an app: by assignment, by role, or because everybody is.

A group that the rules name and the source lacks is unknown, not empty; so is a membership that an incomplete reading
did not show. Nobody is judged out because of either. Who is entitled by another rule is in all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from reconciler.core.conditions import CompiledCondition, MemberLookup, compile_condition
from reconciler.core.given import NOTHING_GIVEN, Given, GivenRules, Reaching
from reconciler.core.levelling import spoken
from reconciler.core.model import (
    AppRole,
    AssignedGroup,
    AssignedUser,
    Attributes,
    Cause,
    Entry,
    Job,
    MemberOf,
    Role,
    Scope,
    SourceId,
)
from reconciler.core.redaction import hidden_attributes

LOGIN_ATTRIBUTES = ("userPrincipalName", "userName", "mail")
"""Where an assigned user's name is looked for, beside the source id. Letter case does not matter."""


class Entitled(NamedTuple):
    """Takes part. `through` says by which rule: "group APP-Phone", "assigned directly", "scope all", "role agent"."""

    through: str
    roles: tuple[AppRole, ...] = ()
    roles_unknown: str = ""
    """Why there may be other roles than these; empty: these are all. Do not take a role away because of an unknown."""


@dataclass(frozen=True, slots=True)
class NotEntitled:
    cause: Cause
    why: str


@dataclass(frozen=True, slots=True)
class EntitlementUnknown:
    why: str


Entitlement = Entitled | NotEntitled | EntitlementUnknown


@dataclass(frozen=True, slots=True)
class Memberships:
    """The groups that one entry is in, of those that the rules ask for."""

    direct: frozenset[SourceId] = frozenset()
    nested: frozenset[SourceId] = frozenset()
    """Also through groups in groups."""
    given: tuple[Reaching, ...] = ()
    """What reaches the entry of the assignments that the source itself has."""


@dataclass(frozen=True, slots=True)
class KnownGroups:
    """What this cycle knows of the groups that the rules name."""

    named: Mapping[str, tuple[SourceId, ...]]
    """Name as the rules write it → source ids. A name that the source lacks is left out or has none."""
    complete: bool
    """Whether the memberships were read completely; otherwise a missing one is unknown."""
    given: Given = NOTHING_GIVEN
    """The assignments that the source itself has, where the job goes by them."""

    def holds(self, membership: MemberOf, of: Memberships) -> bool | None:
        """Return whether somebody with these memberships is in the group; None: not known."""
        ids = self.named.get(membership.group)
        if not ids:
            return None
        if not (of.nested if membership.nested else of.direct).isdisjoint(ids):
            return True
        return False if self.complete else None

    def ids(self, names: tuple[str, ...]) -> tuple[SourceId, ...]:
        """Return the ids behind these names, each once: what to ask the store's memberships for."""
        return tuple(dict.fromkeys(one for name in names for one in self.named.get(name, ())))

    def missing(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names that the source has no group for: worth a warning."""
        return tuple(name for name in names if not self.named.get(name))


@dataclass(frozen=True, slots=True)
class _RoleRule:
    role: AppRole
    name: str
    when: CompiledCondition


@dataclass(frozen=True, slots=True)
class _GroupRule:
    group: MemberOf
    role: AppRole | None


@dataclass(frozen=True, slots=True)
class Assignments:
    """The rules of one job that say who is entitled, ready for many entries."""

    scope: Scope
    choose_first: bool
    reads: frozenset[str]
    """The attributes that role conditions look at."""
    reads_if_present: frozenset[str]
    """The attributes in which assigned users are looked for: an entry without them is just not found by them."""
    groups: tuple[MemberOf, ...]
    given: GivenRules
    _roles: tuple[_RoleRule, ...]
    _users_by_id: Mapping[str, tuple[AppRole | None, ...]]
    _users_by_login: Mapping[str, tuple[AppRole | None, ...]]
    """By case-folded name."""
    _groups: tuple[_GroupRule, ...]
    _excluded_by_id: Mapping[str, str]
    """Who is assigned with a role that entitles nobody: the role."""
    _excluded_by_login: Mapping[str, str]
    _excluded_groups: tuple[tuple[MemberOf, str], ...]
    _nobody: str
    """Why nobody can be judged by assignment; empty: somebody is assigned, or nobody is meant to be."""
    _because_not_assigned: str

    @classmethod
    def compile(cls, job: Job) -> Assignments:
        """Return the job's rules ready for use. Raises ConfigError for a role condition that cannot be evaluated."""
        by_name = {role.name: _app_role(role, job) for role in job.roles}
        hidden = hidden_attributes(job.users)
        roles = tuple(
            _RoleRule(by_name[role.name], role.name, compile_condition(role.when, f"role {role.name}", hidden=hidden))
            for role in job.roles
        )
        by_id: dict[str, tuple[AppRole | None, ...]] = {}
        by_login: dict[str, tuple[AppRole | None, ...]] = {}
        groups: list[_GroupRule] = []
        excluded = {name.casefold() for name in job.excluded_roles}
        out_by_id: dict[str, str] = {}
        out_groups: list[tuple[MemberOf, str]] = []
        for rule in job.assigned if job.scope is Scope.ASSIGNED else ():
            if rule.role is not None and rule.role.casefold() in excluded:
                match rule:
                    case AssignedUser(user):
                        out_by_id[user] = rule.role
                    case AssignedGroup(group):
                        out_groups.append((MemberOf(group, job.nested), rule.role))
                continue
            role = None if rule.role is None else by_name.get(rule.role) or _named_role(rule.role, job)
            match rule:
                case AssignedUser(user):
                    by_id[user] = (*by_id.get(user, ()), role)
                    by_login[spoken(user)] = (*by_login.get(spoken(user), ()), role)
                case AssignedGroup(group):
                    groups.append(_GroupRule(MemberOf(group, job.nested), role))
        asked = dict.fromkeys(one for rule in roles for one in rule.when.groups)
        asked.update(dict.fromkeys(rule.group for rule in groups))
        asked.update(dict.fromkeys(group for group, _ in out_groups))
        return cls(
            scope=job.scope,
            choose_first=job.role_choice == "first",
            reads=frozenset[str]().union(*(rule.when.reads for rule in roles)),
            reads_if_present=frozenset(LOGIN_ATTRIBUTES) if by_id or out_by_id else frozenset(),
            groups=tuple(asked),
            given=GivenRules(
                app=job.service_principal if job.scope is Scope.ASSIGNED else None,
                nested=job.nested,
                excluded=frozenset(excluded),
                role_values=job.role_values,
                nobody="".join(nobody_assigned(job)),
            ),
            _roles=roles,
            _users_by_id=by_id,
            _users_by_login=by_login,
            _groups=tuple(groups),
            _excluded_by_id=out_by_id,
            _excluded_by_login={spoken(user): role for user, role in out_by_id.items()},
            _excluded_groups=tuple(out_groups),
            _nobody="" if job.service_principal else "".join(nobody_assigned(job)),
            _because_not_assigned=_because_not_assigned(groups),
        )

    def entitle(self, attributes: Attributes, source_id: SourceId, groups: KnownGroups, of: Memberships) -> Entitlement:
        """Say whether a user takes part, through what, with which roles. Whether he is active is not asked here."""

        def member_of(membership: MemberOf) -> bool | None:
            return groups.holds(membership, of)

        match self.scope:
            case Scope.ALL:
                return self._conditionally("scope all", attributes, member_of)
            case Scope.ASSIGNED:
                return self._by_assignment(attributes, source_id, member_of, groups, of)
            case Scope.ROLES:
                return self._by_role(attributes, member_of)

    def entitle_group(self, group: Entry, groups: KnownGroups) -> Entitlement:
        """Say whether a group itself takes part: when everything does, or it is assigned, else its filter decides."""
        match self.scope:
            case Scope.ALL:
                return Entitled("scope all")
            case Scope.ROLES:
                return Entitled("groups by filter")
            case Scope.ASSIGNED:
                return self._group_by_assignment(group, groups)

    def _by_assignment(
        self,
        attributes: Attributes,
        source_id: SourceId,
        member_of: MemberLookup,
        groups: KnownGroups,
        of: Memberships,
    ) -> Entitlement:
        if why := self._why_nobody(groups.given):
            return EntitlementUnknown(why)
        direct = self._directly(attributes, source_id)
        through = "assigned directly" if direct else ""
        roles: dict[AppRole, None] = dict.fromkeys(role for role in direct if role is not None)
        unknown: list[str] = []
        for rule in self._groups:
            match member_of(rule.group):
                case True:
                    through = through or f"group {rule.group.group}"
                    if rule.role is not None:
                        roles[rule.role] = None
                case None:
                    unknown.append(rule.group.group)
                case False:
                    pass
        counting = self.given.counting(of.given)
        for one in counting:
            through = through or one.through
            if one.role is not None:
                roles[one.role] = None
        seen = of.nested if self.given.nested else of.direct
        more_given = self.given.why_more(groups.given, seen, groups_complete=groups.complete)
        if through:
            roles_unknown = _memberships_unknown(unknown) if self._roles_hang_on(unknown) else ""
            role_unknown = next((one.role_unknown for one in counting if one.role_unknown), "")
            roles_unknown = roles_unknown or role_unknown or more_given
            otherwise = (
                Entitled(through, tuple(roles)) if roles else self._conditionally(through, attributes, member_of)
            )
            return otherwise._replace(roles_unknown=roles_unknown) if roles_unknown else otherwise
        if unknown or more_given:
            return EntitlementUnknown(_memberships_unknown(unknown) if unknown else more_given)
        excluded = self._excluded(attributes, source_id, member_of)
        if not excluded and (how := self.given.why_excluded(of.given)) is not None:
            excluded = _because_excluded(*how)
        return NotEntitled(Cause.OUT_OF_SCOPE, excluded or self._because_not_assigned)

    def _why_nobody(self, given: Given) -> str:
        return self._nobody if self.given.app is None else self.given.why_nobody(given)

    def _excluded(self, attributes: Attributes, source_id: SourceId, member_of: MemberLookup) -> str:
        """Return why an assignment does not count; empty where there is none."""
        role = self._excluded_by_id.get(source_id)
        for name in LOGIN_ATTRIBUTES if role is None and self._excluded_by_id else ():
            value = attributes.get(name)
            role = role or (self._excluded_by_login.get(spoken(value)) if isinstance(value, str) else None)
        if role is not None:
            return _because_excluded("directly", role)
        for group, given in self._excluded_groups:
            if member_of(group):
                return _because_excluded(f"through {group.group}", given)
        return ""

    def _directly(self, attributes: Attributes, source_id: SourceId) -> tuple[AppRole | None, ...]:
        if not self._users_by_id:
            return ()
        found = self._users_by_id.get(source_id, ())
        for name in LOGIN_ATTRIBUTES:
            value = attributes.get(name)
            if isinstance(value, str) and value:
                found += self._users_by_login.get(spoken(value), ())
        return found

    def _roles_hang_on(self, names: list[str]) -> bool:
        return any(rule.role is not None and rule.group.group in names for rule in self._groups)

    def _by_role(self, attributes: Attributes, member_of: MemberLookup) -> Entitlement:
        had, unknown = self._conditional_roles(attributes, member_of)
        if had:
            return Entitled(f"role {had[0].name}", tuple(rule.role for rule in had), unknown)
        if unknown:
            return EntitlementUnknown(unknown)
        return NotEntitled(Cause.ROLE_LOST, self._because_no_role(attributes, member_of))

    def _conditionally(self, through: str, attributes: Attributes, member_of: MemberLookup) -> Entitled:
        if not self._roles:
            return Entitled(through)
        had, unknown = self._conditional_roles(attributes, member_of)
        return Entitled(through, tuple(rule.role for rule in had), unknown)

    def _conditional_roles(self, attributes: Attributes, member_of: MemberLookup) -> tuple[list[_RoleRule], str]:
        """Return the roles whose condition is true, and why there may be others."""
        had: list[_RoleRule] = []
        unknown = ""
        for rule in self._roles:
            truth = rule.when.truth(attributes, member_of)
            if truth:
                had.append(rule)
                if self.choose_first:
                    break
            elif truth is None and not unknown:
                unknown = f"role {rule.name}: {rule.when.explain(attributes, member_of)}"
        return had, unknown

    def _because_no_role(self, attributes: Attributes, member_of: MemberLookup) -> str:
        if not self._roles:
            return "the job has no roles"
        whys = [f"role {rule.name}: {rule.when.explain(attributes, member_of)}" for rule in self._roles[:3]]
        more = len(self._roles) - len(whys)
        return "has no role: " + "; ".join(whys) + (f"; {more} more roles" if more else "")

    def _group_by_assignment(self, group: Entry, groups: KnownGroups) -> Entitlement:
        if why := self._why_nobody(groups.given):
            return EntitlementUnknown(why)
        given = groups.given.reaching(group.id, frozenset())
        if self.given.counting(given):
            return Entitled("assigned directly")
        display_name = group.attributes.get("displayName")
        folded = spoken(display_name) if isinstance(display_name, str) else None
        for rule in self._groups:
            name = rule.group.group
            if name == group.id or spoken(name) == folded or group.id in groups.named.get(name, ()):
                return Entitled("assigned directly")
        missing = [rule.group.group for rule in self._groups if not groups.named.get(rule.group.group)]
        if missing:
            return EntitlementUnknown(
                f"group {missing[0]} is assigned but the source has none of that name: this may be it, renamed"
            )
        if not groups.given.complete:
            return EntitlementUnknown("the source's assignments to the app were not read to the end")
        for excluded, role in self._excluded_groups:
            name = excluded.group
            if name == group.id or spoken(name) == folded or group.id in groups.named.get(name, ()):
                return NotEntitled(Cause.OUT_OF_SCOPE, _because_excluded("directly", role))
        if (how := self.given.why_excluded(given)) is not None:
            return NotEntitled(Cause.OUT_OF_SCOPE, _because_excluded(*how))
        return NotEntitled(Cause.OUT_OF_SCOPE, "the group is not assigned")


def nobody_assigned(job: Job, given: Given = NOTHING_GIVEN) -> tuple[str, ...]:
    """Return why nothing is done where nobody at all is assigned, as one sentence; nothing where somebody is."""
    waits = job.scope is Scope.ASSIGNED and not job.assigned and job.empty_assignment == "keep"
    if given.by_principal or not given.complete:
        return ()
    return (_NOBODY,) if waits else ()


def _app_role(role: Role, job: Job) -> AppRole:
    return AppRole(job.role_values.get(role.name, role.value), role.name)


def _named_role(name: str, job: Job) -> AppRole:
    return AppRole(job.role_values.get(name, name), name)


def _memberships_unknown(names: list[str]) -> str:
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"not known whether a member of {listed}"


_NOBODY = (
    "nobody at all is assigned: nobody comes and nobody goes until somebody is "
    '(empty_assignment = "deprovision" lets everybody go)'
)


def _because_excluded(how: str, role: str) -> str:
    return f"assigned {how} with the role {role} only, which entitles nobody here (default_access = true lets it)"


def _because_not_assigned(rules: list[_GroupRule]) -> str:
    if not rules:
        return "not assigned"
    names = [rule.group.group for rule in rules]
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"not assigned: neither directly nor through {listed}"
