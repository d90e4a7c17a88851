"""Commands that speak to a running daemon: what they print, and what they exit with."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from tests.commands.shell import ROOT, Hanging, Shell
from tests.cycles.company import Company
from tests.daemon.process import Daemon
from tests.servers.faults import FOR_EVER, Delay, Status
from tests.servers.scim import ScimServer


@pytest.fixture
def spoken_to(company: Company) -> Company:
    """The company, whose daemon has a socket."""
    company.source_lines += '\n[control]\nsocket = "control.sock"\n'
    company.write()
    return company


@pytest.fixture
async def daemon(spoken_to: Company) -> AsyncIterator[Daemon]:
    async with Daemon(spoken_to.directory) as running:
        await running.event("cycle.finished", job="app")
        await running.event("job.scheduled", job="app")
        yield running
        assert await running.stop() == 0


async def test_status_shows_how_the_jobs_stand(daemon: Daemon, shell: Shell) -> None:
    ran = await shell("status")
    assert (ran.code, ran.err) == (0, "")
    first, _, job, last = ran.out.splitlines()
    assert first.startswith(f"reconciler 0.1.0, process {daemon.pid}, up for ")
    assert job in ("app: next cycle in 39 min", "app: next cycle in 40 min")
    assert last.startswith("  last cycle: active, ")
    assert last.endswith(" s: 3 create")
    shown = (await shell("status", "app", "--json")).json()
    assert shown["daemon"]["pid"] == daemon.pid
    assert [job["job"] for job in shown["jobs"]] == ["app"]
    assert shown["jobs"][0]["managed"] == 3


async def test_status_shows_everything_that_needs_a_person(
    daemon: Daemon, spoken_to: Company, server: ScimServer, shell: Shell
) -> None:
    server.script.on("POST", "/Users$", body="dan@", then=Status(400), times=FOR_EVER)
    spoken_to.people("dan")
    spoken_to.write()
    ran = await shell("trigger", "app", "--wait")
    assert ran.code == 1
    assert (await shell("pause", "app", "--reason", "the app is being moved")).code == 0
    text = (await shell("status", "app")).out
    assert "app: paused\n" in text
    assert ": the app is being moved\n" in text
    assert "  waiting after a failure: 1, the oldest failed " in text


async def test_trigger_with_wait_exits_and_prints_as_cycle_would(
    daemon: Daemon, spoken_to: Company, server: ScimServer, shell: Shell
) -> None:
    ran = await shell("trigger", "app")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "a cycle of app has begun; `reconciler status app --watch` shows it\n"
    await daemon.event("cycle.finished", job="app")

    spoken_to.people("dan")
    spoken_to.write()
    ran = await shell("trigger", "app", "--wait")
    assert ran.code == 0
    assert ran.out.startswith("incremental cycle of app: read 4 users and 0 groups in ")
    assert "; did: 1 create; state active\n" in ran.out
    lines = [line.split(" ", 1)[1] for line in ran.err.splitlines()]
    assert lines[0].startswith("app: cycle started: run 3, by ")
    assert "app: sending: 1 of 1" in [line.split(",")[0] for line in lines]
    assert lines[-1].startswith("app: cycle ended: active: 1 create")

    full = await shell("trigger", "app", "--full", "--wait", "--json")
    assert (full.code, full.err) == (0, "")
    assert (full.json()["kind"], full.json()["job"]) == ("initial", "app")

    (spoken_to.directory / "users.jsonl").write_text("{")
    ran = await shell("trigger", "app", "--wait")
    assert ran.code == 4
    assert "users.jsonl line 1" in ran.err


async def test_a_stopped_cycle_is_told_to_who_waits(spoken_to: Company, server: ScimServer, shell: Shell) -> None:
    hanging = Hanging(server, "POST", "/Users$", body="cleo@", seconds=3.0)
    async with Daemon(spoken_to.directory) as daemon:
        await hanging.arrived()
        waiting = asyncio.create_task(shell("trigger", "app", "--wait"))
        await daemon.event("control.asked", asked="trigger")
        text = (await shell("status")).out
        assert "app: running for " in text
        assert "  sending: " in text
        ran = await shell("stop", "app")
        assert (ran.code, ran.err) == (0, "")
        assert "is being stopped" in ran.out
        ended = await waiting
        assert ended.code == 3
        assert "stopped the job before its turn came" in ended.err
        finished = await daemon.event("cycle.finished")
        assert finished["state"] == "paused"
        assert (await shell("stop", "app")).out == "no cycle of app is running\n"
        assert await daemon.stop() == 0
    assert len(server.users) == 3, "what was under way was waited for"


async def test_a_configuration_that_was_refused_is_told_until_one_is_taken(spoken_to: Company, shell: Shell) -> None:
    async with Daemon(spoken_to.directory) as daemon:
        await daemon.event("cycle.finished", job="app")
        config = spoken_to.directory / "config.toml"
        sound = config.read_text()
        config.write_text(sound.replace('target = "app"', 'target = "apq"'))
        daemon.send(signal.SIGHUP)
        [problem] = (await daemon.event("config.refused"))["problems"]
        said = (await shell("status")).out
        assert f"the last reload refused the configuration; the one before is in force\n    {problem}\n" in said
        config.write_text(sound)
        daemon.send(signal.SIGHUP)
        await daemon.event("config.reloaded")
        assert "refused" not in (await shell("status")).out
        assert await daemon.stop() == 0


async def test_a_job_is_paused_through_a_restart_resumed_and_restarted(spoken_to: Company, shell: Shell) -> None:
    async with Daemon(spoken_to.directory) as daemon:
        await daemon.event("cycle.finished", job="app")
        assert (await shell("pause", "app")).out.startswith("app is paused")
        assert await daemon.stop() == 0
    async with Daemon(spoken_to.directory) as daemon:
        assert (await daemon.event("job.rests", job="app"))["paused"] is True
        shown = (await shell("status", "app", "--json")).json()["jobs"][0]
        assert (shown["state"], shown["next_due"]) == ("paused", None)
        assert (await shell("resume", "app")).out.startswith("app goes on; its next cycle is due at ")
        ran = await shell("restart", "app", "--reset", "links", "--reset", "watermark")
        assert ran.out == "app: cleared links, watermark; an initial cycle has begun\n"
        finished = await daemon.event("cycle.finished", job="app")
        assert (finished["kind"], finished["adopt"]) == ("initial", 3)
        ran = await shell("restart", "app", "--reset", "escrows", "--reset", "force-deletes")
        let_go = "no safeguard holds the disables and deletes of the next cycle"
        assert ran.out == f"app: cleared escrows; {let_go}; a cycle has begun\n"
        assert (await shell("restart", "app", "--reset", "everything")).code == 2
        assert await daemon.stop() == 0


async def test_holds_are_shown_approved_and_rejected(daemon: Daemon, spoken_to: Company, shell: Shell) -> None:
    assert (await shell("holds")).out == "nothing is held\n"
    ran = await shell("approve", "app")
    assert (ran.code, ran.err) == (2, "error: nothing of job 'app' is held\n")
    spoken_to.people(*(f"p{number}" for number in range(20)))
    spoken_to.write()
    await shell("trigger", "app", "--wait")
    for number in range(12):
        spoken_to.users[f"p{number}"]["accountEnabled"] = False
    spoken_to.write()
    assert (await shell("trigger", "app", "--wait")).code == 3
    (hold,) = (await shell("holds", "app", "--json")).lines()
    assert (hold["job"], hold["count"]) == ("app", 12)
    text = (await shell("holds")).out
    assert text.startswith(f"hold {hold['hold']} of app, 12 operations since ")
    assert "  disable  user p0@example.com (p0): " in text
    assert "app: held, next cycle in " in (await shell("status")).out
    ran = await shell("reject", "app", str(hold["hold"]))
    assert ran.out == (
        f"hold {hold['hold']} of app: 12 operations rejected; it is not proposed again while it is wanted\n"
    )


async def test_holds_are_decided_without_a_daemon_too(spoken_to: Company, server: ScimServer, shell: Shell) -> None:
    spoken_to.people(*(f"p{number}" for number in range(20)))
    spoken_to.write()
    assert (await shell("cycle", "app")).code == 0
    for number in range(12):
        spoken_to.users[f"p{number}"]["accountEnabled"] = False
    spoken_to.write()
    assert (await shell("cycle", "app")).code == 3
    (hold,) = (await shell("holds", "app", "--json")).lines()

    ran = await shell("approve", "ap")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean app?" in ran.err
    ran = await shell("reject", "app", "77")
    assert (ran.code, ran.err) == (
        2,
        f"error: job 'app' has no open hold '77' (its holds are: {hold['hold']})\n",
    )
    ran = await shell("approve", "app")
    assert (ran.code, ran.out) == (
        0,
        f"hold {hold['hold']} of app: 12 operations approved; a cycle does what is still wanted of it "
        "(`reconciler cycle app`)\n",
    )
    assert (await shell("approve", "app")).err == "error: nothing of job 'app' is held\n"
    done = (await shell("cycle", "app", "--json")).json()
    assert (done["state"], done["counts"]["disable"]) == ("active", 12)
    assert sum(not user["active"] for user in server.users.values()) == 12


async def test_a_hold_is_not_decided_beside_a_writer_that_does_not_listen(
    spoken_to: Company, server: ScimServer, shell: Shell
) -> None:
    hanging = Hanging(server, "POST", "/Users$", body="cleo@", seconds=30.0)
    cycle = await shell.start("cycle", "app")
    await hanging.arrived()
    ran = await shell("approve", "app")
    assert ran.code == 5
    assert f"process {cycle.pid} (reconciler cycle app)" in ran.err
    cycle.terminate()
    await cycle.wait()


async def test_what_the_daemon_refuses_is_exit_2_with_the_nearest_name(daemon: Daemon, shell: Shell) -> None:
    for command in ("trigger ap", "pause ap", "status ap", "holds ap", "approve ap", "trigger ap --wait"):
        ran = await shell(*command.split())
        assert (ran.code, ran.out, ran.err) == (2, "", "error: there is no job 'ap' (did you mean 'app'?)\n"), command


async def test_watch_prints_lines_where_there_is_no_terminal(daemon: Daemon, shell: Shell) -> None:
    for options, expected in (((), "cycle ended: active"), (("--json",), '"event":"cycle.ended"')):
        process = await shell.start("status", "--watch", *options)
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 30)
        await shell("trigger", "app")
        line = b""
        while expected not in line.decode():
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line
        if options:
            assert orjson.loads(line)["exit_code"] == 0
        process.terminate()
        await process.wait()


async def test_watch_ends_with_the_daemon(spoken_to: Company, shell: Shell) -> None:
    async with Daemon(spoken_to.directory) as daemon:
        await daemon.event("cycle.finished", job="app")
        process = await shell.start("status", "--watch")
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 30)
        assert await daemon.stop() == 0
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 5
    assert b"has ended; start it with" in err


# --- nobody answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["trigger app", "trigger app --wait", "pause app", "resume app", "restart app"])
async def test_without_a_daemon_verbs_exit_5_and_say_what_to_do(command: str, spoken_to: Company, shell: Shell) -> None:
    ran = await shell(*command.split())
    assert (ran.code, ran.out) == (5, "")
    assert "error: the daemon does not answer: there is no socket at control.sock" in ran.err
    assert "start it with `reconciler run`" in ran.err


async def test_without_a_daemon_status_says_what_the_state_knows(spoken_to: Company, shell: Shell) -> None:
    ran = await shell("status")
    assert (ran.code, ran.out) == (5, "")
    assert "there is no state yet" in ran.err
    await spoken_to.cycle()
    ran = await shell("status")
    assert ran.code == 5
    assert "  last cycle: active, " in ran.out
    assert "error: the daemon does not answer: " in ran.err
    shown = (await shell("status", "--json")).json()
    assert shown["daemon"] is None
    assert shown["jobs"][0]["last_cycle"]["counts"]["create"] == 3
    assert (await shell("holds")).out == "nothing is held\n"


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.0 404 Not Found\r\n\r\n{"message":"page not found"}',
        b"HTTP/1.0 200 OK\r\n\r\n<html>",
        b"HTTP/1.0 200 OK\r\n\r\n[]",
        b'HTTP/1.0 400 Bad Request\r\n\r\n"no"',
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
async def test_another_program_at_the_socket_is_told_from_a_daemon(answer: bytes, tmp_path: Path, shell: Shell) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(talk, tmp_path / "others.sock"):
        for words in ("trigger app", "health", "stop app"):
            ran = await shell(*words.split(), "--socket", "others.sock")
            assert (ran.code, ran.out) == (5, "")
            assert ran.err.startswith("error: what listens at others.sock is no reconciler daemon; name its socket in ")
            assert ran.err.count("\n") == 1


async def test_status_says_why_a_first_cycle_did_not_begin(
    spoken_to: Company, server: ScimServer, shell: Shell
) -> None:
    spoken_to.job += "\nrequire_test = true"
    spoken_to.write()
    server.token = "another"
    async with Daemon(spoken_to.directory) as daemon:
        await daemon.event("cycle.finished", state="unreachable")
        await daemon.event("job.scheduled", job="app")
        said = (await shell("status")).out
        assert "  last cycle: not begun, " in said
        assert "    the connection test failed, so the job does not start: " in said
        assert "(401)" in said
        assert await daemon.stop() == 0


async def test_status_says_what_stood_against_the_last_cycle(spoken_to: Company, shell: Shell) -> None:
    await spoken_to.cycle()
    (spoken_to.directory / spoken_to.users_file).write_text('{"id": 1\n{\n{\n{\n{\n')
    assert (await shell("cycle", "app")).code == 4
    said = (await shell("status")).out
    assert "  last cycle: incomplete, " in said
    assert "    users.jsonl line 1: is not valid JSON at character " in said
    assert "    and 2 more (--json shows them)" in said


async def test_a_daemon_that_was_killed_left_a_socket_that_nobody_listens_at(spoken_to: Company, shell: Shell) -> None:
    async with Daemon(spoken_to.directory) as daemon:
        await daemon.event("cycle.finished", job="app")
    assert (spoken_to.directory / "control.sock").exists()
    ran = await shell("stop", "app")
    assert ran.code == 5
    assert "nobody listens at control.sock" in ran.err
    async with Daemon(spoken_to.directory) as daemon:
        await daemon.event("control.listening")
        assert (await shell("status")).code == 0
        assert await daemon.stop() == 0


async def test_a_second_daemon_does_not_take_the_socket(
    daemon: Daemon, spoken_to: Company, tmp_path: Path, shell: Shell
) -> None:
    text = (tmp_path / "config.toml").read_text()
    (tmp_path / "other.toml").write_text(text.replace("state.db", "other.db"))
    ran = await shell("run", "-c", "other.toml")
    assert (ran.code, ran.out) == (2, "")
    assert "another daemon listens there" in ran.err
    assert (await shell("status")).code == 0


async def test_the_socket_can_be_named_and_then_no_configuration_is_needed(
    daemon: Daemon, tmp_path: Path, shell: Shell
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ran = await Shell(elsewhere)("status", "--socket", tmp_path / "control.sock")
    assert (ran.code, ran.err) == (0, "")
    ran = await Shell(elsewhere, RUNTIME_DIRECTORY=str(tmp_path))("status")
    assert (ran.code, ran.err) == (0, "")
    ran = await Shell(elsewhere)("status", "-c", tmp_path / "config.toml")
    assert (ran.code, ran.err) == (0, "")


async def test_a_configuration_without_a_socket_says_so(company: Company, shell: Shell) -> None:
    ran = await shell("trigger", "app")
    assert ran.code == 5
    assert "names no control socket; add [control] socket" in ran.err


async def test_they_import_next_to_nothing() -> None:
    code = (
        "import sys, reconciler.cli;"
        "from reconciler.commands import holds, oversight, verbs;"
        "heavy = {'aiohttp', 'anyio', 'sqlalchemy', 'pydantic', 'rich', 'structlog', 'asyncio', 'http'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert await _said_by(code) == b"[]\n"


async def test_a_configuration_without_a_database_is_read_without_what_speaks_to_one() -> None:
    code = (
        "import sys; from pathlib import Path; from reconciler import config;"
        "config.load(Path('config.example.toml')); print('sqlalchemy' in sys.modules)"
    )
    assert await _said_by(code) == b"False\n"


async def _said_by(code: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out


async def test_progress_is_shown_with_its_rate(spoken_to: Company, server: ScimServer, shell: Shell) -> None:
    spoken_to.people(*(f"p{number:02}" for number in range(30)))
    spoken_to.write()
    async with Daemon(spoken_to.directory) as daemon:
        await daemon.event("cycle.finished", job="app")
        server.script.on("PATCH", "/Users/", then=Delay(0.3), times=FOR_EVER)
        for user in spoken_to.users.values():
            user["jobTitle"] = "Manager"
        spoken_to.write()
        ran = await shell("trigger", "app", "--wait")
        assert ran.code == 0
        assert await daemon.stop() == 0
    assert re.search(r"app: sending: 33 of 33, [0-9.]+/s, 0 s left\n", ran.err)
