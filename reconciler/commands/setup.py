"""The commands before anything runs: init, check, schema."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import click
import orjson

from reconciler import config as configuration
from reconciler import vendors
from reconciler.commands.first_job import Answers, first_job
from reconciler.commands.options import existing, is_there, named_config
from reconciler.commands.profile_shown import profile_lines
from reconciler.config.settings import ScimTargetSettings
from reconciler.errors import ConfigError, Problem


@click.command()
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def check(ctx: click.Context, config: Path | None, as_json: bool) -> None:
    """Say everything that is wrong with the configuration. Exit 2 where something is."""
    try:
        loaded = configuration.load(existing(named_config(ctx, config)))
    except ConfigError as error:
        if not as_json:
            raise
        _print_findings(error.problems, ())
        raise SystemExit(2) from None
    if as_json:
        _print_findings((), loaded.warnings)
        return
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(_summary(loaded))


@click.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    click.echo(json.dumps(configuration.json_schema(), indent=2, ensure_ascii=False))


@click.command()
@click.option("--profile", default="scim", show_default=True, help="The app: a shipped profile, or a file.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="The file to write; - prints it.  [default: config.toml, or what -c names]",
)
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The same: the configuration file.")
@click.pass_context
def init(ctx: click.Context, profile: str, output: Path | None, config: Path | None) -> None:
    """Write a first job with comments, enabled = false. Never overwrites a file.

    On a terminal it asks for what it cannot know; elsewhere, and where nothing is answered, it marks the gap.
    """
    path = named_config(ctx, output or config)
    described = configuration.described_profile(profile, Path.cwd())
    if str(path) != "-" and is_there(path):
        raise _is_there(path)
    asked = sys.stdin.isatty() and sys.stderr.isatty()
    text = first_job(described, _seen_from(path, profile), _asked(described) if asked else Answers())
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _is_there(path) from None
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be written: {error.strerror}")) from None
    click.echo(f"wrote {path}: fill in what it says, then: reconciler check -c {path}")


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def profiles(name: str | None, as_json: bool) -> None:
    """List the shipped profiles, or show one: a name, or a file."""
    shown = [configuration.described_profile(one, Path.cwd()) for one in ([name] if name else vendors.names())]
    if as_json:
        found = [one.table.model_dump(mode="json", by_alias=True, exclude_defaults=True) for one in shown]
        click.echo(orjson.dumps(found[0] if name else found, option=orjson.OPT_INDENT_2))
    elif name:
        click.echo("\n".join(profile_lines(shown[0])))
    else:
        for one in shown:
            status = f" ({one.table.status.partition(':')[0]})" if one.table.status else ""
            click.echo(f"{one.profile.name:12} {one.title}{status}, {one.table.url or 'its own address'}")
        click.echo("Show one: reconciler profiles NAME. Begin a job: reconciler init --profile NAME.", err=True)


def _is_there(path: Path) -> ConfigError:
    return ConfigError(Problem(str(path), "is there already", "name another file with -o"))


def _seen_from(path: Path, profile: str) -> str:
    """Return how the configuration at `path` names the profile: a file by its way from there."""
    if not vendors.is_path(profile) or Path(profile).is_absolute() or str(path) == "-":
        return profile
    way = os.path.relpath(profile, path.parent)
    return way if vendors.is_path(way) else f"./{way}"


def _asked(described: configuration.Described) -> Answers:
    def ask(what: str) -> str | None:
        return click.prompt(what, default="", show_default=False, err=True) or None

    is_directory = described.table.protocol == "graph"
    known = is_directory or described.profile.url is not None
    return Answers(
        url=None if known else ask("The app's base URL, without /Users (empty: later)"),
        tenant=ask("The tenant's id, or one of its domains (empty: later)") if is_directory else None,
        client_id=ask("The app registration's Application (client) ID (empty: later)") if is_directory else None,
        group=ask("The group whose members get the app (empty: later)")
        if described.table.first_job.scope == "assigned"
        else None,
        notify=ask("Who gets the mails about the job (empty: later)"),
    )


def _print_findings(problems: tuple[Problem, ...], warnings: tuple[Problem, ...]) -> None:
    findings = {
        "ok": not problems,
        "problems": [_finding(problem) for problem in problems],
        "warnings": [_finding(warning) for warning in warnings],
    }
    click.echo(orjson.dumps(findings, option=orjson.OPT_INDENT_2))


def _finding(problem: Problem) -> dict[str, str]:
    """Return a finding as JSON; `excerpt` is there where an expression is shown."""
    return {name: text for name, text in asdict(problem).items() if text or name != "excerpt"}


def _summary(loaded: configuration.Config) -> str:
    lines = [
        f"{loaded.path}: in order. {_counted(len(loaded.jobs), 'job')}, {_counted(len(loaded.sources), 'source')}, "
        f"{_counted(len(loaded.targets), 'target')}, {_counted(len(loaded.warnings), 'warning')}."
    ]
    for job in loaded.jobs.values():
        kinds = "users and groups" if job.groups is not None else "users"
        state = "" if job.enabled else ", not enabled"
        lines.append(
            f"  {job.name}: {kinds} from {job.source} to {job.target}, scope {job.scope}, "
            f"every {_interval(job.interval_seconds)}{state}"
        )
    lines += [
        f"  {' and '.join(jobs)} share one target: an account is disabled when none of them wants it any more"
        for jobs in shared_targets(loaded).values()
    ]
    return "\n".join(lines)


def shared_targets(loaded: configuration.Config) -> dict[str, list[str]]:
    """Return the jobs that serve one and the same target, by where that is; it may have several names."""
    by_place: dict[str, list[str]] = {}
    for job in loaded.jobs.values():
        target = loaded.targets[job.target]
        place = target.url if isinstance(target, ScimTargetSettings) else target.name
        by_place.setdefault(place, []).append(job.name)
    return {place: jobs for place, jobs in by_place.items() if len(jobs) > 1}


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _interval(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"
