"""What people are told of a job in which nothing else would speak: each occasion once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from reconciler.core import alerts
from reconciler.core.alerts import Failures, Watched
from reconciler.core.health import CycleEnd, after_cycle
from reconciler.core.notices import FailedEntry, Notice, NoticeKind
from reconciler.core.quarantine import Terms, lifted, resumed
from reconciler.core.standing import Pause, Quarantine, QuarantineReason, Standing

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
START = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()
INTERVAL = 40 * MINUTE
QUARANTINE = Quarantine(QuarantineReason.EXCEPTION, "Timeout", "gone", "", START, START, 0, START)

Step = Callable[[Standing, float], tuple[Standing, Sequence[Notice]]]


def through(step: Step, moments: Sequence[float], standing: Standing | None = None) -> tuple[Standing, list[float]]:
    """Return how the job stands after these moments, and the moments at which somebody was told."""
    standing, told_at = standing or Standing(), []
    for at in moments:
        standing, told = step(standing, at)
        told_at += [at] * len(told)
    return standing, told_at


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waiting", "judged", "many"),
    [(0, 0, False), (0, 5, False), (1, 5, True), (1, 6, False), (9, 46, False), (9, 45, True), (10, 100_000, True)],
)
def test_ten_entries_or_a_fifth_of_them_are_many(waiting: int, judged: int, many: bool) -> None:
    assert Failures(waiting, judged).many is many


def test_a_digest_comes_after_two_cycles_running_then_after_a_day_then_every_week() -> None:
    def failing(standing: Standing, at: float) -> tuple[Standing, Sequence[Notice]]:
        return alerts.failing("app", standing, Failures(12, 300), at)

    moments = [START + n * HOUR for n in range(24 * 20)]
    _, told = through(failing, moments)
    assert [(at - START) / HOUR for at in told] == [1, 25, 25 + 168, 25 + 336]


def test_one_bad_cycle_is_told_to_nobody() -> None:
    bad, good = Failures(12, 300), Failures(3, 300)
    standing = Standing()
    for at, failures in enumerate([bad, good, bad, good, bad]):
        standing, told = alerts.failing("app", standing, failures, START + at * HOUR)
        assert told == ()


def test_failures_that_come_and_go_are_told_at_most_once_a_day() -> None:
    pattern = [Failures(12, 300), Failures(12, 300), Failures(0, 300)]

    def failing(standing: Standing, at: float) -> tuple[Standing, Sequence[Notice]]:
        return alerts.failing("app", standing, pattern[round((at - START) / HOUR) % 3], at)

    _, told = through(failing, [START + n * HOUR for n in range(96)])
    assert len(told) == 4
    assert all(b - a >= DAY for a, b in pairwise(told))


def test_the_digest_names_the_rule_the_codes_and_one_entry_of_each_code_first() -> None:
    entries = [
        FailedEntry("user", f"u{n}", f"u{n}", "create", "Timeout" if n < 11 else "Conflict", "x") for n in range(12)
    ]
    standing, _ = alerts.failing("app", Standing(), Failures(12, 300, "c1", entries), START)
    _, [notice] = alerts.failing("app", standing, Failures(12, 300, "c2", entries), START + HOUR)
    assert notice.kind is NoticeKind.FAILURES
    assert notice.facts["rule"] == "at least 10 entries fail, in 2 cycles running"
    assert notice.facts["codes"] == {"Timeout": 11, "Conflict": 1}
    assert [entry["error_code"] for entry in notice.facts["entries"][:2]] == ["Timeout", "Conflict"]


# --- what stands still -------------------------------------------------------------------------------------------


def test_absence_that_two_cycles_could_not_judge_is_told_once_until_it_was_judged_again() -> None:
    complete = [False, False, False, True, False, False]

    def reading(standing: Standing, at: float) -> tuple[Standing, Sequence[Notice]]:
        judged = complete[round((at - START) / HOUR)]
        return alerts.absence("app", standing, judged=judged, problems=["users.csv line 3: cut"], at=at)

    standing, told = through(reading, [START + n * HOUR for n in range(6)])
    assert [(at - START) / HOUR for at in told] == [1, 5]
    assert (standing.judged_at, standing.unjudged_cycles) == (START + 3 * HOUR, 2)


def test_a_watermark_that_stands_still_is_told_once() -> None:
    def looked(standing: Standing, at: float) -> tuple[Standing, Sequence[Notice]]:
        return alerts.watermark("app", standing, INTERVAL, at)

    moments = [START + n * INTERVAL for n in range(9)]
    stands_still = Standing(watermark_at=START, last_finished_at=START + INTERVAL)
    assert through(looked, moments, stands_still)[1] == [START + 4 * INTERVAL]
    for other in (
        Standing(last_finished_at=START + INTERVAL),
        replace(stands_still, quarantine=QUARANTINE),
        replace(stands_still, paused=Pause(START, "ann")),
        replace(stands_still, last_finished_at=START),
    ):
        assert through(looked, moments, other)[1] == [], "no watermark, in quarantine, paused, no cycle that finished"


def test_a_source_that_gives_no_watermark_any_more_has_none_that_is_old() -> None:
    end = CycleEnd(START + 5 * INTERVAL, good=True, watermark=False)
    standing, told = after_cycle(Terms("app", INTERVAL), end)(Standing(watermark_at=START))
    assert (standing.watermark_at, told) == (None, [])


def test_a_job_whose_cycles_do_not_end_is_told_once_with_what_is_known() -> None:
    watched = Watched(START, running_since=START, problem="the disk is full")

    def looked(standing: Standing, at: float) -> tuple[Standing, Sequence[Notice]]:
        return alerts.no_cycle("app", standing, INTERVAL, watched, at)

    moments = [START + n * INTERVAL for n in range(9)]
    _, told = through(looked, moments)
    assert told == [START + 4 * INTERVAL]
    _, [notice] = looked(Standing(last_finished_at=START), START + 5 * INTERVAL)
    assert (notice.facts["running_since"], notice.facts["problem"]) == (START, "the disk is full")
    for resting in (
        Standing(paused=Pause(START, "ann")),
        Standing(quarantine=QUARANTINE),
        Standing(quarantine=QUARANTINE, stopped_at=START),
    ):
        assert through(looked, moments, resting)[1] == []


def test_a_job_that_rested_for_long_first_gets_the_time_to_run_a_cycle() -> None:
    paused = Standing(paused=Pause(START, "ann"), last_finished_at=START - DAY)
    for resting in (paused, Standing(quarantine=QUARANTINE, last_finished_at=START - DAY)):
        at = START + 12 * DAY
        goes_on = resumed(resting, at) if resting.paused else lifted("app", resting, at, how="a person restarted it")[0]
        watched = Watched(START, running_since=at)
        assert alerts.no_cycle("app", goes_on, INTERVAL, watched, at + 3 * INTERVAL)[1] == ()
        assert len(alerts.no_cycle("app", goes_on, INTERVAL, watched, at + 3 * INTERVAL + 1)[1]) == 1


def test_a_daemon_that_was_off_first_gets_the_time_to_run_a_cycle() -> None:
    standing = Standing(last_finished_at=START - 5 * DAY)
    assert alerts.no_cycle("app", standing, INTERVAL, Watched(START), START + INTERVAL / 2)[1] == ()
    assert len(alerts.no_cycle("app", standing, INTERVAL, Watched(START), START + INTERVAL)[1]) == 1


def test_a_credential_that_ends_is_told_a_month_a_week_a_day_before_and_after_its_end() -> None:
    ends = date(2027, 1, 31)

    def looked(standing: Standing, at: float) -> tuple[Standing, Sequence[Notice]]:
        return alerts.expiring("app", standing, "phone", ends, at)

    moments = [START + n * 8 * HOUR for n in range(3 * 80)]
    standing, told = through(looked, moments)
    days = [(ends - datetime.fromtimestamp(at, UTC).date()).days for at in told]
    assert days == [30, 7, 1, 0, -1]

    renewed, told_now = alerts.expiring("app", standing, "phone", date(2028, 1, 31), moments[-1])
    assert (renewed.alerted, told_now) == ({}, ())
    assert alerts.expiring("app", standing, "phone", None, moments[-1])[0].alerted == {}


def test_a_daemon_that_was_off_says_of_a_credential_only_what_holds_now() -> None:
    at = datetime(2027, 1, 30, 12, tzinfo=UTC).timestamp()
    standing, [notice] = alerts.expiring("app", Standing(), "phone", date(2027, 1, 31), at)
    assert notice.facts["days_left"] == 1
    assert alerts.expiring("app", standing, "phone", date(2027, 1, 31), at)[1] == ()


@pytest.mark.parametrize(
    ("failures", "rule"),
    [
        (Failures(10, 100_000), "at least 10 entries fail, in 2 cycles running"),
        (Failures(9, 45), "at least 20% of the entries fail, in 2 cycles running"),
    ],
)
def test_a_digest_names_the_rule_that_is_broken(failures: Failures, rule: str) -> None:
    standing, _ = alerts.failing("app", Standing(), failures, START)
    standing, [notice] = alerts.failing("app", standing, failures, START + HOUR)
    assert notice.facts["rule"] == rule
    assert standing.alerted == {"failures/began": START + HOUR, "failures": START + HOUR}
