"""What a run on demand came to: the five steps of each entry, as people and as Graph's provisionOnDemand show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import orjson

from reconciler.core.model import Kind, SourceId
from reconciler.core.reasons import Reason
from reconciler.core.summary import provisioning_summary
from reconciler.ports import Diagnosis

Row = dict[str, Any]
"""One record of the provisioning log, as the store gives it."""
Status = Literal["success", "warning", "skipped", "failure"]
State = Literal["active", "held", "incomplete", "unreachable"]

STEPS = ("Test the connection", "Import", "Determine the scope", "Match", "Perform the action")
_RESULTS: Mapping[Status, str] = {
    "success": "Success",
    "warning": "Warning",
    "skipped": "Skipped",
    "failure": "Failure",
}


class Shown(NamedTuple):
    """One of the five steps, with its values."""

    status: Status
    description: str
    details: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Subject:
    """One user or group, and what the steps came to. The steps that were not reached are left out."""

    kind: Kind
    id: SourceId
    name: str
    steps: tuple[Shown, ...]
    rows: tuple[Row, ...] = ()
    error_code: Reason | Literal[""] = ""
    unknown: bool = False
    """It cannot be told what is to be done, because the source was not read whole."""

    @property
    def status(self) -> Status:
        return self.steps[-1].status

    @property
    def why(self) -> str:
        return self.steps[-1].description

    @classmethod
    def not_reached(cls, kind: Kind, id_: SourceId, name: str, lines: Sequence[Diagnosis]) -> Subject:
        return cls(kind, id_, name, (connection(lines),), error_code="Unreachable")

    @classmethod
    def not_taken(
        cls,
        kind: Kind,
        id_: SourceId,
        lines: Sequence[Diagnosis],
        code: Reason,
        why: str,
        *,
        status: Status = "failure",
    ) -> Subject:
        """Return a subject of which nothing was decided: another has it in hand, or it takes no part."""
        steps = (connection(lines), Shown(status, why))
        return cls(kind, id_, "", steps, error_code=code, unknown=code == "SourceNotRead")

    def as_dict(self) -> dict[str, Any]:
        """Return it with the two texts of Graph's answer: `key` the result, `value` the log entries."""
        error = {"errorCode": self.error_code, "errorMessage": self.why if self.error_code else ""}
        told = [provisioning_summary(row) for row in self.rows]
        return {
            "key": orjson.dumps({"result": _RESULTS[self.status], "details": error}).decode(),
            "value": orjson.dumps(told).decode(),
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "result": _RESULTS[self.status],
            "error_code": self.error_code,
            "steps": [
                {
                    "number": number,
                    "name": name,
                    "status": step.status,
                    "description": step.description,
                    "details": step.details,
                }
                for number, (name, step) in enumerate(zip(STEPS, self.steps, strict=False), 1)
            ],
            "log": told,
        }


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A run on demand that has ended."""

    job: str
    cycle_id: str
    """In the log: of its own, or of the cycle beside which it ran."""
    state: State
    subjects: tuple[Subject, ...]
    problems: tuple[str, ...] = ()
    beside_cycle: bool = False
    safeguard: str = ""
    """The arithmetic of the safeguard, where something was to be taken away."""
    dry_run: bool = False
    started_at: float = 0.0
    duration_seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The contract's: 4 > 3 > 1 > 0."""
        if self.state in ("unreachable", "incomplete"):
            return 4
        if self.state == "held":
            return 3
        return 1 if any(subject.status == "failure" for subject in self.subjects) else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `provision --json` prints."""
        return {
            "job": self.job,
            "cycle_id": self.cycle_id,
            "dry_run": self.dry_run,
            "state": self.state,
            "exit_code": self.exit_code,
            "started_at": datetime.fromtimestamp(self.started_at, UTC).isoformat(timespec="milliseconds"),
            "duration_seconds": round(self.duration_seconds, 3),
            "beside_cycle": self.beside_cycle,
            "requests": dict(self.requests),
            "safeguard": self.safeguard,
            "problems": list(self.problems),
            "results": [subject.as_dict() for subject in self.subjects],
        }


def connection(lines: Sequence[Diagnosis]) -> Shown:
    """Return the first step."""
    bad = [line for line in lines if not line.ok]
    details = {"lines": [{"step": one.step, "ok": one.ok, "text": one.text, "hint": one.hint} for one in lines]}
    if bad:
        return Shown("failure", bad[0].text + (f" ({bad[0].hint})" if bad[0].hint else ""), details)
    return Shown("success", "the target answers and takes our credential", details)
