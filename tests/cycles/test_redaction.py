"""What Redact hides, in whole cycles: whatever happens, the value is at the target and nowhere in the log."""

from __future__ import annotations

import orjson
import pytest

from reconciler import config, wiring
from reconciler.core.summary import provisioning_summary
from reconciler.runtime.ondemand import provision
from reconciler.runtime.provisioned import Provisioned
from tests.cycles.company import Company, done
from tests.servers.faults import FOR_EVER, DropAfterCommit, Status
from tests.servers.scim import ScimServer

OLD, NEW = "SECRET-4711", "SECRET-4712"
FILTER = '[jobs.app.users.filter]\nattribute = "badge"\noperator = "NOT EQUALS"\nvalue = "none"\n'


@pytest.fixture
def badged(company: Company) -> Company:
    company.attributes += '{ to = "nickName", expression = "IIF([badge]=\\"open\\", [badge], Redact([badge]))" },'
    company.tables = FILTER
    company.person("ann", badge=OLD)
    company.person("bob", badge="open")
    return company


async def everything_logged(company: Company) -> str:
    rows = await company.log()
    return orjson.dumps([rows, [provisioning_summary(row) for row in rows]]).decode()


async def test_a_created_and_a_changed_value_are_not_shown(badged: Company, server: ScimServer) -> None:
    assert done(await badged.cycle()) == {"create": 2}
    assert server.user("ann@example.com")["nickName"] == OLD
    badged.users["ann"]["badge"] = NEW
    assert done(await badged.cycle()) == {"update": 1}
    badged.users["ann"]["badge"] = "open"
    assert done(await badged.cycle()) == {"update": 1}
    assert server.user("ann@example.com")["nickName"] == "open"
    logged = await everything_logged(badged)
    assert "SECRET" not in logged
    assert logged.count("[Redact]") >= 6


async def test_a_refusal_that_repeats_the_value_is_told_without_it(badged: Company, server: ScimServer) -> None:
    said = {"status": "400", "detail": f"badge {OLD} is not known", "schemas": []}
    server.script.on("POST", "/Users$", body="ann@", then=Status(400, body=said), times=FOR_EVER)
    report = await badged.cycle()
    [failure] = report.failures
    assert "badge [Redact] is not known" in failure["reason"]
    assert "SECRET" not in await everything_logged(badged)
    assert "SECRET" not in orjson.dumps(report.as_dict()).decode()


async def test_what_a_look_shows_after_a_lost_answer_is_not_shown(badged: Company, server: ScimServer) -> None:
    await badged.cycle()
    badged.users["ann"]["badge"] = NEW
    server.script.on("PATCH", "/Users", then=DropAfterCommit(), times=FOR_EVER)
    await badged.cycle()
    server.script.clear()
    await badged.cycle()
    assert server.user("ann@example.com")["nickName"] == NEW
    assert "SECRET" not in await everything_logged(badged)


async def test_a_filter_that_reads_it_names_its_clause_alone(badged: Company) -> None:
    await badged.cycle()
    badged.tables = badged.tables.replace("none", OLD[:-1]).replace("NOT EQUALS", "EQUALS")
    await badged.cycle()
    [row] = await badged.log(user="ann", action="disable")
    assert row["reason"] == "filter: badge EQUALS SECRET-471: was [Redact]"
    assert OLD not in await everything_logged(badged)


async def test_on_demand_shows_no_value_of_it(badged: Company) -> None:
    loaded = config.load(badged.write())
    async with wiring.open_house(loaded, write=True) as house, house.world("app") as world:
        came = await provision(house.plan("app"), world, ["ann@example.com", "bob@example.com"])
    assert isinstance(came, Provisioned)
    shown = orjson.dumps(came.as_dict()).decode()
    assert "[Redact]" in shown
    assert "SECRET" not in shown
