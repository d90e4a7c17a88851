"""`reconciler run`, as a service manager starts it."""

from __future__ import annotations

import signal

import orjson
import pytest

from reconciler import config, wiring
from tests.commands.shell import Hanging, Shell
from tests.cycles.company import Company
from tests.daemon.process import Daemon
from tests.net.sockets import refusing
from tests.servers.faults import FOR_EVER, Drop, Status
from tests.servers.scim import ScimServer

NAMES = ["ann@example.com", "bob@example.com", "cleo@example.com"]


def names(server: ScimServer) -> list[str]:
    return sorted(user["userName"] for user in server.users.values())


def add_job(company: Company, name: str, server: ScimServer, *, interval: str = "40m") -> None:
    """Add a second job with a target of its own."""
    path = company.directory / "config.toml"
    path.write_text(
        path.read_text()
        + f"""
[targets.{name}]
type = "scim"
url = "{server.url}"
auth = {{ type = "bearer", token = {{ file = "token" }} }}

[jobs.{name}]
source = "staff"
target = "{name}"
scope = "all"
interval = "{interval}"
[jobs.{name}.users]
attributes = [
{company.attributes}
]
"""
    )


def change_config(company: Company, *changes: tuple[str, str]) -> None:
    path = company.directory / "config.toml"
    text = path.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)


def write_token(company: Company, token: str) -> None:
    (company.directory / "token").write_text(token)


async def due(company: Company, job: str = "app") -> float | None:
    async with wiring.open_house(config.load(company.directory / "config.toml"), write=False) as house:
        return await house.store.next_due(job)


async def make_due(company: Company) -> None:
    """Let the job have been due an hour ago."""
    async with wiring.open_house(config.load(company.directory / "config.toml"), write=True) as house:
        await house.store.set_next_due("app", house.clock.now() - 3600)


async def test_a_job_runs_at_start_and_when_it_is_due_again(company: Company, server: ScimServer) -> None:
    async with Daemon(company.directory) as daemon:
        finished = await daemon.event("cycle.finished", job="app")
        assert (finished["kind"], finished["create"], finished["state"]) == ("initial", 3, "active")
        again = await daemon.event("job.scheduled", job="app")
        assert 2390 < again["in_seconds"] <= 2400, "40 minutes after the last one began"
        kept = await due(company)
        assert await daemon.stop() == 0
    assert names(server) == NAMES
    server.clear_requests()
    async with Daemon(company.directory) as daemon:
        again = await daemon.event("job.scheduled", job="app")
        assert again["overdue"] is False
        assert 2300 < again["in_seconds"] < 2400, "what was due before is due now"
        assert await daemon.stop() == 0
        assert await due(company) == kept
    assert server.requests == [], "it was not due"


async def test_an_overdue_job_runs_at_once(company: Company, server: ScimServer) -> None:
    await company.cycle()
    await make_due(company)
    company.users["ann"]["jobTitle"] = "Manager"
    company.write()
    async with Daemon(company.directory) as daemon:
        assert (await daemon.event("job.scheduled", job="app"))["overdue"] is True
        assert (await daemon.event("cycle.finished", job="app"))["update"] == 1
        assert await daemon.stop() == 0


async def test_a_job_whose_first_cycle_did_not_begin_is_tried_at_the_next_start(
    company: Company, server: ScimServer
) -> None:
    right, server.token = server.token, "another"
    company.job += "\nrequire_test = true"
    company.write()
    for token, state in (("another", "unreachable"), (right, "active")):
        server.token = token
        async with Daemon(company.directory) as daemon:
            assert (await daemon.event("cycle.finished"))["state"] == state
            await daemon.event("job.scheduled", job="app")
            assert await daemon.stop() == 0
    assert names(server) == NAMES


async def test_a_short_interval_is_kept_and_a_cycle_never_overlaps_itself(company: Company, server: ScimServer) -> None:
    change_config(company, ('source = "staff"\ntarget', 'source = "staff"\ninterval = "1s"\ntarget'))
    async with Daemon(company.directory) as daemon:
        for _ in range(3):
            await daemon.event("cycle.finished", job="app")
        assert await daemon.stop() == 0
    running = 0
    for event in daemon.events():
        running += {"cycle.started": 1, "cycle.finished": -1}.get(event["event"], 0)
        assert running in (0, 1)


async def test_a_second_writer_is_refused_and_readers_are_not(company: Company, server: ScimServer) -> None:
    shell = Shell(company.directory)
    async with Daemon(company.directory) as daemon:
        await daemon.event("cycle.finished", job="app")
        for command in ("run", "cycle app --json", "unlink app ann"):
            ran = await shell(*command.split())
            assert (ran.code, ran.out) == (2, "")
            assert f"is being written by process {daemon.pid} (reconciler run) since " in ran.err
        for command in ("plan app", "log", "links app", "check", "orphans app", "test app"):
            ran = await shell(*command.split())
            assert (ran.code, ran.err) == (0, ""), command
        assert await daemon.stop() == 0


async def test_two_jobs_run_side_by_side(company: Company, server: ScimServer) -> None:
    async with ScimServer(token=server.token) as other:
        add_job(company, "desk", other)
        hanging = Hanging(server, "POST", "/Users$")
        async with Daemon(company.directory, "--drain", "0") as daemon:
            assert (await daemon.event("cycle.finished"))["job"] == "desk"
            await hanging.arrived()
            assert names(other) == NAMES
            assert await daemon.stop() == 0


# --- the end -----------------------------------------------------------------------------------------------------


async def test_sigterm_lets_a_running_cycle_end(company: Company, server: ScimServer) -> None:
    hanging = Hanging(server, "POST", "/Users$", body="cleo@", seconds=1.5)
    async with Daemon(company.directory) as daemon:
        await hanging.arrived()
        daemon.send(signal.SIGTERM)
        assert (await daemon.event("service.stopping"))["running"] == ["app"]
        assert (await daemon.event("cycle.finished"))["create"] == 3
        assert await daemon.ended() == 0
    assert names(server) == NAMES
    assert (await due(company)) is not None, "when it is due was written down"
    server.clear_requests()
    await company.cycle()
    assert server.requests == []


@pytest.mark.parametrize("twice", [False, True])
async def test_a_cycle_that_does_not_end_is_cut_off_and_nothing_known_is_lost(
    twice: bool, company: Company, server: ScimServer
) -> None:
    hanging = Hanging(server, "POST", "/Users$", body="cleo@")
    async with Daemon(company.directory, "--drain", "600" if twice else "0.2") as daemon:
        await hanging.arrived()
        daemon.send(signal.SIGTERM)
        await daemon.event("service.stopping")
        if twice:
            daemon.send(signal.SIGINT)
        assert (await daemon.event("service.cut_off"))["running"] == ["app"]
        assert await daemon.ended() == 0
    assert "Traceback" not in "\n".join(daemon.lines)
    server.script.clear()
    server.clear_requests()
    report = await company.cycle()
    assert names(server) == NAMES
    assert len(server.sent("POST")) == 1, "two were known, the third was asked for first"
    assert report.state == "active"


async def test_ctrl_c_ends_it_with_130(company: Company) -> None:
    async with Daemon(company.directory) as daemon:
        await daemon.event("job.scheduled", overdue=False, job="app")
        await daemon.event("cycle.finished")
        daemon.send(signal.SIGINT)
        assert await daemon.ended() == 130


async def test_a_configuration_that_cannot_be_used_ends_it_at_once(company: Company) -> None:
    change_config(company, ('target = "app"', 'target = "apq"'))
    async with Daemon(company.directory) as daemon:
        assert await daemon.ended() == 2
    assert daemon.lines == ["error: config.toml: [jobs.app] target: unknown target 'apq' (did you mean 'app'?)"]


async def test_a_state_that_is_away_is_no_reason_to_stay_down(company: Company) -> None:
    with refusing() as port:
        company.state_url = f"postgresql://nobody@127.0.0.1:{port}/state"
        company.write()
        async with Daemon(company.directory) as daemon:
            assert await daemon.ended() == 75, "systemd starts it again, as it does not after 2"
        assert "Connection refused" in daemon.lines[-1]
        ran = await Shell(company.directory)("cycle", "app")
    assert (ran.code, ran.out) == (2, "")


# --- reload ------------------------------------------------------------------------------------------------------


async def test_changed_mappings_are_an_initial_cycle_at_once(company: Company, server: ScimServer) -> None:
    async with Daemon(company.directory) as daemon:
        await daemon.event("cycle.finished")
        change_config(company, ('{ to = "title", from = "jobTitle" }', '{ to = "title", from = "department" }'))
        daemon.send(signal.SIGHUP)
        reloaded = await daemon.event("config.reloaded")
        assert reloaded["changes"] == ["job app: mappings, scope or other rules changed; an initial cycle follows"]
        finished = await daemon.event("cycle.finished")
        assert (finished["kind"], finished["update"]) == ("initial", 3)
        assert await daemon.stop() == 0
    assert {user["title"] for user in server.users.values()} == {"Development"}


async def test_a_reload_during_a_cycle_is_followed_by_another_one(company: Company, server: ScimServer) -> None:
    hanging = Hanging(server, "POST", "/Users$", body="cleo@", seconds=2.0)
    async with Daemon(company.directory) as daemon:
        await hanging.arrived()
        change_config(company, ('{ to = "title", from = "jobTitle" }', '{ to = "title", from = "department" }'))
        daemon.send(signal.SIGHUP)
        await daemon.event("config.reloaded")
        assert (await daemon.event("cycle.finished"))["create"] == 3, "the one that ran keeps its rules"
        assert (await daemon.event("cycle.finished"))["update"] == 3
        assert await daemon.stop() == 0


async def test_raised_limits_let_a_held_job_go_on_at_once(company: Company, server: ScimServer) -> None:
    company.job += "\ndeletion_threshold = 1"
    company.write()
    await company.cycle()
    company.users = {"ann": company.users["ann"]}
    company.write()
    await make_due(company)
    async with Daemon(company.directory) as daemon:
        held = await daemon.event("cycle.finished")
        assert (held["level"], held["state"], held["held"]) == ("warning", "held", 2)
        assert held["safeguard"].startswith("2 to be disabled or deleted")
        change_config(company, ("deletion_threshold = 1", "deletion_threshold = 2"))
        daemon.send(signal.SIGHUP)
        reloaded = await daemon.event("config.reloaded")
        assert reloaded["changes"] == ["job app: the safeguards changed; what they hold is looked at again"]
        finished = await daemon.event("cycle.finished")
        assert (finished["kind"], finished["state"], finished["disable"]) == ("incremental", "active", 2)
        assert await daemon.stop() == 0


async def test_nothing_changed_runs_nothing(company: Company, server: ScimServer) -> None:
    async with Daemon(company.directory) as daemon:
        await daemon.event("cycle.finished")
        daemon.send(signal.SIGHUP)
        assert (await daemon.event("config.reloaded"))["changes"] == ["nothing changed"]
        assert await daemon.stop() == 0
    assert [event["event"] for event in daemon.events()].count("cycle.started") == 1


async def test_a_broken_configuration_changes_nothing(company: Company, server: ScimServer) -> None:
    async with Daemon(company.directory) as daemon:
        await daemon.event("cycle.finished")
        sound = (company.directory / "config.toml").read_text()
        change_config(company, ('target = "app"', 'target = "apq"'), ('scope = "all"', 'scope = "al"'))
        daemon.send(signal.SIGHUP)
        refused = await daemon.event("config.refused")
        assert len(refused["problems"]) == 2
        assert "[jobs.app] target: unknown target 'apq' (did you mean 'app'?)" in refused["problems"][0]
        (company.directory / "config.toml").write_text(sound.replace('from = "jobTitle"', 'from = "department"'))
        daemon.send(signal.SIGHUP)
        await daemon.event("config.reloaded")
        assert (await daemon.event("cycle.finished"))["update"] == 3
        assert await daemon.stop() == 0


async def test_a_job_that_leaves_the_configuration_deprovisions_nobody(company: Company, server: ScimServer) -> None:
    async with ScimServer(token=server.token) as other:
        alone = (company.directory / "config.toml").read_text()
        add_job(company, "desk", other, interval="1s")
        async with Daemon(company.directory) as daemon:
            await daemon.event("cycle.finished", job="desk")
            (company.directory / "config.toml").write_text(alone)
            daemon.send(signal.SIGHUP)
            reloaded = await daemon.event("config.reloaded")
            assert reloaded["changes"] == ["job desk left the configuration: its accounts stay as they are"]
            other.clear_requests()
            change_config(company, ('from = "jobTitle"', 'from = "department"'))
            daemon.send(signal.SIGHUP)
            await daemon.event("config.reloaded")
            await daemon.event("cycle.finished", job="app")
            assert await daemon.stop() == 0
        assert other.requests == []
        assert [user["active"] for user in other.users.values()] == [True] * 3


async def test_a_connection_that_was_mended_is_tried_at_once(company: Company, server: ScimServer) -> None:
    with refusing() as port:
        nobody = f"http://127.0.0.1:{port}/scim"
        change_config(company, (f'url = "{server.url}"', f'url = "{nobody}"'))
        async with Daemon(company.directory) as daemon:
            assert (await daemon.event("cycle.finished"))["state"] == "unreachable"
            change_config(company, (f'url = "{nobody}"', f'url = "{server.url}"'))
            daemon.send(signal.SIGHUP)
            assert (await daemon.event("config.reloaded"))["changes"] == ["target app: url changed"]
            finished = await daemon.event("cycle.finished")
            assert (finished["state"], finished["create"]) == ("active", 3)
            assert await daemon.stop() == 0


async def test_a_job_that_is_disabled_stops_and_goes_on_when_it_is_enabled(
    company: Company, server: ScimServer
) -> None:
    change_config(company, ('source = "staff"\ntarget', 'source = "staff"\ninterval = "1s"\nenabled = true\ntarget'))
    async with Daemon(company.directory) as daemon:
        await daemon.event("cycle.finished")
        change_config(company, ("enabled = true", "enabled = false"))
        daemon.send(signal.SIGHUP)
        assert (await daemon.event("config.reloaded"))["changes"] == ["job app is not enabled any more"]
        change_config(company, ("enabled = false", "enabled = true"))
        daemon.send(signal.SIGHUP)
        assert (await daemon.event("config.reloaded"))["changes"] == ["job app is enabled"]
        await daemon.event("cycle.finished")
        assert await daemon.stop() == 0


# --- what it logs ------------------------------------------------------------------------------------------------


async def test_the_log_is_json_lines_without_people_or_secrets(company: Company, server: ScimServer) -> None:
    company.person("dora", displayName="Dora Marker-Person", userPrincipalName="dora.marker@example.com")
    company.person("emil", userPrincipalName="emil.marker@example.com", jobTitle="Marker-Title")
    company.write()
    server.script.on("POST", "/Users$", body="emil", then=Status(400), times=FOR_EVER)
    async with Daemon(company.directory) as daemon:
        finished = await daemon.event("cycle.finished")
        assert (finished["level"], finished["failure"]) == ("warning", 1)
        server.script.on("*", "", then=Drop(), times=FOR_EVER)
        change_config(company, ('from = "jobTitle"', 'from = "department"'))
        daemon.send(signal.SIGHUP)
        await daemon.event("cycle.finished")
        assert await daemon.stop() == 0
    text = "\n".join(daemon.lines).lower()
    assert "marker" not in text
    assert "ann@" not in text
    assert server.token not in text
    for event in daemon.events():
        assert {"timestamp", "level", "event"} <= set(event)


async def test_a_token_that_changed_is_read_again(company: Company, server: ScimServer) -> None:
    change_config(company, ('source = "staff"\ntarget', 'source = "staff"\ninterval = "1s"\ntarget'))
    write_token(company, "wrong-token-marker")
    async with Daemon(company.directory) as daemon:
        assert (await daemon.event("cycle.finished"))["state"] == "unreachable"
        write_token(company, server.token)
        await daemon.event("cycle.finished", state="active", create=3)
        assert await daemon.stop() == 0
    assert "wrong-token-marker" not in "\n".join(daemon.lines)


async def test_the_state_says_who_writes(company: Company) -> None:
    async with Daemon(company.directory) as daemon:
        await daemon.event("cycle.finished")
        assert f"process {daemon.pid} (reconciler run)" in (company.directory / "state.db.lock").read_text()
        assert await daemon.stop() == 0
    assert orjson.loads(daemon.lines[-1])["event"] == "service.stopped"
