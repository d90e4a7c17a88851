"""The groups of a job that keeps them in Entra ID exactly as the source says."""

from __future__ import annotations

from uuid import uuid4

import anyio
import orjson
import pytest

from tests.cycles.calendar import HOUR
from tests.cycles.company import done
from tests.servers.faults import FOR_EVER, Delay, Drop, DropAfterCommit, ServerFault, Status, WrongJson
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


def with_groups(hr: HumanResources, *names: str) -> None:
    hr.source += '\ngroups = "groups.jsonl"'
    hr.tables += GROUPS
    rows = [orjson.dumps({"id": f"g{number}", "displayName": name, "members": []}) for number, name in enumerate(names)]
    (hr.directory / "groups.jsonl").write_bytes(b"\n".join(rows))


def shows_late(hr: HumanResources, graph: GraphServer, *, first_takes_seconds: float = 0.0) -> None:
    """Let neither searches nor lists show what is made before the test says so."""

    def new_id() -> str:
        if not graph.tenant.groups:
            hr.clock.turn(first_takes_seconds)
        number = str(uuid4())
        graph.tenant.hide(number, requests=FOR_EVER)
        return number

    graph.tenant.new_id, graph.tenant.lists_are_late = new_id, True


@pytest.mark.parametrize("fault", [DropAfterCommit(), Drop()], ids=["made", "not made"])
async def test_a_group_whose_create_got_no_answer_is_not_made_again_while_it_may_not_show_yet(
    hr: HumanResources, graph: GraphServer, fault: ServerFault
) -> None:
    with_groups(hr, "Sales")
    shows_late(hr, graph)
    graph.script.on("POST", "/groups$", then=fault)
    assert done(await hr.cycle()) == {"failure": 1}
    graph.clear()
    for _ in range(3):
        hr.clock.turn(60.0)
        (failure,) = (await hr.cycle()).failures
        assert failure["error_code"] == "Timeout"
        assert "for 5 minutes nothing is sent in its place" in failure["reason"]
    assert (await hr.log())[-1]["reason"] == failure["reason"]
    assert graph.sent("POST", "/groups") == []
    if isinstance(fault, Drop):
        hr.clock.turn(300.0)
    else:
        graph.tenant.show(next(iter(graph.tenant.groups)))
    assert done(await hr.cycle()) == {"create": 1}
    assert [group["displayName"] for group in graph.tenant.groups.values()] == ["Sales"]
    assert done(await hr.cycle()) == {}


async def test_a_group_that_waited_and_is_refused_then_has_failed_once_more_and_not_each_time(
    hr: HumanResources, graph: GraphServer
) -> None:
    with_groups(hr, "Sales")
    shows_late(hr, graph)
    graph.script.on("POST", "/groups$", then=Drop())
    for _ in range(4):
        await hr.cycle()
        hr.clock.turn(60.0)
    hr.clock.turn(300.0)
    graph.script.on("POST", "/groups$", then=Status(400))
    assert done(await hr.cycle()) == {"failure": 1}
    hr.clock.turn(6 * HOUR)
    assert done(await hr.cycle()) == {"create": 1}


async def test_a_group_that_waited_for_its_turn_for_long_and_got_no_answer_may_not_show_yet_either(
    hr: HumanResources, graph: GraphServer
) -> None:
    with_groups(hr, "Sales", "Support")
    hr.target_lines = "concurrency = 1"
    shows_late(hr, graph, first_takes_seconds=HOUR)
    graph.script.on("POST", "/groups$", then=Delay(1.0, done=True), nth=2)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hr.cycle)
        while len(graph.tenant.groups) < 2:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    await hr.cycle()
    assert len(graph.tenant.groups) == 2
