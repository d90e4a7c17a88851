"""Keeps references that wait until there is an account, and accounts that were let go of and may still be named."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set

import orjson
from sqlalchemy import Connection, Integer, and_, bindparam, case, delete, null, or_, select, update

from reconciler.core.model import Kind, Resource, TargetId
from reconciler.ports import PendingReference
from reconciler.store.dialects import execute_many, put_many
from reconciler.store.tables import MATTERS, accounts_let_go, entries, pending_references

PAGE = 10_000
SEARCHED_FOR_MAX = 100
"""So many accounts at most are searched for in what refusals say: of more, any refusal may speak, as far as we know."""

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

_e = entries.c
_NAMING = (
    select(_e.row_id, case((_e.target_id.is_not(None), _e.agreed)).label("agreed"), _e.escrow_reason)
    .where(_e.job_id == bindparam("its_job"), _e.kind == bindparam("its_kind"), _e.row_id > bindparam("after"))
    .where(MATTERS, _e.fingerprint.is_not(None))
    .where(or_(and_(_e.target_id.is_not(None), _e.agreed.is_not(None)), _e.escrow_reason.is_not(None)))
    .order_by(_e.row_id)
    .limit(PAGE)
)
_LET_GO = select(accounts_let_go.c.target_id).where(accounts_let_go.c.job_id == bindparam("its_job"))
_UNSETTLE = update(entries).where(_e.row_id == bindparam("its_row")).values(fingerprint=null())


def resolvable(
    connection: Connection, job_id: int, after: int, limit: int
) -> list[tuple[int, PendingReference, TargetId]]:
    rows = connection.execute(_RESOLVABLE, {"its_job": job_id, "after": after, "most": limit})
    return [(row_id, PendingReference(*reference), target_id) for row_id, *reference, target_id in rows]


def let_go(connection: Connection, job_id: int, accounts: Collection[TargetId]) -> None:
    """Remember accounts that entries have no more, in the commit that says so: others may name them."""
    put_many(connection, accounts_let_go, ("job_id", "target_id"), (), [(job_id, one) for one in accounts])


def unsettle_who_names_one_let_go(connection: Connection, job_id: int, kinds: Sequence[Kind]) -> None:
    accounts = connection.execute(_LET_GO, {"its_job": job_id}).scalars().all()
    if accounts:
        for kind in kinds:
            unsettle_who_names(connection, job_id, kind, accounts)
        connection.execute(delete(accounts_let_go).where(accounts_let_go.c.job_id == job_id))


def unsettle_who_names(connection: Connection, job_id: int, kind: Kind, accounts: Collection[TargetId]) -> None:
    """Have those looked at who name one of these accounts; so does who was refused because it is not there."""
    named, after = frozenset[object](accounts), 0
    many = len(accounts) > SEARCHED_FOR_MAX
    while rows := connection.execute(_NAMING, {"its_job": job_id, "its_kind": kind, "after": after}).all():
        after = rows[-1].row_id
        found = [
            (row_id,)
            for row_id, agreed, refusal in rows
            if (agreed is not None and _has_one(orjson.loads(agreed), named))
            or (refusal is not None and (many or any(one in refusal for one in accounts)))
        ]
        execute_many(connection, _UNSETTLE, ("its_row",), found)


def _has_one(agreed: Resource, ids: Set[object]) -> bool:
    """Whether a value is one of these ids, or a list with one; who is found by chance is looked at once more."""
    for value in agreed.values():
        if isinstance(value, str):
            if value in ids:
                return True
        elif isinstance(value, list) and any(one in ids for one in value if isinstance(one, str)):
            return True
    return False
