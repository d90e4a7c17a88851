"""`make bench`: prints a table of ratios, seconds and memory; never fails because a machine is slow.

python -m benchmarks [--only cycles|sources|triggers|million] [--users N] [--people N] [--rounds N] [--write FILE]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import crowds, language, runs, sources, triggers
from benchmarks.runs import Measured


def main() -> None:
    """Run everything once and print the table."""
    parser = argparse.ArgumentParser(description="Speed and memory of the main job.")
    parser.add_argument("--users", type=int, default=20_000, help="users of the initial cycle")
    parser.add_argument("--people", type=int, default=50_000, help="users of each source that is read")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds of the initial cycle")
    parser.add_argument("--only", choices=("cycles", "sources", "triggers", "million"), help="measure just these")
    parser.add_argument("--write", type=Path, help="write the table into this file, between its marks")
    given = parser.parse_args()
    if given.only in (None, "cycles"):
        finish(_cycles(given.users, given.rounds), given.write, "measured")
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as directory:
        if given.only in (None, "sources"):
            finish(shown(sources.measure(Path(directory), given.people, 1)), given.write, "sources measured")
        if given.only in (None, "triggers"):
            finish(shown(triggers.measure(Path(directory))), given.write, "triggers measured")
        if given.only == "million":
            finish(shown(crowds.measure(Path(directory))), given.write, "million measured")


def finish(rows: list[tuple[str, str, str]], file: Path | None, marks: str) -> None:
    if file is not None:
        write(file, rows, marks)


def shown(rows: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Print each row as it comes; return them all."""
    kept = []
    for row in rows:
        print("{:<62} {:>18}   {}".format(*row), flush=True)
        kept.append(row)
    return kept


def _cycles(users: int, rounds: int) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as directory:
        for measure in (initial, unchanged, changed):
            rows += shown(measure(Path(directory), users, rounds))
    took = language.microseconds_a_user()
    rows += shown([("12 typical mappings of one user, the language alone", f"{took:.1f} µs", "to reach: 8")])
    return rows


def initial(directory: Path, users: int, rounds: int) -> list[tuple[str, str, str]]:
    """Compare an initial cycle with a bare loop that posts the same bodies to the same server, in turns."""
    organisation = runs.organisation(directory / "initial", users)
    ratios, ours, bare = [], [], []
    requests = 0.0
    for number in range(rounds):
        turns: list[Callable[[], None]] = [
            lambda: ours.append(runs.initial_cycle(organisation, users)),
            lambda: bare.append(runs.bare_loop(organisation, users)),
        ]
        for turn in turns if number % 2 == 0 else reversed(turns):
            turn()
        ratios.append(bare[-1].seconds / ours[-1].seconds)
        requests = ours[-1].requests / users
    cycle, loop = statistics.median(m.seconds for m in ours), statistics.median(m.seconds for m in bare)
    return [
        (f"initial cycle of {users:,} users, bare loop of the same bodies", f"{cycle:.1f} s, {loop:.1f} s", "median"),
        ("  rate beside the bare loop (1.0 = as fast)", f"{statistics.median(ratios):.2f}", "to reach: 0.6"),
        ("  users a second", f"{users / cycle:,.0f}", ""),
        ("  requests a user", f"{requests:.4f}", "to reach: 1.02"),
        ("  peak memory", f"{max(m.mib for m in ours):.0f} MiB", ""),
    ]


def unchanged(directory: Path, users: int, rounds: int) -> list[tuple[str, str, str]]:
    """Measure a cycle in which nothing changed, as a whole fresh process."""
    rows: list[tuple[str, str, str]] = []
    measured: dict[int, Measured] = {}
    for count in (50_000, 200_000):
        organisation = runs.organisation(directory / f"quiet-{count}", count)
        runs.settle(organisation)
        tries = [runs.quiet_cycle(organisation) for _ in range(rounds)]
        measured[count] = best = min(tries, key=lambda m: m.seconds)
        rows += [
            (f"nothing changed, {count:,} users: the whole process", f"{best.seconds:.2f} s", "best of rounds"),
            ("  peak memory of the process", f"{best.mib:.0f} MiB", ""),
            ("  requests", f"{best.requests:.0f}", "to reach: 0"),
        ]
    ratio = measured[200_000].mib / measured[50_000].mib
    rows.append(("  memory at 200,000 beside 50,000", f"{ratio:.2f}", "to reach: 1.3"))
    return rows


def changed(directory: Path, users: int, rounds: int) -> list[tuple[str, str, str]]:
    """Measure a cycle in which one user in a hundred changed."""
    organisation = runs.organisation(directory / "changed", 50_000)
    one = runs.changed_cycle(organisation, every=100)
    return [
        ("1 % of 50,000 users changed: the whole process", f"{one.seconds:.2f} s", ""),
        ("  requests", f"{one.requests:.0f}", "500 changed"),
    ]


def write(file: Path, rows: list[tuple[str, str, str]], marks: str) -> None:
    """Put the table between the marks of the file: `<!-- measured -->`, or others, and the end after them."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = [
        f"Measured on {os.cpu_count()} cores with {memory:.0f} GiB, Python {sys.version.split()[0]}, SQLite on disk.",
        "",
        "| what | measured | |",
        "|---|---:|---|",
        *(f"| {what.strip()} | {value} | {note} |" for what, value, note in rows),
    ]
    text = file.read_text()
    before, _, rest = text.partition(f"<!-- {marks} -->")
    _, _, after = rest.partition("<!-- end -->")
    file.write_text(before + f"<!-- {marks} -->\n" + "\n".join(lines) + "\n<!-- end -->" + after)


if __name__ == "__main__":
    main()
