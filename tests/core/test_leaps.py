"""When a clock is doubted, and how long nothing is deleted then."""

from __future__ import annotations

import pytest

from reconciler.core.leaps import Leap, is_behind, leaps, told

NOW = 1_773_014_400.0  # 2026-03-09T00:00:00Z
DAY = 86400.0
FAR, NEAR = Leap(NOW, NOW + 91 * DAY), Leap(NOW, NOW + 90 * DAY)


@pytest.mark.parametrize(
    ("seconds", "behind", "ahead"),
    [
        (0.0, False, False),
        (DAY, False, False),
        (DAY + 1, False, True),
        (-DAY, False, False),
        (-DAY - 1, True, False),
    ],
)
def test_a_day_either_way_is_no_leap(seconds: float, behind: bool, ahead: bool) -> None:
    assert (is_behind(NOW + seconds, NOW), leaps(NOW + seconds, NOW)) == (behind, ahead)


@pytest.mark.parametrize(
    ("leap", "since", "stays"),
    [(FAR, 0.0, True), (FAR, DAY - 1, True), (FAR, DAY, False), (FAR, -1.0, False), (NEAR, 0.0, False)],
)
def test_after_a_leap_of_more_than_ninety_days_nothing_is_deleted_for_a_day(
    leap: Leap, since: float, stays: bool
) -> None:
    assert leap.stays_deletes(leap.after + since) is stays


@pytest.mark.parametrize(
    ("now", "wrong"),
    [
        (NOW, True),
        (NOW - DAY, True),
        (NOW - DAY - 1, False),
        (FAR.after - 1, True),
        (FAR.after, False),
    ],
)
def test_a_clock_that_is_back_where_it_was_had_been_wrong(now: float, wrong: bool) -> None:
    assert FAR.was_wrong(now) is wrong


def test_people_are_told_from_when_to_when_and_what_to_do() -> None:
    assert told(NOW + 0.9) == "2026-03-09T00:00:00+00:00"
    assert FAR.why_deletes_wait == (
        "the cycle before was at 2026-03-09T00:00:00+00:00, and then the clock said 2026-06-08T00:00:00+00:00: nothing"
        " is deleted before 2026-06-09T00:00:00+00:00. Is the clock wrong? Set it; else approve, or wait"
    )
