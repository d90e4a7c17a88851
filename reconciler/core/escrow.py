"""Says when an operation that failed is tried again (docs/quarantine.md)."""

from __future__ import annotations

from reconciler.core.outcomes import ERROR_CODES, Fault
from reconciler.core.records import Escrow

KEPT_SECONDS = 28 * 86400.0
"""So long after its first failure an operation is tried again; then only when its entry or the rules change."""

_HOUR = 3600.0
WAITS_SECONDS = (0.0, 6 * _HOUR, 12 * _HOUR, 24 * _HOUR)
"""After the first, second, third, and every later failure. None after the first: the next cycle tries it."""

OF_AN_OUTAGE = frozenset(
    ERROR_CODES[fault] for fault in (Fault.UNREACHABLE, Fault.INTERRUPTED, Fault.THROTTLED, Fault.SERVER_ERROR)
)
"""What entries fail with that are well themselves, when their target is not."""


def after_failure(previous: Escrow | None, now: float, error_code: str, reason: str) -> tuple[Escrow, float | None]:
    """Return what to remember of a failure, and when to try again: `now` is the next cycle, None is never."""
    failures = 1 if previous is None else previous.failures + 1
    first_failed_at = now if previous is None else previous.first_failed_at
    escrow = Escrow(failures, first_failed_at, error_code, reason)
    if now - first_failed_at >= KEPT_SECONDS:
        return escrow, None
    return escrow, now + WAITS_SECONDS[min(failures, len(WAITS_SECONDS)) - 1]
