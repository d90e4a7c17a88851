"""From a change in slapd to the request at the app, with a daemon in between that was told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from tests.commands.shell import Shell
from tests.cycles.test_ldap import Firm
from tests.daemon.process import Daemon
from tests.servers.scim import ScimServer
from tests.servers.slapd import group, person, running_slapd, user, why_no_slapd

pytestmark = pytest.mark.skipif(why_no_slapd() is not None, reason=why_no_slapd() or "")


@pytest.fixture
async def firm(tmp_path: Path) -> AsyncIterator[Firm]:
    """Three people and a crew of two, and a daemon's configuration that is to listen."""
    people = [user(name) for name in ("ann", "bob", "cleo")]
    with running_slapd(tmp_path / "slapd", [*people, group("crew", [person("ann"), person("bob")])]) as slapd:
        async with ScimServer() as app:
            made = Firm(tmp_path, slapd, app)
            made.job += '\ninterval = "12h"\ntriggers = { announced = true, debounce = "0.2s" }'
            made.tables += '\n[control]\nsocket = "control.sock"\n'
            made.configure()
            yield made


async def test_joiners_movers_and_leavers_are_sent_at_once(firm: Firm) -> None:
    async with Daemon(firm.directory) as daemon:
        await daemon.event("source.heard", source="staff")
        await daemon.event("cycle.finished", kind="initial")
        firm.slapd.set(person("ann"), title="Chief")
        await daemon.event("cycle.finished", update=1)
        assert firm.app.user("ann@example.test")["title"] == "Chief"
        firm.slapd.add(user("dan"))
        await daemon.event("cycle.finished", create=1)
        firm.slapd.join("crew", person("dan"))
        await daemon.event("cycle.finished", members_added=1)
        assert firm.members("crew") == {"ann", "bob", "dan"}
        firm.slapd.set(person("bob"), employeeType="left")
        await daemon.event("cycle.finished", disable=1)
        assert firm.active() == {"ann", "cleo", "dan"}


async def test_status_says_what_is_heard_and_a_directory_that_comes_back_is_caught_up_with(firm: Firm) -> None:
    shell = Shell(firm.directory)
    async with Daemon(firm.directory) as daemon:
        await daemon.event("source.heard", source="staff")
        await daemon.event("cycle.finished", kind="initial")
        assert "the source is listened to" in (await shell("status", "app")).out
        firm.slapd.stop()
        await daemon.event("source.not_heard", again_in_seconds=2.0)
        said = await shell("status", "app")
        assert "the source is not heard" in said.out
        shown = orjson.loads((await shell("status", "app", "--json")).out)["jobs"][0]["triggers"]
        assert shown["problem"] and shown["heard_since"] is None
        await asyncio.to_thread(firm.slapd.start)
        firm.slapd.set(person("ann"), title="Chief")
        await daemon.event("source.heard")
        await daemon.event("cycle.finished", update=1)
        assert await daemon.stop() == 0
    assert firm.app.user("ann@example.test")["title"] == "Chief"
