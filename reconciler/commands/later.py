"""Answers for commands that this release does not have yet: what to do meanwhile."""

from __future__ import annotations

import click

MEANWHILE = {
    "import-schema": "write the mappings as docs/mapping.md says; `reconciler init` writes a first job",
}


def not_yet(name: str) -> click.Command:
    """Return a command that takes anything and says what to use meanwhile; exit 2."""

    def answer(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(f"{name} is not yet available. Meanwhile: {MEANWHILE[name]}")

    return click.Command(
        name,
        callback=answer,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        hidden=True,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True},
    )
