"""Plain values for the tests of the store, and the job that they happen in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.core.model import Identity, Kind, SourceId, TargetId
from reconciler.core.records import Link, LogRecord, Record, Verdict
from reconciler.ports import Batch, JobState, Seen
from reconciler.store.sql import SqlStore

SOURCE = Identity("file", "users.jsonl", "id")
TARGET = Identity("scim", "https://scim.example.com")
OTHER = Identity("scim", "https://other.example.com")


def sid(text: str) -> SourceId:
    return SourceId(text)


def tid(text: str) -> TargetId:
    return TargetId(text)


def ids(*texts: str) -> list[SourceId]:
    return [SourceId(text) for text in texts]


def print_of(text: str) -> bytes:
    return text.encode().ljust(16, b".")


def linked(source_id: str, target_id: str, *, kind: Kind = "user", **fields: Any) -> Record:
    """Return an entry in scope with an account."""
    link = Link(tid(target_id), "created", {"userName": source_id}, linked_at=1.0)
    return Record(kind, sid(source_id), **{"verdict": Verdict.IN_SCOPE, "link": link, **fields})


def unlinked(source_id: str, *, kind: Kind = "user", **fields: Any) -> Record:
    return Record(kind, sid(source_id), **{"verdict": Verdict.OUT_OF_SCOPE, **fields})


def logged(source_id: str, **fields: Any) -> LogRecord:
    defaults: dict[str, Any] = {
        "at": 10.0,
        "kind": "user",
        "name": source_id,
        "action": "create",
        "operation": "create",
        "status": "success",
    }
    return LogRecord(source_id=sid(source_id), **{**defaults, **fields})


@dataclass
class Work:
    """A job with an open cycle."""

    store: SqlStore
    state: JobState
    name: str

    @property
    def id(self) -> int:
        return self.state.job_id

    async def commit(self, *records: Record, **batch: Any) -> Sequence[tuple[Kind, SourceId]]:
        return await self.store.commit(self.id, self.state.epoch, Batch(records=records, **batch))

    async def next_cycle(self, now: float = 100.0) -> None:
        self.state = await self.store.open_job(self.name, SOURCE, TARGET, now)

    async def close(self, *, watermark: str | None = None, rules: str | None = None, now: float = 50.0) -> None:
        await self.store.close_cycle(
            self.id, self.state.epoch, watermark=watermark, rules=rules, summary={"state": "active"}, now=now
        )

    async def record(self, source_id: str, kind: Kind = "user") -> Record:
        return (await self.store.records(self.id, kind, ids(source_id)))[sid(source_id)]

    def seen(self) -> Seen:
        return Seen(self.state.ceiling)


async def open_work(store: SqlStore, name: str = "phone", target: Identity = TARGET) -> Work:
    return Work(store, await store.open_job(name, SOURCE, target, 1.0), name)
