"""Excel's functions on dates; a date is a text such as 2025-08-01, never a serial number."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from reconciler.errors import EvaluationError
from reconciler.language.excel_values import NUMBER, date, flat, print_date, text, whole, wrong_number
from reconciler.language.functions import Evaluate, Function, Invocation, plain
from reconciler.language.moments import print_iso
from reconciler.language.values import Context, Value


def _clock(read: Callable[[datetime], str]) -> Callable[[Invocation], Evaluate]:
    def build(invocation: Invocation) -> Evaluate:
        def now(context: Context) -> str:
            if context.now is None:
                raise EvaluationError(f"{invocation.call.name}() has no value here: no time was given")
            found = context.now() if callable(context.now) else context.now
            return read(found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC))

        return now

    return build


def _today(now: datetime) -> str:
    return print_date(now.replace(hour=0, minute=0, second=0, microsecond=0))


def _date(year: Value, month: Value, day: Value) -> str:
    """Months and days may run over, as in Excel: month 13 is January, day 0 the last of the month before."""
    first = _month_start(whole(year, "DATE"), whole(month, "DATE") - 1, "DATE")
    try:
        return print_date(first + timedelta(days=whole(day, "DATE") - 1))
    except OverflowError:
        raise _outside("DATE") from None


def _month_start(year: int, months: int, function: str) -> datetime:
    years, month = divmod(months, 12)
    try:
        return datetime(year + years, month + 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _outside(function) from None


def _outside(function: str) -> EvaluationError:
    return wrong_number(f"{function} leaves the years 1 to 9999")


def _later(moment: datetime, months: int, function: str) -> datetime:
    start = _month_start(moment.year, moment.month - 1 + months, function)
    last = monthrange(start.year, start.month)[1]
    return moment.replace(year=start.year, month=start.month, day=min(moment.day, last))


def _edate(start: Value, months: Value) -> str:
    return print_date(_later(date(start, "EDATE"), whole(months, "EDATE"), "EDATE"))


def _eomonth(start: Value, months: Value) -> str:
    found = _later(date(start, "EOMONTH").replace(day=1), whole(months, "EOMONTH"), "EOMONTH")
    return _today(found.replace(day=monthrange(found.year, found.month)[1]))


def _days(end: Value, start: Value) -> int:
    return (date(end, "DAYS").date() - date(start, "DAYS").date()).days


def _date_difference(start: Value, end: Value, unit: Value) -> int:
    first, last = date(start, "DATEDIF").date(), date(end, "DATEDIF").date()
    if first > last:
        raise wrong_number("DATEDIF needs the earlier date first")
    months = (last.year - first.year) * 12 + last.month - first.month - (last.day < first.day)
    match text(unit).upper():
        case "D":
            return (last - first).days
        case "M":
            return months
        case "Y":
            return months // 12
        case "YM":
            return months % 12
        case "MD":
            begin = _later(datetime(first.year, first.month, first.day, tzinfo=UTC), months, "DATEDIF").date()
            return (last - begin).days
        case "YD":
            begin = _later(datetime(first.year, first.month, first.day, tzinfo=UTC), months // 12 * 12, "D").date()
            return (last - begin).days
        case _:
            raise wrong_number('the unit of DATEDIF is one of "Y", "M", "D", "MD", "YM", "YD"')


def _part(function: str, read: Callable[[datetime], int]) -> Callable[[Value], int]:
    return lambda value: read(date(value, function))


_FIRST_DAYS = {1: 7, 2: 1, 3: 1, 11: 1, 12: 2, 13: 3, 14: 4, 15: 5, 16: 6, 17: 7}
"""Type → the ISO weekday that counts as the first."""


def _weekday(value: Value, kind: Value) -> int:
    wanted = 1 if kind is None else whole(kind, "WEEKDAY")
    if wanted not in _FIRST_DAYS:
        raise wrong_number("the type of WEEKDAY is 1, 2, 3 or 11 to 17")
    found = (date(value, "WEEKDAY").isoweekday() - _FIRST_DAYS[wanted]) % 7
    return found if wanted == 3 else found + 1


def _week_number(value: Value, kind: Value) -> int:
    wanted, moment = (1 if kind is None else whole(kind, "WEEKNUM")), date(value, "WEEKNUM")
    if wanted == 21:
        return moment.isocalendar().week
    if wanted not in _FIRST_DAYS or wanted == 3:
        raise wrong_number("the type of WEEKNUM is 1, 2, 11 to 17 or 21")
    new_year = moment.replace(month=1, day=1)
    return ((moment - new_year).days + (new_year.isoweekday() - _FIRST_DAYS[wanted]) % 7) // 7 + 1


def _workday(start: Value, days: Value, holidays: Value) -> str:
    moment, left = date(start, "WORKDAY"), whole(days, "WORKDAY")
    if abs(left) > _WORKDAYS_MAX:
        raise wrong_number(f"WORKDAY goes {_WORKDAYS_MAX:,} days at most")
    step, free = timedelta(days=1 if left > 0 else -1), _holidays(holidays, "WORKDAY")
    try:
        while left:
            moment += step
            if moment.isoweekday() < 6 and moment.toordinal() not in free:
                left -= 1 if left > 0 else -1
    except OverflowError:
        raise _outside("WORKDAY") from None
    return _today(moment)


def _network_days(start: Value, end: Value, holidays: Value) -> int:
    first, last = date(start, "NETWORKDAYS").date(), date(end, "NETWORKDAYS").date()
    sign = 1 if first <= last else -1
    first, last = min(first, last), max(first, last)
    free = _holidays(holidays, "NETWORKDAYS")
    weeks, rest = divmod((last - first).days + 1, 7)
    found = weeks * 5 + sum((first.isoweekday() - 1 + day) % 7 < 5 for day in range(rest))
    within = [day for day in free if first.toordinal() <= day <= last.toordinal() and (day - 1) % 7 < 5]
    return sign * (found - len(within))


def _holidays(value: Value, function: str) -> frozenset[int]:
    """Return the days that are free, counted from the first Monday of the calendar."""
    return frozenset(date(one, function).toordinal() for one in flat([value]) if one)


_WORKDAYS_MAX = 10_000

FUNCTIONS = (
    Function("DATE", ("year", "month", "day"), plain(_date), gives="date"),
    Function("DATEDIF", ("start", "end", "unit"), plain(_date_difference), gives=NUMBER),
    Function("DATEVALUE", ("text",), plain(lambda value: _today(date(value, "DATEVALUE"))), gives="date"),
    Function("DAY", ("date",), plain(_part("DAY", lambda moment: moment.day)), gives=NUMBER),
    Function("DAYS", ("end", "start"), plain(_days), gives=NUMBER),
    Function("EDATE", ("start", "months"), plain(_edate), gives="date"),
    Function("EOMONTH", ("start", "months"), plain(_eomonth), gives="date"),
    Function("HOUR", ("date",), plain(_part("HOUR", lambda moment: moment.hour)), gives=NUMBER),
    Function(
        "ISOWEEKNUM", ("date",), plain(_part("ISOWEEKNUM", lambda moment: moment.isocalendar().week)), gives=NUMBER
    ),
    Function("MINUTE", ("date",), plain(_part("MINUTE", lambda moment: moment.minute)), gives=NUMBER),
    Function("MONTH", ("date",), plain(_part("MONTH", lambda moment: moment.month)), gives=NUMBER),
    Function("NETWORKDAYS", ("start", "end", "holidays?"), plain(_network_days), gives=NUMBER),
    Function("NOW", (), _clock(print_iso), volatile=True, gives="date"),
    Function("SECOND", ("date",), plain(_part("SECOND", lambda moment: moment.second)), gives=NUMBER),
    Function("TODAY", (), _clock(_today), volatile=True, gives="date"),
    Function("WEEKDAY", ("date", "type?"), plain(_weekday), gives=NUMBER),
    Function("WEEKNUM", ("date", "type?"), plain(_week_number), gives=NUMBER),
    Function("WORKDAY", ("start", "days", "holidays?"), plain(_workday), gives="date"),
    Function("YEAR", ("date",), plain(_part("YEAR", lambda moment: moment.year)), gives=NUMBER),
)
