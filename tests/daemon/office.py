"""A daemon's surroundings in virtual time: jobs that a test can hold up or break, ticks and signals of the loop."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import anyio.lowlevel

from reconciler import config, wiring
from reconciler.errors import StateError
from reconciler.net.client import Lanes
from reconciler.ports import Announcing, Progress
from reconciler.runtime.reloading import Jobs, Reloaded, differences
from reconciler.runtime.service import Service
from reconciler.runtime.world import Plan, World
from reconciler.store.sql import SqlStore
from tests.cycles.company import Company
from tests.net.doubles import EPOCH, LoopClock, SetDice

MINUTE = 60.0


class LoopTicks:
    """`Ticks` on the loop's own clock."""

    def __init__(self) -> None:
        self._armed: dict[str, asyncio.TimerHandle] = {}
        self._woken: set[asyncio.Task[None]] = set()

    @property
    def armed(self) -> set[str]:
        return set(self._armed)

    def set(self, job: str, at: float, wake: Callable[[], Awaitable[None]]) -> None:
        self.cancel(job)
        self._armed[job] = asyncio.get_running_loop().call_at(at - EPOCH, self._wake, job, wake)

    def cancel(self, job: str) -> None:
        armed = self._armed.pop(job, None)
        if armed is not None:
            armed.cancel()

    def stop(self) -> None:
        for job in list(self._armed):
            self.cancel(job)

    def _wake(self, job: str, wake: Callable[[], Awaitable[None]]) -> None:
        self._armed.pop(job, None)

        async def woken() -> None:
            await wake()

        task = asyncio.get_running_loop().create_task(woken())
        self._woken.add(task)
        task.add_done_callback(self._woken.discard)


class FailingStore(SqlStore):
    """A state that cannot keep when jobs are due."""

    failing = False

    async def set_next_due(self, job: str, at: float | None) -> None:
        await anyio.lowlevel.checkpoint()  # a disk takes its time
        if self.failing:
            raise StateError("state.db: the disk is full")
        await super().set_next_due(job, at)

    async def next_due(self, job: str) -> float | None:
        if self.failing:
            raise StateError("state.db: the disk does not read")
        return await super().next_due(job)


class Office:
    """The jobs of a company's configuration. Each may take its time, or be brought down by a mistake of ours."""

    def __init__(self, house: wiring.House, store: FailingStore) -> None:
        self.house, self.store = house, store
        self.ticks = LoopTicks()
        self.clock = LoopClock()
        self.takes_seconds: dict[str, float] = {}
        self.broken: set[str] = set()
        self.voices: dict[str, Announcing] = {}
        """What announces the changes of a source, where a test does so in its place."""
        self.began: list[tuple[str, float]] = []
        """Which job's cycle began after how many minutes."""
        self.told, self.signals = anyio.create_memory_object_stream[signal.Signals](16)
        self.reloading: Callable[[], wiring.House] = lambda: self.house
        self._running: Counter[str] = Counter()

    def service(self, *, drain_seconds: float = 60.0) -> Service:
        return Service(self, self.store, self.clock, self.ticks, self._reload, drain_seconds=drain_seconds)

    @asynccontextmanager
    async def open_for(self, minutes: float, *, drain_seconds: float = 60.0) -> AsyncIterator[Service]:
        """Run the daemon beside the block, and let it run on until so many minutes after its start; then end it."""
        service = self.service(drain_seconds=drain_seconds)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run, self.signals)
            yield service
            await self.until(minutes)
            await self.told.send(signal.SIGTERM)

    async def until(self, minutes: float) -> None:
        await self.clock.sleep(minutes * MINUTE - self.clock.monotonic())

    def plans(self) -> Mapping[str, Plan]:
        return self.house.plans()

    @asynccontextmanager
    async def world(self, job_name: str, *, progress: Progress | None = None) -> AsyncIterator[World]:
        self.began.append((job_name, round(self.clock.monotonic() / MINUTE, 1)))
        self._running[job_name] += 1
        assert self._running[job_name] == 1, "a job never overlaps itself"
        try:
            if job_name in self.broken:
                raise RuntimeError("a mistake of ours")
            await self.clock.sleep(self.takes_seconds.get(job_name, 0.0))
            async with self.house.world(job_name, progress=progress) as world:
                yield world
        finally:
            self._running[job_name] -= 1

    @asynccontextmanager
    async def rehearsal(self, job_name: str) -> AsyncIterator[World]:
        async with self.house.rehearsal(job_name) as world:
            yield world

    @asynccontextmanager
    async def announcing(self, source: str) -> AsyncIterator[Announcing | None]:
        if source in self.voices:
            yield self.voices[source]
            return
        async with self.house.announcing(source) as announcing:
            yield announcing

    def webhook_secret(self, job_name: str) -> Callable[[], str] | None:
        return self.house.webhook_secret(job_name)

    async def _reload(self, before: Jobs) -> Reloaded:
        was = self.house.plans()
        self.house = self.reloading()
        return Reloaded(self, differences(was, self.house.plans()))


@asynccontextmanager
async def opened(company: Company, kind: type[FailingStore] = FailingStore) -> AsyncIterator[Office]:
    """Open a company's state in the caller's thread and in the loop's time."""
    loaded = config.load(company.directory / "config.toml")
    store = await kind.open(loaded.state_url, write=True, clock_now=EPOCH, inline=True)
    office = Office(wiring.House(loaded, store, LoopClock(), SetDice(), Lanes()), store)
    try:
        yield office
    finally:
        office.told.close()
        office.signals.close()
        await store.close()


def with_config(office: Office, company: Company) -> Callable[[], wiring.House]:
    """Return what reads the company's configuration again."""
    return lambda: replace(office.house, config=config.load(company.directory / "config.toml"))
