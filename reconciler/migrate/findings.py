"""What an import says of each line: carried over, changed, or left out, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    CARRIED = "carried over"
    CHANGED = "changed"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Finding:
    outcome: Outcome
    where: str
    """The JSON path, or file and line."""
    said: str

    def __str__(self) -> str:
        return f"{self.outcome:<12}  {self.where}: {self.said}"


class Fault(Exception):
    """The file is not what it should be; nothing is imported."""

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


@dataclass(slots=True)
class Findings:
    """The report of one import, in the order of its file."""

    found: list[Finding] = field(default_factory=list)

    def carried(self, where: str, said: str) -> None:
        self.found.append(Finding(Outcome.CARRIED, where, said))

    def changed(self, where: str, said: str) -> None:
        self.found.append(Finding(Outcome.CHANGED, where, said))

    def left_out(self, where: str, said: str) -> None:
        self.found.append(Finding(Outcome.LEFT_OUT, where, said))
