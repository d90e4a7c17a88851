"""The groups of a job that keeps them in Entra ID exactly as the source says."""

from __future__ import annotations

import orjson

from tests.servers.faults import WrongJson
from tests.servers.graph import GraphServer
from tests.vendors.hr import HumanResources

EXACT = """
[jobs.entra.groups]
members = "exact"
attributes = [
  { to = "displayName", from = "displayName", match = 1 },
  { to = "members", from = "members" },
]
"""


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
