"""The tables of the TOML that make up one job."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from reconciler.config.values import (
    AppId,
    Duration,
    DurationOrNever,
    Expression,
    MailAddress,
    Name,
    Period,
    Scalar,
    ScalarOrList,
    SecretField,
    Share,
    Table,
    TargetPath,
    Text,
    Timezone,
    refusal,
)
from reconciler.core.conditions import compile_condition
from reconciler.core.model import Clause, Operator
from reconciler.core.profile import ValueType
from reconciler.errors import ConfigError

ActionName = Literal["create", "update", "delete"]
Leaving = Literal["disable", "delete", "keep", "set"]

_UNARY = (Operator.IS_NULL, Operator.IS_NOT_NULL, Operator.IS_TRUE, Operator.IS_FALSE)
_DATES = (Operator.BEFORE, Operator.ON_OR_BEFORE, Operator.AFTER, Operator.ON_OR_AFTER)
_REGEXES = (Operator.REGEX_MATCH, Operator.NOT_REGEX_MATCH)


class Condition(Table):
    """A condition of an entry: all, any or not of further conditions, a clause on an attribute, or a membership."""

    all: list[Condition] | None = Field(default=None, min_length=1, description="True when each of these is.")
    any: list[Condition] | None = Field(default=None, min_length=1, description="True when at least one of these is.")
    not_: Condition | None = Field(default=None, alias="not", description="True when this is false.")
    attribute: Text | None = Field(default=None, description="The source attribute that a clause looks at.")
    operator: Operator | None = Field(default=None, strict=False, description="How it is compared.")
    value: Scalar | None = Field(default=None, description="With what it is compared.")
    of_list: Literal["any", "all"] | None = Field(
        default=None, description="With attribute: of how many values of a list it must hold."
    )
    member_of: Text | None = Field(default=None, description="A group, by id or display name: true for its members.")
    nested: bool = Field(default=False, description="With member_of: whether groups within the group count.")

    @model_validator(mode="after")
    def _one_form(self) -> Condition:
        forms = sum(form is not None for form in (self.all, self.any, self.not_, self.attribute, self.member_of))
        if forms != 1:
            raise refusal(
                "must be exactly one condition", "one of all, any, not, member_of, or attribute with operator"
            )
        clause_keys = (self.operator, self.value, self.of_list)
        if self.attribute is None and any(key is not None for key in clause_keys):
            raise refusal("operator, value and of_list go with attribute")
        if self.nested and self.member_of is None:
            raise refusal("nested goes with member_of")
        if self.attribute is not None:
            self._sound_clause()
        return self

    def _sound_clause(self) -> None:
        if self.operator is None:
            raise refusal("the clause has no operator", f"one of {', '.join(Operator)}")
        if self.operator in _UNARY:
            if self.value is not None:
                raise refusal(f"{self.operator} takes no value")
            return
        if self.value is None:
            raise refusal(f"{self.operator} needs a value")
        try:
            compile_condition(Clause(self.attribute or "", self.operator, clause_value(self.value)))
        except (ConfigError, OverflowError, RecursionError):
            if self.operator in _REGEXES:
                raise refusal(f"value is no regular expression{_from_where(clause_value(self.value))}") from None
            if self.operator in _DATES:
                raise refusal(f"{self.operator} needs a date, such as 2025-08-31") from None
            raise refusal(f"{self.operator} compares whole numbers only") from None


def clause_value(value: str | bool | int | float | None) -> str:
    """Return a clause's value as the text that attributes are compared with."""
    if value is None:
        return ""
    return str(value)


def _from_where(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return f": wrong from character {(error.pos or 0) + 1} on"
    except (OverflowError, RecursionError):
        return ": too large"
    return ""


class AssignedTable(Table):
    """One assignment: a user or a group, and as what."""

    user: Text | None = Field(default=None, description="A user, by source id, user name or mail address.")
    group: Text | None = Field(default=None, description="A group, by source id or display name: its direct members.")
    role: Text | None = Field(default=None, description="The app role that comes with it.")

    @model_validator(mode="after")
    def _one_principal(self) -> AssignedTable:
        if (self.user is None) == (self.group is None):
            raise refusal("must name exactly one of user, group")
        return self


class MappingTable(Table):
    """How one attribute of the app comes about."""

    to: TargetPath = Field(description="The attribute of the app.")
    from_: Text | None = Field(
        default=None, alias="from", description="Direct: the source attribute that it is copied from."
    )
    constant: ScalarOrList | None = Field(default=None, description="The value that everybody gets.")
    expression: Expression | None = Field(default=None, description="An expression of the mapping language.")
    match: int | None = Field(
        default=None, ge=1, description="Find existing accounts by it; the lowest number is asked first."
    )
    apply: Literal["always", "create", "add_only", "if_empty"] = Field(
        default="always", description="When it is written."
    )
    null: Literal["keep", "clear"] = Field(default="keep", description="What a source without a value does on update.")
    default: ScalarOrList | None = Field(
        None,
        description="Written on create where the source has no value; without a source, wherever the app has none.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> MappingTable:
        named = sum(source is not None for source in (self.from_, self.constant, self.expression))
        if named > 1:
            raise refusal("has more than one of from, constant, expression")
        if named == 0 and self.default is None:
            raise refusal("says nothing to write", "name from, constant, expression, or a default alone")
        if self.match is not None and self.from_ is None and self.expression is None:
            raise refusal("match needs from or expression: any other value tells no accounts apart")
        return self


def _all_actions() -> list[ActionName]:
    return ["create", "update", "delete"]


class AttributeTable(Table):
    """What is known of one attribute of the app."""

    type: ValueType = Field(default=ValueType.STRING, strict=False, description="The type of its values.")
    multivalued: bool = Field(default=False, description="Whether it is a list.")
    case_exact: bool = Field(default=False, description="Whether letter case matters.")
    required: bool = Field(default=False, description="Whether nothing can be created without it.")
    read_only: bool = Field(default=False, description="Whether only the app sets it.")
    write_once: bool = Field(default=False, description="Whether it is set on create and never changed.")
    never_null: bool = Field(default=False, description="Whether a value can be changed and never taken away.")
    references: Literal["user", "group"] | None = Field(default=None, description="What a Reference points to.")
    allowed: list[Text] = Field(default_factory=list, description="The values that the app takes; empty: any.")
    max_changes: int | None = Field(
        default=None, ge=1, description="How often the app lets it be changed in all. Default: ever so often."
    )
    own_domain: bool = Field(default=False, description="Whether its address must be in a domain of the app's own.")
    shown: bool = Field(default=True, description="Whether the app shows its value to those who read an account.")


class UsersTable(Table):
    """What is done with users, and how."""

    actions: list[ActionName] = Field(
        default_factory=_all_actions,
        description="What may be done in the app; adopt, enable and disable are updates.",
    )
    attributes: list[MappingTable] | None = Field(
        default=None, min_length=1, description="The attribute mappings. Default: the profile's."
    )
    filter: Condition | None = Field(default=None, description="Who takes part, of those in scope.")
    define: dict[TargetPath, AttributeTable] = Field(
        default_factory=dict, description="Attributes of the app that the profile does not know, or knows otherwise."
    )
    sign_in: Text | None = Field(
        default=None, description="The source attribute that single sign-on sends: userName should be the same."
    )


class GroupsTable(UsersTable):
    """What is done with groups, and how. Without this table no groups are provisioned."""

    members: Literal["owned", "exact"] = Field(
        default="owned", description="Whether only members that the job added are removed, or every other too."
    )
    hold_deletes: bool = Field(
        default=True, description="Whether deletes of groups wait until a person approves them, however few they are."
    )


class LeaveDateTable(Table):
    """Which source attribute says when somebody leaves."""

    from_: Text = Field(alias="from", description="The source attribute with the date.")
    means: Literal["last_day", "first_day_off"] = Field(
        default="last_day", description="Whether the date is the last day, or the first on which the account is off."
    )


class TimezoneTable(Table):
    """Which source attribute names somebody's time zone."""

    from_: Text = Field(alias="from", description="The source attribute with the name of the zone.")
    default: Timezone | None = Field(default=None, description="The zone of those who have none there. Default: UTC.")


class DeprovisionTable(Table):
    """What happens to the account of somebody who leaves, by cause."""

    gone: Leaving = Field(default="disable", description="Deleted in the source, or no longer there.")
    inactive: Leaving = Field(default="disable", description="No longer active in the source.")
    role_lost: Leaving = Field(default="disable", description='With scope = "roles": no role any more.')
    out_of_scope: Leaving = Field(default="disable", description="No longer assigned, or no longer passing the filter.")
    disable_after: Duration = Field(
        default="0d", description="How long a disable waits, or the delete of a cause that says delete."
    )
    delete_after: DurationOrNever = Field(
        default="30d", description='How long after its disable an account is deleted, or "never".'
    )
    confirm_delete: Text | None = Field(
        default=None, description="Where the app cannot undo a delete: the words of its profile, repeated."
    )
    skip_out_of_scope_deletions: bool = Field(
        default=False, description='Entra\'s name for role_lost and out_of_scope = "keep".'
    )
    set_: list[MappingTable] = Field(
        default_factory=list, alias="set", description="What the causes that say set write into the account."
    )
    leave_date: LeaveDateTable | None = Field(
        default=None, description="Who is past this date is inactive. Default: there is none."
    )
    timezone: Timezone | TimezoneTable | None = Field(
        default=None, description="Where the days of leave_date begin and end. Default: UTC."
    )

    @model_validator(mode="after")
    def _one_word_for_it(self) -> DeprovisionTable:
        for key in ("role_lost", "out_of_scope"):
            if self.skip_out_of_scope_deletions and key in self.model_fields_set and getattr(self, key) != "keep":
                raise refusal(f'skip_out_of_scope_deletions means {key} = "keep"', "leave out one of both")
        return self

    @model_validator(mode="after")
    def _something_to_set(self) -> DeprovisionTable:
        causes = [key for key in ("gone", "inactive", "role_lost", "out_of_scope") if getattr(self, key) == "set"]
        if causes and not self.set_:
            raise refusal(f'{causes[0]} = "set" and nothing is set', 'set = [ { to = "title", constant = "left" } ]')
        if self.set_ and not causes:
            raise refusal("set has no cause that says so", 'inactive = "set", or another cause')
        for mapping in self.set_:
            if mapping.match is not None:
                raise refusal("set finds no accounts: leave out match")
            if mapping.apply in ("create", "add_only"):
                raise refusal('set is written to accounts that are there: apply is "always" or "if_empty"')
        return self


class TriggersTable(Table):
    """What has a job run before its time."""

    announced: bool = Field(default=False, description="Whether it runs when its source says that something changed.")
    debounce: Duration = Field(
        default="0.5s", description="How long more changes are waited for, so that one cycle does for all."
    )
    webhook: SecretField | None = Field(
        default=None, description="The secret of those who may say over HTTP that something changed."
    )


class JobTable(Table):
    """One source, one target, and the rules between them."""

    source: Name = Field(description="The source, by name.")
    target: Name = Field(description="The target, by name.")
    enabled: bool = Field(default=True, description="Whether the daemon runs the job by itself.")
    interval: Period = Field(default="40m", description="The time between the starts of cycles.")
    full_interval: Period = Field(default="7d", description="The time between full comparisons with the app.")
    scope: Literal["all", "assigned", "roles"] = Field(default="assigned", description="Who takes part.")
    assigned: list[AssignedTable] = Field(default_factory=list, description="Who is assigned.")
    assignments: Text | None = Field(
        default=None, description="A CSV file of assignments with the columns kind,principal,role."
    )
    service_principal: AppId | None = Field(
        default=None,
        description="The enterprise application of a graph source whose assignments and roles count: one of its ids.",
    )
    nested: bool = Field(
        default=False, description="Whether an assigned group entitles the members of groups within it."
    )
    roles: list[Text] = Field(default_factory=list, description="The roles that the job gives, by name, first first.")
    role_choice: Literal["first", "all"] = Field(
        default="first", description="Whether one has the first role only, or all."
    )
    role_values: dict[Text, Text] = Field(
        default_factory=dict, description="What this app calls a role, by the role's name. Default: the role's value."
    )
    default_access: bool = Field(
        default=False, description="Whether assignments with a role that the profile excludes entitle all the same."
    )
    empty_assignment: Literal["keep", "deprovision"] = Field(
        default="keep", description="What it means that nobody at all is assigned: nothing, or that everybody leaves."
    )
    require_test: bool = Field(
        default=False, description="Whether the first cycle begins only when the connection test passes."
    )
    default_domain: Text | None = Field(default=None, description="What DefaultDomain() gives in expressions.")
    only: list[Text] = Field(
        default_factory=list, description="The job is restricted to these people and groups: nobody else is touched."
    )
    notify: list[MailAddress] = Field(default_factory=list, description="Who gets mails about the job.")
    deletion_threshold: int = Field(default=500, ge=0, description="More disables and deletes than this are held.")
    deletion_share: Share = Field(
        default="10%", description="So are more than this share of the managed accounts (and than 5)."
    )
    creation_threshold: int | None = Field(
        default=None,
        ge=0,
        description="More new accounts of users than this are held. Default: the profile's, or none.",
    )
    rename_threshold: int = Field(
        default=500, ge=0, description="More changes of matching attributes than this are held, as with deletion_share."
    )
    safeguard_window: Period = Field(default="24h", description="The time over which disables and deletes are counted.")
    stop_after: DurationOrNever = Field(default="never", description="When a job in quarantine is stopped.")
    deprovision: DeprovisionTable = Field(default_factory=DeprovisionTable)
    triggers: TriggersTable = Field(default_factory=TriggersTable)
    users: UsersTable = Field(default_factory=UsersTable)
    groups: GroupsTable | None = None
