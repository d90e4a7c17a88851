"""Runs the work of one source that blocks in one thread of its own, one piece after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio

T = TypeVar("T")


class OneThread:
    """A thread that begins with its first work."""

    __slots__ = ("_executor",)

    def __init__(self, source: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"source-{source}")

    async def do(self, work: Callable[[], T]) -> T:
        """Run work to its end, also when the caller is cut off: nobody else may begin before it has ended."""
        running = asyncio.get_running_loop().run_in_executor(self._executor, work)
        with anyio.CancelScope(shield=True):
            await asyncio.wait((running,))
        return running.result()

    def end(self) -> None:
        self._executor.shutdown(wait=False)
