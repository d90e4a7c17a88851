"""Keeps who is assigned to a job's app by the source's own word, to tell whose assignments changed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, null, select, update

from reconciler.core.given import GivenAssignment
from reconciler.core.model import SourceId
from reconciler.store.dialects import execute_many, put_many
from reconciler.store.membership import with_those_below
from reconciler.store.tables import assignments, entries

_KEY = ("job_id", "principal_id", "role")
_ITS_KEY = ("its_job", "its_principal", "its_role")
_TAKE_OUT = delete(assignments).where(
    *(assignments.c[name] == bindparam(its) for name, its in zip(_KEY, _ITS_KEY, strict=True))
)
_LOOK_AGAIN = (
    update(entries)
    .where(
        entries.c.job_id == bindparam("its_job"),
        entries.c.source_id == bindparam("its_id"),
        entries.c.fingerprint.is_not(None),
    )
    .values(fingerprint=null())
)


def stage(
    connection: Connection, job_id: int, given: Sequence[GivenAssignment], *, complete: bool
) -> frozenset[SourceId]:
    """Write who is assigned; return whose assignments changed, with everybody below a group."""
    c = assignments.c
    before = {(one, role) for one, role in connection.execute(select(c.principal_id, c.role).where(c.job_id == job_id))}
    now = {(one.principal, _written(one)) for one in given}
    came, left = now - before, before - now if complete else set[tuple[SourceId, str]]()
    put_many(connection, assignments, _KEY, (), [(job_id, *one) for one in sorted(came)])
    execute_many(connection, _TAKE_OUT, _ITS_KEY, [(job_id, *one) for one in sorted(left)])
    changed = with_those_below(connection, job_id, {one for one, _ in came | left})
    execute_many(connection, _LOOK_AGAIN, ("its_job", "its_id"), [(job_id, one) for one in sorted(changed)])
    return changed


def _written(one: GivenAssignment) -> str:
    if one.role is None:
        return f"?{one.role_unknown}" if one.role_unknown else ""
    return f"={one.role.value}\n{one.role.display_name}"
