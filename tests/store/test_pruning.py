"""The log's retention: old records go, a batch at a time, and nothing that somebody still counts or reads with them."""

from __future__ import annotations

from sqlalchemy import select

from reconciler.core.notices import Notice, NoticeKind
from reconciler.ports import LogQuery
from reconciler.runtime.pruning import prune
from reconciler.store.sql import SqlStore
from reconciler.store.tables import cycles, notices
from tests.store.scenes import Work, logged, open_work

DAY = 86400.0


async def left(store: SqlStore) -> list[str]:
    return [row["source_id"] async for row in store.log(LogQuery())]


async def test_old_records_go_and_young_ones_stay_also_where_they_stand_among_the_old(
    work: Work, store: SqlStore
) -> None:
    await work.commit(
        log=[logged("a", at=10.0), logged("young", at=99.0), logged("b", at=11.0), logged("new", at=50.0)]
    )
    assert await store.prune(50.0, 100.0, 1000) == 2
    assert await left(store) == ["young", "new"]
    assert await store.prune(50.0, 100.0, 1000) == 0


async def test_records_of_a_clock_that_was_ahead_go_with_those_that_were_written_after_them(
    work: Work, store: SqlStore
) -> None:
    ahead = [logged(f"ahead {n}", at=1e9) for n in range(30)]
    await work.commit(log=[*ahead, logged("a", at=10.0), logged("b", at=11.0), logged("new", at=50.0)])
    assert await prune(store, 5.0, 60.0) == 0
    assert await prune(store, 11.0, 60.0) == 31
    assert await left(store) == ["b", "new"]


async def test_a_batch_is_no_larger_than_asked(work: Work, store: SqlStore) -> None:
    await work.commit(log=[logged(f"u{n}", at=float(n)) for n in range(25)])
    assert [await store.prune(24.0, 100.0, 10) for _ in range(4)] == [10, 10, 4, 0]
    assert await left(store) == ["u24"]


async def test_the_rest_is_dropped_batch_by_batch_until_nothing_is_left(work: Work, store: SqlStore) -> None:
    for _ in range(3):
        await work.commit(log=[logged(f"u{n}") for n in range(1000)])
    assert await prune(store, 11.0, 100.0) == 3000
    assert await left(store) == []


async def test_what_a_safeguard_counts_is_there_as_long_as_its_window(work: Work, store: SqlStore) -> None:
    now = 100 * DAY
    await work.commit(
        log=[
            logged("long ago", at=now - 40 * DAY, operation="disable", action="disable"),
            logged("today", at=now - 3600.0, operation="disable", action="disable"),
        ]
    )
    await prune(store, now - 30 * DAY, now)
    assert await store.counted_since(work.id, "deletions", now - DAY) == 1
    assert await left(store) == ["today"]


async def test_cycles_go_with_their_records_but_for_the_last(work: Work, store: SqlStore) -> None:
    await work.commit(log=[logged("ann", at=10.0)])
    await work.close(now=20.0)
    for opened in (100.0, 200.0):
        await work.next_cycle(opened)
        await work.commit(log=[logged("ann", at=opened + 1)])
        await work.close(now=opened + 10)
    quiet = await open_work(store, "quiet")
    await quiet.close(now=2.0)
    assert await prune(store, 150.0, 300.0) == 2
    connection = store._database.connection
    with connection.begin():
        rows = connection.execute(select(cycles.c.job, cycles.c.opened_at).order_by(cycles.c.id)).all()
    assert [tuple(row) for row in rows] == [("phone", 100.0), ("phone", 200.0), ("quiet", 1.0)]
    assert await left(store) == ["ann"]
    assert len(await store.history("quiet", 9)) == 1


async def test_a_mail_that_was_sent_loses_its_text_and_is_not_sent_again(store: SqlStore) -> None:
    told = Notice(NoticeKind.HELD, "phone", 1.0, "held/1", {"people": ["ann"]})
    waits = Notice(NoticeKind.HELD, "phone", 1.0, "held/2", {"people": ["bob"]})
    await store.queue([told, waits])
    [first, _] = await store.due_notices(5.0, 9)
    await store.end_notice(first.id, sent_at=5.0, due_at=None, problem="", recipients=())
    await prune(store, 10.0, 100.0)
    connection = store._database.connection
    with connection.begin():
        rows = connection.execute(select(notices.c.key, notices.c.facts).order_by(notices.c.id)).all()
    assert [tuple(row) for row in rows] == [("held/1", b"{}"), ("held/2", b'{"people":["bob"]}')]
    await store.queue([told])
    assert [one.notice.key for one in await store.due_notices(99.0, 9)] == ["held/2"]
    await prune(store, 10.0 + 400 * DAY, 401 * DAY)
    with connection.begin():
        assert connection.execute(select(notices.c.key)).scalars().all() == ["held/2"]
