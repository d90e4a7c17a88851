"""A job takes the memory of some pages, however many people it has.

`LOAD_USERS=1000000 make test TESTS=tests/load/test_flat_memory.py PYTEST_OPTIONS="-s --timeout 7200"` runs it with a
million, and prints what it took.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

FEW = 20_000
"""Their state is larger than SQLite's cache, and they fill every page, queue and pool."""
MANY = int(os.environ.get("LOAD_USERS", "40000"))
GROWTH_MAX_MIB = 8.0
"""Noise; 25,000 people are 25 MiB of attributes alone."""


def measured(users: int, directory: Path) -> dict[str, Any]:
    directory.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.one_job", str(users), str(directory)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    figures: dict[str, Any] = orjson.loads(done.stdout)
    print(figures)
    return figures


def test_memory_does_not_grow_with_the_number_of_people(tmp_path: Path) -> None:
    few, many = measured(FEW, tmp_path / "few"), measured(MANY, tmp_path / "many")
    assert many["mib"] - few["mib"] <= GROWTH_MAX_MIB, (few, many)
    assert many["quiet_mib"] - few["quiet_mib"] <= GROWTH_MAX_MIB, (few, many)
