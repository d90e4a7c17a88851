"""From which instant on somebody with a leave date is off."""

from __future__ import annotations

from datetime import datetime

import pytest

from reconciler.core.leave_dates import Unreadable, ends_at, judge
from reconciler.core.model import Cause, LeaveDate
from reconciler.core.scoping import InScope, Leaving, StandingUnknown


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("value", "means", "zone", "expected"),
    [
        ("2026-11-30", "last_day", None, "2026-12-01T00:00Z"),
        ("2026-11-30", "first_day_off", None, "2026-11-30T00:00Z"),
        ("2026-11-30", "last_day", "Europe/Berlin", "2026-12-01T00:00+01:00"),
        ("2026-06-30", "last_day", "Europe/Berlin", "2026-07-01T00:00+02:00"),
        ("20261130", "last_day", "Asia/Tokyo", "2026-12-01T00:00+09:00"),
        # the day before the clocks change, and the day on which they do: 23 and 25 hours long
        ("2026-03-28", "last_day", "Europe/Berlin", "2026-03-29T00:00+01:00"),
        ("2026-03-29", "last_day", "Europe/Berlin", "2026-03-30T00:00+02:00"),
        ("2026-10-25", "last_day", "Europe/Berlin", "2026-10-26T00:00+01:00"),
        # in Beirut the clocks go from 0:00 to 1:00, in Havana back from 1:00 to 0:00: the day begins with the first
        ("2026-03-28", "last_day", "Asia/Beirut", "2026-03-28T22:00Z"),
        ("2026-10-31", "last_day", "America/Havana", "2026-11-01T00:00-04:00"),
        # midnight is a day in other words, whatever offset the source writes
        ("2026-11-30T00:00:00Z", "last_day", "America/New_York", "2026-12-01T00:00-05:00"),
        ("2026-11-30T00:00:00", "first_day_off", "Europe/Berlin", "2026-11-30T00:00+01:00"),
        ("2026-11-30T17:00:00+01:00", "last_day", "Asia/Tokyo", "2026-11-30T16:00Z"),
        ("2026-11-30T17:00:00", "last_day", "Europe/Berlin", "2026-11-30T17:00+01:00"),
        ("20261130160000Z", "last_day", None, "2026-11-30T16:00Z"),
        ("20261130170000.0+0100", "first_day_off", None, "2026-11-30T16:00Z"),
        (" 2026-11-30 ", "last_day", None, "2026-12-01T00:00Z"),
    ],
)
def test_an_instant(value: str, means: str, zone: str | None, expected: str) -> None:
    rule = LeaveDate("leaves", "last_day" if means == "last_day" else "first_day_off", zone)
    assert ends_at({"leaves": value}, rule) == instant(expected)


@pytest.mark.parametrize("value", [None, ""])
def test_no_date_is_no_end(value: str | None) -> None:
    assert ends_at({"leaves": value}, LeaveDate("leaves")) is None


_NO_DATE = "leaves is no date that can be read (2026-11-30, 2026-11-30T17:00:00+01:00)"
_MANY = "leaves is not a single date"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        *[(one, _NO_DATE) for one in ("soon", "30.11.2026", "11/30/2026", "2026-13-01", "2026-02-30", "2026113")],
        ("9999-12-31", "leaves is a date beyond all calendars"),
        (["2026-11-30", "2026-12-01"], _MANY),
        (" ", _MANY),
        ({"a": 1}, _MANY),
    ],
)
def test_what_cannot_be_read_is_not_known(value: object, why: str) -> None:
    assert ends_at({"leaves": value}, LeaveDate("leaves")) == Unreadable(why)


def test_a_time_zone_that_is_none_is_named_by_its_attribute_or_itself() -> None:
    date, attribute = "2026-11-30", LeaveDate("leaves", "last_day", None, "tz")
    assert ends_at({"leaves": date, "tz": "Mars/Olympus"}, attribute) == Unreadable("tz is no time zone")
    fixed = LeaveDate("leaves", "last_day", "Mars/Olympus")
    assert ends_at({"leaves": date}, fixed) == Unreadable("there is no time zone Mars/Olympus")


def test_a_persons_own_time_zone_comes_before_the_fixed_one() -> None:
    rule = LeaveDate("leaves", "last_day", "Europe/Berlin", "tz")
    date = "2026-11-30"
    assert ends_at({"leaves": date, "tz": "Asia/Tokyo"}, rule) == instant("2026-12-01T00:00+09:00")
    for nothing in (None, "", "Mars/Olympus"):
        assert ends_at({"leaves": date, "tz": nothing}, rule) == instant("2026-12-01T00:00+01:00")
    alone = LeaveDate("leaves", "last_day", None, "tz")
    assert ends_at({"leaves": date, "tz": None}, alone) == instant("2026-12-01T00:00Z")
    assert isinstance(ends_at({"leaves": date, "tz": "Mars/Olympus"}, alone), Unreadable)


RULE = LeaveDate("leaves")
END = instant("2026-12-01T00:00Z")
DATED = {"leaves": "2026-11-30"}


def test_before_the_instant_nothing_is_decided_but_when_to_look_again() -> None:
    assert judge(InScope("all"), DATED, RULE, END - 1) == (InScope("all"), END)
    assert judge(InScope("all"), {"leaves": None}, RULE, END) == (InScope("all"), None)


def test_from_the_instant_on_the_person_is_inactive() -> None:
    standing, until = judge(InScope("all"), DATED, RULE, END)
    assert isinstance(standing, Leaving)
    assert (standing.cause, standing.why, standing.entitled, until) == (Cause.INACTIVE, "leaves has passed", True, None)


def test_a_stronger_cause_is_left_and_a_weaker_one_comes_second() -> None:
    gone = Leaving(Cause.GONE, "no longer in the source")
    assert judge(gone, DATED, RULE, END) == (gone, None)
    unassigned = Leaving(Cause.OUT_OF_SCOPE, "not assigned")
    standing, _ = judge(unassigned, DATED, RULE, END)
    assert isinstance(standing, Leaving)
    assert (standing.cause, standing.also) == (Cause.INACTIVE, unassigned)
    assert judge(unassigned, DATED, RULE, END - 1) == (unassigned, END)


def test_an_unreadable_date_is_unknown_and_hides_no_other_cause() -> None:
    standing, _ = judge(InScope("all"), {"leaves": "soon"}, RULE, END)
    assert isinstance(standing, StandingUnknown)
    assert "soon" not in standing.why, "no value of a person"
    inactive = Leaving(Cause.INACTIVE, "accountEnabled was false")
    assert judge(inactive, {"leaves": "soon"}, RULE, END) == (inactive, None)


def test_what_was_not_known_when_the_day_came_is_still_said_to_be_unknown() -> None:
    unknown, _ = judge(StandingUnknown("groups not read"), DATED, RULE, END)
    assert unknown == Leaving(Cause.INACTIVE, "leaves has passed", unsettled="groups not read")
    unassigned = Leaving(Cause.ROLE_LOST, "no role", unsettled="groups not read")
    standing, until = judge(unassigned, DATED, RULE, END)
    assert (standing, until) == (
        Leaving(Cause.INACTIVE, "leaves has passed", unassigned, unsettled="groups not read"),
        None,
    )
