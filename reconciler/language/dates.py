"""Functions on dates: reading, printing, adding, comparing, file times."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta

from reconciler.errors import EvaluationError
from reconciler.language.functions import (
    Argument,
    Evaluate,
    Function,
    Invocation,
    any_number,
    checked,
    date,
    plain,
    whole_number,
)
from reconciler.language.moments import (
    FormatRefused,
    NotInFormat,
    from_file_time,
    parse_as,
    parse_in_zone,
    parse_moment,
    print_as,
    print_iso,
    print_moment,
    to_file_time,
    tokens_of,
    zone_named,
)
from reconciler.language.tree import Call
from reconciler.language.values import Context, Value, integer, number, text, text_or_none

INTERVALS = {"yyyy": "year", "m": "month", "d": "day", "ww": "week", "h": "hour", "n": "minute", "s": "second"}
STYLES = (
    "None",
    "AllowLeadingWhite",
    "AllowTrailingWhite",
    "AllowInnerWhite",
    "AllowWhiteSpaces",
    "NoCurrentDateDefault",
    "AdjustToUniversal",
    "AssumeLocal",
    "AssumeUniversal",
    "RoundtripKind",
)
_LENGTHS = {
    "d": timedelta(days=1),
    "ww": timedelta(weeks=1),
    "h": timedelta(hours=1),
    "n": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}


def _date(value: Value, function: str) -> datetime:
    whole = text_or_none(value)
    if not whole:
        raise EvaluationError(f"{function} needs a date but got none; guard it: IIF(IsPresent([…]), {function}(…), …)")
    try:
        return parse_moment(whole)
    except EvaluationError as error:
        raise EvaluationError(f"{function}: {error}") from None


def _cdate(value: Value) -> str:
    return print_moment(_date(value, "CDate"))


def _utc_date_time(invocation: Invocation) -> Evaluate:
    source, named = invocation.arguments
    if named.given and named.constant and zone_named(str(named.value)) is None:
        raise invocation.refuse("there is no time zone of this name; give one as in Europe/Stockholm", at=named)

    def utc_date_time(context: Context) -> str | None:
        written = text_or_none(source.evaluate(context))
        if not written:
            return None
        name = text_or_none(named.evaluate(context)) if named.given else None
        zone = zone_named(name) if name else UTC
        if zone is None:
            raise EvaluationError("UtcDateTime: there is no time zone of this name; give one as in Europe/Stockholm")
        try:
            return print_iso(parse_in_zone(written, zone))
        except EvaluationError as error:
            raise EvaluationError(f"UtcDateTime: {error}") from None

    return utc_date_time


def _now(_: Invocation) -> Evaluate:
    def now(context: Context) -> str:
        if context.now is None:
            raise EvaluationError("Now() has no value here: no time was given")
        found = context.now() if callable(context.now) else context.now
        return print_moment(found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC))

    return now


def _date_add(interval: Value, value: Value, start: Value) -> str:
    unit, amount = _interval(text(interval)), number(value)
    if amount is None:
        raise EvaluationError("value of DateAdd must be a number")
    # as Visual Basic: a fraction of a unit is dropped
    count, moment = int(amount), _date(start, "DateAdd")
    try:
        if unit in _LENGTHS:
            return print_moment(moment + count * _LENGTHS[unit])
        return print_moment(_add_months(moment, count * (12 if unit == "yyyy" else 1)))
    except (OverflowError, ValueError):
        raise EvaluationError("DateAdd leaves the years 1 to 9999") from None


def _add_months(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=years, month=month + 1, day=min(moment.day, monthrange(years, month + 1)[1]))


def _date_diff(interval: Value, first: Value, second: Value) -> int:
    """As Visual Basic: years, months and weeks count the borders between them, the others whole units."""
    unit = _interval(text(interval))
    start, end = _date(first, "DateDiff"), _date(second, "DateDiff")
    if unit == "yyyy":
        return end.year - start.year
    if unit == "m":
        return (end.year - start.year) * 12 + end.month - start.month
    if unit == "ww":
        return _whole(_sunday(end) - _sunday(start), _LENGTHS["ww"])
    return _whole(end - start, _LENGTHS[unit])


def _sunday(moment: datetime) -> datetime:
    try:
        return moment - timedelta(days=moment.isoweekday() % 7)
    except OverflowError:
        return moment


def _whole(difference: timedelta, unit: timedelta) -> int:
    count = abs(difference) // unit
    return count if difference >= timedelta() else -count


def _interval(unit: str) -> str:
    if unit not in INTERVALS:
        raise EvaluationError(_UNKNOWN_INTERVAL)
    return unit


_UNKNOWN_INTERVAL = "the interval must be one of " + ", ".join([f'"{key}" ({name})' for key, name in INTERVALS.items()])


def _known_interval(invocation: Invocation) -> None:
    interval = invocation.arguments[0]
    if interval.constant and text(interval.value) not in INTERVALS:
        raise invocation.refuse(_UNKNOWN_INTERVAL, at=interval)


def _date_from_num(value: Value) -> str | None:
    if text_or_none(value) in (None, ""):
        return None
    return print_iso(from_file_time(integer(value, "value of DateFromNum")))


def _num_from_date(value: Value) -> str:
    return str(to_file_time(_date(value, "NumFromDate")))


def _format_date_time(invocation: Invocation) -> Evaluate:
    source, styles, reads, prints = invocation.arguments
    if not prints.given and len(invocation.call.arguments) == 3:
        # the form without dateTimeStyles
        styles, reads, prints = Argument(prints.node, prints.evaluate), styles, reads
    if not prints.given:
        raise invocation.refuse("needs an outputFormat", 'such as "yyyy-MM-dd"')
    if styles.constant:
        try:
            _check_styles(text(styles.value))
        except EvaluationError as error:
            raise invocation.refuse(str(error), at=styles) from None
    for argument in (reads, prints):
        if argument.constant and argument.given:
            try:
                tokens_of(text(argument.value))
            except FormatRefused as refused:
                raise invocation.refuse(str(refused), at=argument) from None
    form = text(reads.value) if reads.constant else ""
    ours = isinstance(source.node, Call) and source.node.name in _PRINTING
    return _formatting(source.evaluate, styles.evaluate, reads.evaluate, prints.evaluate, form, ours=ours)


_PRINTING = ("CDate", "DateAdd", "DateFromNum", "Now")
"""Functions whose dates are understood whatever inputFormat says: published rules count on it."""


def _formatting(
    source: Evaluate, styles: Evaluate, reads: Evaluate, prints: Evaluate, form: str, *, ours: bool
) -> Evaluate:
    def read(whole: str, read_format: str) -> tuple[datetime, bool]:
        if not read_format:
            return _date(whole, "FormatDateTime"), True
        try:
            return parse_as(whole, read_format)
        except NotInFormat:
            if ours:
                return _date(whole, "FormatDateTime"), True
            raise

    def formatted(context: Context) -> Value:
        whole = text_or_none(source(context))
        if not whole:
            return None
        _check_styles(text(styles(context)))
        read_format = text(reads(context))
        try:
            moment, zoned = read(whole, read_format)
            return print_as(moment, text(prints(context)), zoned=zoned)
        except FormatRefused:
            raise EvaluationError("FormatDateTime got a format from an attribute that cannot be used") from None
        except NotInFormat:
            raise EvaluationError(
                f"FormatDateTime: the source does not have the form {form or 'of inputFormat'}"
            ) from None

    return formatted


def _check_styles(styles: str) -> None:
    for style in styles.split(","):
        name = style.strip().removeprefix("DateTimeStyles.")
        if name and name not in STYLES:
            raise EvaluationError(f"dateTimeStyles must be empty or among {', '.join(STYLES)}")


FUNCTIONS = (
    Function("CDate", ("expression",), checked(plain(_cdate), date(0)), gives="date"),
    Function(
        "DateAdd",
        ("interval", "value", "dateTime"),
        checked(plain(_date_add), _known_interval, any_number(1), date(2)),
        gives="date",
    ),
    Function(
        "DateDiff",
        ("interval", "date1", "date2"),
        checked(plain(_date_diff), _known_interval, date(1), date(2)),
        gives="number",
    ),
    Function("DateFromNum", ("value",), checked(plain(_date_from_num), whole_number(0)), gives="date"),
    Function("FormatDateTime", ("source", "dateTimeStyles?", "inputFormat?", "outputFormat?"), _format_date_time),
    Function("Now", (), _now, volatile=True, gives="date"),
    Function("NumFromDate", ("value",), checked(plain(_num_from_date), date(0))),
    Function("UtcDateTime", ("source", "timezone?"), checked(_utc_date_time, date(0)), gives="date"),
)
