"""What the end of a cycle, and time alone, make of how a job stands: to the last field."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from reconciler.core import notices, quarantine
from reconciler.core.alerts import Failures, Watched
from reconciler.core.health import CycleEnd, after_cycle, as_time_passes, compares
from reconciler.core.notices import FailedEntry, Notice, NoticeKind
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.quarantine import Terms
from reconciler.core.standing import Standing

NOW, HOUR, DAY = 1_800_000_000.0, 3600.0, 86400.0
TERMS = Terms("app", HOUR, 28 * DAY, "r1")
WELL = Standing(last_finished_at=NOW, last_success_at=NOW, last_full_at=NOW, judged_at=NOW)
REFUSED = quarantine.by_fault(Failed(Fault.UNAUTHORIZED, "no", 401, request="GET /Users"))
IN_QUARANTINE = quarantine.after_cycle(TERMS, WELL, REFUSED, NOW - DAY)[0]


def ended(standing: Standing, **end: object) -> tuple[Standing, list[Notice]]:
    made = replace(CycleEnd(NOW, good=True, judged=True), **end)  # type: ignore[arg-type]  # because fields differ
    after, told = after_cycle(TERMS, made)(standing)
    return after, list(told)


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing(), False),
        (Standing(compare_next=True), True),
        (Standing(last_full_at=NOW - DAY + 1), False),
        (Standing(last_full_at=NOW - DAY), True),
        (Standing(last_full_at=NOW + 365 * DAY), True),  # a clock that was ahead of time wrote it down
        (Standing(last_full_at=NOW + 60), False),  # it was set right by a little
        (Standing(last_full_at=NOW - DAY + 1, compare_next=True), True),
    ],
)
def test_everything_is_compared_when_its_time_has_come_or_a_person_says_so(standing: Standing, expected: bool) -> None:
    assert compares(standing, DAY, NOW) is expected


def test_a_good_cycle_to_the_last_field() -> None:
    before = Standing(alerted={NoticeKind.NO_CYCLE: 1.0, "other": 2.0}, unjudged_cycles=3, watermark_at=5.0)
    assert ended(before, watermark=True) == (replace(WELL, watermark_at=NOW, alerted={"other": 2.0}), [])
    assert ended(before) == (replace(WELL, alerted={"other": 2.0}), [])


def test_a_cycle_that_was_not_good_to_the_last_field() -> None:
    before = replace(WELL, last_finished_at=1.0, last_success_at=2.0, last_full_at=3.0, watermark_at=NOW, judged_at=5.0)
    after, told = ended(before, good=False, judged=False, compared=True, watermark=True)
    assert (after, told) == (replace(before, last_finished_at=NOW, unjudged_cycles=1), [])
    again, told = ended(after, good=False, judged=False, problems=["users.csv: cut"])
    assert again.unjudged_cycles == 2
    assert told == [
        notices.absence_not_judged("app", NOW, cycles_running=2, last_judged_at=5.0, problems=["users.csv: cut"])
    ]
    same, told = ended(before, judged=None)
    assert (same.judged_at, same.unjudged_cycles, told) == (5.0, 0, [])


@pytest.mark.parametrize(
    ("compare_next", "compared", "good", "last_full_at", "after"),
    [
        (False, True, True, 3.0, (NOW, False)),
        (True, True, True, 3.0, (NOW, False)),
        (True, False, True, 3.0, (3.0, True)),
        (True, True, False, 3.0, (3.0, True)),
        (True, False, True, None, (NOW, True)),
        (True, True, False, None, (NOW, False)),
    ],
)
def test_when_everything_was_compared_is_kept(
    compare_next: bool, compared: bool, good: bool, last_full_at: float | None, after: tuple[float, bool]
) -> None:
    before = Standing(compare_next=compare_next, last_full_at=last_full_at)
    found, _ = ended(before, compared=compared, good=good)
    assert (found.last_full_at, found.compare_next) == after


def test_a_cycle_that_a_person_stopped_changes_nothing() -> None:
    assert ended(Standing(), halted=True, breach=REFUSED) == (Standing(), [])


def test_a_breach_is_a_quarantine_of_which_people_are_told() -> None:
    after, told = ended(WELL, good=False, judged=None, breach=REFUSED, failures=Failures(99, 100))
    assert after.quarantine is not None
    assert (after.quarantine.began, after.quarantine.next_attempt, after.quarantine.rules) == (NOW, NOW + HOUR, "r1")
    assert [notice.kind for notice in told] == ["quarantine_entered"]
    assert after.failing_cycles == 0, "an app that is away fails everybody: that is told as what it is"


def test_a_cycle_that_proves_nothing_leaves_the_quarantine_and_reminds_when_it_is_time() -> None:
    assert IN_QUARANTINE.quarantine is not None
    after, told = ended(IN_QUARANTINE, proves=False)
    assert after.quarantine == IN_QUARANTINE.quarantine
    assert [(notice.kind, notice.at) for notice in told] == [("quarantine_reminder", NOW)]
    lifted, told = ended(IN_QUARANTINE)
    assert (lifted.quarantine, [notice.kind for notice in told]) == (None, ["quarantine_left"])


def test_failures_are_counted_and_told_after_two_cycles() -> None:
    entries = [FailedEntry("user", "u1", "ann", "create", "Timeout", "no answer")]
    once, told = ended(WELL, failures=Failures(12, 300, "c1", entries))
    assert (once.failing_cycles, told) == (1, [])
    twice, [notice] = ended(once, failures=Failures(12, 300, "c2", entries))
    assert (notice.kind, notice.job, notice.at, twice.failing_cycles) == ("failures", "app", NOW, 2)
    assert (notice.facts["cycle_id"], notice.facts["failed"], notice.facts["judged"]) == ("c2", 12, 300)


def test_a_credential_that_ends_is_told() -> None:
    last = date(2027, 1, 16)  # the day after NOW
    _, [notice] = ended(WELL, target="phone", expires=last)
    assert notice == notices.credential_expiring("app", NOW, target="phone", expires=last, days_left=1)


def test_a_group_that_is_missing_is_told_once_and_another_one_with_it() -> None:
    def told(standing: Standing, *groups: str, judged: bool | None = True) -> tuple[Standing, list[Notice]]:
        return ended(standing, missing_groups=groups, judged=judged)

    first, mails = told(WELL, "Crew")
    assert mails == [notices.groups_missing("app", NOW, groups=["Crew"])]
    again, mails = told(first, "Crew")
    assert (again.alerted, mails) == (first.alerted, [])
    for judged in (None, False):  # what was not read whole says nothing of what is there
        unread, mails = told(first, judged=judged)
        assert ("groups_missing/Crew" in unread.alerted, mails) == (True, [])
    more, mails = told(first, "Crew", "Staff")
    assert mails == [notices.groups_missing("app", NOW, groups=["Crew", "Staff"])]
    fewer, mails = told(more, "Staff")
    assert (set(fewer.alerted), mails) == ({"groups_missing/Staff"}, [])
    well, mails = told(fewer)
    assert (well.alerted, mails) == ({}, [])
    assert told(well, "Crew")[1] == [notices.groups_missing("app", NOW, groups=["Crew"])]


def test_a_watermark_that_stands_still_is_told_with_what_stands_in_its_way() -> None:
    before = replace(WELL, watermark_at=NOW - DAY, last_finished_at=NOW - HOUR)
    _, told = ended(before, good=False, problems=["staff: no right"])
    assert told == [
        notices.watermark_old("app", NOW, interval_seconds=HOUR, watermark_at=NOW - DAY, problems=["staff: no right"])
    ]


def test_what_time_alone_makes_to_the_last_field() -> None:
    late = Standing(last_finished_at=NOW - DAY, watermark_at=NOW - 2 * DAY, last_success_at=NOW - DAY)
    watched = Watched(NOW - 3 * DAY, running_since=NOW - 2 * HOUR, next_due_at=NOW + 5, problem="disk full")
    after, told = as_time_passes(TERMS, "phone", date(2027, 1, 16), watched, NOW)(late)
    assert list(told) == [
        notices.no_cycle(
            *("app", NOW),
            interval_seconds=HOUR,
            last_finished_at=NOW - DAY,
            running_since=NOW - 2 * HOUR,
            next_due_at=NOW + 5,
            problem="disk full",
        ),
        notices.watermark_old("app", NOW, interval_seconds=HOUR, watermark_at=NOW - 2 * DAY),
        notices.credential_expiring("app", NOW, target="phone", expires=date(2027, 1, 16), days_left=1),
    ]
    assert replace(after, alerted={}) == late
    assert set(after.alerted) == {"no_cycle", "watermark_old", "credential_expiring/phone/2027-01-16/1"}
    again, told = as_time_passes(TERMS, "phone", date(2027, 1, 16), watched, NOW)(after)
    assert (again, list(told)) == (after, [])
    _, told = as_time_passes(TERMS, "phone", None, watched, NOW)(IN_QUARANTINE)
    assert [notice.kind for notice in told] == ["quarantine_reminder"]


@pytest.mark.parametrize(
    ("standing", "since", "late"),
    [
        (Standing(), NOW - 3 * HOUR, False),
        (Standing(), NOW - 3 * HOUR - 1, True),
        (Standing(last_finished_at=NOW - 3 * HOUR), NOW - DAY, False),
        (Standing(last_finished_at=NOW - 3 * HOUR - 1), NOW - DAY, True),
        (Standing(last_finished_at=NOW - DAY, goes_on_since=NOW - HOUR), NOW - DAY, False),
        (Standing(last_finished_at=NOW - DAY), NOW - HOUR + 1, False),
        (Standing(last_finished_at=NOW - DAY), NOW - HOUR, True),
        (Standing(last_finished_at=NOW - DAY, stopped_at=NOW - DAY), NOW - DAY, False),
    ],
)
def test_three_intervals_without_a_cycle_are_late(standing: Standing, since: float, late: bool) -> None:
    _, told = as_time_passes(TERMS, "phone", None, Watched(since), NOW)(standing)
    assert [notice.kind for notice in told] == (["no_cycle"] if late else [])
