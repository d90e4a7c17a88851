"""The groups of a job that keeps them in Entra ID exactly as the source says."""

from __future__ import annotations

import orjson
import pytest

from tests.cycles.calendar import HOUR
from tests.servers.faults import FOR_EVER, Status, WrongJson
from tests.servers.graph import GraphServer
from tests.vendors.hr import HumanResources

GROUPS = """
[jobs.entra.groups]
attributes = [
  { to = "displayName", from = "displayName", match = 1 },
  { to = "members", from = "members" },
]
"""
EXACT = GROUPS.replace("attributes", 'members = "exact"\nattributes', 1)


async def test_who_was_added_without_a_word_of_it_is_no_stranger(hr: HumanResources, graph: GraphServer) -> None:
    hr.source += '\ngroups = "groups.jsonl"'
    hr.tables += EXACT
    sales = {"id": "g1", "displayName": "Sales", "members": ["e1", "e2"]}
    (hr.directory / "groups.jsonl").write_bytes(orjson.dumps(sales))
    hr.employee("e1", "Ann", "Beck")
    hr.employee("e2", "Bob", "Carr")
    graph.script.on("POST", r"/\$batch", body="/members/", then=WrongJson())
    await hr.cycle()
    assert graph.script.waiting == []
    assert [set(members) for members in graph.tenant.members.values()] == [set(graph.tenant.users)]


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
async def test_who_comes_back_out_of_the_bin_leaves_the_groups_of_before(
    hr: HumanResources, graph: GraphServer, told: bool
) -> None:
    hr.source += '\ngroups = "groups.jsonl"'
    hr.tables += GROUPS

    def sales(*members: str) -> None:
        row = {"id": "g1", "displayName": "Sales", "members": members}
        (hr.directory / "groups.jsonl").write_bytes(orjson.dumps(row))

    hr.job = hr.job.replace('gone = "keep"', 'gone = "delete"')
    sales("e1", "e2")
    left = hr.employee("e1", "Ann", "Beck")
    hr.employee("e2", "Bob", "Carr")
    await hr.cycle()
    ann = hr.account("ann.beck@example.com")["id"]
    del hr.employees["e1"]
    await hr.cycle()
    sales("e2")
    await hr.cycle()
    hr.clock.turn(HOUR)
    hr.employees["e1"] = left
    if not told:
        graph.script.on("GET", "/memberOf", then=Status(403), times=FOR_EVER)
    await hr.cycle()
    await hr.cycle()
    assert hr.account("ann.beck@example.com")["id"] == ann
    assert [ann in members for members in graph.tenant.members.values()] == [False]
