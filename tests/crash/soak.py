"""Kills at every place there is: `python -m tests.crash.soak [--forks] [NAME…]`, a part of `make soak`.

Each commit of the state, before and after; each request that changes something, before it, when its answer has come,
and when that was read; each statement of a migration. The process that is killed is one of its own, started as a
command or the daemon is (for migrations, and with --forks for commands, a fork of a process that has imported
everything, which takes a third of the time); cycles follow until all is done, and the app, which would take a second
account of the same name, has been asked for each account once.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from tests.crash.cold import RUN, ColdProcesses
from tests.crash.migrations import PLACES as MIGRATION_PLACES
from tests.crash.migrations import Migrated
from tests.crash.scenes import COMMITS, WORKS, Stage, Work, busy_scene, first_scene
from tests.crash.victim import At, Kill, When
from tests.crash.warm import Victims, WarmProcess
from tests.servers.scim import ScimServer

LANES = 2
ALL_WORKS: Mapping[str, Work] = {
    **WORKS,
    "the daemon, its first cycle": Work(first_scene, COMMITS, RUN),
    "the daemon, a busy cycle": Work(busy_scene, COMMITS, RUN),
}


@dataclass(slots=True)
class Tried:
    """What a part of the soak came to."""

    points: int = 0
    failed: list[str] = field(default_factory=list)


async def kill_everywhere(work: Work, directory: Path, warm: tuple[WarmProcess, ...], *, forks: bool) -> Tried:
    """Kill at the first place, the second, and so on, until the work ends by itself; in several lanes."""
    victims = None if forks and work.words != RUN else ColdProcesses()
    tried = Tried()
    lanes: list[Stage] = []
    async with AsyncExitStack() as servers:
        for number, process in enumerate(warm):
            server = await servers.enter_async_context(ScimServer(work.quirks))
            lanes.append(await Stage.of(work, directory / str(number), server, process))
        for at, when in work.places:
            numbers = count(1)
            async with anyio.create_task_group() as tasks:
                for stage in lanes:
                    tasks.start_soon(_lane, stage, victims, at, when, numbers, tried)
    return tried


async def _lane(
    stage: Stage, victims: Victims | None, at: At, when: When, numbers: Iterator[int], tried: Tried
) -> None:
    for nth in numbers:
        kill = Kill(at, when, nth)
        try:
            outcome = await stage.kill(kill, victims)
        except AssertionError as error:
            tried.failed.append(f"{kill}: {error}")
            tried.points += 1
            if len(tried.failed) > 20:
                return
            continue
        if not outcome.killed:
            return
        tried.points += 1


async def migrations(directory: Path, warm: tuple[WarmProcess, ...]) -> Tried:
    """Kill the shipped migrations and a later one at each commit and each statement."""
    tried = Tried()
    for migrated in (Migrated.anew(directory / "anew"), await Migrated.later(directory / "later")):
        for at, when in MIGRATION_PLACES:
            for nth in count(1):
                kill = Kill(at, when, nth)
                try:
                    killed, _ = await migrated.kill(kill, warm[0])
                except AssertionError as error:
                    tried.failed.append(f"{migrated.kept.name}, {kill}: {error}")
                    break
                if not killed:
                    break
                tried.points += 1
    return tried


async def main(words: list[str]) -> int:
    began, points, failed = time.monotonic(), 0, 0
    forks, names = "--forks" in words, [word for word in words if word != "--forks"]
    warm = tuple(WarmProcess() for _ in range(LANES))
    with TemporaryDirectory(prefix="reconciler-crash-") as directory:
        for number, name in enumerate(names or [*ALL_WORKS, "migrations"]):
            place, started = _made(Path(directory, str(number))), time.monotonic()
            if name == "migrations":
                tried = await migrations(place, warm)
            else:
                tried = await kill_everywhere(ALL_WORKS[name], place, warm, forks=forks)
            points, failed = points + tried.points, failed + len(tried.failed)
            print(f"{name}: killed at {tried.points} places in {time.monotonic() - started:.0f} s", flush=True)
            for text in tried.failed:
                print(f"  FAILED {text}", flush=True)
    for process in warm:
        process.stop()
    print(f"{points} places, {failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
