"""Says whether a job runs by itself, and when it begins."""

from __future__ import annotations

from reconciler.core.standing import Standing


def runs_by_itself(standing: Standing) -> bool:
    """Return whether a job runs when it is due: it is neither paused nor stopped."""
    return standing.paused is None and standing.stopped_at is None
