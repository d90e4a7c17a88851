"""Says whether a job runs by itself, and when it begins."""

from __future__ import annotations

from reconciler.core import quarantine
from reconciler.core.standing import Standing
from reconciler.runtime.health import terms_of
from reconciler.runtime.world import Plan


def runs_by_itself(standing: Standing) -> bool:
    """Return whether a job runs when it is due: it is neither paused nor stopped."""
    return standing.paused is None and standing.stopped_at is None


def begins_at(plan: Plan, standing: Standing, due: float | None, now: float) -> float:
    """Return when a job begins that does not run now: when it is due, at once where it is overdue.

    Never later than its interval, or its quarantine, asks for: the moment may have been written down under a longer
    interval, or by a clock that was wrong.
    """
    if due is None:
        return now
    return min(max(now, due), quarantine.next_turn(standing, terms_of(plan), now, now))
