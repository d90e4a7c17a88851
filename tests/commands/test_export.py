"""`reconciler log --export` and `reconciler statistics`: files that a spreadsheet opens safely, figures that stay."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from reconciler.commands.exporting import LOGS, MODIFIED, STEPS, export_csv, export_lines, harmless
from reconciler.errors import ReconcilerError
from tests.commands.shell import Shell
from tests.cycles.company import Company
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer


@pytest.fixture
async def told(company: Company, server: ScimServer) -> Company:
    """Two cycles: Ann's name looks like a formula, Cleo is refused, Bob has left in the second."""
    server.script.on("POST", "/Users$", body="cleo@", then=Status(400), times=FOR_EVER)
    company.users["ann"]["displayName"] = '=HYPERLINK("https://evil.example","x")'
    await company.cycle()
    company.users["bob"]["accountEnabled"] = False
    await company.cycle()
    return company


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


async def test_csv_is_three_files_that_are_joined_by_the_change(told: Company, shell: Shell) -> None:
    ran = await shell("log", "app", "--export", "out/today")
    assert (ran.code, ran.out) == (0, "")
    directory = told.directory / "out" / "today"
    assert sorted(path.name for path in directory.iterdir()) == sorted((LOGS, STEPS, MODIFIED))
    logs, steps, modified = (table(directory / name) for name in (LOGS, STEPS, MODIFIED))
    printed = (await shell("log", "app", "--json")).lines()
    assert [row["changeId"] for row in logs] == [one["changeId"] for one in printed]
    assert len(steps) == sum(len(one["provisioningSteps"]) for one in printed)
    assert len(modified) == sum(len(one["modifiedProperties"]) for one in printed)
    [cleo] = [row for row in logs if row["sourceIdentityId"] == "cleo"][:1]
    assert (cleo["status"], cleo["errorCode"], cleo["errorCategory"]) == ("failure", "UnprocessableEntity", "failure")
    assert cleo["recommendedAction"]
    [ann] = [row["changeId"] for row in logs if row["sourceIdentityId"] == "ann"]
    values = {row["displayName"]: row["newValue"] for row in modified if row["changeId"] == ann}
    assert values["displayName"].startswith("'=HYPERLINK(")
    assert values["active"] == "true"
    assert all(path.stat().st_mode & 0o077 == 0 for path in directory.iterdir())


async def test_json_lines_are_what_log_prints_and_filters_hold(told: Company, shell: Shell) -> None:
    ran = await shell("log", "app", "--status", "failure", "--export", "failures.jsonl")
    assert ran.code == 0
    lines = (told.directory / "failures.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line) for line in lines] == (
        await shell("log", "app", "--status", "failure", "--json")
    ).lines()
    assert lines
    assert (await shell("log", "--export", "all", "--format", "jsonl")).code == 0
    assert len((told.directory / "all").read_bytes().splitlines()) > len(lines)


async def test_an_export_that_fails_leaves_what_was_there(told: Company, shell: Shell) -> None:
    (told.directory / "taken").write_text("mine")
    ran = await shell("log", "app", "--export", "taken/below")
    assert ran.code == 2
    assert "cannot be written" in ran.err
    assert (told.directory / "taken").read_text() == "mine"
    assert (await shell("log", "--format", "csv")).code == 2


def files(directory: Path) -> list[tuple[str, str]]:
    return [(path.name, path.read_text()) for path in directory.iterdir()]


async def broken() -> AsyncIterator[dict[str, Any]]:
    raise ReconcilerError("the state has gone")
    yield {}


async def test_nothing_is_replaced_by_half_an_export(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("yesterday")
    with pytest.raises(ReconcilerError):
        await export_lines(broken(), tmp_path / "log.jsonl")
    assert files(tmp_path) == [("log.jsonl", "yesterday")]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30 1", "'+49 30 1"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("'=1", "'=1"),
        ("a=1", "a=1"),
        (-5, "'-5"),
        (None, ""),
        (True, "true"),
        ([{"value": "a"}], '[{"value":"a"}]'),
    ],
)
def test_no_cell_is_a_formula(value: Any, cell: str) -> None:
    assert harmless(value) == cell


async def many(count: int) -> AsyncIterator[dict[str, Any]]:
    for n in range(count):
        yield {
            **{"change_id": str(n), "cycle_id": "c", "job": "app", "source": "s", "target": "t", "at": float(n)},
            **{"kind": "user", "source_id": f"u{n}", "target_id": f"t{n}", "name": f"user {n}", "initiated_by": ""},
            **{"action": "create", "operation": "create", "status": "success", "error_code": "", "reason": "why"},
            **{"steps": [{"type": "export", "status": "success", "description": "create", "details": {}}]},
            **{"modified": [{"path": "title", "old": None, "new": "x" * 100}], "took_ms": 1, "approved": False},
        }


async def test_a_long_log_is_exported_in_flat_memory(tmp_path: Path) -> None:
    peaks = []
    for count in (500, 10_000):
        tracemalloc.start()
        assert await export_csv(many(count), tmp_path / str(count)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 500_000


async def test_statistics_to_date(told: Company, shell: Shell, server: ScimServer) -> None:
    found = (await shell("statistics", "app", "--json")).json()
    assert found["managed"] == {"users": 1, "groups": 0}
    assert found["provisioned_to_date"] == {"users": 2, "groups": 0}
    assert found["done"] == {"create": 2, "disable": 1}
    assert found["failed"]["create"] >= 1
    assert (found["last_cycle"]["kind"], found["last_cycle"]["state"]) == ("incremental", "active")
    assert found["steady_state_first_achieved"] is None
    server.script.clear()
    for _ in range(2):
        told.clock.turn(86400.0)
        await told.cycle()
    later = (await shell("statistics", "app", "--json")).json()
    assert later["provisioned_to_date"] == {"users": 3, "groups": 0}
    assert later["steady_state_first_achieved"] == later["last_cycle"]["ended_at"]
    ran = await shell("statistics", "app")
    assert "provisioned to date: 3 users, 0 groups" in ran.out
    assert "last cycle: incremental, active" in ran.out


async def test_statistics_of_a_job_that_is_not_there(told: Company, shell: Shell) -> None:
    ran = await shell("statistics", "ap")
    assert ran.code == 2
    assert "app" in ran.err
