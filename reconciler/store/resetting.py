"""Clears what a restart of a job clears."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, select, true, update

from reconciler.core import quarantine
from reconciler.core.notices import Notice
from reconciler.core.restarting import BEGINS_ANEW, ResetScope
from reconciler.core.standing import Standing
from reconciler.store import claiming, standings, tallying
from reconciler.store.identifying import fenced_job, job_named
from reconciler.store.tables import (
    accounts_let_go,
    decided_operations,
    entries,
    holds,
    jobs,
    ledger,
    pending_references,
    staged_groups,
)

_LINKS = (entries, ledger, pending_references, accounts_let_go, holds, decided_operations)


def reset(connection: Connection, name: str, scopes: Collection[ResetScope], now: float) -> Standing:
    row = job_named(connection, name)
    if row is not None:
        # The epoch grows, so that a cycle that began before can write nothing more.
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(epoch=row.epoch + 1))
        if not BEGINS_ANEW.isdisjoint(scopes):
            connection.execute(update(jobs).where(jobs.c.id == row.id).values(watermark=None, completed_rules=None))
            connection.execute(update(entries).where(entries.c.job_id == row.id).values(fingerprint=None))
        _propose_again(connection, row.id, now)
        if ResetScope.ESCROWS in scopes:
            _end_waits(connection, row.id, true(), now)
            g = staged_groups.c
            connection.execute(
                update(staged_groups).where(g.job_id == row.id, g.failures > 0).values(failures=0, due_at=None)
            )
        if ResetScope.LINKS in scopes:
            for table in _LINKS:
                connection.execute(delete(table).where(table.c.job_id == row.id))
            tallying.forget(connection, name)
            connection.execute(update(staged_groups).where(staged_groups.c.job_id == row.id).values(dirty=True))
            claiming.wake(connection)
    return standings.settle(connection, name, lambda standing: _restarted(name, standing, scopes, now))


def end_waits(connection: Connection, job_id: int, epoch: int, codes: Collection[str], now: float) -> None:
    fenced_job(connection, job_id, epoch)
    _end_waits(connection, job_id, entries.c.escrow_error_code.in_(sorted(codes)), now)


def _propose_again(connection: Connection, job_id: int, now: float) -> None:
    """Forget what people rejected: whom that was about is looked at again."""
    c, d = entries.c, decided_operations.c
    rejected = and_(d.job_id == job_id, d.decision == "rejected")
    meant = exists().where(rejected, d.kind == c.kind, d.source_id == c.source_id)
    connection.execute(update(entries).where(c.job_id == job_id, meant).values(fingerprint=None, due_at=now))
    groups = select(d.source_id).where(rejected, d.operation == "members")
    g = staged_groups.c
    connection.execute(update(staged_groups).where(g.job_id == job_id, g.group_id.in_(groups)).values(dirty=True))
    connection.execute(delete(decided_operations).where(rejected))


def _end_waits(connection: Connection, job_id: int, which: ColumnElement[bool], now: float) -> None:
    c, of_job = entries.c, entries.c.job_id == job_id
    connection.execute(
        update(entries)
        .where(of_job, c.escrow_failures.is_not(None), which)
        .values(
            escrow_failures=None,
            escrow_first_failed_at=None,
            escrow_error_code=None,
            escrow_reason=None,
            fingerprint=None,
            due_at=now,
        )
    )


def _restarted(
    name: str, standing: Standing, scopes: Collection[ResetScope], now: float
) -> tuple[Standing, Sequence[Notice]]:
    told: Sequence[Notice] = ()
    if ResetScope.QUARANTINE in scopes:
        standing, told = quarantine.lifted(name, standing, now, how="a person restarted the job")
    if ResetScope.ESCROWS in scopes:
        standing = replace(standing, failing_cycles=0)
    if not BEGINS_ANEW.isdisjoint(scopes):
        standing = replace(standing, watermark_at=None, compare_next=True)
    if ResetScope.FORCE_DELETES in scopes:
        standing = replace(standing, force_deletes=True)
    return standing, told
