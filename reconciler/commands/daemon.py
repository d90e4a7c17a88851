"""The command that stays: run."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import click

from reconciler import config as configuration
from reconciler import logs, wiring
from reconciler.commands.housing import command_line
from reconciler.commands.options import config_option
from reconciler.commands.running import Tidying, run_async
from reconciler.errors import ReconcilerError, StateError, StateLocked
from reconciler.runtime.clock import SystemClock
from reconciler.runtime.control import Control
from reconciler.runtime.desk import Desk
from reconciler.runtime.door import open_door, passed_door
from reconciler.runtime.exporting import Exporter, open_port
from reconciler.runtime.metrics import Metrics
from reconciler.runtime.peers import Rights, people_named
from reconciler.runtime.postman import Postman
from reconciler.runtime.reloading import Jobs, Reloaded, differences
from reconciler.runtime.schedule import ApschedulerTicks
from reconciler.runtime.service import DRAIN_SECONDS, Service
from reconciler.runtime.systemd import Announcer, systemd_of

EXIT_LATER = 75
"""The state cannot be used now (EX_TEMPFAIL of sysexits.h): its database is away, the disk is full. That may pass, so
whoever supervises us is to start us again, which is not so of a wrong configuration or a second daemon."""
LAST_MAILS_SECONDS = 5.0
"""How long the mails of the last cycles may take before the daemon ends; what is left is sent when it starts again."""


@click.command()
@config_option
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option(
    "--drain",
    type=click.FloatRange(min=0.0),
    default=DRAIN_SECONDS,
    show_default=True,
    help="Seconds that running cycles get after SIGTERM.",
)
def run(config: Path, log_level: str, drain: float) -> None:
    """Run the daemon in the foreground."""

    spoken_to: list[Control] = []
    postmen: list[Postman] = []

    async def reload(before: Jobs) -> Reloaded:
        assert isinstance(before, wiring.House)
        loaded = configuration.load(config)
        _warn(loaded)
        after = before.with_config(loaded)
        connections, touched = wiring.connection_changes(before.config, loaded)
        for control in spoken_to:
            control.admit(_rights(loaded, control.group))
        for postman in postmen:
            postman.take_over(wiring.build_post(loaded))
        return Reloaded(after, (*differences(before.plans(), after.plans()), *connections), touched)

    async def work() -> signal.Signals | None:
        systemd = systemd_of(os.environ)
        if systemd is None:
            return await serve(None)
        with closing(systemd):
            announcer = Announcer(systemd, SystemClock())
            return await _beside([announcer.beat], serve(announcer))

    async def serve(announcer: Announcer | None) -> signal.Signals | None:
        loaded = configuration.load(config)
        _warn(loaded)
        async with wiring.open_house(loaded, write=True, process=command_line()) as opened:
            metrics = Metrics(opened.clock)
            house = replace(opened, measure=metrics.note)
            postman = Postman(house.store, house.clock, wiring.build_post(loaded))
            postmen.append(postman)
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                service = Service(
                    *(house, house.store, house.clock, ApschedulerTicks(), reload),
                    drain_seconds=drain,
                    postman=postman,
                )
                service.events.give(metrics.take)
                service.events.give(Tidying().hear)
                desk = Desk(service, house.store, house.clock)
                beside: list[Callable[[], Coroutine[None, None, None]]] = []
                if loaded.metrics is not None:
                    port = open_port(loaded.metrics.host, loaded.metrics.port)
                    beside.append(Exporter(port, metrics, service, house.store, house.clock, desk).serve)
                control = _control(loaded, service, house, metrics, desk)
                if control is not None:
                    spoken_to.append(control)
                    beside.append(control.serve)
                if announcer is not None:
                    beside.append(partial(announcer.follow, service, house.store))
                received = await _beside(beside, service.run(signals))
                await postman.send_within(LAST_MAILS_SECONDS)
                return received

    try:
        received = run_async(work, log_level=log_level)
    except StateLocked:
        raise  # a second writer is refused as everywhere
    except StateError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_LATER)
    sys.exit(130 if received == signal.SIGINT else 0)


async def _beside(
    others: Iterable[Callable[[], Coroutine[None, None, None]]], running: Awaitable[signal.Signals | None]
) -> signal.Signals | None:
    """Do the others for as long as what is `running` takes."""
    refused: ReconcilerError | None = None
    received = None
    async with anyio.create_task_group() as tasks:
        for other in others:
            tasks.start_soon(other)
        try:
            received = await running
        except ReconcilerError as error:
            refused = error  # raised below: a task group would wrap it
        tasks.cancel_scope.cancel()
    if refused is not None:
        raise refused
    return received


def _control(
    loaded: configuration.Config, service: Service, house: wiring.House, metrics: Metrics, desk: Desk
) -> Control | None:
    """Return what people speak to; None where neither the configuration nor systemd names a socket."""
    door = passed_door(os.environ)
    if door is None and loaded.control_socket is not None:
        door = open_door(loaded.control_socket, loaded.control.group)
    if door is None:
        logs.get().warning("control.off", hint="name [control] socket in the configuration")
        return None
    return Control(
        door, _rights(loaded, door.group), service, desk, house.store, house.clock, str(loaded.path), metrics
    )


def _rights(loaded: configuration.Config, group: int) -> Rights:
    settings = loaded.control
    operators, unknown = people_named(settings.operators if settings.operators is not None else [f"group:{group}"])
    readers, more = people_named(settings.readers)
    for name in (*unknown, *more):
        logs.get().warning("control.unknown_name", name=name, hint="this machine has no such user or group")
    return Rights(operators, readers, os.geteuid())


def _warn(loaded: configuration.Config) -> None:
    for warning in loaded.warnings:
        logs.get().warning("config.warning", where=warning.where, problem=warning.problem, hint=warning.hint)
