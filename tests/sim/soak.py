"""Runs new seeds for so many seconds, and writes down those that fail: `python -m tests.sim.soak 3600`."""

from __future__ import annotations

import secrets
import sys
import time
from collections import Counter

from tests.sim.running import simulate
from tests.sim.seeds import keep


def main(seconds: float) -> int:
    began = time.monotonic()
    run = failed = 0
    totals: Counter[str] = Counter()
    befell: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    while time.monotonic() - began < seconds:
        seed = secrets.randbelow(10**9)
        run += 1
        try:
            outcome = simulate(seed)
        except AssertionError as error:
            print(error, flush=True)
            keep(seed)
            failed += 1
            continue
        totals.update(
            cycles=outcome.cycles, requests=outcome.requests, commits=outcome.transactions, kills=outcome.kills
        )
        befell.update(outcome.befell)
        kinds[outcome.kind] += 1
    shown = ", ".join(f"{count:,} {name}" for name, count in totals.items())
    print(f"{run} seeds, {failed} failed; {shown}; faults: {dict(befell.most_common())}; {dict(kinds)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0))
