"""Works through many items with a bounded number of workers, so that no more than that is ever under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

T = TypeVar("T")


async def each(items: Sequence[T], do: Callable[[T], Awaitable[None]], *, concurrency: int) -> None:
    """Do it for every item; begun in their order, `concurrency` at a time."""
    waiting = list(reversed(items))

    async def worker() -> None:
        while waiting:
            await do(waiting.pop())

    async with anyio.create_task_group() as tasks:
        for _ in range(min(concurrency, len(items))):
            tasks.start_soon(worker)
