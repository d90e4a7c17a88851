"""Measures the store: pages compared, batches committed, memberships looked up, and the memory that it takes.

Run `python benchmarks/store.py [USERS]`; it prints one line a figure and removes what it wrote.
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import cache
from pathlib import Path

from reconciler.core.model import Identity, SourceId, TargetId
from reconciler.core.records import Link, LogRecord, Record, Step, Verdict
from reconciler.ports import Batch, GroupMembers, JobState, Seen
from reconciler.store.sql import SqlStore

PAGE = 1000
GROUPS = 200


@cache
def source_id(n: int) -> SourceId:
    """Return an id as directories make them: without order, so that every look-up goes to another place."""
    return SourceId(hashlib.blake2b(str(n).encode(), digest_size=16).hexdigest())


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def record(n: int, fingerprint: bytes) -> Record:
    agreed = {
        "userName": f"user{n}@example.com",
        "externalId": source_id(n),
        "displayName": f"Given{n} Family{n}",
        "name.givenName": f"Given{n}",
        "name.familyName": f"Family{n}",
        "title": "Engineer",
        "active": True,
        'emails[type eq "work"].value': f"user{n}@example.com",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "Research",
    }
    return Record(
        kind="user",
        source_id=source_id(n),
        fingerprint=fingerprint,
        verdict=Verdict.IN_SCOPE,
        why="assigned through APP-Phone",
        name=f"user{n}@example.com",
        link=Link(TargetId(hashlib.blake2b(f"t{n}".encode(), digest_size=16).hexdigest()), "created", agreed, 1.0),
    )


def logged(record: Record) -> LogRecord:
    assert record.link is not None
    return LogRecord(
        at=1.0,
        kind="user",
        source_id=record.source_id,
        name=record.name,
        action="create",
        operation="create",
        status="success",
        target_id=record.link.target_id,
        steps=(
            Step("scoping", "success", "assigned through APP-Phone"),
            Step("matching", "success", "no account has this userName"),
            Step("export", "success", "created"),
        ),
        modified=tuple((path, None, value) for path, value in record.link.agreed.items()),
        took_ms=12,
    )


async def timed(label: str, users: int, work: Callable[[], Awaitable[None]]) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    await work()
    took, burnt = time.perf_counter() - began, time.process_time() - cpu
    per_page = took / (users / PAGE) * 1000
    print(
        f"{label:44} {users / took:10,.0f}/s {per_page:8.2f} ms a page {burnt:7.2f} s CPU  peak {peak_mib():6.0f} MiB"
    )


async def measure(directory: Path, users: int) -> None:
    store = await SqlStore.open(f"sqlite:///{directory}/state.db", write=True, clock_now=0.0, process="benchmark")
    source, target = Identity("file", "users.jsonl", "id"), Identity("scim", "https://scim.example.com")
    state = await store.open_job("phone", source, target, 0.0)
    prints = [b"p" * 16, b"q" * 16]

    async def commit_all(log: bool, fingerprint: bytes) -> None:
        for start in range(0, users, PAGE):
            records = [record(n, fingerprint) for n in range(start, min(start + PAGE, users))]
            known = await store.records(state.job_id, "user", [r.source_id for r in records])
            for r in records:
                r.row_id = known[r.source_id].row_id if r.source_id in known else None
            batch = Batch(records=records, log=[logged(r) for r in records] if log else [])
            assert not await store.commit(state.job_id, state.epoch, batch)

    async def compare_all(fingerprint: bytes, seen: Seen) -> None:
        for start in range(0, users, PAGE):
            page = [(source_id(n), fingerprint) for n in range(start, min(start + PAGE, users))]
            await store.compare(state.job_id, "user", page, seen, 0.0)

    await timed("commit, new, with log (incl. making them)", users, lambda: commit_all(True, prints[0]))
    await timed("commit, known, no log (incl. making them)", users, lambda: commit_all(False, prints[0]))
    await bare_commits(store, state, directory, users)
    state = await store.open_job("phone", source, target, 0.0)
    seen = Seen(state.ceiling)
    await timed("compare, unchanged", users, lambda: compare_all(prints[0], seen))
    await timed("compare, all changed", users, lambda: compare_all(prints[1], seen))

    async def unseen() -> None:
        assert not await store.unseen(state.job_id, "user", seen, state.ceiling, 0, PAGE)
        assert await store.linked_count(state.job_id) == users

    await timed("unseen (none) and linked_count", users, unseen)
    await memberships(store, state, users)
    await store.close()


async def bare_commits(store: SqlStore, state: JobState, directory: Path, users: int) -> None:
    """Time commit alone, on batches made beforehand."""
    batches = []
    for page in range(min(10, users // PAGE)):
        records = [record(users + page * PAGE + n, b"p" * 16) for n in range(PAGE)]
        batches.append(Batch(records=records, log=[logged(r) for r in records]))

    async def commits() -> None:
        for batch in batches:
            await store.commit(state.job_id, state.epoch, batch)

    await timed("commit alone, new, with log", len(batches) * PAGE, commits)
    await bare_sqlite(directory, len(batches))
    await timed("commit alone, known, with log", len(batches) * PAGE, commits)
    gone = [(r.kind, r.source_id) for batch in batches for r in batch.records]
    await store.commit(state.job_id, state.epoch, Batch(forget=gone))


async def bare_sqlite(directory: Path, pages: int) -> None:
    """Time the sqlite3 module alone on the newest rows, into tables and indexes like the store's: the floor."""
    with closing(sqlite3.connect(directory / "bare.db", isolation_level=None)) as bare:
        bare.execute("ATTACH ? AS state", [str(directory / "state.db")])
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -16384", "wal_autocheckpoint = 16384"):
            bare.execute(f"PRAGMA main.{pragma}")
        batches = {}
        for table in ("entries", "provisioning_log"):
            for (sql,) in bare.execute("SELECT sql FROM state.sqlite_master WHERE tbl_name = ? AND sql > ''", [table]):
                bare.execute(sql)
            rows = bare.execute(f"SELECT * FROM state.{table} ORDER BY 1 DESC LIMIT {pages * PAGE}").fetchall()
            insert = f"INSERT INTO main.{table} VALUES ({','.join('?' * len(rows[0]))})"
            batches[insert] = rows[::-1]
        bare.execute("DETACH state")

        async def inserts() -> None:
            for start in range(0, pages * PAGE, PAGE):
                bare.execute("BEGIN IMMEDIATE")
                for insert, rows in batches.items():
                    bare.executemany(insert, rows[start : start + PAGE])
                bare.execute("COMMIT")

        await timed("  the same rows through bare sqlite3", pages * PAGE, inserts)


async def memberships(store: SqlStore, state: JobState, users: int) -> None:
    groups = [
        GroupMembers(SourceId(f"g{g}"), f"Group {g}", [source_id(n) for n in range(users) if n % GROUPS in (g, g // 2)])
        for g in range(GROUPS)
    ]
    groups.append(GroupMembers(SourceId("all"), "All", [g.group_id for g in groups]))

    async def stage() -> None:
        for start in range(0, len(groups), 50):
            await store.stage_memberships(state.job_id, groups[start : start + 50], additive=False)

    async def ask(nested: bool) -> None:
        wanted = [SourceId("g1"), SourceId("g7"), SourceId("all")]
        for start in range(0, users, PAGE):
            page = [source_id(n) for n in range(start, min(start + PAGE, users))]
            await store.memberships(state.job_id, page, wanted, nested=nested)

    async def deltas() -> None:
        for group in groups:
            await store.member_delta(state.job_id, group.group_id)

    await timed("stage memberships, new", users, stage)
    await timed("stage memberships, unchanged", users, stage)
    await timed("memberships, direct", users, lambda: ask(False))
    await timed("memberships, nested", users, lambda: ask(True))
    await timed("member_delta of every group", users, deltas)


def main() -> None:
    users = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    print(f"{users:,} users; before anything {peak_mib():.0f} MiB")
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(measure(Path(directory), users))
        sizes = sum(file.stat().st_size for file in Path(directory).iterdir())
        print(f"state on disk {sizes / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
