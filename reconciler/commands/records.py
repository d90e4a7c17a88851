"""The command that shows what was done to whom, and why: log."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from reconciler import wiring
from reconciler.commands import exporting
from reconciler.commands.housing import in_house, known_job
from reconciler.commands.options import config_option, lines_option
from reconciler.commands.printing import plain, print_json
from reconciler.core.reasons import MEANINGS
from reconciler.core.summary import provisioning_summary
from reconciler.ports import LogQuery, Store

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_ACTIONS = ("create", "update", "disable", "delete", "stagedDelete", "stagedAction", "other")
_FINER = {"adopt": "update", "enable": "update", "members": None, "leave": "other"}
"""Our own words for operations, and the action under which each of them is logged (None: any)."""


@click.command()
@click.argument("job", required=False)
@config_option
@click.option("--user", help="Source id, target id, name, or the beginning of the name.")
@click.option(
    "--action",
    type=click.Choice([*_ACTIONS, *_FINER], case_sensitive=False),
    help="What was done; adopt and enable are updates.",
)
@click.option("--status", type=click.Choice(["success", "failure", "skipped", "warning"], case_sensitive=False))
@click.option("--since", help="A moment (2026-11-21T08:00) or how long ago (2h, 3d).")
@click.option("--limit", type=click.IntRange(min=1), help="Only the newest so many.")
@lines_option
@click.option(
    "--export",
    "export_to",
    type=click.Path(path_type=Path),
    help="Write it into files instead: a directory (three CSV files), or a file (JSON lines).",
)
@click.option(
    "--format", "format_", type=click.Choice(["csv", "jsonl"]), help="Of the export. Default: what the name says; csv."
)
def log(
    job: str | None,
    config: Path,
    user: str | None,
    action: str | None,
    status: str | None,
    since: str | None,
    limit: int | None,
    as_json: bool,
    export_to: Path | None,
    format_: str | None,
) -> None:
    """Show the provisioning log: what was done to whom, and why. Oldest first."""
    if export_to is None and format_ is not None:
        raise click.UsageError("--format goes with --export")

    async def work(house: wiring.House) -> None:
        if job is not None:
            await known_job(house, job)
        after = _moment(since, house.clock.now()) if since else None
        operation = action if action in _FINER else None
        kept = LogQuery(job, user, _FINER[operation] if operation else action, status, after, limit)
        rows = _rows(house.store, kept, operation)
        if export_to is not None:
            as_lines = format_ == "jsonl" or (format_ is None and export_to.suffix == ".jsonl")
            count = await (exporting.export_lines if as_lines else exporting.export_csv)(rows, export_to)
            click.echo(f"{count} records written to {export_to}", err=True)
            return
        empty = True
        async for row in rows:
            empty = False
            if as_json:
                print_json(provisioning_summary(row))
            else:
                click.echo(log_text(row))
        if empty and not as_json:
            click.echo("the log has no such record", err=True)

    in_house(config, work)


async def _rows(store: Store, query: LogQuery, operation: str | None) -> AsyncIterator[dict[str, Any]]:
    """Yield what the query asks for; of one operation only, where it is finer than an action."""
    if operation is None:
        async for row in store.log(query):
            yield row
        return
    everything = LogQuery(query.job, query.user, query.action, query.status, query.since)
    newest: deque[dict[str, Any]] = deque(maxlen=query.limit)
    async for row in store.log(everything):
        if row["operation"] != operation:
            continue
        if query.limit is None:
            yield row
        else:
            newest.append(row)
    for row in newest:
        yield row


def _moment(text: str, now: float) -> float:
    ago = re.fullmatch(r"(\d+)([mhdw])", text)
    try:
        if ago:
            return now - int(ago[1]) * _UNITS[ago[2]]
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.astimezone()).timestamp()
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"--since {text}: neither a moment (2026-11-21T08:00) nor how long ago (2h, 3d)"
        ) from None


def log_text(row: dict[str, Any]) -> str:
    """Return one log record as lines for a person."""
    at = datetime.fromtimestamp(row["at"], UTC).isoformat(timespec="seconds")
    code = f" {row['error_code']}:" if row["error_code"] else ""
    who = plain(f"{row['kind']} {row['name']} ({row['source_id']})")
    text = f"{at} {row['job']} {row['status']:<7} {row['operation']:<8} {who}:{code} {plain(row['reason'])}"
    meaning = MEANINGS.get(row["error_code"])
    if row["status"] == "failure" and meaning is not None:
        text += f"\n      → {meaning.action}"
    for change in row["modified"]:
        old, new = (plain(orjson.dumps(change[side]).decode()) for side in ("old", "new"))
        text += f"\n      {change['path']}: {old} → {new}"
    return text
