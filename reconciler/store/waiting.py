"""Keeps what waits for something: references for their account, held operations for a person."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from reconciler.core.model import TargetId
from reconciler.ports import HeldOperation, PendingReference
from reconciler.store.dialects import execute_many
from reconciler.store.tables import entries, held_operations, holds, jobs, pending_references

_HELD = ("hold_id", "position", "kind", "source_id", "name", "operation", "why")
_INSERT = held_operations.insert()


def resolvable(
    connection: Connection, job_id: int, after: int, limit: int
) -> list[tuple[int, PendingReference, TargetId]]:
    p, own, wanted = pending_references.c, entries.alias("own"), entries.alias("wanted")
    o, w = own.c, wanted.c
    rows = connection.execute(
        select(p.id, p.kind, p.source_id, p.path, p.wanted_kind, p.wanted_id, w.target_id)
        .select_from(pending_references)
        .join(own, and_(o.job_id == p.job_id, o.kind == p.kind, o.source_id == p.source_id))
        .join(wanted, and_(w.job_id == p.job_id, w.kind == p.wanted_kind, w.source_id == p.wanted_id))
        .where(p.job_id == job_id, p.id > after, o.target_id.is_not(None), w.target_id.is_not(None))
        .where(o.escrow_failures.is_(None))  # who waits after a failure is sent whole when the time comes
        .order_by(p.id)
        .limit(limit)
    )
    return [(row_id, PendingReference(*reference), target_id) for row_id, *reference, target_id in rows]


def pending_count(connection: Connection, job_id: int) -> int:
    return connection.execute(
        select(func.count()).select_from(pending_references).where(pending_references.c.job_id == job_id)
    ).scalar_one()


def hold(
    connection: Connection, job_id: int, cycle_id: str, now: float, why: str, operations: Sequence[HeldOperation]
) -> None:
    open_hold = connection.execute(select(holds.c.id).where(holds.c.job_id == job_id)).scalar()
    if open_hold is not None:
        before = _operations(connection, open_hold)
        if {(o.kind, o.source_id, o.operation) for o in before} == {
            (o.kind, o.source_id, o.operation) for o in operations
        }:
            # What a person was told to approve goes on being called the same.
            connection.execute(update(holds).where(holds.c.id == open_hold).values(cycle_id=cycle_id, why=why))
            connection.execute(delete(held_operations).where(held_operations.c.hold_id == open_hold))
            _write(connection, open_hold, operations)
            return
        release(connection, job_id)
    row = connection.execute(
        insert(holds).values(job_id=job_id, cycle_id=cycle_id, since=now, why=why).returning(holds.c.id)
    ).one()
    _write(connection, row.id, operations)


def release(connection: Connection, job_id: int) -> None:
    connection.execute(delete(holds).where(holds.c.job_id == job_id))


def held(connection: Connection, job: str | None) -> list[tuple[str, str, float, str, list[HeldOperation]]]:
    c = holds.c
    found = select(jobs.c.name, c.id, c.since, c.why).join(jobs, jobs.c.id == c.job_id).order_by(c.id)
    if job is not None:
        found = found.where(jobs.c.name == job)
    return [
        (name, str(hold_id), since, why, _operations(connection, hold_id))
        for name, hold_id, since, why in connection.execute(found).all()
    ]


def _operations(connection: Connection, hold_id: int) -> list[HeldOperation]:
    c = held_operations.c
    rows = connection.execute(
        select(c.kind, c.source_id, c.name, c.operation, c.why).where(c.hold_id == hold_id).order_by(c.position)
    )
    return [HeldOperation(*row) for row in rows]


def _write(connection: Connection, hold_id: int, operations: Sequence[HeldOperation]) -> None:
    rows = [(hold_id, i, o.kind, o.source_id, o.name, o.operation, o.why) for i, o in enumerate(operations)]
    execute_many(connection, _INSERT, _HELD, rows)
