"""Decides how long to wait before a call is sent again.

A call is sent again only where that cannot do harm: the target did not take it (throttled, unreachable), or doing it
twice is the same as doing it once.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from reconciler.core.outcomes import Fault

BASE_SECONDS = 0.5
CAP_SECONDS = 30.0
ASKED_MAX_SECONDS = 300.0
"""What a target asks beyond this is left for a later cycle: no cycle sleeps for an hour."""
UNREACHABLE_SECONDS = 20.0
"""So long in all a target that is out of reach is tried: a dead one ends a cycle within 30 s."""
ATTEMPTS_MAX = 4
THROTTLED_ATTEMPTS_MAX = 8

_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


def next_wait(
    fault: Fault,
    attempt: int,
    elapsed_seconds: float,
    asked_seconds: float | None,
    dice_value: float,
    *,
    idempotent: bool,
) -> float | None:
    """Return seconds to wait before the next attempt, or None to leave it.

    `attempt` counts the attempts made, from 1; `elapsed_seconds` is since the first began; `asked_seconds` what the
    target asked for (Retry-After); `dice_value` is between 0 and 1. Waits grow exponentially with full jitter; what the
    target asked for is never undercut, and stretched by up to a tenth so that not everybody comes back at once.
    """
    assert attempt >= 1
    match fault:
        case Fault.THROTTLED:
            return _wait(attempt, THROTTLED_ATTEMPTS_MAX, asked_seconds, dice_value)
        case Fault.UNREACHABLE:
            wait = _wait(attempt, ATTEMPTS_MAX, None, dice_value)
            return wait if wait is not None and elapsed_seconds + wait < UNREACHABLE_SECONDS else None
        case Fault.INTERRUPTED | Fault.SERVER_ERROR:
            return _wait(attempt, ATTEMPTS_MAX, asked_seconds, dice_value) if idempotent else None
        case _:
            return None


def parse_retry_after(header: str, now_epoch: float) -> float | None:
    """Return the seconds that a Retry-After header asks to wait: a number or an HTTP date (RFC 9110 §10.2.3).

    A date in the past is 0. None: the header says nothing that can be understood.
    """
    text = header.strip()
    if _DECIMAL.fullmatch(text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    try:
        return max(0.0, date.timestamp() - now_epoch)
    except (ValueError, OverflowError):
        return None


def _wait(attempt: int, attempts_max: int, asked_seconds: float | None, dice_value: float) -> float | None:
    if attempt >= attempts_max:
        return None
    if asked_seconds:
        return asked_seconds * (1 + 0.1 * dice_value) if asked_seconds <= ASKED_MAX_SECONDS else None
    return dice_value * min(CAP_SECONDS, BASE_SECONDS * 2.0 ** (attempt - 1))
