"""Shows what the daemon does while it does it: live on a terminal, in lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import click

from reconciler.commands.printing import print_json
from reconciler.commands.speaking import Daemon, Events, Json, quoted
from reconciler.commands.wording import PARTS, event_line, moment, status_lines

EXIT_STOPPED = 3
LOOK_SECONDS = 1.0
PROGRESS_LINE_SECONDS = 5.0
"""How often a part's progress is a line, where nobody sees bars."""
WITH_RATE_COLUMNS, WITH_BAR_COLUMNS = 52, 80
"""How wide a window must be for what is shown there."""


def wait_for(daemon: Daemon, events: Events, job: str, run: int, *, quiet: bool) -> Json:
    """Return what came of a cycle; show how far it is meanwhile. Raises NoAnswer where the daemon ends before it.

    A cycle that was stopped before its turn came is as one that was stopped."""
    with _bars(quiet) if sys.stderr.isatty() else nullcontext(_lines(quiet)) as show:
        while True:
            event = events.next(LOOK_SECONDS)
            if event is None:
                continue
            if event["event"] == "events.dropped":
                last = daemon.ask("GET", f"/v1/jobs/{quoted(job)}")["last_run"]
                if last is not None and last["run"] >= run:
                    return dict(last)
            if event.get("run") != run:
                continue
            if event["event"] == "cycle.dropped":
                problem = f"the cycle was not run: {event['by']} stopped the job before its turn came"
                return {"report": None, "problem": problem, "exit_code": EXIT_STOPPED}
            show(event)
            if event["event"] == "cycle.ended":
                return event


def watch(daemon: Daemon, job: str | None, *, as_json: bool) -> None:
    """Show how the jobs stand until Ctrl-C, or until the daemon ends (NoAnswer)."""
    with daemon.events(job) as events:
        if as_json:
            print_json({"event": "status", **_status(daemon, job)})
            while True:
                if (event := events.next(LOOK_SECONDS)) is not None:
                    print_json(event)
        if sys.stdout.isatty():
            _live(daemon, events, job)
        _print(_status(daemon, job))
        show = _lines(quiet=False, to_stderr=False)
        while True:
            if (event := events.next(LOOK_SECONDS)) is not None:
                show(event)


def _status(daemon: Daemon, job: str | None) -> Json:
    return daemon.ask("GET", "/v1/status" + (f"?job={quoted(job)}" if job is not None else ""))


def _print(status: Json) -> None:
    for line in status_lines(status, status["daemon"]["now"]):
        click.echo(line)


def _live(daemon: Daemon, events: Events, job: str | None) -> None:
    """Draw the status again whenever something happens, and each second."""
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, screen=False) as live:
        while True:
            status = _status(daemon, job)
            live.update(Text("\n".join(status_lines(status, status["daemon"]["now"]))), refresh=True)
            if events.next(LOOK_SECONDS) is not None:
                while events.next(0.0) is not None:
                    pass  # one picture for all that happened meanwhile


def _lines(quiet: bool, *, to_stderr: bool = True) -> Callable[[Json], None]:
    """Return what prints events; progress not more often than is of use."""
    shown: dict[tuple[Any, Any], float] = {}

    def show(event: Json) -> None:
        if quiet:
            return
        if event["event"] == "cycle.progress":
            part, at = (event["job"], event["part"]), moment(event["at"]).timestamp()
            if event["done"] != event["total"] and at - shown.get(part, 0.0) < PROGRESS_LINE_SECONDS:
                return
            shown[part] = at
        click.echo(event_line(event), err=to_stderr)

    return show


def _bars(quiet: bool) -> AbstractContextManager[Callable[[Json], None]]:
    if quiet:
        return nullcontext(_lines(quiet))
    return _drawn_bars()


@contextmanager
def _drawn_bars() -> Iterator[Callable[[Json], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TaskID, TextColumn

    console = Console(stderr=True)
    rate, left = TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[left]}")
    # what is not to be missed is not cut off in a narrow window: how far it is, and how long it still takes
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), MofNCompleteColumn(), left]
    if console.width >= WITH_RATE_COLUMNS:
        columns.insert(2, rate)
    if console.width >= WITH_BAR_COLUMNS:
        columns.insert(1, BarColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(event: Json) -> None:
            if event["event"] != "cycle.progress":
                return
            part, rate, left = str(event["part"]), event["per_second"], event["seconds_left"]
            if part not in tasks:
                tasks[part] = bars.add_task(PARTS.get(part, part), total=event["total"], rate="", left="")
            bars.update(
                tasks[part],
                completed=event["done"],
                total=event["total"],
                rate="" if rate is None else f"{rate:,.0f}/s",
                left="" if left is None else f"{left:,.0f} s left",
            )

        yield show
