"""Groups whose members are assigned one by one."""

from __future__ import annotations

import pytest

from reconciler.core.model import AssignedGroup, AssignedUser, AssignmentRule, Job, ObjectRules, Scope, SourceId
from reconciler.core.singly import AssignedSingly

ANN, BOB, CLEO = SourceId("ann"), SourceId("bob"), SourceId("cleo")
GROUPS = ObjectRules("group", ())


def looked_at(*assigned: AssignmentRule, groups: ObjectRules | None = GROUPS) -> AssignedSingly:
    singly = AssignedSingly(Job("j", "s", "t", None, groups, scope=Scope.ASSIGNED, assigned=assigned))
    singly.group(SourceId("g1"), "Crew", [ANN, BOB])
    for one in (ANN, BOB, CLEO):
        singly.user(one, {"mail": f"{one.upper()}@example.com"})
    return singly


@pytest.mark.parametrize(
    ("assigned", "told"),
    [
        ((AssignedUser("ann"), AssignedUser("bob@example.com")), 1),
        ((AssignedUser("ann"), AssignedUser("cleo")), 0),
        ((AssignedUser("ann"),), 0),
        ((AssignedUser("ann"), AssignedUser("bob"), AssignedGroup("crew")), 0),
    ],
)
def test_a_group_is_named_when_every_member_is_assigned_and_it_is_not(
    assigned: tuple[AssignmentRule, ...], told: int
) -> None:
    assert len(looked_at(*assigned).problems) == told


def test_without_groups_in_the_app_nothing_is_asked() -> None:
    assert not looked_at(AssignedUser("ann"), AssignedUser("bob"), groups=None).asks


def test_the_sentence_names_the_group_and_says_what_to_do() -> None:
    named = looked_at(AssignedUser("ann"), AssignedUser("bob"))
    advice = (
        "are assigned one by one: assign the entire group, so that the group itself and whoever joins it come along"
    )
    assert named.problems == [f"all 2 members of the group Crew {advice}"]
    nameless = looked_at(AssignedUser("ann"), AssignedUser("bob"), AssignedUser("cleo"))
    nameless.group(SourceId("g2"), "", [ANN, BOB, CLEO])
    nameless.group(SourceId("g3"), "Large", [ANN, BOB, CLEO, SourceId("dan")])
    nameless.group(SourceId("g4"), "Small", [ANN])
    assert nameless.problems == [f"all 2 members of the group Crew {advice}", f"all 3 members of the group g2 {advice}"]


def test_only_a_job_with_several_assigned_one_by_one_asks() -> None:
    several = (AssignedUser("ann"), AssignedUser("bob"))
    assert looked_at(*several).asks
    assert not looked_at(AssignedUser("ann"), AssignedGroup("Crew")).asks
    assert not AssignedSingly(Job("j", "s", "t", None, GROUPS, scope=Scope.ALL, assigned=several)).asks
