"""Builds what signs requests; a secret is read when it is used, and masked in the log from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from reconciler import config as configuration
from reconciler import logs
from reconciler.net.auth import Auth, Basic, Bearer, ClientCredentials
from reconciler.ports import Clock, Exchange
from reconciler.secrets import Secret


def signing(
    auth: configuration.Auth | None,
    exchange: Exchange,
    clock: Clock,
    *,
    timeout_seconds: float,
    scheme: str = "Bearer",
) -> Auth | None:
    """Return what signs requests; a token endpoint may take as long as a request."""
    match auth:
        case None:
            return None
        case configuration.BearerAuth(secret=secret):
            return Bearer(reader(secret), scheme=scheme)
        case configuration.BasicAuth(username=username, secret=secret):
            return Basic(username, reader(secret))
        case configuration.OAuthSettings() as oauth:
            return ClientCredentials(
                exchange,
                clock,
                token_url=oauth.token_url,
                client_id=oauth.client_id,
                read_secret=reader(oauth.secret),
                scopes=tuple((oauth.scope or "").split()),
                send="header" if oauth.client_auth == "basic" else "body",
                deadline_seconds=timeout_seconds,
            )
        case _:
            assert_never(auth)


def reader(secret: Secret) -> Callable[[], str]:
    """Return what reads the secret as it is now, and keeps it out of the log from then on."""

    def read() -> str:
        value = secret.read()
        logs.mask(value.strip())
        return value

    return read
