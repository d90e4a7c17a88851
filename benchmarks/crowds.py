"""What a whole job costs as it grows to a million people: seconds and memory, source and target simulated.

`make bench BENCH_OPTIONS="--only million"`; it takes some ten minutes, so it is no part of what runs without that.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson

SIZES = (100_000, 300_000, 1_000_000)


def measure(directory: Path) -> Iterator[tuple[str, str, str]]:
    """Run a first and a quiet cycle of each size, in a process of its own."""
    for users in SIZES:
        place = directory / str(users)
        place.mkdir()
        done = subprocess.run(
            [sys.executable, "-m", "tests.load.one_job", str(users), str(place)], stdout=subprocess.PIPE, check=True
        )
        said = orjson.loads(done.stdout)
        rate = f"{users / said['seconds']:,.0f} a second"
        yield f"first cycle of {users:,} simulated users", f"{said['seconds']:,.0f} s, {said['mib']} MiB", rate
        yield "  a cycle without a change", f"{said['quiet_seconds']:,.0f} s, {said['quiet_mib']} MiB", "no request"
        yield "  the state on disk", f"{said['state_mib']:,} MiB", ""
