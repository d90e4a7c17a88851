"""The command that says what a job has come to since it first ran: statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from reconciler import wiring
from reconciler.commands.housing import in_house, known_job
from reconciler.commands.options import config_option
from reconciler.commands.printing import print_json
from reconciler.ports import Statistics


@click.command()
@click.argument("job")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def statistics(job: str, config: Path, as_json: bool) -> None:
    """Show what a job has come to since it first ran; the log's retention takes nothing of it away."""

    async def work(house: wiring.House) -> None:
        await known_job(house, job)
        found = await house.store.statistics(job)
        if as_json:
            print_json(statistics_json(job, found))
        else:
            for line in statistics_text(job, found):
                click.echo(line)

    in_house(config, work)


def statistics_json(job: str, found: Statistics) -> dict[str, Any]:
    """Return them as plain JSON values."""
    return {
        "job": job,
        "managed": {f"{kind}s": n for kind, n in found.managed.items()},
        "provisioned_to_date": {f"{kind}s": n for kind, n in found.provisioned.items()},
        "done": dict(found.done),
        "failed": dict(found.failed),
        "skipped": found.skipped,
        "last_cycle": _last(found.last_cycle),
        "steady_state_first_achieved": _moment(found.steady_first_at),
        "steady_state_last_achieved": _moment(found.steady_last_at),
    }


def statistics_text(job: str, found: Statistics) -> Iterator[str]:
    """Yield them as lines for a person."""
    yield f"{job}"
    yield f"  managed now: {_by_kind(found.managed)}"
    yield f"  provisioned to date: {_by_kind(found.provisioned)}"
    yield f"  done: {_listed(found.done)}"
    yield f"  failed: {_listed(found.failed)}"
    yield f"  left alone: {found.skipped}"
    last = _last(found.last_cycle)
    if last is None:
        yield "  no cycle has ended yet"
    else:
        yield (
            f"  last cycle: {last['kind']}, {last['state']}, ended {last['ended_at']}"
            f" after {last['duration_seconds']} s ({last['cycle_id']})"
        )
    first = _moment(found.steady_first_at)
    yield f"  steady state: first {first}, last {_moment(found.steady_last_at)}" if first else "  steady state: not yet"


def _last(summary: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    shown = {name: summary.get(name) for name in ("cycle_id", "kind", "state", "started_at", "duration_seconds")}
    return {**shown, "ended_at": _moment(summary["ended_at"])}


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _by_kind(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{n} {kind}{'' if n == 1 else 's'}" for kind, n in counts.items())


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "nothing"
