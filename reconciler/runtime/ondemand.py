"""Provisions a few people or groups now, because somebody asks for it, and shows each of the five steps.

What is decided, and how it is sent, is the cycle's: the same reading, deciding, safeguards and sending, on few entries.
Of a cycle of the job that runs at the same time it takes over the entries that it works on (`runtime.turns`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import anyio

from reconciler.core import telling
from reconciler.core.decisions import Operation, Reject
from reconciler.core.guarding import Guards
from reconciler.core.model import KINDS, Kind, SourceId
from reconciler.core.naming import Named
from reconciler.core.outcomes import Failed
from reconciler.ports import Diagnosis, JobState, LogQuery, Wanted, chunks
from reconciler.runtime.apply import Applier
from reconciler.runtime.asking import Asking
from reconciler.runtime.beside import Beside
from reconciler.runtime.canary import Canary
from reconciler.runtime.course import Course
from reconciler.runtime.deciding import Deciding
from reconciler.runtime.draining import drain
from reconciler.runtime.finding import NotOne, find
from reconciler.runtime.grouped import one_of
from reconciler.runtime.guarding import Guarding
from reconciler.runtime.holding import Holding, Withheld
from reconciler.runtime.joining import Joining
from reconciler.runtime.journal import Journal
from reconciler.runtime.leavers import Leavers
from reconciler.runtime.overhearing import Overheard
from reconciler.runtime.provisioned import Provisioned, Row, State, Subject
from reconciler.runtime.reading import Reader, wanted_by
from reconciler.runtime.rules import KindRules, compiled
from reconciler.runtime.spool import Spool
from reconciler.runtime.turns import Hand, Key, UnderWay
from reconciler.runtime.watching import Watching
from reconciler.runtime.world import Plan, World

WAITS_SECONDS = 30.0
"""How long a cycle is given to end what it has in hand of an entry."""
PAGE = 1000
_BUSY = "a cycle of the job is sending something for it just now, and has had no answer for a while; try again later"


async def provision(
    plan: Plan,
    world: World,
    names: Sequence[str],
    *,
    dry_run: bool = False,
    by: str = "",
    waits_seconds: float = WAITS_SECONDS,
) -> Provisioned | tuple[NotOne, ...]:
    """Provision who is called so, and say of each what the five steps came to; or say whose names are not one entry's.

    Works on jobs that are paused, not enabled or in quarantine. With `dry_run` the world is one that pretends:
    `Rehearsal` and a state that is thrown away. Raises StateError where the state cannot be used.
    """
    try:
        return await _provision(plan, world, names, dry_run=dry_run, by=by, waits_seconds=waits_seconds)
    except BaseExceptionGroup as errors:
        raise one_of(errors) from errors


async def _provision(
    plan: Plan, world: World, names: Sequence[str], *, dry_run: bool, by: str, waits_seconds: float
) -> Provisioned | tuple[NotOne, ...]:
    rules = compiled(plan.job, plan.profile)
    began = world.clock.monotonic()
    named, problems = await find(world.source, world.store, plan.job, _wanted(rules.get("user")), names)
    if problems:
        if all(one.unread for one in problems):
            why = tuple(str(one) for one in problems)
            return Provisioned(plan.job.name, "", "incomplete", (), problems=why, dry_run=dry_run)
        return tuple(problems)
    turns = world.turns.of(plan.job.name)
    at, requests = world.clock.now(), dict(world.target.requests)
    async with turns.door:
        target = Overheard(world.target)
        visit = _Visit(plan, replace(world, target=target), target, rules, turns.cycle, by, waits_seconds)
        result = await visit.run(named)
    sent = {method: n - requests.get(method, 0) for method, n in world.target.requests.items()}
    return replace(
        result,
        dry_run=dry_run,
        started_at=at,
        duration_seconds=world.clock.monotonic() - began,
        requests={method: n for method, n in sent.items() if n},
    )


def _wanted(users: KindRules | None) -> Wanted:
    return Wanted(users.reads if users is not None else frozenset(), frozenset(), users=users is not None)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for, by kind."""

    users: tuple[SourceId, ...]
    groups: tuple[Named, ...]

    @classmethod
    def of(cls, named: Sequence[Named]) -> _Asked:
        groups = tuple(one for one in named if one.kind == "group")
        users = [one.id for one in named if one.kind == "user"]
        users += [SourceId(member) for group in groups for member in group.members]
        return cls(tuple(dict.fromkeys(users)), groups)


class _Visit:
    """One run on demand, from the opened job to its end."""

    def __init__(
        self,
        plan: Plan,
        world: World,
        target: Overheard,
        rules: dict[Kind, KindRules],
        cycle: UnderWay | None,
        by: str,
        waits_seconds: float,
    ) -> None:
        self._plan, self._world, self._target, self._rules, self._cycle = plan, world, target, rules, cycle
        self._job, self._store, self._clock = plan.job, world.store, world.clock
        self._by = f"on demand by {by}" if by else "on demand"
        self._waits_seconds = waits_seconds
        self._busy: list[Key] = []
        self._unknown: list[Key] = []
        self._why_unknown = ""
        """What the source says of itself, where it could not be read."""
        self._apart: list[Key] = []
        self._weighed: dict[int, Operation] = {}
        """The disables and deletes that were weighed; those that are matched only at the end are so by themselves."""
        self._canary = Canary(plan.job)

    async def run(self, named: Sequence[Named]) -> Provisioned:
        """Go through the five steps."""
        lines = await self._world.target.test()
        if not all(line.ok or line.partial for line in lines):
            return self._not_reached(named, lines)
        asked = _Asked.of(named)
        newest, self._opened_at = await self._newest(), self._clock.now()
        cycle_id = self._cycle.cycle_id if self._cycle is not None else self._world.dice.hex(32)
        state = await self._open(cycle_id)
        self._managed = await self._store.linked_count(state.job_id)
        self._furnish(state)
        await self._holding.begin()
        self._deciding.taken_out = self._holding.taken_out
        try:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._journal.keep_flushing)
                    await self._go_through(asked, cycle_id)
                    tasks.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):  # what was done is written down, also when we are cut off
                    await self._journal.flush()
            rows = await self._told(newest)
        finally:
            self._deciding.elsewhere.end()
            if self._cycle is None:
                with anyio.CancelScope(shield=True):
                    await self._store.close_visit(state.job_id, state.epoch, self._clock.now())
        return self._result(asked, lines, rows, cycle_id)

    async def _open(self, cycle_id: str) -> JobState:
        """Open the job; beside a cycle use what it has opened: another epoch would cut it off."""
        if self._cycle is not None:
            return self._cycle.state
        world = self._world
        return await self._store.open_job(
            self._job.name, world.source.identity, world.target.identity, self._clock.now(), cycle_id=cycle_id
        )

    def _furnish(self, state: JobState) -> None:
        world, plan, job_id, hand = self._world, self._plan, state.job_id, Hand()
        self._state = state
        self._journal = Journal(world.store, job_id, state.epoch, world.clock, initiated_by=self._by)
        self._spool = Spool(world.store, job_id)
        asking = {
            kind: Asking(
                world.store,
                world.target,
                job_id,
                kind,
                plan.profile,
                [*(mapping.to for mapping in rules.mapper.match_mappings), *rules.mapper.choosing],
                concurrency=plan.concurrency,
                expect_many=False,
            )
            for kind, rules in self._rules.items()
        }
        self._course = Course(self._journal.counts, world.clock)
        self._applier = Applier(
            *(plan.job, plan.profile, world.store, world.target, self._journal, self._spool, asking),
            *(world.clock, world.progress, hand, self._course),
        )
        guards, first = Guards.of(plan.job, plan.profile), state.completed_rules != plan.rules_version
        self._holding = Holding(
            plan.job, world, state, self._journal, guards, lambda operations, held: None, first=first
        )
        self._guarding = Guarding(
            plan.job, job_id, world.store, world.clock, guards, self._holding, managed=self._managed, some=True
        )
        self._watching = Watching(plan.job, plan.profile, self._rules, self._target)
        self._deciding = Deciding(
            *(plan.job, plan.profile, job_id, world.store, world.target, self._journal, asking, self._course),
            *(world.clock, world.dice, self._guarding, self._spool.put),
            source=world.source.identity,
            full=False,
            hand=hand,
            making=world.turns.making,
            watch=self._watching,
            takes_over=self._cycle is None,
        )
        if self._cycle is not None:
            self._deciding.claims.claimed = self._cycle.claimed
        self._joining = Joining(
            *(plan.job, job_id, world.store, world.target, self._journal, asking, self._course),
            *(world.clock, world.progress, self._holding),
            concurrency=plan.concurrency,
            hand=hand,
            canary=self._canary,
        )
        self._beside = Beside(plan.job, plan.beside)
        self._reader = Reader(
            *(plan, world, state, self._rules, self._journal, self._course, self._deciding),
            self._canary,
            self._beside,
            full=False,
        )
        self._leavers = Leavers(
            *(world, state, self._rules, self._journal, self._course, self._deciding, self._reader.reading),
            self._canary,
            full=False,
            hand=hand,
        )

    async def _go_through(self, asked: _Asked, cycle_id: str) -> None:
        groups = [group.id for group in asked.groups] if "group" in self._rules else []
        await self._take_over_from_the_cycle(asked.users, [group.id for group in asked.groups])
        await self._reader.read_memberships()
        self._watching.groups = self._reader.staging.named
        await self._provision("group", groups)
        await self._provision("user", asked.users)
        await self._send_what_was_weighed(cycle_id)
        await drain(
            partial(self._deciding.decide_late, last=self._cycle is None),
            *(self._spool, self._applier),
            concurrency=self._plan.concurrency,
        )
        await self._match_again()
        if any(id(operation) not in self._weighed for operation in self._deciding.negatives):
            await self._send_what_was_weighed(cycle_id)
        await self._give_up_on_the_late()
        await self._journal.flush()
        for group in groups:
            if ("group", group) not in self._busy:
                await self._join(group)
        await self._say_why_nothing_was_done()

    async def _take_over_from_the_cycle(self, users: Sequence[SourceId], groups: Sequence[SourceId]) -> None:
        """Have a running cycle leave the entries alone, and write down what it did with them before."""
        if self._cycle is None:
            return
        keys: list[Key] = [*(("user", one) for one in users), *(("group", one) for one in groups)]
        with anyio.move_on_after(self._waits_seconds):
            await self._cycle.hand.let_go(keys)
        self._busy = self._cycle.hand.in_hand(keys)
        self._cycle.hand.take_back(self._busy)
        await self._cycle.write_down()

    async def _provision(self, kind: Kind, ids: Sequence[SourceId]) -> None:
        """Read, decide and send a page at a time. Who is gone waits with the others who leave."""
        rules = self._rules.get(kind)
        free = [one for one in ids if (kind, one) not in self._busy]
        for page in chunks(free, PAGE) if rules is not None else ():
            assert rules is not None
            given: dict[SourceId, bool] = {}

            async def decide(page: Sequence[SourceId] = page, given: dict[SourceId, bool] = given) -> None:
                assert rules is not None
                entries = await self._reader.fetch(rules, page, last=False)
                given.update((one, entry is not None) for one, entry in entries.items())
                self._apart += [(kind, e.id) for e in entries.values() if e is not None and not self._canary.lets(e)]

            await drain(decide, self._spool, self._applier, concurrency=self._plan.concurrency)
            self._unknown += [(kind, one) for one in page if one not in given]
            if self._unknown and not self._why_unknown:
                bad = [line.text for line in await self._world.source.test(wanted_by(self._plan)) if not line.ok]
                self._why_unknown = bad[0] if bad else ""
            gone = [one for one in page if not given.get(one, True)]
            records = await self._store.records(self._state.job_id, kind, gone) if gone else {}
            for record in records.values():
                if self._canary.lets_record(record):
                    self._watching.gone(record)
                    await self._leavers.leave(rules, record, "no longer in the source")
                else:
                    self._apart.append(record.key)

    async def _send_what_was_weighed(self, cycle_id: str) -> None:
        """Weigh what takes something away together with what was taken away lately, and with what is held."""
        planned = [operation for operation in self._deciding.negatives if id(operation) not in self._weighed]
        self._weighed.update((id(operation), operation) for operation in planned)
        for operation in planned:
            self._watching.takes_away(operation)
        known = self._reader.reading.complete.get("memberships", False)
        recovering = self._deciding.recovering
        negatives = await self._holding.pass_on(planned, self._beside, recovering, memberships_known=known)
        managed = self._managed + self._deciding.matched
        cleared = await self._holding.weigh(negatives, managed=managed, whole=False) if negatives else []
        cleared = await self._deciding.attempt(cleared)

        async def send() -> None:
            self._spool.put_urgent(cleared)
            await self._deciding.send(await self._guarding.weigh())

        await drain(send, self._spool, self._applier, concurrency=self._plan.concurrency)
        for operation in negatives:
            self._watching.weighed(operation, self._holding.arithmetic)
        await self._holding.keep(cycle_id, ())
        for key, withheld in self._holding.withheld.items():
            self._watching.holds(key, withheld)
        await self._store.queue(self._holding.notices)

    async def _match_again(self) -> None:
        """Match once more whose account has vanished, or whose name was taken."""
        again, self._applier.again = self._applier.again, []
        self._applier.last_round = True
        for kind in KINDS:
            ids = [source_id for one, source_id in again if one == kind]
            if ids and self._course.stopped is None and self._course.unasked is None:
                produce = partial(self._reader.fetch, self._rules[kind], ids, last=self._cycle is None)
                await drain(produce, self._spool, self._applier, concurrency=self._plan.concurrency)

    async def _give_up_on_the_late(self) -> None:
        """Say of whom the running cycle may still decide, that it is in the way."""
        late, self._deciding.late = self._deciding.late, []
        for _, candidate in late:
            why = "the account, or its name, is in the hands of another entry of the running cycle; try again after it"
            await self._deciding.reject(candidate, Reject("Busy", why))

    async def _join(self, group: SourceId) -> None:
        why_held = self._holding.why_removals_are_held
        whole = self._reader.reading.complete.get("memberships", False)
        await self._joining.members_of(
            group, "not known" if not whole else "held" if why_held else "allowed", why_held, whole=False
        )
        for one in self._joining.held:
            code = telling.HELD_BY["deletions" if why_held else "members"]
            self._watching.holds(one.group.key, Withheld(f"{len(one.members)} removals of members", code, one.why))

    async def _say_why_nothing_was_done(self) -> None:
        """Log also who is as before: somebody asked for it."""
        await self._journal.flush()
        now = self._clock.now()
        for key, decision in self._watching.left.items():
            if key not in self._journal.told:
                records = await self._store.records(self._state.job_id, key[0], [key[1]])
                if key[1] in records:
                    self._journal.log(telling.skipped(records[key[1]], decision, now))
        await self._journal.flush()

    # --- what came of it -----------------------------------------------------------------------------------------

    async def _newest(self) -> int:
        rows = [row async for row in self._store.log(LogQuery(limit=1))]
        return int(rows[-1]["change_id"]) if rows else 0

    async def _told(self, newest: int) -> list[Row]:
        """Return the log records of this run, each as the log shows it."""
        query = LogQuery(job=self._job.name, since=self._opened_at)
        return [
            row
            async for row in self._store.log(query)
            if int(row["change_id"]) > newest and row["initiated_by"] == self._by
        ]

    def _not_reached(self, named: Sequence[Named], lines: Sequence[Diagnosis]) -> Provisioned:
        why = next(line.text for line in lines if not line.ok)
        subjects = tuple(Subject.not_reached(one.kind, one.id, one.name, lines) for one in named)
        return Provisioned(self._job.name, "", "unreachable", subjects, problems=(why,))

    def _result(self, asked: _Asked, lines: Sequence[Diagnosis], rows: Sequence[Row], cycle_id: str) -> Provisioned:
        stopped = self._course.stopped or self._course.unasked
        for kind, source_id in self._journal.refused:
            self._course.failed(source_id, "link", "AccountTaken", f"another {kind} holds this account")
        keys: list[Key] = [("group", group.id) for group in asked.groups] if "group" in self._rules else []
        keys += [("user", one) for one in asked.users]
        by_key: dict[Key, list[Row]] = {}
        for row in rows:
            by_key.setdefault((row["kind"], row["source_id"]), []).append(row)
        subjects = [self._subject(key, lines, by_key.get(key, []), stopped) for key in keys]
        problems = list(self._reader.reading.problems)
        problems += [stopped.reason] if stopped is not None else []
        state: State = "active"
        if self._holding.withheld or self._joining.held:
            state = "held"
        if self._unknown or any(one.unknown for one in subjects):
            state = "incomplete"
        if stopped is not None:
            state = "unreachable"
        return Provisioned(
            self._job.name,
            cycle_id,
            state,
            tuple(subjects),
            problems=tuple(problems),
            beside_cycle=self._cycle is not None,
            safeguard=self._holding.arithmetic,
        )

    def _subject(self, key: Key, lines: Sequence[Diagnosis], rows: Sequence[Row], stopped: Failed | None) -> Subject:
        if key in self._busy:
            return Subject.not_taken(*key, lines, "Busy", _BUSY)
        if key in self._apart:
            why = f"the job is restricted to {', '.join(self._canary.names)} (only = […]): nobody else is touched"
            return Subject.not_taken(*key, lines, "NotInOnly", why, status="skipped")
        if key in self._unknown:
            why = f": {self._why_unknown}" if self._why_unknown else ""
            return Subject.not_taken(*key, lines, "SourceNotRead", f"the source could not be read whole{why}")
        return self._watching.subject(key, lines, rows, stopped)
