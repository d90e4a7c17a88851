"""`reconciler log`: what was done to whom, and why, by every filter."""

from __future__ import annotations

from typing import Any

import pytest

from tests.commands.shell import Shell
from tests.cycles.company import Company
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer


@pytest.fixture
async def told(company: Company, server: ScimServer) -> Company:
    """Two cycles: all three are created but Cleo, who is refused; then Ann has a new title and Bob is inactive."""
    server.script.on("POST", "/Users$", body="cleo@", then=Status(400), times=FOR_EVER)
    await company.cycle()
    company.users["ann"]["jobTitle"] = "Manager"
    company.users["bob"]["accountEnabled"] = False
    await company.cycle()
    return company


def short(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["sourceIdentity"]["id"], row["operation"], row["provisioningStatusInfo"]["status"]


async def test_records_have_the_shape_of_graphs_summary(told: Company, shell: Shell, server: ScimServer) -> None:
    rows = (await shell("log", "app", "--action", "create", "--status", "success", "--json")).lines()
    assert [short(row) for row in rows] == [("ann", "create", "success"), ("bob", "create", "success")]
    row = rows[0]
    assert set(row) >= {
        *("id", "activityDateTime", "tenantId", "jobId", "cycleId", "changeId", "provisioningAction"),
        *("durationInMilliseconds", "initiatedBy", "servicePrincipal", "sourceIdentity", "targetIdentity"),
        *("sourceSystem", "targetSystem", "provisioningStatusInfo", "provisioningSteps", "modifiedProperties"),
    }
    ann = server.user("ann@example.com")["id"]
    assert row["activityDateTime"].endswith("Z")
    assert row["sourceIdentity"] == {
        "id": "ann",
        "displayName": "ann@example.com",
        "identityType": "User",
        "details": {},
    }
    assert row["targetIdentity"]["id"] == ann
    assert row["targetSystem"]["displayName"] == f"scim {server.url}"
    assert [step["provisioningStepType"] for step in row["provisioningSteps"]] == [
        *("import", "scoping", "matching", "export")
    ]
    assert [step["name"] for step in row["provisioningSteps"]][-1] == "EntryExportAdd"
    properties = {each["displayName"]: (each["oldValue"], each["newValue"]) for each in row["modifiedProperties"]}
    assert properties["userName"] == (None, "ann@example.com")


async def test_a_failure_says_its_code_and_reason(told: Company, shell: Shell) -> None:
    rows = (await shell("log", "--status", "Failure", "--json")).lines()
    assert rows
    assert {short(row)[:2] for row in rows} == {("cleo", "create")}
    info = rows[0]["provisioningStatusInfo"]
    assert info["errorInformation"]["errorCode"] == "UnprocessableEntity"
    assert info["errorInformation"]["errorCategory"] == "failure"
    assert info["errorInformation"]["reason"] == rows[0]["statusReason"] != ""


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("--user", "ann"), {("ann", "create", "success"), ("ann", "update", "success")}),
        (("--user", "ann@ex"), {("ann", "create", "success"), ("ann", "update", "success")}),
        (("--user", "nobody"), set()),
        (("--action", "update"), {("ann", "update", "success")}),
        (("--action", "Disable"), {("bob", "disable", "success")}),
        (("--action", "adopt"), set()),
        (("--action", "disable", "--user", "ann"), set()),
        (("--since", "2999-01-01"), set()),
        (("--since", "1h", "--action", "disable"), {("bob", "disable", "success")}),
    ],
)
async def test_filters(
    filters: tuple[str, ...], expected: set[tuple[str, str, str]], told: Company, shell: Shell
) -> None:
    ran = await shell("log", "app", "--json", *filters)
    assert ran.code == 0
    assert {short(row) for row in ran.lines()} == expected


async def test_limit_keeps_the_newest_in_order(told: Company, shell: Shell) -> None:
    everything = (await shell("log", "app", "--json")).lines()
    newest = (await shell("log", "app", "--limit", "2", "--json")).lines()
    assert newest == everything[-2:]


async def test_adoptions_are_found_among_the_updates(company: Company, shell: Shell, server: ScimServer) -> None:
    server.put("user", userName="ann@example.com", active=True)
    await company.cycle()
    company.users["bob"]["jobTitle"] = "Manager"
    await company.cycle()
    assert [short(row)[:2] for row in (await shell("log", "--action", "adopt", "--limit", "5", "--json")).lines()] == [
        ("ann", "adopt")
    ]
    assert [short(row)[:2] for row in (await shell("log", "--action", "update", "--json")).lines()] == [
        ("ann", "adopt"),
        ("bob", "update"),
    ]


async def test_by_target_id_and_for_people(told: Company, shell: Shell, server: ScimServer) -> None:
    ran = await shell("log", "app", "--user", server.user("ann@example.com")["id"])
    created, updated = [line for line in ran.out.splitlines() if not line.startswith("      ")]
    assert " app success create   user ann@example.com (ann): " in created
    assert " app success update   user ann@example.com (ann): " in updated
    assert ran.out.endswith('      title: "Engineer" → "Manager"\n')


NAME = "eve\x1b[2J@example.com\n2026-11-21T08:00:00+00:00 app success delete user forged\u202e\x9b"
SPELLED = r"eve\x1b[2J@example.com\n2026-11-21T08:00:00+00:00 app success delete user forged\u202e\x9b"


@pytest.mark.parametrize(
    "words",
    ["plan app", "provision app eve --dry-run", "cycle app", "log app", "links app", "orphans app", "overdue app"],
)
async def test_a_name_begins_no_line_and_steers_no_terminal(
    words: str, company: Company, shell: Shell, server: ScimServer
) -> None:
    company.person("eve", userPrincipalName=NAME)
    if words in ("log app", "links app"):
        await company.cycle()
    elif words == "orphans app":
        company.write()
        server.put("user", userName=NAME)
    elif words == "overdue app":
        await company.cycle()
        server.script.on("PATCH", "/Users/", then=Status(400), times=FOR_EVER)
        company.users.pop("eve")
        await company.cycle()
    else:
        company.write()
    ran = await shell(*words.split())
    said = ran.out + ran.err
    assert not {"\x1b", "\x9b", "\u202e"} & set(said)
    assert not any(line.startswith("2026-11-21T08:00:00") for line in said.splitlines())
    assert (SPELLED in said) == (words != "cycle app")


async def test_of_whom_nothing_is_known_is_said_to_people(told: Company, shell: Shell) -> None:
    ran = await shell("log", "app", "--user", "zoe")
    assert (ran.code, ran.out, ran.err) == (0, "", "the log has no such record\n")
    ran = await shell("log", "app", "--user", "zoe", "--json")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


async def test_since_must_be_a_moment(told: Company, shell: Shell) -> None:
    ran = await shell("log", "--since", "0001-01-01")
    assert (ran.code, "--since 0001-01-01: neither a moment" in ran.err) == (2, True)
    ran = await shell("log", "--since", "yesterday")
    assert (ran.code, ran.out) == (2, "")
    assert "--since yesterday: neither a moment" in ran.err


async def test_a_state_that_is_not_there_yet(company: Company, shell: Shell) -> None:
    ran = await shell("log")
    assert (ran.code, ran.out) == (2, "")
    assert "state.db" in ran.err


async def test_a_job_that_has_left_the_configuration_keeps_its_log(told: Company, shell: Shell) -> None:
    path = told.directory / "config.toml"
    path.write_text(path.read_text().replace("[jobs.app", "[jobs.other"))
    assert (await shell("log", "app", "--action", "disable", "--json")).lines()
