"""When an operation that failed is tried again."""

from __future__ import annotations

from reconciler.core.escrow import after_failure
from reconciler.core.records import Escrow

HOUR, DAY = 3600.0, 86400.0
FIRST = 1_000_000.0


def test_the_next_cycle_then_six_twelve_and_every_twenty_four_hours_until_28_days() -> None:
    now, escrow, waits = FIRST, None, []
    while True:
        escrow, due_at = after_failure(escrow, now, "Timeout", "no answer")
        if due_at is None:
            break
        waits.append(due_at - now)
        now = due_at
    assert waits == [0.0, 6 * HOUR, 12 * HOUR, *[24 * HOUR] * 28]
    assert now - FIRST == 28 * DAY + 18 * HOUR
    assert escrow == Escrow(len(waits) + 1, FIRST, "Timeout", "no answer")


def test_the_28_days_count_from_the_first_failure() -> None:
    old = Escrow(3, FIRST, "Timeout", "no answer")
    assert after_failure(old, FIRST + 28 * DAY - 1, "Conflict", "taken")[1] == FIRST + 29 * DAY - 1
    assert after_failure(old, FIRST + 28 * DAY, "Conflict", "taken") == (Escrow(4, FIRST, "Conflict", "taken"), None)


def test_the_newest_failure_is_the_one_remembered_and_the_old_value_is_left_alone() -> None:
    old = Escrow(1, FIRST, "Timeout", "no answer")
    new, _ = after_failure(old, FIRST + HOUR, "Conflict", "taken")
    assert (new.failures, new.error_code, new.reason) == (2, "Conflict", "taken")
    assert old == Escrow(1, FIRST, "Timeout", "no answer")
