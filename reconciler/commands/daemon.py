"""The command that stays: run."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import anyio
import click

from reconciler import config as configuration
from reconciler import logs, wiring
from reconciler.commands.housing import command_line
from reconciler.commands.options import config_option
from reconciler.commands.running import run_async
from reconciler.runtime.reloading import Jobs, Reloaded, differences
from reconciler.runtime.schedule import ApschedulerTicks
from reconciler.runtime.service import DRAIN_SECONDS, Service


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

    async def reload(before: Jobs) -> Reloaded:
        assert isinstance(before, wiring.House)
        loaded = configuration.load(config)
        _warn(loaded)
        after = before.with_config(loaded)
        connections, touched = wiring.connection_changes(before.config, loaded)
        return Reloaded(after, (*differences(before.plans(), after.plans()), *connections), touched)

    async def work() -> signal.Signals | None:
        loaded = configuration.load(config)
        _warn(loaded)
        async with wiring.open_house(loaded, write=True, process=command_line()) as house:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                service = Service(house, house.store, house.clock, ApschedulerTicks(), reload, drain_seconds=drain)
                return await service.run(signals)

    sys.exit(130 if run_async(work, log_level=log_level) == signal.SIGINT else 0)


def _warn(loaded: configuration.Config) -> None:
    for warning in loaded.warnings:
        logs.get().warning("config.warning", where=warning.where, problem=warning.problem, hint=warning.hint)
