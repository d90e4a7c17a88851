"""The commands that show and mend who has which account: links, link, unlink."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
import orjson

from reconciler import wiring
from reconciler.commands.housing import in_house, known_job
from reconciler.commands.linking import LineProblem, Wish, import_links, read_wishes
from reconciler.commands.options import config_option, kind_option, lines_option
from reconciler.commands.printing import plain, print_json
from reconciler.core.model import SourceId, TargetId
from reconciler.core.records import Record
from reconciler.errors import ConfigError, Problem


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="JOB [USER] | export JOB [FILE] | import JOB FILE")
@config_option
@lines_option
def links(words: tuple[str, ...], config: Path, as_json: bool) -> None:
    """Show who is linked to which account; write these links to a file, or take them from one.

    \b
    links JOB [USER]         show them: of everybody, or by source id, target id, name or its beginning
    links export JOB [FILE]  write JSON lines {"kind", "id", "name", "target_id"}; to stdout without FILE or with -
    links import JOB FILE    link as such lines say (- reads stdin). Sends nothing. Exit 1 where a line is refused
    """
    match words:
        case ("export", job, *rest) if len(rest) <= 1:
            _export(config, job, rest[0] if rest else "-")
        case ("import", job, file):
            _import(config, job, file)
        case (job, *rest) if len(rest) <= 1 and not (job == "import" and rest):
            _show(config, job, rest[0] if rest else None, as_json=as_json)
        case _:
            raise click.UsageError("it is links JOB [USER], links export JOB [FILE] or links import JOB FILE")


@click.command()
@click.argument("job")
@click.argument("source_id")
@click.argument("target_id")
@config_option
@kind_option
def link(job: str, source_id: str, target_id: str, config: Path, group: bool) -> None:
    """Link an entry of the source to an account of the target. Sends nothing."""
    wish = Wish("group" if group else "user", SourceId(source_id), TargetId(target_id))

    async def work(house: wiring.House) -> None:
        wiring.job_named(house.config, job)
        outcome = await import_links(house, job, [(1, wish)], replace_links=True)
        for refused in outcome.refused:
            raise ConfigError(Problem(job, refused.problem))
        for was in outcome.replaced:
            click.echo(f"{source_id} was linked to {was}; that account was not touched")
        click.echo(f"linked {source_id} to {target_id}; the next cycle brings the account to what the rules say")

    in_house(config, work, write=True)


@click.command()
@click.argument("job")
@click.argument("source_id")
@config_option
@kind_option
def unlink(job: str, source_id: str, config: Path, group: bool) -> None:
    """Forget which account an entry has. The account stays as it is; the next cycle matches the entry again."""

    async def work(house: wiring.House) -> bool:
        await known_job(house, job)
        done: bool = await house.store.unlink(job, "group" if group else "user", SourceId(source_id))
        return done

    if not in_house(config, work, write=True):
        raise ConfigError(Problem(job, f"{source_id} is not linked", f"`reconciler links {job}` lists who is"))
    click.echo(f"unlinked {source_id}; its account was not touched")


def _show(config: Path, job: str, user: str | None, *, as_json: bool) -> None:
    async def work(house: wiring.House) -> None:
        await known_job(house, job)
        found = await house.store.list_links(job, user)
        for record in found:
            if as_json:
                print_json(_whole(record))
            else:
                click.echo(_text(record))
        if not found and not as_json:
            click.echo("nobody is linked" if user is None else f"nobody called {plain(user)} is linked", err=True)

    in_house(config, work)


def _export(config: Path, job: str, file: str) -> None:
    async def work(house: wiring.House) -> list[Record]:
        await known_job(house, job)
        return await house.store.list_links(job, None)

    lines = [_exported(record) for record in in_house(config, work)]
    if file == "-":
        for line in lines:
            print_json(line)
        return
    with _new_file(Path(file)) as written:
        for line in lines:
            written.write(orjson.dumps(line) + b"\n")
    click.echo(f"wrote {len(lines)} links to {file}", err=True)


def _import(config: Path, job: str, file: str) -> None:
    wishes, problems = read_wishes(_lines(file))

    async def work(house: wiring.House) -> tuple[int, int, list[LineProblem]]:
        wiring.job_named(house.config, job)
        outcome = await import_links(house, job, wishes)
        return outcome.linked, outcome.already, list(outcome.refused)

    linked, already, refused = in_house(config, work, write=True)
    for one in sorted([*problems, *refused], key=lambda one: one.line):
        click.echo(f"{file} line {one.line}: {one.problem}", err=True)
    refusals = len(problems) + len(refused)
    click.echo(f"{linked} linked, {already} were linked so already, {refusals} refused; nothing was sent")
    sys.exit(1 if refusals else 0)


def _lines(file: str) -> Iterator[bytes]:
    try:
        with click.open_file(file, "rb") as opened:
            yield from opened
    except OSError as error:
        raise click.UsageError(f"{file}: cannot be read: {error.strerror}") from None


def _new_file(path: Path) -> BinaryIO:
    """Open a file that was not there, for its owner alone: it holds people's names."""
    try:
        return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
    except FileExistsError:
        raise ConfigError(Problem(str(path), "is there already", "name another file")) from None
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be written: {error.strerror}")) from None


def _text(record: Record) -> str:
    assert record.link is not None
    state = "disabled by us" if record.link.disabled_at is not None else record.verdict
    who = f"{record.kind:<5} {record.name or record.source_id} ({record.source_id})"
    return plain(f"{who} ↔ {record.link.target_id}  {state}")


def _exported(record: Record) -> dict[str, Any]:
    assert record.link is not None
    return {"kind": record.kind, "id": record.source_id, "name": record.name, "target_id": record.link.target_id}


def _whole(record: Record) -> dict[str, Any]:
    assert record.link is not None
    return {
        **_exported(record),
        "verdict": record.verdict,
        "why": record.why,
        "origin": record.link.origin,
        "disabled_at": record.link.disabled_at,
        "delete_at": record.link.delete_at,
        "agreed": record.link.agreed,
    }
