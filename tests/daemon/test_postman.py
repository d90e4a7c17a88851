"""Notices leave the queue in virtual time: at once, after a while, in doubt, or never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from reconciler.core import notices
from reconciler.core.notices import Notice
from reconciler.errors import StateError
from reconciler.ports import InDoubt, NotTaken, Taken
from reconciler.runtime.postman import GIVE_UP_SECONDS, Post, Postman
from reconciler.store.sql import SqlStore
from tests.net.doubles import EPOCH, LoopClock

pytestmark = pytest.mark.looptime

Outcome = Taken | NotTaken | InDoubt
HOUR, DAY = 3600.0, 86400.0
TAKEN = Taken("250 queued", {})
DOWN = NotTaken("mail.example.com refuses connections", of_server=True)


class Server:
    """Takes what it is told to, in order; then everything. Notes what was handed over, when, to whom."""

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = list(outcomes)
        self._started = asyncio.get_running_loop().time()
        self.tried: list[tuple[float, str, tuple[str, ...]]] = []

    async def hand_over(
        self, notice: Notice, recipients: Sequence[str], begin: Callable[[], Awaitable[None]]
    ) -> Outcome:
        self.tried.append((asyncio.get_running_loop().time() - self._started, notice.key, tuple(recipients)))
        outcome = self._outcomes.pop(0) if self._outcomes else TAKEN
        if not isinstance(outcome, NotTaken):
            await begin()
        return outcome


class ForgetfulStore(SqlStore):
    """A state on a disk that may be full."""

    full = False

    async def end_notice(
        self,
        notice_id: int,
        *,
        sent_at: float | None,
        due_at: float | None,
        problem: str,
        recipients: Sequence[str] = (),
    ) -> None:
        if self.full:
            raise StateError("state.db: the disk is full")
        await super().end_notice(notice_id, sent_at=sent_at, due_at=due_at, problem=problem, recipients=recipients)


@asynccontextmanager
async def at_work(store: SqlStore, post: Post) -> AsyncIterator[Postman]:
    postman = Postman(store, LoopClock(), post)
    running = asyncio.create_task(postman.run())
    try:
        yield postman
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ForgetfulStore]:
    url = f"sqlite:///{tmp_path}/state.db"
    opened = await ForgetfulStore.open(url, write=True, clock_now=EPOCH, inline=True)
    yield opened
    await opened.close()


def about(number: int, at: float = 0.0) -> Notice:
    return notices.no_cycle("app", EPOCH + at + number, interval_seconds=60.0, last_finished_at=None)


def to_ann(server: Server) -> Post:
    return Post(server, {"app": ("ann@example.com",)})


async def virtual(seconds: float) -> None:
    await LoopClock().sleep(seconds)


async def test_a_notice_is_sent_when_it_is_called_for(store: SqlStore) -> None:
    server = Server()
    async with at_work(store, to_ann(server)) as postman:
        await virtual(10)
        await store.queue([about(1)])
        postman.wake()
        await virtual(1)
        assert [(key, to) for _, key, to in server.tried] == [(about(1).key, ("ann@example.com",))]
        await virtual(DAY)
    assert len(server.tried) == 1, "what was taken is not sent again"


async def test_what_nobody_calls_for_is_found_in_minutes(store: SqlStore) -> None:
    server = Server()
    async with at_work(store, to_ann(server)):
        await virtual(10)
        await store.queue([about(1)])
        await virtual(310)
    assert len(server.tried) == 1


async def test_waits_grow_while_the_server_is_down_and_nothing_is_lost(store: SqlStore) -> None:
    server = Server(*[DOWN] * 6)
    await store.queue([about(0)])
    async with at_work(store, to_ann(server)):
        await virtual(DAY)
    times = [round(at / 60) for at, *_ in server.tried]
    assert times == [0, 1, 2, 4, 8, 16, 32]


async def test_a_server_that_is_down_is_asked_for_one_mail_at_a_time(store: SqlStore) -> None:
    server = Server(DOWN)
    await store.queue([about(0), about(1), about(2)])
    async with at_work(store, to_ann(server)):
        await virtual(30)
        assert len(server.tried) == 1
        await virtual(60)
    assert sorted({key for _, key, _ in server.tried[1:]}) == [about(n).key for n in range(3)]


async def test_after_five_days_it_is_given_up(store: SqlStore) -> None:
    server = Server(*[DOWN] * 1000)
    await store.queue([about(0)])
    with capture_logs() as lines:
        async with at_work(store, to_ann(server)):
            await virtual(GIVE_UP_SECONDS + DAY)
    [given_up] = [line for line in lines if line["event"] == "mail.given_up"]
    assert (given_up["log_level"], given_up["problem"]) == ("error", DOWN.problem)
    assert await store.next_notice_at() is None
    last = server.tried[-1][0]
    assert GIVE_UP_SECONDS <= last <= GIVE_UP_SECONDS + 4 * 3600
    assert len(server.tried) < 50


async def test_who_was_greylisted_gets_it_later_and_nobody_else_again(store: SqlStore) -> None:
    refused = {"bob@example.com": NotTaken("451 later"), "eve@example.com": NotTaken("550 unknown", lasting=True)}
    server = Server(Taken("250", refused))
    people = ("ann@example.com", "bob@example.com", "eve@example.com")
    await store.queue([about(0)])
    async with at_work(store, Post(server, {"app": people})):
        await virtual(DAY)
    assert [to for *_, to in server.tried] == [people, ("bob@example.com",)]


async def test_what_is_refused_for_good_is_not_tried_again(store: SqlStore) -> None:
    server = Server(NotTaken("552 too large", lasting=True))
    await store.queue([about(0), about(1)])
    async with at_work(store, to_ann(server)):
        await virtual(DAY)
    assert [key for _, key, _ in server.tried] == [about(0).key, about(1).key]


async def test_where_the_server_does_not_answer_people_are_told_of_the_doubt(store: SqlStore) -> None:
    server = Server(InDoubt("no answer in 30 s"))
    await store.queue([about(0)])
    async with at_work(store, to_ann(server)):
        await virtual(DAY)
    assert [key for _, key, _ in server.tried] == [about(0).key, f"{about(0).key}/doubtful"]


async def test_a_doubtful_doubt_is_left_at_that(store: SqlStore) -> None:
    server = Server(InDoubt("no answer"), InDoubt("no answer"))
    await store.queue([about(0)])
    async with at_work(store, to_ann(server)):
        await virtual(DAY)
    assert len(server.tried) == 2


async def test_a_notice_that_was_begun_before_the_process_ended_is_not_sent_again(store: SqlStore) -> None:
    server = Server()
    await store.queue([about(0)])
    [queued] = await store.due_notices(EPOCH, 1)
    await store.begin_notice(queued.id, EPOCH)
    async with at_work(store, to_ann(server)):
        await virtual(DAY)
    assert [key for _, key, _ in server.tried] == [f"{about(0).key}/doubtful"]


async def test_a_stop_waits_until_it_is_known_whether_the_mail_was_taken(store: SqlStore) -> None:
    sending = asyncio.Event()

    class Slow(Server):
        async def hand_over(
            self, notice: Notice, recipients: Sequence[str], begin: Callable[[], Awaitable[None]]
        ) -> Outcome:
            await begin()
            sending.set()
            await virtual(20)
            return await super().hand_over(notice, recipients, begin)

    server = Slow()
    await store.queue([about(0)])
    postman = Postman(store, LoopClock(), to_ann(server))
    giving_up = asyncio.create_task(postman.send_within(0.5))
    await sending.wait()
    await giving_up
    assert len(server.tried) == 1
    assert await store.next_notice_at() is None


async def test_the_job_s_own_people_come_first_then_those_of_mail_to(store: SqlStore) -> None:
    server = Server()
    await store.queue([about(0), notices.trial("other", EPOCH)])
    async with at_work(store, Post(server, {"app": ("ann@example.com",), "other": ()}, ("it@example.com",))):
        await virtual(1)
    assert {to for *_, to in server.tried} == {("ann@example.com",), ("it@example.com",)}


async def test_a_job_without_anybody_and_a_house_without_a_mail_server_leave_it_in_the_log(store: SqlStore) -> None:
    server = Server()
    for number, post in enumerate((Post(), Post(None, {"app": ("ann@example.com",)}), Post(server))):
        await store.queue([about(number)])
        with capture_logs() as lines:
            async with at_work(store, post):
                await virtual(10)
        [told] = lines
        assert (told["event"], told["log_level"], told["kind"]) == ("notice.not_mailed", "warning", "no_cycle")
    assert server.tried == []
    assert await store.next_notice_at() is None


async def test_a_changed_configuration_is_tried_at_once(store: SqlStore) -> None:
    down, up = Server(*[DOWN] * 100), Server()
    await store.queue([about(0)])
    async with at_work(store, to_ann(down)) as postman:
        await virtual(DAY)
        postman.take_over(to_ann(up))
        await virtual(1)
    assert [key for _, key, _ in up.tried] == [about(0).key]


async def test_a_full_disk_after_the_mail_was_taken_sends_nothing_twice(store: ForgetfulStore) -> None:
    server = Server()
    await store.queue([about(0)])
    async with at_work(store, to_ann(server)):
        store.full = True
        await virtual(HOUR)
        store.full = False
        await virtual(HOUR)
    assert len(server.tried) == 1
    assert await store.next_notice_at() is None
