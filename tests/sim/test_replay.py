"""A seed and a commit are a whole run: it can be done again anywhere, and is the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEEDS = ("3", "7", "15", "21", "22", "1000000003", "1387962669")


def digests(hash_seed: str) -> list[str]:
    """Return what the seeds come to in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim", *SEEDS],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.timeout(300)
def test_a_seed_is_the_same_run_in_every_process_whatever_the_hashes() -> None:
    first = digests("1")
    assert len(first) == len(SEEDS)
    assert len({line.split()[1] for line in first}) == len(SEEDS), "each is a run of its own"
    kinds = [line.partition("kind='")[2].partition("'")[0] for line in first]
    for part in ("scim to", "to rest", "to graph", " 1 jobs", " 3 jobs"):
        assert any(part in kind for kind in kinds), f"{part}: {kinds}"
    assert digests("4242") == first
