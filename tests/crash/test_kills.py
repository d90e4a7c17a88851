"""A cycle is killed at each commit and around each POST; the next ones end as if nothing had happened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import chain, count
from pathlib import Path

import anyio
import pytest

from tests.crash.town import Scene, after_a_busy_day, after_a_leave, founded, run_to_the_end, survive
from tests.crash.victim import At, Kill, When
from tests.crash.warm import CYCLE, WarmProcess
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

CARELESS = Quirks(lax_unique=True)
"""An app that takes a second account of the same name: what is made twice shows."""
STRICT = Quirks()
"""An app that refuses it, so that two people who swap names need a third name for a while."""
AT_THE_START: list[tuple[At, When]] = [
    ("commit", "before"),
    ("commit", "after"),
    ("post", "before"),
    ("post", "unread"),
]
EVERYWHERE: list[tuple[At, When]] = [
    *AT_THE_START,
    ("post", "after"),
]


async def first_scene(directory: Path, server: ScimServer) -> Scene:
    """No state yet."""
    return Scene.of(founded(directory, server), server)


async def busy_scene(directory: Path, server: ScimServer) -> Scene:
    """A state that two cycles made, and much to do."""
    company = founded(directory, server)
    await company.cycle()
    after_a_leave(company)
    await company.cycle()
    after_a_busy_day(company)
    return Scene.of(company, server)


SetUp = Callable[[Path, ScimServer], Awaitable[Scene]]


@pytest.mark.parametrize(("at", "when"), AT_THE_START)
async def test_killed_in_the_first_run(
    at: At, when: When, tmp_path: Path, warm_processes: tuple[WarmProcess, WarmProcess]
) -> None:
    await kill_everywhere(first_scene, CARELESS, at, when, tmp_path, warm_processes)


@pytest.mark.parametrize(("at", "when"), EVERYWHERE)
async def test_killed_on_a_busy_day(
    at: At, when: When, tmp_path: Path, warm_processes: tuple[WarmProcess, WarmProcess]
) -> None:
    await kill_everywhere(busy_scene, CARELESS, at, when, tmp_path, warm_processes)


async def test_killed_while_two_swap_names(tmp_path: Path, warm_processes: tuple[WarmProcess, WarmProcess]) -> None:
    await kill_everywhere(busy_scene, STRICT, "change", "after", tmp_path, warm_processes)


def places(at: At) -> Iterator[int]:
    """Return every number for commits; requests go out eight at a time: there the first, then every third will do."""
    return count(1) if at == "commit" else chain(range(1, 5), count(7, 3))


async def kill_everywhere(
    set_up: SetUp,
    quirks: Quirks,
    at: At,
    when: When,
    directory: Path,
    warm_processes: tuple[WarmProcess, ...],
    words: Sequence[str] = CYCLE,
) -> None:
    """Kill at the first place, the second, and so on, until a run ends by itself; one lane for each warm process."""
    numbers, done = places(at), [0]

    async def lane(warm: WarmProcess, scene: Scene) -> None:
        expected = await run_to_the_end(scene.set(), scene.server, warm)
        killed = True
        while killed:
            kill = Kill(at, when, next(numbers))
            try:
                killed = (await survive(scene, kill, warm, expected, words)).killed
            except AssertionError as error:
                error.add_note(str(kill))
                raise
            done[0] += killed

    async with AsyncExitStack() as servers, anyio.create_task_group() as lanes:
        for number, warm in enumerate(warm_processes):
            server = await servers.enter_async_context(ScimServer(quirks))
            lanes.start_soon(lane, warm, await set_up(directory / str(number), server))
    assert done[0] >= 4, "there was something to kill"
