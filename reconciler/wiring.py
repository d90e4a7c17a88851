"""Puts the parts together: the only module that knows everybody."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, assert_never
from urllib.parse import quote, urlsplit

import anyio

from reconciler import __version__, logs
from reconciler import config as configuration
from reconciler.config import (
    Config,
    FileSourceSettings,
    GraphTargetSettings,
    LdapSourceSettings,
    OtherSource,
    OtherTarget,
    RestSourceSettings,
    ScimTargetSettings,
    SimpleBindSettings,
    SqlSourceSettings,
)
from reconciler.core.mapping import Mapper
from reconciler.core.model import KINDS, Identity, Kind
from reconciler.errors import ConfigError, Problem, StateError
from reconciler.net.auth import Auth, Basic, Bearer, ClientCredentials
from reconciler.net.client import Client, Lanes
from reconciler.net.exchange import AiohttpExchange
from reconciler.net.measured import Measured
from reconciler.notify.letters import Letters
from reconciler.notify.smtp import MailServer, SmtpNotifier
from reconciler.ports import Announcing, Clock, Dice, Progress, Source, Target
from reconciler.runtime.clock import NoProgress, SystemClock, SystemDice
from reconciler.runtime.postman import Post
from reconciler.runtime.rehearsal import Rehearsal
from reconciler.runtime.turns import Turns
from reconciler.runtime.world import Plan, World
from reconciler.secrets import Secret
from reconciler.sources.file import FileSource
from reconciler.sources.rest import KeySecret, RestSource
from reconciler.sources.sql import Queries, SqlSource
from reconciler.store.database import copy_state
from reconciler.store.sql import SqlStore
from reconciler.targets.graph import GraphTarget
from reconciler.targets.scim import ScimTarget

Measure = Callable[[str, str, str, float], None]
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
        profile = self.config.job_profiles[job_name]
        concurrency, expires = 1, None
        if not isinstance(settings, OtherTarget):
            concurrency, expires = settings.concurrency, settings.credential_expires
        version = configuration.rules_version(job, profile)
        return Plan(job, profile, version, concurrency, self.config.log_retention_seconds, expires)

    @asynccontextmanager
    async def world(
        self, job_name: str, *, progress: Progress | None = None, rehearse: bool = False
    ) -> AsyncIterator[World]:
        """Open source and target of a job; close them at the end, and keep what the target said of itself."""
        facts = await self.store.remembered(target_identity(self.config, job_name))
        connected = _connected(self.config, job_name, self.clock, self.dice, self.lanes, facts, self.measure)
        async with connected as (source, target):
            used: Target = Rehearsal(target) if rehearse else target
            yield World(source, used, self.store, self.clock, self.dice, progress or NoProgress(), self.turns)
            if not rehearse and target.facts is not None:
                await self.store.remember(target.identity, target.facts, self.clock.now())

    @asynccontextmanager
    async def announcing(self, source: str) -> AsyncIterator[Announcing | None]:
        """Open a source on its own, to listen to what it announces; None where its type announces nothing."""
        opened = build_source(self.config, source, self.clock, self.dice, self.lanes)
        try:
            yield opened if isinstance(opened, Announcing) else None
        finally:
            await _close(opened)

    def webhook_secret(self, job_name: str) -> Callable[[], str] | None:
        """Return what reads the secret of a job's webhook; None where it has none."""
        secret = self.config.webhooks.get(job_name)
        return None if secret is None else _reader(secret)

    @asynccontextmanager
    async def rehearsal(self, job_name: str) -> AsyncIterator[World]:
        """Open a job on a copy of the state that is thrown away, with a target that is only asked."""
        async with open_house(self.config, write=True, scratch=True) as copied:
            house = replace(copied, clock=self.clock, dice=self.dice, lanes=self.lanes, measure=self.measure)
            async with house.world(job_name, rehearse=True) as world:
                yield world


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
) -> AsyncIterator[tuple[Source, ScimTarget | GraphTarget]]:
    async with AsyncExitStack() as stack:
        source = build_source(config, config.jobs[job_name].source, clock, dice, lanes)
        stack.push_async_callback(_close, source)
        target = build_target(config, job_name, clock, dice, lanes, facts, measure)
        stack.push_async_callback(_close, target)
        yield source, target


async def _close(opened: Source | Target) -> None:
    """Close it also when we are being cut off: a connection that nobody closes is one that the target keeps open."""
    with anyio.move_on_after(CLOSE_SECONDS, shield=True):
        await opened.close()


def state_url(config: Config) -> str:
    """Return the state's address with its password in it: for the store alone, never to be shown."""
    if config.state_password is None:
        return config.state_url
    password = _reader(config.state_password)()
    parts = urlsplit(config.state_url)
    user, _, host = parts.netloc.rpartition("@")
    if not user:
        problem = "names no user, so nobody can sign in with the password"
        raise ConfigError(Problem(f"{config.path}: [state] url", problem, "postgresql://user@host/name"))
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


def connection_changes(before: Config, after: Config) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return in sentences what a reload changes beside the jobs' rules, and the jobs whose connections it touches."""
    said: list[str] = []
    changed: dict[str, set[str]] = {"source": set(), "target": set()}
    for what, was, now in (("source", before.sources, after.sources), ("target", before.targets, after.targets)):
        for name in was.keys() & now.keys():
            if was[name] != now[name]:
                changed[what].add(name)
                said.append(f"{what} {name}: {', '.join(_differing(was[name], now[name]))} changed")
    said += [
        f"target {name}: limits are lowered at once, raised when the daemon is started again"
        for name in before.targets.keys() & after.targets.keys()
        if _limits(before, name) != _limits(after, name)
    ]
    if before.metrics != after.metrics:
        said.append("[metrics] changed: the daemon goes on as it began until it is started again")
    if (before.state_url, before.state_password) != (after.state_url, after.state_password):
        said.append("[state] changed: the daemon goes on with the state that it has open until it is started again")
    touched = frozenset(
        job.name for job in after.jobs.values() if job.source in changed["source"] or job.target in changed["target"]
    )
    return tuple(sorted(said)), touched


def _differing(was: object, now: object) -> Iterator[str]:
    """Yield the names of settings that differ, never their values."""
    if type(was) is not type(now):
        yield "type"
        return
    assert isinstance(
        was,
        ScimTargetSettings
        | GraphTargetSettings
        | OtherTarget
        | FileSourceSettings
        | LdapSourceSettings
        | SqlSourceSettings
        | RestSourceSettings
        | OtherSource,
    )
    for one in fields(was):
        if getattr(was, one.name) != getattr(now, one.name):
            yield one.name.removesuffix("_seconds")


def _limits(config: Config, target: str) -> tuple[int, float | None] | None:
    settings = config.targets[target]
    return None if isinstance(settings, OtherTarget) else (settings.concurrency, settings.requests_per_second)


def job_named(config: Config, name: str) -> str:
    """Return the job's name; raises ConfigError with the nearest known one."""
    if name in config.jobs:
        return name
    near = get_close_matches(name, config.jobs, 1)
    hint = f"did you mean {near[0]}?" if near else f"jobs are: {', '.join(config.jobs) or 'none'}"
    raise ConfigError(Problem(str(config.path), f"there is no job {name}", hint))


def build_source(
    config: Config, name: str, clock: Clock, dice: Dice | None = None, lanes: Lanes | None = None
) -> Source:
    """Return the source that a configuration names."""
    dice, lanes = dice or SystemDice(), lanes or Lanes()
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
        case LdapSourceSettings():
            return _ldap_source(config, settings)
        case SqlSourceSettings():
            return SqlSource(
                name,
                settings.url,
                Queries(
                    settings.users,
                    settings.groups,
                    settings.members,
                    key=settings.key,
                    changed=settings.changed,
                    deleted=settings.deleted,
                    overlap_seconds=settings.overlap_seconds,
                ),
                read_password=None if settings.password is None else _reader(settings.password),
                allow_empty=frozenset(settings.allow_empty),
                timeout_seconds=settings.timeout_seconds,
                clock=clock,
            )
        case RestSourceSettings():
            return _rest_source(settings, clock, dice, lanes)
        case OtherSource():
            raise _not_yet(config, f"[sources.{name}] type", settings.type)
        case _:
            assert_never(settings)


def _rest_source(settings: RestSourceSettings, clock: Clock, dice: Dice, lanes: Lanes) -> Source:
    assert settings.description is not None
    exchange = AiohttpExchange(ca_file=settings.ca_file, proxy=settings.proxy, connections=1)
    lane = lanes.lane(
        urlsplit(settings.url).netloc,
        f"source {settings.name}",
        concurrency=1,
        requests_per_second=settings.requests_per_second,
    )
    key, auth = None, settings.auth
    if isinstance(auth, configuration.KeyAuth):
        key, auth = KeySecret(auth.place, auth.key_name, _reader(auth.secret)), None
    signs = _auth(auth, exchange, clock, scheme=settings.scheme)
    return RestSource(
        settings.name,
        settings.description,
        type_=settings.type,
        url=settings.url,
        client=Client(exchange, clock, dice, lane=lane, auth=signs),
        clock=clock,
        parameters=settings.parameters,
        key=key,
        overlap_seconds=settings.overlap_seconds,
        timeout_seconds=settings.timeout_seconds,
        allow_empty=frozenset(settings.allow_empty),
    )


def _ldap_source(config: Config, settings: LdapSourceSettings) -> Source:
    try:
        # Only who reads a directory needs libldap.
        from reconciler.sources.ldap import LdapSource
        from reconciler.sources.ldap_layout import Layout, Place
        from reconciler.sources.ldap_wire import Address, Anonymous, SaslBind, SimpleBind
    except ModuleNotFoundError as error:
        problem = f"python-ldap is not installed ({error.name} is missing)"
        where = f"{config.path.name}: [sources.{settings.name}] type"
        raise ConfigError(Problem(where, problem, "pip install 'reconciler[ldap]'")) from error
    bind: SimpleBind | SaslBind | Anonymous
    match settings.bind:
        case SimpleBindSettings(dn=dn, secret=secret):
            bind = SimpleBind(dn, _reader(secret))
        case "anonymous":
            bind = Anonymous()
        case mechanism:
            bind = SaslBind(mechanism)
    return LdapSource(
        settings.name,
        Address(
            settings.url,
            start_tls=settings.start_tls,
            ca_file=settings.ca_file,
            client_cert=settings.client_cert,
            client_key=settings.client_key,
            timeout_seconds=settings.timeout_seconds,
        ),
        bind,
        Layout(
            Place(settings.users_base, settings.users_filter),
            Place(settings.groups_base, settings.groups_filter),
            active_directory=settings.active_directory,
            anchor=settings.anchor,
            group_name=settings.group_name,
            members=settings.members,
            references=settings.references,
            multivalued=settings.multivalued,
            in_chain=settings.nested,
            page_size=settings.page_size,
        ),
        changes=settings.changes,
    )


def build_target(
    config: Config,
    job_name: str,
    clock: Clock,
    dice: Dice,
    lanes: Lanes,
    facts: dict[str, Any] | None,
    measure: Measure | None = None,
) -> ScimTarget | GraphTarget:
    """Return the target of a job. `facts` is what it said of itself the last time."""
    job = config.jobs[job_name]
    settings = config.targets[job.target]
    if isinstance(settings, OtherTarget):
        raise _not_yet(config, f"[targets.{job.target}] type", settings.type)
    if isinstance(settings, GraphTargetSettings):
        return _build_graph(config, job_name, settings, clock, dice, lanes, measure)
    profile = config.job_profiles[job_name]
    parts = urlsplit(settings.url)
    lane = lanes.lane(
        parts.netloc,
        _credential(settings),
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
    measured = exchange if measure is None else Measured(exchange, clock, partial(measure, job_name))
    return ScimTarget(
        job.target,
        url=settings.url,
        profile=profile,
        client=Client(measured, clock, dice, lane=lane, auth=_auth(settings.auth, exchange, clock)),
        paths=_mapped_paths(config, job_name),
        identity=target_identity(config, job_name),
        facts=facts,
        timeout_seconds=settings.timeout_seconds,
    )


def _build_graph(
    config: Config,
    job_name: str,
    settings: GraphTargetSettings,
    clock: Clock,
    dice: Dice,
    lanes: Lanes,
    measure: Measure | None,
) -> GraphTarget:
    profile = config.job_profiles[job_name]
    parts = urlsplit(settings.url)
    lane = lanes.lane(
        parts.netloc,
        settings.name,
        concurrency=settings.concurrency,
        requests_per_second=settings.requests_per_second or profile.requests_per_second,
        writes_per_second=profile.writes_per_second,
    )
    exchange = AiohttpExchange(ca_file=settings.ca_file, proxy=settings.proxy, connections=settings.concurrency)
    auth = ClientCredentials(
        exchange,
        clock,
        token_url=f"{settings.login_url}/{settings.tenant}/oauth2/v2.0/token",
        client_id=settings.client_id,
        read_secret=_reader(settings.secret),
        scopes=(f"{parts.scheme}://{parts.netloc}/.default",),
        send="body",
    )
    measured = exchange if measure is None else Measured(exchange, clock, partial(measure, job_name))
    return GraphTarget(
        settings.name,
        url=settings.url,
        profile=profile,
        client=Client(measured, clock, dice, lane=lane, auth=auth),
        clock=clock,
        paths=_mapped_paths(config, job_name),
        identity=target_identity(config, job_name),
        timeout_seconds=settings.timeout_seconds,
    )


def _mapped_paths(config: Config, job_name: str) -> Mapping[Kind, tuple[str, ...]]:
    job = config.jobs[job_name]
    paths: dict[Kind, tuple[str, ...]] = {}
    for kind in KINDS:
        rules = job.rules(kind)
        if rules is not None:
            paths[kind] = Mapper.compile(rules, config.job_profiles[job_name]).paths
            if kind == "user":
                paths[kind] = tuple(dict.fromkeys((*paths[kind], *(m.to for m in job.deprovision.parting))))
    return paths


def build_post(config: Config) -> Post:
    """Return how mails leave, and to whom; without [mail] there is nobody to hand them to."""
    mail = config.mail
    by_job = {name: job.notify for name, job in config.jobs.items()}
    if mail is None:
        return Post(by_job=by_job)
    server = MailServer(
        mail.host,
        mail.port,
        mail.security,
        username=mail.username,
        read_password=None if mail.password is None else _reader(mail.password),
        ca_file=mail.ca_file,
        timeout_seconds=mail.timeout_seconds,
    )
    letters = Letters(
        mail.sender,
        config=str(config.path.resolve()),
        host=socket.gethostname(),
        version=__version__,
        places={name: _between(config, name) for name in config.jobs},
    )
    return Post(SmtpNotifier(server, letters), by_job, mail.to)


def _between(config: Config, job_name: str) -> str:
    job = config.jobs[job_name]
    place = target_identity(config, job_name).place
    return f"The job {job_name} goes from the source {job.source} to the target {job.target} ({place})."


def target_identity(config: Config, job_name: str) -> Identity:
    """Return what the target of a job is known as: its address, without the query."""
    settings = config.targets[config.jobs[job_name].target]
    if isinstance(settings, OtherTarget):
        return Identity(settings.type, settings.name)
    parts = urlsplit(settings.url)
    place = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    if isinstance(settings, GraphTargetSettings):
        return Identity("graph", place, settings.tenant.lower())
    return Identity("scim", place, settings.tenant or "")


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


def _credential(settings: ScimTargetSettings) -> str:
    """Return what tells credentials apart without knowing them: where they are kept."""
    match settings.auth:
        case None:
            return ""
        case configuration.OAuthSettings() as oauth:
            return f"{oauth.token_url} {oauth.client_id}"
        case configuration.BearerAuth(secret=secret) | configuration.BasicAuth(secret=secret):
            return f"{secret.kind} {secret.name}"
        case _:
            assert_never(settings.auth)


def _auth(
    auth: configuration.Auth | None, exchange: AiohttpExchange, clock: Clock, *, scheme: str = "Bearer"
) -> Auth | None:
    match auth:
        case None:
            return None
        case configuration.BearerAuth(secret=secret):
            return Bearer(_reader(secret), scheme=scheme)
        case configuration.BasicAuth(username=username, secret=secret):
            return Basic(username, _reader(secret))
        case configuration.OAuthSettings() as oauth:
            return ClientCredentials(
                exchange,
                clock,
                token_url=oauth.token_url,
                client_id=oauth.client_id,
                read_secret=_reader(oauth.secret),
                scopes=tuple((oauth.scope or "").split()),
                send="header" if oauth.client_auth == "basic" else "body",
            )
        case _:
            assert_never(auth)


def _reader(secret: Secret) -> Callable[[], str]:
    """Return what reads the secret as it is now, and keeps it out of the log from then on."""

    def read() -> str:
        value = secret.read()
        logs.mask(value.strip())
        return value

    return read


def _not_yet(config: Config, where: str, type_: str) -> ConfigError:
    return ConfigError(Problem(f"{config.path.name}: {where}", f"{type_} is not yet available"))
