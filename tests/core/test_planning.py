"""Which one operation brings an account to what the rules say; and that nothing stands before a leaver's disable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.decisions import Ask, Decision, Judged, Leave, Operation, Reject
from reconciler.core.diffing import UNKEPT_MAX
from reconciler.core.leaving import kept_causes
from reconciler.core.mapping import Mapped, Mapper
from reconciler.core.model import (
    Action,
    Apply,
    AppRole,
    AttributeMapping,
    Cause,
    Constant,
    Deprovision,
    DeprovisionAction,
    Direct,
    FromExpression,
    Job,
    Kind,
    ObjectRules,
    Resource,
    SourceId,
    TargetId,
)
from reconciler.core.outcomes import Account
from reconciler.core.planning import Planner
from reconciler.core.profile import Profile, TargetAttribute, ValueType
from reconciler.core.records import Escrow, Link, Record, Verdict
from reconciler.core.scoping import InScope, Leaving

NOW = 1_000_000.0
DAY = 86400.0
PROFILE = Profile(
    "example",
    {
        "active": TargetAttribute("active", ValueType.BOOLEAN),
        "userName": TargetAttribute("userName", required=True),
        "floor": TargetAttribute("floor", ValueType.INTEGER),
        "serial": TargetAttribute("serial", write_once=True),
    },
    {"displayName": TargetAttribute("displayName", required=True)},
)
MAPPINGS = (
    AttributeMapping("userName", Direct("upn"), match=1),
    AttributeMapping("externalId", Direct("id"), match=2),
    AttributeMapping("active", FromExpression("Not([IsSoftDeleted])")),
    AttributeMapping("title", Direct("jobTitle")),
    AttributeMapping("floor", Direct("floor")),
    AttributeMapping("entitlement", FromExpression("SingleAppRoleAssignment([appRoleAssignments])")),
)
ANN = {"id": "s1", "upn": "ann@example.com", "jobTitle": "Engineer", "floor": 3}
AGREED: Resource = {
    "userName": "ann@example.com",
    "externalId": "s1",
    "active": True,
    "title": "Engineer",
    "floor": 3,
    "entitlement": "User",
}
IN = InScope("scope all")
INACTIVE = Leaving(Cause.INACTIVE, "accountEnabled was False")
OUT = Leaving(Cause.OUT_OF_SCOPE, "not assigned")
ROLE_LOST = Leaving(Cause.ROLE_LOST, "has no role")
GONE = Leaving(Cause.GONE, "no longer in the source")
LEAVING = {
    Cause.INACTIVE: INACTIVE,
    Cause.OUT_OF_SCOPE: OUT,
    Cause.ROLE_LOST: ROLE_LOST,
    Cause.GONE: GONE,
}


def job(**rules: Any) -> Job:
    return Job("app", "staff", "app", users=None, groups=None, **rules)


def link(agreed: Resource = AGREED, **settings: Any) -> Link:
    return Link(TargetId("t1"), "created", agreed, NOW - 90 * DAY, **settings)


def linked(verdict: Verdict = Verdict.IN_SCOPE, agreed: Resource = AGREED, **settings: Any) -> Record:
    record = Record("user", SourceId("s1"), row_id=1, fingerprint=b"before", verdict=verdict, name="ann")
    for name in ("due_at", "escrow"):
        setattr(record, name, settings.pop(name, None))
    record.link = link(agreed, **settings)
    return record


def decide(
    record: Record,
    standing: InScope | Leaving,
    of: Job | None = None,
    *,
    entry: dict[str, Any] | None = None,
    mappings: tuple[AttributeMapping, ...] = MAPPINGS,
    actions: frozenset[Action] = frozenset(Action),
    profile: Profile = PROFILE,
    found: Resource | None = None,
    kind: Kind = "user",
) -> Decision:
    rules = ObjectRules(kind, mappings, actions)
    mapped = None
    if isinstance(standing, InScope) or standing.entitled:
        mapped = mapped_of(standing, entry, rules, profile)
    account = Account(TargetId("t1"), found) if found is not None else None
    judged = Judged(record, standing, mapped, fingerprint=b"now", found=account)
    return Planner.of(of or job(), rules, profile).plan(judged, NOW)


def mapped_of(
    standing: InScope | Leaving, entry: dict[str, Any] | None, rules: ObjectRules, profile: Profile = PROFILE
) -> Mapped:
    roles = standing.roles if isinstance(standing, InScope) else ()
    computed = {
        "IsSoftDeleted": "False" if isinstance(standing, InScope) else "True",
        "appRoleAssignments": [{"value": role.value, "displayName": role.display_name} for role in roles],
    }
    return Mapper.compile(rules, profile).wanted({**ANN, **(entry or {}), **computed})


def sent(decision: Decision) -> tuple[str, dict[str, Any]]:
    assert isinstance(decision, Operation), decision
    return decision.word, {change.path: change.new for change in decision.changes}


def code(decision: Decision) -> str:
    assert isinstance(decision, Leave), decision
    return decision.code


# --- in scope ----------------------------------------------------------------------------------------------------


def test_what_is_as_it_should_be_is_left() -> None:
    assert code(decide(linked(), InScope("scope all", (AppRole("User", "User"),)))) == "RedundantExport"


def test_only_what_differs_is_sent_and_the_why_names_it() -> None:
    decision = decide(linked(), InScope("group APP", (AppRole("User", "User"),)), entry={"jobTitle": "Chief"})
    assert sent(decision) == ("update", {"title": "Chief"})
    assert isinstance(decision, Operation)
    assert decision.why == "in scope through group APP; changed: title"
    assert not decision.negative


def test_an_entry_without_a_link_is_asked_for_by_its_matching_values_in_order() -> None:
    fresh = Record("user", SourceId("s1"))
    assert decide(fresh, IN) == Ask((("userName", "ann@example.com"), ("externalId", "s1")))
    assert decide(fresh, INACTIVE) == Ask((("userName", "ann@example.com"), ("externalId", "s1")))


def test_an_entry_without_any_matching_value_is_rejected() -> None:
    mappings = (AttributeMapping("userName", Direct("upn"), match=1),)
    decision = decide(Record("user", SourceId("s1")), IN, entry={"upn": None}, mappings=mappings)
    assert decision == Reject("ImportSkipped", "no matching attribute has a value: userName")


def test_somebody_who_is_disabled_and_in_scope_again_is_enabled() -> None:
    record = linked(Verdict.OUT_OF_SCOPE, {**AGREED, "active": False}, disabled_at=NOW - DAY)
    decision = decide(record, InScope("scope all", (AppRole("User", "User"),)))
    assert sent(decision) == ("enable", {"active": True})


def test_a_value_that_may_be_written_once_only_is_never_changed() -> None:
    mappings = (*MAPPINGS[:3], AttributeMapping("serial", Direct("serial")))
    record = linked(agreed={**AGREED, "serial": "1"})
    assert code(decide(record, IN, entry={"serial": "2"}, mappings=mappings)) == "RedundantExport"


def test_without_the_update_action_nothing_is_changed() -> None:
    decision = decide(linked(), IN, entry={"jobTitle": "Chief"}, actions=frozenset({Action.CREATE}))
    assert code(decision) == "UpdateNotAllowed"


def test_a_mapping_that_fails_rejects_the_entry() -> None:
    decision = decide(linked(), IN, entry={"floor": "third", "jobTitle": "Chief"})
    assert isinstance(decision, Reject)
    assert decision.why.startswith("floor: ")


# --- roles that are not known ------------------------------------------------------------------------------------


def test_a_role_is_not_taken_away_while_roles_are_unknown() -> None:
    unknown = InScope("scope all", (), roles_unknown="not known whether a member of Support")
    assert code(decide(linked(), unknown)) == "RedundantExport"
    assert sent(decide(linked(), unknown, entry={"jobTitle": "Chief"})) == ("update", {"title": "Chief"})


def test_a_role_is_not_exchanged_for_another_while_roles_are_unknown() -> None:
    unknown = InScope("scope all", (AppRole("Admin", "Admin"),), roles_unknown="not known")
    assert code(decide(linked(), unknown)) == "RedundantExport"
    known = InScope("scope all", (AppRole("Admin", "Admin"),))
    assert sent(decide(linked(), known)) == ("update", {"entitlement": "Admin"})


def test_an_adopted_account_keeps_its_role_while_roles_are_unknown() -> None:
    rules = ObjectRules("user", MAPPINGS)
    unknown = InScope("scope all", (), roles_unknown="not known")
    account = Account(TargetId("t1"), {**AGREED, "title": "Old"})
    planner = Planner.of(job(), rules, PROFILE)
    mapped = mapped_of(unknown, None, rules)
    decision = planner.plan_matched(
        Judged(Record("user", SourceId("s1")), unknown, mapped, fingerprint=b"now"), account
    )
    assert sent(decision) == ("adopt", {"title": "Engineer"})


# --- leavers: nothing stands before the disable ------------------------------------------------------------------

IGNORED = AttributeMapping("nickName", FromExpression('IIF([IsSoftDeleted]="True", IgnoreObjectFlow, "x")'))
REQUIRED = replace(
    PROFILE, user_attributes={**PROFILE.user_attributes, "badge": TargetAttribute("badge", required=True)}
)


@pytest.mark.parametrize(
    ("mappings", "entry", "profile"),
    [
        pytest.param((*MAPPINGS, IGNORED), {}, PROFILE, id="IgnoreObjectFlow"),
        pytest.param(MAPPINGS, {"floor": "third"}, PROFILE, id="a value that does not fit"),
        pytest.param(
            (*MAPPINGS, AttributeMapping("x", FromExpression("CDate([id])"))),
            {},
            PROFILE,
            id="a failing expression",
        ),
        pytest.param(
            (*MAPPINGS, AttributeMapping("badge", Direct("badge"))), {}, REQUIRED, id="a required value is null"
        ),
        pytest.param(MAPPINGS, {"upn": None, "id": None}, PROFILE, id="no matching value"),
        pytest.param(
            (*MAPPINGS[:2], AttributeMapping("active", Constant(True))), {}, PROFILE, id="a mapping that says active"
        ),
        pytest.param(
            (*MAPPINGS[:2], AttributeMapping("active", FromExpression("Not([IsSoftDeleted])"), apply=Apply.CREATE)),
            {},
            PROFILE,
            id="active flows on create only",
        ),
    ],
)
def test_an_inactive_person_is_disabled_whatever_the_mapping_says(
    mappings: tuple[AttributeMapping, ...], entry: dict[str, Any], profile: Profile
) -> None:
    word, changes = sent(decide(linked(), INACTIVE, mappings=mappings, entry=entry, profile=profile))
    assert (word, changes["active"]) == ("disable", False)


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_disables_by_default(cause: Cause) -> None:
    decision = decide(linked(), LEAVING[cause])
    word, changes = sent(decision)
    assert (word, changes["active"]) == ("disable", False)
    assert isinstance(decision, Operation)
    assert (decision.cause, decision.negative, decision.why) == (cause, True, LEAVING[cause].why)


@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize(
    ("action", "expected"),
    [(DeprovisionAction.DISABLE, "disable"), (DeprovisionAction.DELETE, "delete"), (DeprovisionAction.KEEP, None)],
)
def test_the_deprovision_table(cause: Cause, action: DeprovisionAction, expected: str | None) -> None:
    rules: dict[str, Any] = {str(cause): action}
    decision = decide(linked(), LEAVING[cause], job(deprovision=Deprovision(**rules)))
    if expected is None:
        assert code(decision) == "SkipOutOfScopeDeletion"
    else:
        assert isinstance(decision, Operation)
        assert decision.word == expected


def test_a_kept_account_is_disabled_when_its_owner_is_inactive_too() -> None:
    rules = job(deprovision=Deprovision(out_of_scope=DeprovisionAction.KEEP))
    assert code(decide(linked(), OUT, rules)) == "SkipOutOfScopeDeletion"
    assert sent(decide(linked(), Leaving(Cause.INACTIVE, "inactive", OUT), rules))[0] == "disable"
    assert sent(decide(linked(Verdict.OUT_OF_SCOPE), GONE, rules))[0] == "disable"


def test_where_inactive_is_kept_the_weaker_cause_decides() -> None:
    rules = job(deprovision=Deprovision(inactive=DeprovisionAction.KEEP, out_of_scope=DeprovisionAction.DELETE))
    decision = decide(linked(), Leaving(Cause.INACTIVE, "inactive", OUT), rules)
    assert isinstance(decision, Operation)
    assert (decision.word, decision.why) == ("delete", "not assigned")


def test_a_purge_deletes_at_once() -> None:
    decision = decide(linked(), Leaving(Cause.GONE, "deleted for good in the source", purged=True))
    assert isinstance(decision, Operation)
    assert decision.word == "delete"


def test_a_purge_deletes_nobody_whom_the_rules_keep() -> None:
    purged = Leaving(Cause.GONE, "deleted for good in the source", purged=True)
    kept = job(deprovision=Deprovision(gone=DeprovisionAction.KEEP))
    assert code(decide(linked(), purged, kept)) == "SkipOutOfScopeDeletion"
    marked = job(deprovision=Deprovision(gone=DeprovisionAction.SET))
    assert code(decide(linked(), purged, marked)) == "AttributesSet"
    assert sent(decide(linked(), replace(purged, forced=True), kept))[0] == "disable", "taken out by hand"
    deleting = job(deprovision=Deprovision(gone=DeprovisionAction.DELETE))
    assert sent(decide(linked(), replace(GONE, forced=True), deleting))[0] == "disable", "and nobody said she has left"


def test_who_may_not_be_deleted_is_disabled_at_least() -> None:
    rules = job(deprovision=Deprovision(gone=DeprovisionAction.DELETE))
    allowed = frozenset({Action.CREATE, Action.UPDATE})
    assert sent(decide(linked(), GONE, rules, actions=allowed))[0] == "disable"
    assert sent(decide(linked(), Leaving(Cause.GONE, "", purged=True), rules, actions=allowed))[0] == "disable"
    assert sent(decide(linked(), GONE, rules, profile=replace(PROFILE, can_delete=False)))[0] == "disable"
    neither = frozenset({Action.CREATE})
    assert code(decide(linked(), GONE, rules, actions=neither)) == "UpdateNotAllowed"


def test_without_a_mapping_of_active_nobody_is_disabled() -> None:
    assert code(decide(linked(), OUT, mappings=MAPPINGS[:2])) == "DisableNotAllowed"
    assert code(decide(linked(), INACTIVE, mappings=MAPPINGS[:2])) == "DisableNotAllowed"
    assert code(decide(linked(), OUT, profile=replace(PROFILE, can_disable=False))) == "DisableNotAllowed"


def test_a_disable_needs_the_update_action() -> None:
    assert code(decide(linked(), OUT, actions=frozenset({Action.CREATE, Action.DELETE}))) == "UpdateNotAllowed"
    assert code(decide(linked(), INACTIVE, actions=frozenset({Action.CREATE, Action.DELETE}))) == "UpdateNotAllowed"


def test_a_mapping_that_says_not_active_is_a_disable() -> None:
    mappings = (*MAPPINGS[:2], AttributeMapping("active", Direct("works")), MAPPINGS[4])
    decision = decide(linked(), IN, entry={"works": False}, mappings=mappings)
    assert sent(decision) == ("disable", {"active": False})
    assert isinstance(decision, Operation)
    assert decision.cause is None
    assert decision.negative


def test_a_mapping_that_says_not_active_is_a_disable_also_where_another_one_fails() -> None:
    mappings = (*MAPPINGS[:2], AttributeMapping("active", Direct("works")), MAPPINGS[4])
    entry = {"works": False, "floor": "third"}
    decision = decide(linked(), IN, entry=entry, mappings=mappings)
    assert sent(decision) == ("disable", {"active": False})
    assert isinstance(decision, Operation)
    assert decision.fingerprint is None, "the failure is reported in the next cycle"
    after = linked(agreed={**AGREED, "active": False})
    assert isinstance(decide(after, IN, entry=entry, mappings=mappings), Reject)


def test_an_account_that_was_switched_on_by_hand_is_disabled_again_in_a_full_cycle() -> None:
    record = linked(Verdict.OUT_OF_SCOPE, {**AGREED, "active": False}, disabled_at=NOW - DAY)
    assert code(decide(record, OUT)) == "RedundantExport"
    assert sent(decide(record, OUT, found=AGREED))[0] == "disable"


# --- protected ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Ann@Example.com", "t1", "s1"])
@pytest.mark.parametrize("standing", [IN, INACTIVE, OUT, GONE])
def test_a_protected_account_is_never_touched(name: str, standing: InScope | Leaving) -> None:
    assert code(decide(linked(), standing, job(protected=(name,)), entry={"jobTitle": "Chief"})) == "Protected"


# --- waiting -----------------------------------------------------------------------------------------------------

WAITS = job(deprovision=Deprovision(disable_after_seconds=7 * DAY))


def test_a_leaver_is_disabled_when_the_grace_period_is_over() -> None:
    first = decide(linked(), OUT, WAITS)
    assert isinstance(first, Leave)
    assert (first.code, first.due_at, first.verdict) == ("GracePeriod", NOW + 7 * DAY, Verdict.OUT_OF_SCOPE)
    waiting = linked(Verdict.OUT_OF_SCOPE, due_at=NOW + DAY)
    assert code(decide(waiting, OUT, WAITS)) == "GracePeriod"
    over = linked(Verdict.OUT_OF_SCOPE, due_at=NOW)
    assert sent(decide(over, OUT, WAITS))[0] == "disable"


def test_a_delete_that_a_cause_asks_for_waits_as_a_disable_does_but_a_purge_does_not() -> None:
    rules = job(deprovision=Deprovision(inactive=DeprovisionAction.DELETE, disable_after_seconds=7 * DAY))
    first = decide(linked(), INACTIVE, rules)
    assert isinstance(first, Leave)
    assert (first.code, first.due_at) == ("GracePeriod", NOW + 7 * DAY)
    over = decide(linked(Verdict.INACTIVE, due_at=NOW), INACTIVE, rules)
    assert isinstance(over, Operation)
    assert over.word == "delete"
    purge = decide(linked(), Leaving(Cause.GONE, "deleted for good in the source", purged=True), rules)
    assert isinstance(purge, Operation)
    assert purge.word == "delete"


@pytest.mark.parametrize("before", [Verdict.OUT_OF_SCOPE, Verdict.INACTIVE, Verdict.ROLE_LOST, Verdict.UNKNOWN])
def test_another_cause_does_not_start_the_grace_period_anew(before: Verdict) -> None:
    waiting = linked(before, due_at=NOW + DAY)
    decision = decide(waiting, GONE, WAITS)
    assert isinstance(decision, Leave)
    assert decision.due_at == NOW + DAY


def test_a_retry_of_something_else_is_no_grace_period() -> None:
    failing = linked(Verdict.IN_SCOPE, due_at=NOW - 1, escrow=Escrow(1, NOW, "Timeout", ""))
    decision = decide(failing, OUT, WAITS)
    assert isinstance(decision, Leave)
    assert decision.due_at == NOW + 7 * DAY


@pytest.mark.parametrize("standing", [INACTIVE, OUT, ROLE_LOST, GONE])
def test_a_disabled_account_is_deleted_after_its_days(standing: Leaving) -> None:
    agreed = {**AGREED, "active": False}
    because: dict[str, Any] = {"disabled_because": str(standing.cause)}
    young = linked(agreed=agreed, disabled_at=NOW - 29 * DAY, **because)
    decision = decide(young, standing)
    assert isinstance(decision, Leave)
    assert decision.due_at == NOW + DAY
    old = linked(agreed=agreed, disabled_at=NOW - 30 * DAY, **because)
    decision = decide(old, standing)
    assert isinstance(decision, Operation)
    assert decision.word == "delete"


def test_never_deleted_where_the_rules_say_never_or_delete_is_no_action() -> None:
    old = linked(agreed={**AGREED, "active": False}, disabled_at=NOW - 99 * DAY, disabled_because="gone")
    assert code(decide(old, GONE, job(deprovision=Deprovision(delete_after_seconds=None)))) == "RedundantExport"
    assert code(decide(old, GONE, actions=frozenset({Action.UPDATE}))) == "RedundantExport"


def test_an_account_that_we_did_not_disable_is_not_deleted() -> None:
    decision = decide(linked(agreed={**AGREED, "active": False}), GONE)
    assert isinstance(decision, Leave)
    assert decision.due_at is None


def test_days_count_from_leaving_where_the_mapping_had_disabled_the_account_long_before() -> None:
    record = linked(agreed={**AGREED, "active": False}, disabled_at=NOW - 99 * DAY, disabled_because="in_scope")
    decision = decide(record, OUT)
    assert isinstance(decision, Leave)
    assert (decision.due_at, decision.leaves_disabled) == (NOW + 30 * DAY, Cause.OUT_OF_SCOPE)


# --- groups ------------------------------------------------------------------------------------------------------

GROUP_MAPPINGS = (AttributeMapping("displayName", Direct("displayName"), match=1),)


@pytest.mark.parametrize("standing", [OUT, GONE])
def test_a_group_cannot_be_disabled_so_it_is_deleted_but_never_an_adopted_one(standing: Leaving) -> None:
    record = replace(linked(agreed={"displayName": "Crew"}), kind="group")
    decision = decide(record, standing, mappings=GROUP_MAPPINGS, kind="group")
    assert isinstance(decision, Operation)
    assert decision.word == "delete"
    assert record.link is not None
    record.link.origin = "adopted"
    assert code(decide(record, standing, mappings=GROUP_MAPPINGS, kind="group")) == "AdoptedGroup"


def test_a_group_whose_delete_is_no_action_is_left() -> None:
    record = replace(linked(agreed={"displayName": "Crew"}), kind="group")
    actions = frozenset({Action.CREATE, Action.UPDATE})
    assert code(decide(record, OUT, mappings=GROUP_MAPPINGS, kind="group", actions=actions)) == "DeleteNotAllowed"


@pytest.mark.parametrize(
    ("action", "kind", "actions", "profile", "code", "why"),
    [
        ("delete", "user", {Action.UPDATE}, {}, "DeleteNotAllowed", "delete is not among the actions"),
        (
            *("delete", "user", set(Action), {"confirm_delete": "gone for good"}, "DeleteNotAllowed"),
            "the job does not repeat confirm_delete, without which nobody is deleted",
        ),
        ("delete", "user", set(Action), {}, "DeleteNotAllowed", "the app cannot delete accounts"),
        ("disable", "group", set(Action), {}, "DeleteNotAllowed", "the app cannot delete groups"),
        ("disable", "user", set(Action), {}, "DisableNotAllowed", "the app cannot disable accounts"),
    ],
)
def test_what_is_not_done_with_a_leaver_is_told_with_what_stands_against_it(
    action: str, kind: Kind, actions: set[Action], profile: dict[str, Any], code: str, why: str
) -> None:
    powerless = replace(PROFILE, can_disable=False, can_delete=False, can_delete_groups=False, **profile)
    rules = job(deprovision=Deprovision(out_of_scope=DeprovisionAction(action)))
    record = replace(linked(), kind=kind)
    mappings = MAPPINGS if kind == "user" else GROUP_MAPPINGS
    left = decide(record, OUT, rules, kind=kind, actions=frozenset(actions), profile=powerless, mappings=mappings)
    assert isinstance(left, Leave)
    assert (left.code, left.why) == (code, f"{OUT.why}; {why}")


# --- what the target does not keep -------------------------------------------------------------------------------


def test_a_value_that_the_target_never_keeps_is_not_sent_any_more_until_it_changes() -> None:
    known = InScope("scope all", (AppRole("User", "User"),))
    shown = {**AGREED, "title": "Old"}
    twice = linked(unkept={"title": UNKEPT_MAX - 1})
    assert sent(decide(twice, known, found=shown)) == ("update", {"title": "Engineer"})
    capped = linked(unkept={"title": UNKEPT_MAX})
    assert code(decide(capped, known, found=shown)) == "RedundantExport"
    assert sent(decide(capped, known, found=shown, entry={"jobTitle": "Chief"})) == ("update", {"title": "Chief"})
    assert sent(decide(capped, known, entry={"jobTitle": "Chief"})) == ("update", {"title": "Chief"})


def test_a_value_that_the_target_shows_to_nobody_counts_as_it_was_last_sent() -> None:
    hidden = replace(
        PROFILE, user_attributes={**PROFILE.user_attributes, "title": TargetAttribute("title", shown=False)}
    )
    known = InScope("scope all", (AppRole("User", "User"),))
    shown = {path: value for path, value in AGREED.items() if path != "title"}
    assert code(decide(linked(), known, found=shown, profile=hidden)) == "RedundantExport"
    chief = decide(linked(), known, found=shown, profile=hidden, entry={"jobTitle": "Chief"})
    assert sent(chief) == ("update", {"title": "Chief"})


def test_the_causes_that_leave_an_account_as_it_is() -> None:
    rules = ObjectRules("user", MAPPINGS)
    keeps = replace(job(deprovision=Deprovision(role_lost=DeprovisionAction.KEEP)), users=rules)
    assert kept_causes(keeps, PROFILE) == (Cause.ROLE_LOST,)
    powerless = replace(PROFILE, can_disable=False, can_delete=False)
    assert kept_causes(keeps, powerless) == tuple(Cause)
    delete = DeprovisionAction.DELETE
    deletes = replace(job(deprovision=Deprovision(delete, delete, delete, delete)), users=rules)
    assert kept_causes(deletes, replace(PROFILE, can_disable=False)) == ()
    assert kept_causes(job(), PROFILE) == ()


# --- now that the target has answered ----------------------------------------------------------------------------


def matched(
    standing: InScope | Leaving,
    account: Resource | None,
    of: Job | None = None,
    entry: dict[str, Any] | None = None,
    actions: frozenset[Action] = frozenset(Action),
) -> Decision:
    rules = ObjectRules("user", MAPPINGS, actions)
    mapped = mapped_of(standing, entry, rules)
    shown = Account(TargetId("t1"), account) if account is not None else None
    planner = Planner.of(of or job(), rules, PROFILE)
    return planner.plan_matched(Judged(Record("user", SourceId("s1")), standing, mapped, fingerprint=b"now"), shown)


def test_nobody_matches_so_the_account_is_made() -> None:
    decision = matched(IN, None)
    assert isinstance(decision, Operation)
    assert (decision.word, decision.resource["userName"], decision.match[0]) == (
        "create",
        "ann@example.com",
        ("userName", "ann@example.com"),
    )


def test_no_account_is_made_for_somebody_inactive_nor_without_the_action() -> None:
    assert code(matched(INACTIVE, None)) == "NotActive"
    assert code(matched(IN, None, actions=frozenset({Action.UPDATE}))) == "CreateNotAllowed"


def test_no_account_is_made_of_values_that_do_not_fit() -> None:
    assert isinstance(matched(IN, None, entry={"floor": "third"}), Reject)


def test_an_account_that_matches_is_adopted_and_brought_to_the_rules() -> None:
    assert sent(matched(IN, {**AGREED, "title": "Old"})) == ("adopt", {"title": "Engineer"})
    assert sent(matched(IN, {**AGREED, "title": "Old"}, actions=frozenset({Action.CREATE}))) == ("adopt", {})
    assert code(matched(IN, AGREED, job(protected=("t1",)))) == "Protected"


def test_an_account_of_somebody_inactive_is_adopted_by_disabling_it() -> None:
    assert sent(matched(INACTIVE, AGREED)) == ("disable", {"active": False})
