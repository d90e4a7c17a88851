"""The commands that show how the daemon and its jobs stand: status, health."""

from __future__ import annotations

import sys

import click

from reconciler.commands.options import is_there
from reconciler.commands.printing import print_json
from reconciler.commands.speaking import Daemon, Json, asks_daemon, quoted
from reconciler.errors import NoAnswer, ReconcilerError

EXIT_NO_ANSWER = 5
HEALTH_SECONDS = 5.0
"""A daemon that takes longer to say that it lives is not well."""


@click.command()
@click.argument("job", required=False)
@asks_daemon
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; with --watch JSON lines.")
@click.option("--watch", "watching", is_flag=True, help="Go on showing what happens, until Ctrl-C.")
def status(job: str | None, daemon: Daemon, as_json: bool, watching: bool) -> None:
    """Show how the daemon and its jobs stand. Without a daemon: what the state knows, and exit 5."""
    if watching:
        from reconciler.commands.watching import watch

        watch(daemon, job, as_json=as_json)
    try:
        shown = daemon.ask("GET", "/v1/status" + (f"?job={quoted(job)}" if job is not None else ""))
    except NoAnswer as silent:
        shown = _by_the_state(daemon, job, silent)
        _show(shown, shown.pop("now"), as_json=as_json)
        click.echo(f"error: {silent}", err=True)
        sys.exit(EXIT_NO_ANSWER)
    _show(shown, shown["daemon"]["now"], as_json=as_json)


@click.command()
@asks_daemon
@click.option("--ready", is_flag=True, help="Whether it also runs its jobs and can use its state.")
def health(daemon: Daemon, ready: bool) -> None:
    """Say whether the daemon answers: exit 0, or 5 with a sentence. For those who start it again, or wait for it."""
    daemon.ask("GET", "/readyz" if ready else "/healthz", seconds=HEALTH_SECONDS)
    click.echo("ok")


def _show(shown: Json, now: str, *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    from reconciler.commands.wording import status_lines

    for line in status_lines(shown, now):
        click.echo(line)


def _by_the_state(daemon: Daemon, job: str | None, silent: NoAnswer) -> Json:
    """Return what the state knows of the jobs. Raises `silent` where there is no state that can be read."""
    from reconciler import wiring
    from reconciler.commands.housing import in_house
    from reconciler.runtime.overview import job_overview, moment

    if not is_there(daemon.config):
        raise silent

    async def work(house: wiring.House) -> Json:
        names = list(house.config.jobs) if job is None else [wiring.job_named(house.config, job)]
        jobs = [await job_overview(house.store, house.plan(name)) for name in names]
        return {"daemon": None, "jobs": jobs, "now": moment(house.clock.now())}

    try:
        return in_house(daemon.config, work)
    except ReconcilerError as error:
        raise NoAnswer(f"{silent}; and of the state nothing can be said: {error}") from None
