"""Turns what a database driver gives into the values that entries have."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

_PLAIN = frozenset({str, bool, int, float, type(None)})
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d")
_SECONDS_MAX = 1e11
"""A larger number counts something else than seconds."""

Mark = str | float
"""A value of a column of changes, as it stands in a watermark: a moment as text, or seconds since 1970."""


def rows(names: Sequence[str], page: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return a page of rows as attributes by name; a column of plain values costs nothing."""
    columns = [
        column if _PLAIN.issuperset(map(type, column)) else list(map(plain, column))
        for column in zip(*page, strict=True)
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def plain(value: Any) -> Any:
    """Return the value as an entry holds it: times as ISO 8601 (with a zone: in UTC), whole numbers as such."""
    match value:
        case str() | bool() | int() | float() | None:
            return value
        case Decimal():
            return int(value) if _is_whole(value) else _float(value)
        case datetime():
            return _in_utc(value).isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(bytes(value)).decode("ascii")
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case UUID():
            return str(value)
        case _:
            return str(value)


def key_of(value: Any) -> str | None:
    """Return a key as a source id: text, a whole number or a UUID; None for anything else."""
    match value:
        case str():
            return value if value and not value.isspace() else None
        case bool():
            return None
        case int() | UUID():
            return str(value)
        case Decimal():
            return str(int(value)) if _is_whole(value) else None
        case _:
            return None


def is_set(value: Any) -> bool:
    """Whether a column that marks deleted rows says so: a date, a true value; not null, 0, false or nothing."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "f", "no", "n")
    return value is not None and value is not False and value != 0


def newest(values: Sequence[Any], until: float) -> Any:
    """Return the latest of a column of changes, as the driver gave it; None where none is a moment up to `until`.

    A row from the future (a mistyped date) would hide every change until then: it does not count.
    """
    latest, found = 0.0, None
    for value in values:
        at = _seconds(value)
        if at is not None and latest < at <= until:
            latest, found = at, value
    return found


def is_moment(value: Any) -> bool:
    """Whether a column of changes holds something that can be compared: a time, ISO 8601 text, or seconds."""
    return value is None or _seconds(value) is not None


def mark(value: Any) -> Mark | None:
    """Return a moment as a watermark keeps it."""
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, datetime | date) else float(value)


def since(kept: Mark, like: type[Any], overlap_seconds: float) -> Any:
    """Return what rows must be newer than, in the type that the column has; raises ValueError where it is no moment."""
    if not isinstance(kept, str):
        return like(kept - overlap_seconds) if issubclass(like, int | float | Decimal) else kept - overlap_seconds
    earlier = datetime.fromisoformat(kept) - timedelta(seconds=overlap_seconds)
    if issubclass(like, datetime):
        return earlier
    if issubclass(like, date):
        return earlier.date()
    separated = _MOMENT.match(kept)
    if separated is None:
        return earlier.date().isoformat()
    return earlier.replace(tzinfo=None).isoformat(separated[1], "seconds")


def fits(kept: Mark, like: type[Any]) -> bool:
    """Whether a watermark can be compared with a column of this type: the column may be another one since."""
    return isinstance(kept, str) is not issubclass(like, int | float | Decimal)


def _is_whole(value: Decimal) -> bool:
    return value.is_finite() and value == value.to_integral_value()


def _float(value: Decimal | float) -> float:
    return math.nan if isinstance(value, Decimal) and value.is_nan() else float(value)


def _in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; one at the end of time, which has no such there, as it is."""
    try:
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment
    except OverflowError:
        return moment


def _seconds(value: Any) -> float | None:
    match value:
        case bool():
            return None
        case int() | float() | Decimal():
            seconds = _float(value)
            return seconds if abs(seconds) < _SECONDS_MAX else None
        case datetime():
            return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
        case date():
            return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
        case str():
            try:
                return _seconds(datetime.fromisoformat(value))
            except ValueError:
                return None
        case _:
            return None
