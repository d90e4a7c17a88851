"""A change was done, its maker killed before it knew, and before the next run the source took it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crash.town import JOB, TABLES
from tests.crash.victim import Kill
from tests.crash.warm import WarmProcess
from tests.cycles.company import ATTRIBUTES, MANAGER, Company
from tests.servers.scim import ScimServer

DONE = Kill("change", "after", 1)
ANN, BOB = "ann@example.com", "bob@example.com"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CLEARED = MANAGER.replace("},", ', null = "clear" },')


@pytest.fixture
async def server() -> AsyncIterator[ScimServer]:
    async with ScimServer() as running:
        yield running


@pytest.fixture
async def company(tmp_path: Path, server: ScimServer) -> Company:
    company = Company(tmp_path, server, job=JOB, attributes=ATTRIBUTES + CLEARED)
    company.tables = TABLES
    company.people("ann", "bob", "cleo")
    company.person("ann", manager="boss")
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    return company


async def killed(company: Company, server: ScimServer, warm: WarmProcess) -> None:
    assert (await warm.cycle(company.write(), DONE)).killed
    assert len(server.sent("PATCH")) > 1, "one while the company was founded"


async def next_run(company: Company, server: ScimServer, warm: WarmProcess) -> None:
    outcome = await warm.cycle(company.write())
    assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
    server.clear_requests()
    assert (await warm.cycle(company.write())).exit_code == 0
    assert server.requests == []


def crew(server: ScimServer) -> set[str]:
    return {server.users[id_]["userName"] for id_ in server.members("Crew")}


async def test_whoever_was_added_to_a_group_is_taken_out(
    company: Company, server: ScimServer, warm: WarmProcess
) -> None:
    company.group("g1", ["ann", "bob", "cleo"], "Crew")
    await killed(company, server, warm)
    assert len(crew(server)) == 3
    company.group("g1", ["ann", "bob"], "Crew")
    await next_run(company, server, warm)
    assert crew(server) == {ANN, BOB}


async def test_whoever_was_taken_out_of_a_group_is_added(
    company: Company, server: ScimServer, warm: WarmProcess
) -> None:
    company.group("g1", ["ann"], "Crew")
    await killed(company, server, warm)
    assert crew(server) == {ANN}
    company.group("g1", ["ann", "bob"], "Crew")
    await next_run(company, server, warm)
    assert crew(server) == {ANN, BOB}


async def test_an_attribute_gets_its_old_value(company: Company, server: ScimServer, warm: WarmProcess) -> None:
    company.users["ann"]["jobTitle"] = "Director"
    await killed(company, server, warm)
    assert server.user(ANN)["title"] == "Director"
    company.users["ann"]["jobTitle"] = "Engineer"
    await next_run(company, server, warm)
    assert server.user(ANN)["title"] == "Engineer"


async def test_a_manager_who_had_come_is_nobodys_any_more(
    company: Company, server: ScimServer, warm: WarmProcess
) -> None:
    company.people("boss")
    await killed(company, server, warm)
    assert "manager" in server.user(ANN)[ENTERPRISE]
    company.users["ann"]["manager"] = None
    await next_run(company, server, warm)
    assert not server.user(ANN).get(ENTERPRISE, {}).get("manager")
