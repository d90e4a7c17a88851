"""Says from which instant on somebody with a leave date is inactive."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from reconciler.core.model import Attributes, Cause, LeaveDate
from reconciler.core.operators import as_text, is_null
from reconciler.core.scoping import InScope, Leaving, Standing, StandingUnknown

_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})(?:[.,]\d+)?(Z|[+-]\d{4}))?")
"""20261130, and LDAP's generalized time (RFC 4517 §3.3.13): 20261130235959Z."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    why: str


def ends_at(attributes: Attributes, rule: LeaveDate) -> float | Unreadable | None:
    """Return the first instant (seconds since 1970) at which the person is off; None: there is no date.

    A date is a whole day in the person's time zone, from its first instant on, whatever daylight saving makes of
    midnight. So is a moment whose clock shows midnight, as sources write dates that have only one form for both. Any
    other moment is itself the end; without an offset it is read in the person's time zone.
    """
    value = attributes.get(rule.attribute)
    if is_null(value):
        return None
    text = (as_text(value) or "").strip()
    if not text:
        return Unreadable(f"{rule.attribute} is not a single date")
    zone = _zone_of(attributes, rule)
    if isinstance(zone, Unreadable):
        return zone
    moment = _read(text)
    if moment is None:
        return Unreadable(f"{rule.attribute} is no date that can be read (2026-11-30, 2026-11-30T17:00:00+01:00)")
    try:
        if moment.time() == time.min:
            first_day_off = moment.date() + timedelta(days=1 if rule.means == "last_day" else 0)
            return _begin_of(first_day_off, zone)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()
    except (OverflowError, ValueError):
        return Unreadable(f"{rule.attribute} is a date beyond all calendars")


def judge(standing: Standing, attributes: Attributes, rule: LeaveDate, now: float) -> tuple[Standing, float | None]:
    """Return where somebody stands who has a leave date, and when that must be looked at again.

    A date that cannot be read is not known: nothing is done because of it.
    """
    if isinstance(standing, Leaving) and standing.cause in (Cause.GONE, Cause.INACTIVE):
        return standing, None
    end = ends_at(attributes, rule)
    if end is None:
        return standing, None
    if isinstance(end, Unreadable):
        return (StandingUnknown(end.why), None) if isinstance(standing, InScope) else (standing, None)
    if end > now:
        return standing, end
    why = f"{rule.attribute} has passed"
    match standing:
        case InScope():
            return Leaving(Cause.INACTIVE, why), None
        case StandingUnknown():
            return Leaving(Cause.INACTIVE, why, unsettled=standing.why), None
        case Leaving():
            return Leaving(Cause.INACTIVE, why, replace(standing), unsettled=standing.unsettled), None


def _zone_of(attributes: Attributes, rule: LeaveDate) -> ZoneInfo | Unreadable:
    if rule.timezone_attribute is not None:
        named = as_text(attributes.get(rule.timezone_attribute))
        zone = zone_named(named.strip()) if named else None
        if zone is not None:
            return zone
        if named and rule.timezone is None:
            return Unreadable(f"{rule.timezone_attribute} is no time zone")
    zone = zone_named(rule.timezone or "UTC")
    return zone if zone is not None else Unreadable(f"there is no time zone {rule.timezone}")


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    """Return a zone of the IANA database ("Europe/Berlin"), None where there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _begin_of(day: date, zone: ZoneInfo) -> float:
    """Return the first instant of a day: where the clocks skip midnight, the instant at which they do."""
    return datetime.combine(day, time.min, zone).astimezone(UTC).timestamp()


def _read(text: str) -> datetime | None:
    if (found := _COMPACT.fullmatch(text)) is not None:
        year, month, day, hour, minute, second, offset = found.groups()
        text = f"{year}-{month}-{day}"
        if hour is not None:
            text += f"T{hour}:{minute}:{second}{offset}"
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
