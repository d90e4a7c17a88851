"""Takes one person out of every job at once, by what the state knows: no source is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import anyio

from reconciler.core import settling, telling
from reconciler.core.decisions import Judged, Leave, Operation
from reconciler.core.model import Cause, Identity, Kind, SourceId, TargetId
from reconciler.core.records import Record
from reconciler.core.scoping import Leaving
from reconciler.errors import NobodyOrSeveral, ReconcilerError
from reconciler.ports import Clock, Store
from reconciler.runtime.apply import Applier
from reconciler.runtime.course import Course
from reconciler.runtime.journal import Journal
from reconciler.runtime.lanes import each
from reconciler.runtime.rules import KindRules
from reconciler.runtime.spool import Spool
from reconciler.runtime.turns import Hand
from reconciler.runtime.world import Plan, World

WAITS_SECONDS = 30.0
"""How long a cycle is given to end what it has in hand of the person."""
JOBS_AT_ONCE = 16

Outcome = Literal["to disable", "disabled", "off already", "no account", "not possible", "failed"]


Worlds = Callable[[str], AbstractAsyncContextManager[World]]
"""Opens the two sides of a job."""


@dataclass(frozen=True, slots=True)
class Out:
    """What became of the person in one job."""

    job: str
    kind: Kind
    id: SourceId
    name: str
    target_id: TargetId | None
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True, slots=True)
class TakenOut:
    """What became of the person in every job."""

    people: tuple[Out, ...]
    dry_run: bool = False

    @property
    def exit_code(self) -> int:
        return 1 if any(one.outcome in ("failed", "not possible") for one in self.people) else 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "dry_run": self.dry_run,
            "people": [asdict(one) for one in self.people],
            "exit_code": self.exit_code,
        }


async def find(store: Store, user: str) -> list[tuple[str, Record]]:
    """Return the entries of one human in every job: by id, person, name or account. Raises NobodyOrSeveral.

    Where the name is that of several humans nobody is taken out: an emergency is no time to guess.
    """
    if not user.strip():
        raise NobodyOrSeveral("the name is empty: name one person")
    found = await store.somebody(user)
    if not found:
        raise NobodyOrSeveral(f"no job knows anybody called {user}; `reconciler links JOB` shows who there is")
    if _humans(found) > 1:
        several = ", ".join(
            f"{record.source_id} ({record.name}{_account(record)}) in {job}" for job, _, record in found
        )
        hint = "name one by the source id, or where two have the same, by the account"
        raise NobodyOrSeveral(f"{user} is not one person: {several}; {hint}")
    return [(job, record) for job, _, record in found]


def _humans(found: Sequence[tuple[str, Identity, Record]]) -> int:
    """Return how many humans these entries are: the same id says so only within one source, the same person always."""
    humans: list[set[object]] = []
    for _, source, record in found:
        known_by: set[object] = {(source, record.source_id)}
        if record.person is not None:
            known_by.add(record.person)
        others = [human for human in humans if known_by.isdisjoint(human)]
        humans = [*others, known_by.union(*(human for human in humans if not known_by.isdisjoint(human)))]
    return len(humans)


def _account(record: Record) -> str:
    return f", account {record.link.target_id}" if record.link is not None else ""


async def take_out(
    store: Store, plans: Mapping[str, Plan], worlds: Worlds, clock: Clock, user: str, *, by: str, dry_run: bool
) -> TakenOut:
    """Disable the person's account in every job, whatever the rules say of a cause; remember it until `let_back`.

    It is written down first: what cannot be done now, every cycle tries again, and no safeguard counts or holds it.
    Raises NobodyOrSeveral where nobody, or more than one, is called so.
    """
    found = await find(store, user)
    if not dry_run:
        await store.take_out([(job, one.kind, one.source_id) for job, one in found], by, clock.now())
    people: dict[int, Out] = {}

    async def from_job(position: int) -> None:
        job, record = found[position]
        people[position] = await _in_job(plans.get(job), job, record, worlds, by, dry_run=dry_run)

    # side by side: an app that does not answer must not keep the others waiting
    await each(range(len(found)), from_job, concurrency=JOBS_AT_ONCE)
    return TakenOut(tuple(people[position] for position in range(len(found))), dry_run)


async def let_back(store: Store, user: str) -> tuple[int, Sequence[str]]:
    """Leave the person to the rules again; return how many entries that was about, with their jobs."""
    found = await find(store, user)
    let = await store.let_back([(job, one.kind, one.source_id) for job, one in found])
    return let, sorted({job for job, _ in found})


async def _in_job(plan: Plan | None, job: str, record: Record, worlds: Worlds, by: str, *, dry_run: bool) -> Out:
    target_id = record.link.target_id if record.link is not None else None

    def came_to(outcome: Outcome, why: str = "") -> Out:
        return Out(job, record.kind, record.source_id, record.name, target_id, outcome, why)

    if target_id is None and record.attempted_at is None:
        return came_to("no account", "no account is made for the person any more")
    rules = KindRules.compile(plan.job, record.kind, plan.profile) if plan is not None else None
    if plan is None or rules is None:
        return came_to("not possible", "the job is not in the configuration any more: disable the account in the app")
    if target_id is None:
        why = "an account may have been made, and the app has not said so: the next cycle looks for it, and disables it"
        return came_to("failed", why)
    standing = Leaving(Cause.INACTIVE, f"taken out by hand by {by}", forced=True)
    decision = rules.planner.plan(Judged(record, standing), 0.0)
    if isinstance(decision, Leave) and decision.code != "RedundantExport":
        return came_to("not possible", decision.why)
    if dry_run:
        return came_to("to disable" if isinstance(decision, Operation) else "off already")
    try:
        async with worlds(job) as world:
            return await _disable(plan, rules, world, record.source_id, standing, came_to, by)
    except ReconcilerError as error:
        return came_to("failed", f"{error}; the next cycle tries again")


async def _disable(
    plan: Plan,
    rules: KindRules,
    world: World,
    source_id: SourceId,
    standing: Leaving,
    came_to: Callable[..., Out],
    by: str,
) -> Out:
    """Send the disable, and write down what became of it."""
    turns, store, clock = world.turns.of(plan.job.name), world.store, world.clock
    async with turns.door:
        cycle = turns.cycle
        if cycle is not None:
            with anyio.move_on_after(WAITS_SECONDS):
                await cycle.hand.let_go([(rules.kind, source_id)])
            if cycle.hand.in_hand([(rules.kind, source_id)]):
                cycle.hand.take_back([(rules.kind, source_id)])
                return came_to("failed", "a cycle is sending something for the person; the next one disables")
            await cycle.write_down()
            state = cycle.state
        else:
            identities = world.source.identity, world.target.identity
            state = await store.open_job(plan.job.name, *identities, clock.now())
        journal = Journal(store, state.job_id, state.epoch, clock, initiated_by=f"by hand: {by}")
        course = Course(journal.counts, clock)
        applier = Applier(
            *(plan.job, plan.profile, store, world.target, journal, Spool(store, state.job_id), {}, clock),
            *(world.progress, Hand(), course),
        )
        try:
            [record] = (await store.records(state.job_id, rules.kind, [source_id])).values()
            now = clock.now()
            decision = rules.planner.plan(Judged(record, standing), now)
            if not isinstance(decision, Operation):
                assert isinstance(decision, Leave)
                left = settling.left(record, decision, None, now)
                await journal.entry(left, telling.skipped(left, decision, now), touches_groups=True)
                return came_to("off already", decision.why)
            decision.approved = True
            await journal.entry(settling.attempted(decision, now))
            await journal.flush()
            await applier.perform(decision)
        finally:
            with anyio.CancelScope(shield=True):
                await journal.flush()
                if cycle is None:
                    await store.close_visit(state.job_id, state.epoch, clock.now())
        if course.stopped is not None:
            return came_to("failed", f"{course.stopped.reason}; the next cycle tries again")
        if course.failures:
            return came_to("failed", f"{course.failures[0]['reason']}; the next cycle tries again")
        return came_to("disabled")
