"""The command that provisions a few people or groups now, and shows each step: provision."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from reconciler.commands.options import existing
from reconciler.commands.printing import plain, print_json
from reconciler.commands.speaking import Daemon, asks_daemon

PROVISION_SECONDS = 3600.0
"""How long the daemon may take: a group may have many members, and each is a request or two."""


@click.command()
@click.argument("job")
@click.argument("names", metavar="USER|GROUP...", nargs=-1, required=True)
@asks_daemon
@click.option("--dry-run", is_flag=True, help="Ask the app, and show what would be done. Nothing is changed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def provision(job: str, names: tuple[str, ...], daemon: Daemon, dry_run: bool, as_json: bool) -> None:
    """Provision users, or groups with all their members, now; and show the five steps of each.

    A name is a source id, or any name by which matching finds somebody. Works on jobs that are paused, not enabled or
    in quarantine. Goes through the daemon where it runs.
    """
    if dry_run or not daemon.listens:
        answer = _here(job, names, daemon, dry_run=dry_run)
    else:
        answer = daemon.ask_job(job, "provision", seconds=PROVISION_SECONDS, names=list(names))
    if as_json:
        print_json(answer)
    else:
        from reconciler.commands.provisioning_shown import show

        show(answer)
    sys.exit(answer["exit_code"])


def _here(job: str, names: tuple[str, ...], daemon: Daemon, *, dry_run: bool) -> dict[str, Any]:
    """Provision in this process; a dry run on a copy of the state that is thrown away, also beside the daemon."""
    from reconciler import wiring
    from reconciler.commands.housing import in_house
    from reconciler.errors import ReconcilerError
    from reconciler.runtime.ondemand import provision as run
    from reconciler.runtime.peers import Peer
    from reconciler.runtime.provisioned import Provisioned

    by = Peer(os.getpid(), os.getuid(), frozenset()).name

    async def work(house: wiring.House) -> dict[str, Any]:
        plan = house.plan(wiring.job_named(house.config, job))
        async with house.world(job, rehearse=dry_run) as world:
            result = await run(plan, world, names, dry_run=dry_run, by=by)
        if isinstance(result, Provisioned):
            return result.as_dict()
        raise ReconcilerError("\n".join(plain(str(problem)) for problem in result))

    return in_house(existing(daemon.config), work, write=not dry_run, scratch=dry_run)
