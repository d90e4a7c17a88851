"""A run on demand is cut off, with a daemon and without; nothing is lost by it, and nobody made twice."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.commands.shell import Hanging, Shell
from tests.crash.scenes import CARELESS, CREW, SetUp, first_scene
from tests.crash.town import Scene, known, made, run_to_the_end
from tests.crash.warm import WarmProcess
from tests.daemon.process import Daemon
from tests.servers.scim import ScimServer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_a_run_on_demand_without_a_daemon_that_is_cut_off_makes_nobody_twice(
    number: signal.Signals, tmp_path: Path, warm: WarmProcess
) -> None:
    async with ScimServer(CARELESS) as server:
        scene = await scene_of(first_scene, tmp_path, server)
        # it is done, and the answer never comes
        hanging = Hanging(server, "POST", "/Users$", body="cleo@", seconds=2.0, done=True)
        cut_off = await Shell(scene.directory).start(*CREW)
        await hanging.arrived()
        cut_off.send_signal(number)
        await cut_off.communicate()
        assert cut_off.returncode == -number
        before = await known(scene.config)
        await ends_well(scene, server, warm)
        assert (await known(scene.config)).log[: len(before.log)] == before.log


async def test_a_daemon_that_is_killed_in_a_run_on_demand_makes_nobody_twice(tmp_path: Path, warm: WarmProcess) -> None:
    async with ScimServer(CARELESS) as server:
        scene = await scene_of(first_scene, tmp_path, server, enabled=False)
        hanging = Hanging(server, "POST", "/Users$", body="cleo@", seconds=2.0, done=True)
        shell = Shell(scene.directory)
        async with Daemon(scene.directory) as daemon:
            await daemon.event("job.not_enabled")
            asking = asyncio.create_task(shell(*CREW))
            await hanging.arrived()
            daemon.send(signal.SIGKILL)
            asked = await asking
        assert (asked.code, asked.out) == (5, "")
        assert asked.err.startswith("error: the daemon at control.sock has ended; start it")
        await ends_well(scene, server, warm)


async def test_a_daemon_that_is_told_to_end_finishes_a_run_on_demand_and_answers(
    tmp_path: Path, warm: WarmProcess
) -> None:
    async with ScimServer(CARELESS) as server:
        scene = await scene_of(first_scene, tmp_path, server, enabled=False)
        hanging = Hanging(server, "POST", "/Users$", body="cleo@", seconds=3.0, done=True)
        shell = Shell(scene.directory)
        async with Daemon(scene.directory) as daemon:
            await daemon.event("job.not_enabled")
            asking = asyncio.create_task(shell(*CREW, "--json"))
            await hanging.arrived()
            daemon.send(signal.SIGTERM)
            assert (await daemon.event("service.stopping"))["on_demand"] == 1
            asked = await asking
            assert await daemon.ended() == 0
        assert (asked.code, asked.err) == (0, "")
        assert {one["result"] for one in asked.json()["results"]} == {"Success"}
        assert len(server.members("Crew")) == 4
        await ends_well(scene, server, warm)


async def test_a_daemon_does_not_wait_longer_than_it_was_told_to(tmp_path: Path, warm: WarmProcess) -> None:
    async with ScimServer(CARELESS) as server:
        scene = await scene_of(first_scene, tmp_path, server, enabled=False)
        hanging = Hanging(server, "POST", "/Users$", body="cleo@", done=True)
        shell = Shell(scene.directory)
        async with Daemon(scene.directory, "--drain", "0.5") as daemon:
            await daemon.event("job.not_enabled")
            asking = asyncio.create_task(shell(*CREW))
            await hanging.arrived()
            assert await daemon.stop() == 0
            assert [line["on_demand"] for line in daemon.events() if line["event"] == "service.cut_off"] == [1]
            assert (await asking).code == 5
        await ends_well(scene, server, warm)


async def scene_of(set_up: SetUp, directory: Path, server: ScimServer, *, enabled: bool = True) -> Scene:
    """Return a scene whose daemon has a socket, and runs no cycle by itself where the job is not enabled."""
    scene = await set_up(directory / "scene", server)
    path = scene.set()
    lines = path.read_text() + '\n[control]\nsocket = "control.sock"\n'
    path.write_text(lines if enabled else lines.replace("[jobs.app]", "[jobs.app]\nenabled = false", 1))
    return scene


async def ends_well(scene: Scene, server: ScimServer, warm: WarmProcess) -> None:
    """Run cycles to the end; assert that everybody has one account, who was made once."""
    server.script.clear()
    await run_to_the_end(scene.directory / "config.toml", server, warm)
    assert made(server).most_common(1)[0][1] == 1
    assert len(server.users) == 14
    links = (await known(scene.config)).links
    assert {id_ for (kind, _), id_ in links.items() if kind == "user"} == {
        id_ for id_, user in server.users.items() if "externalId" in user
    }
