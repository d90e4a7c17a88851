"""What a cycle came to, as the contract prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from reconciler.core.standing import Pause

State = Literal["active", "held", "quarantine", "paused", "incomplete", "unreachable"]

COUNTS = (
    "create",
    "adopt",
    "update",
    "enable",
    "disable",
    "delete",
    "members_added",
    "members_removed",
    "skip",
    "failure",
    "held",
)


@dataclass(frozen=True, slots=True)
class CycleReport:
    """One finished cycle."""

    job: str
    cycle_id: str
    kind: Literal["initial", "incremental"]
    started_at: float
    duration_seconds: float
    state: State
    users_read: int
    groups_read: int
    complete: bool
    counts: Mapping[str, int]
    requests: Mapping[str, int]
    failures: Sequence[Mapping[str, str]] = ()
    problems: Sequence[str] = ()
    """Why the read was incomplete, what is held by which arithmetic, why the target could not be worked with."""
    arithmetic: str = ""
    only: Sequence[str] = ()
    """To whom the job is restricted; empty: it is for everybody."""

    @property
    def exit_code(self) -> int:
        """The contract's: 4 > 3 > 1 > 0."""
        if self.state in ("unreachable", "incomplete"):
            return 4
        if self.state in ("held", "quarantine", "paused"):
            return 3
        return 1 if self.counts.get("failure") else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `cycle --json` prints."""
        return {
            "job": self.job,
            "cycle_id": self.cycle_id,
            "kind": self.kind,
            "started_at": datetime.fromtimestamp(self.started_at, UTC).isoformat(timespec="milliseconds"),
            "duration_seconds": round(self.duration_seconds, 3),
            "state": self.state,
            "read": {"users": self.users_read, "groups": self.groups_read, "complete": self.complete},
            "counts": {name: self.counts.get(name, 0) for name in COUNTS},
            "requests": {name: self.requests.get(name, 0) for name in ("GET", "POST", "PATCH", "PUT", "DELETE")},
            "failures": list(self.failures),
            "problems": list(self.problems),
            "safeguard": self.arithmetic,
            "only": list(self.only),
        }


def not_begun(job: str, lines: Sequence[str], now: float) -> CycleReport:
    """Return the report of a first cycle that did not begin because the connection test failed."""
    return CycleReport(
        job=job,
        cycle_id="",
        kind="initial",
        started_at=now,
        duration_seconds=0.0,
        state="unreachable",
        users_read=0,
        groups_read=0,
        complete=False,
        counts={},
        requests={},
        problems=tuple(f"the connection test failed, so the job does not start: {line}" for line in lines),
    )


def not_run(job: str, pause: Pause, now: float) -> CycleReport:
    """Return the report of a cycle that did not run because the job is paused."""
    since = datetime.fromtimestamp(pause.at, UTC).isoformat(timespec="seconds")
    why = f"the job has been paused since {since} by {pause.by}" + (f": {pause.reason}" if pause.reason else "")
    return CycleReport(
        job=job,
        cycle_id="",
        kind="incremental",
        started_at=now,
        duration_seconds=0.0,
        state="paused",
        users_read=0,
        groups_read=0,
        complete=False,
        counts={},
        requests={},
        problems=(f"{why}; `reconciler resume {job}` lets it go on",),
    )
