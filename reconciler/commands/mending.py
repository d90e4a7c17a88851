"""The commands that mend what a job remembers, or show what nobody owns: forget, rebind, orphans."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from reconciler import wiring
from reconciler.commands.housing import in_house, known_job
from reconciler.commands.options import config_option, lines_option
from reconciler.commands.printing import plain, print_json
from reconciler.commands.reporting import several
from reconciler.core.model import KINDS, Kind, ObjectRules
from reconciler.core.outcomes import Failed
from reconciler.runtime.asking import Asking
from reconciler.runtime.world import World


@click.command()
@click.argument("job")
@config_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(job: str, config: Path, yes: bool) -> None:
    """Forget all that is known of a job but its log. No account is touched."""
    if not yes and not _confirmed(f"Forget the links, fingerprints and watermark of {job}?"):
        click.echo("nothing was forgotten", err=True)
        sys.exit(1)

    async def work(house: wiring.House) -> None:
        await known_job(house, job)
        await house.store.forget(job)
        click.echo(f"forgotten; the next cycle of {job} is an initial one and matches everybody again")

    in_house(config, work, write=True)


@click.command()
@click.argument("job")
@config_option
@click.option("--keep-links", is_flag=True, help="The same accounts under a new address: keep the links.")
@click.option("--rematch", is_flag=True, help="Another source or target: drop the links, match again.")
def rebind(job: str, keep_links: bool, rematch: bool, config: Path) -> None:
    """Accept that source or target of a job has become another one."""
    if keep_links == rematch:
        raise click.UsageError("say --keep-links (same accounts, new address) or --rematch (match everybody again)")

    async def work(house: wiring.House) -> None:
        wiring.job_named(house.config, job)
        async with house.world(job, rehearse=True) as world:
            source, target = world.source.identity, world.target.identity
        await house.store.rebind(job, source, target, keep_links=keep_links)
        click.echo(f"{job} goes from {source} to {target} now; its next cycle is an initial one")

    in_house(config, work, write=True)


@click.command()
@click.argument("job")
@config_option
@lines_option
def orphans(job: str, config: Path, as_json: bool) -> None:
    """List accounts of the target that nobody owns. Reads only. Exit 4 where the target's list is not whole."""

    async def work(house: wiring.House) -> tuple[int, bool]:
        plan = house.plan(wiring.job_named(house.config, job))
        found, whole = 0, True
        async with house.world(job, rehearse=True) as world:
            state = await house.store.open_job(job, world.source.identity, world.target.identity, house.clock.now())
            for kind in KINDS:
                rules = plan.job.rules(kind)
                if rules is None:
                    continue
                names = [mapping.to for mapping in rules.mappings if mapping.match is not None]
                listed = Asking(
                    world.store, world.target, state.job_id, kind, plan.profile, names, concurrency=1, expect_many=True
                )
                whole = await _listed(listed, kind) and whole
                found += await _show(world, state.job_id, kind, rules, as_json=as_json)
                if not whole:
                    break
        return found, whole

    found, whole = in_house(config, work, scratch=True)
    if not as_json:
        click.echo(f"{several(found, 'account')} without an owner")
    sys.exit(0 if whole else 4)


def _confirmed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody is there to answer: say --yes") from None
        raise


async def _listed(asking: Asking, kind: Kind) -> bool:
    end = await asking.list_all()
    if not asking.listed_completely:
        why = end.reason if isinstance(end, Failed) else end.why
        click.echo(f"the target's list of {kind}s is not whole, there may be more: {why}", err=True)
    return asking.listed_completely


async def _show(world: World, job_id: int, kind: Kind, rules: ObjectRules, *, as_json: bool) -> int:
    names = [mapping.to for mapping in rules.mappings if mapping.match is not None]
    accounts = await world.store.orphans(job_id, world.target.identity, kind)
    for account in accounts:
        values = {path: account.resource.get(path) for path in names}
        if as_json:
            print_json({"kind": kind, "target_id": account.id, **values})
        else:
            click.echo(plain(f"{kind:<5} {account.id}  {', '.join(str(value) for value in values.values())}"))
    return len(accounts)
