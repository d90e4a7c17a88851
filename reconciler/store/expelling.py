"""Keeps whom a person took out by hand, in every job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, and_, bindparam, delete, or_, select, tuple_, update

from reconciler.core.levelling import spoken
from reconciler.core.model import Identity, Kind, SourceId
from reconciler.core.records import Record
from reconciler.store.dialects import put_many
from reconciler.store.identifying import job_named
from reconciler.store.rows import READ, record
from reconciler.store.tables import entries, identities, jobs, taken_out

Key = tuple[Kind, SourceId]


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
            put_many(
                connection,
                taken_out,
                ("job_id", "kind", "source_id"),
                ("taken_by", "taken_at"),
                [(row.id, kind, source_id, by, now)],
            )
            _look_again(connection, row.id, kind, source_id, now)


def let_back(connection: Connection, people: Sequence[tuple[str, Kind, SourceId]], now: float) -> int:
    let, c = 0, taken_out.c
    for job, kind, source_id in people:
        row = job_named(connection, job)
        if row is not None:
            of_source = select(jobs.c.id).where(jobs.c.source_ref == row.source_ref)
            of = and_(c.job_id.in_(of_source), c.kind == kind, c.source_id == source_id)
            let += connection.execute(delete(taken_out).where(of)).rowcount
            _look_again(connection, row.id, kind, source_id, now)
    return let


_t, _knows = taken_out.c, jobs.alias("knows")
_OUT = (  # of any job of the same source: one that had not met her yet makes no account for her either
    select(_t.kind, _t.source_id, _t.taken_by)
    .join(_knows, _knows.c.id == _t.job_id)
    .join(jobs, jobs.c.source_ref == _knows.c.source_ref)
    .where(jobs.c.name == bindparam("job"))
)


def who_is_out(connection: Connection, job: str) -> Mapping[Key, str]:
    return {(kind, source_id): by for kind, source_id, by in connection.execute(_OUT, {"job": job})}


def _look_again(connection: Connection, job_id: int, kind: Kind, source_id: SourceId, now: float) -> None:
    c = entries.c
    of = and_(c.job_id == job_id, c.kind == kind, c.source_id == source_id)
    connection.execute(update(entries).where(of).values(fingerprint=None, due_at=now))
