"""From AlexisHR itself to Entra ID: the double of the one to the double of the other, as the page describes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cycles.company import done
from tests.servers.alexishr import AlexisHR
from tests.servers.graph import GraphServer
from tests.vendors.hr import HumanResources


@pytest.fixture
async def alexis() -> AsyncIterator[AlexisHR]:
    async with AlexisHR() as server:
        yield server


@pytest.fixture
def hr(tmp_path: Path, graph: GraphServer, alexis: AlexisHR) -> HumanResources:
    token = tmp_path / "hr-token"
    token.touch(mode=0o600)
    token.write_text(alexis.token)
    company = HumanResources(tmp_path, graph)
    company.source = f"""
type = "alexishr"
url = "{alexis.url}/v1"
auth = {{ type = "bearer", token = {{ file = "hr-token" }} }}
requests_per_second = 1000
"""
    return company


@pytest.mark.row("D1")
@pytest.mark.row("D29")
@pytest.mark.row("D33")
@pytest.mark.row("D35")
@pytest.mark.row("D36")
async def test_the_flow_of_the_page_from_a_dummy_user_to_the_offboarding(
    hr: HumanResources, alexis: AlexisHR, graph: GraphServer
) -> None:
    alexis.put("department", "d1", name="Sales")
    alexis.put("office", "o1", name="Malmö")
    alexis.hire("e1", departmentId="d1", officeId="o1", workEmail="boss@example.com")
    alexis.hire("e2", departmentId="d1", managerEmployeeId="e1", workEmail="dummy@example.com", workPhone="+46 8 1")
    alexis.put("employment", "first", employeeId="e2", startDate="2019-02-01", endDate="2020-01-31")
    alexis.put("employment", "second", employeeId="e2", startDate="2024-08-01")
    first = await hr.cycle()
    assert (first.problems, first.failures, done(first)) == ([], [], {"create": 2})
    boss, dummy = hr.account("boss@example.com"), hr.account("dummy@example.com")
    assert (boss["department"], boss["officeLocation"]) == ("Sales", "Malmö")
    assert (dummy["businessPhones"], dummy["employeeHireDate"]) == (["+46 8 1"], "2019-02-01T00:00:00Z")
    assert graph.tenant.managers == {dummy["id"]: boss["id"]}

    graph.clear()
    assert done(await hr.cycle()) == {}
    assert graph.calls == []

    alexis.clock += timedelta(hours=1)
    alexis.put("employee", "e2", title="Lead")
    await hr.cycle()
    assert [call.body for call in graph.writes] == [{"jobTitle": "Lead"}]

    graph.clear()
    alexis.clock += timedelta(hours=1)
    alexis.put("employee", "e2", endDate="2019-06-30", active=False)
    await hr.cycle()
    assert [call.body for call in graph.writes] == [{"employeeLeaveDateTime": "2019-06-30T00:00:00Z"}]
    assert dummy["accountEnabled"] is True
