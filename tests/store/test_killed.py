"""Killed at any commit, the first migration included, the state loses nothing and keeps nothing by halves."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from reconciler.store.sql import SqlStore
from reconciler.store.tables import metadata
from tests.store import killed

Dump = dict[str, list[tuple[Any, ...]]]


def dump(path: Path) -> Dump:
    """Return every row of every table but the installation's own key."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        names = sorted(set(metadata.tables) - {"installation"})
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}


@pytest.fixture
async def states(tmp_path: Path) -> list[Dump]:
    """What the state is after each step of the script, when nobody is killed."""
    taken: list[Dump] = []
    await killed.run(tmp_path / "whole.db", lambda _: taken.append(dump(tmp_path / "whole.db")))
    return taken


def run_and_kill(directory: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.killed", directory], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [orjson.loads(line) for line in done.stdout.splitlines()]


async def test_nothing_committed_is_lost_and_nothing_is_half_written(tmp_path: Path, states: list[Dump]) -> None:
    runs = run_and_kill(tmp_path)
    assert sum(run["killed"] for run in runs) >= 2 * len(states), "each step was killed before and after its commit"
    for run in runs:
        path, last = Path(run["path"]), run["last"]
        store = await SqlStore.open(f"sqlite:///{path}", write=True, clock_now=0.0)
        found = dump(path)
        await store.close()
        if last is None:
            possible = states[:1]
        elif path.name.startswith("before") or not run["killed"]:
            possible = states[last : last + 1]
        else:
            possible = states[last : last + 2]
        assert found in possible, f"{path.name}: acknowledged {last}"


def test_the_script_changes_the_state_with_each_step(states: list[Dump]) -> None:
    """Otherwise the comparison above would not tell the steps apart."""
    assert len(states) == len(killed.steps()) + 1
    for number, (before, after) in enumerate(pairwise(states), 1):
        assert before != after, f"step {number}"
