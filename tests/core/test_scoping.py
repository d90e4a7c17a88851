"""Where an entry stands: in, leaving for the strongest cause, or unknown."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.model import (
    ActiveRule,
    AllOf,
    AppRole,
    AssignedGroup,
    AssignedUser,
    Cause,
    Clause,
    Condition,
    Entry,
    Job,
    MemberOf,
    ObjectRules,
    Operator,
    Role,
    Scope,
    SourceId,
)
from reconciler.core.scoping import (
    InScope,
    Leaving,
    ScopeRules,
    Standing,
    StandingUnknown,
    is_soft_deleted,
    judge,
    taken_out,
)

SALES = Clause("department", Operator.EQUALS, "Sales")
SUPPORT = MemberOf("Support")
GROUPS = KnownGroups({"Support": (SourceId("g2"),)}, complete=True)
UNREAD = KnownGroups({}, complete=False)
IN_NONE = Memberships()
FLAG = ActiveRule("accountEnabled")


def job(filtered: Condition | None = None, active: ActiveRule | None = FLAG, **rules: Any) -> Job:
    rules.setdefault("scope", Scope.ALL)
    return Job(
        "phone",
        "staff",
        "phone",
        users=ObjectRules("user", (), filter=filtered),
        groups=ObjectRules("group", (), filter=filtered),
        active=active,
        **rules,
    )


def user(**attributes: Any) -> Entry:
    return Entry("user", SourceId("u1"), {"accountEnabled": True, "department": "Sales", **attributes})


def stand(of: Job, entry: Entry, groups: KnownGroups = GROUPS, memberships: Memberships = IN_NONE) -> Standing:
    return judge(entry, ScopeRules.compile(of, entry.kind), groups, memberships)


def test_an_entitled_active_person_whom_the_filter_lets_through_is_in() -> None:
    assert stand(job(SALES), user()) == InScope("scope all")


def test_the_filter_comes_after_the_assignment() -> None:
    assigned = job(SALES, scope=Scope.ASSIGNED, assigned=(AssignedUser("u1", "admin"),))
    assert stand(assigned, user()) == InScope("assigned directly", (AppRole("admin", "admin"),))
    assert stand(assigned, user(department="IT")) == Leaving(
        Cause.OUT_OF_SCOPE, "filter: department EQUALS Sales: was IT", filtered=True
    )


ROLES: dict[str, Any] = {"scope": Scope.ROLES, "roles": (Role("seller", SALES, "seller"),)}


@pytest.mark.parametrize(
    ("of", "entry", "cause", "why"),
    [
        (job(SALES), Entry("user", SourceId("u1"), {}, gone=True), Cause.GONE, "deleted in the source"),
        (
            job(SALES),
            Entry("user", SourceId("u1"), {"accountEnabled": False}, gone=True, purged=True),
            Cause.GONE,
            "deleted for good in the source",
        ),
        (job(SALES), user(accountEnabled=False), Cause.INACTIVE, "accountEnabled was False"),
        (job(SALES, **ROLES), user(department="IT"), Cause.ROLE_LOST, "department EQUALS Sales: was IT"),
        (job(SALES), user(department="IT"), Cause.OUT_OF_SCOPE, "filter: department EQUALS Sales: was IT"),
        (job(scope=Scope.ASSIGNED), user(), Cause.OUT_OF_SCOPE, "not assigned"),
    ],
)
def test_the_strongest_cause_is_told(of: Job, entry: Entry, cause: Cause, why: str) -> None:
    standing = stand(of, entry)
    assert isinstance(standing, Leaving)
    assert standing.cause is cause
    assert why in standing.why
    assert is_soft_deleted(standing) is True


def test_an_inactive_person_is_told_apart_by_whether_anything_else_stands_in_the_way() -> None:
    within = stand(job(SALES), user(accountEnabled=False))
    assert isinstance(within, Leaving)
    assert within.entitled
    without = stand(job(SALES, **ROLES), user(accountEnabled=False, department="IT"))
    assert isinstance(without, Leaving)
    assert not without.entitled
    assert without.also is not None
    assert without.also.cause is Cause.ROLE_LOST
    assert not without.also.entitled


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        (FLAG, True, True),
        (FLAG, "True", True),
        (FLAG, "yes", True),
        (FLAG, "1", True),
        (FLAG, 1, True),
        (FLAG, False, False),
        (FLAG, "FALSE", False),
        (FLAG, "no", False),
        (FLAG, 0, False),
        (FLAG, None, None),
        (FLAG, "", None),
        (FLAG, "maybe", None),
        (FLAG, {"value": True}, None),
        (ActiveRule("accountEnabled", ("Active", "On leave")), "Active", True),
        (ActiveRule("accountEnabled", ("Active", "On leave")), "on leave ", True),
        (ActiveRule("accountEnabled", ("Active", "On leave")), "Terminated", False),
        (ActiveRule("accountEnabled", ("Active", "On leave")), None, None),
        (ActiveRule("accountEnabled", ("Active", "")), None, True),
        (ActiveRule("accountEnabled", ("0",)), 0, True),
    ],
)
def test_who_is_active(rule: ActiveRule, value: Any, expected: bool | None) -> None:
    standing = stand(job(active=rule), user(accountEnabled=value))
    assert is_soft_deleted(standing) is (None if expected is None else not expected)
    if expected is None:
        assert isinstance(standing, StandingUnknown)
        assert standing.why.startswith("accountEnabled ")


def test_who_is_known_to_be_out_leaves_although_it_is_unknown_whether_he_is_active() -> None:
    standing = stand(job(SALES), user(accountEnabled=None, department="IT"))
    assert isinstance(standing, Leaving)
    assert standing.cause is Cause.OUT_OF_SCOPE


def test_an_unknown_membership_leaves_the_account_as_it_is() -> None:
    assigned = job(scope=Scope.ASSIGNED, assigned=(AssignedGroup("Support"),))
    assert isinstance(stand(assigned, user(), UNREAD), StandingUnknown)
    assert stand(job(SUPPORT), user(), UNREAD) == StandingUnknown(
        "filter: member of Support: the membership is not known"
    )


def test_what_the_record_itself_says_is_done_although_the_membership_is_unknown() -> None:
    assigned = job(SALES, scope=Scope.ASSIGNED, assigned=(AssignedGroup("Support"),))
    inactive = stand(assigned, user(accountEnabled=False), UNREAD)
    unsettled = "not known whether a member of Support"
    assert inactive == Leaving(Cause.INACTIVE, "accountEnabled was False", unsettled=unsettled)
    assert not inactive.entitled, "nothing but the disable is done"
    filtered = stand(assigned, user(department="IT"), UNREAD)
    assert isinstance(filtered, Leaving)
    assert filtered.cause is Cause.OUT_OF_SCOPE


def test_a_member_passes_a_filter_that_asks_for_the_group() -> None:
    assert stand(job(SUPPORT), user(), memberships=Memberships(direct=frozenset({SourceId("g2")}))) == InScope(
        "scope all"
    )
    assert isinstance(stand(job(SUPPORT), user()), Leaving)


def test_a_group_is_never_inactive_and_is_judged_by_its_own_filter() -> None:
    by_name = job(Clause("displayName", Operator.REGEX_MATCH, "^APP-"))
    assert stand(by_name, Entry("group", SourceId("g1"), {"displayName": "APP-Phone"})) == InScope("scope all")
    out = stand(by_name, Entry("group", SourceId("g1"), {"displayName": "All", "accountEnabled": False}))
    assert out == Leaving(Cause.OUT_OF_SCOPE, "filter: displayName REGEX MATCH ^APP-: was All", filtered=True)


def test_the_rules_say_what_a_source_must_have_and_which_groups_to_look_up() -> None:
    of = job(
        SALES,
        scope=Scope.ASSIGNED,
        assigned=(AssignedUser("ann"), AssignedGroup("APP-Phone")),
        roles=(Role("helper", MemberOf("Support", nested=True), "helper"),),
        active=ActiveRule("mail"),
    )
    rules = ScopeRules.compile(of, "user")
    assert rules.reads == {"department", "mail"}
    assert rules.reads_if_present == {"userPrincipalName", "userName"}
    assert (rules.direct_groups, rules.nested_groups) == (("APP-Phone",), ("Support",))
    assert rules.group_names == ("APP-Phone", "Support")
    assert ScopeRules.compile(of, "group").reads == {"department"}
    assert ScopeRules.compile(of, "group").reads_if_present == {"displayName"}


# --- by hand -----------------------------------------------------------------------------------------------------


def test_who_was_taken_out_by_hand_is_off_whatever_the_source_says() -> None:
    out = Leaving(Cause.INACTIVE, "taken out by hand by olga", forced=True)
    for standing in (InScope("scope all"), StandingUnknown("not read"), Leaving(Cause.OUT_OF_SCOPE, "not assigned")):
        assert taken_out(standing, "olga") == out
    assert not out.entitled
    gone = Leaving(Cause.GONE, "deleted in the source", purged=True)
    assert taken_out(gone, "olga") == Leaving(Cause.GONE, "deleted in the source", purged=True, forced=True)


def test_groups_that_mappings_ask_about_are_looked_up_too_each_once() -> None:
    rules = ScopeRules.compile(job(AllOf((SUPPORT, MemberOf("Deep", nested=True)))), "user")
    more = rules.asking_too([MemberOf("Zed"), MemberOf("Abc"), SUPPORT, MemberOf("Low", nested=True)])
    assert (more.direct_groups, more.nested_groups) == (("Support", "Abc", "Zed"), ("Deep", "Low"))
    assert more.group_names == ("Support", "Abc", "Zed", "Deep", "Low")
    assert (rules.direct_groups, rules.nested_groups) == (("Support",), ("Deep",))
