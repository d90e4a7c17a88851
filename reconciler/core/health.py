"""What the end of a cycle makes of how its job stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reconciler.core.notices import Notice, Settle
from reconciler.core.standing import Standing


@dataclass(frozen=True, slots=True)
class CycleEnd:
    """What a cycle came to, as far as it matters for how the job stands."""

    at: float
    good: bool
    """Both sides answered, and everything was read."""
    compared: bool
    """Everything was compared with the target."""


def compares(standing: Standing, full_interval_seconds: float, now: float) -> bool:
    """Return whether the next cycle compares everything with the target."""
    last = standing.last_full_at
    return standing.compare_next or (last is not None and now - last >= full_interval_seconds)


def after_cycle(end: CycleEnd) -> Settle:
    """Return how a job stands after a cycle, and who is to be told what."""

    def settle(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
        standing = replace(standing, last_finished_at=end.at)
        if end.good:
            standing = replace(standing, last_success_at=end.at)
        if standing.last_full_at is None or (end.good and end.compared):
            standing = replace(standing, last_full_at=end.at, compare_next=standing.compare_next and not end.good)
        return standing, ()

    return settle
