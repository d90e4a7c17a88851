"""The provisioning log of whole cycles: when there is a record, its reason, who asked, how long it is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from reconciler import config, wiring
from reconciler.core.summary import provisioning_summary
from reconciler.runtime.cycle import run_cycle
from tests.cycles.company import Company, done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer

DAY = 86400.0
SALES = '[jobs.app.users.filter]\nattribute = "department"\noperator = "EQUALS"\nvalue = "Sales"\n'


async def codes(company: Company) -> list[tuple[str, str]]:
    return [(row["source_id"], row["error_code"]) for row in await company.log()]


async def test_a_skip_is_logged_when_the_verdict_changes_and_counted_else(company: Company) -> None:
    company.tables = SALES
    company.person("ann", department="IT")
    assert (await company.cycle()).counts["skip"] == 1
    assert await codes(company) == [("ann", "FilteredOut")]
    for report in [await company.cycle(full=True) for _ in range(3)]:
        assert report.counts["skip"] == 1
    company.users["ann"]["jobTitle"] = "Manager"
    await company.cycle()
    assert await codes(company) == [("ann", "FilteredOut")], "the verdict is the same"
    company.users["ann"]["department"] = "Sales"
    assert done(await company.cycle()) == {"create": 1}
    company.users["ann"]["department"] = "IT"
    assert done(await company.cycle()) == {"disable": 1}
    assert [(row["operation"], row["reason"]) for row in await company.log()] == [
        ("leave", "filter: department EQUALS Sales: was IT; it has no account"),
        ("create", "in scope through scope all; no account matches"),
        ("disable", "filter: department EQUALS Sales: was IT"),
    ]


@pytest.mark.parametrize(
    ("job", "tables", "attributes", "code", "named"),
    [
        ('scope = "all"', SALES, {"department": "IT"}, "FilteredOut", "department EQUALS Sales: was IT"),
        ('scope = "assigned"\nassigned = [{ user = "eve" }]', "", {}, "NotEffectivelyEntitled", "not assigned"),
        (
            'scope = "roles"\nroles = ["boss"]',
            '[roles.boss]\nwhen = { attribute = "jobTitle", operator = "EQUALS", value = "Boss" }\n',
            {},
            "HasNoRole",
            "role boss: jobTitle EQUALS Boss: was Engineer",
        ),
        ('scope = "all"', "", {"accountEnabled": False}, "NotActive", "accountEnabled was False"),
        ('scope = "all"', "", {"userPrincipalName": ""}, "ImportSkipped", "no matching attribute has a value"),
        ('scope = "all"', "", {"accountEnabled": None}, "Unknown", "accountEnabled is null"),
    ],
)
async def test_each_cause_has_its_reason_and_names_what_decided(
    company: Company, job: str, tables: str, attributes: dict[str, Any], code: str, named: str
) -> None:
    company.job, company.tables = job, tables
    company.person("ann", **attributes)
    await company.cycle()
    [row] = await company.log()
    assert row["error_code"] == code
    assert named in row["reason"]
    told = provisioning_summary(row)["provisioningStatusInfo"]["errorInformation"]
    assert (told["errorCode"], told["additionalDetails"]) == (code, f"docs/reasons/{code}.md")
    assert told["recommendedAction"]


async def test_a_mapping_that_fails_is_named_with_its_error(company: Company) -> None:
    dated = 'FormatDateTime([birthday], , \\"yyyy-MM-dd\\", \\"yyyy\\")'
    company.attributes += f'{{ to = "nickName", expression = "{dated}" }},'
    company.person("ann", birthday="never")
    await company.cycle()
    [row] = await company.log()
    assert (row["error_code"], row["reason"].partition(":")[0]) == ("ExpressionFailed", "nickName")


async def test_the_scope_step_has_the_single_answers_of_entra(company: Company) -> None:
    company.tables = SALES
    company.person("ann", department="Sales")
    company.person("bob", department="IT")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    await company.cycle()
    said = {}
    for row in await company.log():
        steps = provisioning_summary(row)["provisioningSteps"]
        [scoping] = [step for step in steps if step["provisioningStepType"] == "scoping"]
        said[row["source_id"], row["operation"]] = scoping["details"]
    assert said["ann", "create"]["IsActive"] == said["ann", "create"]["Assigned"] == "True"
    assert said["ann", "disable"]["IsActive"] == "False"
    skipped = said["bob", "leave"]
    assert (skipped["SkipReason"], skipped["IsInProvisioningScopeDisplayName"]) == ("FilteredOut", "False")
    assert orjson.loads(skipped["ScopeEvaluationResult"]) == {"department EQUALS Sales: was IT": False}


async def test_a_value_that_the_target_does_not_keep_is_a_warning_with_a_reason(
    company: Company, server: ScimServer
) -> None:
    company.people("ann")
    await company.cycle()
    kept = server.user("ann@example.com")
    company.users["ann"]["jobTitle"] = "Manager"
    server.script.on("PATCH", "/Users", then=Status(200, body={**kept}), times=FOR_EVER)
    await company.cycle()
    row = (await company.log())[-1]
    assert (row["status"], row["error_code"]) == ("warning", "ValueNotKept")


async def test_who_asked_for_a_cycle_is_in_its_records(company: Company) -> None:
    company.people("ann")
    loaded = config.load(company.write())
    async with wiring.open_house(loaded, write=True) as opened:
        house = replace(opened, clock=company.clock)
        async with house.world("app") as world:
            await run_cycle(house.plan("app"), world, asked_by="ann (uid 1000)")
    company.users["ann"]["jobTitle"] = "Manager"
    await company.cycle()
    asked, own = [provisioning_summary(row)["initiatedBy"] for row in await company.log()]
    assert (asked["displayName"], asked["initiatorType"]) == ("ann (uid 1000)", "user")
    assert (own["displayName"], own["initiatorType"]) == ("reconciler", "system")


async def test_records_are_kept_for_the_retention_and_the_accounts_beyond_it(
    company: Company, server: ScimServer
) -> None:
    company.tables = '[log]\nretention = "7d"\n'
    company.people("ann", "bob")
    await company.cycle()
    company.clock.turn(5 * DAY)
    company.users["ann"]["jobTitle"] = "Manager"
    await company.cycle()
    assert len(await company.log()) == 3
    company.clock.turn(3 * DAY)
    await company.cycle()
    assert [(row["source_id"], row["operation"]) for row in await company.log()] == [("ann", "update")]
    company.clock.turn(30 * DAY)
    assert done(await company.cycle()) == {}
    assert await company.log() == []
    server.clear_requests()
    company.users["bob"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"disable": 1}


async def test_never_keeps_everything(company: Company) -> None:
    company.tables = '[log]\nretention = "never"\n'
    company.people("ann")
    await company.cycle()
    company.clock.turn(900 * DAY)
    await company.cycle()
    assert len(await company.log()) == 1
