"""Who is taken out by hand is asked for by one worker, and nobody waits for a state that is busy."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import pytest

from reconciler.core.model import Kind, SourceId
from reconciler.ports import Store
from reconciler.runtime.out_by_now import KNOWN_SECONDS, OutByNow
from tests.net.doubles import LoopClock

pytestmark = pytest.mark.looptime

ANN: tuple[Kind, SourceId] = ("user", SourceId("ann"))
BUSY_SECONDS = 0.1


class _BusyState:
    """Answers who is out, after a while."""

    def __init__(self) -> None:
        self.out: dict[tuple[Kind, SourceId], str] = {}
        self.asked = 0

    async def who_is_out(self, job: str) -> Mapping[tuple[Kind, SourceId], str]:
        self.asked += 1
        await LoopClock().sleep(BUSY_SECONDS)
        return dict(self.out)


def asking(state: _BusyState) -> OutByNow:
    store: Store = state  # type: ignore[assignment]  # because only this call is made of it
    return OutByNow(store, "app", LoopClock())


async def ask_side_by_side(out: OutByNow, workers: int) -> list[tuple[float, bool]]:
    """Return when each worker had its answer, after how many seconds, and what it was."""
    clock, answers = LoopClock(), []
    began = clock.monotonic()

    async def ask() -> None:
        answer = await out.has(ANN)
        answers.append((clock.monotonic() - began, answer))

    async with anyio.create_task_group() as tasks:
        for _ in range(workers):
            tasks.start_soon(ask)
    return answers


async def test_nobody_goes_on_before_the_state_has_answered_once() -> None:
    state = _BusyState()
    state.out[ANN] = "olga"
    answers = await ask_side_by_side(asking(state), workers=4)
    assert [seconds for seconds, _ in answers] == pytest.approx([BUSY_SECONDS] * 4)
    assert all(answer for _, answer in answers)


async def test_later_one_asks_for_all_and_the_others_do_not_wait() -> None:
    state = _BusyState()
    out = asking(state)
    await out.has(ANN)
    asked = state.asked
    await LoopClock().sleep(KNOWN_SECONDS)
    waited = sorted(seconds for seconds, _ in await ask_side_by_side(out, workers=4))
    assert waited == pytest.approx([0.0, 0.0, 0.0, BUSY_SECONDS])
    assert state.asked == asked + 1


async def test_who_is_taken_out_meanwhile_is_out_as_soon_as_it_is_asked_again() -> None:
    state = _BusyState()
    out = asking(state)
    assert not await out.has(ANN)
    state.out[ANN] = "olga"
    await LoopClock().sleep(KNOWN_SECONDS)
    assert await out.has(ANN)
