"""Each error that aiohttp can raise becomes the right fault: those that no socket brings about at will.

aioresponses 0.7.9 makes its answers without `stream_writer`, which aiohttp requires since 3.14: a subclass of its
answer fills it in. The last test fails when that has become needless.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from reconciler.core.outcomes import Failed, Fault
from reconciler.net.exchange import AiohttpExchange
from reconciler.ports import Request, Response

URL = "https://scim.example.com/v2/Users?filter=userName%20eq%20%22ann%22"
KEY: Any = SimpleNamespace(host="scim.example.com", port=443, ssl=True, is_ssl=True)


class AnswerWithWriter(aiohttp.ClientResponse):
    """What aioresponses makes, with the argument that it leaves out."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        named.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*arguments, **named)


@pytest.fixture
def world() -> Iterator[aioresponses]:
    with aioresponses() as mocked:
        yield mocked


async def ask() -> Response | Failed:
    exchange = AiohttpExchange()
    try:
        return await exchange(Request("GET", URL, deadline_seconds=7.0))
    finally:
        await exchange.aclose()


def connector_error(kind: type[aiohttp.ClientConnectorError], cause: OSError) -> aiohttp.ClientConnectorError:
    return kind(KEY, cause)


CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed")
CASES: list[tuple[BaseException, Fault, str]] = [
    (connector_error(aiohttp.ClientConnectorDNSError, OSError(-2, "x")), Fault.UNREACHABLE, "DNS"),
    (connector_error(aiohttp.ClientConnectorError, ConnectionRefusedError(111, "x")), Fault.UNREACHABLE, "refuses"),
    (connector_error(aiohttp.ClientConnectorError, OSError(113, "No route to host")), Fault.UNREACHABLE, "No route"),
    (connector_error(aiohttp.ClientConnectorSSLError, ssl.SSLError(1, "x")), Fault.UNREACHABLE, "TLS"),
    (aiohttp.ClientConnectorCertificateError(KEY, CERTIFICATE), Fault.UNREACHABLE, "not trusted"),
    (connector_error(aiohttp.ClientProxyConnectionError, OSError(111, "x")), Fault.UNREACHABLE, "proxy"),
    (aiohttp.ConnectionTimeoutError("to https://scim.example.com/v2/Users?ann"), Fault.UNREACHABLE, "within 6.3 s"),
    (aiohttp.ServerTimeoutError("?ann"), Fault.INTERRUPTED, "within 7 s"),
    (aiohttp.SocketTimeoutError("?ann"), Fault.INTERRUPTED, "within 7 s"),
    (TimeoutError(), Fault.INTERRUPTED, "within 7 s"),
    (aiohttp.ServerDisconnectedError("?ann"), Fault.INTERRUPTED, "closed the connection"),
    (aiohttp.ClientOSError(104, "reset"), Fault.INTERRUPTED, "closed the connection"),
    (aiohttp.ClientConnectionResetError("?ann"), Fault.INTERRUPTED, "closed the connection"),
    (aiohttp.ClientPayloadError("?ann"), Fault.INTERRUPTED, "cut short"),
    (ssl.SSLError(1, "ann"), Fault.INTERRUPTED, "TLS"),
    (aiohttp.ClientConnectionError("?ann"), Fault.INTERRUPTED, "broke off"),
]


@pytest.mark.parametrize(("error", "fault", "words"), CASES, ids=[type(case[0]).__name__ for case in CASES])
async def test_what_aiohttp_raises_becomes_a_fault(
    world: aioresponses, error: Exception, fault: Fault, words: str
) -> None:
    world.get(URL, exception=error)
    outcome = await ask()
    assert isinstance(outcome, Failed)
    assert outcome.fault is fault
    assert words in outcome.reason
    assert "ann" not in outcome.reason


@pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 404, 409, 429, 500, 503])
async def test_every_status_is_an_answer(world: aioresponses, status: int) -> None:
    world.get(URL, status=status, body=b"x", response_class=AnswerWithWriter)
    outcome = await ask()
    assert isinstance(outcome, Response)
    assert outcome.status == status


async def test_the_shim_is_still_needed(world: aioresponses) -> None:
    world.get(URL, status=200)
    with pytest.raises(TypeError, match="stream_writer"):  # otherwise drop AnswerWithWriter
        await ask()
