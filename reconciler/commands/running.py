"""Runs a command's coroutine, on uvloop where it is installed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar

import anyio

_Result = TypeVar("_Result")


def run_async(work: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run to the end and return what comes back."""
    return anyio.run(work, backend_options={"use_uvloop": find_spec("uvloop") is not None})
