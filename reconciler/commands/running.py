"""Runs a command's coroutine, on uvloop where it is installed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar

import anyio

from reconciler import logs

_Result = TypeVar("_Result")


def run_async(work: Callable[[], Awaitable[_Result]], *, log_level: str = "warning") -> _Result:
    """Run to the end and return what comes back. What is logged meanwhile goes to stderr, never to stdout."""
    logs.configure(level=log_level)
    return anyio.run(work, backend_options={"use_uvloop": find_spec("uvloop") is not None})
