"""Judges the machine's clock by the newest time that the state holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

DOUBTED_SECONDS = 86400.0
"""By so much a clock may differ from the newest time without being doubted: one that is set goes by minutes."""
AHEAD_SECONDS = 90 * 86400.0
"""After so long without a cycle nobody can say whether we were off, or the clock is ahead."""
RESPITE_SECONDS = 86400.0
"""So long nothing is deleted then: whoever minds the clock has set it by that time."""


@dataclass(frozen=True, slots=True)
class Leap:
    """The clock was more than a day ahead of the newest time: we were off for long, or it was set."""

    before: float
    """The newest time that the state held."""
    after: float
    """What the clock said next."""

    def stays_deletes(self, now: float) -> bool:
        """Whether nothing is deleted yet: that cannot be undone, should the clock be wrong."""
        return self.after - self.before > AHEAD_SECONDS and self.after <= now < self.after + RESPITE_SECONDS

    def was_wrong(self, now: float) -> bool:
        """Whether the clock is back where it was before it leapt."""
        return self.before - DOUBTED_SECONDS <= now < self.after

    @property
    def why_deletes_wait(self) -> str:
        return (
            f"the cycle before was at {told(self.before)}, and then the clock said {told(self.after)}: nothing is"
            f" deleted before {told(self.after + RESPITE_SECONDS)}. Is the clock wrong? Set it; else approve, or wait"
        )


def is_behind(now: float, newest: float) -> bool:
    """Whether the clock says a time that is over."""
    return now < newest - DOUBTED_SECONDS


def leaps(now: float, newest: float) -> bool:
    """Whether the clock, or our absence, left out more than a day."""
    return now > newest + DOUBTED_SECONDS


def told(at: float) -> str:
    """Return a moment as people read it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
