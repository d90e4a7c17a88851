"""What several commands take on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from reconciler.errors import ConfigError, Problem

_Command = TypeVar("_Command", bound=Callable[..., Any])


def config_option(command: _Command) -> _Command:
    """Accept `-c FILE` after the subcommand too; the command gets `config: Path`."""

    def chosen(ctx: click.Context, _: click.Parameter, value: Path | None) -> Path:
        path = value or ctx.find_root().obj or Path("config.toml")
        if not path.is_file():
            raise ConfigError(
                Problem(str(path), "no such configuration file", "name one with -c FILE or RECONCILER_CONFIG")
            )
        return path

    return click.option(
        "-c", "--config", type=click.Path(path_type=Path), callback=chosen, help="The configuration file."
    )(command)
