"""Operations that do not fit into memory wait in the store, and nobody waits for them but who fetches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import anyio

from reconciler.core.decisions import Leave, Operation, Pending
from reconciler.core.model import Cause, Change, SourceId, TargetId
from reconciler.core.outcomes import Account
from reconciler.core.records import Escrow, Link, Record, Verdict
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
    return [_whole(one) if number % 2 else _bare(one) for number, one in enumerate(ids)]


def _bare(id_: SourceId) -> Operation:
    return Operation("create", Record("user", id_), "in scope", Verdict.IN_SCOPE, None)


def _whole(id_: SourceId) -> Operation:
    """Return an operation in which no field is what it would be by itself."""
    beside = Leave("off", "RedundantExport", Verdict.GONE, due_at=2.0, leaves_disabled=Cause.GONE)
    changes = (Change("title", "Chief", None), Change("active", True, False))
    account = Account(TargetId("t3"), {"title": "Chief"})
    pending = (Pending("manager", "user", SourceId("s9")),)
    match = (("userName", "ann"), ("externalId", "E-ann"))
    about = (changes, {"title": None}, account, pending, match, Cause.ROLE_LOST, frozenset({"title"}))
    last = (True, 3.0, beside, True, "renames", True)
    return Operation("adopt", _record(id_), "matched", Verdict.ROLE_LOST, b"print", *about, *last)


def _record(id_: SourceId) -> Record:
    """Return a record in which no field is what it would be by itself."""
    link = Link(TargetId("t1"), "created", {"title": "Chief"}, 1.0, 2.0, "gone", 3.0, {"title": 2}, {"userName": 1})
    escrow = Escrow(2, 4.0, "Timeout", "no answer")
    match = (("userName", "ann"),)
    about = (b"print", Verdict.GONE, "no longer in the source", "Ann", "E-ann")
    return Record("user", id_, 7, *about, link, 5.0, escrow, 6.0, match, 8.0, 9.0, TargetId("t2"))


def test_a_record_for_the_spool_has_every_field() -> None:
    record, bare = _record(SourceId("s1")), Record("user", SourceId("s1"))
    same = {each.name for each in fields(Record) if getattr(record, each.name) == getattr(bare, each.name)}
    assert same == {"kind", "source_id"}


def test_an_operation_for_the_spool_has_every_field() -> None:
    whole, bare = _whole(SourceId("s1")), _bare(SourceId("s1"))
    assert not {each.name for each in fields(Operation) if getattr(whole, each.name) == getattr(bare, each.name)}


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
