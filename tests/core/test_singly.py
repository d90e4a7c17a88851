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
