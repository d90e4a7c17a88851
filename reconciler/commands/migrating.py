"""Imports rules that people already have: on stdout the configuration, on stderr what became of each line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import click

from reconciler.migrate.findings import Fault, Finding, Findings

FILE = click.argument("file", type=click.File("rb"))


@click.command("import-schema")
@FILE
def import_schema(file: BinaryIO) -> None:
    """Print an exported Entra synchronization schema (FILE.json) as a configuration; a report goes to stderr."""
    from reconciler.migrate import schema

    _import(file, schema.import_schema, checked=True)


@click.command("import-okta")
@FILE
def import_okta(file: BinaryIO) -> None:
    """Print a table of Okta attribute mappings (FILE.csv or FILE.json) as a configuration; a report goes to stderr."""
    from reconciler.migrate import okta

    is_json = file.name.lower().endswith(".json")
    _import(file, lambda written, findings: okta.import_okta(written, findings, is_json=is_json), checked=True)


@click.command("import-roles")
@FILE
def import_roles(file: BinaryIO) -> None:
    """Print a table of roles (FILE.csv: role,attribute,operator,value,group) as [roles.*]; a report goes to stderr."""
    from reconciler.migrate import roles

    _import(file, roles.import_roles, checked=False)


def _import(file: BinaryIO, read: Callable[[bytes, Findings], str], *, checked: bool) -> None:
    findings = Findings()
    try:
        configuration = read(file.read(), findings)
    except Fault as fault:
        raise click.UsageError(f"{file.name}: {fault}") from None
    for finding in findings.found:
        click.echo(str(finding), err=True)
    click.echo(_counted(findings.found), err=True)
    click.echo(configuration, nl=False)
    if checked and (problems := _problems(configuration)):
        for problem in problems:
            click.echo(f"to be mended: {problem}", err=True)
        raise SystemExit(1)


def _counted(found: list[Finding]) -> str:
    counts = [sum(finding.outcome == outcome for finding in found) for outcome in _OUTCOMES]
    return ", ".join([f"{count} {outcome}" for count, outcome in zip(counts, _OUTCOMES, strict=True)])


_OUTCOMES = ("carried over", "changed", "left out")


def _problems(configuration: str) -> list[str]:
    """Return what `check` would say of the configuration."""
    from reconciler import config
    from reconciler.errors import ConfigError

    with TemporaryDirectory(prefix="reconciler-import-") as directory:
        path = Path(directory) / "config.toml"
        path.write_text(configuration, "utf-8")
        try:
            config.load(path)
        except ConfigError as error:
            return [str(problem).replace(f"{directory}/", "") for problem in error.problems]
    return []
