"""What several commands take on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from reconciler.errors import ConfigError, Problem

_Command = TypeVar("_Command", bound=Callable[..., Any])

kind_option = click.option("--group", is_flag=True, help="The entry is a group, not a user.")
lines_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


def config_option(command: _Command) -> _Command:
    """Accept `-c FILE` after the subcommand too; the command gets `config: Path`, a file that is there."""

    def chosen(ctx: click.Context, _: click.Parameter, value: Path | None) -> Path:
        return existing(named_config(ctx, value))

    return click.option(
        "-c", "--config", type=click.Path(path_type=Path), callback=chosen, help="The configuration file."
    )(command)


def named_config(ctx: click.Context, value: Path | None) -> Path:
    """Return the configuration that was named: after the command, before it, in RECONCILER_CONFIG, or nowhere."""
    return value or ctx.find_root().obj or Path("config.toml")


def existing(path: Path) -> Path:
    """Return the path; raises ConfigError where no file is there."""
    if not is_there(path):
        raise ConfigError(
            Problem(str(path), "no such configuration file", "name one with -c FILE or RECONCILER_CONFIG")
        )
    return path


def is_there(path: Path) -> bool:
    """Return whether a configuration is there; raises ConfigError where it is not for us to see."""
    try:
        if path.is_dir():
            raise ConfigError(Problem(str(path), "is a directory", f"name the file in it, {path / 'config.toml'}"))
        return path.is_file()
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from None
