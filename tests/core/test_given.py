"""Who is entitled by what the source itself says of assignments to an app."""

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
    nobody_assigned,
)
from reconciler.core.given import Given, GivenAssignment, Reaching
from reconciler.core.model import AppRole, AssignedUser, Cause, Entry, Job, Scope, SourceId

ANN, CREW = SourceId("ann"), SourceId("crew")
AGENT, CHIEF = AppRole("agent", "Agent"), AppRole("chief", "Chief")
IN_CREW = frozenset({CREW})
BY_CREW = GivenAssignment("group", CREW, "Crew")


def job(**rules: Any) -> Job:
    return Job("phone", "entra", "phone", users=None, groups=None, service_principal="app", **rules)


def entitle(
    of: Job,
    *given: GivenAssignment,
    groups: frozenset[SourceId] = frozenset(),
    complete: bool = True,
    memberships_complete: bool = True,
) -> Entitlement:
    said = Given.of(given, complete=complete)
    known = KnownGroups({}, complete=memberships_complete, given=said)
    member_of = Memberships(direct=groups, given=said.reaching(ANN, groups))
    return Assignments.compile(of).entitle({"userPrincipalName": "ann@example.com"}, ANN, known, member_of)


def test_an_assignment_entitles_directly_and_through_a_group_with_all_of_its_roles() -> None:
    direct = GivenAssignment("user", ANN, "Ann", AGENT)
    assert entitle(job(), direct) == Entitled("assigned directly", (AGENT,))
    assert entitle(job(), BY_CREW, groups=IN_CREW) == Entitled("group Crew")
    both = entitle(job(), BY_CREW._replace(role=CHIEF), direct, groups=IN_CREW)
    assert both == Entitled("assigned directly", (AGENT, CHIEF))


def test_the_job_may_say_what_the_app_calls_a_role() -> None:
    given = [GivenAssignment("user", ANN, "Ann", AGENT), GivenAssignment("user", ANN, "Ann", CHIEF)]
    found = entitle(job(role_values={"Agent": "license.agent", "chief": "7"}), *given)
    assert found == Entitled("assigned directly", (AppRole("license.agent", "Agent"), AppRole("7", "Chief")))


def test_assignments_of_the_job_count_beside_them() -> None:
    listed = job(assigned=(AssignedUser("ann@example.com", "chief"),))
    found = entitle(listed, GivenAssignment("user", ANN, "Ann", AGENT))
    assert found == Entitled("assigned directly", (AppRole("chief", "chief"), AGENT))


def test_who_is_not_assigned_is_out_where_all_is_known() -> None:
    assert entitle(job(), BY_CREW) == NotEntitled(Cause.OUT_OF_SCOPE, "not assigned")


@pytest.mark.parametrize(("complete", "memberships"), [(False, True), (True, False)])
def test_what_was_not_read_to_the_end_turns_nobody_out_and_takes_no_role_away(
    complete: bool, memberships: bool
) -> None:
    unknown = entitle(job(), BY_CREW, complete=complete, memberships_complete=memberships)
    assert isinstance(unknown, EntitlementUnknown)
    ann = GivenAssignment("user", ANN, "Ann", AGENT)
    found = entitle(job(), BY_CREW, ann, complete=complete, memberships_complete=memberships)
    assert isinstance(found, Entitled) and found.roles == (AGENT,) and found.roles_unknown


def test_a_role_that_the_app_does_not_name_is_not_known() -> None:
    found = entitle(job(), GivenAssignment("user", ANN, "Ann", None, "the app has no role 7"))
    assert found == Entitled("assigned directly", (), "the app has no role 7")


def test_default_access_entitles_nobody_where_the_profile_excludes_it() -> None:
    excluding = job(excluded_roles=("default access",))
    out = entitle(excluding, BY_CREW, groups=IN_CREW)
    assert isinstance(out, NotEntitled) and "assigned through Crew with the role Default Access" in out.why
    assert isinstance(entitle(excluding, BY_CREW._replace(role=AGENT), groups=IN_CREW), Entitled)
    assert isinstance(entitle(excluding, BY_CREW._replace(role_unknown="?"), groups=IN_CREW), Entitled)


def test_nobody_at_all_assigned_is_a_list_that_was_not_filled_yet() -> None:
    waits = job(empty_assignment="keep")
    assert isinstance(entitle(waits), EntitlementUnknown)
    assert isinstance(entitle(job()), NotEntitled)
    assert isinstance(entitle(waits, BY_CREW), NotEntitled)
    assert nobody_assigned(waits) and not nobody_assigned(waits, Given.of([BY_CREW], complete=True))


def test_nested_groups_count_where_the_job_says_so() -> None:
    said = Given.of([BY_CREW], complete=True)
    rules = Assignments.compile(job(nested=True))
    nested = Memberships(nested=IN_CREW, given=said.reaching(ANN, IN_CREW))
    assert rules.entitle({}, ANN, KnownGroups({}, complete=True, given=said), nested) == Entitled("group Crew")
    assert rules.given.nested and rules.given.app == "app"


def test_a_group_takes_part_that_is_assigned_itself() -> None:
    rules = Assignments.compile(job())
    crew, other = Entry("group", CREW, {}), Entry("group", SourceId("other"), {})
    known = KnownGroups({}, complete=True, given=Given.of([BY_CREW], complete=True))
    assert rules.entitle_group(crew, known) == Entitled("assigned directly")
    assert isinstance(rules.entitle_group(other, known), NotEntitled)
    part = KnownGroups({}, complete=True, given=Given.of([BY_CREW], complete=False))
    assert isinstance(rules.entitle_group(other, part), EntitlementUnknown)


def test_other_scopes_do_not_ask_the_source() -> None:
    assert Assignments.compile(job(scope=Scope.ALL)).given.app is None


def test_what_decides_is_the_role_and_whether_it_is_known_and_not_the_name_of_the_group() -> None:
    by_crew = Reaching("group Crew", "through Crew", AGENT)
    assert by_crew.decides == ("agent", "Agent") == by_crew._replace(through="group Team", how="through Team").decides
    assert by_crew._replace(role=None).decides == ("", "")
    assert by_crew._replace(role=None, role_unknown="not shown").decides == ("", "not shown")


def test_more_roles_may_come_through_groups_that_were_not_read() -> None:
    direct = GivenAssignment("user", ANN, "Ann", AGENT)
    in_part = entitle(job(), direct, BY_CREW, memberships_complete=False)
    assert in_part == Entitled("assigned directly", (AGENT,), "not known whether a member of every assigned group")
    in_all = entitle(job(), direct, BY_CREW, memberships_complete=False, groups=IN_CREW)
    assert in_all == Entitled("assigned directly", (AGENT,))
    unread = entitle(job(), direct, complete=False)
    why = "the source's assignments to the app were not read to the end"
    assert unread == Entitled("assigned directly", (AGENT,), why)
