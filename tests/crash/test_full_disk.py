"""No room for the state: the command says so and ends, and with room again the next one goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.test_kills import CARELESS, SetUp, busy_scene, first_scene
from tests.crash.town import run_to_the_end
from tests.crash.warm import WarmProcess
from tests.servers.scim import ScimServer

STEP_BYTES = 64 * 1024


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
