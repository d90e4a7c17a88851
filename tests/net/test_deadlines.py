"""Deadlines in virtual time: each is met at its own moment, whoever else is under way, and nothing else is cut off."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.net.deadlines import Deadlines
from tests.net.doubles import LoopClock

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


async def cut_off_at(deadlines: Deadlines, seconds: float, *, begins_at: float = 0.0) -> float:
    """Wait for what never comes, within a deadline; return when it was cut off."""
    await LoopClock().sleep(begins_at)
    with pytest.raises(TimeoutError), deadlines.within(seconds):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "what the task does next is nobody's to cancel"
    return now()


async def test_each_is_cut_off_at_its_own_deadline_whoever_began_first() -> None:
    deadlines = Deadlines()
    begun = now()
    ends = await asyncio.gather(
        cut_off_at(deadlines, 20.0),
        cut_off_at(deadlines, 8.0),
        cut_off_at(deadlines, 8.0),
        cut_off_at(deadlines, 1.0, begins_at=3.0),
        cut_off_at(deadlines, 60.0, begins_at=21.0),
    )
    assert [end - begun for end in ends] == pytest.approx([20.0, 8.0, 8.0, 4.0, 81.0])


async def test_what_is_done_in_time_is_not_cut_off_later() -> None:
    deadlines = Deadlines()
    with deadlines.within(5.0):
        await LoopClock().sleep(4.0)
    with deadlines.within(5.0):
        await LoopClock().sleep(4.0)
    await LoopClock().sleep(10.0)
    assert now() == pytest.approx(18.0)


async def test_one_that_ends_leaves_the_deadline_of_another_as_it_is() -> None:
    deadlines = Deadlines()
    other = asyncio.create_task(cut_off_at(deadlines, 10.0))
    await asyncio.sleep(0)  # noqa: TID251  # only lets the other begin
    with deadlines.within(2.0):
        await LoopClock().sleep(1.0)
    assert await other == pytest.approx(10.0)


async def test_a_cancellation_from_elsewhere_goes_through() -> None:
    deadlines = Deadlines()

    async def wait() -> None:
        with deadlines.within(5.0):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await LoopClock().sleep(1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_comes_together_with_the_deadline_is_not_lost() -> None:
    deadlines = Deadlines()

    async def wait() -> None:
        with deadlines.within(5.0):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await LoopClock().sleep(1.0)
    asyncio.get_running_loop().call_at(5.0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_at_the_deadline_is_told_as_it_is() -> None:
    deadlines = Deadlines()

    async def breaks_off() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("broken off") from None

    with pytest.raises(OSError, match="broken off"), deadlines.within(5.0):
        await breaks_off()
    await LoopClock().sleep(1.0)
    assert now() == pytest.approx(6.0)
