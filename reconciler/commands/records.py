"""The commands that show and mend what is remembered: log, links, link, unlink, forget, rebind, orphans."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from reconciler import config as configuration
from reconciler import wiring
from reconciler.commands.options import config_option
from reconciler.commands.running import run_async
from reconciler.commands.summary import provisioning_summary
from reconciler.core.model import KINDS, Kind, SourceId, TargetId
from reconciler.core.records import Record
from reconciler.errors import ConfigError, Problem
from reconciler.ports import LogQuery
from reconciler.runtime.asking import Asking

_Result = TypeVar("_Result")
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

kind_option = click.option("--group", is_flag=True, help="The entry is a group, not a user.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


@click.command()
@click.argument("job", required=False)
@config_option
@click.option("--user", help="Source id, target id, name, or the beginning of the name.")
@click.option("--action", help="create, update, disable, delete, stagedDelete or other.")
@click.option("--status", type=click.Choice(["success", "failure", "skipped", "warning"]))
@click.option("--since", help="A moment (2026-11-21T08:00) or how long ago (2h, 3d).")
@click.option("--limit", type=int, help="Only the newest so many.")
@json_option
def log(
    job: str | None,
    config: Path,
    user: str | None,
    action: str | None,
    status: str | None,
    since: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show the provisioning log: what was done to whom, and why."""

    async def work(house: wiring.House) -> None:
        query = LogQuery(job, user, action, status, _moment(since, house.clock.now()) if since else None, limit)
        async for row in house.store.log(query):
            if as_json:
                _print(provisioning_summary(row))
            else:
                click.echo(log_text(row))

    _with_house(config, job, work)


@click.command()
@click.argument("job")
@click.argument("user", required=False)
@config_option
@json_option
def links(job: str, user: str | None, config: Path, as_json: bool) -> None:
    """Show who is linked to which account."""

    async def work(house: wiring.House) -> None:
        for record in await house.store.list_links(job, user):
            if as_json:
                _print(_link(record))
            else:
                state = "disabled by us" if record.link and record.link.disabled_at is not None else record.verdict
                target_id = record.link.target_id if record.link else "-"
                click.echo(
                    f"{record.kind:<5} {record.name or record.source_id} ({record.source_id}) ↔ {target_id}  {state}"
                )

    _with_house(config, job, work)


@click.command()
@click.argument("job")
@click.argument("source_id")
@click.argument("target_id")
@config_option
@kind_option
def link(job: str, source_id: str, target_id: str, config: Path, group: bool) -> None:
    """Link an entry of the source to an account of the target. Sends nothing."""

    async def work(house: wiring.House) -> None:
        now = house.clock.now()
        await house.store.link(job, _kind(group), SourceId(source_id), TargetId(target_id), now)
        click.echo(f"linked {source_id} to {target_id}; the next cycle brings the account to what the rules say")

    _with_house(config, job, work, write=True)


@click.command()
@click.argument("job")
@click.argument("source_id")
@config_option
@kind_option
def unlink(job: str, source_id: str, config: Path, group: bool) -> None:
    """Forget which account an entry has. The account stays as it is; the next cycle matches the entry again."""

    async def work(house: wiring.House) -> bool:
        done: bool = await house.store.unlink(job, _kind(group), SourceId(source_id))
        return done

    if not _with_house(config, job, work, write=True):
        raise ConfigError(Problem(job, f"{source_id} is not linked", f"`reconciler links {job}` lists who is"))
    click.echo(f"unlinked {source_id}; its account was not touched")


@click.command()
@click.argument("job")
@config_option
@yes_option
def forget(job: str, config: Path, yes: bool) -> None:
    """Forget all that is known of a job but its log. No account is touched."""
    if not yes:
        click.confirm(f"Forget the links, fingerprints and watermark of {job}?", abort=True, err=True)

    async def work(house: wiring.House) -> None:
        await house.store.forget(job)
        click.echo(f"forgotten; the next cycle of {job} is an initial one and matches everybody again")

    _with_house(config, None, work, write=True)


@click.command()
@click.argument("job")
@config_option
@click.option("--keep-links", "how", flag_value="keep", help="The same accounts under a new address: keep the links.")
@click.option("--rematch", "how", flag_value="rematch", help="Another source or target: drop the links, match again.")
def rebind(job: str, how: str | None, config: Path) -> None:
    """Accept that source or target of a job has become another one."""
    if how is None:
        raise click.UsageError("say --keep-links (same accounts, new address) or --rematch (match everybody again)")

    async def work(house: wiring.House) -> None:
        async with house.world(job) as world:
            source, target = world.source.identity, world.target.identity
        await house.store.rebind(job, source, target, keep_links=how == "keep")
        click.echo(f"{job} goes from {source} to {target} now")

    _with_house(config, job, work, write=True)


@click.command()
@click.argument("job")
@config_option
@json_option
def orphans(job: str, config: Path, as_json: bool) -> None:
    """List accounts of the target that nobody owns. Reads only."""

    async def work(house: wiring.House) -> int:
        plan = house.plan(job)
        found = 0
        async with house.world(job, rehearse=True) as world:
            state = await house.store.open_job(job, world.source.identity, world.target.identity, house.clock.now())
            for kind in KINDS:
                rules = plan.job.rules(kind)
                if rules is None:
                    continue
                match_paths = [m.to for m in rules.mappings if m.match is not None]
                asking = Asking(
                    house.store,
                    world.target,
                    state.job_id,
                    kind,
                    plan.profile,
                    match_paths,
                    concurrency=1,
                    expect_many=True,
                )
                await asking.list_all()
                if not asking.listed_completely:
                    click.echo(f"the target's list of {kind}s was not complete; there may be more", err=True)
                for account in await house.store.orphans(state.job_id, world.target.identity, kind):
                    found += 1
                    names = {path: account.resource.get(path) for path in match_paths}
                    if as_json:
                        _print({"kind": kind, "target_id": account.id, **names})
                    else:
                        click.echo(f"{kind:<5} {account.id}  {', '.join(str(v) for v in names.values())}")
        return found

    found = _with_house(config, job, work, scratch=True)
    if not as_json:
        click.echo(f"{found} accounts without an owner")


def _with_house(
    config: Path,
    job: str | None,
    work: Callable[[wiring.House], Awaitable[_Result]],
    *,
    write: bool = False,
    scratch: bool = False,
) -> _Result:
    async def opened() -> _Result:
        loaded = configuration.load(config)
        if job is not None:
            wiring.job_named(loaded, job)
        async with wiring.open_house(loaded, write=write or scratch, scratch=scratch) as house:
            return await work(house)

    return run_async(opened)


def _kind(group: bool) -> Kind:
    return "group" if group else "user"


def _moment(text: str, now: float) -> float:
    ago = re.fullmatch(r"(\d+)([mhdw])", text)
    if ago:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            f"--since {text}: neither a moment (2026-11-21T08:00) nor how long ago (2h, 3d)"
        ) from None
    return (moment if moment.tzinfo is not None else moment.astimezone()).timestamp()


def log_text(row: dict[str, Any]) -> str:
    """Return one log record as lines for a person."""
    at = datetime.fromtimestamp(row["at"], UTC).isoformat(timespec="seconds")
    code = f" {row['error_code']}:" if row["error_code"] else ""
    text = (
        f"{at} {row['job']} {row['status']:<7} {row['operation']:<8} {row['kind']} {row['name']} ({row['source_id']})"
    )
    text += f":{code} {row['reason']}"
    for change in row["modified"]:
        text += (
            f"\n      {change['path']}: {orjson.dumps(change['old']).decode()} → {orjson.dumps(change['new']).decode()}"
        )
    return text


def _link(record: Record) -> dict[str, Any]:
    link = record.link
    return {
        "kind": record.kind,
        "id": record.source_id,
        "name": record.name,
        "verdict": record.verdict,
        "why": record.why,
        "target_id": link.target_id if link is not None else None,
        "origin": link.origin if link is not None else None,
        "disabled_at": link.disabled_at if link is not None else None,
        "delete_at": link.delete_at if link is not None else None,
        "agreed": link.agreed if link is not None else None,
    }


def _print(value: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()
