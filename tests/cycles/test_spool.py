"""Operations that do not fit into memory wait in the store, and nobody waits for them but who fetches them."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from reconciler.core.decisions import Operation
from reconciler.core.model import SourceId
from reconciler.core.records import Record, Verdict
from reconciler.ports import Store
from reconciler.runtime import spool
from reconciler.runtime.spool import Spool


class _SlowShelf:
    """Keeps blobs, and gives them back when it is told to."""

    def __init__(self) -> None:
        self.blobs: list[bytes] = []
        self.asked, self.may_answer = anyio.Event(), anyio.Event()

    async def spool(self, job_id: int, queue: str, blobs: Sequence[bytes]) -> None:
        self.blobs += blobs

    async def unspool(self, job_id: int, queue: str, limit: int) -> list[bytes]:
        self.asked.set()
        await self.may_answer.wait()
        taken, self.blobs = self.blobs[:limit], self.blobs[limit:]
        return taken


def _operations(count: int) -> list[Operation]:
    ids = [SourceId(f"s{number}") for number in range(count)]
    return [Operation("create", Record("user", one), "in scope", Verdict.IN_SCOPE, None) for one in ids]


async def test_while_one_fetches_more_the_others_go_on_and_the_order_stays() -> None:
    shelf = _SlowShelf()
    store: Store = shelf  # type: ignore[assignment]  # because only these two calls are made of it
    waiting = Spool(store, 1)
    planned = _operations(spool.IN_MEMORY_MAX + 2 * spool.PER_BLOB + 1)
    await waiting.put(planned[: spool.IN_MEMORY_MAX])
    await waiting.put(planned[spool.IN_MEMORY_MAX :])
    waiting.close()
    taken: list[Operation | None] = []
    while len(taken) <= spool.IN_MEMORY_MAX - spool.REFILL_BELOW:
        taken.append(await waiting.take())
    async with anyio.create_task_group() as workers:
        fetched: list[Operation | None] = []

        async def fetch() -> None:
            fetched.append(await waiting.take())

        workers.start_soon(fetch)
        await shelf.asked.wait()
        taken.append(await waiting.take())  # not in need of what is being fetched
        shelf.may_answer.set()
    taken += fetched
    while (operation := await waiting.take()) is not None:
        taken.append(operation)
    assert taken == planned
