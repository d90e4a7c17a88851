"""A tenant of Microsoft Graph says who is assigned to an app and as what, an HR system their titles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from reconciler import config, wiring
from reconciler.errors import ConfigError
from reconciler.runtime.reading import wanted_by
from tests.cycles.company import done
from tests.cycles.entra import AGENT, CHIEF, Tenant
from tests.servers.graph import GraphServer
from tests.servers.scim import ScimServer


class Joined(Tenant):
    """The tenant, and a file of HR beside it that knows people by their mail addresses."""

    def __init__(self, directory: Path, graph: GraphServer, app: ScimServer) -> None:
        super().__init__(directory, graph, app)
        self.titles: dict[str, str] = {}
        self.company.tables += f"[sources.entra]\n{self.company.source}\n[sources.hr]\ntype = 'file'\n"
        self.company.tables += "users = 'hr.jsonl'\nkey = 'mail'\n"
        self.company.source = """
type = "joined"
of = ["entra", "hr"]
key = { entra = "userPrincipalName", hr = "mail" }
active = "accountEnabled"
attributes = { jobTitle = ["hr.title"] }
"""

    async def cycle(self, *, full: bool = False) -> dict[str, int]:
        """Run a cycle; return what it did."""
        rows = [{"mail": f"{who}@example.com", "title": title} for who, title in self.titles.items()]
        (self.company.directory / "hr.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        report = await self.company.cycle(full=full)
        self.state, self.problems = report.state, report.problems
        return dict(done(report))


@pytest.fixture
async def entra(tmp_path: Path, server: ScimServer) -> AsyncIterator[Joined]:
    """Ann is an agent of her own, bob is assigned by his crew, dan is not."""
    async with GraphServer() as graph:
        entra = Joined(tmp_path, graph, server)
        for who in ("ann", "bob", "dan"):
            await entra.hire(who, text="said by nobody")
            entra.titles[who] = f"{who}'s job"
        await entra.found("crew", "bob")
        entra.assign("ann", str(AGENT["id"]))
        entra.assign("crew")
        yield entra


async def test_assignments_and_roles_are_the_tenants_and_titles_are_hrs(entra: Joined, server: ScimServer) -> None:
    assert await entra.cycle() == {"create": 3, "members_added": 1}, entra.problems
    ann, bob = server.user("ann@example.com"), server.user("bob@example.com")
    assert (ann["userType"], ann["title"], bob["title"]) == ("agent", "ann's job", "bob's job")
    assert await entra.cycle() == {}
    entra.unassign("ann")
    entra.assign("ann", str(CHIEF["id"]))
    assert await entra.cycle() == {"update": 1}, "a role changed, and no user did"
    assert server.user("ann@example.com")["userType"] == "chief"
    entra.titles["bob"] = "Lead"
    await entra.quit("crew", "bob")
    await entra.enter("crew", "dan")
    assert await entra.cycle() == {"create": 1, "disable": 1, "members_added": 1, "members_removed": 1}
    entra.unassign("ann")
    assert await entra.cycle() == {"disable": 1}
    assert await entra.cycle(full=True) == {}


async def test_assignments_that_cannot_be_read_take_nobody_out(entra: Joined, server: ScimServer) -> None:
    await entra.cycle()
    entra.unassign("ann")
    entra.tenant.permissions.discard("Application.Read.All")
    entra.titles["bob"] = "Lead"
    assert (await entra.cycle(), entra.state) == ({}, "incomplete")
    assert all(account["active"] for account in server.users.values())
    entra.tenant.permissions.add("Application.Read.All")
    assert await entra.cycle() == {"update": 1, "disable": 1}


async def test_the_permissions_that_its_part_of_the_work_needs_are_tested(entra: Joined) -> None:
    await entra.cycle()
    entra.tenant.permissions.discard("Application.Read.All")
    async with (
        wiring.open_house(config.load(entra.company.configure()), write=True) as house,
        house.world("app") as world,
    ):
        lines = await world.source.test(wanted_by(house.plan("app")))
    assert any(line.step.startswith("entra: ") and not line.ok for line in lines), lines


async def test_the_app_is_the_firsts(entra: Joined) -> None:
    entra.company.source = entra.company.source.replace('["entra", "hr"]', '["hr", "entra"]')
    with pytest.raises(ConfigError, match="only a source of type graph knows assignments to an app"):
        await entra.cycle()
