"""The command that takes one person out of every job at once: deprovision."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from reconciler.commands.options import existing
from reconciler.commands.printing import plain, print_json
from reconciler.commands.reporting import several
from reconciler.commands.speaking import Daemon, asks_daemon

EXPEL_SECONDS = 600.0


@click.command()
@click.argument("user")
@asks_daemon
@click.option("--all-jobs", is_flag=True, required=True, help="In every job that knows the person.")
@click.option("--yes", is_flag=True, help="Do it. Without this it is only shown.")
@click.option("--release", is_flag=True, help="Leave the person to the rules again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def deprovision(user: str, daemon: Daemon, all_jobs: bool, yes: bool, release: bool, as_json: bool) -> None:
    """Disable one person's accounts in all apps now, and keep them off until --release.

    Shows what would be done; --yes does it. By the state alone: no source is asked. Goes through the daemon where
    it runs.
    """
    if release and yes:
        raise click.UsageError("--release needs no --yes")
    if daemon.listens and (yes or release):
        body = {"user": user, "release": True} if release else {"user": user}
        answer = daemon.ask("POST", "/v1/deprovision", body, seconds=EXPEL_SECONDS)
    else:
        answer = _here(user, daemon, yes=yes, release=release)
    if as_json:
        print_json(answer)
    elif release:
        click.echo(
            f"{several(answer['released'], 'entry is', 'entries are')} left to the rules again; the next cycles decide"
        )
    else:
        _show(answer)
    sys.exit(answer["exit_code"])


def _here(user: str, daemon: Daemon, *, yes: bool, release: bool) -> dict[str, Any]:
    from reconciler import wiring
    from reconciler.commands.housing import in_house
    from reconciler.runtime.peers import Peer
    from reconciler.runtime.taking_out import let_back, take_out

    by = Peer(os.getpid(), os.getuid(), frozenset()).name

    async def work(house: wiring.House) -> dict[str, Any]:
        if release:
            released, jobs = await let_back(house.store, user)
            return {"released": released, "jobs": list(jobs), "exit_code": 0}
        done = await take_out(house.store, house.plans(), house.world, house.clock, user, by=by, dry_run=not yes)
        return done.as_dict()

    return in_house(existing(daemon.config), work, write=yes or release)


def _show(answer: dict[str, Any]) -> None:
    for one in answer["people"]:
        account = f", account {one['target_id']}" if one["target_id"] else ""
        why = f": {one['why']}" if one["why"] else ""
        click.echo(plain(f"{one['job']}  {one['outcome']}  {one['name']} ({one['id']}){account}{why}"))
    if answer["dry_run"]:
        click.echo("nothing was done; --yes does it", err=True)
