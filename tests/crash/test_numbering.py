"""The numbering sees every commit: what it missed would be a place where nobody was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.scenes import CARELESS, SetUp, busy_scene, first_scene
from tests.crash.warm import WarmProcess
from tests.servers.scim import ScimServer


@pytest.mark.parametrize("set_up", [first_scene, busy_scene])
async def test_nothing_is_written_but_at_a_numbered_commit(set_up: SetUp, tmp_path: Path, warm: WarmProcess) -> None:
    async with ScimServer(CARELESS) as server:
        scene = await set_up(tmp_path / "scene", server)
        outcome = await warm.cycle(scene.set(), noted=True)
    commits = [words[1:] for words in outcome.notes if words[0] == "commit"]
    assert [number for number, _, _ in commits if number] == list(range(1, outcome.counts["commit"] + 1))
    in_log = 0
    for number, before, after in commits:
        assert before == in_log, "between two commits the write-ahead log gets none"
        assert after <= before + (1 if number else 0), "a commit that was not numbered wrote nothing"
        in_log = after
    assert in_log > 10, "the log is the one that was written to"


@pytest.mark.parametrize("set_up", [first_scene, busy_scene])
async def test_every_write_is_within_a_transaction(set_up: SetUp, tmp_path: Path, warm: WarmProcess) -> None:
    async with ScimServer(CARELESS) as server:
        scene = await set_up(tmp_path / "scene", server)
        outcome = await warm.cycle(scene.set(), noted=True)
    within, ended = False, 0
    for _, word, writes in (words for words in outcome.notes if words[0] == "statement"):
        assert within or not writes, f"{word} commits by itself"
        if word == "BEGIN":
            within = True
        if word in ("COMMIT", "END", "ROLLBACK"):
            within = False
            ended += word != "ROLLBACK"
    assert ended == len([words for words in outcome.notes if words[0] == "commit"]), "each went through commit()"


async def test_the_first_migration_is_one_commit_and_the_first(tmp_path: Path, warm: WarmProcess) -> None:
    async with ScimServer(CARELESS) as server:
        scene = await first_scene(tmp_path / "scene", server)
        outcome = await warm.cycle(scene.set(), noted=True)
    first = next(i for i, words in enumerate(outcome.notes) if words[0] == "commit" and words[1] == 1)
    made = [words[1] for words in outcome.notes[:first] if words[0] == "statement"]
    assert made.count("CREATE") > 15
    assert "CREATE" not in [words[1] for words in outcome.notes[first:] if words[0] == "statement"]
