"""Answers for commands that this release does not have yet: what to do meanwhile."""

from __future__ import annotations

import click

_ASK = "`reconciler log JOB` shows what was done, the daemon's log when each job runs next"
_STOP = "set enabled = false in the job and reload the daemon (SIGHUP)"
_HELD = "mend the source, or raise deletion_threshold and deletion_share for one cycle (docs/operations.md, A held job)"

MEANWHILE = {
    "status": _ASK,
    "trigger": "stop the daemon and run `reconciler cycle JOB`, or touch the job's rules and reload",
    "pause": _STOP,
    "resume": "set enabled = true in the job and reload the daemon (SIGHUP)",
    "restart": "`reconciler forget JOB` makes the next cycle an initial one; `reconciler cycle JOB --full` compares",
    "stop": _STOP,
    "holds": "`reconciler plan JOB` shows what is held, and by which arithmetic",
    "approve": _HELD,
    "reject": _HELD,
    "provision": "`reconciler plan JOB` shows what would be done to everybody, `reconciler cycle JOB` does it",
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
