"""Dates as .NET reads and prints them: free text, custom formats, file times. Always in UTC, never by a locale."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from reconciler.errors import EvaluationError

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

_FILETIME_START = datetime(1601, 1, 1, tzinfo=UTC)
_TICKS_PER_MICROSECOND = 10


def print_moment(moment: datetime) -> str:
    """Return M/d/yyyy h:mm:ss tt."""
    return (
        f"{moment.month}/{moment.day}/{moment.year:04} {moment.hour % 12 or 12}:{moment.minute:02}:{moment.second:02} "
        f"{'AM' if moment.hour < 12 else 'PM'}"
    )


def print_iso(moment: datetime) -> str:
    """Return yyyy-MM-ddTHH:mm:ssZ, with a fraction only where there is one."""
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02}T{moment:%H:%M:%S}{fraction}Z"


def to_file_time(moment: datetime) -> int:
    """Return 100 ns ticks since 1601-01-01 UTC."""
    found = (moment - _FILETIME_START) // timedelta(microseconds=1) * _TICKS_PER_MICROSECOND
    if found < 0:
        raise EvaluationError("a date before 1601 has no file time")
    return found


def from_file_time(ticks: int) -> datetime:
    if ticks < 0:
        raise EvaluationError("a file time counts from 1601 and is never negative")
    try:
        return _FILETIME_START + timedelta(microseconds=ticks // _TICKS_PER_MICROSECOND)
    except OverflowError:
        raise EvaluationError("this file time is past the year 9999 (it may stand for never)") from None


def is_date_text(value: str) -> bool:
    """Return whether a text looks like a date with all its parts; it may still be no day of any month."""
    return _ISO.fullmatch(value) is not None or _MONTH_FIRST.fullmatch(value) is not None


def parse_moment(value: str) -> datetime:
    """Return the moment that a text stands for, in UTC; without an offset it is taken as UTC. Months come first."""
    stripped = value.strip()
    for pattern in (_ISO, _MONTH_FIRST, _DAY_NAMED, _MONTH_NAMED):
        if (found := pattern.fullmatch(stripped)) is not None:
            return _moment(found)
    raise EvaluationError(
        "this is not a date that can be read; give year-month-day or month/day/year, or convert it with FormatDateTime"
    )


def parse_in_zone(value: str, zone: tzinfo) -> datetime:
    """Return the moment that a text stands for, in UTC; without an offset it is taken as of this time zone."""
    stripped = value.strip()
    for pattern in (_ISO, _MONTH_FIRST, _DAY_NAMED, _MONTH_NAMED):
        if (found := pattern.fullmatch(stripped)) is not None:
            moment = _moment(found)
            if found["offset"]:
                return moment
            try:
                return moment.replace(tzinfo=zone).astimezone(UTC)
            except (ValueError, OverflowError):
                raise EvaluationError("this date does not exist in the calendar") from None
    raise EvaluationError("this is not a date that can be read; give year-month-day or month/day/year")


def zone_named(name: str) -> tzinfo | None:
    """Return the time zone of this IANA name, None where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


_OFFSET = r"\s*(?P<offset>Z|GMT|UTC|[+-]\d{1,2}(?::?\d{2})?)?"
_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?\s*(?P<half>[AaPp][Mm])?"
)
_ANY_TIME = rf"(?:(?:[Tt]|,?\s+)\s*{_TIME})?{_OFFSET}"
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)?"
_MONTH = r"(?P<month_name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_ISO = re.compile(rf"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_ANY_TIME}", re.ASCII)
_MONTH_FIRST = re.compile(rf"(?P<month>\d{{1,2}})[-/](?P<day>\d{{1,2}})[-/](?P<year>\d{{4}}){_ANY_TIME}", re.ASCII)
_DAY_NAMED = re.compile(
    rf"{_WEEKDAY}(?P<day>\d{{1,2}})[-\s]+{_MONTH},?[-\s]+(?P<year>\d{{4}}){_ANY_TIME}", re.ASCII | re.IGNORECASE
)
_MONTH_NAMED = re.compile(
    rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}}){_ANY_TIME}", re.ASCII | re.IGNORECASE
)


def _moment(found: re.Match[str]) -> datetime:
    parts = found.groupdict()
    named = parts.get("month_name")
    month = _SHORT_MONTHS.index(named.lower()) + 1 if named else int(parts["month"])
    hour = _hour(int(parts["hour"] or 0), parts["half"])
    microsecond = int((parts["fraction"] or "0").ljust(6, "0")[:6])
    try:
        moment = datetime(
            int(parts["year"]),
            month,
            int(parts["day"]),
            hour,
            int(parts["minute"] or 0),
            int(parts["second"] or 0),
            microsecond,
            tzinfo=_zone(parts["offset"]),
        )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise EvaluationError("this date does not exist in the calendar") from None


_SHORT_MONTHS = [month[:3].lower() for month in MONTHS]


def _hour(hour: int, half: str | None) -> int:
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise EvaluationError("an hour with AM or PM goes from 1 to 12")
    return hour % 12 + (12 if half.lower().startswith("p") else 0)


def _zone(offset: str | None) -> timezone:
    if not offset or offset.isalpha():
        return UTC
    digits = offset[1:].replace(":", "")
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
    if hours > 14 or minutes > 59:
        raise EvaluationError("an offset from UTC goes to 14 hours at most")
    signed = timedelta(hours=hours, minutes=minutes)
    return timezone(-signed if offset[0] == "-" else signed)


# --- custom formats ---------------------------------------------------------------------------------------------

_STANDARD_FORMATS = {
    "d": "MM/dd/yyyy",
    "D": "dddd, dd MMMM yyyy",
    "f": "dddd, dd MMMM yyyy HH:mm",
    "F": "dddd, dd MMMM yyyy HH:mm:ss",
    "g": "MM/dd/yyyy HH:mm",
    "G": "MM/dd/yyyy HH:mm:ss",
    "m": "MMMM dd",
    "M": "MMMM dd",
    "o": "yyyy'-'MM'-'dd'T'HH':'mm':'ss.fffffffK",
    "O": "yyyy'-'MM'-'dd'T'HH':'mm':'ss.fffffffK",
    "r": "ddd, dd MMM yyyy HH':'mm':'ss 'GMT'",
    "R": "ddd, dd MMM yyyy HH':'mm':'ss 'GMT'",
    "s": "yyyy'-'MM'-'dd'T'HH':'mm':'ss",
    "t": "HH:mm",
    "T": "HH:mm:ss",
    "u": "yyyy'-'MM'-'dd HH':'mm':'ss'Z'",
    "y": "yyyy MMMM",
    "Y": "yyyy MMMM",
}
"""What a format of a single letter means in the invariant culture."""


class FormatRefused(Exception):
    """A date format that cannot be used; the text says why."""


class NotInFormat(Exception):
    """A text does not have the form that its format says."""


@lru_cache(maxsize=256)
def tokens_of(date_format: str) -> tuple[tuple[str, str], ...]:
    """Return ("field", "yyyy") and ("literal", "-") pieces of a .NET date format, or raise FormatRefused."""
    if not date_format:
        raise FormatRefused("the date format is empty")
    if len(date_format) == 1:
        if date_format not in _STANDARD_FORMATS:
            raise FormatRefused(f"{date_format} is no date format; for the field alone write %{date_format}")
        date_format = _STANDARD_FORMATS[date_format]
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(date_format):
        letter = date_format[at]
        if letter == "%":
            at += 1
        elif letter == "\\":
            found.append(("literal", date_format[at + 1 : at + 2]))
            at += 2
        elif letter in "'\"":
            end = date_format.find(letter, at + 1)
            if end < 0:
                raise FormatRefused("the date format has a quote that is not closed")
            found.append(("literal", date_format[at + 1 : end]))
            at = end + 1
        elif letter in _FIELD_LENGTHS:
            length = 1
            while at + length < len(date_format) and date_format[at + length] == letter:
                length += 1
            at += length
            if length > _FIELD_LENGTHS[letter] and letter in "fFK":
                raise FormatRefused(f"{letter * length} is too long a field in a date format")
            found.append(("field", letter * min(length, _FIELD_LENGTHS[letter])))
        else:
            found.append(("literal", letter))
            at += 1
    return tuple(found)


_FIELD_LENGTHS = {
    "d": 4,
    "M": 4,
    "y": 5,
    "h": 2,
    "H": 2,
    "m": 2,
    "s": 2,
    "f": 7,
    "F": 7,
    "t": 2,
    "z": 3,
    "K": 1,
    "g": 2,
}


def print_as(moment: datetime, date_format: str, *, zoned: bool) -> str:
    """Print a UTC moment by a .NET format. `zoned`: K shows Z; without it the source had no offset, so K is empty."""
    return "".join(
        [piece if kind == "literal" else _field(moment, piece, zoned) for kind, piece in tokens_of(date_format)]
    )


def _field(moment: datetime, piece: str, zoned: bool) -> str:
    length = len(piece)
    match piece[0]:
        case "d":
            name = DAYS[moment.weekday()]
            return name if length == 4 else name[:3] if length == 3 else f"{moment.day:0{length}}"
        case "M":
            name = MONTHS[moment.month - 1]
            return name if length == 4 else name[:3] if length == 3 else f"{moment.month:0{length}}"
        case "y":
            return f"{moment.year % 100:0{length}}" if length < 3 else f"{moment.year:0{length}}"
        case "h":
            return f"{moment.hour % 12 or 12:0{length}}"
        case "H":
            return f"{moment.hour:0{length}}"
        case "m":
            return f"{moment.minute:0{length}}"
        case "s":
            return f"{moment.second:0{length}}"
        case "f":
            return f"{moment.microsecond:06}0"[:length]
        case "F":
            return f"{moment.microsecond:06}0"[:length].rstrip("0")
        case "t":
            return ("AM" if moment.hour < 12 else "PM")[:length]
        case "z":
            return {1: "+0", 2: "+00", 3: "+00:00"}[length]
        case "K":
            return "Z" if zoned else ""
        case _:
            return "A.D."


def parse_as(value: str, date_format: str) -> tuple[datetime, bool]:
    """Return the moment in UTC that `value` is by a .NET format, and whether it named its offset.

    Raises NotInFormat."""
    pattern = _pattern_of(date_format)
    found = pattern.fullmatch(value.strip())
    if found is None:
        raise NotInFormat
    parts = found.groupdict()
    half = parts.get("t")
    hour = _hour(int(parts["h"]), half) if parts.get("h") else int(parts.get("H") or 0)
    if parts.get("h") and not half and hour == 12:
        hour = 0
    offset = parts.get("z") or parts.get("K") or parts.get("Z")
    try:
        moment = datetime(
            _year(parts),
            _month(parts),
            int(parts.get("d") or 1),
            hour,
            int(parts.get("m") or 0),
            int(parts.get("s") or 0),
            int((parts.get("f") or "0").ljust(6, "0")[:6]),
            tzinfo=_zone(offset),
        )
        return moment.astimezone(UTC), bool(offset)
    except (ValueError, OverflowError):
        raise EvaluationError("this date does not exist in the calendar") from None


_LEAP_YEAR = 2000
_TWO_DIGIT_YEAR_MAX = 49
"""As .NET: 49 is 2049, 50 is 1950."""


def _year(parts: dict[str, str | None]) -> int:
    written = parts.get("y")
    if written is None:
        # a birthday without its year keeps 29 February
        return _LEAP_YEAR
    year = int(written)
    if len(written) > 2:
        return year
    return year + (2000 if year <= _TWO_DIGIT_YEAR_MAX else 1900)


def _month(parts: dict[str, str | None]) -> int:
    name = parts.get("month_name")
    return _SHORT_MONTHS.index(name[:3].lower()) + 1 if name else int(parts.get("M") or 1)


@lru_cache(maxsize=256)
def _pattern_of(date_format: str) -> re.Pattern[str]:
    """Return what matches a date in this format, digit for digit as .NET's ParseExact does."""
    seen: set[str] = set()
    found = []
    for kind, piece in tokens_of(date_format):
        name, body = _literal(piece) if kind == "literal" else _body(piece)
        if name is None:
            found.append(body)
        elif name in seen:
            # said twice, it must be the same twice
            found.append(f"(?P={name})")
        else:
            seen.add(name)
            found.append(f"(?P<{name}>{body})")
    return re.compile("".join(found), re.ASCII | re.IGNORECASE)


def _literal(piece: str) -> tuple[str | None, str]:
    if piece == "Z":
        return "Z", "Z"
    return None, r"\s+" if piece == " " else re.escape(piece)


def _body(piece: str) -> tuple[str | None, str]:
    letter, length = piece[0], len(piece)
    if letter in "dM" and length > 2:
        names = (DAYS if letter == "d" else MONTHS) if length == 4 else None
        short = names or [name[:3] for name in (DAYS if letter == "d" else MONTHS)]
        return ("month_name" if letter == "M" else None), "(?:" + "|".join(short) + ")"
    match letter:
        case "y":
            return "y", rf"\d{{{max(length, 1)}}}" if length != 1 else r"\d{1,2}"
        case "f":
            return "f", rf"\d{{{length}}}"
        case "F":
            return "f", rf"\d{{0,{length}}}"
        case "t":
            return "t", "[AP]M" if length == 2 else "[AP]"
        case "z":
            return "z", r"[+-]\d{1,2}" if length < 3 else r"[+-]\d{1,2}:?\d{2}"
        case "K":
            return "K", r"(?:Z|[+-]\d{1,2}:?\d{2})?"
        case "g":
            return None, r"A\.D\."
        case _:
            return letter, r"\d{1,2}" if length == 1 else r"\d{2}"
