"""Shows long work on a terminal; is quiet elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reconciler.runtime.clock import NoProgress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from reconciler.ports import Progress

_WORDS = {"users": "reading users", "groups": "reading groups", "apply": "sending", "members": "group members"}


class _Shown:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def advance(self, part: str, done: int, total: int | None = None) -> None:
        if part not in self._tasks:
            self._tasks[part] = self._bars.add_task(_WORDS.get(part, part), total=total)
        self._bars.update(self._tasks[part], completed=done, total=total)

    def follow(self, counts: Mapping[str, int]) -> None:
        """The bars say enough."""


@contextmanager
def shown_progress(*, enabled: bool) -> Iterator[Progress]:
    """Give something to report progress to: bars on stderr where it is a terminal, else nothing."""
    if not (enabled and sys.stderr.isatty()):
        yield NoProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Shown(bars)
