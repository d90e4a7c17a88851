"""The command that shows the whole way on a sample organisation: demo."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.commands.progress import shown_progress
from reconciler.commands.running import run_async
from reconciler.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.config import Config
    from reconciler.demo.story import Event
    from reconciler.runtime.report import CycleReport

JOB = "phone"
_SHOWN = ("rename", "leaver", "rehire")
"""The chapters whose first person is followed through the log."""


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=Path("demo-organisation"))
@click.option("--serve", is_flag=True, help="Only start the app's server again in DIRECTORY, to go on by hand.")
def demo(directory: Path, serve: bool) -> None:
    """Show a directory and an app being kept equal, with a sample organisation and a real SCIM server."""
    if serve:
        run_async(lambda: _serve(directory))
    else:
        sys.exit(run_async(lambda: _demo(directory)))


async def _demo(directory: Path) -> int:
    from reconciler import config
    from reconciler.demo import organisation, story
    from reconciler.demo.server import DemoServer

    _empty(directory)
    async with DemoServer(directory, accounts=organisation.accounts_from_before()) as server:
        organisation.write(directory, server.url, server.token_file)
        loaded = config.load(directory / "config.toml")
        _say("1", f"A sample organisation is in {directory}/; a SCIM server that others wrote listens at {server.url}")
        first = await _cycle(loaded)
        _report(first)
        _say("2", "A month passes: people join, move, marry, leave and come back")
        events = story.tell(directory)
        for event in events:
            click.echo(f"     {event.name} {event.what}")
        second = await _cycle(loaded)
        _report(second)
        _say("3", "Nothing changed since")
        third = await _cycle(loaded)
        _report(third)
        click.echo(f"     requests to the app: {sum(third.requests.values())}")
        _say("4", "What happened to three of them, and why")
        await _tell_of(loaded, events)
    _say("5", "Go on by hand")
    click.echo(f"     reconciler demo --serve {directory} &    # the app's server, as it was left")
    click.echo(f"     cd {directory}; edit users.jsonl, then:")
    click.echo(f"     reconciler plan {JOB}; reconciler cycle {JOB}; reconciler log {JOB} --since 1h")
    return max(report.exit_code for report in (first, second, third))


def _empty(directory: Path) -> None:
    """Make the directory; one that an earlier demo left is made anew, any other is not touched."""
    from reconciler.demo.server import PORT_FILE

    if directory.exists() and any(directory.iterdir()):
        if not (directory / PORT_FILE).exists():
            raise ConfigError(Problem(str(directory), "is not empty, and no demo made it", "name another directory"))
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)


async def _serve(directory: Path) -> None:
    from reconciler.demo.server import PORT_FILE, DemoServer

    if not (directory / PORT_FILE).exists():
        raise ConfigError(Problem(str(directory), "no demo has been made here", "run `reconciler demo` first"))
    async with DemoServer(directory) as server:
        click.echo(f"The app's server listens at {server.url}; Ctrl-C ends it and keeps its accounts.", err=True)
        await _until_told(server.ended)


async def _until_told(ended: object) -> None:
    import signal

    import anyio

    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            await ended()  # type: ignore[operator]  # because it is the server's own coroutine method
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for _ in signals:
                tasks.cancel_scope.cancel()
                break


async def _cycle(loaded: Config) -> CycleReport:
    from reconciler import wiring
    from reconciler.runtime.cycle import run_cycle

    async with wiring.open_house(loaded, write=True, process="reconciler demo") as house:
        with shown_progress(enabled=True) as progress:
            async with house.world(JOB, progress=progress) as world:
                return await run_cycle(house.plan(JOB), world)


async def _tell_of(loaded: Config, events: Sequence[Event]) -> None:
    from reconciler import wiring
    from reconciler.commands.records import log_text
    from reconciler.ports import LogQuery

    people = [next(event for event in events if event.chapter == chapter) for chapter in _SHOWN]
    async with wiring.open_house(loaded, write=False) as house:
        for event in people:
            click.echo(f"     {event.name} ({event.person}) {event.what}")
            async for row in house.store.log(LogQuery(JOB, user=event.person)):
                click.echo("        " + log_text(row).replace("\n", "\n        "))


def _say(number: str, text: str) -> None:
    click.echo(f"\n  {number}  {text}")


def _report(report: CycleReport) -> None:
    from reconciler.commands.reporting import summary

    click.echo(f"     {summary(report.as_dict())}")
    for failure in report.failures:
        click.echo(f"     failed {failure['operation']} {failure['id']}: {failure['reason']}", err=True)
