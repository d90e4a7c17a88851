"""The command that stays: run."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import click

from reconciler import config as configuration
from reconciler import logs, wiring
from reconciler.commands.options import config_option
from reconciler.commands.running import run_async
from reconciler.runtime.schedule import ApschedulerTicks
from reconciler.runtime.service import DRAIN_SECONDS, Jobs, Reloaded, Service, differences


@click.command()
@config_option
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option(
    "--drain", type=float, default=DRAIN_SECONDS, show_default=True, help="Seconds to end cycles in on SIGTERM."
)
def run(config: Path, log_level: str, drain: float) -> None:
    """Run the daemon in the foreground."""
    logs.configure(level=log_level)

    async def reload(before: Jobs) -> Reloaded:
        assert isinstance(before, wiring.House)
        loaded = configuration.load(config)
        after = before.with_config(loaded)
        return Reloaded(after, differences(before.plans(), after.plans()))

    async def work() -> None:
        loaded = configuration.load(config)
        for warning in loaded.warnings:
            logs.get().warning("config.warning", where=warning.where, problem=warning.problem)
        async with wiring.open_house(loaded, write=True) as house:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                ticks = ApschedulerTicks()
                service = Service(house, house.store, house.clock, ticks, reload, drain_seconds=drain)
                await service.run(signals)

    run_async(work)
