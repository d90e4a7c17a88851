"""Runs one seed from its beginning to its end, and tells how to do it again where a promise was not kept."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from reconciler.commands.running import COLLECT_AFTER
from tests.sim import disk as disks
from tests.sim.loop import run_virtually
from tests.sim.simulation import Outcome, Simulation
from tests.sim.watch import Broken


def simulate(seed: int) -> Outcome:
    """Run one seed. Raises Broken with the way to do it again, and the end of the story."""
    directory = disks.directory()
    simulation: Simulation | None = None

    async def work() -> Outcome:
        nonlocal simulation
        simulation = Simulation(seed, directory)
        return await simulation.run()

    def log(event: dict[str, Any]) -> None:
        if simulation is not None:
            simulation.log(event)

    usual = gc.get_threshold()
    gc.set_threshold(*COLLECT_AFTER)  # as commands do
    try:
        with logging_to(log):
            return run_virtually(work)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or simulation is None:
            raise
        raise Broken(_report(seed, simulation, error)) from error
    finally:
        gc.set_threshold(*usual)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def logging_to(take: Callable[[dict[str, Any]], object]) -> Iterator[None]:
    """Let what is logged from warnings up go there, and nowhere else."""

    def tell(_: Any, __: str, event: Any) -> Any:
        take(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, tell],
        wrapper_class=structlog.make_filtering_bound_logger(30),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _report(seed: int, simulation: Simulation, error: BaseException) -> str:
    rule = "-" * 100
    return "\n".join(
        [
            f"seed {seed}: {type(error).__name__}: {error}",
            rule,
            simulation.story.end(),
            rule,
            f"rules: {simulation.rules}",
            f"app: {simulation.app.thinks}",
            f"weather: {simulation.weather.shares} {simulation.weather.spells}",
            rule,
            f"seed {seed}: {type(error).__name__}: {error}",
            f"again: python -m tests.sim {seed}",
        ]
    )
