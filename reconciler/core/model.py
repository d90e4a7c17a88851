"""The words of the domain as values: entries, rules, jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple, NewType

from reconciler.language import LookupTable

Kind = Literal["user", "group"]
KINDS: tuple[Kind, Kind] = ("user", "group")

SourceId = NewType("SourceId", str)
"""The anchor: what the source calls an entry, for ever."""
TargetId = NewType("TargetId", str)
"""What the target calls an account or a group."""

PSEUDO_ATTRIBUTES: frozenset[str] = frozenset({"IsSoftDeleted", "appRoleAssignments", "role", "roles"})
"""What rules may read although no source has it: computed from the causes and the assignments."""

Attributes = Mapping[str, Any]
"""A source entry's attributes by name: str, bool, int, float, None, or a list or dict of these."""
Resource = dict[str, Any]
"""The mapped part of an account, flat: canonical target path (see `core.paths`) → value.

A value is str, bool, int, float, or a list of these or of dicts. A path without a value is not in the dict.
A reference holds the target id of what it points to."""


class Change(NamedTuple):
    """One canonical path whose value must become `new` (None: the target has none any more). Values as in Resource."""

    path: str
    old: Any
    new: Any


class Entry(NamedTuple):
    """One user or group as the source gives it."""

    kind: Kind
    id: SourceId
    attributes: Attributes
    gone: bool = False
    """The source itself says that it was deleted (a tombstone). Never inferred from absence."""
    purged: bool = False
    """The source itself says that it was deleted for good; implies `gone`."""


class Operator(StrEnum):
    """The operators of a clause, by the names that Entra's filters have (docs/scope.md)."""

    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT EQUALS"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"
    IS_TRUE = "IS TRUE"
    IS_FALSE = "IS FALSE"
    REGEX_MATCH = "REGEX MATCH"
    NOT_REGEX_MATCH = "NOT REGEX MATCH"
    INCLUDES = "Includes"
    ENDS_WITH = "ENDS_WITH"
    GREATER_THAN = "Greater_Than"
    GREATER_THAN_OR_EQUALS = "Greater_Than_OR_EQUALS"
    BITS_PRESENT = "&"
    BITS_ABSENT = "!&"
    BEFORE = "BEFORE"
    """Ours, as the others of dates: Entra's filters know none."""
    ON_OR_BEFORE = "ON_OR_BEFORE"
    AFTER = "AFTER"
    ON_OR_AFTER = "ON_OR_AFTER"


@dataclass(frozen=True, slots=True)
class Clause:
    attribute: str
    operator: Operator
    value: str = ""
    of_list: Literal["any", "all"] | None = None
    """Of how many values of a list it must hold; None: of one, and of every one where the operator says not."""


@dataclass(frozen=True, slots=True)
class MemberOf:
    """Is a member of the group (by its source id or display name); `nested` follows groups in groups."""

    group: str
    nested: bool = False


@dataclass(frozen=True, slots=True)
class AllOf:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    of: Condition


Condition = Clause | MemberOf | AllOf | AnyOf | Negation
"""A tree that is true, false or unknown of an entry. Filters and role conditions are both written with it."""


@dataclass(frozen=True, slots=True)
class Role:
    """A re-usable role: who fulfils `when` has it. `value` is what the target calls it (the name by default)."""

    name: str
    when: Condition
    value: str


@dataclass(frozen=True, slots=True)
class AssignedUser:
    user: str
    """The source id, or any of the attributes that matching reads (userPrincipalName, userName, mail)."""
    role: str | None = None


@dataclass(frozen=True, slots=True)
class AssignedGroup:
    group: str
    """The source id or the display name."""
    role: str | None = None


AssignmentRule = AssignedUser | AssignedGroup


@dataclass(frozen=True, slots=True)
class AppRole:
    """A role that somebody has in the app, in the shape of Entra's appRoleAssignments."""

    value: str
    display_name: str


class Scope(StrEnum):
    ALL = "all"
    ASSIGNED = "assigned"
    ROLES = "roles"


class Apply(StrEnum):
    """When an attribute flows: always, on create only, never taking away values, or only where the target has none."""

    ALWAYS = "always"
    CREATE = "create"
    ADD_ONLY = "add_only"
    IF_EMPTY = "if_empty"


class WhenNull(StrEnum):
    """What a source value of null does on update: nothing (as Entra), or it clears the target's value."""

    KEEP = "keep"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Direct:
    attribute: str


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any


@dataclass(frozen=True, slots=True)
class FromExpression:
    text: str


@dataclass(frozen=True, slots=True)
class Untouched:
    """Entra's mapping type None: the default is written where the target is empty, nothing else."""


MappingSource = Direct | Constant | FromExpression | Untouched


@dataclass(frozen=True, slots=True)
class AttributeMapping:
    to: str
    """The canonical target path, as `core.paths.canonical` writes it."""
    source: MappingSource
    match: int | None = None
    """Matching precedence, lowest first; None: not a matching attribute."""
    apply: Apply = Apply.ALWAYS
    when_null: WhenNull = WhenNull.KEEP
    default: Any = None
    """Used when the source evaluates to null on create (with `Untouched`: whenever the target is empty)."""


class DeprovisionAction(StrEnum):
    DISABLE = "disable"
    DELETE = "delete"
    KEEP = "keep"
    SET = "set"


class Cause(StrEnum):
    """Why somebody must leave, strongest first."""

    GONE = "gone"
    INACTIVE = "inactive"
    ROLE_LOST = "role_lost"
    OUT_OF_SCOPE = "out_of_scope"


@dataclass(frozen=True, slots=True)
class LeaveDate:
    """Which source attribute says when somebody leaves, and what its date means."""

    attribute: str
    means: Literal["last_day", "first_day_off"] = "last_day"
    timezone: str | None = None
    """Where the days begin and end, by its IANA name; None: UTC."""
    timezone_attribute: str | None = None
    """The source attribute that names the person's own; `timezone` stands in where it is empty or no zone."""


@dataclass(frozen=True, slots=True)
class Deprovision:
    """What each cause does. Waiting times in seconds; `delete_after_seconds` None: never."""

    gone: DeprovisionAction = DeprovisionAction.DISABLE
    inactive: DeprovisionAction = DeprovisionAction.DISABLE
    role_lost: DeprovisionAction = DeprovisionAction.DISABLE
    out_of_scope: DeprovisionAction = DeprovisionAction.DISABLE
    disable_after_seconds: float = 0.0
    delete_after_seconds: float | None = 30 * 86400.0
    leave_date: LeaveDate | None = None
    parting: tuple[AttributeMapping, ...] = ()
    """What `set` writes."""

    def action(self, cause: Cause) -> DeprovisionAction:
        match cause:
            case Cause.GONE:
                return self.gone
            case Cause.INACTIVE:
                return self.inactive
            case Cause.ROLE_LOST:
                return self.role_lost
            case Cause.OUT_OF_SCOPE:
                return self.out_of_scope


class Action(StrEnum):
    """Entra's target object actions."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class ObjectRules:
    """The rules of one job for one kind."""

    kind: Kind
    mappings: tuple[AttributeMapping, ...]
    actions: frozenset[Action] = frozenset(Action)
    filter: Condition | None = None
    members: Literal["owned", "exact"] = "owned"
    tables: Mapping[str, LookupTable] = field(default_factory=dict)
    """The look-up tables that the expressions use, by name."""
    default_domain: str | None = None
    """What DefaultDomain() gives."""
    sign_in: str | None = None
    """The source attribute that single sign-on sends as the name: an account that is named otherwise is told of."""


@dataclass(frozen=True, slots=True)
class SafeguardLimits:
    """A cycle's negative operations are held when n > min(threshold, max(5, share × managed accounts))."""

    deletion_threshold: int = 500
    deletion_share: float = 0.10
    window_seconds: float = 86400.0
    member_removals_min: int = 20
    member_removals_share: float = 0.5
    creation_threshold: int | None = None
    """More new accounts of users than this within the window are held; None: never."""
    rename_threshold: int = 500
    """More changes of matching attributes than min(this, max(5, deletion_share × managed accounts)) are held."""
    hold_group_deletes: bool = True
    """A group cannot be disabled, only deleted with all that hangs on it in the app: so a person says yes first."""


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """Which source attribute says that somebody is active.

    `is_in` empty: a true boolean (or "True", "1", "yes") is active; else the value must be one of `is_in`.
    Null is unknown and so neither active nor inactive, unless `is_in` names it with an empty string.
    """

    attribute: str
    is_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Triggers:
    """What has a job run before its time."""

    announced: bool = False
    """Its source says that something changed."""
    debounce_seconds: float = 0.5
    """How long more of it is waited for, so that one cycle does for all."""
    webhook: bool = False
    """Somebody who knows a secret may say so."""


@dataclass(frozen=True, slots=True)
class Job:
    """One source, one target, and the rules between them."""

    name: str
    source: str
    target: str
    users: ObjectRules | None
    groups: ObjectRules | None
    enabled: bool = True
    interval_seconds: float = 2400.0
    full_interval_seconds: float = 7 * 86400.0
    """How often everything is compared with the target."""
    stop_after_seconds: float | None = None
    """After so long in quarantine the job is stopped. None: never, a mail reminds."""
    scope: Scope = Scope.ASSIGNED
    assigned: tuple[AssignmentRule, ...] = ()
    service_principal: str | None = None
    """The app in the source whose assignments and roles count too, by one of its ids; None: the source is not asked."""
    nested: bool = False
    """Whether an assigned group entitles the members of the groups within it. False, as Entra."""
    roles: tuple[Role, ...] = ()
    role_choice: Literal["first", "all"] = "first"
    role_values: Mapping[str, str] = field(default_factory=dict)
    """What this target calls a role, by the role's name; the others have their own value."""
    excluded_roles: tuple[str, ...] = ()
    """Assignments with these roles entitle nobody (Entra's Default Access); letter case does not matter."""
    empty_assignment: Literal["keep", "deprovision"] = "deprovision"
    """What it means that nobody at all is assigned: a list that was not filled yet, or that everybody leaves."""
    require_test: bool = False
    """Whether the first cycle begins only when the connection test passes."""
    active: ActiveRule | None = None
    person: str | None = None
    """The source attribute that is the same for one human under several ids."""
    deprovision: Deprovision = Deprovision()
    safeguards: SafeguardLimits = SafeguardLimits()
    protected: tuple[str, ...] = ()
    """Accounts of the target that are never touched, by the value of a matching attribute or by target id."""
    notify: tuple[str, ...] = ()
    triggers: Triggers = Triggers()
    only: tuple[str, ...] = ()
    """Empty: the job is for everybody. Else it is restricted to these, by source id or a name that matching reads."""

    def rules(self, kind: Kind) -> ObjectRules | None:
        return self.users if kind == "user" else self.groups


@dataclass(frozen=True, slots=True)
class Identity:
    """What a source or a target is, so that links are never applied to another: type, place and key or tenant."""

    type: str
    place: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.type} {self.place}" + (f" ({self.key})" if self.key else "")
