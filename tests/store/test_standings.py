"""How a job stands is kept with the notices of it, in one commit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.notices import Notice, NoticeKind
from reconciler.core.standing import Pause, Quarantine, QuarantineReason, Standing
from reconciler.store.sql import SqlStore
from tests.store.scenes import Work

QUARANTINE = Quarantine(
    reason=QuarantineReason.EXCEPTION,
    error_code="Unauthorized",
    rule="the target refuses the credentials",
    arithmetic="",
    began=5.0,
    series_began=4.0,
    series_count=2,
    next_attempt=2405.0,
    request="GET /Users",
    answer="401",
)
STANDING = Standing(
    paused=Pause(1.0, "ann", "holidays"),
    quarantine=QUARANTINE,
    last_success_at=3.0,
    unjudged_cycles=1,
    alerted={"no_cycle": 2.0},
)


def notice(key: str, at: float = 10.0) -> Notice:
    return Notice(NoticeKind.HELD, "job", at, key, {"held": 12})


async def test_a_standing_comes_back_as_it_was_written(store: SqlStore) -> None:
    assert await store.standing("job") == Standing()
    assert await store.settle("job", lambda _: (STANDING, [])) == STANDING
    assert await store.standing("job") == STANDING
    assert await store.standing("other") == Standing()


async def test_a_standing_of_a_newer_version_can_be_read(store: SqlStore) -> None:
    assert Standing.from_json({**STANDING.as_json(), "more": 1}) == STANDING


async def test_closing_a_cycle_changes_the_standing_with_it(store: SqlStore, work: Work) -> None:
    await store.close_cycle(
        work.id,
        work.state.epoch,
        watermark=None,
        rules=None,
        summary={},
        now=7.0,
        settle=lambda before: (replace(before, last_finished_at=7.0), [notice("first", 7.0)]),
    )
    [(job, at)] = [(n.notice.job, n.notice.at) for n in await store.due_notices(7.0, 10)]
    assert (job, at) == ("job", 7.0)


async def test_a_change_that_fails_leaves_standing_and_notices_as_they_were(store: SqlStore) -> None:
    def fails(before: Standing) -> tuple[Standing, list[Notice]]:
        raise RuntimeError("no")

    await store.settle("job", lambda _: (STANDING, []))
    with pytest.raises(RuntimeError):
        await store.settle("job", fails)
    assert await store.standing("job") == STANDING
    assert await store.due_notices(1e9, 10) == []


async def test_a_key_is_queued_once(store: SqlStore) -> None:
    await store.queue([notice("a"), notice("a")])
    await store.queue([notice("a", 11.0), notice("b")])
    assert [n.notice.key for n in await store.due_notices(20.0, 10)] == ["a", "b"]


async def test_a_notice_is_due_until_it_ended(store: SqlStore) -> None:
    await store.queue([notice("a")])
    assert await store.due_notices(9.9, 10) == []
    [queued] = await store.due_notices(10.0, 10)
    assert (queued.notice, queued.attempts, queued.begun_at) == (notice("a"), 0, None)

    await store.begin_notice(queued.id, 12.0)
    [begun] = await store.due_notices(12.0, 10)
    assert (begun.attempts, begun.begun_at) == (1, 12.0)

    await store.end_notice(queued.id, sent_at=None, due_at=60.0, problem="greylisted")
    assert await store.due_notices(59.0, 10) == []
    [again] = await store.due_notices(60.0, 10)
    assert again.begun_at is None

    await store.end_notice(queued.id, sent_at=61.0, due_at=None, problem="")
    assert await store.due_notices(1e9, 10) == []
    await store.queue([notice("a", 99.0)])
    assert await store.due_notices(1e9, 10) == [], "a key that was mailed is not mailed again"


async def test_who_does_not_have_it_yet_is_kept_with_it(store: SqlStore) -> None:
    await store.queue([notice("a"), notice("b", 500.0)])
    [queued] = await store.due_notices(10.0, 10)
    assert queued.recipients == ()
    people = ("ann@example.com", "jörg@example.com")
    await store.end_notice(queued.id, sent_at=None, due_at=60.0, problem="greylisted", recipients=people)
    assert await store.next_notice_at() == 60.0
    assert [n.recipients for n in await store.due_notices(float("inf"), 10)] == [people, ()]
    await store.end_notice(queued.id, sent_at=61.0, due_at=None, problem="")
    assert await store.next_notice_at() == 500.0
