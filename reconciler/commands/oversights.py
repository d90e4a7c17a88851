"""The command that shows who should be off and is not: overdue."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler import wiring
from reconciler.commands.housing import in_house, known_job
from reconciler.commands.options import config_option, lines_option
from reconciler.commands.printing import plain, print_json
from reconciler.runtime.overdue import OverdueList, overdue_list
from reconciler.runtime.overview import moment


@click.command()
@click.argument("job", required=False)
@config_option
@lines_option
def overdue(job: str | None, config: Path, as_json: bool) -> None:
    """Show who should be off in an app and is not, and what stands against it. The oldest first."""

    async def work(house: wiring.House) -> None:
        if job is not None:
            await known_job(house, job)
        now = house.clock.now()
        for name in [job] if job is not None else list(house.config.jobs):
            found = await overdue_list(house.store, name, now)
            if as_json:
                print_json(_as_json(found))
            else:
                _show(found, now)

    in_house(config, work)


def _show(found: OverdueList, now: float) -> None:
    if found.blind is not None:
        since = _age(now - found.blind.since)
        click.echo(plain(f"{found.job}  {found.blind.cause} for {since}: {found.blind.why}"))
    for one in found.people:
        since = _age(now - one.since)
        click.echo(plain(f"{found.job}  {one.hindrance} for {since}: {one.kind} {one.name} ({one.id}): {one.why}"))
    if found.total > len(found.people):
        click.echo(f"{found.job}  and {found.total - len(found.people)} more")
    if not found.people and found.blind is None:
        click.echo(f"{found.job}  nobody")


def _age(seconds: float) -> str:
    if seconds >= 2 * 86400:
        return f"{seconds / 86400:.0f} days"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{max(seconds, 0) / 60:.0f} min"


def _as_json(found: OverdueList) -> dict[str, object]:
    blind = found.blind
    return {
        "job": found.job,
        "total": found.total,
        "oldest": moment(found.oldest_since),
        "blind": {"cause": blind.cause, "why": blind.why, "since": moment(blind.since)} if blind is not None else None,
        "people": [
            {
                "kind": one.kind,
                "id": one.id,
                "name": one.name,
                "since": moment(one.since),
                "hindrance": one.hindrance,
                "why": one.why,
            }
            for one in found.people
        ],
    }
