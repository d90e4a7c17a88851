"""Builds the target of a job, and says what it is known as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, assert_never
from urllib.parse import urlsplit

from reconciler import config as configuration
from reconciler.config import Config, GraphTargetSettings, RestTargetSettings, ScimTargetSettings
from reconciler.core.mapping import Mapper
from reconciler.core.model import KINDS, Identity, Kind
from reconciler.dialects.rest import KeySecret
from reconciler.net.client import Client, Lanes
from reconciler.net.limit_told import LimitTold
from reconciler.net.measured import Measured
from reconciler.ports import Clock, Dice
from reconciler.targets.graph import GraphTarget
from reconciler.targets.rest import RestTarget
from reconciler.targets.scim import ScimTarget
from reconciler.wiring.connecting import REAL, Connect
from reconciler.wiring.credentials import reader, signing
from reconciler.wiring.graph import sign_in

_USUAL_PORTS = {"https": ":443", "http": ":80"}
BuiltTarget = ScimTarget | GraphTarget | RestTarget
Measure = Callable[[str, str, str, float], None]
"""Takes the job, the method, the status or fault, and the seconds of each request to a target."""


def build_target(
    config: Config,
    job_name: str,
    clock: Clock,
    dice: Dice,
    lanes: Lanes,
    facts: dict[str, Any] | None,
    measure: Measure | None = None,
    connect: Connect = REAL,
) -> BuiltTarget:
    """Return the target of a job. `facts` is what it said of itself the last time."""
    job = config.jobs[job_name]
    settings = config.targets[job.target]
    if isinstance(settings, GraphTargetSettings):
        return _build_graph(config, job_name, settings, clock, dice, lanes, measure, connect)
    if isinstance(settings, RestTargetSettings):
        return _build_rest(config, job_name, settings, clock, dice, lanes, measure, connect)
    profile = config.job_profiles[job_name]
    parts = urlsplit(settings.url)
    lane = lanes.lane(
        parts.netloc,
        _credential(settings),
        concurrency=settings.concurrency,
        requests_per_second=settings.requests_per_second or profile.requests_per_second,
        burst=profile.burst,
    )
    exchange = connect(
        ca_file=settings.ca_file,
        client_cert=settings.client_cert,
        client_key=settings.client_key,
        proxy=settings.proxy,
        connections=settings.concurrency,
    )
    measured = exchange if measure is None else Measured(exchange, clock, partial(measure, job_name))
    signs = signing(settings.auth, exchange, clock, timeout_seconds=settings.timeout_seconds)
    return ScimTarget(
        job.target,
        url=settings.url,
        profile=profile,
        client=Client(measured, clock, dice, lane=lane, auth=signs),
        paths=_mapped_paths(config, job_name),
        identity=target_identity(config, job_name),
        facts=facts,
        timeout_seconds=settings.timeout_seconds,
        entries_max=settings.entries_max,
    )


def _build_graph(
    config: Config,
    job_name: str,
    settings: GraphTargetSettings,
    clock: Clock,
    dice: Dice,
    lanes: Lanes,
    measure: Measure | None,
    connect: Connect,
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
    exchange = connect(ca_file=settings.ca_file, proxy=settings.proxy, connections=settings.concurrency)
    auth = sign_in(settings, exchange, clock, dice)
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
        entries_max=settings.entries_max,
    )


def _build_rest(
    config: Config,
    job_name: str,
    settings: RestTargetSettings,
    clock: Clock,
    dice: Dice,
    lanes: Lanes,
    measure: Measure | None,
    connect: Connect,
) -> RestTarget:
    profile, api = config.job_profiles[job_name], settings.api
    assert api is not None, "a configuration without it is refused"
    lane = lanes.lane(
        urlsplit(settings.url).netloc,
        _credential(settings),
        concurrency=settings.concurrency,
        requests_per_second=settings.requests_per_second or profile.requests_per_second,
    )
    exchange = connect(ca_file=settings.ca_file, proxy=settings.proxy, connections=settings.concurrency)
    key, auth = None, settings.auth
    if isinstance(auth, configuration.KeyAuth):
        key, auth = KeySecret(auth.place, auth.key_name, reader(auth.secret)), None
    signs = signing(auth, exchange, clock, timeout_seconds=settings.timeout_seconds, scheme=settings.scheme)
    told = exchange if api.reset_header is None else LimitTold(exchange, clock, api.reset_header)
    measured = told if measure is None else Measured(told, clock, partial(measure, job_name))
    return RestTarget(
        settings.name,
        url=settings.url,
        api=api,
        profile=profile,
        client=Client(measured, clock, dice, lane=lane, auth=signs),
        clock=clock,
        paths=_mapped_paths(config, job_name),
        identity=target_identity(config, job_name),
        parameters=settings.parameters,
        key=key,
        timeout_seconds=settings.timeout_seconds,
        entries_max=settings.entries_max,
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


def target_identity(config: Config, job_name: str) -> Identity:
    """Return what the target of a job is known as: its address, without the query, however it is written."""
    settings = config.targets[config.jobs[job_name].target]
    parts = urlsplit(settings.url)
    host = parts.netloc.lower().removesuffix(_USUAL_PORTS.get(parts.scheme, ":"))
    place = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    if isinstance(settings, GraphTargetSettings):
        return Identity("graph", place, settings.tenant.lower())
    return Identity("rest" if isinstance(settings, RestTargetSettings) else "scim", place, settings.tenant or "")


def _credential(settings: ScimTargetSettings | RestTargetSettings) -> str:
    """Return what tells credentials apart without knowing them: where they are kept."""
    match settings.auth:
        case None:
            return ""
        case configuration.OAuthSettings() as oauth:
            return f"{oauth.token_url} {oauth.client_id}"
        case (
            configuration.BearerAuth(secret=secret)
            | configuration.BasicAuth(secret=secret)
            | configuration.KeyAuth(secret=secret)
        ):
            return f"{secret.kind} {secret.name}"
        case _:
            assert_never(settings.auth)
