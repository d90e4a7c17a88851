"""Test Connection: each thing that an administrator would mend in another place is told apart. Real sockets."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from reconciler.core.profile import Profile
from reconciler.net.auth import Bearer
from reconciler.net.client import Client, Lane
from reconciler.net.exchange import AiohttpExchange
from reconciler.ports import Diagnosis
from reconciler.targets.scim import ScimTarget
from tests.net.doubles import LoopClock, SetDice
from tests.net.sockets import hang, refusing, serving
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

HINTS = {"unauthorized": "API keys expire", "forbidden": "ask for the right", "not_scim": "use the API address"}
PROFILE = Profile("phone", {}, {}, hints=HINTS)
TOKEN = "a-very-secret-token"


async def diagnosed(url: str, *, token: str = TOKEN, timeout_seconds: float = 5.0) -> list[Diagnosis]:
    exchange = AiohttpExchange(connections=2)
    client = Client(exchange, LoopClock(), SetDice(0.5), lane=Lane(2, None), auth=Bearer(lambda: token))
    target = ScimTarget("phone", url=url, profile=PROFILE, client=client, paths={}, timeout_seconds=timeout_seconds)
    try:
        lines = await target.test()
    finally:
        await target.close()
    assert TOKEN not in repr(lines)
    assert target.requests.keys() <= {"GET"}
    return lines


def trouble(lines: list[Diagnosis]) -> tuple[str, str]:
    """Return step and text of the one line that is not ok; it is the last."""
    assert [line.ok for line in lines] == [True] * (len(lines) - 1) + [False], lines
    return lines[-1].step, f"{lines[-1].text} {lines[-1].hint}"


@asynccontextmanager
async def answering(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{runner.addresses[0][1]}/scim"
    finally:
        await runner.cleanup()


async def test_a_target_that_works_passes_every_step() -> None:
    async with ScimServer(token=TOKEN) as server:
        lines = await diagnosed(server.url)
    assert [(line.step, line.ok) for line in lines] == [
        ("connection", True),
        ("sign-in", True),
        ("scim", True),
        ("filter", True),
    ]


async def test_the_name_is_not_found() -> None:
    step, text = trouble(await diagnosed("https://scim.invalid/v2"))
    assert step == "connection"
    assert "DNS" in text


async def test_nothing_listens() -> None:
    with refusing() as port:
        step, text = trouble(await diagnosed(f"http://127.0.0.1:{port}/scim"))
    assert step == "connection"
    assert "refuses connections" in text


async def test_a_target_that_hangs_is_told_within_half_its_time() -> None:
    async with serving(hang) as port:
        step, text = trouble(await diagnosed(f"http://127.0.0.1:{port}/scim", timeout_seconds=0.1))
    assert step == "connection"
    assert "within 0.05 s" in text


@pytest.fixture
def untrusted(tmp_path: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that it made itself."""
    made, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return context


@pytest.mark.row("C11")
async def test_a_certificate_that_nobody_vouches_for(untrusted: ssl.SSLContext) -> None:
    asked: list[str] = []

    async def note(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.Response()

    async with answering(note, untrusted) as url:
        step, text = trouble(await diagnosed(url))
    assert asked == []
    assert step == "connection"
    assert "not trusted" in text
    assert "ca_file" in text


async def test_the_token_is_refused() -> None:
    async with ScimServer(token="another-token") as server:
        step, text = trouble(await diagnosed(server.url))
    assert step == "sign-in"
    assert "401" in text
    assert "API keys expire" in text


@pytest.mark.parametrize(
    ("status", "headers", "body", "step", "words"),
    [
        (403, {}, "{}", "sign-in", "ask for the right"),
        (404, {}, "<html>not here</html>", "path", "without /Users"),
        (302, {"Location": "https://login.example.com"}, "", "redirect", "final url"),
        (200, {}, "<html><title>Welcome</title>", "scim", "use the API address"),
        (200, {}, "{}", "scim", "not SCIM"),
        (200, {}, "", "scim", "not SCIM"),
        (500, {}, "", "answer", "500"),
        (429, {"Retry-After": "600"}, "", "answer", "429"),
    ],
)
async def test_what_answers_there_is_told_apart(
    status: int, headers: dict[str, str], body: str, step: str, words: str
) -> None:
    async def same(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, headers=headers, text=body)

    async with answering(same) as url:
        found, text = trouble(await diagnosed(url))
    assert found == step
    assert words in text


@pytest.mark.parametrize(
    ("quirks", "words"),
    [
        (Quirks(filter_refused=400), "listed as a whole"),
        (Quirks(filter_refused=501), "listed as a whole"),
        (Quirks(ignores_filter=True), "ignores filters"),
    ],
)
async def test_a_target_that_does_not_filter_works_and_says_so(quirks: Quirks, words: str) -> None:
    async with ScimServer(quirks, token=TOKEN) as server:
        server.put("user", userName="ann")
        lines = await diagnosed(server.url)
    assert all(line.ok for line in lines)
    assert words in next(line.text for line in lines if line.step == "filter")


async def test_a_target_without_a_config_works_and_says_so() -> None:
    async with ScimServer(Quirks(spc_missing=True), token=TOKEN) as server:
        lines = await diagnosed(server.url)
    assert all(line.ok for line in lines)
    assert lines[-1].step == "config"
