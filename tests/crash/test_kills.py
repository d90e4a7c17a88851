"""Work is killed at a commit or around a request; the next cycles end as if nothing had happened.

A dozen places, spread over the work; `python -m tests.crash.soak` goes to every one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.scenes import WORKS, Places, Stage, spread
from tests.crash.warm import WarmProcess
from tests.servers.scim import ScimServer

PLACES: dict[str, Places] = {
    "the first cycle": [("commit", "before"), ("post", "unread"), ("commit", "after")],
    "a busy cycle": [
        ("commit", "after"),
        ("post", "before"),
        ("change", "after"),
        ("post", "after"),
        ("commit", "before"),
    ],
    "a cycle in which two swap names": [("change", "after")],
    "a first run on demand": [("post", "unread"), ("commit", "after")],
    "a busy run on demand": [("change", "after"), ("commit", "before")],
}


@pytest.mark.parametrize("name", PLACES)
async def test_killed_on_the_way(name: str, tmp_path: Path, warm: WarmProcess) -> None:
    work = WORKS[name]
    async with ScimServer(work.quirks) as server:
        stage = await Stage.of(work, tmp_path / "scene", server, warm)
        for kill in spread(PLACES[name], await stage.counts()):
            assert (await stage.kill(kill)).killed, f"there was something to do: {kill}"


def test_each_work_that_the_soak_kills_is_killed_here_too() -> None:
    assert PLACES.keys() == WORKS.keys()
    assert all(set(PLACES[name]) <= set(work.places) for name, work in WORKS.items())
