"""Which source, which target, which job: names to row numbers and back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select

from reconciler.core.model import Identity
from reconciler.errors import StateError
from reconciler.store.tables import cycles, identities, jobs

CYCLE_SECONDS_MAX = 86400.0
"""A cycle that was opened so long ago and never closed was killed."""

_ROW = select(jobs.c.id, jobs.c.name, jobs.c.epoch, jobs.c.source_ref, jobs.c.target_ref)
_NAMED = _ROW.where(jobs.c.name == bindparam("its_name"))
_NUMBERED = _ROW.where(jobs.c.id == bindparam("its_id"))
_i = identities.c
_IDENTITY = select(_i.id).where(
    _i.type == bindparam("its_type"), _i.place == bindparam("its_place"), _i.key == bindparam("its_key")
)


@dataclass(frozen=True, slots=True)
class JobRow:
    """The row of a job; the references are None while no cycle of it was ever opened."""

    id: int
    name: str
    epoch: int
    source_ref: int | None
    target_ref: int | None


def job_named(connection: Connection, name: str) -> JobRow | None:
    row = connection.execute(_NAMED, {"its_name": name}).one_or_none()
    return None if row is None else JobRow(*row)


def known_job(connection: Connection, name: str) -> tuple[JobRow, int]:
    """Return a job that had a cycle, and the number of its target. Raises StateError where it had none."""
    row = job_named(connection, name)
    if row is None or row.target_ref is None:
        raise StateError(f"job {name!r}: the state knows nothing of it yet; run `reconciler cycle {name}` first")
    return row, row.target_ref


def fenced_job(connection: Connection, job_id: int, epoch: int) -> JobRow:
    """Return the job's row if this epoch is its newest. Raises StateError for a cycle that another has overtaken."""
    row = connection.execute(_NUMBERED, {"its_id": job_id}).one_or_none()
    if row is None:
        raise StateError(
            "the job was forgotten while a cycle of it was running; nothing more is written for that cycle"
        )
    if row.epoch != epoch:
        raise StateError(
            f"job {row.name!r}: its cycle {epoch} was overtaken by cycle {row.epoch}; nothing more is written for it"
        )
    return JobRow(*row)


def under_way(connection: Connection, job_id: int, epoch: int, now: float) -> bool:
    """Return whether the job's newest cycle may still send something: it was opened, not long ago, and not closed."""
    c = cycles.c
    opened_at = connection.execute(
        select(c.opened_at).where(c.job_id == job_id, c.epoch == epoch, c.closed_at.is_(None))
    ).scalar()
    return opened_at is not None and now - opened_at < CYCLE_SECONDS_MAX


def identity_ref(connection: Connection, identity: Identity) -> int | None:
    """Return the number of an identity, None where it was never written."""
    of = {"its_type": identity.type, "its_place": identity.place, "its_key": identity.key}
    found: int | None = connection.execute(_IDENTITY, of).scalar()
    return found


def written_identity_ref(connection: Connection, identity: Identity) -> int:
    known = identity_ref(connection, identity)
    if known is not None:
        return known
    row = connection.execute(
        insert(identities).values(type=identity.type, place=identity.place, key=identity.key).returning(identities.c.id)
    ).one()
    return int(row.id)


def identity_of(connection: Connection, ref: int | None) -> Identity | None:
    c = identities.c
    row = connection.execute(select(c.type, c.place, c.key).where(c.id == ref)).one_or_none()
    return None if row is None else Identity(*row)
