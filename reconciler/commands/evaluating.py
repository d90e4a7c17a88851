"""Evaluates expressions with what a job knows: its tables, its domain, its people, or all of its mappings at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from reconciler import config as configuration
from reconciler import wiring
from reconciler.commands.running import run_async
from reconciler.config import Config
from reconciler.core.mapping import Mapper
from reconciler.core.model import Constant, Direct, FromExpression, Job, ObjectRules, SourceId, Untouched
from reconciler.language.syntax import render
from reconciler.language.tree import Attribute
from reconciler.ports import Wanted
from reconciler.runtime.clock import SystemClock


def job_of(path: Path, name: str) -> tuple[Config, Job]:
    """Return a configuration and one of its jobs; raises ConfigError."""
    loaded = configuration.load(path)
    return loaded, loaded.jobs[wiring.job_named(loaded, name)]


def rules_of(job: Job) -> ObjectRules:
    """Return how the job maps users."""
    if job.users is None:
        raise click.UsageError(f"job {job.name} has nothing to do with users")
    return job.users


def person(config: Config, job: Job, source_id: str) -> dict[str, Any]:
    """Return the attributes of somebody as the job's source gives them now."""
    rules = rules_of(job)
    reads = Mapper.compile(rules, config.job_profiles[job.name]).reads

    async def read() -> dict[str, Any]:
        source = wiring.build_source(config, job.source, SystemClock())
        try:
            found = await source.fetch("user", [SourceId(source_id)], Wanted(reads, frozenset()))
        finally:
            await source.close()
        entry = found.get(SourceId(source_id))
        if entry is None:
            known = "has nobody with this id" if SourceId(source_id) in found else "could not be read"
            raise click.UsageError(f"--user {source_id}: the source {job.source} {known}")
        return dict(entry.attributes)

    return run_async(read)


def mappings(rules: ObjectRules) -> Iterator[tuple[str, str | None, Any]]:
    """Yield (path, expression, constant) of each mapping: a direct one is the expression of its attribute."""
    for mapping in rules.mappings:
        match mapping.source:
            case Direct(attribute=attribute):
                yield mapping.to, render(Attribute(attribute, 0, 0)), None
            case FromExpression(text=text):
                yield mapping.to, text, None
            case Constant(value=value):
                yield mapping.to, None, value
            case Untouched():
                yield mapping.to, None, mapping.default
