"""What is known of the cycles that the daemon runs: which are asked for, which run, what came of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import anyio

from reconciler.runtime.report import CycleReport
from reconciler.runtime.showing import Following

EXIT_STOPPED = 2
"""Of a cycle that left no report: the state or the configuration stands against it."""


class Ticket(NamedTuple):
    """A cycle that somebody asked for: events and the job's last cycle name it by this number."""

    job: str
    run: int
    queued: bool
    """Another cycle of the job is running; this one follows it."""


class Asked(NamedTuple):
    """A cycle that is to be run."""

    number: int
    full: bool
    by: str
    """Who asked for it; empty: its time has come, or the configuration changed."""
    occasion: str = ""
    """What made it run before its time, where that was no person."""


@dataclass(slots=True)
class Run:
    """A cycle that runs now."""

    number: int
    """Counts the cycles since the daemon was started."""
    began: float
    full: bool
    by: str
    occasion: str = ""
    """As in `Asked`."""
    stop: anyio.Event = field(default_factory=anyio.Event)
    """Ends it between two requests."""
    stopped_by: str = ""
    over: bool = False
    """What came of it is told; only when the job is due again is yet to be written down."""
    following: Following | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a cycle."""

    number: int
    at: float
    report: CycleReport | None
    problem: str
    """Why there is no report."""

    def as_json(self) -> dict[str, Any]:
        report = self.report
        return {
            "run": self.number,
            "ended": self.at,
            "exit_code": report.exit_code if report is not None else EXIT_STOPPED,
            "problem": self.problem,
            "report": report.as_dict() if report is not None else None,
        }
