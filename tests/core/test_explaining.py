"""Each rule of the scope, with its own answer, for a person who looks on."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.explaining import Check, checks, verdict
from reconciler.core.model import (
    ActiveRule,
    AllOf,
    AnyOf,
    AssignedGroup,
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
from reconciler.core.scoping import InScope, Leaving, ScopeRules, Standing, StandingUnknown

SALES = Clause("department", Operator.EQUALS, "Sales")
GERMAN = Clause("country", Operator.EQUALS, "DE")
CREW = KnownGroups({"Crew": (SourceId("g1"),)}, complete=True)
UNREAD = KnownGroups({}, complete=False)
IN_CREW = Memberships(frozenset({SourceId("g1")}))


def checked(
    filtered: Condition | None = None,
    attributes: dict[str, Any] | None = None,
    *,
    groups: KnownGroups = CREW,
    of: Memberships = IN_CREW,
    gone: bool = False,
    purged: bool = False,
    active: ActiveRule | None = None,
    **rules: Any,
) -> list[tuple[str, bool | None, str]]:
    users = ObjectRules("user", (), filter=filtered)
    job = Job("app", "staff", "phone", users, None, active=active, **{"scope": Scope.ALL, **rules})
    entry = Entry("user", SourceId("ann"), attributes or {}, gone, purged)
    return [(one.name, one.truth, one.why) for one in checks(entry, job, ScopeRules.compile(job, "user"), groups, of)]


@pytest.mark.parametrize(("gone", "purged"), [(True, False), (False, True), (True, True)])
def test_of_somebody_deleted_the_source_alone_decides(gone: bool, purged: bool) -> None:
    said = [("In the source", False, "the source says that it was deleted")]
    assert checked(SALES, {"department": "Sales"}, gone=gone, purged=purged) == said


def test_who_is_active_is_said_by_the_source() -> None:
    flag = ActiveRule("enabled")
    assert checked(None, {"enabled": True}, active=flag) == [
        ("Active in the source", True, "enabled says so"),
        ("Scope all", True, "scope all"),
    ]
    assert checked(None, {"enabled": False}, active=flag)[0] == ("Active in the source", False, "enabled was False")
    assert checked(None, {}, active=flag)[0][:2] == ("Active in the source", None)


def test_who_is_assigned_through_what() -> None:
    assigned: dict[str, Any] = {"scope": Scope.ASSIGNED, "assigned": (AssignedGroup("Crew", "Admin"),)}
    name = "Assigned to the application"
    ((said, truth, why),) = checked(**assigned)
    assert (said, truth) == (name, True)
    assert why.endswith(", as Admin")
    assert "Crew" in why
    ((said, truth, why),) = checked(of=Memberships(), **assigned)
    assert (said, truth) == (name, False)
    assert why
    ((said, truth, why),) = checked(groups=UNREAD, of=Memberships(), **assigned)
    assert (said, truth) == (name, None)
    assert why


def test_who_has_which_roles() -> None:
    roles = (Role("agent", SALES, "Agent"), Role("boss", GERMAN, "Boss"))
    some = {"department": "Sales", "country": "DE"}
    ((name, truth, why),) = checked(None, some, scope=Scope.ROLES, roles=roles, role_choice="all")
    assert (name, truth) == ("Has a role of the job", True)
    assert why.endswith(", as agent, boss")
    assert checked(None, {"department": "x"}, scope=Scope.ROLES, roles=roles)[0][1] is not True


def test_each_clause_of_the_filter_answers_for_itself() -> None:
    found = checked(AllOf((SALES, GERMAN, MemberOf("Crew"))), {"department": "Sales", "country": "FR"})
    assert [(name, truth) for name, truth, _ in found] == [
        ("Scope all", True),
        ("Scoping filter", True),
        ("Scoping filter", False),
        ("Scoping filter", True),
    ]
    assert [why for _, _, why in found][1:3] == ["department EQUALS Sales", "country EQUALS DE: was FR"]


def test_clauses_of_which_one_is_enough_answer_together() -> None:
    found = checked(AnyOf((SALES, GERMAN)), {"department": "Sales", "country": "FR"})
    assert [(name, truth) for name, truth, _ in found][1:] == [("Scoping filter", True)]


def test_a_membership_that_is_not_known_is_neither() -> None:
    assert checked(MemberOf("Crew"), groups=UNREAD, of=Memberships())[1][:2] == ("Scoping filter", None)


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (InScope("scope all"), "in scope through scope all"),
        (Leaving(Cause.ROLE_LOST, "no role"), "not in scope (role lost): no role"),
        (StandingUnknown("not read"), "not known: not read"),
    ],
)
def test_what_the_rules_come_to_is_one_sentence(standing: Standing, said: str) -> None:
    assert verdict(standing) == said


def test_a_check_is_plain_json() -> None:
    assert Check("Scope all", None, "not read").as_json() == {"name": "Scope all", "result": None, "why": "not read"}
