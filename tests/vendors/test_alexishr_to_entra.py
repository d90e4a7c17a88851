"""AlexisHR into Entra ID: each row of the document, in whole cycles against the double of Microsoft Graph."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cycles.company import done
from tests.servers.graph import GraphServer
from tests.vendors.hr import HumanResources


@pytest.fixture
async def graph() -> AsyncIterator[GraphServer]:
    async with GraphServer() as server:
        yield server


@pytest.fixture
def hr(tmp_path: Path, graph: GraphServer) -> HumanResources:
    return HumanResources(tmp_path, graph)


@pytest.mark.row("D1")
@pytest.mark.row("D11")
@pytest.mark.row("D12")
async def test_a_new_employee_becomes_a_user_and_a_change_goes_out_alone(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck", title="Engineer")
    first = await hr.cycle()
    print(first)
    assert (first.state, done(first)) == ("active", {"create": 1})
    ann = hr.account("ann.beck@example.com")
    assert (ann["givenName"], ann["surname"], ann["displayName"]) == ("Ann", "Beck", "Ann Beck")
    assert (ann["mailNickname"], ann["accountEnabled"], ann["jobTitle"]) == ("Ann.Beck", True, "Engineer")
    graph.clear()
    assert done(await hr.cycle()) == {}
    assert graph.calls == []
    hr.employees["e1"]["title"] = "Manager"
    assert done(await hr.cycle()) == {"update": 1}
    assert [(call.method, call.body) for call in graph.writes] == [("PATCH", {"jobTitle": "Manager"})]
