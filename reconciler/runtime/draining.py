"""Has operations planned, and sends them at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from reconciler.runtime.apply import Applier
from reconciler.runtime.spool import Spool


async def drain(produce: Callable[[], Awaitable[object]], spool: Spool, applier: Applier, *, concurrency: int) -> None:
    """Let something plan operations into the spool, and send them. What would take something away is left for later."""
    spool.reopen()
    async with anyio.create_task_group() as workers:
        for _ in range(concurrency):
            workers.start_soon(applier.work)
        await produce()
        spool.close()
    await applier.taken_names.settle()
