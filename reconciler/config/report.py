"""Collects what is wrong and what is doubtful while a document becomes a configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reconciler.config.reading import Document, Place
from reconciler.config.shape import Finding, Shape, at
from reconciler.config.tables import ConfigTable
from reconciler.errors import ConfigError, Problem


@dataclass(slots=True)
class Report:
    """The findings about one document, in terms of its places."""

    document: Document
    shape: Shape[ConfigTable]
    problems: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    outside: list[Problem] = field(default_factory=list)
    """Problems of other files: a profile, a list of assignments."""

    def problem(self, place: Place, problem: str, hint: str = "") -> None:
        """Note a problem; `place` counts list positions in the sound tables."""
        self.problems.append(Finding(self.shape.written(place), problem, hint))

    def warning(self, place: Place, problem: str, hint: str = "") -> None:
        self.warnings.append(Finding(self.shape.written(place), problem, hint))

    def where(self, place: Place) -> str:
        return self.document.where(self.shape.written(place))

    def whole(self, place: Place) -> bool:
        """Whether everything at this place was sound, so that what is not there was not meant."""
        return self.shape.whole(self.shape.written(place))

    def written(self, *place: str) -> Any:
        """Return what was written at a place, sound or not."""
        return at(self.document.tables, place)

    def written_at(self, place: Place) -> Any:
        """Return what was written at a place that counts list positions in the sound tables."""
        return at(self.document.tables, self.shape.written(place))

    def raise_for_problems(self) -> None:
        """Raise ConfigError with every problem, in the order of the document."""
        found = [*self.document.problems, *self._in_order([*self.shape.findings, *self.problems]), *self.outside]
        if found:
            raise ConfigError(*dict.fromkeys(found))

    def all_warnings(self) -> tuple[Problem, ...]:
        return tuple(dict.fromkeys(self._in_order(self.warnings)))

    def _in_order(self, findings: list[Finding]) -> list[Problem]:
        ordered = sorted(findings, key=lambda finding: _position(self.document.tables, finding.place))
        return [Problem(self.document.where(one.place), one.problem, one.hint, one.excerpt) for one in ordered]


def _position(tables: Any, place: Place) -> tuple[int, ...]:
    """Return how far down in the document a place is; what is not there comes after its neighbours."""
    positions: list[int] = []
    for part in place:
        if isinstance(part, int):
            positions.append(part)
        else:
            keys = list(tables) if isinstance(tables, dict) else []
            positions.append(keys.index(part) if part in keys else len(keys))
        tables = at(tables, (part,))
    return tuple(positions)
