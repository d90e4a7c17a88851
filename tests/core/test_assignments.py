"""Who is entitled to an app, and through what."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.assignments import (
    Assignments,
    Entitled,
    Entitlement,
    EntitlementUnknown,
    KnownGroups,
    Memberships,
    NotEntitled,
)
from reconciler.core.model import (
    AppRole,
    AssignedGroup,
    AssignedUser,
    Attributes,
    Cause,
    Clause,
    Entry,
    Job,
    MemberOf,
    Operator,
    Role,
    Scope,
    SourceId,
)

ANN: Attributes = {"userPrincipalName": "Ann@Example.com", "department": "Sales"}
GROUPS = KnownGroups({"APP-Phone": (SourceId("g1"),), "Support": (SourceId("g2"),)}, complete=True)
READ_IN_PART = KnownGroups(GROUPS.named, complete=False)
IN_NONE = Memberships()
IN_PHONE = Memberships(direct=frozenset({SourceId("g1")}))


def job(scope: Scope = Scope.ASSIGNED, **rules: Any) -> Job:
    return Job("phone", "staff", "phone", users=None, groups=None, scope=scope, **rules)


def entitle(
    of: Job, attributes: Attributes = ANN, groups: KnownGroups = GROUPS, memberships: Memberships = IN_NONE
) -> Entitlement:
    return Assignments.compile(of).entitle(attributes, SourceId("u1"), groups, memberships)


def test_scope_all_takes_everybody() -> None:
    assert entitle(job(Scope.ALL)) == Entitled("scope all")


def test_without_any_assignment_nobody_takes_part() -> None:
    assert entitle(job()) == NotEntitled(Cause.OUT_OF_SCOPE, "not assigned")


@pytest.mark.parametrize(
    ("user", "attributes"),
    [
        ("u1", {}),
        ("ann@example.com", {"userPrincipalName": "ANN@example.com"}),
        ("ANN@EXAMPLE.COM", {"userName": "ann@example.com"}),
        ("ann@example.com", {"mail": "ann@example.com", "userName": "ann"}),
    ],
)
def test_a_user_is_assigned_by_source_id_or_login_name(user: str, attributes: Attributes) -> None:
    assert entitle(job(assigned=(AssignedUser(user),)), attributes) == Entitled("assigned directly")


def test_a_source_id_is_compared_letter_by_letter() -> None:
    assert isinstance(entitle(job(assigned=(AssignedUser("U1"),)), {}), NotEntitled)


def test_other_attributes_do_not_make_somebody_assigned() -> None:
    assigned = job(assigned=(AssignedUser("ann@example.com"),))
    assert isinstance(entitle(assigned, {"otherMail": "ann@example.com"}), NotEntitled)


def test_a_member_of_an_assigned_group_takes_part_through_it() -> None:
    assigned = job(assigned=(AssignedGroup("Support"), AssignedGroup("APP-Phone")))
    assert entitle(assigned, memberships=IN_PHONE) == Entitled("group APP-Phone")
    assert entitle(assigned) == NotEntitled(
        Cause.OUT_OF_SCOPE, "not assigned: neither directly nor through Support, APP-Phone"
    )


def test_groups_in_groups_count_only_where_the_job_says_so() -> None:
    within = Memberships(nested=frozenset({SourceId("g1")}))
    rules = (AssignedGroup("APP-Phone"),)
    assert isinstance(entitle(job(assigned=rules), memberships=within), NotEntitled)
    assert entitle(job(assigned=rules, nested=True), memberships=within) == Entitled("group APP-Phone")
    assert Assignments.compile(job(assigned=rules, nested=True)).groups == (MemberOf("APP-Phone", nested=True),)


def test_a_group_that_the_source_lacks_is_unknown_and_turns_nobody_out() -> None:
    assigned = job(assigned=(AssignedGroup("Renamed"), AssignedGroup("APP-Phone")))
    assert entitle(assigned) == EntitlementUnknown("not known whether a member of Renamed")
    assert entitle(assigned, memberships=IN_PHONE) == Entitled("group APP-Phone")


def test_after_an_incomplete_reading_a_missing_membership_is_unknown_and_a_seen_one_counts() -> None:
    assigned = job(assigned=(AssignedGroup("APP-Phone"),))
    assert entitle(assigned, groups=READ_IN_PART) == EntitlementUnknown("not known whether a member of APP-Phone")
    assert entitle(assigned, groups=READ_IN_PART, memberships=IN_PHONE) == Entitled("group APP-Phone")


def test_the_role_of_an_assignment_becomes_the_app_role() -> None:
    agent = Role("agent", Clause("department", Operator.EQUALS, "Nowhere"), "AGENT")
    assigned = job(
        assigned=(
            AssignedUser("u1", "admin"),
            AssignedUser("ann@example.com", "admin"),
            AssignedGroup("APP-Phone", "agent"),
        ),
        roles=(agent,),
    )
    assert entitle(assigned, memberships=IN_PHONE) == Entitled(
        "assigned directly", (AppRole("admin", "admin"), AppRole("AGENT", "agent"))
    )


def test_a_role_that_hangs_on_an_unknown_membership_is_said_to_be_missing() -> None:
    assigned = job(assigned=(AssignedUser("u1"), AssignedGroup("APP-Phone", "agent")))
    assert entitle(assigned, groups=READ_IN_PART) == Entitled(
        "assigned directly", roles_unknown="not known whether a member of APP-Phone"
    )
    without = job(assigned=(AssignedUser("u1"), AssignedGroup("APP-Phone")))
    assert entitle(without, groups=READ_IN_PART) == Entitled("assigned directly")


SELLER = Role("seller", Clause("department", Operator.EQUALS, "Sales"), "seller")
HELPER = Role("helper", MemberOf("Support"), "help-desk")
IN_SUPPORT = Memberships(direct=frozenset({SourceId("g2")}))


def test_in_scope_roles_who_gets_a_role_takes_part() -> None:
    assert entitle(job(Scope.ROLES, roles=(HELPER, SELLER))) == Entitled("role seller", (AppRole("seller", "seller"),))


def test_the_first_role_wins_unless_all_are_wanted() -> None:
    first = job(Scope.ROLES, roles=(HELPER, SELLER))
    helper, seller = AppRole("help-desk", "helper"), AppRole("seller", "seller")
    assert entitle(first, memberships=IN_SUPPORT) == Entitled("role helper", (helper,))
    every = job(Scope.ROLES, roles=(HELPER, SELLER), role_choice="all")
    assert entitle(every, memberships=IN_SUPPORT) == Entitled("role helper", (helper, seller))


def test_who_has_no_role_has_lost_it_and_is_told_why() -> None:
    assert entitle(job(Scope.ROLES, roles=(HELPER, SELLER)), {"department": "IT"}) == NotEntitled(
        Cause.ROLE_LOST,
        "has no role: role helper: member of Support: is not; role seller: department EQUALS Sales: was IT",
    )


def test_a_role_condition_that_is_unknown_turns_nobody_out() -> None:
    roles = job(Scope.ROLES, roles=(HELPER, SELLER))
    why = "role helper: member of Support: the membership is not known"
    assert entitle(roles, {"department": "IT"}, READ_IN_PART) == EntitlementUnknown(why)
    assert entitle(roles, ANN, READ_IN_PART) == Entitled("role seller", (AppRole("seller", "seller"),), why)


def test_roles_are_attached_in_the_other_scopes_too() -> None:
    seller = (AppRole("seller", "seller"),)
    assert entitle(job(Scope.ALL, roles=(SELLER,))) == Entitled("scope all", seller)
    assert entitle(job(roles=(SELLER,), assigned=(AssignedUser("u1"),))) == Entitled("assigned directly", seller)


def test_the_rules_say_what_they_read() -> None:
    rules = Assignments.compile(job(roles=(HELPER, SELLER), assigned=(AssignedUser("x"), AssignedGroup("APP-Phone"))))
    assert rules.reads == {"department"}
    assert rules.reads_if_present == {"userPrincipalName", "userName", "mail"}
    assert rules.groups == (MemberOf("Support"), MemberOf("APP-Phone"))
    assert GROUPS.ids(("Support", "APP-Phone", "Support", "None")) == (SourceId("g2"), SourceId("g1"))
    assert GROUPS.missing(("Support", "None")) == ("None",)


def group(identifier: str, name: str) -> Entry:
    return Entry("group", SourceId(identifier), {"displayName": name})


@pytest.mark.parametrize("named", ["g1", "APP-Phone", "app-phone"])
def test_a_group_takes_part_when_it_is_assigned_itself(named: str) -> None:
    rules = Assignments.compile(job(assigned=(AssignedGroup(named),)))
    groups = KnownGroups({named: (SourceId("g1"),)}, complete=True)
    assert rules.entitle_group(group("g1", "APP-Phone"), groups) == Entitled("assigned directly")
    assert rules.entitle_group(group("g2", "Support"), groups) == NotEntitled(
        Cause.OUT_OF_SCOPE, "the group is not assigned"
    )


def test_a_group_that_may_be_an_assigned_one_under_a_new_name_stays() -> None:
    rules = Assignments.compile(job(assigned=(AssignedGroup("APP-Phone"),)))
    answer = rules.entitle_group(group("g1", "APP-Telephone"), KnownGroups({}, complete=True))
    assert isinstance(answer, EntitlementUnknown)
    assert "APP-Phone" in answer.why


def test_groups_of_other_scopes_are_left_to_their_filter() -> None:
    for scope in (Scope.ALL, Scope.ROLES):
        answer = Assignments.compile(job(scope, roles=(SELLER,))).entitle_group(group("g1", "x"), GROUPS)
        assert isinstance(answer, Entitled)


@pytest.mark.parametrize("value", [None, "", 5, ["Ann@Example.com"], {"value": "Ann@Example.com"}, True])
def test_only_a_text_is_a_name_by_which_somebody_is_assigned(value: object) -> None:
    of = job(assigned=(AssignedUser("ann@example.com"), AssignedUser("")))
    assert isinstance(entitle(of, {"userPrincipalName": value}), NotEntitled)
    assert entitle(of, {"userPrincipalName": value, "mail": "ANN@example.com"}) == Entitled("assigned directly")
