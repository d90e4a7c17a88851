"""`reconciler cycle` and `reconciler plan`, as they are typed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from select import select
from typing import Any

import orjson
import pytest

from tests.commands.shell import DEADLINE_SECONDS, Shell
from tests.cycles.company import GROUPS, Company
from tests.servers.faults import FOR_EVER, Status, Unauthorized
from tests.servers.scim import ScimServer

SHAPE = {
    "job": str,
    "cycle_id": str,
    "kind": str,
    "started_at": str,
    "duration_seconds": float,
    "state": str,
    "read": {"users": int, "groups": int, "complete": bool},
    "counts": dict.fromkeys(
        (
            *("create", "adopt", "update", "enable", "disable", "delete"),
            *("members_added", "members_removed", "skip", "failure", "held"),
        ),
        int,
    ),
    "requests": dict.fromkeys(("GET", "POST", "PATCH", "PUT", "DELETE"), int),
    "failures": list,
}


def shape_of(value: Any, like: Any) -> Any:
    """Return the types of a value, where `like` has some; its own further keys are left out."""
    if isinstance(like, dict):
        return {key: shape_of(value[key], each) for key, each in like.items()}
    return type(value)


async def test_a_cycle_prints_one_object_and_nothing_else(company: Company, shell: Shell, server: ScimServer) -> None:
    ran = await shell("cycle", "app", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("\n") == 1
    report = ran.json()
    assert shape_of(report, SHAPE) == SHAPE
    assert (report["job"], report["kind"], report["state"]) == ("app", "initial", "active")
    assert report["read"] == {"users": 3, "groups": 0, "complete": True}
    assert report["counts"]["create"] == report["requests"]["POST"] == len(server.users) == 3
    server.clear_requests()
    again = (await shell("cycle", "app", "--json")).json()
    assert (again["kind"], set(again["requests"].values()), server.requests) == ("incremental", {0}, [])


async def test_progress_is_shown_on_a_terminal_and_stdout_stays_json(company: Company, shell: Shell) -> None:
    ours, terminal = os.openpty()
    shown = bytearray()
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, lambda: shown.extend(os.read(ours, 65536)))
    try:
        process = await shell.start("cycle", "app", "--json", stderr=terminal)
        out, _ = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    finally:
        loop.remove_reader(ours)
        shown.extend(os.read(ours, 65536) if select([ours], [], [], 0)[0] else b"")
        os.close(terminal)
        os.close(ours)
    assert process.returncode == 0
    assert orjson.loads(out)["counts"]["create"] == 3
    assert b"reading users" in shown


async def test_one_failure_among_others_is_exit_1(company: Company, shell: Shell, server: ScimServer) -> None:
    server.script.on("POST", "/Users$", body="bob@", then=Status(400), times=FOR_EVER)
    ran = await shell("cycle", "app", "--json")
    assert ran.code == 1
    report = ran.json()
    assert report["counts"]["create"] == 2
    assert [(f["id"], f["operation"], f["error_code"]) for f in report["failures"]] == [
        ("bob", "create", "UnprocessableEntity")
    ]
    assert set(report["failures"][0]) == {"id", "operation", "error_code", "reason"}


async def test_a_held_cycle_is_exit_3_also_when_something_failed(company: Company, shell: Shell) -> None:
    company.job += "\ndeletion_threshold = 1"
    await company.cycle()
    company.users = {"ann": {**company.users["ann"], "jobTitle": "Manager"}}
    company.write()
    ran = await shell("cycle", "app", "--json")
    report = ran.json()
    assert (ran.code, report["state"], report["counts"]["held"], report["counts"]["update"]) == (3, "held", 2, 1)


async def test_a_held_job_goes_on_when_its_limits_are_raised_and_they_can_be_put_back(
    company: Company, shell: Shell, server: ScimServer
) -> None:
    company.people(*(f"p{number}" for number in range(27)))
    await company.cycle()
    company.users = {"ann": company.users["ann"]}
    company.write()
    held = await shell("cycle", "app", "--json")
    assert (held.code, held.json()["counts"]["held"]) == (3, 29)
    before = (company.directory / "config.toml").read_text()
    raised = before.replace('scope = "all"', 'scope = "all"\ndeletion_share = "100%"')
    (company.directory / "config.toml").write_text(raised)
    report = (await shell("cycle", "app", "--json")).json()
    assert (report["kind"], report["state"], report["counts"]["disable"]) == ("incremental", "active", 29)
    (company.directory / "config.toml").write_text(before)
    report = (await shell("cycle", "app", "--json")).json()
    assert (report["kind"], report["state"], sum(report["requests"].values())) == ("incremental", "active", 0)
    assert [user["userName"] for user in server.users.values() if user["active"]] == ["ann@example.com"]


async def test_an_incomplete_read_is_exit_4(company: Company, shell: Shell) -> None:
    await company.cycle()
    (company.directory / "users.jsonl").write_bytes(b"")
    ran = await shell("cycle", "app", "--json")
    report = ran.json()
    assert (ran.code, report["state"], report["read"]["complete"]) == (4, "incomplete", False)
    assert report["counts"]["disable"] == report["counts"]["held"] == 0


async def test_a_target_that_refuses_us_is_exit_4(company: Company, shell: Shell, server: ScimServer) -> None:
    server.script.on("*", "", then=Unauthorized(), times=FOR_EVER)
    ran = await shell("cycle", "app", "--json")
    assert (ran.code, ran.json()["state"]) == (4, "unreachable")


async def test_a_target_that_is_not_there_ends_a_cycle_soon(company: Company, shell: Shell, server: ScimServer) -> None:
    await server.stop()
    ran = await shell("cycle", "app", "--json")
    report = ran.json()
    assert (ran.code, report["state"]) == (4, "unreachable")
    assert report["duration_seconds"] < 30


async def test_another_target_is_refused_with_exit_2(company: Company, shell: Shell, server: ScimServer) -> None:
    await company.cycle()
    async with ScimServer() as other:
        moved = (company.directory / "config.toml").read_text().replace(server.url, other.url)
        (company.directory / "config.toml").write_text(moved)
        ran = await shell("cycle", "app", "--json")
        assert (ran.code, ran.out, other.requests) == (2, "", [])
        assert "reconciler rebind app --keep-links" in ran.err


async def test_for_people_it_is_one_line_and_the_failures(company: Company, shell: Shell, server: ScimServer) -> None:
    server.script.on("POST", "/Users$", body="bob@", then=Status(400), times=FOR_EVER)
    ran = await shell("cycle", "app")
    assert ran.out.startswith("initial cycle of app: read 3 users and 0 groups in ")
    assert ran.out.endswith("did: 2 create, 1 failure; state active\n")
    assert ran.err.startswith("  failed create bob: UnprocessableEntity: ")


async def test_full_repairs_what_somebody_changed_in_the_app(
    company: Company, shell: Shell, server: ScimServer
) -> None:
    await company.cycle()
    server.user("ann@example.com")["title"] = "Pirate"
    assert (await shell("cycle", "app", "--json")).json()["counts"]["update"] == 0
    report = (await shell("cycle", "app", "--full", "--json")).json()
    assert (report["kind"], report["counts"]["update"]) == ("initial", 1)
    assert server.user("ann@example.com")["title"] == "Engineer"


# --- plan --------------------------------------------------------------------------------------------------------


async def test_a_plan_is_lines_of_operations_and_a_summary(company: Company, shell: Shell, server: ScimServer) -> None:
    company.tables = GROUPS
    company.group("team", ["ann", "bob"])
    company.write()
    ran = await shell("plan", "app", "--json")
    assert ran.code == 0
    *operations, summary = ran.lines()
    assert {(one["operation"], one.get("id"), one["kind"]) for one in operations} == {
        *(("create", name, "user") for name in ("ann", "bob", "cleo")),
        ("create", "team", "group"),
        ("members", "team", "group"),
    }
    assert all(one["why"] and "held" in one for one in operations)
    created = next(one for one in operations if one.get("id") == "ann")
    assert {"path": "userName", "old": None, "new": "ann@example.com"} in created["changes"]
    assert summary["summary"] is True
    assert shape_of(summary, SHAPE) == SHAPE
    assert summary["counts"]["create"] == 4
    assert "\nmembers  group team (team): 2 added, 0 removed\n" in (await shell("plan", "app")).out, (
        "not by its target id"
    )
    assert [seen.method for seen in server.requests if seen.method != "GET"] == []
    assert not list(company.directory.glob("state.db*")), "a plan leaves no state behind"


async def test_a_plan_names_a_group_by_its_target_id_where_the_target_goes_away_at_it(
    company: Company, shell: Shell, server: ScimServer
) -> None:
    company.tables = GROUPS + 'members = "exact"\n'
    company.group("team", ["ann", "bob"])
    await company.cycle()
    company.group("team", ["ann", "bob", "cleo"])
    company.write()
    server.script.on("GET", "/Groups/", then=Unauthorized(), times=FOR_EVER)
    ran = await shell("plan", "app")
    assert ran.code == 4
    (group,) = server.groups
    assert f"members  group {group}: 1 added, 0 removed\n" in ran.out


async def test_a_plan_changes_nothing_that_is_remembered(company: Company, shell: Shell, server: ScimServer) -> None:
    await company.cycle()
    company.users["ann"]["jobTitle"] = "Manager"
    company.write()
    server.clear_requests()
    for _ in range(2):
        (line, summary) = (await shell("plan", "app", "--json")).lines()
        assert (line["operation"], line["id"], summary["counts"]["update"]) == ("update", "ann", 1)
        assert line["changes"] == [{"path": "title", "old": "Engineer", "new": "Manager"}]
    assert server.sent("PATCH") == []
    assert (await company.cycle()).counts["update"] == 1


async def test_a_plan_shows_what_would_be_held_with_its_exit_code(company: Company, shell: Shell) -> None:
    company.job += "\ndeletion_threshold = 1"
    await company.cycle()
    company.users = {"ann": company.users["ann"]}
    company.write()
    ran = await shell("plan", "app")
    assert ran.code == 3
    assert ran.out.count("  HELD\n") == 2
    assert "disable  user bob@example.com (bob): " in ran.out
    assert "active: true → false" in ran.out
    assert "would do: 2 held; state held" in ran.out


async def test_a_plan_of_a_dead_target_is_exit_4(company: Company, shell: Shell, server: ScimServer) -> None:
    await server.stop()
    ran = await shell("plan", "app", "--json")
    assert (ran.code, ran.lines()[-1]["state"]) == (4, "unreachable")


# --- what is typed wrongly ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["cycle", "plan", "test", "log", "links", "orphans", "forget --yes"])
async def test_an_unknown_job_is_exit_2_with_the_nearest_name(command: str, company: Company, shell: Shell) -> None:
    await company.cycle()
    name, *options = command.split()
    ran = await shell(name, "ap", *options)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: config.toml: there is no job ap (did you mean app?)\n"


async def test_a_directory_is_no_configuration(company: Company, shell: Shell) -> None:
    ran = await shell("check", "-c", str(company.directory))
    assert ran.code == 2
    assert f"is a directory (name the file in it, {company.directory / 'config.toml'})" in ran.err


async def test_a_missing_configuration_is_exit_2_and_prints_no_json(tmp_path: Path, shell: Shell) -> None:
    ran = await shell("cycle", "app", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "config.toml: no such configuration file (name one with -c FILE or RECONCILER_CONFIG)" in ran.err
    ran = await shell("check", "--json")
    assert ran.code == 2
    assert ran.json()["problems"] == [
        {
            "where": "config.toml",
            "problem": "no such configuration file",
            "hint": "name one with -c FILE or RECONCILER_CONFIG",
        }
    ]
