"""The command that writes a report for whoever supports the app: support."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from reconciler import __version__, wiring
from reconciler.commands.housing import in_house, known_job
from reconciler.commands.options import config_option
from reconciler.config import ScimTargetSettings
from reconciler.errors import ConfigError, Problem
from reconciler.ports import LogQuery

FAILURES = 200
CYCLES = 10
_MAIL = re.compile(r"[^\s\"'<>()\[\],;:=]+@[^\s\"'<>()\[\],;:=]+")


@click.command()
@click.argument("job")
@config_option
@click.option("-o", "--output", type=click.Path(path_type=Path, allow_dash=True), help="The file; - prints it.")
def support(job: str, config: Path, output: Path | None) -> None:
    """Write a report about a job for the app's support: ids of requests, no secret, no attribute of anybody."""

    async def work(house: wiring.House) -> dict[str, Any]:
        name = await known_job(house, job)
        rows = [row async for row in house.store.log(LogQuery(name, status="failure", limit=FAILURES))]
        return {
            "reconciler": __version__,
            "python": platform.python_version(),
            "written_at": _moment(house.clock.now()),
            "job": name,
            "target": _target(house, name),
            "cycles": [_cycle(one) for one in await house.store.history(name, CYCLES)],
            "failures": [failure(row) for row in rows],
        }

    report = orjson.dumps(in_house(config, work), option=orjson.OPT_INDENT_2).decode()
    path = output or Path(f"support-{job}.json")
    if str(path) == "-":
        click.echo(report)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(report + "\n")
    except FileExistsError:
        raise ConfigError(Problem(str(path), "is there already", "name another file with -o")) from None
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be written: {error.strerror}")) from None
    click.echo(f"wrote {path}: no secret and no attribute of anybody is in it, but look at it before you send it")


def failure(row: dict[str, Any]) -> dict[str, Any]:
    """Return what of a failed record concerns the app's support: ids and reasons, what people are called left out."""
    told = [row["name"], row["source_id"], *(value for one in row["modified"] for value in (one["old"], one["new"]))]
    reason = str(row["reason"])
    asked = row["steps"][-1]["details"] if row["steps"] else {}
    for value in sorted({str(one) for one in told if one not in (None, "", True, False)}, key=len, reverse=True):
        if len(value) > 2:
            reason = reason.replace(value, "[…]")
    return {
        "at": _moment(row["at"]),
        "cycle_id": row["cycle_id"],
        "change_id": row["change_id"],
        "request": asked.get("Request", ""),
        "request_id": asked.get("RequestId", ""),
        "kind": row["kind"],
        "operation": row["operation"],
        "target_id": row["target_id"],
        "error_code": row["error_code"],
        "reason": _MAIL.sub("[…]", reason),
        "attributes": [one["path"] for one in row["modified"]],
        "took_ms": row["took_ms"],
    }


def _target(house: wiring.House, job: str) -> dict[str, Any]:
    if job not in house.config.jobs:
        return {}
    settings = house.config.targets[house.config.jobs[job].target]
    identity = wiring.target_identity(house.config, job)
    told: dict[str, Any] = {"type": identity.type, "address": identity.place}
    if isinstance(settings, ScimTargetSettings):
        told["profile"] = settings.profile
        told["concurrency"], told["requests_per_second"] = settings.concurrency, settings.requests_per_second
    return told


def _cycle(summary: dict[str, Any]) -> dict[str, Any]:
    kept = ("cycle_id", "kind", "state", "duration_seconds", "counts", "requests")
    return {"ended_at": _moment(summary["ended_at"]), **{name: summary[name] for name in kept if name in summary}}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
