"""Jobs that a person pauses, cycles that a person stops, and restarts of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import anyio
import pytest

from reconciler.core.standing import Pause
from tests.cycles.company import GROUPS, Company, done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer

ANN = "ann@example.com"
PEOPLE = ("ann", "bob", "cleo", "dan")


class StopAfter:
    """Somebody who watches a cycle, and stops it once so many operations have been sent."""

    def __init__(self, operations: int) -> None:
        self.stop = anyio.Event()
        self._operations = operations

    def advance(self, part: str, done: int, total: int | None = None) -> None:
        if part == "apply" and done >= self._operations:
            self.stop.set()

    def follow(self, counts: Mapping[str, int]) -> None:
        pass


async def test_a_paused_job_does_nothing_and_says_who_paused_it(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    await company.settle(lambda s: (replace(s, paused=Pause(company.clock.now(), "ann", "the app moves")), []))
    company.people("eve")
    server.clear_requests()
    report = await company.cycle()
    assert (report.state, report.exit_code, server.requests) == ("paused", 3, [])
    assert "by ann: the app moves" in report.problems[0]
    assert report.as_dict()["counts"]["create"] == 0

    await company.settle(lambda s: (replace(s, paused=None), []))
    report = await company.cycle()
    assert (report.state, report.kind, done(report)) == ("active", "incremental", {"create": 1})


async def test_a_cycle_that_is_stopped_ends_between_two_requests_and_the_next_one_goes_on(
    company: Company, server: ScimServer
) -> None:
    company.people(*(f"p{n}" for n in range(300)))
    watch = StopAfter(100)
    report = await company.cycle(progress=watch, stop=watch.stop)
    assert (report.state, report.exit_code, report.complete) == ("paused", 3, True)
    assert "a person stopped the cycle" in report.problems[0]
    assert 100 <= report.counts["create"] <= len(server.users) <= 120

    rest = await company.cycle()
    assert (rest.state, rest.kind, rest.counts["create"]) == ("active", "initial", 300 - report.counts["create"])
    assert len(server.users) == 300, "nobody whose answer was not waited for is made twice"
    assert server.users.keys() == {row["target_id"] for row in await company.log(status="success")}
    assert done(await company.cycle()) == {}


async def test_a_cycle_is_stopped_although_the_target_asks_to_wait(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    for name in PEOPLE:
        company.users[name]["jobTitle"] = "Manager"
    stop = anyio.Event()
    stop.set()
    server.clear_requests()
    report = await company.cycle(stop=stop)
    assert (report.state, server.requests) == ("paused", [])
    assert done(await company.cycle()) == {"update": 4}


# --- restarts ----------------------------------------------------------------------------------------------------


async def test_a_restart_looks_at_everybody_and_keeps_the_links(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    server.user(ANN)["title"] = "changed in the app"
    assert done(await company.cycle()) == {}
    await company.restart()
    report = await company.cycle()
    assert (report.kind, done(report)) == ("initial", {"update": 1})
    assert server.user(ANN)["title"] == "Engineer"
    assert (await company.cycle()).kind == "incremental"


async def test_a_restart_of_the_escrows_tries_at_once_what_failed_and_counts_anew(
    company: Company, server: ScimServer
) -> None:
    company.people(*PEOPLE)
    server.script.on("POST", "/Users", then=Status(400), times=FOR_EVER, body="ann|bob")
    await company.cycle()
    await company.cycle()
    assert done(await company.cycle()) == {}, "they wait for six hours now"
    await company.restart("escrows")
    report = await company.cycle()
    assert (report.kind, report.counts["failure"]) == ("incremental", 2)
    server.script.clear()
    assert done(await company.cycle()) == {"create": 2}


async def test_a_restart_of_the_links_matches_everybody_again(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    await company.cycle()
    before = dict(server.users)
    await company.restart("links")
    report = await company.cycle()
    assert (report.kind, done(report)) == ("initial", {"adopt": 5})
    assert server.users.keys() == before.keys()
    assert len(server.members("Crew")) == 4
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


@pytest.mark.parametrize("words", [("full",), ("Full",), ("watermark",), ("ConnectorDataStore",)])
async def test_a_restart_of_a_job_that_never_ran_is_an_ordinary_beginning(
    company: Company, words: tuple[str, ...]
) -> None:
    company.people(*PEOPLE)
    await company.restart(*words)
    assert done(await company.cycle()) == {"create": 4}
