"""The commands that tell the daemon what to do with a job: trigger, pause, resume, restart, stop."""

from __future__ import annotations

import sys

import click

from reconciler.commands.printing import print_json
from reconciler.commands.speaking import Daemon, asks_daemon


@click.command()
@click.argument("job")
@asks_daemon
@click.option("--full", is_flag=True, help="Evaluate everybody again and compare with the target.")
@click.option("--wait", is_flag=True, help="Wait for its end; exit as `cycle` would.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: with --wait that of `cycle`.")
def trigger(job: str, daemon: Daemon, full: bool, wait: bool, as_json: bool) -> None:
    """Run a cycle of a job now, in the daemon; after the running one, where there is one."""
    if not wait:
        ticket = daemon.ask_job(job, "trigger", full=full)
        if as_json:
            print_json(ticket)
        else:
            when = "begins when the running one has ended" if ticket["queued"] else "has begun"
            click.echo(f"a cycle of {job} {when}; `reconciler status {job} --watch` shows it")
        return
    from reconciler.commands.reporting import show_report
    from reconciler.commands.watching import wait_for

    with daemon.events(job) as events:
        ticket = daemon.ask_job(job, "trigger", full=full)
        ended = wait_for(daemon, events, job, ticket["run"], quiet=as_json)
    report = ended["report"]
    if report is None:
        click.echo(f"error: {ended['problem']}", err=True)
    elif as_json:
        print_json(report)
    else:
        show_report(report)
    sys.exit(ended["exit_code"])


@click.command()
@click.argument("job")
@asks_daemon
@click.option("--reason", default="", help="Why, for those who look at it later.")
def pause(job: str, daemon: Daemon, reason: str) -> None:
    """Start no further cycle of a job until it is resumed. A running one goes on to its end."""
    shown = daemon.ask_job(job, "pause", reason=reason)
    running = "; the cycle that is running goes on to its end (`stop` ends it now)" if shown["running"] else ""
    click.echo(f"{job} is paused{running}; `reconciler resume {job}` lets it go on")


@click.command()
@click.argument("job")
@asks_daemon
def resume(job: str, daemon: Daemon) -> None:
    """Let a paused or stopped job go on: at once where it is overdue."""
    shown = daemon.ask_job(job, "resume")
    due = f"; its next cycle is due at {shown['next_due']}" if shown["next_due"] is not None else ""
    click.echo(f"{job} goes on{due}")


@click.command()
@click.argument("job")
@asks_daemon
@click.option(
    "--reset",
    "scopes",
    multiple=True,
    metavar="SCOPE",
    help="What is cleared: watermark, escrows, quarantine, links, force-deletes, full. May be given several times. "
    "Default: watermark, escrows and quarantine.",
)
def restart(job: str, daemon: Daemon, scopes: tuple[str, ...]) -> None:
    """Stop a running cycle, clear what is known of a job, begin anew. Accounts are not touched by that."""
    from reconciler.core.restarting import BEGINS_ANEW, ResetScope, word_of

    done = daemon.ask_job(job, "restart", scopes=list(scopes))
    scopes_done = {ResetScope(one) for one in done["cleared"]}
    cleared = ", ".join(word_of(one) for one in sorted(scopes_done - {ResetScope.FORCE_DELETES}))
    told = [f"cleared {cleared}"] if cleared else []
    if ResetScope.FORCE_DELETES in scopes_done:
        told.append("no safeguard holds the disables and deletes of the next cycle")
    kind = "an initial cycle" if scopes_done & BEGINS_ANEW else "a cycle"
    told.append(f"{kind} has begun" if done["ticket"] is not None else f"{kind} begins when the job runs again")
    click.echo(f"{job}: {'; '.join(told)}")


@click.command()
@click.argument("job")
@asks_daemon
def stop(job: str, daemon: Daemon) -> None:
    """End a job's running cycle now, between two requests. The job runs again when it is due."""
    done = daemon.ask_job(job, "stop")
    if done["stopping"]:
        click.echo(f"the cycle of {job} is being stopped; what was done is written down")
    else:
        click.echo(f"no cycle of {job} is running")
