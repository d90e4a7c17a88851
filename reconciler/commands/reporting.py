"""Says in words what a cycle came to; imports little, since those who ask the daemon must not wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from reconciler.commands.printing import plain

FAILURES_SHOWN = 20


def summary(report: Mapping[str, Any], *, planned: bool = False) -> str:
    """Return in one line what a cycle did. `report` is the object that `cycle --json` prints."""
    read, verb = report["read"], "would do" if planned else "did"
    return (
        f"{report['kind']} cycle of {report['job']}: read {read['users']} users and {read['groups']} groups"
        f" in {report['duration_seconds']:.1f} s; {verb}: {counted(report['counts'])}; state {report['state']}"
    )


def counted(counts: Mapping[str, int]) -> str:
    """Return what was done, by word: "3 create, 1 members added"."""
    return ", ".join(f"{n} {word.replace('_', ' ')}" for word, n in counts.items() if n) or "nothing"


def several(n: int, one: str, many: str = "") -> str:
    """Return how many there are of something: "1 operation", "2 operations"."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def show_report(report: Mapping[str, Any], *, planned: bool = False) -> None:
    """Print what a cycle came to; what stands against it goes to stderr."""
    click.echo(summary(report, planned=planned))
    for problem in report["problems"]:
        click.echo(f"  {plain(problem)}", err=True)
    for failure in report["failures"][:FAILURES_SHOWN]:
        text = f"  failed {failure['operation']} {failure['id']}: {failure['error_code']}: {failure['reason']}"
        click.echo(plain(text), err=True)
    more = len(report["failures"]) - FAILURES_SHOWN
    if more > 0:
        click.echo(f"  and {more} more; see `reconciler log {report['job']} --status failure`", err=True)
