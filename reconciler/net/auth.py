"""Says who we are: bearer token, name with password, OAuth 2 client credentials.

A secret is read when it is first needed and once more after a 401, because people rotate them. It is never part of a
text, an outcome or a representation.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlencode, urlsplit

import anyio
import orjson

from reconciler.core.outcomes import Failed, Fault
from reconciler.core.retrying import parse_retry_after
from reconciler.errors import ReconcilerError
from reconciler.net.assertion import ASSERTION_TYPE
from reconciler.net.statuses import fault_of
from reconciler.ports import Clock, Exchange, Request

ReadSecret = Callable[[], str]
"""Reads a secret where it is kept; raises ReconcilerError when it is not there."""

TOKEN_DEADLINE_SECONDS = 15.0
_EARLIER_SECONDS = 60.0
"""An access token is renewed so long before it expires, or at a tenth of its life where that is shorter."""
_LIFE_SECONDS = 3600.0
"""The life of a token that does not say when it expires."""
_LIFE_SECONDS_MIN = 10.0
"""A token is used for so long at least, unless it is refused: one that is said to live less would be fetched again for
each request."""
_TOKEN_LENGTH_MAX = 64 * 1024
"""A longer one fits into the headers of no request."""


class Auth(Protocol):
    """Gives the value of the Authorization header."""

    async def header(self) -> str | Failed: ...

    async def renew(self, refused: str) -> bool | Failed:
        """After a 401 on the header `refused`: fetch it anew; return whether there is another one to try."""
        ...


class Bearer:
    """A token that was issued by hand. Some systems want another word than Bearer before it."""

    __slots__ = ("_header", "_read", "_scheme")

    def __init__(self, read: ReadSecret, *, scheme: str = "Bearer") -> None:
        self._read, self._scheme = read, scheme
        self._header: str | None = None

    async def header(self) -> str | Failed:
        if self._header is None:
            token = _secret(self._read)
            if isinstance(token, Failed):
                return token
            self._header = f"{self._scheme} {token}"
        return self._header

    async def renew(self, refused: str) -> bool | Failed:
        return await _read_again(self, refused)

    def forget(self) -> None:
        self._header = None


class Basic:
    """A name and a password (RFC 7617)."""

    __slots__ = ("_header", "_read", "_username")

    def __init__(self, username: str, read: ReadSecret) -> None:
        self._username, self._read = username, read
        self._header: str | None = None

    async def header(self) -> str | Failed:
        if self._header is None:
            password = _secret(self._read)
            if isinstance(password, Failed):
                return password
            self._header = _basic(self._username, password)
        return self._header

    async def renew(self, refused: str) -> bool | Failed:
        return await _read_again(self, refused)

    def forget(self) -> None:
        self._header = None


class ClientCredentials:
    """OAuth 2 client credentials (RFC 6749 §4.4). However many calls find the token spent, one fetches the next.

    `send` says where id and secret go: in the header (client_secret_basic), the body (client_secret_post), or both.
    With "assertion" what is read is no secret but a signed statement, made anew for each token (private_key_jwt).
    """

    __slots__ = (
        "_client_id",
        "_clock",
        "_deadline_seconds",
        "_exchange",
        "_expires",
        "_extra",
        "_failure",
        "_fetched",
        "_fetching",
        "_header",
        "_place",
        "_read",
        "_scopes",
        "_send",
        "_token_url",
    )

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        *,
        token_url: str,
        client_id: str,
        read_secret: ReadSecret,
        scopes: tuple[str, ...] = (),
        send: Literal["header", "body", "both", "assertion"] = "header",
        extra: Mapping[str, str] | None = None,
        deadline_seconds: float = TOKEN_DEADLINE_SECONDS,
    ) -> None:
        self._exchange, self._clock = exchange, clock
        self._deadline_seconds = min(deadline_seconds, TOKEN_DEADLINE_SECONDS)
        self._place = f"token endpoint {urlsplit(token_url).netloc.rpartition('@')[2]}"
        self._token_url, self._client_id, self._read = token_url, client_id, read_secret
        self._scopes, self._send, self._extra = scopes, send, dict(extra or {})
        self._header: str | None = None
        self._expires = 0.0
        self._fetching = anyio.Lock()
        self._fetched = 0
        """How often a token was asked for to the end."""
        self._failure: Failed | None = None
        """What the last time came to, where it was no token."""

    async def header(self) -> str | Failed:
        if self._header is not None and self._clock.monotonic() < self._expires:
            return self._header
        fetched = self._fetched
        async with self._fetching:
            if self._header is not None and self._clock.monotonic() < self._expires:
                return self._header
            return await self._another(fetched)

    async def renew(self, refused: str) -> bool | Failed:
        fetched = self._fetched
        async with self._fetching:
            if self._header is not None and self._header != refused:
                return True
            another = await self._another(fetched)
            return another if isinstance(another, Failed) else True

    async def _another(self, fetched: int) -> str | Failed:
        """Fetch a token; not once more where that failed since there were so many, while we waited for our turn."""
        if self._failure is not None and self._fetched != fetched:
            return self._failure
        outcome = await self._fetch()
        self._fetched += 1
        self._failure = outcome if isinstance(outcome, Failed) else None
        return outcome

    async def _fetch(self) -> str | Failed:
        self._header = None
        secret = _secret(self._read)
        if isinstance(secret, Failed):
            return secret
        answer = await self._exchange(self._request(secret))
        if isinstance(answer, Failed):
            # whatever became of this question, the request that the token is for was not sent
            nothing_sent = Fault.UNREACHABLE if answer.fault is Fault.INTERRUPTED else answer.fault
            return Failed(nothing_sent, f"{self._place}: {answer.reason}", answer.status)
        fault = fault_of(answer.status, asks_to_wait="retry-after" in answer.headers)
        content = _object(answer.body)
        if fault is not None:
            return self._refused(fault, answer.status, content, answer.headers.get("retry-after"))
        token = content.get("access_token")
        wrong = _unusable(token)
        if wrong:
            reason = f"the {self._place} answered {answer.status}{_code(content)} {wrong}: check token_url"
            return Failed(Fault.UNAUTHORIZED, reason, answer.status)
        life = max(_seconds(content.get("expires_in")), _LIFE_SECONDS_MIN)
        self._expires = self._clock.monotonic() + life - min(_EARLIER_SECONDS, life / 10)
        self._header = f"Bearer {token}"
        return self._header

    def _request(self, secret: str) -> Request:
        form = {"grant_type": "client_credentials", **self._extra}
        if self._scopes:
            form["scope"] = " ".join(self._scopes)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self._send == "assertion":
            form |= {"client_id": self._client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": secret}
            return Request("POST", self._token_url, headers, urlencode(form).encode(), self._deadline_seconds)
        if self._send != "body":
            headers["Authorization"] = _basic(quote(self._client_id, safe=""), quote(secret, safe=""))
        if self._send != "header":
            form |= {"client_id": self._client_id, "client_secret": secret}
        body = urlencode(form).encode()
        return Request("POST", self._token_url, headers, body, self._deadline_seconds)

    def _refused(self, fault: Fault, status: int, content: Mapping[str, Any], retry_after: str | None) -> Failed:
        reason = f"the {self._place} answered {status}{_code(content)}"
        if fault is Fault.THROTTLED or fault is Fault.SERVER_ERROR:
            asked_seconds = parse_retry_after(retry_after, self._clock.now()) if retry_after else None
            return Failed(fault, reason, status, asked_seconds)
        return Failed(Fault.UNAUTHORIZED, f"{reason}: check token_url, client_id, the secret and the scopes", status)


def _unusable(token: object) -> str:
    """Return what is wrong with a token as the value of a header (RFC 6750 §2.1); empty: nothing."""
    if not isinstance(token, str) or not token:
        return "without an access_token"
    if not token.isascii() or not token.isprintable() or " " in token:
        return "with an access_token that has line breaks or other characters that no token has"
    return "with an access_token that is too long" if len(token) > _TOKEN_LENGTH_MAX else ""


def _code(content: Mapping[str, Any]) -> str:
    code = content.get("error")
    return f" ({code})" if isinstance(code, str) and code.isascii() and code.isprintable() and len(code) < 60 else ""


class _Rereadable(Protocol):
    async def header(self) -> str | Failed: ...

    def forget(self) -> None: ...


async def _read_again(auth: _Rereadable, refused: str) -> bool | Failed:
    current = await auth.header()
    if current == refused:
        auth.forget()
        current = await auth.header()
    return current if isinstance(current, Failed) else current != refused


def _secret(read: ReadSecret) -> str | Failed:
    try:
        secret = read().strip()
    except ReconcilerError as error:
        return Failed(Fault.UNAUTHORIZED, f"the secret cannot be read: {error}")
    if not secret:
        return Failed(Fault.UNAUTHORIZED, "the secret is empty")
    if not secret.isprintable():
        return Failed(Fault.UNAUTHORIZED, "the secret holds a line break or another control character")
    return secret


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _seconds(value: object) -> float:
    """Return a token's life; some servers write the number as a text."""
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) else _LIFE_SECONDS
    except ValueError:
        return _LIFE_SECONDS
    return seconds if 0 < seconds < 1e9 else _LIFE_SECONDS
