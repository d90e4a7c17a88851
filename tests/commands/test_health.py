"""health: what those ask who start the daemon again, or wait for it."""

from __future__ import annotations

from tempfile import TemporaryDirectory

from tests.commands.shell import Shell
from tests.cycles.company import Company
from tests.daemon.process import Daemon
from tests.daemon.talking import talking


async def test_it_is_well_while_the_daemon_answers(company: Company) -> None:
    with TemporaryDirectory() as place:
        shell = Shell(company.directory, RUNTIME_DIRECTORY=place)
        async with Daemon(company.directory, RUNTIME_DIRECTORY=place) as daemon:
            await daemon.event("cycle.finished")
            for option in ([], ["--ready"]):
                ran = await shell("health", *option)
                assert (ran.code, ran.out, ran.err) == (0, "ok\n", "")
            assert await daemon.stop() == 0
        for option in ([], ["--ready"]):
            ran = await shell("health", *option)
            assert (ran.code, ran.out) == (5, "")
            assert "there is no socket at" in ran.err


async def test_a_daemon_that_cannot_use_its_state_is_alive_and_not_ready(company: Company) -> None:
    async with talking(company) as talk:
        shell = Shell(company.directory)
        talk.office.store.failing = True
        assert (await shell("health", "--socket", talk.path)).code == 0
        ran = await shell("health", "--ready", "--socket", talk.path)
        assert (ran.code, ran.out) == (5, "")
        assert ran.err == "error: the daemon cannot do it now: state.db: the disk does not read\n"
