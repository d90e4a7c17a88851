"""The command line: finds the command that was asked for and imports only that one."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from reconciler import __version__
from reconciler.errors import ConfigError, ReconcilerError

COMMANDS = {
    "demo": "reconciler.commands.demo:demo",
    "init": "reconciler.commands.setup:init",
    "check": "reconciler.commands.setup:check",
    "schema": "reconciler.commands.setup:schema",
    "test": "reconciler.commands.cycles:test",
    "plan": "reconciler.commands.cycles:plan",
    "cycle": "reconciler.commands.cycles:cycle",
    "run": "reconciler.commands.daemon:run",
    "evaluate": "reconciler.commands.language:evaluate",
    "log": "reconciler.commands.records:log",
    "links": "reconciler.commands.records:links",
    "link": "reconciler.commands.records:link",
    "unlink": "reconciler.commands.records:unlink",
    "forget": "reconciler.commands.records:forget",
    "rebind": "reconciler.commands.records:rebind",
    "orphans": "reconciler.commands.records:orphans",
}


class Commands(click.Group):
    """A group whose commands are imported when they are used: those that speak to a socket must feel instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-c", "--config", type=click.Path(path_type=Path), envvar="RECONCILER_CONFIG", help="The configuration.")
@click.version_option(__version__, prog_name="reconciler")
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Keeps the accounts in a company's apps equal to what its directory or HR system says."""
    ctx.obj = config


def main() -> None:
    """Run the command line; exit 2 with a sentence on stderr for what a person has to mend."""
    try:
        cli.main(standalone_mode=True)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        raise SystemExit(2) from None
    except ReconcilerError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
