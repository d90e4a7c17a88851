"""Collects why a part of what Microsoft Graph holds could not be read."""

from __future__ import annotations

from reconciler.core.outcomes import Failed
from reconciler.ports import ReadEnd
from reconciler.ports.source import Part
from reconciler.sources.graph_wire import Unreadable


class Problems:
    """Each is told once, with the place that it is about."""

    __slots__ = ("_fault", "_found", "_where")

    def __init__(self, where: str) -> None:
        self._where = where
        self._found: dict[str, None] = {}
        self._fault: Failed | None = None

    def add(self, why: str) -> None:
        self._found[f"{self._where}: {why}"] = None

    def unreadable(self, error: Unreadable) -> None:
        self.add(error.why)
        self._fault = self._fault or error.fault

    def end(self, part: Part, *, delta: bool = False) -> ReadEnd:
        complete = not self._found
        return ReadEnd(part, complete=complete, problems=tuple(self._found), delta=delta, fault=self._fault)
