"""Finds records: what of a page changed, what the reading missed, what is due, who holds an account."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Select, and_, bindparam, func, select

from reconciler.core.levelling import level, spoken
from reconciler.core.model import Identity, Kind, SourceId, TargetId
from reconciler.core.records import Record, Verdict
from reconciler.ports import Owner, Seen
from reconciler.store.dialects import given, in_turn
from reconciler.store.identifying import identity_ref, job_named
from reconciler.store.rows import READ, record
from reconciler.store.tables import MANAGED, MATTERS, SHOULD_BE_OFF, UNSETTLED, WAITS, entries, identities, jobs

SCAN = 10_000
"""How many row ids are looked at between two looks at the limit."""

_GIVEN, _ROWS = given(), given("row_ids", "integer")
_OF_JOB = (entries.c.job_id == bindparam("job_id"), entries.c.kind == bindparam("kind"))
_OF_PAGE = and_(*_OF_JOB, entries.c.source_id == _GIVEN.c.value)

_PRINTS = select(_GIVEN.c.key, entries.c.row_id, entries.c.fingerprint, entries.c.due_at).select_from(
    in_turn(_GIVEN, entries, _OF_PAGE)
)
_MET = select(_GIVEN.c.key, entries.c.row_id, entries.c.verdict).select_from(in_turn(_GIVEN, entries, _OF_PAGE))
_RECORDS = select(*READ).select_from(in_turn(_GIVEN, entries, _OF_PAGE))
_RECORDS_BY_ROW = select(*READ).select_from(in_turn(_ROWS, entries, entries.c.row_id == _ROWS.c.value))
_LINKS = (
    select(entries.c.source_id, entries.c.target_id)
    .select_from(in_turn(_GIVEN, entries, _OF_PAGE))
    .where(entries.c.target_id.is_not(None))
)
_SCANNED = (
    select(entries.c.row_id)
    .where(*_OF_JOB, MATTERS, entries.c.row_id > bindparam("after"), entries.c.row_id <= bindparam("ceiling"))
    .order_by(entries.c.row_id)
    .limit(SCAN)
)
_DUE = (
    select(*READ)
    .where(*_OF_JOB, WAITS, entries.c.row_id > bindparam("after"), entries.c.due_at <= bindparam("now"))
    .order_by(entries.c.row_id)
    .limit(bindparam("most"))
)

_UNSETTLED = (
    select(*READ)
    .where(*_OF_JOB, UNSETTLED, entries.c.row_id > bindparam("after"))
    .order_by(entries.c.row_id)
    .limit(bindparam("most"))
)

_AGREED = (
    select(entries.c.target_id, entries.c.agreed)
    .where(entries.c.target_ref == bindparam("target"), entries.c.kind == bindparam("kind"))
    .where(entries.c.target_id > bindparam("after"))
    .order_by(entries.c.target_id)
    .limit(SCAN)
)

_OWNERS = (
    select(
        *(entries.c.target_id, jobs.c.name, entries.c.source_id, entries.c.verdict, entries.c.person),
        *(entries.c.escrow_failures, entries.c.due_at, entries.c.linked_at),
        *(entries.c.disabled_at, entries.c.disabled_because),
        *(identities.c.type, identities.c.place, identities.c.key),
    )
    .select_from(
        in_turn(
            _GIVEN,
            entries,
            and_(
                *(entries.c.target_ref == bindparam("ref"), entries.c.kind == bindparam("kind")),
                entries.c.target_id == _GIVEN.c.value,
            ),
        )
    )
    .join(jobs, jobs.c.id == entries.c.job_id)
    .join(identities, identities.c.id == jobs.c.source_ref)
)


def compare(
    connection: Connection, job_id: int, kind: Kind, page: Sequence[tuple[SourceId, bytes]], seen: Seen, now: float
) -> dict[SourceId, Record]:
    new = [True] * len(page)
    changed = []
    rows = connection.execute(
        _PRINTS, {"given": [source_id for source_id, _ in page], "job_id": job_id, "kind": kind}
    ).all()
    for position, row_id, fingerprint, due_at in rows:
        seen.add(row_id)
        new[position] = False
        if fingerprint != page[position][1] or (due_at is not None and due_at <= now):
            changed.append(row_id)
    found = _records(connection, _RECORDS_BY_ROW, {"row_ids": changed}) if changed else {}
    for (source_id, _), is_new in zip(page, new, strict=True):
        if is_new:
            found[source_id] = Record(kind, source_id)
    return found


def unseen(
    connection: Connection, job_id: int, kind: Kind, seen: Seen, ceiling: int, after: int, limit: int
) -> list[Record]:
    missed: list[int] = []
    while len(missed) < limit:
        of = {"job_id": job_id, "kind": kind, "after": after, "ceiling": ceiling}
        row_ids = connection.execute(_SCANNED, of).scalars().all()
        missed += [row_id for row_id in row_ids if row_id not in seen]
        if len(row_ids) < SCAN:
            break
        after = row_ids[-1]
    return _by_row(connection, missed[:limit])


def due(connection: Connection, job_id: int, kind: Kind, now: float, after: int, limit: int) -> list[Record]:
    of = {"job_id": job_id, "kind": kind, "now": now, "after": after, "most": limit}
    return list(_records(connection, _DUE, of).values())


def unsettled(connection: Connection, job_id: int, kind: Kind, after: int, limit: int) -> list[Record]:
    of = {"job_id": job_id, "kind": kind, "after": after, "most": limit}
    return list(_records(connection, _UNSETTLED, of).values())


def meet(connection: Connection, job_id: int, kind: Kind, ids: Sequence[SourceId], seen: Seen) -> list[SourceId]:
    known = set()
    for position, row_id, verdict in connection.execute(_MET, {"given": ids, "job_id": job_id, "kind": kind}):
        seen.add(row_id)
        if verdict != Verdict.GONE:
            known.add(position)
    return [one for position, one in enumerate(ids) if position not in known]


def records(connection: Connection, job_id: int, kind: Kind, source_ids: Sequence[SourceId]) -> dict[SourceId, Record]:
    return _records(connection, _RECORDS, {"given": source_ids, "job_id": job_id, "kind": kind})


def links_of(
    connection: Connection, job_id: int, kind: Kind, source_ids: Sequence[SourceId]
) -> dict[SourceId, TargetId]:
    rows = connection.execute(_LINKS, {"given": source_ids, "job_id": job_id, "kind": kind})
    return {row.source_id: row.target_id for row in rows}


def owners(connection: Connection, target: Identity, kind: Kind, ids: Sequence[TargetId]) -> dict[TargetId, Owner]:
    ref = identity_ref(connection, target)
    if ref is None:
        return {}
    rows = connection.execute(_OWNERS, {"given": ids, "ref": ref, "kind": kind})
    return {
        target_id: Owner(
            *(job, kind, source_id, verdict, person, Identity(*identity), due_at if failures is not None else None),
            *(linked_at, off_at, because or ""),
        )
        for target_id, job, source_id, verdict, person, failures, due_at, linked_at, off_at, because, *identity in rows
    }


def having(
    connection: Connection, target: Identity, kind: Kind, names: Collection[tuple[str, str]], after: TargetId
) -> tuple[dict[tuple[str, str], list[TargetId]], TargetId | None]:
    """Return what one page of the links says, and after whom the next one begins; None: this was the last."""
    ref = identity_ref(connection, target)
    rows = connection.execute(_AGREED, {"target": ref, "kind": kind, "after": after}).all()
    found: dict[tuple[str, str], list[TargetId]] = {}
    paths = sorted({path for path, _ in names})
    for target_id, agreed in rows:
        resource = orjson.loads(agreed)
        for path in paths:
            value = resource.get(path)
            if isinstance(value, str) and (name := (path, level(value))) in names:
                found.setdefault(name, []).append(target_id)
    return found, rows[-1].target_id if len(rows) == SCAN else None


_LINKED = select(func.count()).select_from(entries).where(entries.c.job_id == bindparam("job_id"), MANAGED)
_ON = (entries.c.job_id == bindparam("job_id"), SHOULD_BE_OFF, entries.c.target_id.is_not(None))
_ON_COUNT = select(func.count()).select_from(entries).where(*_ON)
_ON_LIST = select(*READ).where(*_ON).order_by(entries.c.off_since, entries.c.row_id).limit(bindparam("most"))


def linked_count(connection: Connection, job_id: int) -> int:
    return connection.execute(_LINKED, {"job_id": job_id}).scalar_one()


def in_escrow(connection: Connection, job_id: int, limit: int) -> list[Record]:
    c = entries.c
    of_job = (c.job_id == job_id, WAITS, c.escrow_failures.is_not(None))
    rows = connection.execute(select(*READ).where(*of_job).order_by(c.escrow_first_failed_at, c.row_id).limit(limit))
    return [record(row) for row in rows]


def list_links(connection: Connection, job: str, name: str | None) -> list[Record]:
    row = job_named(connection, job)
    if row is None:
        return []
    c = entries.c
    is_linked = (c.job_id == row.id, c.target_id.is_not(None))
    if name is None:
        return [record(row) for row in connection.execute(select(*READ).where(*is_linked).order_by(c.row_id))]
    beginning = spoken(name)  # as the log does; the databases know letter case of ASCII only
    named = connection.execute(select(c.row_id, c.source_id, c.target_id, c.name).where(*is_linked)).all()
    wanted = [
        row_id
        for row_id, source_id, target_id, its_name in named
        if name in (source_id, target_id) or spoken(its_name).startswith(beginning)
    ]
    return _by_row(connection, wanted)


def should_be_off(connection: Connection, job: str, limit: int) -> tuple[int, list[Record]]:
    row = job_named(connection, job)
    if row is None:
        return 0, []
    total = connection.execute(_ON_COUNT, {"job_id": row.id}).scalar_one()
    found = connection.execute(_ON_LIST, {"job_id": row.id, "most": limit}) if total else ()
    return total, [record(one) for one in found]


def links_after(connection: Connection, job: str, after: int, limit: int) -> list[Record]:
    row = job_named(connection, job)
    if row is None:
        return []
    c = entries.c
    wanted = select(*READ).where(c.job_id == row.id, c.target_id.is_not(None), c.row_id > after)
    return [record(one) for one in connection.execute(wanted.order_by(c.row_id).limit(limit))]


def _records(connection: Connection, statement: Select[Any], of: Mapping[str, Any]) -> dict[SourceId, Record]:
    """Return records of one kind."""
    found = (record(row) for row in connection.execute(statement, of).all())
    return {one.source_id: one for one in found}


def _by_row(connection: Connection, row_ids: Sequence[int]) -> list[Record]:
    found = (record(row) for row in connection.execute(_RECORDS_BY_ROW, {"row_ids": row_ids}).all())
    return sorted(found, key=lambda one: one.row_id or 0)
