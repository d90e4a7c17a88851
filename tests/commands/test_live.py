"""What a person at a terminal sees while the daemon works, and what Ctrl-C leaves behind."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import pytest

from tests.commands.terminal import Terminal
from tests.cycles.company import Company
from tests.daemon.process import Daemon
from tests.servers.faults import FOR_EVER, Delay
from tests.servers.scim import ScimServer


@pytest.fixture
async def daemon(company: Company) -> AsyncIterator[Daemon]:
    """A daemon that has nothing to do, of a company that has taken on sixty people since; the app is slow."""
    company.source_lines += '\n[control]\nsocket = "control.sock"\n'
    company.concurrency = 4
    company.write()
    async with Daemon(company.directory) as running:
        await running.event("cycle.finished", job="app")
        await running.event("job.scheduled", job="app")
        company.people(*(f"p{number:02}" for number in range(60)))
        company.write()
        yield running
        assert await running.stop() == 0


def slow(server: ScimServer) -> None:
    server.script.on("POST", "/Users$", then=Delay(0.25), times=FOR_EVER)


def says(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.search(pattern, text) is not None


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (100, r"^sending +[━╸╺ ]+ \d+/60 +\d+/s +\d+ s left$"),
        (60, r"^sending +\d+/60 +\d+/s +\d+ s left$"),
        (30, r"^sending +\d+/60 +\d+ s left$"),
    ],
    ids=["wide", "narrow", "very narrow"],
)
async def test_who_waits_for_a_cycle_sees_how_far_how_fast_and_how_long(
    columns: int, line: str, daemon: Daemon, company: Company, server: ScimServer
) -> None:
    slow(server)
    async with Terminal(company.directory, "trigger", "app", "--wait", columns=columns) as terminal:
        text = await terminal.shows(lambda text: any(re.match(line, one) for one in text.splitlines()))
        assert all(len(one) <= columns for one in text.splitlines())
        assert terminal.screen.cursor_hidden
        assert await terminal.ended() == 0
        left = "".join(terminal.screen.text.split())
    assert not terminal.screen.cursor_hidden
    assert "sending" not in left, "the bars are gone when it is over"
    assert "did:60create;stateactive" in left
    assert len(server.users) == 63


async def test_ctrl_c_leaves_who_waited_and_not_the_cycle(daemon: Daemon, company: Company, server: ScimServer) -> None:
    slow(server)
    async with Terminal(company.directory, "trigger", "app", "--wait") as terminal:
        await terminal.shows(says(r"sending .* left"))
        terminal.press_ctrl_c()
        assert await terminal.ended() == 130
        assert not terminal.screen.cursor_hidden
        assert "Traceback" not in terminal.screen.text
    server.script.clear()
    assert (await daemon.event("cycle.finished", create=60))["state"] == "active"


@pytest.mark.parametrize("columns", [100, 34], ids=["wide", "narrow"])
async def test_a_watcher_sees_the_state_drawn_again_in_its_place_until_ctrl_c(
    columns: int, daemon: Daemon, company: Company, server: ScimServer
) -> None:
    slow(server)
    async with Terminal(company.directory, "status", "--watch", columns=columns) as watching:
        await watching.shows(says(r"app: next cycle in \d+ min"))
        async with Terminal(company.directory, "trigger", "app") as asking:
            assert await asking.ended() == 0
        during = await watching.shows(says(r"sending: \d+ of\s+60,\s+[\d.]+/s,\s+\d+\s+s\s+left"))
        assert "app: running for " in during
        after = await watching.shows(lambda text: "60 create" in " ".join(text.split()) and "running" not in text)
        assert after.count("app: ") == during.count("app: ") == 1, "each picture takes the place of the one before"
        assert all(len(one) <= columns for one in after.splitlines())
        watching.press_ctrl_c()
        assert await watching.ended() == 130
        assert not watching.screen.cursor_hidden
        assert "Traceback" not in watching.screen.text
        assert watching.screen.text.endswith("interrupted")
