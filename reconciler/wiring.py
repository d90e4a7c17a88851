"""Puts the parts together: the only module that knows everybody."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, assert_never
from urllib.parse import urlsplit

from reconciler import config as configuration
from reconciler.config import Config, FileSourceSettings, OtherSource, OtherTarget, ScimTargetSettings
from reconciler.core.mapping import Mapper
from reconciler.core.model import KINDS, Identity, Kind
from reconciler.errors import ConfigError, Problem, StateError
from reconciler.net.auth import Auth, Basic, Bearer, ClientCredentials
from reconciler.net.client import Client, Lanes
from reconciler.net.exchange import AiohttpExchange
from reconciler.ports import Clock, Dice, Progress, Source, Target
from reconciler.runtime.clock import NoProgress, SystemClock, SystemDice
from reconciler.runtime.cycle import Plan, World
from reconciler.runtime.rehearsal import Rehearsal
from reconciler.sources.file import FileSource
from reconciler.store.database import copy_state
from reconciler.store.sql import SqlStore
from reconciler.targets.scim import ScimTarget


@dataclass(frozen=True, slots=True)
class House:
    """A configuration at work: the store that is open, and what builds sources and targets for its jobs."""

    config: Config
    store: SqlStore
    clock: Clock
    dice: Dice
    lanes: Lanes

    def plans(self) -> Mapping[str, Plan]:
        """Return what the cycles of every job go by."""
        return {name: self.plan(name) for name in self.config.jobs}

    def with_config(self, config: Config) -> House:
        """Return the same house under another configuration."""
        return replace(self, config=config)

    def plan(self, job_name: str) -> Plan:
        """Return what a job's cycles go by."""
        job = self.config.jobs[job_name]
        settings = self.config.targets[job.target]
        profile = self.config.profiles[job.target]
        concurrency = settings.concurrency if isinstance(settings, ScimTargetSettings) else 1
        return Plan(job, profile, configuration.rules_version(job, profile), concurrency)

    @asynccontextmanager
    async def world(
        self, job_name: str, *, progress: Progress | None = None, rehearse: bool = False
    ) -> AsyncIterator[World]:
        """Open source and target of a job; close them at the end, and keep what the target said of itself."""
        job = self.config.jobs[job_name]
        source = build_source(self.config, job.source, self.clock)
        facts = await self.store.remembered(target_identity(self.config, job_name))
        target = build_target(self.config, job_name, self.clock, self.dice, self.lanes, facts)
        used: Target = Rehearsal(target) if rehearse else target
        try:
            yield World(source, used, self.store, self.clock, self.dice, progress or NoProgress())
            if not rehearse and target.facts is not None:
                await self.store.remember(target.identity, target.facts, self.clock.now())
        finally:
            await source.close()
            await target.close()


@asynccontextmanager
async def open_house(config: Config, *, write: bool, scratch: bool = False) -> AsyncIterator[House]:
    """Open the state of a configuration.

    `scratch`: work on a copy that is thrown away (a plan changes nothing). Raises StateError.
    """
    clock = SystemClock()
    process = " ".join(["reconciler", *sys.argv[1:2]])
    with ExitStack() as stack:
        url = config.state_url
        if scratch:
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="reconciler-plan-")))
            url = _copied(url, directory)
        store = await SqlStore.open(url, write=write, clock_now=clock.now(), process=process)
        try:
            yield House(config, store, clock, SystemDice(), Lanes())
        finally:
            await store.close()


@asynccontextmanager
async def open_connections(config: Config, job_name: str) -> AsyncIterator[tuple[Source, Target]]:
    """Open source and target of a job without its state, to test them."""
    clock = SystemClock()
    source = build_source(config, config.jobs[job_name].source, clock)
    target = build_target(config, job_name, clock, SystemDice(), Lanes(), None)
    try:
        yield source, target
    finally:
        await source.close()
        await target.close()


def job_named(config: Config, name: str) -> str:
    """Return the job's name; raises ConfigError with the nearest known one."""
    if name in config.jobs:
        return name
    near = get_close_matches(name, config.jobs, 1)
    hint = f"did you mean {near[0]}?" if near else f"jobs are: {', '.join(config.jobs) or 'none'}"
    raise ConfigError(Problem(str(config.path), f"there is no job {name}", hint))


def build_source(config: Config, name: str, clock: Clock) -> Source:
    """Return the source that a configuration names."""
    settings = config.sources[name]
    match settings:
        case FileSourceSettings():
            return FileSource(
                name,
                users=settings.users,
                groups=settings.groups,
                key=settings.key,
                members=settings.members,
                allow_empty=frozenset(settings.allow_empty),
                max_age_seconds=settings.max_age_seconds,
                clock=clock,
            )
        case OtherSource():
            raise _not_yet(config, f"[sources.{name}] type", settings.type)
        case _:
            assert_never(settings)


def build_target(
    config: Config, job_name: str, clock: Clock, dice: Dice, lanes: Lanes, facts: dict[str, Any] | None
) -> ScimTarget:
    """Return the target of a job. `facts` is what it said of itself the last time."""
    job = config.jobs[job_name]
    settings = config.targets[job.target]
    if isinstance(settings, OtherTarget):
        raise _not_yet(config, f"[targets.{job.target}] type", settings.type)
    profile = config.profiles[job.target]
    parts = urlsplit(settings.url)
    lane = lanes.lane(
        parts.netloc,
        job.target,
        concurrency=settings.concurrency,
        requests_per_second=settings.requests_per_second or profile.requests_per_second,
    )
    exchange = AiohttpExchange(
        ca_file=settings.ca_file,
        client_cert=settings.client_cert,
        client_key=settings.client_key,
        proxy=settings.proxy,
        connections=settings.concurrency,
    )
    paths: dict[Kind, tuple[str, ...]] = {}
    for kind in KINDS:
        rules = job.rules(kind)
        if rules is not None:
            paths[kind] = Mapper.compile(rules, profile).paths
    return ScimTarget(
        job.target,
        url=settings.url,
        profile=profile,
        client=Client(exchange, clock, dice, lane=lane, auth=_auth(settings, exchange, clock)),
        paths=paths,
        identity=target_identity(config, job_name),
        facts=facts,
        timeout_seconds=settings.timeout_seconds,
    )


def target_identity(config: Config, job_name: str) -> Identity:
    """Return what the target of a job is known as: its address, without the query."""
    settings = config.targets[config.jobs[job_name].target]
    if isinstance(settings, OtherTarget):
        return Identity(settings.type, settings.name)
    parts = urlsplit(settings.url)
    return Identity("scim", f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}")


def _copied(url: str, directory: Path) -> str:
    """Copy the state of a SQLite file; where there is none yet, the scratch state is empty."""
    copy = directory / "state.db"
    kind, _, place = url.partition(":///")
    if kind != "sqlite":
        raise StateError(
            "a plan works on a copy of the state, which needs SQLite; on PostgreSQL it is not yet available"
        )
    if Path(place).exists():
        copy_state(Path(place), copy)
    return f"sqlite:///{copy}"


def _auth(settings: ScimTargetSettings, exchange: AiohttpExchange, clock: Clock) -> Auth | None:
    match settings.auth:
        case None:
            return None
        case configuration.BearerAuth(secret=secret):
            return Bearer(secret.read)
        case configuration.BasicAuth(username=username, secret=secret):
            return Basic(username, secret.read)
        case configuration.OAuthSettings() as oauth:
            return ClientCredentials(
                exchange,
                clock,
                token_url=oauth.token_url,
                client_id=oauth.client_id,
                read_secret=oauth.secret.read,
                scopes=tuple((oauth.scope or "").split()),
                send="header" if oauth.client_auth == "basic" else "body",
            )
        case _:
            assert_never(settings.auth)


def _not_yet(config: Config, where: str, type_: str) -> ConfigError:
    return ConfigError(Problem(f"{config.path.name}: {where}", f"{type_} is not yet available"))
