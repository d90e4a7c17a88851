"""The commands about what safeguards hold back: holds, approve, reject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from reconciler.commands.options import existing, is_there
from reconciler.commands.printing import plain, print_json
from reconciler.commands.reporting import several
from reconciler.commands.speaking import Daemon, Json, asks_daemon, quoted
from reconciler.errors import NoAnswer, ReconcilerError, StateError, StateLocked

if TYPE_CHECKING:
    from reconciler.ports import Decision


@click.command()
@click.argument("job", required=False)
@asks_daemon
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one hold a line.")
def holds(job: str | None, daemon: Daemon, as_json: bool) -> None:
    """Show what safeguards hold back, and by which arithmetic. Without a daemon: what the state knows."""
    try:
        found = daemon.ask("GET", "/v1/holds" if job is None else f"/v1/jobs/{quoted(job)}/holds")["holds"]
    except NoAnswer as silent:
        found = _by_the_state(daemon, job, silent)
    for hold in found:
        if as_json:
            print_json(hold)
        else:
            click.echo(_text(hold))
    if not found and not as_json:
        click.echo("nothing is held")


@click.command()
@click.argument("job")
@click.argument("hold", required=False)
@asks_daemon
def approve(job: str, hold: str | None, daemon: Daemon) -> None:
    """Allow what a hold of a job lists (all of its holds, where none is named). A daemon's cycle does it at once."""
    word = "approved; a cycle does what is still wanted of it"
    if daemon.listens:
        _decided(job, daemon.ask_job(job, _path(hold, "approve"))["holds"], word)
    else:
        _decided(job, _here(daemon, job, hold, "approved"), f"{word} (`reconciler cycle {job}`)")


@click.command()
@click.argument("job")
@click.argument("hold", required=False)
@asks_daemon
def reject(job: str, hold: str | None, daemon: Daemon) -> None:
    """Refuse what a hold of a job lists (all of its holds, where none is named)."""
    word = "rejected; it is not proposed again while it is wanted"
    if daemon.listens:
        _decided(job, daemon.ask_job(job, _path(hold, "reject"))["holds"], word)
    else:
        _decided(job, _here(daemon, job, hold, "rejected"), word)


def _path(hold: str | None, verb: str) -> str:
    return f"holds/{verb}" if hold is None else f"holds/{quoted(hold)}/{verb}"


def _decided(job: str, decided: Sequence[Json], word: str) -> None:
    for hold in decided:
        click.echo(f"hold {hold['hold']} of {job}: {several(hold['count'], 'operation')} {word}")


def _here(daemon: Daemon, job: str, hold: str | None, decision: Decision) -> list[Json]:
    """Decide in this process, where no daemon runs. Raises NoAnswer where somebody else writes to the state."""
    import os

    from reconciler import wiring
    from reconciler.commands.housing import in_house
    from reconciler.runtime.desk import no_such_hold
    from reconciler.runtime.overview import hold_json
    from reconciler.runtime.peers import Peer

    by = Peer(os.getpid(), os.getuid(), frozenset()).name

    async def work(house: wiring.House) -> list[Json]:
        wiring.job_named(house.config, job)
        decided = await house.store.decide_hold(job, hold, decision, by, house.clock.now())
        if not decided:
            refused = await no_such_hold(house.store, job, hold)
            raise ReconcilerError(refused.problem + (f" ({refused.hint})" if refused.hint else ""))
        return [hold_json(one) for one in decided]

    try:
        return in_house(existing(daemon.config), work, write=True)
    except StateLocked as error:
        raise NoAnswer(f"no daemon answers, and it cannot be done without one: {error}") from None


def _text(hold: Json) -> str:
    count = several(hold["count"], "operation")
    lines = [f"hold {hold['hold']} of {hold['job']}, {count} since {hold['since']}: {hold['why']}"]
    for one in hold["operations"]:
        members = f", {one['members']} members" if one["members"] else ""
        who = f"{one['kind']} {one['name'] or one['id']} ({one['id']})"
        lines.append(f"  {one['operation']:<8} {who}{members}: {one['why']}")
    lines = [plain(line) for line in lines]
    more = hold["count"] - len(hold["operations"])
    if more:
        lines.append(f"  and {more} more")
    lines.append(f"  `reconciler approve {hold['job']} {hold['hold']}` allows them, `reject` refuses them")
    return "\n".join(lines)


def _by_the_state(daemon: Daemon, job: str | None, silent: NoAnswer) -> list[dict[str, Any]]:
    from reconciler import wiring
    from reconciler.commands.housing import in_house, known_job
    from reconciler.runtime.overview import hold_json

    if not is_there(daemon.config):
        raise silent

    async def work(house: wiring.House) -> list[dict[str, Any]]:
        if job is not None:
            await known_job(house, job)
        return [hold_json(hold) for hold in await house.store.held(job)]

    try:
        return in_house(daemon.config, work)
    except StateError as error:
        raise NoAnswer(f"{silent}; and of the state nothing can be said: {error}") from None
