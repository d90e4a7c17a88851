"""Runs one seed, or several: `python -m tests.sim 17`."""

from __future__ import annotations

import sys

from tests.sim.running import simulate


def main(words: list[str]) -> int:
    failed = 0
    for word in words:
        try:
            outcome = simulate(int(word))
        except AssertionError as error:
            print(error)
            failed += 1
        else:
            print(word, outcome.digest, outcome)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
