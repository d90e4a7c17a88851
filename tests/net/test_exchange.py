"""The exchange against real sockets: what is said of a target that cannot be reached, cuts, hangs or redirects."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from reconciler.core.outcomes import Failed, Fault
from reconciler.errors import ConfigError
from reconciler.net.exchange import USER_AGENT, AiohttpExchange, tls_context
from reconciler.ports import Request, Response
from tests.net.sockets import Talk, hang, refusing, serving


@asynccontextmanager
async def serving_app(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def exchanging(
    ca_file: Path | None = None, proxy: str | None = None, body_bytes_max: int = 1_000_000
) -> AsyncIterator[AiohttpExchange]:
    exchange = AiohttpExchange(ca_file=ca_file, proxy=proxy, connections=4, body_bytes_max=body_bytes_max)
    try:
        yield exchange
    finally:
        await exchange.aclose()


def saying(*parts: bytes) -> Talk:
    """Read one request, then send these bytes and close."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()

    return talk


async def ask(port: int, *, path: str = "/Users", scheme: str = "http", seconds: float = 5.0) -> Response | Failed:
    async with exchanging() as exchange:
        return await exchange(Request("GET", f"{scheme}://127.0.0.1:{port}{path}", deadline_seconds=seconds))


async def test_a_request_arrives_as_it_was_made_and_the_answer_comes_back_whole() -> None:
    async def echo(request: web.BaseRequest) -> web.Response:
        seen = [request.method, request.raw_path, request.headers["User-Agent"], request.headers["X-Mark"]]
        return web.json_response({"seen": seen, "body": await request.text()}, status=201, headers={"ETag": 'W/"1"'})

    async with serving_app(echo) as port, exchanging() as exchange:
        path = "/Users/a%2Fb%20c?filter=userName%20eq%20%22a%2Bb%22&aadOptscim062020"
        got = await exchange(Request("PUT", f"http://127.0.0.1:{port}{path}", {"X-Mark": "1"}, b'{"a":1}'))
    assert isinstance(got, Response)
    assert (got.status, got.headers["etag"]) == (201, 'W/"1"')
    assert orjson.loads(got.body) == {"seen": ["PUT", path, USER_AGENT, "1"], "body": '{"a":1}'}


async def test_a_redirect_is_an_answer_and_the_token_stays_here() -> None:
    asked: list[str] = []

    async def elsewhere(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/login"})

    async with serving_app(elsewhere) as port:
        got = await ask(port)
    assert isinstance(got, Response)
    assert (got.status, got.headers["location"]) == (302, "/login")
    assert asked == ["/Users"]


async def test_cookies_are_not_kept() -> None:
    async def give(request: web.BaseRequest) -> web.Response:
        return web.Response(text=request.headers.get("Cookie", "none"), headers={"Set-Cookie": "session=1"})

    async with serving_app(give) as port, exchanging() as exchange:
        for _ in range(2):
            got = await exchange(Request("GET", f"http://127.0.0.1:{port}/"))
            assert isinstance(got, Response)
            assert got.body == b"none"


async def test_nothing_listens() -> None:
    with refusing() as port:
        got = await ask(port)
    assert isinstance(got, Failed)
    assert got.fault is Fault.UNREACHABLE
    assert "refuses connections" in got.reason


async def test_the_name_is_not_found() -> None:
    async with exchanging() as exchange:
        got = await exchange(Request("GET", "https://nobody.invalid/Users?filter=secret", deadline_seconds=5.0))
    assert isinstance(got, Failed)
    assert got.fault is Fault.UNREACHABLE
    assert "nobody.invalid" in got.reason
    assert "DNS" in got.reason


@pytest.mark.parametrize(
    "url",
    [
        *("scim.example.com/Users", "http://", "ftp://example.com/", "http://[::1/", "http://a:b/"),
        *("https://example..com/", f"https://{'a' * 64}.com/", "https://bücher.example/", "https://xn--/"),
        "https://ann:pw@127.0.0.1/",
    ],
)
async def test_what_is_no_url_is_said_to_be_none(url: str) -> None:
    async with exchanging() as exchange:
        got = await exchange(Request("GET", url, {"Authorization": "Bearer token"}))
    assert isinstance(got, Failed)
    assert got.fault is Fault.UNREACHABLE
    assert "check the url" in got.reason
    assert "pw" not in got.reason


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "closed the connection"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"], "cut short"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"], "cut short"),
        ([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"], ""),
        ([b"220 mail.example.com ESMTP\r\n"], "not HTTP"),
    ],
)
async def test_what_breaks_after_sending_may_have_been_done(parts: list[bytes], words: str) -> None:
    async with serving(saying(*parts)) as port:
        got = await ask(port, path="/Users?filter=userName%20eq%20%22ann%40example.com%22")
    assert isinstance(got, Failed)
    assert got.fault is Fault.INTERRUPTED
    assert words in got.reason
    assert "ann" not in got.reason


async def test_a_target_that_does_not_answer_is_left_at_the_deadline() -> None:
    async with serving(hang) as port:
        got = await ask(port, seconds=0.05)
    assert isinstance(got, Failed)
    assert got.fault is Fault.INTERRUPTED
    assert "within 0.05 s" in got.reason


@pytest.mark.parametrize("how", ["plain", "chunked", "packed"])
async def test_a_body_without_end_is_not_swallowed(how: str) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        if how == "packed":
            return web.Response(body=gzip.compress(bytes(2_000_000)), headers={"Content-Encoding": "gzip"})
        if how == "plain":
            return web.Response(body=bytes(1_000_001))
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(20):
            await response.write(bytes(100_000))
        return response

    async with serving_app(endless) as port:
        got = await ask(port)
    assert isinstance(got, Failed)
    assert got.fault is Fault.TOO_LARGE
    assert "more than 1000000 bytes" in got.reason


async def test_a_packed_answer_is_unpacked() -> None:
    async def packed(request: web.BaseRequest) -> web.Response:
        return web.Response(body=gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})

    async with serving_app(packed) as port:
        got = await ask(port)
    assert isinstance(got, Response)
    assert got.body == b"hello"


async def test_a_long_body_is_sent_whole() -> None:
    async def count(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    body = bytes(3 * 1024 * 1024)
    runner = web.AppRunner(app := web.Application(client_max_size=10 * 1024 * 1024))
    app.router.add_put("/Groups/1", count)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with exchanging() as exchange:
        got = await exchange(Request("PUT", f"http://127.0.0.1:{runner.addresses[0][1]}/Groups/1", {}, body))
    await runner.cleanup()
    assert isinstance(got, Response)
    assert got.body == str(len(body)).encode()


async def test_a_server_that_closes_each_connection_costs_nothing_but_time() -> None:
    async with serving(saying(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as port, exchanging() as exchange:
        for _ in range(5):
            got = await exchange(Request("GET", f"http://127.0.0.1:{port}/"))
            assert isinstance(got, Response)
            assert got.status == 200


async def test_the_exchange_opens_again_after_it_was_closed() -> None:
    async with serving(saying(b"HTTP/1.0 204 No Content\r\n\r\n")) as port, exchanging() as exchange:
        for _ in range(2):
            got = await exchange(Request("DELETE", f"http://127.0.0.1:{port}/"))
            assert got == Response(204, {}, b"")
            await exchange.aclose()


# --- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-made certificate for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


NO_CONTENT = saying(b"HTTP/1.1 204 No Content\r\n\r\n")


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: tuple[Path, Path]) -> None:
    async with serving(NO_CONTENT, server_tls(certificate)) as port:
        got = await ask(port, scheme="https")
    assert isinstance(got, Failed)
    assert got.fault is Fault.UNREACHABLE
    assert "not trusted" in got.reason
    assert "ca_file" in got.reason


async def test_an_authority_of_ones_own_is_trusted(certificate: tuple[Path, Path]) -> None:
    async with serving(NO_CONTENT, server_tls(certificate)) as port, exchanging(certificate[0]) as exchange:
        got = await exchange(Request("GET", f"https://127.0.0.1:{port}/"))
    assert isinstance(got, Response)
    assert got.status == 204


async def test_a_certificate_for_another_name_is_refused(certificate: tuple[Path, Path]) -> None:
    async with serving(NO_CONTENT, server_tls(certificate)) as port, exchanging(certificate[0]) as exchange:
        got = await exchange(Request("GET", f"https://localhost:{port}/"))
    assert isinstance(got, Failed)
    assert got.fault is Fault.UNREACHABLE
    assert "not trusted" in got.reason


async def test_https_asked_of_a_server_without_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serving(plain) as port:
        got = await ask(port, scheme="https")
    assert isinstance(got, Failed)
    assert got.fault is Fault.UNREACHABLE
    assert "TLS" in got.reason


async def test_a_tls_handshake_that_never_ends_has_sent_nothing() -> None:
    async with serving(hang) as port:
        got = await ask(port, scheme="https", seconds=2.0)
    assert isinstance(got, Failed)
    assert got.fault is Fault.UNREACHABLE
    assert "no connection" in got.reason


async def test_a_proxy_that_is_not_there_is_named() -> None:
    with refusing() as port:
        async with exchanging(proxy=f"http://user:geheim@127.0.0.1:{port}") as exchange:
            got = await exchange(Request("GET", "http://scim.example.com/Users"))
    assert isinstance(got, Failed)
    assert got.fault is Fault.UNREACHABLE
    assert f"proxy 127.0.0.1:{port}" in got.reason
    assert "geheim" not in got.reason


def test_files_that_are_no_certificates_are_refused_when_the_exchange_is_made(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate here")
    with pytest.raises(ConfigError, match=r"ca_file .*cannot be used"):
        AiohttpExchange(ca_file=empty)
    with pytest.raises(ConfigError, match=r"ca_file .*No such file"):
        AiohttpExchange(ca_file=tmp_path / "missing.pem")
    with pytest.raises(ConfigError, match=r"client_cert .*cannot be used"):
        AiohttpExchange(client_cert=empty)


def test_a_tls_context_is_made_once_and_anew_when_its_file_is_another(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    authority, key = certificate
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.read_bytes())
    first = tls_context(ca_file)
    assert tls_context(ca_file) is first
    assert tls_context(ca_file, authority, key) is not first, "who we are is no part of whom we trust"
    ca_file.write_text("no certificate any more")
    with pytest.raises(ConfigError, match="ca_file"):
        tls_context(ca_file)
    ca_file.write_bytes(authority.read_bytes() + b"\n")
    assert tls_context(ca_file) not in (first, tls_context())
    assert tls_context() is tls_context()


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_change_that_the_library_sends_again_says_that_the_first_try_may_have_come_through(method: str) -> None:
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Refuse, and close without an answer where somebody comes a second time."""
        for _ in range(2):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            if len(asked) == 2:
                return
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

    async with serving(talk) as port, exchanging() as exchange:
        request = Request(method, f"http://127.0.0.1:{port}/Users/1")
        first, second, third = [await exchange(request) for _ in range(3)]
    assert len(asked) == 4
    assert [isinstance(one, Response) and one.status for one in (first, second, third)] == [403] * 3
    assert [one.repeated for one in (first, second, third)] == [False, True, False]
