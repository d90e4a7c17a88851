"""Opens the state for a command, and finds the job that it is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from reconciler import config as configuration
from reconciler import wiring
from reconciler.commands.running import run_async
from reconciler.runtime.postman import Postman

_Result = TypeVar("_Result")

MAIL_SECONDS = 10.0
"""How long a command may take to send the mails that it queued; what is left goes with the next one, or the daemon."""


def in_house(
    config: Path, work: Callable[[wiring.House], Awaitable[_Result]], *, write: bool = False, scratch: bool = False
) -> _Result:
    """Do some work on the state of a configuration; `scratch`: on a copy that is thrown away."""

    async def opened() -> _Result:
        loaded = configuration.load(config)
        process = command_line()
        async with wiring.open_house(loaded, write=write or scratch, scratch=scratch, process=process) as house:
            result = await work(house)
            if write and not scratch:
                await Postman(house.store, house.clock, wiring.build_post(loaded)).send_within(MAIL_SECONDS)
            return result

    return run_async(opened)


def command_line() -> str:
    """Return what is run here, for whoever finds the state being written."""
    context = click.get_current_context()
    job = context.params.get("job")
    return " ".join(filter(None, ("reconciler", context.info_name, job if isinstance(job, str) else None)))


async def known_job(house: wiring.House, job: str) -> str:
    """Return the job's name if the configuration or the state knows it: one that has left the former stays in the
    latter. Raises ConfigError with the nearest name of the configuration."""
    if job in house.config.jobs:
        return job
    if await house.store.history(job, 1) or await house.store.list_links(job, None):
        return job
    if await house.store.next_due(job) is not None:
        return job
    return wiring.job_named(house.config, job)
