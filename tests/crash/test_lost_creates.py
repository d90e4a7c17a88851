"""An account was made, and its maker killed before it knew; before the next run the world has moved on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.crash.town import TABLES, made
from tests.crash.victim import Kill
from tests.crash.warm import WarmProcess
from tests.cycles.company import Company
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

UNREAD = Kill("post", "unread", 1)
Change = Callable[[Company], object]


@pytest.fixture
async def server() -> AsyncIterator[ScimServer]:
    async with ScimServer(Quirks(lax_unique=True)) as running:
        yield running


@pytest.fixture
async def company(tmp_path: Path, server: ScimServer) -> Company:
    company = Company(tmp_path, server)
    company.tables = TABLES
    company.people("ann", "bob")
    await company.cycle()
    return company


async def next_run(company: Company, warm: WarmProcess) -> None:
    outcome = await warm.cycle(company.write())
    assert outcome.exit_code == 0, outcome.stdout + outcome.stderr


def gone(company: Company) -> None:
    del company.users["zoe"]


def inactive(company: Company) -> None:
    company.users["zoe"]["accountEnabled"] = False


def out_of_scope(company: Company) -> None:
    company.users["zoe"]["department"] = "Alumni"


@pytest.mark.parametrize(("leaves", "left"), [(gone, False), (inactive, False), (out_of_scope, None)])
async def test_who_leaves_before_the_next_run_keeps_no_way_in(
    leaves: Change, left: bool | None, company: Company, server: ScimServer, warm: WarmProcess
) -> None:
    company.people("zoe")
    assert (await warm.cycle(company.write(), UNREAD)).killed
    assert server.user("zoe@example.com")["active"] is True
    leaves(company)
    await next_run(company, warm)
    active = [user["active"] for user in server.users.values() if user["externalId"] == "zoe"]
    assert active == ([] if left is None else [left])


@pytest.mark.parametrize("leaves", [gone, inactive, out_of_scope])
async def test_who_leaves_and_is_back_gets_the_account_that_was_made(
    leaves: Change, company: Company, server: ScimServer, warm: WarmProcess
) -> None:
    zoe = company.person("zoe")
    before = dict(zoe)
    assert (await warm.cycle(company.write(), UNREAD)).killed
    leaves(company)
    await next_run(company, warm)
    company.users["zoe"] = before
    await next_run(company, warm)
    assert server.user("zoe@example.com")["active"] is True
    assert len(server.users) == 3


async def test_who_is_renamed_before_the_next_run_has_one_account(
    company: Company, server: ScimServer, warm: WarmProcess
) -> None:
    company.people("zoe")
    assert (await warm.cycle(company.write(), UNREAD)).killed
    company.users["zoe"]["userPrincipalName"] = "zoe.married@example.com"
    await next_run(company, warm)
    assert [user["userName"] for user in server.users.values() if user["externalId"] == "zoe"] == [
        "zoe.married@example.com"
    ]
    assert made(server)["zoe"] == 1


async def test_a_group_that_we_made_is_ours_to_delete(company: Company, server: ScimServer, warm: WarmProcess) -> None:
    company.group("g1", ["ann"], "Crew")
    assert (await warm.cycle(company.write(), UNREAD)).killed
    await next_run(company, warm)
    assert made(server)["Crew"] == 1
    assert len(server.members("Crew")) == 1
    company.groups.clear()
    await next_run(company, warm)
    assert server.groups == {}


async def test_a_group_that_is_gone_before_the_next_run_is_deleted(
    company: Company, server: ScimServer, warm: WarmProcess
) -> None:
    company.group("g1", ["ann"], "Crew")
    assert (await warm.cycle(company.write(), UNREAD)).killed
    company.groups.clear()
    await next_run(company, warm)
    assert server.groups == {}


async def test_a_group_that_is_renamed_before_the_next_run_is_one(
    company: Company, server: ScimServer, warm: WarmProcess
) -> None:
    company.group("g1", ["ann"], "Crew")
    assert (await warm.cycle(company.write(), UNREAD)).killed
    company.groups["g1"]["displayName"] = "The crew"
    await next_run(company, warm)
    assert [group["displayName"] for group in server.groups.values()] == ["The crew"]
