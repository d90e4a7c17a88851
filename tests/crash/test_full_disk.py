"""No room for the state: the command says so and ends, and with room again the next one goes on."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from tests.crash.scenes import CARELESS, SetUp, busy_scene, first_scene
from tests.crash.town import run_to_the_end
from tests.crash.victim import Run
from tests.crash.warm import WarmProcess
from tests.servers.scim import ScimServer

STEP_BYTES = 160 * 1024


@pytest.mark.parametrize("set_up", [first_scene, busy_scene])
async def test_a_full_disk_is_said_in_a_sentence_and_nothing_is_lost(
    set_up: SetUp, tmp_path: Path, warm: WarmProcess
) -> None:
    async with ScimServer(CARELESS) as server:
        scene = await set_up(tmp_path / "scene", server)
        expected = await run_to_the_end(scene.set(), server, warm)
        room, failed_after_posts, exit_code = 0, 0, 2
        while exit_code == 2:
            path = scene.set()
            outcome = await warm.cycle(path, file_bytes_max=room)
            exit_code = outcome.exit_code
            if exit_code == 2:
                assert outcome.stderr.startswith(f"error: {scene.directory / 'state.db'}"), outcome.stderr
                assert "the disk " in outcome.stderr
                assert outcome.stdout == ""
                failed_after_posts += outcome.counts["post"] > 0
                assert await run_to_the_end(path, server, warm) == expected, f"after a cycle with {room} bytes"
            room += STEP_BYTES
    assert exit_code == 0, outcome.stderr
    assert failed_after_posts >= 2, "it also failed when there was something to lose"


async def test_a_run_on_demand_says_so_too(tmp_path: Path, warm: WarmProcess) -> None:
    async with ScimServer(CARELESS) as server:
        scene = await first_scene(tmp_path / "scene", server)
        names = [orjson.loads(line)["id"] for line in (scene.directory / "users.jsonl").read_bytes().splitlines()[:5]]
        room, exit_code, said = 0, 2, set[str]()
        while exit_code != 0:
            path = scene.set()
            outcome = await warm.run(Run(("provision", "app", *names, "-c", str(path), "--json"), None, room))
            exit_code = outcome.exit_code
            if exit_code != 0:
                assert (exit_code, outcome.stdout) == (2, ""), outcome.stderr
                assert re.fullmatch(r"error: .*state\.db.*the disk .*\n", outcome.stderr), outcome.stderr
                said.add(outcome.stderr)
                assert (await warm.cycle(path)).exit_code == 0, f"after a run with {room} bytes"
                assert sorted(user["userName"] for user in server.users.values()) == sorted(
                    {user["userName"] for user in server.users.values()}
                ), "nobody was made twice"
            room += STEP_BYTES
        assert len(said) >= 2
