"""Statistics to date: they grow with what is done, and neither a delete nor the log's retention takes anything away."""

from __future__ import annotations

import pytest

from reconciler.core.restarting import ResetScope
from reconciler.runtime.pruning import prune
from reconciler.store.sql import SqlStore
from tests.store.scenes import Work, linked, logged, open_work

COUNTS = {"create": 0, "update": 0, "disable": 0, "failure": 0, "held": 0, "skip": 7}


async def close(work: Work, now: float, *, state: str = "active", **counts: int) -> None:
    summary = {"state": state, "kind": "incremental", "cycle_id": f"c{now}", "counts": {**COUNTS, **counts}}
    await work.store.close_cycle(work.id, work.state.epoch, watermark=None, rules=None, summary=summary, now=now)


async def test_a_job_that_never_ran_has_none(store: SqlStore) -> None:
    found = await store.statistics("phone")
    assert (found.managed, found.provisioned) == ({"user": 0, "group": 0}, {"user": 0, "group": 0})
    assert (found.done, found.failed, found.skipped, found.last_cycle) == ({}, {}, 0, None)
    assert (found.steady_first_at, found.steady_last_at) == (None, None)


async def test_they_count_what_was_done_failed_and_left_alone(work: Work, store: SqlStore) -> None:
    await work.commit(
        linked("ann", "t1"),
        linked("bob", "t2"),
        linked("crew", "t3", kind="group"),
        log=[
            logged("ann"),
            logged("bob", operation="adopt", action="update", status="warning"),
            logged("crew", kind="group"),
            logged("eve", status="failure"),
            logged("eve", status="failure", operation="leave"),
            logged("kim", status="skipped", operation="leave", action="other"),
            logged("kim", status="warning", operation="leave", action="other"),
        ],
    )
    await work.commit(log=[logged("ann", operation="update", action="update")] * 3)
    other = await open_work(store, "other")
    await other.commit(log=[logged("zoe")])
    found = await store.statistics("phone")
    assert found.managed == {"user": 2, "group": 1}
    assert found.provisioned == {"user": 2, "group": 1}
    assert found.done == {"create": 2, "adopt": 1, "update": 3}
    assert found.failed == {"create": 1, "leave": 1}
    assert found.skipped == 2


async def test_neither_a_delete_nor_the_retention_takes_anything_away(work: Work, store: SqlStore) -> None:
    await work.commit(linked("ann", "t1"), log=[logged("ann")])
    gone = await work.record("ann")
    gone.link = None
    await work.commit(gone, log=[logged("ann", operation="delete", action="delete")])
    await prune(store, 1e9, 1e9)
    found = await store.statistics("phone")
    assert (found.managed["user"], found.provisioned["user"]) == (0, 1)
    assert found.done == {"create": 1, "delete": 1}


@pytest.mark.parametrize(
    ("state", "counts"),
    [("active", {"create": 1}), ("active", {"failure": 1}), ("held", {}), ("incomplete", {}), ("unreachable", {})],
)
async def test_a_cycle_that_had_something_to_do_or_could_not_do_it_is_not_steady(
    work: Work, store: SqlStore, state: str, counts: dict[str, int]
) -> None:
    await close(work, 10.0, state=state, **counts)
    found = await store.statistics("phone")
    assert found.steady_first_at is None
    assert found.last_cycle is not None
    assert (found.last_cycle["cycle_id"], found.last_cycle["ended_at"]) == ("c10.0", 10.0)


async def test_the_steady_state_is_known_from_its_first_time_to_its_last(work: Work, store: SqlStore) -> None:
    for now, creates in ((10.0, 1), (20.0, 0), (30.0, 2), (40.0, 0)):
        await work.next_cycle(now)
        await close(work, now, create=creates)
    found = await store.statistics("phone")
    assert (found.steady_first_at, found.steady_last_at) == (20.0, 40.0)


async def test_a_restart_without_links_and_forget_begin_anew(work: Work, store: SqlStore) -> None:
    await work.commit(log=[logged("ann")])
    await close(work, 10.0)
    await store.reset("phone", [ResetScope.WATERMARK], 11.0)
    assert (await store.statistics("phone")).done == {"create": 1}
    await store.reset("phone", [ResetScope.LINKS], 12.0)
    assert (await store.statistics("phone")).done == {}
    await work.next_cycle(20.0)
    await work.commit(log=[logged("bob")])
    await store.forget("phone")
    found = await store.statistics("phone")
    assert (found.done, found.steady_first_at) == ({}, None)
