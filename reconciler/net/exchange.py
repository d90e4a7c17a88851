"""Sends one HTTP request over aiohttp, behind `ports.Exchange`.

No redirect, no cookie, no decision; no retry but aiohttp's own, and the outcome tells of that. What goes wrong before
anything was sent is UNREACHABLE, everything after that is INTERRUPTED. No text here ever holds a path, a query or a
body: these carry people's values and secrets.
"""

from __future__ import annotations

import io
import re
import ssl
from functools import lru_cache
from pathlib import Path

import aiohttp
from yarl import URL

from reconciler import __version__
from reconciler.core.outcomes import Failed, Fault
from reconciler.errors import ConfigError, Problem
from reconciler.net.doubting import after
from reconciler.ports import Request, Response

USER_AGENT = f"reconciler/{__version__}"
CONNECT_SECONDS = 8.0
"""How long one connection (DNS, TCP, TLS) may take to be made."""
_IDLE_SECONDS = 1.5
"""How long an idle connection is kept: a server that closes it while a POST is on its way leaves it unknown whether
it was done, and common servers close theirs after 2 to 5 s."""
_SENT_TWICE = frozenset({"PUT", "DELETE"})
"""Methods of changes that aiohttp sends once more by itself where a connection that was used before breaks."""
_UNENCODED = re.compile(r"[\x00-\x20\x7f]")
"""What no URL has: in a link that somebody else wrote it would begin another header, or another request."""
_BODY_BYTES_MAX = 32 * 1024 * 1024
_COPIED_BODY_BYTES_MAX = 1024 * 1024
"""A longer request body is handed over as a stream: aiohttp would block the loop while it writes it."""


def tls_context(
    ca_file: Path | None = None, client_cert: Path | None = None, client_key: Path | None = None
) -> ssl.SSLContext:
    """Return a verifying context for TLS 1.2 and later; with `ca_file` it trusts that authority and no other.

    To read the authorities of a system takes tens of milliseconds of CPU, so the same context is given again until one
    of the files is another. Raises ConfigError when a file cannot be read or holds no certificate.
    """
    system = ssl.get_default_verify_paths()
    authorities = (ca_file,) if ca_file is not None else (system.cafile, system.capath)
    written = tuple(_written(path) for path in (*authorities, client_cert, client_key) if path is not None)
    return _tls_context(ca_file, client_cert, client_key, written)


def _written(path: str | Path) -> tuple[int, int, int] | None:
    """Return what tells a file from the one that replaces it."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=64)
def _tls_context(
    ca_file: Path | None, client_cert: Path | None, client_key: Path | None, _written: tuple[object, ...]
) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(_unusable("ca_file", ca_file, error, "a PEM file with the certificate authority")) from error
    if client_cert is not None:
        try:
            context.load_cert_chain(client_cert, client_key)
        except (OSError, ssl.SSLError) as error:
            hint = "a PEM file with certificate and key, or name the key in client_key"
            raise ConfigError(_unusable("client_cert", client_cert, error, hint)) from error
    return context


class _Tries:
    """Counts how often one request is sent: an answer to the second try does not say what came of the first."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        self.count += 1
        return await handler(request)


def _is_second(tries: _Tries | None) -> bool:
    return tries is not None and tries.count > 1


class AiohttpExchange:
    """One session and its pool of connections. Opened at the first request, within the running loop."""

    __slots__ = ("_body_bytes_max", "_connections", "_proxy", "_session", "_tls")

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        client_cert: Path | None = None,
        client_key: Path | None = None,
        proxy: str | None = None,
        connections: int = 16,
        body_bytes_max: int = _BODY_BYTES_MAX,
    ) -> None:
        self._tls = tls_context(ca_file, client_cert, client_key)
        self._proxy = proxy
        self._connections = connections
        self._body_bytes_max = body_bytes_max
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, request: Request) -> Response | Failed:
        try:
            url = _encoded(request.url)
        except ValueError:
            return Failed(Fault.UNREACHABLE, "the url is not one that can be asked: check the url")
        body: bytes | io.BytesIO | None = request.body
        if request.body is not None and len(request.body) > _COPIED_BODY_BYTES_MAX:
            body = io.BytesIO(request.body)
        tries = _Tries() if request.method in _SENT_TWICE else None
        try:
            answer = await (self._session or self._open()).request(
                request.method,
                url,
                data=body,
                headers=request.headers,
                timeout=_timeout(request.deadline_seconds),
                allow_redirects=False,
                middlewares=(tries,) if tries is not None else (),
            )
            try:
                content = await self._read(answer)
            except BaseException:
                answer.close()
                raise
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return after(_failed(error, url, request.deadline_seconds, self._proxy), lost=_is_second(tries))
        if content is None:
            answer.close()
            reason = f"{_place(url)} answered with more than {self._body_bytes_max} bytes; the rest was not read"
            # What is only read would be as long the next time; anything else may have been done.
            fault = Fault.TOO_LARGE if request.method == "GET" else Fault.INTERRUPTED
            return Failed(fault, reason, answer.status)
        return Response(answer.status, _headers(answer), content, _is_second(tries))

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes | None:
        """Return the whole body, None when it is longer than allowed (as sent, or once unpacked)."""
        length = answer.content_length
        if length is not None and "Content-Encoding" not in answer.headers:
            return await answer.read() if length <= self._body_bytes_max else None
        content = bytearray()
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > self._body_bytes_max:
                return None
        return bytes(content)

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections, ssl=self._tls, keepalive_timeout=_IDLE_SECONDS, ttl_dns_cache=60
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
            proxy=self._proxy,
            trust_env=False,
        )
        return self._session

    async def aclose(self) -> None:
        """Close the connections; a later request would open new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the headers; what comes on several lines is one list with commas (RFC 9110 §5.3)."""
    headers: dict[str, str] = {}
    for name, value in answer.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


@lru_cache(maxsize=256)
def _encoded(url: str) -> URL:
    if _UNENCODED.search(url):
        raise ValueError("a blank or a control character")
    encoded = URL(url, encoded=True)
    host = encoded.raw_host
    if not host or not host.isascii() or not encoded.host:
        raise ValueError("no host")
    host.encode("idna")  # what a name server cannot be asked for is a ValueError too
    if encoded.raw_user is not None or encoded.raw_password is not None:
        raise ValueError("somebody else's sign-in")
    return encoded


@lru_cache(maxsize=64)
def _timeout(deadline_seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=deadline_seconds, connect=_connect_seconds(deadline_seconds))


def _connect_seconds(deadline_seconds: float) -> float:
    """Return a limit that ends before the deadline does, so that it is known that nothing was sent."""
    return min(CONNECT_SECONDS, 0.9 * deadline_seconds)


def _failed(error: Exception, url: URL, deadline_seconds: float, proxy: str | None) -> Failed:
    """Say what happened; UNREACHABLE only where it is certain that nothing was sent."""
    place = _place(url)
    match error:
        case aiohttp.ClientProxyConnectionError():
            return Failed(Fault.UNREACHABLE, f"no connection to the proxy {_place(URL(proxy or ''))}: is it right?")
        case aiohttp.ClientHttpProxyError():
            return Failed(Fault.UNREACHABLE, f"the proxy refused the way to {place} with status {error.status}")
        case aiohttp.ClientConnectorDNSError():
            return Failed(Fault.UNREACHABLE, f"the name {url.host} was not found (DNS): check the url")
        case aiohttp.ClientConnectorCertificateError():
            return Failed(Fault.UNREACHABLE, _distrust(place, error.certificate_error))
        case aiohttp.ClientConnectorSSLError():
            return Failed(Fault.UNREACHABLE, f"{place} does not speak TLS as expected: {_tls_words(error.os_error)}")
        case aiohttp.ClientConnectorError():
            return Failed(Fault.UNREACHABLE, _no_connection(place, error.os_error))
        case aiohttp.ConnectionTimeoutError():
            seconds = _connect_seconds(deadline_seconds)
            return Failed(Fault.UNREACHABLE, f"no connection to {place} within {seconds:g} s: firewall, or down?")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Failed(Fault.UNREACHABLE, f"the url of {place} is not a URL that can be asked: check the url")
        case TimeoutError():
            reason = f"{place} did not answer within {deadline_seconds:g} s"
            return Failed(Fault.INTERRUPTED, reason, timed_out=True)
        case aiohttp.ClientPayloadError():
            return Failed(Fault.INTERRUPTED, f"the answer of {place} was cut short or could not be unpacked")
        case ssl.SSLError():
            return Failed(Fault.INTERRUPTED, f"{place} broke off the TLS connection: {_tls_words(error)}")
        case aiohttp.ClientResponseError():
            return Failed(Fault.INTERRUPTED, f"{place} answered with something that is not HTTP: is it the right port?")
        case aiohttp.ServerDisconnectedError() | OSError():
            return Failed(Fault.INTERRUPTED, _broken_off(place, error))
        case _:
            return Failed(Fault.INTERRUPTED, f"the exchange with {place} broke off ({type(error).__name__})")


def _broken_off(place: str, error: Exception) -> str:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLError):
        return f"{place} broke off the TLS connection: {_tls_words(cause)}"
    return f"{place} closed the connection before it had answered"


def _no_connection(place: str, error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"{place} refuses connections: nothing listens there"
    if isinstance(error, ConnectionResetError):
        return f"no connection to {place}: it breaks off while the connection is made; does it speak TLS 1.2 or later?"
    return f"no connection to {place}: {error.strerror or type(error).__name__}"


def _distrust(place: str, error: Exception) -> str:
    words = getattr(error, "verify_message", "") or _tls_words(error)
    return f"the certificate of {place} is not trusted ({words}): for an authority of your own set ca_file"


def _tls_words(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else type(error).__name__


def _place(url: URL) -> str:
    """Return host and port, and nothing else of the URL."""
    host = url.host or "?"
    return f"{host}:{url.port}" if url.port is not None else host


def _unusable(what: str, path: Path | None, error: Exception, hint: str) -> Problem:
    words = (error.strerror if isinstance(error, OSError) else None) or _tls_words(error)
    return Problem(f"{what} {path}", f"cannot be used: {words}", f"it must be {hint}")
