"""No room for the state: the command says so and ends, and with room again the next one goes on."""

from __future__ import annotations

from pathlib import Path

from tests.crash.test_kills import CARELESS, busy_scene, first_scene
from tests.crash.town import run_to_the_end
from tests.crash.warm import WarmProcess
from tests.servers.scim import ScimServer

KIB = 1024


async def test_a_full_disk_is_said_in_a_sentence_and_loses_nothing(tmp_path: Path, warm: WarmProcess) -> None:
    async with ScimServer(CARELESS) as server:
        for name, set_up in (("first", first_scene), ("busy", busy_scene)):
            server.forget()
            scene = await set_up(tmp_path / name, server)
            expected = await run_to_the_end(scene.set(), server, warm)
            failed = 0
            for room in (0, 16 * KIB, 64 * KIB, 128 * KIB, 192 * KIB, 256 * KIB, 384 * KIB, 512 * KIB, 1024 * KIB):
                path = scene.set()
                outcome = await warm.cycle(path, file_bytes_max=room)
                assert outcome.exit_code in (0, 2), f"{room}: {outcome.stdout}{outcome.stderr}"
                if outcome.exit_code == 2:
                    failed += 1
                    assert outcome.stderr.startswith(f"error: {scene.directory / 'state.db'}"), outcome.stderr
                    assert "the disk " in outcome.stderr
                    assert outcome.stdout == ""
                ended = await run_to_the_end(path, server, warm)
                assert (ended.made, ended.target) == (expected.made, expected.target), room
            assert failed >= 3
            assert outcome.exit_code == 0
