"""Drops, after a cycle, what is older than the log's retention: a batch at a time, so that nobody waits for it."""

from __future__ import annotations

from reconciler.ports import Store

BATCH = 1000
BATCHES_MAX = 200
"""More is left for the cycles to come."""


async def prune(store: Store, before: float, now: float) -> int:
    """Drop records of the log, and what hangs on them, that are older; return how many. Others write in between."""
    gone = 0
    for _ in range(BATCHES_MAX):
        batch = await store.prune(before, now, BATCH)
        gone += batch
        if batch < BATCH:
            break
    return gone
