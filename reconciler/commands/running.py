"""Runs a command's coroutine, on uvloop where it is installed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import anyio

from reconciler import logs

if TYPE_CHECKING:
    from reconciler.runtime.events import Event

_Result = TypeVar("_Result")

COLLECT_AFTER = (50_000, 50, 100)
"""A page makes some ten thousand values that live until it is written down: looking for garbage earlier finds none."""
_CYCLES_MAX = 20
"""So many may end before garbage is looked for although others run."""
_SWITCH_SECONDS = 0.0005
"""The store works in a thread of its own, in bursts: the loop must not wait 5 ms for its turn after each call."""


class Tidying:
    """Looks for garbage when cycles have ended: the rare looking while one runs would let that of many gather."""

    def __init__(self) -> None:
        self._running = self._ended = 0

    def hear(self, event: Event) -> None:
        """Take note of an event of the daemon."""
        if event.name == "cycle.started":
            self._running += 1
        elif event.name == "cycle.ended":
            self._running -= 1
            self._ended += 1
            if self._running <= 0 or self._ended >= _CYCLES_MAX:
                self._running, self._ended = max(self._running, 0), 0
                gc.collect()


def run_async(work: Callable[[], Awaitable[_Result]], *, log_level: str = "warning") -> _Result:
    """Run to the end and return what comes back. What is logged meanwhile goes to stderr, never to stdout."""
    logs.configure(level=log_level)
    gc.freeze()  # what was imported stays: it need not be looked through again and again
    gc.set_threshold(*COLLECT_AFTER)
    sys.setswitchinterval(_SWITCH_SECONDS)
    return anyio.run(work, backend_options={"use_uvloop": find_spec("uvloop") is not None})
