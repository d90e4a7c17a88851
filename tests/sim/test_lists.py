"""Who may count as a member after readings that were not whole is known, and nobody else is excused."""

from __future__ import annotations

import math

import pytest

from tests.sim.lists import Lists
from tests.sim.town import Row


def groups(staff: list[str], crew: list[str], team: list[str]) -> list[Row]:
    lists = {"g1": staff, "g2": crew, "g3": team}
    names = {"g1": "Staff", "g2": "Crew", "g3": "Team"}
    return [{"id": id_, "displayName": names[id_], "members": members} for id_, members in lists.items()]


@pytest.mark.parametrize(
    ("then", "now", "nested", "until"),
    [
        pytest.param(groups([], [], []), groups(["ann"], [], []), False, math.inf, id="in it"),
        pytest.param(groups(["ann"], [], []), groups([], [], []), False, 5.0, id="left it"),
        pytest.param(groups([], ["ann"], []), groups([], ["ann"], []), True, -math.inf, id="in another one"),
        pytest.param(groups([], ["ann"], []), groups(["g2"], [], []), True, 5.0, id="left what was put into it then"),
        pytest.param(groups([], ["ann"], []), groups(["g2"], [], []), False, -math.inf, id="groups in it do not count"),
        pytest.param(groups(["g2"], [], []), groups([], ["ann"], []), True, 5.0, id="came to what was put out of it"),
        pytest.param(groups(["g2"], ["g3"], []), groups(["g2"], [], ["ann"]), True, 5.0, id="two groups deep"),
        pytest.param(groups(["g2"], ["g1"], ["ann"]), groups(["g2"], ["g1"], []), True, -math.inf, id="in a circle"),
        pytest.param(
            groups(["g2"], ["ann"], []), groups(["g2", "ann"], [], []), True, math.inf, id="in it another way"
        ),
    ],
)
def test_a_member_by_lists_of_different_age(then: list[Row], now: list[Row], nested: bool, until: float) -> None:
    lists = Lists()
    lists.mark(then, 0.0)
    lists.mark(now, 5.0)
    assert lists.had("ann", ["Staff"], nested=nested) == until


def test_who_was_in_a_group_counts_with_it_when_the_rules_name_it_later() -> None:
    lists = Lists()
    lists.mark(groups([], ["ann"], []), 0.0)
    lists.mark(groups([], [], []), 5.0)
    lists.mark(groups([], [], []), 9.0)
    assert lists.had("ann", ["Staff", "Crew"], nested=False) == 5.0
