"""The check of the simulation that nobody is taken out of a group who should be in it sees, and sees no ghosts."""

from __future__ import annotations

import random  # noqa: TID251  # because these dice are thrown from a seed
from typing import Any

import pytest

from tests.sim.app import Changed
from tests.sim.circles import Circles
from tests.sim.rules import JobRules, Rules, chosen
from tests.sim.running import simulate
from tests.sim.town import Town

GROUP, ACCOUNT = "group-1", "account-1"


class Scene:
    """One person in one group, in the source and in the app since the first second."""

    def __init__(self) -> None:
        self.town = Town()
        self.ann = self.town.hire(0.0)
        self.crew = self.town.found(0.0, [self.ann])
        dice = random.Random(1)
        self.rules: Rules = chosen(dice, dice)
        self.rules.groups, self.rules.scope = True, "all"
        self.rules.jobs = [JobRules(name="app", interval_minutes=40)]
        self.circles = Circles(self.town)
        self.elsewhere: set[str] = set()
        self.account: dict[str, Any] = {"externalId": self.ann, "active": True}
        self.look(1.0)

    def look(self, now: float, *, shown: bool = True) -> None:
        """Look at the source, as after each change of it."""
        on = {self.ann} & self.town.people.keys()
        self.circles.mark(self.rules, on, now, shown=shown)

    def wronged(self, *, since: float, deleted: bool = False) -> list[str]:
        """Take the person out of the group in the app, or delete the group."""
        before = {"externalId": self.crew, "members": [{"value": ACCOUNT}]}
        changed = Changed(since, "Groups", GROUP, before, None if deleted else {**before, "members": []})
        there = {ACCOUNT: self.account, GROUP: before}
        return list(self.circles.wronged(changed, there, since, self.elsewhere.__contains__))


def test_who_was_to_be_in_since_the_cycle_began_is_taken_out_wrongly() -> None:
    assert Scene().wronged(since=2.0) == [
        "account-1 of p001 was taken out of the group group-1 of g002, and should have been in it all the time"
    ]


def test_who_was_out_at_any_time_since_the_cycle_began_is_not() -> None:
    scene = Scene()
    scene.town.groups[scene.crew]["members"].clear()
    scene.look(10.0)
    assert scene.wronged(since=9.0) == []
    scene.town.groups[scene.crew]["members"].append(scene.ann)
    scene.look(20.0)
    assert scene.wronged(since=19.0) == []
    assert len(scene.wronged(since=21.0)) == 1


def test_whose_account_is_off_or_with_another_job_is_not() -> None:
    scene = Scene()
    scene.elsewhere.add(ACCOUNT)
    assert scene.wronged(since=2.0) == []
    scene.elsewhere.clear()
    scene.account["active"] = False
    assert scene.wronged(since=2.0) == []


def test_a_group_that_should_be_there_is_not_deleted_unless_the_source_showed_none() -> None:
    scene = Scene()
    assert scene.wronged(since=2.0, deleted=True) == [
        "the group group-1 of g002 was deleted, and should have been there all the time"
    ]
    scene.look(3.0, shown=False)
    assert scene.wronged(since=2.0, deleted=True) == []
    assert scene.wronged(since=2.0) == []


@pytest.mark.parametrize("seed", [52])
def test_who_is_in_a_group_that_is_written_whole_stays_in_it(seed: int) -> None:
    assert simulate(seed).cycles > 0
