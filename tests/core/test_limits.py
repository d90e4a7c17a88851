"""The pace of requests."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.limits import Pace


def test_requests_are_spread_evenly() -> None:
    pace = Pace(4)
    assert [pace.reserve(100.0) for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]
    assert pace.reserve(100.5) == 0.5


def test_an_idle_time_is_not_saved_up() -> None:
    pace = Pace(10)
    pace.reserve(0.0)
    assert [pace.reserve(1000.0), pace.reserve(1000.0)] == [0.0, pytest.approx(0.1)]


def test_a_burst_may_go_at_once() -> None:
    pace = Pace(10, burst=3)
    assert [pace.reserve(50.0) for _ in range(5)] == [0.0, 0.0, 0.0, pytest.approx(0.1), pytest.approx(0.2)]


def test_a_pause_holds_everybody_back_and_then_keeps_the_pace() -> None:
    pace = Pace(2)
    pace.reserve(0.0)
    pace.pause(0.0, 30.0)
    pace.pause(1.0, 5.0)  # shorter: changes nothing
    assert [pace.reserve(2.0), pace.reserve(2.0)] == [28.0, 28.5]


def test_without_a_limit_only_pauses_hold_back() -> None:
    pace = Pace(None)
    assert [pace.reserve(7.0) for _ in range(1000)] == [0.0] * 1000
    pace.pause(7.0, 3.0)
    assert [pace.reserve(8.0), pace.reserve(11.0)] == [2.0, 0.0]


@given(
    st.integers(1, 50),
    st.integers(1, 10),
    st.lists(st.tuples(st.floats(0.0, 2.0), st.one_of(st.none(), st.floats(0.0, 5.0))), min_size=2, max_size=60),
)
def test_no_stretch_of_time_holds_more_than_the_limit(
    per_second: int, burst: int, steps: list[tuple[float, float | None]]
) -> None:
    pace, now, moments = Pace(per_second, burst), 0.0, []
    for passed, pause in steps:
        now += passed
        if pause is not None:
            pace.pause(now, pause)
        moments.append(now + pace.reserve(now))
    # The wait is a difference, so adding it to the time again may lose the last bit.
    assert all(before <= after + 1e-9 for before, after in itertools.pairwise(moments))
    for first, last in itertools.combinations(range(len(moments)), 2):
        stretch = moments[last] - moments[first]
        assert last - first + 1 <= burst + stretch * per_second + 1e-6
