"""A configuration at work: the state that is open, and what it opens for each job."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlsplit

import anyio

from reconciler import config as configuration
from reconciler.config import Config
from reconciler.core.model import Job
from reconciler.errors import ConfigError, NoStateYet, Problem, StateError
from reconciler.net.client import Lanes
from reconciler.ports import Announcing, Clock, Dice, Progress, Source, Target
from reconciler.runtime.clock import NoProgress, SystemClock, SystemDice
from reconciler.runtime.rehearsal import Rehearsal
from reconciler.runtime.turns import Turns
from reconciler.runtime.world import Plan, World
from reconciler.store.copying import copy_server_state
from reconciler.store.database import copy_state
from reconciler.store.sql import SqlStore, uninterrupted
from reconciler.wiring.connecting import REAL, Connect
from reconciler.wiring.credentials import reader
from reconciler.wiring.sources import build_source
from reconciler.wiring.targets import BuiltTarget, Measure, build_target, target_identity

CLOSE_SECONDS = 5.0
"""How long a connection may take to close before it is left to the end of the process."""


@dataclass(frozen=True, slots=True)
class House:
    """A configuration at work: the store that is open, and what builds sources and targets for its jobs."""

    config: Config
    store: SqlStore
    clock: Clock
    dice: Dice
    lanes: Lanes
    turns: Turns = field(default_factory=Turns)
    measure: Measure | None = None
    """Takes the job, the method, the status or fault, and the seconds of each request to a target."""
    connect: Connect = REAL

    def plans(self) -> Mapping[str, Plan]:
        """Return what the cycles of every job go by."""
        return {name: self.plan(name) for name in self.config.jobs}

    def with_config(self, config: Config) -> House:
        """Return the same house under another configuration."""
        return replace(self, config=config)

    def plan(self, job_name: str) -> Plan:
        """Return what a job's cycles go by."""
        return plan_of(self.config, job_name)

    @asynccontextmanager
    async def world(
        self, job_name: str, *, progress: Progress | None = None, rehearse: bool = False
    ) -> AsyncIterator[World]:
        """Open source and target of a job; close them at the end, and keep what the target said of itself."""
        facts = await self.store.remembered(target_identity(self.config, job_name))
        connected = _connected(
            self.config, job_name, self.clock, self.dice, self.lanes, facts, self.measure, self.connect
        )
        async with connected as (source, target):
            used: Target = Rehearsal(target) if rehearse else target
            shown = progress or NoProgress()
            yield World(source, used, self.store, self.clock, self.dice, shown, self.turns, rehearsal=rehearse)
            if not rehearse and target.facts is not None:
                # what another job of this target has learned meanwhile stays as it is
                learned = {
                    name: fact for name, fact in target.facts.items() if facts is None or facts.get(name) != fact
                }
                await self.store.remember(target.identity, learned, self.clock.now())

    @asynccontextmanager
    async def announcing(self, source: str) -> AsyncIterator[Announcing | None]:
        """Open a source on its own, to listen to what it announces; None where its type announces nothing."""
        opened = build_source(self.config, source, self.clock, self.dice, self.lanes, self.connect)
        try:
            yield opened if isinstance(opened, Announcing) else None
        finally:
            await _close(opened)

    def webhook_secret(self, job_name: str) -> Callable[[], str] | None:
        """Return what reads the secret of a job's webhook; None where it has none."""
        secret = self.config.webhooks.get(job_name)
        return None if secret is None else reader(secret)

    @asynccontextmanager
    async def rehearsal(self, job_name: str) -> AsyncIterator[World]:
        """Open a job on a copy of the state that is thrown away, with a target that is only asked."""
        async with open_house(self.config, write=True, scratch=True) as copied:
            house = replace(self, store=copied.store, turns=copied.turns)
            async with house.world(job_name, rehearse=True) as world:
                yield world


def plan_of(config: Config, job_name: str) -> Plan:
    """Return what a job's cycles go by."""
    job = config.jobs[job_name]
    settings = config.targets[job.target]
    profile = config.job_profiles[job_name]
    version = configuration.rules_version(job, profile)
    kept_seconds, expires = config.log_retention_seconds, settings.credential_expires
    return Plan(job, profile, version, settings.concurrency, kept_seconds, expires, _beside(config, job))


@asynccontextmanager
async def open_house(
    config: Config, *, write: bool, scratch: bool = False, process: str = "reconciler"
) -> AsyncIterator[House]:
    """Open the state of a configuration.

    `scratch`: work on a copy that is thrown away (a plan changes nothing). `process` is what a second writer is told
    of this one. Raises StateError.
    """
    clock = SystemClock()
    with ExitStack() as stack:
        url = state_url(config)
        if scratch:
            try:
                directory = Path(stack.enter_context(TemporaryDirectory(prefix="reconciler-plan-")))
            except OSError as error:
                problem = f"no copy of the state can be made: {error.strerror or error}"
                raise StateError(f"{problem}; is there a temporary directory (TMPDIR), and room in it?") from error
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="copy") as apart:
                # the daemon goes on meanwhile: its state may be large
                url = await uninterrupted(apart, partial(_copied, url, directory))
        store = await SqlStore.open(url, write=write, clock_now=clock.now(), process=process)
        try:
            yield House(config, store, clock, SystemDice(), Lanes())
        finally:
            await store.close()


@asynccontextmanager
async def open_connections(config: Config, job_name: str) -> AsyncIterator[tuple[Source, Target]]:
    """Open source and target of a job without its state, to test them."""
    async with _connected(config, job_name, SystemClock(), SystemDice(), Lanes(), None) as connections:
        yield connections


@asynccontextmanager
async def _connected(
    config: Config,
    job_name: str,
    clock: Clock,
    dice: Dice,
    lanes: Lanes,
    facts: dict[str, Any] | None,
    measure: Measure | None = None,
    connect: Connect = REAL,
) -> AsyncIterator[tuple[Source, BuiltTarget]]:
    async with AsyncExitStack() as stack:
        copy = state_directory(config) / f"joined-{job_name}.db"
        source = build_source(config, config.jobs[job_name].source, clock, dice, lanes, connect, copy=copy)
        stack.push_async_callback(_close, source)
        target = build_target(config, job_name, clock, dice, lanes, facts, measure, connect)
        stack.push_async_callback(_close, target)
        yield source, target


def _beside(config: Config, job: Job) -> tuple[Job, ...]:
    """Return the jobs to which an account may pass whose owner leaves the scope of this one."""
    target = target_identity(config, job.name)
    # Whom the source itself assigns to an app, and who is meant by `only`, is known to that job alone.
    return tuple(
        other
        for name, other in config.jobs.items()
        if name != job.name
        and other.enabled
        and other.source == job.source
        and other.service_principal is None
        and not other.only
        and target_identity(config, name) == target
    )


async def _close(opened: Source | Target) -> None:
    """Close it also when we are being cut off: a connection that nobody closes is one that the target keeps open."""
    with anyio.move_on_after(CLOSE_SECONDS, shield=True):
        await opened.close()


def state_url(config: Config) -> str:
    """Return the state's address with its password in it: for the store alone, never to be shown."""
    if config.state_password is None:
        return config.state_url
    password = reader(config.state_password)()
    parts = urlsplit(config.state_url)
    user, _, host = parts.netloc.rpartition("@")
    if not user:
        problem = "names no user, so nobody can sign in with the password"
        raise ConfigError(Problem(f"{config.path}: [state] url", problem, "postgresql://user@host/name"))
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


def state_directory(config: Config) -> Path:
    """Return where files belong that go with the state: beside it, or where systemd says that ours are."""
    kind, _, place = config.state_url.partition(":///")
    if kind == "sqlite":
        return Path(place).parent
    return Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or config.directory)


def _copied(url: str, directory: Path) -> str:
    """Copy the state into a SQLite file; where there is none yet, the scratch state is empty."""
    copy = directory / "state.db"
    kind, _, place = url.partition(":///")
    with suppress(NoStateYet):
        if kind == "sqlite":
            copy_state(Path(place), copy)
        else:
            copy_server_state(url, copy)
    return f"sqlite:///{copy}"
