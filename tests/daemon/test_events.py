"""Events reach who listens, never wait for anybody, and say what a slow listener missed."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from reconciler.runtime.events import DROPPED, Events
from reconciler.runtime.showing import Following, Step
from tests.net.doubles import LoopClock


@pytest.mark.looptime
async def test_a_slow_listener_loses_the_oldest_and_learns_how_many() -> None:
    events = Events(LoopClock())
    with events.listen(waiting_max=3) as slow, events.listen() as quick:
        for number in range(10):
            events.tell("tick", count=number)
        dropped = await slow.next()
        assert (dropped.name, dropped.facts) == (DROPPED, {"count": 7})
        assert [(await slow.next()).facts["count"] for _ in range(3)] == [7, 8, 9]
        assert [(await quick.next()).number for _ in range(10)] == list(range(1, 11))
    assert events.listeners == 0
    events.tell("nobody listens")


@pytest.mark.looptime
async def test_a_listener_of_a_job_hears_of_that_job_and_of_the_daemon() -> None:
    events = Events(LoopClock())
    with events.listen("app") as listener:
        for job in ("desk", "app", None):
            events.tell("tick", job)
        assert [(await listener.next()).job for _ in range(2)] == ["app", None]
        with anyio.move_on_after(60) as waiting:
            await listener.next()
        assert waiting.cancelled_caught, "nothing else was told"


@pytest.mark.looptime
async def test_who_waits_is_woken_and_who_gave_up_misses_nothing() -> None:
    events = Events(LoopClock())
    with events.listen() as listener:
        with anyio.move_on_after(1):
            await listener.next()
        async with anyio.create_task_group() as tasks:

            async def hear() -> None:
                assert (await listener.next()).name == "late"

            tasks.start_soon(hear)
            await anyio.lowlevel.checkpoint()
            events.tell("late")


@pytest.mark.looptime
async def test_progress_has_a_rate_and_the_time_that_is_left() -> None:
    clock, told = LoopClock(), list[Step]()
    following = Following(clock, told.append, {"users": 5000})
    for done in range(0, 4001, 1000):
        following.advance("users", done)
        await clock.sleep(10)
    assert told[-1] == Step("users", 4000, 5000, about=True, per_second=100.0, seconds_left=10.0)
    following.advance("users", 6000)
    assert (told[-1].total, told[-1].about) == (None, False), "more came than the last time: the total is not known"


@pytest.mark.looptime
async def test_progress_is_told_four_times_a_second_and_at_its_end() -> None:
    clock, told = LoopClock(), list[Step]()
    following = Following(clock, told.append, {})
    for done in range(1, 1001):
        following.advance("apply", done, 1000)
        await clock.sleep(0.001)
    assert 4 <= len(told) <= 6
    assert (told[-1].done, told[-1].seconds_left) == (1000, 0.0)
    assert following.steps == (told[-1],)
