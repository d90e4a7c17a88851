"""Builds who speaks to a tenant behind Microsoft Graph: the sign-in that its source and its target share."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never
from urllib.parse import urlsplit

from reconciler import logs
from reconciler.config import (
    CertificateProof,
    FederatedProof,
    GraphSourceSettings,
    GraphTargetSettings,
    SecretProof,
)
from reconciler.net.assertion import by_certificate, from_file
from reconciler.net.auth import ClientCredentials
from reconciler.net.client import Client, Lanes
from reconciler.ports import Clock, Dice, Exchange, Source
from reconciler.sources.graph import GraphSource
from reconciler.wiring.connecting import Connect
from reconciler.wiring.credentials import reader

CONCURRENCY = 4
"""How many requests of one source are in flight at most."""


def graph_source(settings: GraphSourceSettings, clock: Clock, dice: Dice, lanes: Lanes, connect: Connect) -> Source:
    """Return the source that is a tenant."""
    exchange = connect(ca_file=settings.ca_file, proxy=settings.proxy, connections=CONCURRENCY)
    lane = lanes.lane(
        urlsplit(settings.url).netloc,
        f"source {settings.name}",
        concurrency=CONCURRENCY,
        requests_per_second=settings.requests_per_second,
    )
    return GraphSource(
        settings.name,
        url=settings.url,
        tenant=settings.tenant,
        client=Client(exchange, clock, dice, lane=lane, auth=sign_in(settings, exchange, clock, dice)),
        clock=clock,
        timeout_seconds=settings.timeout_seconds,
        entries_max=settings.entries_max,
        allow_empty=frozenset(settings.allow_empty),
    )


def sign_in(
    settings: GraphSourceSettings | GraphTargetSettings, exchange: Exchange, clock: Clock, dice: Dice
) -> ClientCredentials:
    """Return what fetches tokens of a tenant."""
    parts = urlsplit(settings.url)
    token_url = f"{settings.login_url}/{settings.tenant}/oauth2/v2.0/token"
    match settings.proof:
        case SecretProof(secret=secret):
            read = reader(secret)
        case CertificateProof(pem=pem):
            read = by_certificate(lambda: pem.read(lines=True), settings.client_id, token_url, clock, dice)
        case FederatedProof(path=path, where=where):
            read = _masked(from_file(path, where))
        case _:
            assert_never(settings.proof)
    return ClientCredentials(
        exchange,
        clock,
        token_url=token_url,
        client_id=settings.client_id,
        read_secret=read,
        scopes=(f"{parts.scheme}://{parts.netloc}/.default",),
        send="body" if isinstance(settings.proof, SecretProof) else "assertion",
        deadline_seconds=settings.timeout_seconds,
    )


def _masked(read: Callable[[], str]) -> Callable[[], str]:
    def masked() -> str:
        token = read()
        logs.mask(token)
        return token

    return masked
