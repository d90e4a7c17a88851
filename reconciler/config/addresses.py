"""Looks at addresses of the web in a configuration: that they are such, and hold no secret."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from reconciler.config.auth_settings import Auth, BasicAuth, BearerAuth, OAuthSettings
from reconciler.config.auth_tables import AuthTable, BasicTable, BearerTable, OAuthTable
from reconciler.config.places import is_loopback, secret_at
from reconciler.config.reading import Place
from reconciler.config.report import Report

SECRET_KEY = re.compile(
    r"(?:^|_|-)(?:password|passwd|passphrase|secret|token|credentials?|api_?key|private_?key)$", re.I
)
NO_SECRETS_IN_URLS = "a secret must not stand in an address"


def address_at(url: str, place: Place, report: Report) -> str:
    parts = split_at(url, place, report)
    if parts is None:
        return url
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", url):
        report.problem(place, "is no address of the web", "for example https://app.example.com/scim")
    elif holds_secret(url):
        report.problem(place, NO_SECRETS_IN_URLS, "name its place in auth")
    elif parts.fragment:
        report.problem(place, "must not have a # part")
    elif parts.scheme == "http" and place[-1] != "proxy" and not is_loopback(parts.hostname):
        report.warning(place, "http: people's data and the token travel unprotected", "use https")
    return url


def split_at(url: str, place: Place, report: Report) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        report.problem(place, "is no address of the web", "for example https://app.example.com/scim")
        return None
    return parts


def holds_secret(url: str) -> bool:
    parts = urlsplit(url)
    named = (key for key, value in parse_qsl(parts.query) if value)
    return (
        parts.password is not None
        or (bool(parts.username) and parts.scheme.startswith("http"))
        or any(map(SECRET_KEY.search, named))
    )


def host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def auth_at(auth: AuthTable | None, place: Place, report: Report) -> Auth | None:
    """Return how requests are authorised."""
    match auth:
        case None:
            return None
        case BearerTable():
            return BearerAuth(secret_at(auth.token, (*place, "token"), report))
        case BasicTable():
            return BasicAuth(auth.username, secret_at(auth.password, (*place, "password"), report))
        case OAuthTable():
            secret = secret_at(auth.client_secret, (*place, "client_secret"), report)
            url = address_at(auth.token_url, (*place, "token_url"), report)
            return OAuthSettings(url, auth.client_id, secret, auth.scope, auth.client_auth)
