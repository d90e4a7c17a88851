"""Keeps references that wait until what they point to has an account."""

from __future__ import annotations

from sqlalchemy import Connection, and_, func, select

from reconciler.core.model import TargetId
from reconciler.ports import PendingReference
from reconciler.store.tables import entries, pending_references


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
