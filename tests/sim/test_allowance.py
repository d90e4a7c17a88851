"""What a person approved may go beyond the limit: that, once, and nothing else."""

from __future__ import annotations

from tests.sim.allowance import DAY, Allowance, Key
from tests.sim.life import chance
from tests.sim.rules import JobRules, Rules, chosen


def one(id_: str, word: str = "disable") -> list[Key]:
    return [("user", id_, word)]


class Scene:
    """One job that may take five away within a day, and has."""

    def __init__(self) -> None:
        self.rules: Rules = chosen(chance("1/world"), chance("1/kind"))
        self.rules.jobs = [JobRules(name="app", interval_minutes=60)]
        self.rules.deletion_threshold = 500
        self.allowance = Allowance()
        assert [self.takes(one(f"p{n}")) for n in range(5)] == [""] * 5

    def takes(self, keys: list[Key], now: float = 0.0) -> str:
        return self.allowance.takes_away(keys, self.rules, now)


def test_the_sixth_within_a_day_is_one_too_many() -> None:
    assert Scene().takes(one("p6")).startswith("6 within a day, allowed 5")
    assert Scene().takes(one("p6"), DAY + 1.0) == ""


def test_what_was_approved_is_done_once() -> None:
    scene = Scene()
    scene.allowance.approve("app", one("p6"), 10.0)
    assert scene.takes(one("p7"))
    assert scene.takes(one("p6", "delete"))
    assert scene.takes(one("p6")) == ""
    assert scene.takes(one("p6"))


def test_a_cycle_in_which_nothing_was_in_the_way_ends_what_was_approved_before_it() -> None:
    scene = Scene()
    scene.allowance.approve("app", [*one("p6"), *one("p7")], 10.0)
    scene.allowance.cycle_ends("app", 9.0)
    assert scene.takes(one("p6")) == ""
    scene.allowance.cycle_ends("app", 11.0)
    assert scene.takes(one("p7"))
