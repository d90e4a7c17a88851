"""Keeps whom a person took out by hand, in every job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Select, and_, bindparam, delete, null, or_, select, tuple_, update

from reconciler.core.levelling import spoken
from reconciler.core.model import Identity, Kind, SourceId
from reconciler.core.records import Record
from reconciler.store.dialects import put_many
from reconciler.store.identifying import JobRow, job_named
from reconciler.store.rows import READ, record
from reconciler.store.tables import entries, identities, jobs, spoken_of, taken_out

Key = tuple[Kind, SourceId]

_e, _s = entries.c, spoken_of.c
_OF_JOB = select(_s.kind, _s.source_id).where(_s.job_id == bindparam("its_job"))
_LOOK_AGAIN = (
    update(entries)
    .where(_e.job_id == bindparam("its_job"), tuple_(_e.kind, _e.source_id).in_(_OF_JOB))
    .values(fingerprint=null(), due_at=bindparam("now"))
)
_LOOKED = delete(spoken_of).where(_s.job_id == bindparam("its_job"))


def somebody(connection: Connection, user: str) -> list[tuple[str, Identity, Record]]:
    c, source = entries.c, identities.c
    known = select(jobs.c.source_ref, c.source_id, c.target_id, c.person, c.name).join(jobs, jobs.c.id == c.job_id)
    folded = spoken(user)  # here, as the databases know letter case of ASCII only
    first = [
        (source_ref, source_id, person)
        for source_ref, source_id, target_id, person, name in connection.execute(known.where(c.kind == "user"))
        if user in (source_id, target_id, person) or spoken(name) == folded
    ]
    if not first:
        return []
    same_entry = tuple_(jobs.c.source_ref, c.source_id).in_([(ref, source_id) for ref, source_id, _ in first])
    same_person = c.person.in_({person for *_, person in first if person is not None})
    found = connection.execute(
        select(jobs.c.name.label("job"), source.type, source.place, source.key, *READ)
        .join(jobs, jobs.c.id == c.job_id)
        .join(identities, source.id == jobs.c.source_ref)
        .where(c.kind == "user", or_(same_entry, same_person))
        .order_by(c.job_id, c.row_id)
    )
    return [(str(row[0]), Identity(*row[1:4]), record(row[4:])) for row in found]


def take_out(connection: Connection, people: Sequence[tuple[str, Kind, SourceId]], by: str, now: float) -> None:
    for job, kind, source_id in people:
        row = job_named(connection, job)
        if row is not None:
            out = [(row.id, kind, source_id, by, now)]
            put_many(connection, taken_out, ("job_id", "kind", "source_id"), ("taken_by", "taken_at"), out)
            _speak_of(connection, row, kind, source_id)


def let_back(connection: Connection, people: Sequence[tuple[str, Kind, SourceId]]) -> int:
    let, c = 0, taken_out.c
    for job, kind, source_id in people:
        row = job_named(connection, job)
        if row is not None:
            of = and_(c.job_id.in_(_of_its_source(row)), c.kind == kind, c.source_id == source_id)
            let += connection.execute(delete(taken_out).where(of)).rowcount
            _speak_of(connection, row, kind, source_id)
    return let


def look_again(connection: Connection, job_id: int, now: float) -> None:
    """Have the cycle that opens the job look at whom a person took out or let back since it was opened last."""
    connection.execute(_LOOK_AGAIN, {"its_job": job_id, "now": now})
    connection.execute(_LOOKED, {"its_job": job_id})


def _speak_of(connection: Connection, row: JobRow, kind: Kind, source_id: SourceId) -> None:
    """Mark an entry in every job of the source, as one may be meeting her just now.

    What is under way knows nothing of it, and writes its decision over what stands at the entry: so this stands apart.
    """
    marks = [(job_id, kind, source_id) for job_id in connection.scalars(_of_its_source(row))]
    put_many(connection, spoken_of, ("job_id", "kind", "source_id"), (), marks)


def _of_its_source(row: JobRow) -> Select[tuple[int]]:
    return select(jobs.c.id).where(jobs.c.source_ref == row.source_ref)


_t, _knows = taken_out.c, jobs.alias("knows")
_OUT = (  # of any job of the same source: one that had not met her yet makes no account for her either
    select(_t.kind, _t.source_id, _t.taken_by)
    .join(_knows, _knows.c.id == _t.job_id)
    .join(jobs, jobs.c.source_ref == _knows.c.source_ref)
    .where(jobs.c.name == bindparam("job"))
)


def who_is_out(connection: Connection, job: str) -> Mapping[Key, str]:
    return {(kind, source_id): by for kind, source_id, by in connection.execute(_OUT, {"job": job})}
