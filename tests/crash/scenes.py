"""Where kills begin: a company, an app, and every place at which a process that works for them can be killed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.town import Ended, Scene, after_a_busy_day, after_a_leave, founded, run_to_the_end, survive
from tests.crash.victim import At, Kill, Outcome, When
from tests.crash.warm import CYCLE, Victims, WarmProcess
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

CARELESS = Quirks(lax_unique=True)
"""An app that takes a second account of the same name: what is made twice shows."""
STRICT = Quirks()
"""An app that refuses it, so that two people who swap names need a third name for a while."""
CREW = ("provision", "app", "g1")
"""The first group, with everybody in it."""
Places = Sequence[tuple[At, When]]
COMMITS: Places = [("commit", "before"), ("commit", "after")]
POSTS: Places = [("post", "before"), ("post", "unread"), ("post", "after")]
CHANGES: Places = [("change", "before"), ("change", "after")]
SetUp = Callable[[Path, ScimServer], Awaitable[Scene]]


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


@dataclass(frozen=True, slots=True)
class Work:
    """What a process does when it is killed, and at which places that can be."""

    set_up: SetUp
    places: Places
    words: Sequence[str] = CYCLE
    quirks: Quirks = CARELESS


WORKS: Mapping[str, Work] = {
    "the first cycle": Work(first_scene, [*COMMITS, *POSTS]),
    "a busy cycle": Work(busy_scene, [*COMMITS, *POSTS, *CHANGES]),
    "a cycle in which two swap names": Work(busy_scene, [*COMMITS, *CHANGES], quirks=STRICT),
    "a first run on demand": Work(first_scene, [*COMMITS, *POSTS], CREW),
    "a busy run on demand": Work(busy_scene, [*COMMITS, *POSTS, *CHANGES], CREW),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A scene that can be set again and again, and what it comes to when nobody is killed."""

    work: Work
    scene: Scene
    warm: WarmProcess
    expected: Ended

    @classmethod
    async def of(cls, work: Work, directory: Path, server: ScimServer, warm: WarmProcess) -> Stage:
        scene = await work.set_up(directory, server)
        return cls(work, scene, warm, await run_to_the_end(scene.set(), server, warm))

    async def counts(self) -> Mapping[At, int]:
        """Return how many places of each kind this work comes to by itself."""
        return (await self.warm.command(self.work.words, self.scene.set())).counts

    async def kill(self, kill: Kill, victims: Victims | None = None) -> Outcome:
        """Kill at one place and run on to the end; assert that nothing is lost and nothing made twice."""
        try:
            return await survive(self.scene, kill, self.warm, self.expected, self.work.words, victims)
        except AssertionError as error:
            error.add_note(str(kill))
            raise


def spread(places: Places, counts: Mapping[At, int]) -> Iterator[Kill]:
    """Return one kill for each of these places, the first near the beginning of the work, the last near its end."""
    for position, (at, when) in enumerate(places):
        yield Kill(at, when, 1 + counts[at] * (2 * position + 1) // (2 * len(places) + 1))
