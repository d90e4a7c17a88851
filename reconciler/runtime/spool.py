"""Keeps operations until they are sent: in memory up to some thousands, then in the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

import anyio
import orjson

from reconciler.core.decisions import Leave, Operation, Pending
from reconciler.core.model import Cause, Change
from reconciler.core.outcomes import Account
from reconciler.core.records import Escrow, Link, Record, Verdict
from reconciler.ports import Store

IN_MEMORY_MAX = 12_000
PER_BLOB = 250
REFILL_BELOW = 1000


class Spool:
    """Two queues, urgent before ordinary. Reading never waits for the target, and memory stays flat."""

    def __init__(self, store: Store, job_id: int) -> None:
        self._store, self._job_id = store, job_id
        self._urgent: deque[Operation] = deque()
        self._ordinary: deque[Operation] = deque()
        self._overflow: list[Operation] = []
        self._stored = 0
        self.planned = 0
        """How many operations came so far."""
        self._closed = False
        self._changed = anyio.Event()
        self._refilling = anyio.Lock()

    async def put(self, operations: Sequence[Operation]) -> None:
        """Add ordinary operations, behind all others."""
        self.planned += len(operations)
        room = IN_MEMORY_MAX - len(self._ordinary)
        if self._stored or self._overflow or len(operations) > room:
            self._overflow.extend(operations)
            await self._store_overflow()
        else:
            self._ordinary.extend(operations)
        self._wake()

    def put_urgent(self, operations: Sequence[Operation]) -> None:
        """Add operations that go before every ordinary one that still waits."""
        self.planned += len(operations)
        self._urgent.extend(operations)
        self._wake()

    def close(self) -> None:
        """Say that nothing more comes: `take` ends when all is taken."""
        self._closed = True
        self._wake()

    def reopen(self) -> None:
        """Take more, after everything was taken."""
        self._closed = False

    async def take(self) -> Operation | None:
        """Return the next operation; wait for one; None at the end."""
        while True:
            if self._urgent:
                return self._urgent.popleft()
            if self._stored and len(self._ordinary) < REFILL_BELOW and not self._refilling.locked():
                await self._refill()  # who notices first fetches more, and the others need not wait for the store
                continue
            if self._ordinary:
                return self._ordinary.popleft()
            if self._stored or self._overflow:
                await self._refill()
                continue
            if self._closed:
                return None
            await self._changed.wait()

    def _wake(self) -> None:
        waiting, self._changed = self._changed, anyio.Event()
        waiting.set()

    async def _store_overflow(self) -> None:
        async with self._refilling:
            full = len(self._overflow) // PER_BLOB * PER_BLOB
            rows, self._overflow = self._overflow[:full], self._overflow[full:]
            blobs = [_pack(rows[i : i + PER_BLOB]) for i in range(0, full, PER_BLOB)]
            if blobs:
                await self._store.spool(self._job_id, "ordinary", blobs)
                self._stored += len(blobs)

    async def _refill(self) -> None:
        async with self._refilling:
            if self._urgent or len(self._ordinary) >= REFILL_BELOW:
                return
            if self._stored:
                blobs = await self._store.unspool(self._job_id, "ordinary", 4)
                self._stored -= len(blobs)
                for blob in blobs:
                    self._ordinary.extend(_unpack(blob))
                return
            if self._ordinary:
                return
            self._ordinary.extend(self._overflow)
            self._overflow.clear()


_of_operation = attrgetter(*(field.name for field in fields(Operation) if field.name != "record"))
_of_record = attrgetter(*(field.name for field in fields(Record)))
"""Values in the order of the fields: their names in each operation would take longer to read than all the rest."""
_VERDICTS = {verdict.value: verdict for verdict in Verdict}


def _pack(operations: Sequence[Operation]) -> bytes:
    return orjson.dumps([(_of_record(o.record), _of_operation(o)) for o in operations], default=_as_json)


def _as_json(value: object) -> object:
    match value:
        case bytes():
            return value.hex()
        case frozenset() | tuple():
            return list(value)
        case _:
            raise TypeError(type(value).__name__)


def _unpack(blob: bytes) -> list[Operation]:
    return [_operation(of_record, of_operation) for of_record, of_operation in orjson.loads(blob)]


def _operation(of_record: Sequence[Any], of_operation: Sequence[Any]) -> Operation:
    word, why, verdict, fingerprint, changes, resource, account, *more = of_operation
    pending, match, cause, redacted, in_doubt, due_at, beside, *last = more
    return Operation(
        *(word, _record(of_record), why, _VERDICTS[verdict], _bytes(fingerprint)),
        tuple([Change(*one) for one in changes]),
        resource,
        Account(*account) if account is not None else None,
        tuple([Pending(**one) for one in pending]),
        _pairs(match),
        Cause(cause) if cause is not None else None,
        *(frozenset(redacted), in_doubt, due_at),
        _leave(beside) if beside is not None else None,
        *last,
    )


def _record(of_record: Sequence[Any]) -> Record:
    kind, source_id, row_id, fingerprint, verdict, why, name, person, link, *more = of_record
    due_at, escrow, attempted_at, attempted_match, *last = more
    return Record(
        *(kind, source_id, row_id, _bytes(fingerprint), _VERDICTS[verdict], why, name, person),
        Link(**link) if link is not None else None,
        due_at,
        Escrow(**escrow) if escrow is not None else None,
        *(attempted_at, _pairs(attempted_match)),
        *last,
    )


def _leave(row: dict[str, Any]) -> Leave:
    cause = Cause(row["leaves_disabled"]) if row["leaves_disabled"] else None
    return Leave(**{**row, "verdict": _VERDICTS[row["verdict"]], "leaves_disabled": cause})


def _pairs(rows: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple([(path, value) for path, value in rows])


def _bytes(digits: str | None) -> bytes | None:
    return bytes.fromhex(digits) if digits is not None else None
