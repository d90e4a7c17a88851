"""Canaries: secrets of every kind, a target that repeats what it was sent, and every output that there is."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from tests.commands.shell import Shell
from tests.cycles.company import Company
from tests.daemon.process import ColdDaemon
from tests.hostile.peers import LISTED, Answer, Asked, Peer, says
from tests.hostile.test_targets import At
from tests.net.sockets import serving
from tests.notify.conftest import mail_table
from tests.notify.post_office import PASSWORD, USERNAME, PostOffice, open_office

TOKEN, HOOK = "canary/T0ken+%&", "canary-hook-Secret-0123456789"
CANARIES = (TOKEN, HOOK, PASSWORD)
REFUSED_COMMANDS = (("test", "app"), ("cycle", "app"), ("log", "app"), ("support", "app"))
COMMANDS = (
    ("check", "--json"),
    ("test", "app"),
    ("plan", "app", "--json"),
    ("cycle", "app", "--full"),
    ("provision", "app", "ann@example.com"),
    ("log", "app", "--json"),
    ("log", "app", "--export", "exported"),
    ("support", "app"),
    ("overdue", "--json"),
    ("test-mail", "app"),
    ("evaluate", "--job", "app", "--user", "ann"),
)


def written(secret: str) -> set[bytes]:
    """Return every form in which a secret may show."""
    plain = secret.encode()
    pairs = [f"reconciler:{secret}".encode(), f"\0reconciler\0{secret}".encode(), plain]
    return {
        plain,
        quote(secret, safe="").encode(),
        orjson.dumps(secret)[1:-1],
        secret.encode("unicode-escape"),
        *(base64.b64encode(pair).rstrip(b"=") for pair in pairs),
    }


def leaks(text: bytes) -> set[str]:
    return {secret for secret in CANARIES if any(form in text for form in written(secret))}


def repeating(status: str) -> Answer:
    """Answer a question that finds nobody where changes are refused, and everything else with all that was sent."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if status.startswith("400") and "Users?" in asked.target:
            await says(LISTED)(asked, writer)
            return
        sent = f"{asked.method} {asked.target} {asked.headers} {asked.body.decode()}"
        error = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": status[:3], "detail": sent}
        challenge = f"WWW-Authenticate: {asked.headers['authorization']}"
        await says(orjson.dumps(error), status, "application/scim+json", challenge)(asked, writer)

    return answer


@dataclass(frozen=True, slots=True)
class Place:
    company: Company
    office: PostOffice
    peer: Peer
    refuses_changes_alone: bool


@pytest.fixture(params=["400 Bad Request", "401 Unauthorized"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A company with a secret of every kind, whose target repeats them with this status."""
    peer = Peer(repeating(request.param))
    async with serving(peer.talk) as port, open_office(authentication=True) as office:
        for name, secret in (("mail-password", PASSWORD), ("hook", HOOK)):
            (tmp_path / name).touch(mode=0o600)
            (tmp_path / name).write_text(secret)
        company = Company(tmp_path, At(port, TOKEN))
        company.job = 'scope = "all"\nnotify = ["it@example.com"]'
        company.tables = '[jobs.app.triggers]\nwebhook = { file = "hook" }\n' + mail_table(
            office.port, f'username = "{USERNAME}"\npassword = {{ file = "mail-password" }}'
        )
        company.people("ann")
        company.write()
        yield Place(company, office, peer, request.param.startswith("400"))


def left_behind(directory: Path) -> dict[str, set[str]]:
    """Return which secrets stand in which files, but for those that they belong in."""
    own = {"token", "mail-password", "hook"}
    files = [path for path in directory.rglob("*") if path.is_file() and path.name not in own]
    assert {"state.db", "config.toml"} <= {path.name for path in files}
    return {str(path): found for path in files if (found := leaks(path.read_bytes()))}


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_no_command_shows_a_secret(place: Place) -> None:
    shell = Shell(place.company.directory)
    for command in COMMANDS if place.refuses_changes_alone else REFUSED_COMMANDS:
        ran = await shell(*command)
        assert "Traceback" not in ran.err, command
        assert leaks((ran.out + ran.err).encode()) == set(), (command, ran)
    assert any(TOKEN in asked.headers["authorization"] for asked in place.peer.asked), "the target knew what to repeat"
    assert left_behind(place.company.directory) == {}
    assert place.office.taken
    assert leaks(b"".join(place.office.raw)) == set()


async def test_no_daemon_shows_a_secret(place: Place) -> None:
    """Not at its most talkative, not in its command line, not to those who ask it."""
    async with ColdDaemon(place.company.directory, "--log-level", "debug") as daemon:
        await daemon.event("cycle.finished")
        shown = command_line(daemon.pid)
        shell = Shell(place.company.directory)
        for command in (("status", "--json"), ("trigger", "app", "--wait"), ("health",)):
            ran = await shell(*command)
            shown += (ran.out + ran.err).encode()
        await daemon.stop()
    assert b"app" in shown
    assert leaks(shown + "\n".join(daemon.lines).encode()) == set()
    assert left_behind(place.company.directory) == {}
