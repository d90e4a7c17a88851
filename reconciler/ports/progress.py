"""What shows long work to a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Shows long work to a person; says nothing where nobody looks."""

    def advance(self, part: str, done: int, total: int | None = None) -> None: ...

    def follow(self, counts: Mapping[str, int]) -> None:
        """Take the cycle's own counts of what was done, by word: they go on growing while it runs."""
        ...
