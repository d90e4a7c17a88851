"""`python -m tests.mutants`: makes deliberate bugs and shows that tests see them (docs/correctness.md)."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutants import drawn
from tests.mutants.bugs import Bug, all_bugs
from tests.mutants.killing import copy_of_the_project, passes_without, try_one

SAMPLE = 400
SHOWN_MAX = 60


def main() -> int:
    asked = _arguments()
    good = True
    if asked.only != "drawn":
        good = written_by_hand([bug for bug in all_bugs() if asked.named in bug.name])
    if asked.only != "hand":
        good = drawn_by_chance(asked) and good
    return 0 if good else 1


def written_by_hand(bugs: Sequence[Bug]) -> bool:
    """Try each bug that was written by hand; return whether its own test saw every one."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        copy_of_the_project(place)
        print(f"{len(bugs)} bugs written by hand: do their tests pass without them?", flush=True)
        passed, said = passes_without(bugs, place)
        if not passed:
            print(said)
            return False
        killed = 0
        for bug in bugs:
            trial = try_one(bug, place)
            killed += trial.fate == "killed"
            print(f"{trial.fate:8} {bug.name}  [{bug.test_path.name}::{bug.test_name}]", flush=True)
            if trial.fate != "killed":
                print(f"  the promise: {bug.promise}\n{trial.said}")
    print(f"{killed} of {len(bugs)} bugs written by hand were seen by the test that is named for each.")
    return killed == len(bugs)


def drawn_by_chance(asked: argparse.Namespace) -> bool:
    """Try mutants of mutmut; return whether enough of them were killed."""
    mutants = drawn.Drawn(asked.at)
    mutants.make()
    every = mutants.fates()
    if asked.all:
        print(f"all {len(every)} mutants of core and language")
        names = list(every)
        mutants.run([], asked.children)
    else:
        seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
        names = drawn.sample(every, asked.sample, seed)
        print(f"{len(names)} of {len(every)} mutants of core and language, drawn with SEED={seed}", flush=True)
        mutants.run(names, asked.children)
    fates = mutants.fates()
    fates = {name: fates[name] for name in names}
    known = {one.mutant for one in drawn.equivalents()}
    alive = {name: mutants.shown(name) for name in drawn.survivors(fates)}
    by_module = drawn.scores(fates, [name for name, mutant in alive.items() if mutant in known])
    _print(by_module)
    new = [(name, mutant) for name, mutant in alive.items() if mutant not in known]
    for name, mutant in new[: None if asked.all else SHOWN_MAX]:
        print(f"{fates[name]}: {name}\n{mutant}")
    share = drawn.total(by_module).share
    print(f"{share:.1%} killed, {drawn.SHARE_MIN:.0%} are asked for.")
    return share >= drawn.SHARE_MIN


def _print(by_module: dict[str, drawn.Score]) -> None:
    print(f"{'module':32} {'killed':>7} {'survived':>9} {'untested':>9} {'the same':>9} {'share':>7}")
    for name, score in [*by_module.items(), ("all", drawn.total(by_module))]:
        counts = f"{score.killed:7} {score.survived:9} {score.untested:9} {score.equivalent:9}"
        print(f"{name:32} {counts} {score.share:7.1%}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", choices=["hand", "drawn"], help="the bugs written by hand alone, or mutmut's")
    parser.add_argument("--named", default="", help="of those written by hand: whose name holds this")
    parser.add_argument("--sample", type=int, default=SAMPLE, help=f"how many mutants are drawn ({SAMPLE})")
    parser.add_argument("--seed", type=int, help="draw the same ones again")
    parser.add_argument(
        "--all", action="store_true", help="every mutant: takes hours, and goes on where it was stopped"
    )
    parser.add_argument("--children", type=int, default=1, help="how many are tried side by side (1)")
    parser.add_argument("--at", type=Path, default=Path(sys.prefix, "mutants"), help="where mutmut keeps its copy")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
