"""Keeps references that wait until what they point to has an account."""

from __future__ import annotations

from sqlalchemy import Connection, Integer, and_, bindparam, select

from reconciler.core.model import TargetId
from reconciler.ports import PendingReference
from reconciler.store.tables import entries, pending_references

_p, _own, _wanted = pending_references.c, entries.alias("own"), entries.alias("wanted")
_o, _w = _own.c, _wanted.c
_RESOLVABLE = (
    select(_p.id, _p.kind, _p.source_id, _p.path, _p.wanted_kind, _p.wanted_id, _w.target_id)
    .select_from(pending_references)
    .join(_own, and_(_o.job_id == _p.job_id, _o.kind == _p.kind, _o.source_id == _p.source_id))
    .join(_wanted, and_(_w.job_id == _p.job_id, _w.kind == _p.wanted_kind, _w.source_id == _p.wanted_id))
    .where(_p.job_id == bindparam("its_job"), _p.id > bindparam("after"))
    .where(_o.target_id.is_not(None), _w.target_id.is_not(None))
    .where(_o.escrow_failures.is_(None))  # who waits after a failure is sent whole when the time comes
    .order_by(_p.id)
    .limit(bindparam("most", type_=Integer))
)


def resolvable(
    connection: Connection, job_id: int, after: int, limit: int
) -> list[tuple[int, PendingReference, TargetId]]:
    rows = connection.execute(_RESOLVABLE, {"its_job": job_id, "after": after, "most": limit})
    return [(row_id, PendingReference(*reference), target_id) for row_id, *reference, target_id in rows]
