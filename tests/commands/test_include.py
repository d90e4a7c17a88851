"""A configuration in several files: what a cycle, a reload and a check make of it."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.commands.shell import Shell
from tests.cycles.company import Company
from tests.daemon.process import Daemon
from tests.servers.scim import ScimServer


def in_several_files(company: Company) -> Path:
    """Put the job into a file of its own; return the directory of such files."""
    path = company.write()
    text = path.read_text()
    beginning, heading, job = text.partition("[jobs.app]")
    path.write_text(f'include = ["jobs/*.toml"]\n{beginning}')
    jobs = company.directory / "jobs"
    jobs.mkdir()
    (jobs / "app.toml").write_text(heading + job)
    return jobs


async def test_a_job_of_an_included_file_runs(company: Company, server: ScimServer, shell: Shell) -> None:
    in_several_files(company)
    ran = await shell("cycle", "app", "--json")
    assert (ran.code, ran.json()["counts"]["create"]) == (0, 3)
    assert len(server.users) == 3


async def test_a_file_that_is_put_there_counts_from_the_next_reload(company: Company, server: ScimServer) -> None:
    jobs = in_several_files(company)
    more = (
        (jobs / "app.toml").read_text().replace("jobs.app", "jobs.guests").replace('target = "app"', 'target = "desk"')
    )
    async with ScimServer(token=server.token) as other, Daemon(company.directory) as daemon:
        await daemon.event("cycle.finished", job="app")
        (jobs / "guests.toml").write_text(more)
        daemon.send(signal.SIGHUP)
        refused = await daemon.event("config.refused")
        assert refused["problems"] == ["jobs/guests.toml: [jobs.guests] target: unknown target 'desk' (known: app)"]
        target = f'[targets.desk]\ntype = "scim"\nurl = "{other.url}"\nauth = {company.auth}\n'
        (jobs / "guests.toml").write_text(target + more)
        daemon.send(signal.SIGHUP)
        assert (await daemon.event("config.reloaded"))["changes"] == ["job guests is new"]
        assert (await daemon.event("cycle.finished", job="guests"))["create"] == 3
        assert await daemon.stop() == 0
        assert len(other.users) == 3


async def test_the_socket_may_be_named_in_an_included_file(company: Company, shell: Shell) -> None:
    jobs = in_several_files(company)
    (jobs / "control.toml").write_text('[control]\nsocket = "it.sock"\n')
    async with Daemon(company.directory) as daemon:
        listening = await daemon.event("control.listening")
        assert listening["path"] == str(company.directory / "it.sock")
        assert (await shell("health")).out == "ok\n"
        assert await daemon.stop() == 0
