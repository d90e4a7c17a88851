"""A person is provisioned on demand while a cycle of the same job runs: never two accounts, nothing undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from reconciler import config, wiring
from reconciler.core.model import Kind, SourceId
from reconciler.errors import StateError
from reconciler.net.client import Lanes
from reconciler.ports import Batch
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.ondemand import provision
from reconciler.runtime.provisioned import Provisioned
from reconciler.runtime.report import CycleReport
from reconciler.store.sql import SqlStore
from tests.commands.shell import Hanging
from tests.cycles.calendar import NoLuck
from tests.cycles.company import MANAGER, Company, done
from tests.cycles.test_references import id_of, manager
from tests.servers.faults import FOR_EVER, Delay
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

ANN = "ann@example.com"


class Both:
    """One process in which a cycle runs, and somebody asks for people meanwhile."""

    def __init__(self, house: wiring.House, *, workers: int = 8) -> None:
        """`workers`: how much the cycle sends at a time, of what the target takes."""
        self._house, self._workers = house, workers
        self.reports: list[CycleReport] = []
        self.results: list[Provisioned] = []

    async def cycle(self) -> None:
        async with self._house.world("app") as world:
            plan = replace(self._house.plan("app"), concurrency=self._workers)
            self.reports.append(await run_cycle(plan, world))

    async def provision(self, *names: str, waits_seconds: float = 30.0) -> Provisioned:
        async with self._house.world("app") as world:
            result = await provision(self._house.plan("app"), world, names, by="ann", waits_seconds=waits_seconds)
        assert isinstance(result, Provisioned)
        self.results.append(result)
        return result


def both(company: Company) -> Any:
    return wiring.open_house(config.load(company.write()), write=True)


async def test_who_waits_in_the_spool_of_a_cycle_is_made_at_once_and_only_once(
    company: Company, server: ScimServer
) -> None:
    company.people("zoe", "ann", "bob")
    held = Hanging(server, "POST", "/Users", body="zoe", seconds=4.0)
    async with both(company) as house, anyio.create_task_group() as tasks:
        one = Both(replace(house, clock=company.clock), workers=1)
        tasks.start_soon(one.cycle)
        await held.arrived()
        result = await one.provision("ann")
        assert (result.exit_code, result.beside_cycle) == (0, True)
        assert [user["userName"] for user in server.users.values()] == [ANN], "the cycle waits for zoe's answer"
    assert len(server.users) == 3
    assert one.reports[0].counts["create"] == 2
    assert len([request for request in server.sent("POST") if b"ann@" in request.raw]) == 1
    assert done(await company.cycle()) == {}


async def test_who_is_being_made_by_a_cycle_is_waited_for_and_found_made(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    held = Hanging(server, "POST", "/Users", body="ann", seconds=0.5)
    async with both(company) as house, anyio.create_task_group() as tasks:
        one = Both(replace(house, clock=company.clock))
        tasks.start_soon(one.cycle)
        await held.arrived()
        result = await one.provision("ann")
    assert result.subjects[0].error_code == "RedundantExport"
    assert len(server.users) == 2
    assert len([request for request in server.sent("POST") if b"ann@" in request.raw]) == 1


async def test_who_is_being_made_for_too_long_is_refused_and_left_to_the_cycle(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    held = Hanging(server, "POST", "/Users", body="ann", seconds=0.5)
    async with both(company) as house, anyio.create_task_group() as tasks:
        one = Both(replace(house, clock=company.clock))
        tasks.start_soon(one.cycle)
        await held.arrived()
        result = await one.provision("ann", waits_seconds=0.05)
        assert (result.subjects[0].error_code, result.exit_code) == ("Busy", 1)
    assert done(one.reports[0]) == {"create": 2}
    assert done(await company.cycle()) == {}


async def test_a_cycle_that_begins_while_somebody_is_made_on_demand_waits_for_it(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    held = Hanging(server, "POST", "/Users", body="ann", seconds=0.5)
    async with both(company) as house, anyio.create_task_group() as tasks:
        one = Both(replace(house, clock=company.clock))
        tasks.start_soon(one.provision, "ann")
        await held.arrived()
        await one.cycle()
    assert (one.results[0].exit_code, done(one.reports[0])) == (0, {"create": 1})
    assert len(server.users) == 2


async def test_a_disable_that_a_cycle_has_planned_is_not_sent_after_somebody_came_back(
    company: Company, server: ScimServer
) -> None:
    company.people("zoe", "ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    company.users["zoe"]["jobTitle"] = "Chief"
    held = Hanging(server, "PATCH", "/Users", body="Chief", seconds=1.0)
    async with both(company) as house, anyio.create_task_group() as tasks:
        one = Both(replace(house, clock=company.clock), workers=1)
        tasks.start_soon(one.cycle)
        await held.arrived()
        company.users["ann"]["accountEnabled"] = True
        company.write()
        await one.provision("ann")
    assert server.user(ANN)["active"] is True
    assert done(await company.cycle()) == {}


async def test_many_are_asked_for_beside_an_initial_cycle_and_everybody_has_one_account(
    company: Company, server: ScimServer
) -> None:
    names = [f"p{n}" for n in range(120)]
    company.people(*names)
    server.script.on("POST", "/Users", then=Delay(0.005), times=FOR_EVER)
    async with both(company) as house, anyio.create_task_group() as tasks:
        one = Both(replace(house, clock=company.clock))
        tasks.start_soon(one.cycle)
        for start in range(0, 120, 15):
            tasks.start_soon(one.provision, *names[start : start + 5])
    assert len(server.users) == 120
    assert sorted(user["userName"] for user in server.users.values()) == sorted(f"{one}@example.com" for one in names)
    assert all(result.exit_code == 0 for result in one.results)
    assert done(await company.cycle()) == {}


async def test_a_list_that_was_made_on_demand_does_not_hide_accounts_from_the_cycle(
    company: Company, server: ScimServer
) -> None:
    names = [f"p{n}" for n in range(20)]
    company.people(*names)
    for name in ("ann", *names):
        server.put("user", userName=f"{name}@example.com", active=True)
    server.quirks = Quirks(filter_refused=400)
    held = Hanging(server, "GET", "/Users", seconds=1.0)
    async with both(company) as house, anyio.create_task_group() as tasks:
        one = Both(replace(house, clock=company.clock))
        tasks.start_soon(one.cycle)
        await held.arrived()
        company.person("ann")
        company.write()
        await one.provision("ann")
    assert done(one.reports[0]) == {"adopt": 20}
    assert server.sent("POST") == []


async def test_who_names_a_manager_that_was_deleted_beside_a_cycle_names_her_next_account(
    company: Company, server: ScimServer
) -> None:
    company.attributes += MANAGER
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n'
    company.people("boss", "zoe")
    company.person("ann", manager="boss")
    await company.cycle()
    company.users["zoe"]["jobTitle"] = "Chief"
    held = Hanging(server, "PATCH", "/Users", body="Chief", seconds=0.5)
    async with both(company) as house, anyio.create_task_group() as tasks:
        one = Both(replace(house, clock=company.clock))
        tasks.start_soon(one.cycle)
        await held.arrived()
        boss = company.users.pop("boss")
        company.write()
        await one.provision("boss")
    assert len(server.users) == 2
    company.users["boss"] = boss
    assert done(await company.cycle()) == {"create": 1, "update": 1}
    assert manager(server, "ann") == id_of(server, "boss")


class FullStore(SqlStore):
    """A state that takes nothing of what was found out."""

    async def commit(self, job_id: int, epoch: int, batch: Batch) -> Sequence[tuple[Kind, SourceId]]:
        await anyio.lowlevel.checkpoint()
        raise StateError("state.db: the disk is full")


async def test_a_full_disk_is_one_sentence_and_no_group_of_errors(company: Company, server: ScimServer) -> None:
    company.people("ann")
    loaded = config.load(company.write())
    store = await FullStore.open(loaded.state_url, write=True, clock_now=company.clock.now())
    house = wiring.House(loaded, store, company.clock, NoLuck(), Lanes())
    try:
        async with house.world("app") as world:
            with pytest.raises(StateError, match="the disk is full"):
                await provision(house.plan("app"), world, ["ann"])
    finally:
        await store.close()
