"""The daemon's lives, one after another, and what people ask it for while it lives."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251  # because these dice are thrown from a seed
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from reconciler import config, wiring
from reconciler.core.restarting import RESTART
from reconciler.errors import ReconcilerError
from reconciler.net.client import Lanes
from reconciler.ports import Decision
from reconciler.runtime.desk import Desk
from reconciler.runtime.events import Event
from tests.sim.daemon import Daemon, MailServer
from tests.sim.disk import Disk
from tests.sim.life import Calendar, Killed, Life, LifeClock, LifeDice, wait
from tests.sim.net import Network
from tests.sim.story import Story
from tests.sim.watch import Watch


class Lives:
    """Starts the daemon again whenever it has ended, until all is over."""

    def __init__(
        self,
        seed: str,
        directory: Path,
        disk: Disk,
        network: Network,
        mails: MailServer,
        calendar: Calendar,
        story: Story,
        watch: Watch,
        dice: random.Random,
        written: Callable[[], tuple[str, ...]],
        hear: Callable[[Event], None],
    ) -> None:
        """`written` is what stands in the files of the configuration now."""
        self._seed, self._directory, self._disk, self._network = seed, directory, disk, network
        self._mails, self._calendar, self._story, self._watch = mails, calendar, story, watch
        self._dice, self._written, self._hear = dice, written, hear
        self.daemon: Daemon | None = None
        self._count = 0
        self._over = False
        self._loaded: dict[tuple[str, ...], config.Config] = {}

    async def live(self) -> None:
        """Let the daemon live, again and again."""
        while not self._over:
            self._count += 1
            daemon = Daemon(
                self._count,
                self._seed,
                self._load,
                self._disk,
                self._network,
                self._mails,
                self._calendar,
                self._hear,
            )
            self._story.tell(f"LIFE {self._count} begins")
            self.daemon = daemon
            task = asyncio.get_running_loop().create_task(daemon.live())
            await asyncio.wait((task,))
            self._ended(task, daemon)
            error = None if task.cancelled() else task.exception()
            # What a person has to mend is not tried again at once.
            await wait(1200.0 if isinstance(error, ReconcilerError) else self._dice.uniform(1.0, 60.0))

    def _load(self) -> config.Config:
        """Return the configuration as it is written now; one that was read before is not read again."""
        written = self._written()
        if written not in self._loaded:
            self._loaded[written] = config.load(self._directory / "config.toml")
        return self._loaded[written]

    def _ended(self, task: asyncio.Task[None], daemon: Daemon) -> None:
        """Judge how a life ended."""
        self.daemon = None
        self._watch.under_way.all_ended()
        error = None if task.cancelled() else task.exception()
        told = "killed" if error is not None and _only(error, (Killed, asyncio.CancelledError)) else repr(error)
        self._story.tell(f"LIFE {daemon.life.number} ends: {told}")
        if error is not None and not _only(error, (Killed, asyncio.CancelledError, ReconcilerError)):
            self._watch.wrong(f"the daemon ended with {error!r}")

    @property
    def alive(self) -> bool:
        return self.daemon is not None and self.daemon.life.alive

    def kill(self) -> None:
        """End the process here and now."""
        if self.daemon is not None and self.daemon.life.alive:
            self._story.tell("KILL now")
            self._disk.kills += 1
            self.daemon.life.kill()

    async def terminate(self) -> None:
        """End the daemon as systemd does."""
        if self.daemon is not None and self.daemon.life.alive:
            await self.daemon.tell(signal.SIGTERM)

    async def end(self, living: asyncio.Task[None]) -> None:
        """Let the last life end as it should."""
        self._over = True
        await self.terminate()
        await asyncio.wait((living,), timeout=2000.0)

    # --- what people ask for ---

    async def hand(self, work: Callable[[Any], Any]) -> Any:
        """Let a person ask the daemon for something, through its desk; None where it does not answer."""
        daemon = self.daemon
        if daemon is None or daemon.desk is None or not daemon.life.alive or daemon.service is None:
            return None
        if not daemon.service.started.is_set() or daemon.service.stopping:
            return None
        try:
            return await work(daemon.desk)
        except ReconcilerError as error:
            self._story.tell(f"HAND refused: {error}")
        except (Killed, asyncio.CancelledError, BaseExceptionGroup):
            if daemon.life.alive:
                raise
        return None

    async def cycle(self, jobs: Sequence[str], *, full: bool = False) -> None:
        """Run a cycle of each of these jobs to its end, one after another."""
        for job in jobs:
            await self.hand(partial(_trigger, job, full))
            await self.idle(job)

    async def idle(self, job: str) -> None:
        daemon = self.daemon
        if daemon is not None and daemon.service is not None:
            await daemon.service.until_idle(job)

    async def decide(self, jobs: Sequence[str], decision: Decision) -> int:
        """Approve or reject everything that is held in these jobs; return how many operations that is."""
        count = 0
        for job in jobs:
            asked, said = self.daemon, self._watch.written.held(job)
            holds = await self.hand(partial(_decide, job, decision))
            if isinstance(holds, list):
                said = [operation.key for hold in holds for operation in hold.operations]
                count += len(said)
            elif asked is None or asked.life.alive:
                continue
            # else it was killed while it wrote that down, or just before
            if decision == "approved":
                self._watch.allowance.approve(job, said, asyncio.get_running_loop().time())
        return count

    async def let_back(self, people: Sequence[str]) -> None:
        """Leave those to the rules again who were taken out by hand."""
        for id_ in people:
            await self.hand(partial(_let_back, id_))

    async def restart_job(self, job: str) -> None:
        """Ask for an ordinary restart of a job."""
        await self.hand(lambda desk: desk.restart(job, RESTART, by="hand"))

    async def bind_anew(self, job: str) -> None:
        """End the daemon, and say that source and target are still the same, as the command does."""
        await self.terminate()
        while self.daemon is not None:
            await wait(0.5)
        store = self._disk.open(Life(0), self._calendar.now())
        clock, dice = LifeClock(self._calendar, Life(0)), LifeDice(self._seed)
        connect = partial(self._network.connect, Life(0))
        house = wiring.House(self._load(), store, clock, dice, Lanes(), connect=connect)
        try:
            async with house.world(job) as world:
                await store.rebind(job, world.source.identity, world.target.identity, keep_links=True)
        finally:
            await store.close()


def _only(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_only(one, kinds) for one in error.exceptions)
    return isinstance(error, kinds)


async def _trigger(job: str, full: bool, desk: Desk) -> object:
    return desk.trigger(job, full=full, by="calm")


async def _decide(job: str, decision: Decision, desk: Desk) -> object:
    return await desk.decide(job, None, decision, by="somebody")


async def _let_back(id_: str, desk: Desk) -> object:
    return await desk.take_out(id_, dry_run=False, release=True, by="calm")
