"""Finds a job by the name that somebody typed."""

from __future__ import annotations

from difflib import get_close_matches

from reconciler.config import Config
from reconciler.errors import ConfigError, Problem


def job_named(config: Config, name: str) -> str:
    """Return the job's name; raises ConfigError with the nearest known one."""
    if name in config.jobs:
        return name
    near = get_close_matches(name, config.jobs, 1)
    hint = f"did you mean {near[0]}?" if near else f"jobs are: {', '.join(config.jobs) or 'none'}"
    raise ConfigError(Problem(str(config.path), f"there is no job {name}", hint))
