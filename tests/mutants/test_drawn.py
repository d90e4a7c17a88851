"""What is drawn is the same for one seed, and what became of it is counted as docs/correctness.md says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.drawn import Drawn, Mutant, Score, equivalents, sample, scores, total

NAMES = [f"reconciler.core.limits.x_pace__mutmut_{number}" for number in range(50)]


def test_one_seed_draws_the_same_wherever_the_names_come_from() -> None:
    drawn = sample(NAMES, 7, 1)
    assert len(set(drawn)) == 7
    assert sample(reversed(NAMES), 7, 1) == drawn
    assert sample(NAMES, 7, 2) != drawn
    assert sorted(sample(NAMES, 100, 3)) == sorted(NAMES)


def test_the_share_is_of_those_that_could_be_killed() -> None:
    fates = dict.fromkeys(NAMES[:4], "killed") | {
        NAMES[4]: "timeout",
        NAMES[5]: "survived",
        NAMES[6]: "survived",
        NAMES[7]: "no tests",
        "reconciler.language.dates.x_day__mutmut_1": "killed",
    }
    by_module = scores(fates, [NAMES[6]])
    assert by_module == {"core.limits": Score(5, 1, 1, 1), "language.dates": Score(1, 0, 0, 0)}
    assert by_module["core.limits"].share == pytest.approx(5 / 7)
    assert total(by_module) == Score(6, 1, 1, 1)
    assert Score(0, 1, 0, 0).share == 1.0


MUTATED = """
def pace(seconds):
    pass

def x_pace__mutmut_orig(seconds):
    rate = 1 / seconds
    return rate

def x_pace__mutmut_1(seconds):
    rate = 1 / seconds
    return None

class Pace:
    def xǁPaceǁ_wait__mutmut_orig(self, now):
        return self.at - now

    def xǁPaceǁ_wait__mutmut_2(self, now):
        return self.at + now
"""


def test_a_mutant_is_shown_by_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "mutants/reconciler/core/limits.py"
    path.parent.mkdir(parents=True)
    path.write_text(MUTATED)
    drawn = Drawn(tmp_path)
    assert drawn.shown("reconciler.core.limits.x_pace__mutmut_1") == Mutant(
        "core.limits.pace", "return rate", "return None"
    )
    assert drawn.shown("reconciler.core.limits.xǁPaceǁ_wait__mutmut_2") == Mutant(
        "core.limits.Pace._wait", "return self.at - now", "return self.at + now"
    )


def test_what_counts_as_the_same_is_listed_once_and_with_its_reason() -> None:
    listed = equivalents()
    assert all(one.why for one in listed)
    assert len({one.mutant for one in listed}) == len(listed)
