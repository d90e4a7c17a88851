"""The command line: finds the command that was asked for and imports only that one."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import click

from reconciler import __version__
from reconciler.errors import ConfigError, NoAnswer, ReconcilerError

COMMANDS = {
    "demo": "reconciler.commands.demo:demo",
    "init": "reconciler.commands.setup:init",
    "profiles": "reconciler.commands.setup:profiles",
    "check": "reconciler.commands.setup:check",
    "schema": "reconciler.commands.setup:schema",
    "test": "reconciler.commands.cycles:test",
    "test-mail": "reconciler.commands.mailing:test_mail",
    "plan": "reconciler.commands.cycles:plan",
    "cycle": "reconciler.commands.cycles:cycle",
    "provision": "reconciler.commands.provisioning:provision",
    "deprovision": "reconciler.commands.expelling:deprovision",
    "run": "reconciler.commands.daemon:run",
    "status": "reconciler.commands.oversight:status",
    "health": "reconciler.commands.oversight:health",
    "trigger": "reconciler.commands.verbs:trigger",
    "pause": "reconciler.commands.verbs:pause",
    "resume": "reconciler.commands.verbs:resume",
    "restart": "reconciler.commands.verbs:restart",
    "stop": "reconciler.commands.verbs:stop",
    "holds": "reconciler.commands.holds:holds",
    "approve": "reconciler.commands.holds:approve",
    "reject": "reconciler.commands.holds:reject",
    "evaluate": "reconciler.commands.language:evaluate",
    "import-schema": "reconciler.commands.migrating:import_schema",
    "import-okta": "reconciler.commands.migrating:import_okta",
    "import-roles": "reconciler.commands.migrating:import_roles",
    "log": "reconciler.commands.records:log",
    "statistics": "reconciler.commands.statistics:statistics",
    "support": "reconciler.commands.support:support",
    "overdue": "reconciler.commands.oversights:overdue",
    "links": "reconciler.commands.links:links",
    "link": "reconciler.commands.links:link",
    "unlink": "reconciler.commands.links:unlink",
    "forget": "reconciler.commands.mending:forget",
    "rebind": "reconciler.commands.mending:rebind",
    "orphans": "reconciler.commands.mending:orphans",
}

EXIT_USAGE = 2
EXIT_NO_ANSWER = 5
EXIT_INTERRUPTED = 130
EXIT_NOBODY_READS = 141
"""What a shell shows of a program that a closed pipe ended."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Commands are: {', '.join(COMMANDS)}."
            ctx.fail(f"No such command '{args[0]}'. {hint}")
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:  # click would make exit 1 of it: help is printed while a context is made
            return super().make_context(*args, **kwargs)
        except BrokenPipeError:
            _nobody_reads()

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _nobody_reads()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-c", "--config", type=click.Path(path_type=Path), envvar="RECONCILER_CONFIG", help="The configuration.")
@click.version_option(__version__, prog_name="reconciler")
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Keeps the accounts in a company's apps equal to what its directory or HR system says."""
    ctx.obj = config


def main() -> NoReturn:
    """Run the command line and exit; 2 with a sentence on stderr for what a person has to mend, 130 on Ctrl-C."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # names come in every script, and a terminal may know only one
            stream.reconfigure(errors="replace")
    try:
        code = cli.main(standalone_mode=False, prog_name="reconciler")
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except click.Abort:
        click.echo("interrupted", err=True)
        code = EXIT_INTERRUPTED
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        code = EXIT_USAGE
    except NoAnswer as error:
        click.echo(f"error: {error}", err=True)
        code = EXIT_NO_ANSWER
    except ReconcilerError as error:
        click.echo(f"error: {error}", err=True)
        code = EXIT_USAGE
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        # who writes a file of yours names it: what is left is what we print, and files without a name
        _drop_output()
        click.echo(f"error: the output, or a temporary file, cannot be written: {error.strerror}", err=True)
        code = EXIT_USAGE
    raise SystemExit(code if isinstance(code, int) else 0)


def _open_what_is_closed() -> None:
    """Open the standard streams that are closed: else the state, or a socket, would get their numbers."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(opened)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))


def _nobody_reads() -> NoReturn:
    """End without a word: whoever read our output has closed it, as `head` does."""
    _drop_output()
    raise SystemExit(EXIT_NOBODY_READS)


def _drop_output() -> None:
    """Send what is still to be printed nowhere: at its end Python flushes stdout once more, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
