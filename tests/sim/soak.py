"""Runs new seeds on each core for so many seconds, and keeps those that fail: `python -m tests.sim.soak 3600`."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.sim.running import simulate
from tests.sim.seeds import FOR_A_TENANT, keep

_BEGINNINGS = [0, 0, 0, FOR_A_TENANT.start]
"""One of four seeds has a tenant as its app."""


@dataclass(slots=True)
class Tried:
    """What the seeds of one core, or of all, came to."""

    seeds: int = 0
    failed: int = 0
    totals: Counter[str] = field(default_factory=Counter)
    befell: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tried) -> None:
        self.seeds += other.seeds
        self.failed += other.failed
        self.totals += other.totals
        self.befell += other.befell
        self.kinds += other.kinds


def try_seeds(seconds: float) -> Tried:
    """Run one new seed after the other; tell of those that fail at once, and write them down."""
    began = time.monotonic()
    tried = Tried()
    while time.monotonic() - began < seconds:
        seed = secrets.randbelow(10**9) + secrets.choice(_BEGINNINGS)
        tried.seeds += 1
        try:
            outcome = simulate(seed)
        except AssertionError as error:
            print(error, flush=True)
            keep(seed)
            tried.failed += 1
            continue
        tried.totals.update(
            cycles=outcome.cycles, requests=outcome.requests, commits=outcome.transactions, kills=outcome.kills
        )
        tried.befell.update(outcome.befell)
        tried.kinds[outcome.kind] += 1
    return tried


def main(seconds: float) -> int:
    cores = len(os.sched_getaffinity(0))
    every = Tried()
    with ProcessPoolExecutor(cores) as pool:
        for tried in pool.map(try_seeds, [seconds] * cores):
            every.add(tried)
    shown = ", ".join(f"{count:,} {name}" for name, count in every.totals.items())
    print(
        f"{every.seeds} seeds in {seconds:.0f} s on {cores} cores, {every.failed} failed; {shown}; "
        f"faults: {dict(every.befell.most_common())}; {dict(every.kinds)}"
    )
    return 1 if every.failed else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0))
