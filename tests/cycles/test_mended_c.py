"""Mended faults of ownership and cost: accounts pass to whom they belong, and a quiet cycle stays quiet."""

from __future__ import annotations

from dataclasses import replace

import orjson

from reconciler import config, wiring
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.report import CycleReport
from tests.cycles.company import ATTRIBUTES, Company, done
from tests.servers.scim import ScimServer

ANN = "ann@example.com"


async def cycle_of(company: Company, job: str) -> CycleReport:
    loaded = config.load(company.write())
    async with wiring.open_house(loaded, write=True) as opened:
        house = replace(opened, clock=company.clock, dice=company._dice)
        async with house.world(job) as world:
            return await run_cycle(house.plan(job), world)


def second_job(rules: str, *, source: str = "staff") -> str:
    return f"""
[jobs.other]
source = "{source}"
target = "app"
{rules}
[jobs.other.users]
attributes = [
{ATTRIBUTES}
]
"""


CONTRACTORS = """
[sources.contractors]
type = "file"
users = "contractors.jsonl"
key = "id"
active = "accountEnabled"
"""


def contract(company: Company, id_: str, **attributes: object) -> None:
    row = {"id": id_, "userPrincipalName": ANN, "displayName": "Someone else", "jobTitle": "C", "accountEnabled": True}
    (company.directory / "contractors.jsonl").write_bytes(orjson.dumps({**row, **attributes}))


async def test_the_same_id_in_another_source_is_another_human(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    await company.cycle()
    company.tables = CONTRACTORS + second_job('scope = "all"', source="contractors")
    contract(company, "ann")
    report = await cycle_of(company, "other")
    assert [failure["error_code"] for failure in report.failures] == ["DuplicateSourceEntries"]
    assert (done(report), server.user(ANN)["active"]) == ({"failure": 1}, False)
