"""Entra ID after an outage: a job leaves its quarantine although a permission is missing that only some of it needs."""

from __future__ import annotations

import pytest

from tests.cycles.calendar import HOUR
from tests.cycles.company import done
from tests.servers.faults import FOR_EVER, Status, Unauthorized
from tests.servers.graph import GraphServer
from tests.vendors.hr import HumanResources

NEEDED_BY_SOME = ["Organization.Read.All", "User-LifeCycleInfo.ReadWrite.All"]


async def is_refused_for_a_while(hr: HumanResources, graph: GraphServer) -> None:
    """The token is refused; when it is taken again there is nothing left to be done."""
    hr.employee("e1", "Ann", "Beck", jobTitle="Engineer")
    await hr.cycle()
    hr.employees["e1"]["jobTitle"] = "Lead"
    graph.script.on("*", "", then=Unauthorized(), times=FOR_EVER)
    assert (await hr.cycle()).state == "unreachable"
    graph.script.clear()
    hr.employees["e1"]["jobTitle"] = "Engineer"
    hr.clock.turn(HOUR)


@pytest.mark.parametrize("permission", NEEDED_BY_SOME)
async def test_a_permission_that_only_some_of_it_needs_keeps_no_job_in_quarantine(
    hr: HumanResources, graph: GraphServer, permission: str
) -> None:
    graph.tenant.permissions.discard(permission)
    await is_refused_for_a_while(hr, graph)
    assert (await hr.cycle()).state == "active"


async def test_a_tenant_that_lets_nobody_read_its_users_keeps_the_job_in_quarantine(
    hr: HumanResources, graph: GraphServer
) -> None:
    await is_refused_for_a_while(hr, graph)
    graph.script.on("GET", "/users", then=Status(403), times=FOR_EVER)
    report = await hr.cycle()
    assert report.state == "unreachable"
    assert report.problems[0].startswith("the target refuses the credentials")


@pytest.mark.parametrize("permission", NEEDED_BY_SOME)
async def test_who_is_provisioned_on_demand_needs_no_more_than_in_a_cycle(
    hr: HumanResources, graph: GraphServer, permission: str
) -> None:
    graph.tenant.permissions.discard(permission)
    hr.employee("e1", "Ann", "Beck")
    await hr.provision("e1")
    assert done(await hr.cycle()) == {}
    assert hr.account("ann.beck@example.com")["givenName"] == "Ann"
