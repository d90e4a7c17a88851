"""Keeps operations until they are sent: in memory up to some thousands, then in the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import anyio
import orjson

from reconciler.core.decisions import Leave, Operation, Pending
from reconciler.core.model import Cause, Change, TargetId
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
            blobs = [orjson.dumps([_pack(o) for o in rows[i : i + PER_BLOB]]) for i in range(0, full, PER_BLOB)]
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
                    self._ordinary.extend(_unpack(row) for row in orjson.loads(blob))
                return
            if self._ordinary:
                return
            self._ordinary.extend(self._overflow)
            self._overflow.clear()


def _pack(operation: Operation) -> dict[str, object]:
    record = operation.record
    return {
        "word": operation.word,
        "why": operation.why,
        "verdict": operation.verdict,
        "fingerprint": operation.fingerprint.hex() if operation.fingerprint is not None else None,
        "changes": [(c.path, c.old, c.new) for c in operation.changes],
        "resource": operation.resource,
        "account": (operation.account.id, operation.account.resource) if operation.account is not None else None,
        "pending": [(p.path, p.kind, p.source_id) for p in operation.pending],
        "match": operation.match,
        "cause": operation.cause,
        "redacted": sorted(operation.redacted),
        "due_at": operation.due_at,
        "beside": operation.beside,
        "approved": operation.approved,
        "counts": operation.counts,
        "after_disable": operation.after_disable,
        "record": {
            "kind": record.kind,
            "source_id": record.source_id,
            "row_id": record.row_id,
            "fingerprint": record.fingerprint.hex() if record.fingerprint is not None else None,
            "verdict": record.verdict,
            "why": record.why,
            "name": record.name,
            "person": record.person,
            "link": record.link,
            "due_at": record.due_at,
            "escrow": record.escrow,
            "attempted_at": record.attempted_at,
            "attempted_match": record.attempted_match,
            "attempted_off_at": record.attempted_off_at,
            "off_since": record.off_since,
            "claims": record.claims,
        },
    }


_VERDICTS = {verdict.value: verdict for verdict in Verdict}


def _unpack(row: dict[str, Any]) -> Operation:
    record = dict(row["record"])
    for name, build in (("link", Link), ("escrow", Escrow)):
        if record[name] is not None:
            record[name] = build(**record[name])
    record["verdict"] = _VERDICTS[record["verdict"]]
    record["fingerprint"] = _bytes(record["fingerprint"])
    record["attempted_match"] = tuple(map(tuple, record["attempted_match"]))
    account = row["account"]
    return Operation(
        word=row["word"],
        why=row["why"],
        verdict=_VERDICTS[row["verdict"]],
        fingerprint=_bytes(row["fingerprint"]),
        changes=tuple(Change(*change) for change in row["changes"]) if row["changes"] else (),
        resource=row["resource"],
        account=Account(TargetId(account[0]), account[1]) if account else None,
        pending=tuple(Pending(*pending) for pending in row["pending"]) if row["pending"] else (),
        match=tuple(map(tuple, row["match"])),
        cause=Cause(row["cause"]) if row["cause"] else None,
        redacted=frozenset(row["redacted"]),
        due_at=row["due_at"],
        beside=_leave(row["beside"]) if row["beside"] else None,
        approved=row["approved"],
        counts=row["counts"],
        after_disable=row["after_disable"],
        record=Record(**record),
    )


def _leave(row: dict[str, Any]) -> Leave:
    cause = Cause(row["leaves_disabled"]) if row["leaves_disabled"] else None
    return Leave(**{**row, "verdict": _VERDICTS[row["verdict"]], "leaves_disabled": cause})


def _bytes(digits: str | None) -> bytes | None:
    return bytes.fromhex(digits) if digits is not None else None
