"""The provisioning log: what was written comes back, the filters, what counts against the safeguard."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.records import LogRecord, Step
from reconciler.ports import LogQuery
from reconciler.store.sql import SqlStore
from tests.store.scenes import SOURCE, TARGET, Work, logged, open_work, sid, tid


async def read(store: SqlStore, **query: Any) -> list[dict[str, Any]]:
    return [row async for row in store.log(LogQuery(**query))]


async def test_a_log_record_comes_back_with_its_cycle_and_systems(store: SqlStore) -> None:
    state = await store.open_job("phone", SOURCE, TARGET, 1.0, cycle_id="c-1", asked_by="ann (uid 1000)")
    work = Work(store, state, "phone")
    record = LogRecord(
        at=12.5,
        kind="user",
        source_id=sid("ann"),
        name="Ánn",
        action="update",
        operation="adopt",
        status="warning",
        target_id=tid("t1"),
        error_code="Timeout",
        reason="no answer",
        steps=(Step("import", "success", "read"), Step("export", "warning", "sent", {"tries": 2, "codes": ["a"]})),
        modified=(("title", None, "Dr."), ("emails", [{"value": "a"}], None)),
        took_ms=7,
        approved=True,
    )
    await work.commit(log=[record])
    [row] = await read(store)
    assert row.pop("change_id")
    assert row == {
        "cycle_id": "c-1",
        "job": "phone",
        "source": "file users.jsonl (id)",
        "target": "scim https://scim.example.com",
        "at": 12.5,
        "kind": "user",
        "source_id": "ann",
        "target_id": "t1",
        "name": "Ánn",
        "action": "update",
        "operation": "adopt",
        "status": "warning",
        "error_code": "Timeout",
        "reason": "no answer",
        "steps": [
            {"type": "import", "status": "success", "description": "read", "details": {}},
            {"type": "export", "status": "warning", "description": "sent", "details": {"tries": 2, "codes": ["a"]}},
        ],
        "modified": [
            {"path": "title", "old": None, "new": "Dr."},
            {"path": "emails", "old": [{"value": "a"}], "new": None},
        ],
        "took_ms": 7,
        "approved": True,
        "initiated_by": "ann (uid 1000)",
    }


async def test_the_log_calls_a_cycle_what_its_report_calls_it(work: Work, store: SqlStore) -> None:
    await work.commit(log=[logged("ann")])
    [row] = await read(store)
    assert row["cycle_id"]
    await store.close_cycle(
        work.id, work.state.epoch, watermark=None, rules=None, summary={"cycle_id": "reported"}, now=2.0
    )
    await work.next_cycle()
    await work.commit(log=[logged("ann")])
    first, second = await read(store)
    assert first["cycle_id"] == "reported"
    assert second["cycle_id"] not in ("", "reported")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["1", "2", "3", "4", "5"]),
        ({"job": "phone"}, ["1", "2", "3", "4"]),
        ({"job": "other"}, ["5"]),
        ({"job": "no such job"}, []),
        ({"user": "1"}, ["1"]),
        ({"user": "t-2"}, ["2"]),
        ({"user": "ANN"}, ["1", "2"]),
        ({"user": "ann.smith@example.com"}, ["1"]),
        ({"user": "smith"}, []),
        ({"user": "ann_smith"}, []),
        ({"user": "straße"}, ["4"]),
        ({"user": "Strasse"}, ["4"]),
        ({"action": "delete"}, ["3"]),
        ({"status": "failure"}, ["2", "3"]),
        ({"since": 30.0}, ["3", "4", "5"]),
        ({"since": 30.0, "status": "failure", "job": "phone"}, ["3"]),
        ({"limit": 2}, ["4", "5"]),
        ({"limit": 1, "status": "failure"}, ["3"]),
        ({"limit": 0}, []),
        ({"limit": 99}, ["1", "2", "3", "4", "5"]),
    ],
    ids=str,
)
async def test_the_filters(work: Work, store: SqlStore, query: dict[str, Any], found: list[str]) -> None:
    await work.commit(
        log=[
            logged("1", at=10.0, name="Ann.Smith@example.com"),
            logged("2", at=20.0, name="annika@example.com", target_id=tid("t-2"), status="failure"),
            logged("3", at=30.0, name="bob@example.com", action="delete", status="failure"),
            logged("4", at=40.0, name="Straße"),
        ]
    )
    other = await open_work(store, "other")
    await other.commit(log=[logged("5", at=50.0, name="eve@example.com")])
    assert [row["source_id"] for row in await read(store, **query)] == found


async def test_since_finds_its_beginning_in_a_long_log(work: Work, store: SqlStore) -> None:
    for start in range(0, 3000, 1000):
        await work.commit(log=[logged(f"u{n}", at=n * 60.0) for n in range(start, start + 1000)])
    await work.commit(log=[logged("late", at=2500 * 60.0)])
    late = await read(store, since=2990 * 60.0)
    assert [row["source_id"] for row in late] == [f"u{n}" for n in range(2990, 3000)]
    assert [row["source_id"] for row in await read(store, since=2999 * 60.0, limit=5, job="phone")] == ["u2999"]
    assert len(await read(store, since=0.0)) == 3001
    assert await read(store, since=1e9) == []


async def test_a_long_log_is_read_in_pages_while_it_grows(work: Work, store: SqlStore) -> None:
    for start in range(0, 2500, 500):
        await work.commit(log=[logged(f"u{n}") for n in range(start, start + 500)])
    met = []
    async for row in store.log(LogQuery()):
        met.append(row["source_id"])
        if len(met) == 1:
            await work.commit(log=[logged("late")])
    assert met == [*(f"u{n}" for n in range(2500)), "late"]
    assert len(await read(store, limit=1700)) == 1700


async def test_disables_and_deletes_that_succeeded_count_unless_a_person_allowed_them(work: Work) -> None:
    await work.commit(
        log=[
            logged("too early", at=9.0, operation="disable"),
            logged("disabled", at=10.0, operation="disable"),
            logged("deleted", at=11.0, operation="delete"),
            logged("approved", at=11.0, operation="delete", approved=True),
            logged("failed", at=11.0, operation="disable", status="failure"),
            logged("created", at=11.0),
            logged("updated", at=11.0, operation="update"),
            logged("group", at=12.0, operation="delete", kind="group"),
        ]
    )
    assert await work.store.counted_since(work.id, "deletions", 10.0) == 3
    other = await open_work(work.store, "other")
    assert await work.store.counted_since(other.id, "deletions", 0.0) == 0


async def test_creates_and_renames_count_where_a_safeguard_looks_at_them(work: Work) -> None:
    await work.commit(
        log=[
            logged("made", counts="creates"),
            logged("made of old", at=9.0, counts="creates"),
            logged("made with a word", counts="creates", approved=True),
            logged("not made", counts="creates", status="failure"),
            logged("renamed", operation="update", counts="renames"),
        ]
    )
    assert await work.store.counted_since(work.id, "creates", 10.0) == 1
    assert await work.store.counted_since(work.id, "renames", 10.0) == 1
    assert await work.store.counted_since(work.id, "deletions", 0.0) == 0
