"""Whole cycles the way real networks want them: through proxies, with certificates, with tokens that change."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from aiohttp import web

from reconciler.runtime.report import CycleReport
from tests.commands.shell import Hanging
from tests.cycles.company import Company, done
from tests.net.sockets import Talk, serving
from tests.servers.engine import Seen
from tests.servers.scim import ScimServer

ALL = {"ann@example.com", "bob@example.com", "cleo@example.com"}


@pytest.fixture
def company(tmp_path: Path, server: ScimServer) -> Company:
    """Ann, Bob and Cleo, in scope all."""
    made = Company(tmp_path, server)
    made.people("ann", "bob", "cleo")
    return made


def names(server: ScimServer) -> set[str]:
    return {user["userName"] for user in server.users.values()}


# --- what stands between us and the app --------------------------------------------------------------------------


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Pass on whatever comes from one side to the other, until both have ended."""
    further_reader, further_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pass_on(reader, further_writer))
            tasks.create_task(pass_on(further_reader, writer))
    finally:
        further_writer.close()


@dataclass
class Proxy:
    """An HTTP proxy: it makes tunnels (CONNECT), and passes on requests for http:// addresses."""

    seen: list[str] = field(default_factory=list)
    """The first line of each request that it was sent."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, place, head = await self._request(reader)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await join(reader, writer, int(place.rpartition(":")[2]))
            return
        further_reader, further_writer = await asyncio.open_connection("127.0.0.1", urlsplit(place).port)
        answers = asyncio.create_task(pass_on(further_reader, writer))
        try:
            while True:
                path = place.removeprefix("http://").partition("/")[2]
                further_writer.write(f"{method} /{path} HTTP/1.1\r\n".encode() + head)
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                further_writer.write(await reader.readexactly(int(length[1]) if length else 0))
                method, place, head = await self._request(reader)
        finally:
            answers.cancel()
            further_writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
        line = (await reader.readuntil(b"\r\n")).decode().strip()
        self.seen.append(line)
        method, place, _ = line.split(" ")
        head = await reader.readuntil(b"\r\n\r\n")
        return method, place, head


@dataclass(frozen=True)
class Front:
    """A server as it is reached from outside."""

    url: str
    token: str


def to(port: int) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await join(reader, writer, port)

    return talk


@asynccontextmanager
async def behind_tls(server: ScimServer, tls: ssl.SSLContext) -> AsyncIterator[Front]:
    """Put something in front of a server that ends TLS, as many apps have it."""
    inner = urlsplit(server.url)
    assert inner.port is not None
    async with serving(to(inner.port), tls) as port:
        yield Front(f"https://127.0.0.1:{port}{inner.path}", server.token)


@dataclass(frozen=True)
class Papers:
    """Files of keys and certificates, all of one authority."""

    directory: Path

    @property
    def authority(self) -> Path:
        return self.directory / "authority.pem"

    def make(self, name: str, *more: str) -> Path:
        """Make a certificate; its key is in the same file."""
        made = self.directory / f"{name}.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-subj", f"/CN={name}", *more, "-keyout", f"{made}.key", "-out", str(made)]
        subprocess.run(command, check=True, capture_output=True)
        made.write_text(made.read_text() + Path(f"{made}.key").read_text())
        return made

    def signed(self, name: str, *more: str) -> Path:
        return self.make(name, "-CA", str(self.authority), "-CAkey", f"{self.authority}.key", *more)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    papers = Papers(tmp_path_factory.mktemp("papers"))
    papers.make("authority")
    papers.signed("server", "-addext", "subjectAltName=IP:127.0.0.1")
    papers.signed("client")
    papers.make("stranger")
    return papers


def server_tls(papers: Papers, *, asks_for_certificate: bool) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(papers.directory / "server.pem")
    if asks_for_certificate:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(papers.authority)
    return tls


async def test_a_cycle_through_a_proxy(company: Company, server: ScimServer) -> None:
    proxy = Proxy()
    async with serving(proxy.talk) as port:
        company.target_lines = f'proxy = "http://127.0.0.1:{port}"'
        report = await company.cycle()
    assert (report.state, names(server)) == ("active", ALL), report.problems
    assert all(line.split(" ")[1].startswith(server.url) for line in proxy.seen)
    assert [line.split(" ")[0] for line in proxy.seen] == [seen.method for seen in server.requests], (
        "none went beside it"
    )


async def test_a_cycle_through_a_tunnel_of_a_proxy(company: Company, server: ScimServer, papers: Papers) -> None:
    proxy = Proxy()
    async with (
        behind_tls(server, server_tls(papers, asks_for_certificate=False)) as front,
        serving(proxy.talk) as port,
    ):
        company.serve_with(front)
        company.target_lines = f'proxy = "http://127.0.0.1:{port}"\nca_file = "{papers.authority}"'
        report = await company.cycle()
        place = urlsplit(front.url).netloc
    assert (report.state, names(server)) == ("active", ALL), report.problems
    assert set(proxy.seen) == {f"CONNECT {place} HTTP/1.1"}, "the proxy sees where it goes, and nothing of what is said"


async def test_a_proxy_that_is_gone_is_named_and_nobody_is_harmed(company: Company, server: ScimServer) -> None:
    await company.cycle()
    async with serving(Proxy().talk) as port:
        pass  # nobody listens there any more
    company.target_lines = f'proxy = "http://127.0.0.1:{port}"'
    company.users["ann"]["accountEnabled"] = False
    report = await company.cycle()
    assert report.exit_code in (3, 4)
    assert any(f"no connection to the proxy 127.0.0.1:{port}" in problem for problem in report.problems)
    company.target_lines = ""
    assert done(await company.cycle()) == {"disable": 1}


@pytest.mark.parametrize("wrong", [None, "stranger"])
async def test_an_app_that_wants_a_certificate_of_us(
    wrong: str | None, company: Company, server: ScimServer, papers: Papers
) -> None:
    certificate = company.directory / "ours.pem"
    async with behind_tls(server, server_tls(papers, asks_for_certificate=True)) as front:
        company.serve_with(front)
        company.target_lines = f'ca_file = "{papers.authority}"'
        if wrong is not None:
            certificate.write_text((papers.directory / f"{wrong}.pem").read_text())
            company.target_lines += f'\nclient_cert = "{certificate}"'
        refused = await company.cycle()
        certificate.write_text((papers.directory / "client.pem").read_text())
        company.target_lines = f'ca_file = "{papers.authority}"\nclient_cert = "{certificate}"'
        taken = await company.cycle()
    assert refused.state == "unreachable"
    # which of both is said depends on whether the server's last words arrive
    words = "broke off the TLS connection", "closed the connection before it had answered"
    assert any(word in problem for problem in refused.problems for word in words), refused.problems
    assert (taken.state, done(taken)) == ("active", {"create": 3}), "a renewed certificate counts from the next cycle"
    assert names(server) == ALL


# --- tokens that change ------------------------------------------------------------------------------------------


@dataclass
class Issuer:
    """Gives out access tokens for client credentials (RFC 6749 §4.4); the app takes the newest and no other."""

    server: ScimServer
    life_seconds: float = 3600.0
    secret: str = "first-secret"
    issued: int = 0
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        form = parse_qs(await request.text())
        self.asked.append(form)
        if form.get("client_secret") != [self.secret]:
            return web.json_response({"error": "invalid_client"}, status=401)
        self.issued += 1
        self.server.token = f"access-{self.issued}"
        body = {"access_token": self.server.token, "token_type": "Bearer", "expires_in": self.life_seconds}
        return web.json_response(body)


@asynccontextmanager
async def issuing(company: Company, server: ScimServer) -> AsyncIterator[Issuer]:
    issuer = Issuer(server)
    secret = company.directory / "secret"
    secret.touch(mode=0o600)
    secret.write_text(issuer.secret)
    runner = web.ServerRunner(web.Server(issuer.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    company.auth = (
        f'{{ type = "oauth2", token_url = "http://127.0.0.1:{runner.addresses[0][1]}/token", client_id = "us", '
        'client_secret = { file = "secret" }, scope = "scim.write", client_auth = "body" }'
    )
    try:
        yield issuer
    finally:
        await runner.cleanup()


async def cycle_with(
    company: Company, server: ScimServer, meanwhile: Callable[[], Awaitable[None] | None]
) -> CycleReport:
    """Run a cycle, and do something while Bob's account is being made."""
    company.concurrency = 1
    hanging = Hanging(server, "POST", "/Users$", body="bob@", seconds=0.2)
    reports: list[CycleReport] = []

    async def run() -> None:
        reports.append(await company.cycle())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await hanging.arrived()
        meanwhile()
    (report,) = reports
    return report


def tokens(requests: list[Seen]) -> list[str]:
    """Return the tokens that were used, each once, in order."""
    return list(dict.fromkeys(seen.headers["authorization"].removeprefix("Bearer ") for seen in requests))


async def test_client_credentials_are_exchanged_for_a_token(company: Company, server: ScimServer) -> None:
    async with issuing(company, server) as issuer:
        report = await company.cycle()
    assert (report.state, names(server)) == ("active", ALL)
    assert issuer.asked == [
        {
            **{"grant_type": ["client_credentials"], "scope": ["scim.write"]},
            **{"client_id": ["us"], "client_secret": ["first-secret"]},
        }
    ], "one token for the whole cycle"
    assert tokens(server.requests) == ["access-1"]


async def test_a_token_is_renewed_before_it_ends(company: Company, server: ScimServer) -> None:
    async with issuing(company, server) as issuer:
        report = await cycle_with(company, server, lambda: company.clock.turn(issuer.life_seconds - 59.0))
    assert (done(report), report.failures, names(server)) == ({"create": 3}, [], ALL)
    assert issuer.issued == 2
    assert tokens(server.requests) == ["access-1", "access-2"]
    assert report.requests["POST"] == 3, "none was refused: nothing was sent twice"


async def test_a_token_that_was_taken_back_is_renewed_once(company: Company, server: ScimServer) -> None:
    async with issuing(company, server) as issuer:
        report = await cycle_with(company, server, lambda: setattr(server, "token", "taken back"))
    assert (done(report), report.failures, names(server)) == ({"create": 3}, [], ALL)
    assert issuer.issued == 2
    assert report.requests["POST"] == 4, "Bob's request was sent again"
    assert (await company.standing()).quarantine is None


async def test_a_client_secret_that_was_replaced_is_read_again(company: Company, server: ScimServer) -> None:
    async with issuing(company, server) as issuer:

        def replace() -> None:
            server.token = "taken back"
            issuer.secret = "second-secret"
            (company.directory / "secret").write_text(issuer.secret)

        report = await cycle_with(company, server, replace)
    assert (done(report), report.failures, names(server)) == ({"create": 3}, [], ALL)
    assert (await company.standing()).quarantine is None


async def test_a_token_that_was_replaced_in_its_file_costs_nobody_anything(
    company: Company, server: ScimServer
) -> None:
    def replace() -> None:
        server.token = "second-token"
        (company.directory / "token").write_text(server.token)

    report = await cycle_with(company, server, replace)
    assert (report.state, done(report), report.failures) == ("active", {"create": 3}, [])
    assert (await company.standing()).quarantine is None
    assert await company.log(status="failure") == []
    assert tokens(server.requests) == ["double-token", "second-token"]


async def test_a_token_that_ended_and_was_not_replaced_is_quarantine_and_a_new_one_ends_it(
    company: Company, server: ScimServer
) -> None:
    report = await cycle_with(company, server, lambda: setattr(server, "token", "second-token"))
    assert report.state == "unreachable"
    standing = await company.standing()
    assert standing.quarantine is not None
    assert standing.quarantine.error_code == "Unauthorized"
    (company.directory / "token").write_text("second-token")
    assert (await company.cycle()).state == "active"
    assert (await company.standing()).quarantine is None
    assert names(server) == ALL
