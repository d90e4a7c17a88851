"""One writes; a second is told who; and when the first is killed, the next may write at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import anyio

from tests.crash.scenes import CARELESS, first_scene
from tests.crash.town import known, made
from tests.crash.warm import ROOT, WarmProcess
from tests.servers.faults import Delay
from tests.servers.scim import ScimServer


async def test_a_second_writer_is_told_of_the_first_and_a_killed_one_lets_go(tmp_path: Path, warm: WarmProcess) -> None:
    async with ScimServer(CARELESS) as server:
        scene = await first_scene(tmp_path / "scene", server)
        path = scene.set()
        server.script.on("POST", "/Users$", then=Delay(60, done=True))
        first = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "reconciler", "cycle", "app", "-c", str(path)),
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            with anyio.fail_after(60):
                await server.until_sent("POST")
            assert first.returncode is None
            second = await warm.cycle(path)
            await known(scene.config)  # who only reads is let in
        finally:
            if first.returncode is None:
                first.kill()
            await first.wait()
        assert (second.exit_code, second.stdout) == (2, "")
        assert f"is being written by process {first.pid} (reconciler cycle" in second.stderr
        third = await warm.cycle(path)
        assert third.exit_code == 0, third.stderr
        assert len(server.users) == 14
        assert made(server).most_common(1)[0][1] == 1, "the second sent nothing, the third made nothing twice"
