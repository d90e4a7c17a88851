"""`reconciler provision`: on a terminal, as JSON, its exit codes, with the daemon and without it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import orjson
import pytest

from tests.commands.shell import Shell
from tests.cycles.company import Company
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer

ANN = "ann@example.com"


@pytest.fixture
def company(tmp_path: Path, server: ScimServer) -> Company:
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    company.write()
    return company


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def test_the_five_steps_are_shown_with_their_values(company: Company, shell: Shell, server: ScimServer) -> None:
    ran = await shell("provision", "app", ANN)
    assert (ran.code, ran.err) == (0, "")
    for text in (
        "ann@example.com (user ann): Success",
        "1 ✓ Test the connection",
        "2 ✓ Import",
        'jobTitle               "Engineer"',
        "3 ✓ Determine the scope",
        "✓ Scope all",
        "4 ✓ Match",
        'userName = "ann@example.com" nobody',
        "5 ✓ Perform the action",
        'title                  nothing → "Engineer"',
        "app: 1 success in",
    ):
        assert text in ran.out, ran.out
    assert list(server.users) == [server.user(ANN)["id"]]


async def test_json_is_graphs_answer_with_the_steps_and_the_log(company: Company, shell: Shell) -> None:
    answer = (await shell("provision", "app", "ann", "--json")).json()
    (result,) = answer["results"]
    assert orjson.loads(result["key"])["result"] == "Success"
    assert orjson.loads(result["value"]) == result["log"] == (await shell("log", "app", "--json")).lines()
    assert [step["number"] for step in result["steps"]] == [1, 2, 3, 4, 5]
    assert (answer["exit_code"], answer["dry_run"], answer["requests"]["POST"]) == (0, False, 1)


async def test_a_dry_run_only_asks(company: Company, shell: Shell, server: ScimServer) -> None:
    ran = await shell("provision", "app", "ann", "--dry-run")
    assert ran.code == 0
    assert "dry run, nothing was changed" in ran.out
    assert {request.method for request in server.requests} == {"GET"}
    assert not (company.directory / "state.db").exists()


async def test_an_unknown_name_exits_2_with_the_nearest(company: Company, shell: Shell, server: ScimServer) -> None:
    ran = await shell("provision", "app", "anne@example.com", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "no user or group called anne@example.com; did you mean ann@example.com" in ran.err
    assert (await shell("provision", "ap", "ann")).code == 2
    assert server.users == {}


async def test_a_name_of_several_exits_2_and_lists_them(company: Company, shell: Shell) -> None:
    company.person("cleo", displayName="Ann")
    company.write()
    ran = await shell("provision", "app", "ann", "Ann")
    assert ran.code == 2
    assert "user ann (Ann, by displayName), user cleo (Ann, by displayName); name one by its source id" in ran.err


@pytest.mark.parametrize(("status", "code"), [(400, 1), (401, 4)])
async def test_the_exit_code_says_what_stood_against_it(
    company: Company, shell: Shell, server: ScimServer, status: int, code: int
) -> None:
    method = "POST" if status == 400 else "*"
    server.script.on(method, "", then=Status(status), times=FOR_EVER)
    ran = await shell("provision", "app", "ann")
    assert ran.code == code
    assert "✗" in ran.out


async def test_with_the_daemon_it_goes_through_the_socket(company: Company, shell: Shell, server: ScimServer) -> None:
    company.job = 'scope = "all"\nenabled = false'
    path = company.write()
    path.write_text(path.read_text() + '\n[control]\nsocket = "control.sock"\n')
    daemon = await shell.start("run")
    assert daemon.stdout is not None and daemon.stderr is not None
    try:
        while b"control.listening" not in (line := await asyncio.wait_for(daemon.stderr.readline(), 60)):
            assert line, "the daemon ended"
        answer = await shell("provision", "app", "ann", "--json")
        assert (answer.code, answer.err) == (0, "")
        assert answer.json()["results"][0]["result"] == "Success"
        assert list(server.users) == [server.user(ANN)["id"]]
        dry = await shell("provision", "app", "bob", "--dry-run", "--json")
        assert (dry.code, dry.json()["dry_run"], len(server.users)) == (0, True, 1)
        unknown = await shell("provision", "app", "anne@example.com")
        assert (unknown.code, "did you mean ann@example.com" in unknown.err) == (2, True)
    finally:
        daemon.send_signal(signal.SIGTERM)
        await daemon.communicate()
