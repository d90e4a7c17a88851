"""Runs a command's coroutine, on uvloop where it is installed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar

import anyio

from reconciler import logs

_Result = TypeVar("_Result")

_COLLECT_AFTER = (50_000, 50, 100)
"""A page makes some ten thousand values that live until it is written down: looking for garbage earlier finds none."""
_SWITCH_SECONDS = 0.0005
"""The store works in a thread of its own, in bursts: the loop must not wait 5 ms for its turn after each call."""


def run_async(work: Callable[[], Awaitable[_Result]], *, log_level: str = "warning") -> _Result:
    """Run to the end and return what comes back. What is logged meanwhile goes to stderr, never to stdout."""
    logs.configure(level=log_level)
    gc.freeze()  # what was imported stays: it need not be looked through again and again
    gc.set_threshold(*_COLLECT_AFTER)
    sys.setswitchinterval(_SWITCH_SECONDS)
    return anyio.run(work, backend_options={"use_uvloop": find_spec("uvloop") is not None})
