"""When a job goes into quarantine, how it is tried, who is told, and when it comes out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.notices import NoticeKind
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.quarantine import (
    Breach,
    Tally,
    Terms,
    after_cycle,
    after_test,
    by_counts,
    by_fault,
    by_source,
    by_test,
    lifted,
    next_turn,
    passing_time,
    resumed,
    turn,
)
from reconciler.core.standing import Pause, Quarantine, QuarantineReason, Standing

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
START = 1_000_000.0
TERMS = Terms("app", 40 * MINUTE)
REFUSED = by_fault(Failed(Fault.UNAUTHORIZED, "asking: the target answered 401", 401, request="GET /Users"))
GONE = by_fault(Failed(Fault.UNREACHABLE, "asking: no route to host", request="GET /Users"))
MANY = by_counts(Tally(failed=30_000, done=5_000), first=Failed(Fault.INVALID, "creating a user: 400", 400))


# --- the rules ---------------------------------------------------------------------------------------------------

VECTORS = {
    "4,000 fail": (Tally(4_000, 0), None),
    "45,000 fail": (Tally(45_000, 1_000_000), QuarantineReason.BASE_ESCROW),
    "30,000 fail and 5,000 succeed": (Tally(30_000, 5_000), QuarantineReason.ESCROW_PROPORTION),
    "20,000 fail and 100,000 succeed": (Tally(20_000, 100_000), None),
    "40,000 users and 21,000 managers fail": (
        Tally(40_000, 1_000_000, references=21_000),
        QuarantineReason.TOTAL_ESCROW,
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_the_published_examples(name: str) -> None:
    tally, expected = VECTORS[name]
    breach = by_counts(tally)
    assert (breach and breach.reason) == expected


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        (Tally(4_999, 0), None),
        (Tally(5_000, 0), QuarantineReason.ESCROW_PROPORTION),
        (Tally(5_000, 7_500), None),  # 40 % is not more than 40 %
        (Tally(5_000, 7_499), QuarantineReason.ESCROW_PROPORTION),
        (Tally(40_000, 100_000), None),
        (Tally(40_001, 10_000_000), QuarantineReason.BASE_ESCROW),
        (Tally(100, 10_000, references=59_900), None),
        (Tally(100, 10_000, references=59_901), QuarantineReason.TOTAL_ESCROW),
        (Tally(4_000, 0, references=30_000), None),  # references are in no share
        (Tally(0, 0, waiting=6_000), None),  # what is known and tried again in vain is no new event
        (Tally(100, 1_000_000, waiting=40_001), QuarantineReason.BASE_ESCROW),
    ],
)
def test_the_limits_to_the_entry(tally: Tally, expected: QuarantineReason | None) -> None:
    breach = by_counts(tally)
    assert (breach and breach.reason) == expected


def test_a_job_in_quarantine_stays_there_while_as_many_wait() -> None:
    quiet = Tally(failed=0, done=0, waiting=30_000)
    assert by_counts(quiet) is None
    stays = by_counts(quiet, in_quarantine=True)
    assert stays is not None
    assert stays.reason is QuarantineReason.ESCROW_PROPORTION
    assert by_counts(replace(quiet, waiting=4_999), in_quarantine=True) is None
    assert by_counts(replace(quiet, waiting=6_000, done=24_000), in_quarantine=True) is None


def test_the_arithmetic_is_shown_with_the_first_request_and_its_answer() -> None:
    first = Failed(Fault.INVALID, "creating a user: the target answered 400: no licences", 400, request="POST /Users")
    breach = by_counts(Tally(30_000, 5_000), first=first)
    assert breach is not None
    assert breach.rule == "at least 5000 entries failed, and more than 40% of all that were worked on"
    assert breach.arithmetic == "30000 failed of 35000 = 85.7% > 40%, references not counted"
    assert (breach.request, breach.answer) == ("POST /Users", first.reason)
    assert breach.error_code == "UnprocessableEntity"
    base = by_counts(Tally(45_000, 1))
    assert base is not None
    assert base.rule == "more than 40000 entries failed"
    assert base.arithmetic == "45000 failed > 40000, references not counted"
    total = by_counts(Tally(40_000, 1_000_000, references=21_000))
    assert total is not None
    assert total.rule == "more than 60000 entries and references failed"
    assert total.arithmetic == "40000 entries + 21000 references = 61000 failed > 60000"


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        (Fault.UNAUTHORIZED, "refuses the credentials"),
        (Fault.FORBIDDEN, "refuses the credentials"),
        (Fault.UNREACHABLE, "out of reach"),
        (Fault.INTERRUPTED, "out of reach"),
        (Fault.NOT_FOUND, "not SCIM"),
        (Fault.NOT_SCIM, "not SCIM"),
    ],
)
def test_what_puts_a_job_into_quarantine_at_once(fault: Fault, rule: str) -> None:
    breach = by_fault(Failed(fault, "why"))
    assert rule in breach.rule
    assert (breach.reason, breach.lifted_by_test) == (QuarantineReason.EXCEPTION, True)


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        (Fault.UNAUTHORIZED, "the source staff refuses the credentials"),
        (Fault.FORBIDDEN, "the source staff refuses the credentials"),
        (Fault.UNREACHABLE, "the source staff is out of reach"),
        (Fault.SERVER_ERROR, "the source staff is out of reach"),
        (Fault.NOT_FOUND, "what answers at the address of the source staff is not what was asked for"),
    ],
)
def test_a_source_puts_a_job_into_quarantine_under_its_name(fault: Fault, rule: str) -> None:
    breach = by_source(Failed(fault, "why", request="GET /users"), "staff")
    assert (breach.rule, breach.source, breach.request, breach.answer) == (rule, "staff", "GET /users", "why")
    assert (breach.reason, breach.lifted_by_test) == (QuarantineReason.EXCEPTION, True)
    assert quarantine_of(entered(breach)).source == "staff"


def test_a_target_that_fails_when_the_source_is_back_is_another_reason() -> None:
    standing = entered(by_source(Failed(Fault.UNAUTHORIZED, "401"), "staff"))
    standing, _ = after_test(TERMS, standing, None, START + HOUR)
    standing, told = after_cycle(TERMS, standing, REFUSED, START + HOUR)
    assert [notice.kind for notice in told] == [NoticeKind.QUARANTINE_CHANGED]
    quarantine = quarantine_of(standing)
    assert (quarantine.source, quarantine.rule) == ("", "the target refuses the credentials")
    assert quarantine.lifted_by_test


def test_no_connection_test_shows_that_accounts_may_be_created() -> None:
    assert not by_fault(Failed(Fault.FORBIDDEN, "no"), refuses_creates=True).lifted_by_test


@pytest.mark.parametrize(
    ("step", "like"), [("connection", GONE), ("sign-in", REFUSED), ("path", None), ("scim", None), ("redirect", None)]
)
def test_a_connection_test_finds_what_a_cycle_would(step: str, like: Breach | None) -> None:
    found = by_test(step, "why")
    assert found.rule == (like.rule if like is not None else "what answers at the target's address is not SCIM")


# --- the series --------------------------------------------------------------------------------------------------


def entered(breach: Breach | None = REFUSED, at: float = START) -> Standing:
    standing, told = after_cycle(TERMS, Standing(), breach, at)
    assert [notice.kind for notice in told] == [NoticeKind.QUARANTINE_ENTERED]
    return standing


def quarantine_of(standing: Standing) -> Quarantine:
    assert standing.quarantine is not None
    return standing.quarantine


def test_attempts_come_slower_and_slower() -> None:
    assert MANY is not None
    standing, at, waits = entered(MANY), START, []
    for _ in range(6):
        due = next_turn(standing, TERMS, at, at)
        waits.append((due - at) / HOUR)
        assert turn(standing, TERMS, due - 1) == "rest"
        assert turn(standing, TERMS, due) == "cycle"
        at = due
        standing, _ = after_cycle(TERMS, standing, MANY, at)
    assert waits == [pytest.approx(2 / 3), 6, 12, 24, 24, 24]
    quarantine = quarantine_of(standing)
    assert (quarantine.series_count, quarantine.series_began, quarantine.began) == (6, START, START)
    assert quarantine.request == ""
    assert "creating a user" in quarantine.answer


def test_between_attempts_the_connection_is_tested_at_the_normal_interval() -> None:
    standing = entered()
    standing, _ = after_cycle(TERMS, standing, REFUSED, START + 40 * MINUTE)
    at = START + 40 * MINUTE
    assert next_turn(standing, TERMS, at, at) == at + 40 * MINUTE
    assert turn(standing, TERMS, at + 40 * MINUTE) == "test"
    assert turn(standing, TERMS, at + 6 * HOUR) == "cycle"


def test_a_test_that_passes_has_a_cycle_lift_the_quarantine() -> None:
    standing, told = after_test(TERMS, entered(), None, START + 40 * MINUTE)
    assert quarantine_of(standing).test_passed_at == START + 40 * MINUTE
    assert not told
    standing, told = after_cycle(TERMS, standing, None, START + 41 * MINUTE)
    assert standing.quarantine is None
    assert [notice.kind for notice in told] == [NoticeKind.QUARANTINE_LEFT]


def test_a_test_that_passes_when_the_cycle_does_not_is_not_asked_again() -> None:
    standing, _ = after_test(TERMS, entered(), None, START + 10 * MINUTE)
    standing, told = after_cycle(TERMS, standing, REFUSED, START + 11 * MINUTE)
    assert not told
    quarantine = quarantine_of(standing)
    assert (quarantine.lifted_by_test, quarantine.test_passed_at) == (False, None)
    assert next_turn(standing, TERMS, START + 11 * MINUTE, START + 11 * MINUTE) == quarantine.next_attempt
    assert turn(standing, TERMS, START + 30 * MINUTE) == "rest"


def test_a_cycle_that_a_person_asks_for_does_not_put_the_next_attempt_off() -> None:
    standing = entered()
    again, _ = after_cycle(TERMS, standing, REFUSED, START + MINUTE)
    assert quarantine_of(again).next_attempt == quarantine_of(standing).next_attempt
    assert quarantine_of(again).series_count == 0


def test_a_job_that_rarely_runs_is_not_tried_more_often_in_quarantine() -> None:
    terms = Terms("app", 3 * DAY)
    standing, _ = after_cycle(terms, Standing(), MANY, START)
    standing, _ = after_cycle(terms, standing, MANY, START + 3 * DAY)
    assert quarantine_of(standing).next_attempt == START + 6 * DAY


def test_an_attempt_that_a_wrong_clock_put_off_for_years_is_made_at_once() -> None:
    years_ahead = entered(MANY, START + 1000 * DAY)
    assert turn(years_ahead, TERMS, START) == "cycle"
    assert next_turn(years_ahead, TERMS, START, START) == START
    today, _ = after_cycle(TERMS, years_ahead, MANY, START)
    assert quarantine_of(today).next_attempt <= START + DAY


def test_people_are_told_how_often_the_connection_is_tested_where_that_can_end_it() -> None:
    for breach, seconds in ((REFUSED, TERMS.interval_seconds), (MANY, None)):
        _, [notice] = after_cycle(TERMS, Standing(), breach, START)
        assert notice.facts["tested_every_seconds"] == seconds


def test_another_reason_is_told_and_the_series_goes_on() -> None:
    first, _ = after_cycle(replace(TERMS, rules="r1"), Standing(), GONE, START)
    standing, told = after_test(TERMS, first, by_test("sign-in", "401"), START + HOUR)
    [notice] = told
    assert notice.kind is NoticeKind.QUARANTINE_CHANGED
    assert notice.facts["before"]["rule"] == "the target is out of reach"
    quarantine = quarantine_of(standing)
    before = quarantine_of(first)
    assert (quarantine.series_began, quarantine.began) == (START, START + HOUR)
    assert (quarantine.series_count, quarantine.next_attempt) == (before.series_count, before.next_attempt)
    assert quarantine.rules == "r1"
    assert after_test(TERMS, standing, by_test("sign-in", "401 again"), START + 2 * HOUR)[1] == []


def test_people_are_reminded_after_a_day_and_then_every_week() -> None:
    standing, days = entered(), []
    for hour in range(1, 24 * 28):
        standing, told = after_test(TERMS, standing, REFUSED, START + hour * HOUR)
        days += [hour / 24 for notice in told if notice.kind is NoticeKind.QUARANTINE_REMINDER]
    assert days == [1, 8, 15, 22]


def test_a_job_is_stopped_only_where_the_configuration_says_so() -> None:
    terms = replace(TERMS, stop_after_seconds=28 * DAY)
    assert MANY is not None
    standing = entered(MANY)
    standing, _ = passing_time(TERMS, standing, START + 400 * DAY)
    assert standing.stopped_at is None
    assert next_turn(standing, terms, START + 28 * DAY - 1, START + 28 * DAY - 1) <= START + 28 * DAY

    stopped, told = passing_time(terms, standing, START + 28 * DAY)
    assert stopped.stopped_at == START + 28 * DAY
    assert [notice.kind for notice in told] == [NoticeKind.JOB_STOPPED]
    assert turn(stopped, TERMS, START + 29 * DAY) == "rest"
    assert passing_time(terms, stopped, START + 28 * DAY + 1)[1] == ()
    assert passing_time(terms, stopped, START + 400 * DAY)[1] == (), "that it stopped was told; it is not tried again"

    started, told = after_cycle(terms, stopped, None, START + 30 * DAY)
    assert (started.quarantine, started.stopped_at) == (None, None)
    assert [notice.kind for notice in told] == [NoticeKind.QUARANTINE_LEFT]


def test_a_job_that_stopped_itself_gets_the_whole_time_again_and_its_people_hear_when_it_stops_again() -> None:
    terms = replace(TERMS, stop_after_seconds=28 * DAY)
    stopped, [first] = passing_time(terms, entered(REFUSED), START + 28 * DAY)
    at = START + 40 * DAY
    going_on = resumed(stopped, at)
    assert going_on.stopped_at is None
    assert going_on == replace(
        stopped,
        stopped_at=None,
        goes_on_since=at,
        quarantine=replace(quarantine_of(stopped), began=at, series_began=at, series_count=0, next_attempt=at),
    )
    assert turn(going_on, terms, at) == "cycle"
    assert passing_time(terms, going_on, at + 27 * DAY)[0].stopped_at is None
    again, [second] = passing_time(terms, going_on, at + 28 * DAY)
    assert again.stopped_at == at + 28 * DAY
    assert second.key != first.key


def test_a_pause_in_a_quarantine_begins_nothing_anew() -> None:
    paused = replace(entered(REFUSED), paused=Pause(START, "ann"))
    assert resumed(paused, START + DAY) == replace(paused, paused=None, goes_on_since=START + DAY)


def test_other_rules_are_tried_at_once_and_once() -> None:
    standing, other = entered(MANY), replace(TERMS, rules="other")
    assert turn(standing, TERMS, START + MINUTE) == "rest"
    assert turn(standing, other, START + MINUTE) == "cycle"
    standing, _ = after_cycle(other, standing, MANY, START + MINUTE)
    assert turn(standing, other, START + 2 * MINUTE) == "rest"


def test_a_paused_job_does_nothing_by_itself() -> None:
    assert turn(Standing(), TERMS, START) == "cycle"
    assert turn(Standing(paused=Pause(START, "ann")), TERMS, START) == "rest"


def test_no_two_notices_of_a_series_are_the_same() -> None:
    first = after_cycle(TERMS, Standing(), REFUSED, START)[1][0]
    second = after_cycle(TERMS, Standing(), REFUSED, START + DAY)[1][0]
    assert first.key != second.key


def test_who_lifts_a_quarantine_is_told_to_people() -> None:
    told_before: dict[str, float] = {NoticeKind.QUARANTINE_REMINDER: START + HOUR, NoticeKind.FAILURES: START}
    standing = replace(entered(), stopped_at=START + DAY, alerted=told_before)
    free, told = lifted("app", standing, START + 2 * DAY, how="a person restarted the job")
    assert [(notice.kind, notice.facts["how"]) for notice in told] == [
        (NoticeKind.QUARANTINE_LEFT, "a person restarted the job")
    ]
    assert (free.quarantine, free.stopped_at, free.goes_on_since) == (None, None, START + 2 * DAY)
    assert free.alerted == {NoticeKind.FAILURES: START}
    again, told = lifted("app", replace(free, stopped_at=START), START + 3 * DAY, how="a person restarted the job")
    assert (again, list(told)) == (free, [])


def test_each_notice_of_a_quarantine_says_when_the_job_is_stopped_and_how_it_is_tested() -> None:
    terms = replace(TERMS, stop_after_seconds=28 * DAY)
    standing, entering = after_cycle(terms, Standing(), REFUSED, START)
    standing, changing = after_cycle(terms, standing, GONE, START + HOUR)
    standing, reminding = passing_time(terms, standing, START + DAY)
    standing, stopping = passing_time(terms, standing, START + 28 * DAY)
    plain = [after_cycle(TERMS, Standing(), REFUSED, START)[1][0]]
    told = [*entering, *changing, *reminding, *stopping, *plain]
    assert [(notice.kind, notice.facts["stop_after_seconds"]) for notice in told] == [
        (NoticeKind.QUARANTINE_ENTERED, 28 * DAY),
        (NoticeKind.QUARANTINE_CHANGED, 28 * DAY),
        (NoticeKind.QUARANTINE_REMINDER, 28 * DAY),
        (NoticeKind.JOB_STOPPED, 28 * DAY),
        (NoticeKind.QUARANTINE_ENTERED, None),
    ]
    assert changing[0].facts["before"] == {
        "reason": REFUSED.reason,
        "error_code": REFUSED.error_code,
        "rule": REFUSED.rule,
    }
    assert len({notice.facts["tested_every_seconds"] for notice in told[:3]}) == 1
    assert standing.stopped_at == START + 28 * DAY
