"""A whole cycle from a directory that means harm: it ends, says who it was, and takes nobody for a leaver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reconciler.runtime.report import CycleReport
from tests.commands.shell import Shell
from tests.cycles.company import Company, done
from tests.daemon.process import Daemon
from tests.hostile import directories
from tests.hostile.directories import BASE, ELSEWHERE, FLOODS, HARMFUL, PEOPLE, Answer, Directory, Search, honest
from tests.hostile.limits import bounded
from tests.net.sockets import serving
from tests.servers import ldap_messages as ldap
from tests.servers.scim import ScimServer

pytest.importorskip("ldap", reason="python-ldap is not installed (make ldap)")

FOREVER_SECONDS = 60.0
PASSWORD = "canary-Password"
TIMEOUT = "0.6s"


class Firm:
    """Three people in a directory that one cycle has read well, and their accounts."""

    def __init__(self, company: Company, app: ScimServer, directory: Directory, port: int) -> None:
        self.company, self.app, self.directory, self.place = company, app, directory, f"127.0.0.1:{port}"

    async def cycle(self) -> CycleReport:
        return await asyncio.wait_for(self.company.cycle(), FOREVER_SECONDS)

    def active(self) -> set[str]:
        return {str(user["userName"]).partition("@")[0] for user in self.app.users.values() if user["active"]}


def table(port: int, *, timeout: str = TIMEOUT, more: str = 'changes = "none"') -> str:
    return f"""
type = "ldap"
url = "ldap://127.0.0.1:{port}"
bind = {{ type = "simple", dn = "cn=reader,{BASE}", password = {{ file = "password" }} }}
base = "{BASE}"
anchor = "uid"
page_size = 2
timeout = "{timeout}"
{more}
"""


def configured(company: Company, port: int, **settings: str) -> None:
    password = company.directory / "password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD)
    company.source = table(port, **settings)


@asynccontextmanager
async def founded(path: Path, directory: Directory) -> AsyncIterator[Firm]:
    async with ScimServer() as app, serving(directory.talk) as port:
        company = Company(path, app, job='scope = "all"\ndeletion_share = "100%"')
        company.attributes = """
  { to = "userName", from = "mail", match = 1 },
  { to = "externalId", from = "id" },
  { to = "active", expression = "Not([IsSoftDeleted])" },
  { to = "displayName", from = "displayName" },
"""
        configured(company, port)
        firm = Firm(company, app, directory, port)
        assert done(await firm.cycle()) == {"create": 3}
        yield firm


@pytest.fixture
async def firm(tmp_path: Path) -> AsyncIterator[Firm]:
    async with founded(tmp_path, Directory()) as one:
        yield one


def said(report: CycleReport) -> str:
    return " ".join(report.problems)


async def nobody_leaves(firm: Firm) -> CycleReport:
    """Run a cycle; assert that it says whose fault it was, and that the next good reading is as if it had not been."""
    report = await firm.cycle()
    assert report.exit_code == 4
    assert not report.complete
    assert done(report) == {}
    assert firm.place in said(report) or "users: " in said(report), report.problems
    assert PASSWORD not in said(report)
    assert all(len(problem) < 1500 and problem.isprintable() for problem in report.problems)
    firm.directory.answer, firm.directory.bind = honest, (0, b"")
    good = await firm.cycle()
    assert (good.complete, done(good), firm.active()) == (True, {}, set(PEOPLE))
    return report


@pytest.mark.parametrize(("answer", "words"), HARMFUL.values(), ids=HARMFUL.keys())
async def test_a_directory_that_means_harm_makes_nobody_a_leaver(answer: Answer, words: str, firm: Firm) -> None:
    firm.directory.answer = answer
    assert words in said(await nobody_leaves(firm))


BINDS: dict[str, tuple[tuple[int, bytes] | None, str]] = {
    "never answers": (None, "no answer within 0.6 s"),
    "sends elsewhere": ((10, b""), "Referral"),
    "repeats the password": ((49, f"wrong: {PASSWORD}".encode()), "***"),
    "is busy": ((51, b"later"), "later"),
}


@pytest.mark.parametrize(("bind", "words"), BINDS.values(), ids=BINDS.keys())
async def test_a_directory_that_does_not_let_us_in_is_out_of_reach(
    bind: tuple[int, bytes] | None, words: str, firm: Firm
) -> None:
    firm.directory.bind = bind
    report = await nobody_leaves(firm)
    assert report.state == "unreachable"
    assert words in said(report)


# --- elsewhere -----------------------------------------------------------------------------------------------------


async def test_a_part_that_is_elsewhere_is_not_read_there_and_is_missing(firm: Firm) -> None:
    elsewhere = Directory()
    async with serving(elsewhere.talk) as port:
        url = ELSEWHERE.format(port=port)

        async def points(search: Search) -> None:
            await search.send(directories.person("ann"), ldap.reference(url), directories.done())

        firm.directory.answer = points
        report = await nobody_leaves(firm)
    assert f"for a part of it the directory refers to {url}" in said(report)
    assert elsewhere.said == []


async def test_a_directory_that_is_elsewhere_as_a_whole_is_not_followed_there(firm: Firm) -> None:
    elsewhere = Directory()
    async with serving(elsewhere.talk) as port:
        url = ELSEWHERE.format(port=port)

        async def sends_away(search: Search) -> None:
            await search.send(directories.done(10, b"", [url]))

        firm.directory.answer = sends_away
        report = await nobody_leaves(firm)
    assert "Referral" in said(report) and url in said(report)
    assert elsewhere.said == []


# --- bounds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "words"), FLOODS.values(), ids=FLOODS.keys())
async def test_a_flood_takes_no_memory(answer: Answer, words: str, tmp_path: Path) -> None:
    """In a process that may have little: in our own nobody would see what it took."""
    directory = Directory(answer)
    async with ScimServer() as app, serving(directory.talk) as port:
        company = Company(tmp_path, app)
        configured(company, port, timeout="10s")
        company.write()
        ran = await bounded(tmp_path, "cycle", "app", "--json")
    assert ran.code == 4, ran.err
    report = ran.json()
    assert words in " ".join(report["problems"])
    assert f"127.0.0.1:{port}" in " ".join(report["problems"])
    assert not report["read"]["complete"]
    assert "Traceback" not in ran.err


async def test_a_daemon_lives_on_beside_a_directory_that_means_harm(tmp_path: Path) -> None:
    async def again(answers: Sequence[Answer]) -> None:
        for answer in answers:
            firm.directory.answer = answer
            assert (await shell("trigger", "app", "--wait")).code == 4
            ended = await daemon.event("cycle.finished")
            assert ended["state"] in ("incomplete", "unreachable")

    async with founded(tmp_path, Directory()) as firm:
        firm.company.tables = '\n[control]\nsocket = "control.sock"\n'
        firm.company.write()
        shell = Shell(tmp_path)
        async with Daemon(tmp_path) as daemon:
            await daemon.event("cycle.finished", state="active")
            await again([directories.silent, directories.closes_within_a_page, directories.the_same_page])
            firm.directory.answer = honest
            assert (await shell("trigger", "app", "--wait")).code == 0
            assert firm.active() == set(PEOPLE)
            assert await daemon.stop() == 0
        assert not [event for event in daemon.events() if event["level"] in ("error", "critical")]
