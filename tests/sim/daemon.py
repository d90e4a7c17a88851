"""One life of the whole daemon in a simulation: store, jobs, control, mails, on a network that is not there."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import anyio

from reconciler import config, wiring
from reconciler.core.notices import Notice
from reconciler.net.client import Lanes
from reconciler.ports import InDoubt, NotTaken, Taken
from reconciler.runtime.desk import Desk
from reconciler.runtime.events import Event
from reconciler.runtime.postman import Post, Postman
from reconciler.runtime.reloading import Jobs, Reloaded, differences
from reconciler.runtime.service import Service
from tests.sim.disk import Disk
from tests.sim.life import Calendar, Life, LifeClock, LifeDice, LifeTicks, chance, wait
from tests.sim.net import Network
from tests.sim.story import Story


class MailServer:
    """Takes mails, mostly. Remembers how often it took each."""

    def __init__(self, seed: str, story: Story) -> None:
        self._chance, self._story = chance(f"{seed}/mail"), story
        self.refuses_share = 0.0
        self.taken: dict[str, int] = {}
        self.doubtful: set[str] = set()

    async def take(
        self, life: Life, notice: Notice, recipients: Sequence[str], begin: Callable[[], Awaitable[None]]
    ) -> Taken | NotTaken | InDoubt:
        life.check()
        await wait(0.1)
        life.check()
        thrown = self._chance.random()
        if thrown < self.refuses_share / 2:
            return NotTaken("451 later")
        await begin()
        life.check()
        if thrown < self.refuses_share * 0.75:
            self.doubtful.add(notice.key)
            return InDoubt("the mail server did not answer in time")
        self.taken[notice.key] = self.taken.get(notice.key, 0) + 1
        self._story.tell(f"MAIL {notice.kind} to {', '.join(recipients)}")
        self._story.listen_for_the_secret(repr(notice))
        await wait(0.1)
        life.check()
        return Taken("250 ok", {})


class _Notifier:
    def __init__(self, server: MailServer, life: Life) -> None:
        self._server, self._life = server, life

    async def hand_over(
        self, notice: Notice, recipients: Sequence[str], begin: Callable[[], Awaitable[None]]
    ) -> Taken | NotTaken | InDoubt:
        return await self._server.take(self._life, notice, recipients, begin)


class Daemon:
    """Runs from its start to SIGTERM, or until it is killed."""

    def __init__(
        self,
        number: int,
        seed: str,
        load: Callable[[], config.Config],
        disk: Disk,
        network: Network,
        mails: MailServer,
        calendar: Calendar,
        hear: Callable[[Event], None],
    ) -> None:
        self.life = Life(number)
        self._seed, self._load, self._disk, self._network = seed, load, disk, network
        self._mails, self._calendar, self._hear = mails, calendar, hear
        self.service: Service | None = None
        self.desk: Desk | None = None
        self._told, self._signals = anyio.create_memory_object_stream[signal.Signals](16)

    async def live(self) -> None:
        """Run the daemon. Raises StateError where the state cannot be used; whatever it raises when it is killed."""
        clock = LifeClock(self._calendar, self.life)
        loaded = self._load()
        store = self._disk.open(self.life, clock.now())
        task = asyncio.current_task()
        assert task is not None
        self.life.on_death = lambda: _cancel(task)
        try:
            house = wiring.House(
                loaded,
                store,
                clock,
                LifeDice(f"{self._seed}/dice/{self.life.number}"),
                Lanes(),
                connect=partial(self._network.connect, self.life),
            )
            postman = Postman(store, clock, self._post(loaded))
            ticks = LifeTicks(self._calendar, self.life)
            self.service = Service(house, store, clock, ticks, self._reload, postman=postman)
            self.service.events.give(self._hear)
            self.desk = Desk(self.service, store, clock)
            self.store = store
            await self.service.run(self._signals)
            await postman.send_within(5.0)
        finally:
            self.life.alive = False
            self._told.close()
            self._signals.close()
            await store.close()

    def _post(self, loaded: config.Config) -> Post:
        by_job: Mapping[str, Sequence[str]] = {name: job.notify for name, job in loaded.jobs.items()}
        return Post(_Notifier(self._mails, self.life), by_job)

    async def _reload(self, before: Jobs) -> Reloaded:
        assert isinstance(before, wiring.House)
        loaded = self._load()
        after = replace(before, config=loaded)
        connections, touched = wiring.connection_changes(before.config, loaded)
        return Reloaded(after, (*differences(before.plans(), after.plans()), *connections), touched)

    async def tell(self, received: signal.Signals) -> None:
        await self._told.send(received)


def _cancel(task: asyncio.Task[None]) -> None:
    """Let what is left of the process unwind; it has no effect on anything any more."""
    asyncio.get_running_loop().call_soon(task.cancel)
