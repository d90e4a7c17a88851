"""The store on SQLAlchemy: `ports.Store`, one writer, each call one transaction in one thread."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import anyio
from sqlalchemy import Connection

from reconciler.core.given import GivenAssignment
from reconciler.core.model import Identity, Kind, SourceId, TargetId
from reconciler.core.notices import Notice, Settle
from reconciler.core.outcomes import Account
from reconciler.core.records import Record
from reconciler.core.restarting import ResetScope
from reconciler.core.safeguards import Safeguard
from reconciler.core.standing import Standing
from reconciler.ports import (
    Attempt,
    Batch,
    Claim,
    Decided,
    Decision,
    Figures,
    GroupMembers,
    HeldOperation,
    Hold,
    JobState,
    LogQuery,
    MatchPairs,
    MemberDelta,
    Owner,
    PendingReference,
    QueuedNotice,
    Seen,
    Statistics,
)
from reconciler.store import (
    assigning,
    claiming,
    cycles,
    expelling,
    figures,
    holding,
    ledgers,
    logbook,
    membership,
    pruning,
    reading,
    resetting,
    scratch,
    standings,
    tallying,
    waiting,
    writing,
)
from reconciler.store.database import Database, open_database
from reconciler.store.locking import Writer

P = ParamSpec("P")
T = TypeVar("T")


class SqlStore:
    """Remembers in SQLite or PostgreSQL. What each method promises stands at `ports.Store`.

    Every method raises StateError, with what to do, where the database does not do its part; then nothing of that call
    was written.
    """

    def __init__(self, database: Database, executor: Executor | None) -> None:
        self._database, self._executor = database, executor

    @classmethod
    async def open(cls, url: str, *, write: bool, clock_now: float, process: str = "", inline: bool = False) -> Self:
        """Open the state at `url` (sqlite:///path, or postgresql://user@host/name).

        `write` takes the lock and makes or migrates the tables; without it the state is read only, also beside a
        writer. `process` is what a second writer is told of this one. `inline` runs every call in the caller's thread
        (for simulations) instead of a thread of the store's own. Raises StateLocked and StateError.
        """
        writer = Writer(os.getpid(), process, clock_now) if write else None
        executor = None if inline else ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            database = await uninterrupted(executor, partial(open_database, url, writer))
        except BaseException:
            if executor is not None:
                executor.shutdown(wait=False)
            raise
        return cls(database, executor)

    async def close(self) -> None:
        """Let everything that was begun end, then close the database and let go of the lock."""
        await uninterrupted(self._executor, self._database.close)
        if self._executor is not None:
            self._executor.shutdown(wait=True)

    async def _do(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        def transaction() -> T:
            with self._database.transaction() as connection:
                return work(connection, *args, **kwargs)

        return await uninterrupted(self._executor, transaction)

    # --- the cycle -----------------------------------------------------------------------------------------------

    async def open_job(
        self,
        job: str,
        source: Identity,
        target: Identity,
        now: float,
        *,
        cycle_id: str = "",
        asked_by: str = "",
        clock_is_right: bool = False,
    ) -> JobState:
        return await self._do(cycles.open_job, job, source, target, now, cycle_id, asked_by, clock_is_right)

    async def close_cycle(
        self,
        job_id: int,
        epoch: int,
        *,
        watermark: str | None,
        rules: str | None,
        summary: dict[str, Any],
        now: float,
        settle: Settle | None = None,
    ) -> None:
        await self._do(cycles.close_cycle, job_id, epoch, watermark, rules, summary, now, settle)

    async def close_visit(self, job_id: int, epoch: int, now: float) -> None:
        await self._do(cycles.close_visit, job_id, epoch, now)

    async def standing(self, job: str) -> Standing:
        return await self._do(standings.standing, job)

    async def settle(self, job: str, change: Settle) -> Standing:
        return await self._do(standings.settle, job, change)

    async def in_escrow(self, job_id: int, limit: int) -> list[Record]:
        return await self._do(reading.in_escrow, job_id, limit)

    async def end_waits(self, job_id: int, epoch: int, codes: Collection[str], now: float) -> None:
        await self._do(resetting.end_waits, job_id, epoch, codes, now)

    async def reset(self, job: str, scopes: Collection[ResetScope], now: float) -> Standing:
        return await self._do(resetting.reset, job, scopes, now)

    async def queue(self, told: Sequence[Notice]) -> None:
        await self._do(standings.queue, told)

    async def due_notices(self, now: float, limit: int) -> list[QueuedNotice]:
        return await self._do(standings.due_notices, now, limit)

    async def begin_notice(self, notice_id: int, now: float) -> None:
        await self._do(standings.begin_notice, notice_id, now)

    async def end_notice(
        self,
        notice_id: int,
        *,
        sent_at: float | None,
        due_at: float | None,
        problem: str,
        recipients: Sequence[str] = (),
    ) -> None:
        await self._do(standings.end_notice, notice_id, sent_at, due_at, problem, recipients)

    async def next_notice_at(self) -> float | None:
        return await self._do(standings.next_notice_at)

    async def set_next_due(self, job: str, at: float | None) -> None:
        await self._do(cycles.set_next_due, job, at)

    async def next_due(self, job: str) -> float | None:
        return await self._do(cycles.next_due, job)

    async def remembered(self, target: Identity) -> dict[str, Any] | None:
        return await self._do(cycles.remembered, target)

    async def remember(self, target: Identity, facts: dict[str, Any], now: float) -> None:
        await self._do(cycles.remember, target, facts, now)

    # --- memberships ---------------------------------------------------------------------------------------------

    async def stage_memberships(
        self, job_id: int, groups: Sequence[GroupMembers], *, additive: bool, look_again: bool = False
    ) -> frozenset[SourceId]:
        return await self._do(membership.stage, job_id, groups, additive, look_again)

    async def stage_assignments(
        self, job_id: int, given: Sequence[GivenAssignment], *, complete: bool
    ) -> frozenset[SourceId]:
        return await self._do(assigning.stage, job_id, given, complete=complete)

    async def known_groups(self, job_id: int, groups: Sequence[SourceId]) -> frozenset[SourceId]:
        return await self._do(membership.known_groups, job_id, groups)

    async def mixed_groups(self, job_id: int, groups: Sequence[SourceId]) -> frozenset[SourceId]:
        return await self._do(membership.mixed_groups, job_id, groups)

    async def drop_groups(
        self, job_id: int, kept: Collection[SourceId], *, look_again: bool = False
    ) -> frozenset[SourceId]:
        return await self._do(membership.drop_groups, job_id, kept, look_again)

    async def forget_groups(self, job_id: int, gone: Collection[SourceId], *, look_again: bool = False) -> None:
        await self._do(membership.forget_groups, job_id, sorted(gone), look_again)

    async def groups_named(self, job_id: int, names: Sequence[str]) -> Mapping[str, tuple[SourceId, ...]]:
        return await self._do(membership.groups_named, job_id, names)

    async def memberships(
        self, job_id: int, members: Sequence[SourceId], groups: Sequence[SourceId], *, nested: bool
    ) -> Mapping[SourceId, frozenset[SourceId]]:
        return await self._do(membership.memberships_of, job_id, members, groups, nested)

    async def dirty_groups(self, job_id: int, after: str, limit: int, now: float = math.inf) -> list[SourceId]:
        return await self._do(ledgers.dirty_groups, job_id, after, limit, now)

    async def groups_put_off(self, job_id: int, groups: Sequence[SourceId], now: float) -> set[SourceId]:
        return await self._do(ledgers.groups_put_off, job_id, groups, now)

    async def member_delta(self, job_id: int, group: SourceId) -> MemberDelta:
        return await self._do(ledgers.member_delta, job_id, group)

    async def ledger(self, job_id: int, group: SourceId) -> Mapping[TargetId, SourceId]:
        return await self._do(ledgers.of_group, job_id, group)

    # --- records -------------------------------------------------------------------------------------------------

    async def compare(
        self, job_id: int, kind: Kind, page: Sequence[tuple[SourceId, bytes]], seen: Seen, now: float
    ) -> Mapping[SourceId, Record]:
        return await self._do(reading.compare, job_id, kind, page, seen, now)

    async def unseen(self, job_id: int, kind: Kind, seen: Seen, ceiling: int, after: int, limit: int) -> list[Record]:
        return await self._do(reading.unseen, job_id, kind, seen, ceiling, after, limit)

    async def due(self, job_id: int, kind: Kind, now: float, after: int, limit: int) -> list[Record]:
        return await self._do(reading.due, job_id, kind, now, after, limit)

    async def unsettled(self, job_id: int, kind: Kind, after: int, limit: int) -> list[Record]:
        return await self._do(reading.unsettled, job_id, kind, after, limit)

    async def unsettle_who_names(self, job_id: int, kind: Kind, targets: Collection[TargetId]) -> None:
        await self._do(waiting.unsettle_who_names, job_id, kind, sorted(targets))

    async def unsettle_who_names_one_let_go(self, job_id: int, kinds: Sequence[Kind]) -> None:
        await self._do(waiting.unsettle_who_names_one_let_go, job_id, kinds)

    async def meet(self, job_id: int, kind: Kind, ids: Sequence[SourceId], seen: Seen) -> list[SourceId]:
        return await self._do(reading.meet, job_id, kind, ids, seen)

    async def records(self, job_id: int, kind: Kind, source_ids: Sequence[SourceId]) -> Mapping[SourceId, Record]:
        return await self._do(reading.records, job_id, kind, source_ids)

    async def links_of(self, job_id: int, kind: Kind, source_ids: Sequence[SourceId]) -> Mapping[SourceId, TargetId]:
        return await self._do(reading.links_of, job_id, kind, source_ids)

    async def owners(self, target: Identity, kind: Kind, ids: Sequence[TargetId]) -> Mapping[TargetId, Owner]:
        return await self._do(reading.owners, target, kind, ids)

    async def having(
        self, target: Identity, kind: Kind, names: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], list[TargetId]]:
        found: dict[tuple[str, str], list[TargetId]] = {}
        after: TargetId | None = TargetId("") if names else None
        while after is not None:
            page, after = await self._do(reading.having, target, kind, names, after)
            for name, accounts in page.items():
                found.setdefault(name, []).extend(accounts)
        return found

    async def attempts(self, target: Identity, kind: Kind, matches: Collection[MatchPairs]) -> list[Attempt]:
        return await self._do(claiming.attempts, target, kind, matches)

    async def claims(self, target: Identity, kind: Kind, ids: Sequence[TargetId]) -> Mapping[TargetId, list[Claim]]:
        return await self._do(claiming.claims, target, kind, ids)

    async def linked_elsewhere(
        self, job_id: int, kind: Kind, source_ids: Sequence[SourceId]
    ) -> Mapping[SourceId, TargetId]:
        return await self._do(claiming.linked_elsewhere, job_id, kind, source_ids)

    async def attempted_elsewhere(
        self, job_id: int, kind: Kind, source_ids: Sequence[SourceId]
    ) -> Mapping[SourceId, Attempt]:
        return await self._do(claiming.attempted_elsewhere, job_id, kind, source_ids)

    async def pass_link(self, job_id: int, epoch: int, kind: Kind, source_id: SourceId, to: Claim, now: float) -> bool:
        return await self._do(claiming.pass_link, job_id, epoch, kind, source_id, to, now)

    async def linked_count(self, job_id: int) -> int:
        return await self._do(reading.linked_count, job_id)

    async def counted_since(self, job_id: int, safeguard: Safeguard, since: float) -> int:
        return await self._do(logbook.counted_since, job_id, safeguard, since)

    async def commit(self, job_id: int, epoch: int, batch: Batch) -> Sequence[tuple[Kind, SourceId]]:
        committed = await self._do(writing.commit, job_id, epoch, batch)
        for record in batch.records if committed.row_ids else ():
            # Only now: had the commit failed, the numbers would name no rows.
            record.row_id = committed.row_ids.get(record.key, record.row_id)
        return committed.refused

    # --- what waits ----------------------------------------------------------------------------------------------

    async def listing_put(
        self, job_id: int, kind: Kind, accounts: Sequence[Account], keys: Sequence[tuple[str, ...]]
    ) -> None:
        await self._do(scratch.listing_put, job_id, kind, accounts, keys)

    async def listing_find(self, job_id: int, kind: Kind, keys: Sequence[str]) -> Mapping[str, tuple[Account, ...]]:
        return await self._do(scratch.listing_find, job_id, kind, keys)

    async def listing_get(self, job_id: int, kind: Kind, ids: Sequence[TargetId]) -> Mapping[TargetId, Account]:
        return await self._do(scratch.listing_get, job_id, kind, ids)

    async def orphans(self, job_id: int, target: Identity, kind: Kind) -> list[Account]:
        return await self._do(scratch.orphans, job_id, target, kind)

    async def spool(self, job_id: int, queue: str, blobs: Sequence[bytes]) -> None:
        await self._do(scratch.put_aside, job_id, queue, blobs)

    async def unspool(self, job_id: int, queue: str, limit: int) -> list[bytes]:
        return await self._do(scratch.take_oldest, job_id, queue, limit)

    async def resolvable(self, job_id: int, after: int, limit: int) -> list[tuple[int, PendingReference, TargetId]]:
        return await self._do(waiting.resolvable, job_id, after, limit)

    async def somebody(self, user: str) -> list[tuple[str, Identity, Record]]:
        return await self._do(expelling.somebody, user)

    async def take_out(self, people: Sequence[tuple[str, Kind, SourceId]], by: str, now: float) -> None:
        await self._do(expelling.take_out, people, by, now)

    async def let_back(self, people: Sequence[tuple[str, Kind, SourceId]]) -> int:
        return await self._do(expelling.let_back, people)

    async def who_is_out(self, job: str) -> Mapping[tuple[Kind, SourceId], str]:
        return await self._do(expelling.who_is_out, job)

    async def should_be_off(self, job: str, limit: int) -> tuple[int, list[Record]]:
        return await self._do(reading.should_be_off, job, limit)

    async def hold(
        self,
        job_id: int,
        cycle_id: str,
        now: float,
        why: str,
        operations: Sequence[HeldOperation],
        safeguard: Safeguard = "deletions",
    ) -> str:
        return await self._do(holding.hold, job_id, cycle_id, now, why, operations, safeguard)

    async def release(self, job_id: int, safeguard: Safeguard | None = None) -> None:
        await self._do(holding.release, job_id, safeguard)

    async def held(self, job: str | None = None) -> list[Hold]:
        return await self._do(holding.held, job)

    async def decide_hold(self, job: str, hold: str | None, decision: Decision, by: str, now: float) -> list[Hold]:
        return await self._do(holding.decide, job, hold, decision, by, now)

    async def decisions(self, job: str | None = None) -> list[Decided]:
        return await self._do(holding.decisions, job)

    async def drop_decisions(self, job_id: int, keys: Sequence[tuple[Kind, SourceId, str]]) -> None:
        await self._do(holding.drop_decisions, job_id, keys)

    async def narrow_decision(self, job_id: int, key: tuple[Kind, SourceId, str], about: Sequence[str]) -> None:
        await self._do(holding.narrow_decision, job_id, key, about)

    # --- for people ----------------------------------------------------------------------------------------------

    async def statistics(self, job: str) -> Statistics:
        return await self._do(tallying.statistics, job)

    async def prune(self, before: float, now: float, limit: int) -> int:
        return await self._do(pruning.prune, before, now, limit)

    async def figures(self, job: str) -> Figures:
        return await self._do(figures.figures, job)

    async def history(self, job: str, limit: int) -> list[dict[str, Any]]:
        return await self._do(cycles.history, job, limit)

    async def log(self, query: LogQuery) -> AsyncIterator[dict[str, Any]]:
        first = await self._do(logbook.first, query)
        while first is not None and (page := await self._do(logbook.page, query, first)):
            for _, told in page:
                yield told
            first = page[-1][0] + 1

    async def list_links(self, job: str, name: str | None) -> list[Record]:
        return await self._do(reading.list_links, job, name)

    async def links_after(self, job: str, after: int, limit: int) -> list[Record]:
        return await self._do(reading.links_after, job, after, limit)

    async def link(self, job: str, kind: Kind, source_id: SourceId, target_id: TargetId, now: float) -> None:
        await self._do(writing.link, job, kind, source_id, target_id, now)

    async def unlink(self, job: str, kind: Kind, source_id: SourceId, *, idle_at: float | None = None) -> bool:
        return await self._do(writing.unlink, job, kind, source_id, idle_at)

    async def forget(self, job: str) -> None:
        await self._do(cycles.forget, job)

    async def rebind(self, job: str, source: Identity, target: Identity, *, keep_links: bool) -> None:
        await self._do(cycles.rebind, job, source, target, keep_links)


async def uninterrupted(executor: Executor | None, work: Callable[[], T]) -> T:
    """Run the work to its end, in the order it was asked for, even if the caller is cancelled meanwhile."""
    if executor is None:
        return work()
    running = asyncio.get_running_loop().run_in_executor(executor, work)
    with anyio.CancelScope(shield=True):
        # asyncio's own Task.cancel breaks through the scope; wait() at least lets go of the work without cancelling it.
        await asyncio.wait((running,))
    return running.result()
