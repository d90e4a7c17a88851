"""A whole cycle against a target that means harm: it ends, says who it was, and takes nobody's word for a leaver."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from reconciler.runtime.report import CycleReport
from tests.cycles.company import Company
from tests.hostile.limits import bounded
from tests.hostile.peers import BOMBS, ENDLESS, LISTED, SLOW, WRONG, Answer, Asked, Peer, by_name, says, sends
from tests.net.sockets import serving

FOREVER_SECONDS = 60.0
"""A cycle that takes longer hangs."""
USERS = "/scim/v2/Users"


@dataclass(frozen=True, slots=True)
class At:
    """Where the peer is."""

    port: int
    token: str = "hostile-token"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/scim/v2"


def company_at(directory: Path, port: int) -> Company:
    company = Company(directory, At(port))
    company.people("ann")
    return company


async def cycle_with(peer: Peer, directory: Path, *, impatient: bool = False) -> tuple[CycleReport, str]:
    """Run a cycle; return what it reports, and the words by which the peer must be named in it."""
    async with serving(peer.talk) as port:
        company = company_at(directory, port)
        company.target_lines = 'timeout = "0.4s"' if impatient else ""
        return await asyncio.wait_for(company.cycle(), FOREVER_SECONDS), f"127.0.0.1:{port}"


def reasons(report: CycleReport) -> str:
    return " ".join([*report.problems, *(failure["reason"] for failure in report.failures)])


@pytest.mark.parametrize("answer", by_name(ENDLESS, SLOW))
async def test_what_has_no_end_is_left_and_its_place_is_named(answer: Answer, tmp_path: Path) -> None:
    report, place = await cycle_with(Peer(answer), tmp_path, impatient=True)
    assert report.exit_code in (1, 4), "a failure of this entry, or of the target as a whole"
    assert report.counts.keys() <= {"failure"}
    assert place in reasons(report)


@pytest.mark.parametrize("answer", by_name(WRONG))
async def test_what_is_no_answer_is_not_taken_for_one(answer: Answer, tmp_path: Path) -> None:
    report, place = await cycle_with(Peer(answer), tmp_path)
    assert report.exit_code in (1, 4)
    assert report.counts.keys() <= {"failure"}
    assert place in reasons(report) or "the target" in reasons(report)


@pytest.mark.parametrize("answer", by_name(BOMBS))
async def test_a_bomb_takes_no_memory(answer: Answer, tmp_path: Path) -> None:
    """In a process that may have little: in our own nobody would see what it took."""
    async with serving(Peer(answer).talk) as port:
        company = company_at(tmp_path, port)
        company.target_lines = 'timeout = "5s"'
        company.write()
        ran = await bounded(tmp_path, "cycle", "app", "--json")
    assert ran.code in (1, 4)
    said = ran.json()
    assert f"127.0.0.1:{port}" in " ".join([*said["problems"], *(failure["reason"] for failure in said["failures"])])
    assert "Traceback" not in ran.err


async def test_nothing_is_sent_where_a_redirect_leads(tmp_path: Path) -> None:
    elsewhere = Peer(says(LISTED))
    async with serving(elsewhere.talk) as other:
        away = (
            f"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{other}{USERS}\r\nContent-Length: 0\r\n\r\n"
        )
        report, _ = await cycle_with(Peer(sends(away.encode())), tmp_path)
    assert report.exit_code != 0
    assert "307" in reasons(report)
    assert elsewhere.asked == []


async def test_nothing_is_asked_where_a_link_in_an_answer_leads(tmp_path: Path) -> None:
    """A manager's $ref, meta.location and a Location header may name any place: we go by ids."""
    elsewhere = Peer(says(LISTED))
    async with serving(elsewhere.talk) as other:
        peer = Peer(takes(lambda sent: {"id": "1", "meta": {"location": f"http://127.0.0.1:{other}{USERS}/1"}}))
        async with serving(peer.talk) as port:
            company = company_at(tmp_path, port)
            assert (await company.cycle()).counts["create"] == 1
            company.users["ann"]["jobTitle"] = "Director"
            assert (await company.cycle()).counts["update"] == 1
    assert elsewhere.asked == []
    assert {asked.headers["authorization"] for asked in peer.asked} == {"Bearer hostile-token"}


# --- ids ---------------------------------------------------------------------------------------------------------

IDS_BY_PATH = {
    "a/b": f"{USERS}/a%2Fb",
    "../Groups/1": f"{USERS}/..%2FGroups%2F1",
    "%2e%2e": f"{USERS}/%252e%252e",
    "a?b=c#d": f"{USERS}/a%3Fb%3Dc%23d",
    "x\r\nHost: elsewhere": f"{USERS}/x%0D%0AHost%3A%20elsewhere",
    "x\u202ey": f"{USERS}/x%E2%80%AEy",
}


def takes(shown: object) -> Answer:
    """Make what is asked for, with what `shown` gives besides; nobody is found, and every change is done."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "POST":
            sent = orjson.loads(asked.body)
            more = shown(sent) if callable(shown) else {"id": shown}
            await says(orjson.dumps({**sent, **more}), "201 Created")(asked, writer)
        elif asked.method == "PATCH":
            await sends(b"HTTP/1.1 204 No Content\r\n\r\n")(asked, writer)
        elif "?" in asked.target:
            await says(LISTED)(asked, writer)
        else:
            await says(b"{}", "404 Not Found")(asked, writer)

    return answer


@pytest.mark.parametrize("id_", IDS_BY_PATH)
async def test_an_id_stays_within_its_place_of_the_url(id_: str, tmp_path: Path) -> None:
    peer = Peer(takes(id_))
    async with serving(peer.talk) as port:
        company = company_at(tmp_path, port)
        assert (await company.cycle()).counts["create"] == 1
        company.users["ann"]["jobTitle"] = "Director"
        assert (await company.cycle()).counts["update"] == 1
    (changed,) = [asked for asked in peer.asked if asked.method == "PATCH"]
    assert changed.target == IDS_BY_PATH[id_]
    assert "elsewhere" not in changed.headers["host"]


@pytest.mark.parametrize("id_", ["", " ", ".", "..", None, True, ["x"], {"value": "x"}, "x" * 10_000])
async def test_what_names_no_resource_is_no_id(id_: object, tmp_path: Path) -> None:
    """`.` and `..` would name all users, or the API itself: a delete of these is not undone."""
    peer = Peer(takes(id_))
    report, _ = await cycle_with(peer, tmp_path)
    assert report.counts == {"failure": 1}
    assert "without an id" in reasons(report)
    assert {asked.target.partition("?")[0] for asked in peer.asked} <= {USERS, "/scim/v2/ServiceProviderConfig"}


async def test_an_account_that_is_shown_under_another_id_is_not_changed_under_it(tmp_path: Path) -> None:
    """An answer to a PATCH that shows another account is not believed: the link stays at the id that we asked for."""
    peer = Peer(takes("one"))

    async def as_another(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "PATCH":
            await says(orjson.dumps({"id": "two", "userName": "ann@example.com", "title": "Director"}))(asked, writer)
        else:
            await takes("one")(asked, writer)

    async with serving(peer.talk) as port:
        company = company_at(tmp_path, port)
        await company.cycle()
        peer.answer = as_another
        for title in ("Director", "President"):
            company.users["ann"]["jobTitle"] = title
            await company.cycle()
    changed = [asked.target for asked in peer.asked if asked.method == "PATCH"]
    assert changed == [f"{USERS}/one"] * 2
