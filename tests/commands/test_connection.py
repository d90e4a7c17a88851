"""`reconciler test`: what an administrator would mend in different places is told apart."""

from __future__ import annotations

import asyncio
import csv
import os
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import web

from tests.commands.shell import Shell
from tests.cycles.company import Company
from tests.net.sockets import refusing
from tests.servers.faults import FOR_EVER, Status, Unauthorized
from tests.servers.scim import ScimServer


def keep(company: Company, name: str) -> None:
    """Write the users' file; the column that is called so, whatever its letters, has these."""
    people = company.users.values()
    rows = [{name if name.lower() == key.lower() else key: one[key] for key in one} for one in people]
    path = company.directory / company.users_file
    company.configure()
    if path.suffix == ".json":
        path.write_bytes(orjson.dumps(rows))
    elif path.suffix == ".jsonl":
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="," if path.suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)


@asynccontextmanager
async def answering(status: int, body: str, headers: dict[str, str]) -> AsyncIterator[str]:
    """A server that answers everything in one way, as something that is not SCIM does."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers=headers)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/scim"
    finally:
        await runner.cleanup()


def point_at(company: Company, server: ScimServer, url: str) -> None:
    path = company.directory / "config.toml"
    path.write_text(path.read_text().replace(server.url, url))


async def test_all_is_well(company: Company, shell: Shell) -> None:
    ran = await shell("test", "app")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines
    assert all(line.startswith(("ok  source ", "ok  target ")) for line in lines)
    ran = await shell("test", "app", "--json")
    found = ran.json()
    assert (found["job"], found["ok"]) == ("app", True)
    assert {"step", "ok", "text", "hint"} == {
        key for side in ("source", "target") for one in found[side] for key in one
    }


async def bad(shell: Shell, side: str = "target") -> tuple[int, str, str]:
    ran = await shell("test", "app", "--json")
    found = ran.json()
    (line,) = [one for one in found[side] if not one["ok"]]
    assert found["ok"] is False
    return ran.code, line["step"], f"{line['text']} {line['hint']}"


@pytest.mark.parametrize(
    ("fault", "step", "said"),
    [
        (Unauthorized(), "sign-in", "401"),
        (Status(403), "sign-in", "403"),
        (Status(404), "path", "/Users at its end"),
    ],
)
async def test_refusals_are_told_apart(
    fault: Status | Unauthorized, step: str, said: str, company: Company, shell: Shell, server: ScimServer
) -> None:
    server.script.on("*", "", then=fault, times=FOR_EVER)
    code, found, text = await bad(shell)
    assert (code, found) == (4, step)
    assert said in text


@pytest.mark.parametrize(
    ("status", "body", "headers", "step", "said"),
    [
        (200, "<html>Welcome</html>", {"Content-Type": "text/html"}, "scim", ""),
        (302, "", {"Location": "https://login.example.com/"}, "redirect", "302, a redirect"),
    ],
)
async def test_what_is_not_scim_is_told_apart(
    status: int,
    body: str,
    headers: dict[str, str],
    step: str,
    said: str,
    company: Company,
    shell: Shell,
    server: ScimServer,
) -> None:
    async with answering(status, body, headers) as url:
        point_at(company, server, url)
        code, found, text = await bad(shell)
    assert (code, found) == (4, step)
    assert said in text


async def test_a_port_where_nobody_listens(company: Company, shell: Shell, server: ScimServer) -> None:
    with refusing() as port:
        point_at(company, server, f"http://127.0.0.1:{port}/scim")
        code, found, text = await bad(shell)
    assert (code, found) == (4, "connection")
    assert f"127.0.0.1:{port}" in text


async def test_a_server_that_says_nothing_is_given_up_within_half_a_minute(
    company: Company, shell: Shell, server: ScimServer
) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        point_at(company, server, f"http://127.0.0.1:{listening.getsockname()[1]}/scim")
        began = loop.time()
        code, found, _ = await bad(shell)
    assert (code, found) == (4, "connection")
    assert loop.time() - began < 30


async def test_a_token_that_is_not_there_is_a_matter_of_sign_in(company: Company, shell: Shell) -> None:
    path = company.directory / "config.toml"
    path.write_text(path.read_text().replace('{ file = "token" }', '{ env = "APP_TOKEN" }'))
    ran = await shell("test", "app")
    assert ran.code == 4
    assert "BAD target sign-in: " in ran.out
    assert "the secret cannot be read" in ran.out
    assert "APP_TOKEN is not set" in ran.out
    assert "the target answers" not in ran.out, "nobody was asked"
    assert "refused the token" not in ran.out
    shell.environment["APP_TOKEN"] = "guessed-wrongly"
    code, found, text = await bad(shell)
    assert (code, found) == (4, "sign-in")
    assert "guessed-wrongly" not in text


@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "jsonl"])
async def test_a_column_that_the_job_reads_and_the_file_lacks_is_told_as_the_reading_tells_it(
    ending: str, company: Company, shell: Shell
) -> None:
    company.job += "\nrequire_test = true"
    company.tables = 'filter = { attribute = "department", operator = "EQUALS", value = "Development" }'
    company.users_file = f"users.{ending}"
    keep(company, "department")
    assert (await shell("test", "app")).code == 0
    for lost in ("department", "jobTitle", "accountEnabled"):
        keep(company, lost.upper())
        said = f"users.{ending}: lacks the column '{lost}' (there is '{lost.upper()}'); nothing of it is used"
        ran = await shell("test", "app")
        assert ran.code == 4
        assert f"BAD source users file: {company.directory}/users.{ending}: 0 users can be used. {said}" in ran.out
        ran = await shell("plan", "app", "--json")
        assert (ran.code, said in ran.out) == (4, True)
        ran = await shell("cycle", "app")
        assert ran.code == 4
        assert "the connection test failed, so the job does not start" in ran.out + ran.err


async def test_a_column_that_a_query_does_not_give_is_told(company: Company, shell: Shell) -> None:
    with sqlite3.connect(company.directory / "hr.db") as database:
        database.execute("CREATE TABLE people (id TEXT, userPrincipalName TEXT, displayName TEXT, accountEnabled INT)")
    database.close()
    query = "SELECT people.*, 'Engineer' AS {} FROM people"
    for name, wrong in (("jobTitle", []), ("title", ["users"])):
        company.source = f"""
type = "sql"
url = "sqlite:///{company.directory}/hr.db"
users = "{query.format(name)}"
active = "accountEnabled"
allow_empty = ["users"]
"""
        company.configure()
        ran = await shell("test", "app", "--json")
        assert [line["step"] for line in ran.json()["source"] if not line["ok"]] == wrong
        assert ran.code == (4 if wrong else 0)
    assert "[sources.staff] users: lacks the column 'jobTitle'" in ran.out


async def test_a_source_file_that_is_not_there(company: Company, shell: Shell) -> None:
    os.unlink(company.directory / "users.jsonl")  # noqa: PTH108  # a Path would do the same
    code, _, text = await bad(shell, "source")
    assert code == 4
    assert "users.jsonl" in text
