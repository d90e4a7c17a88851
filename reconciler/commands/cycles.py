"""The commands that work on a job here and now: test, plan, cycle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import orjson

from reconciler import config as configuration
from reconciler import wiring
from reconciler.commands.housing import in_house
from reconciler.commands.options import config_option
from reconciler.commands.printing import plain, print_json, prints_on_a_terminal
from reconciler.commands.progress import shown_progress
from reconciler.commands.reporting import show_report
from reconciler.commands.running import run_async
from reconciler.core.decisions import Operation
from reconciler.ports import Diagnosis, LogQuery, Store
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.reading import wanted_by
from reconciler.runtime.report import CycleReport


@click.command()
@click.argument("job")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def test(job: str, config: Path, as_json: bool) -> None:
    """Test the connection of a job, both sides."""

    async def work() -> dict[str, list[Diagnosis]]:
        loaded = configuration.load(config)
        wanted = wanted_by(wiring.plan_of(loaded, wiring.job_named(loaded, job)))
        async with wiring.open_connections(loaded, job) as (source, target):
            return {"source": await source.test(wanted), "target": await target.test()}

    found = run_async(work)
    good = all(line.ok for lines in found.values() for line in lines)
    if as_json:
        sides = {
            side: [{"step": one.step, "ok": one.ok, "text": one.text, "hint": one.hint} for one in lines]
            for side, lines in found.items()
        }
        print_json({"job": job, "ok": good, **sides})
    else:
        for side, lines in found.items():
            for line in lines:
                click.echo(f"{'ok ' if line.ok else 'BAD'} {side} {line.step}: {line.text}")
                if line.hint and not line.ok:
                    click.echo(f"    {line.hint}")
    sys.exit(0 if good else 4)


@click.command()
@click.argument("job")
@config_option
@click.option("--full", is_flag=True, help="Evaluate everybody and compare with the target.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: the operations, then a summary.")
def plan(job: str, config: Path, full: bool, as_json: bool) -> None:
    """Say what a cycle would do. Changes nothing."""
    texts: list[str] = []

    def tell(line: dict[str, Any]) -> None:
        if as_json:
            print_json(line)
        else:
            texts.append(_plan_text(line))

    def observe(operation: Operation, held: str) -> None:
        tell(_operation(operation, held))

    async def work(house: wiring.House) -> CycleReport:
        going_by = house.plan(wiring.job_named(house.config, job))
        with shown_progress(enabled=not (as_json and prints_on_a_terminal())) as progress:
            async with house.world(job, progress=progress, rehearse=True) as world:
                report = await run_cycle(going_by, world, full=full, observer=observe)
                groups = await _groups_changed(world.store, job, report.started_at)
                for group, added, removed in _rehearsed(world.target):
                    # of a group at which the target went away nothing is in the log
                    tell(_membership(groups.get(group, ("", group)), group, added, removed))
                return report

    report = in_house(config, work, scratch=True)
    if as_json:
        print_json({"summary": True, **report.as_dict()})
    else:
        for text in texts:
            click.echo(text)
        show_report(report.as_dict(), planned=True)
    sys.exit(report.exit_code)


@click.command()
@click.argument("job")
@config_option
@click.option("--full", is_flag=True, help="Evaluate everybody again and compare with the target.")
@click.option("--clock-is-right", is_flag=True, help="The newest cycle was at a wrong time, not this one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cycle(job: str, config: Path, full: bool, clock_is_right: bool, as_json: bool) -> None:
    """Run one cycle of a job here, without the daemon."""

    async def work(house: wiring.House) -> CycleReport:
        going_by = house.plan(wiring.job_named(house.config, job))
        with shown_progress(enabled=not (as_json and prints_on_a_terminal())) as progress:
            async with house.world(job, progress=progress) as world:
                return await run_cycle(going_by, world, full=full, clock_is_right=clock_is_right)

    report = in_house(config, work, write=True)
    if as_json:
        print_json(report.as_dict())
    else:
        show_report(report.as_dict())
    sys.exit(report.exit_code)


def _rehearsed(target: object) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return list(getattr(target, "memberships", []))


def _operation(operation: Operation, held: str) -> dict[str, Any]:
    record = operation.record
    link = record.link
    target_id = operation.account.id if operation.account is not None else link.target_id if link is not None else None

    def shown(path: str, value: Any) -> Any:
        return "[Redact]" if path in operation.redacted and value is not None else value

    changes = [{"path": c.path, "old": shown(c.path, c.old), "new": shown(c.path, c.new)} for c in operation.changes]
    if operation.word == "create":
        changes = [{"path": p, "old": None, "new": shown(p, v)} for p, v in operation.resource.items()]
    return {
        "operation": operation.word,
        "kind": record.kind,
        "id": record.source_id,
        "name": record.name,
        "target_id": target_id,
        "why": operation.why,
        "held": held,
        "changes": changes,
    }


async def _groups_changed(store: Store, job: str, since: float) -> dict[str, tuple[str, str]]:
    """Return source id and name of the groups whose members were changed, by target id, as the log has them."""
    log = store.log(LogQuery(job, action="update", since=since))
    return {row["target_id"]: (row["source_id"], row["name"]) async for row in log if row["operation"] == "members"}


def _membership(named: tuple[str, str], group: str, added: tuple[str, ...], removed: tuple[str, ...]) -> dict[str, Any]:
    return {
        "operation": "members",
        "kind": "group",
        "id": named[0],
        "name": named[1],
        "target_id": group,
        "why": "the members of the group in the source differ",
        "held": "",
        "added": list(added),
        "removed": list(removed),
    }


def _plan_text(line: dict[str, Any]) -> str:
    key = f" ({plain(line['id'])})" if line["id"] else ""
    who = f"{line['kind']} {plain(line['name'])}{key}"
    if line["operation"] == "members":
        return f"members  {who}: {len(line['added'])} added, {len(line['removed'])} removed"
    held = "  HELD" if line["held"] else ""
    text = f"{line['operation']:<8} {who}: {plain(line['why'])}{held}"
    for change in line["changes"]:
        text += f"\n           {change['path']}: {_short(change['old'])} → {_short(change['new'])}"
    return text


def _short(value: Any) -> str:
    text = plain(orjson.dumps(value).decode())
    return text if len(text) <= 60 else text[:57] + "…"
