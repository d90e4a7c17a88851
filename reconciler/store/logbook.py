"""Writes and reads the provisioning log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import orjson
from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, literal_column, or_, select

from reconciler.core.levelling import spoken
from reconciler.core.model import Identity
from reconciler.core.records import LogRecord
from reconciler.core.safeguards import Safeguard
from reconciler.ports import LogQuery
from reconciler.store import tallying
from reconciler.store.dialects import execute_many
from reconciler.store.tables import COUNTED, FAILED, RARE, cycles, identities, provisioning_log

PAGE = 1000
ASTRAY_SECONDS = 3600.0
"""So far two records may stand in another order than they were made in."""

_NEGATIVE = frozenset({"disable", "delete"})
_DONE = frozenset({"success", "warning"})
"""With a warning it was done all the same, though something about it was odd."""
_COLUMNS = (
    *("job_id", "epoch", "job", "at", "kind", "source_id", "target_id", "source_sum", "target_sum"),
    *("name", "name_key"),
    *("action", "operation", "status", "counts", "payload"),
)
_RARE = frozenset({"disable", "delete", "stagedDelete", "stagedAction"})
_STEP = ("type", "status", "description", "details")
_MODIFIED = ("path", "old", "new")
_INSERT = provisioning_log.insert()
_BEYOND_ALL = chr(0x10FFFF)


def write(connection: Connection, job_id: int, epoch: int, job: str, records: Sequence[LogRecord]) -> None:
    rows = [
        (
            *(job_id, epoch, job, r.at, r.kind, r.source_id, r.target_id),
            *(_sum(r.source_id), None if r.target_id is None else _sum(r.target_id), r.name, spoken(r.name)),
            *(r.action, r.operation, r.status),
            _counts(r),
            orjson.dumps(
                (
                    *(r.error_code, r.reason, r.took_ms, r.approved),
                    list(map(tuple, r.steps)),
                    r.modified,
                    *((r.initiated_by,) if r.initiated_by else ()),
                )
            ),
        )
        for r in records
    ]
    execute_many(connection, _INSERT, _COLUMNS, rows)
    tallying.add(connection, job, Counter((r.kind, r.operation, r.status) for r in records))


def _counts(record: LogRecord) -> str | None:
    if record.approved or record.status not in _DONE:
        return None
    return "deletions" if record.operation in _NEGATIVE else record.counts or None


_l = provisioning_log.c
_COUNTED_SINCE = (
    select(func.count())
    .select_from(provisioning_log)
    .where(_l.job_id == bindparam("its_job"), COUNTED, _l.counts == bindparam("safeguard"), _l.at >= bindparam("since"))
)


def counted_since(connection: Connection, job_id: int, safeguard: Safeguard, since: float) -> int:
    of = {"its_job": job_id, "safeguard": safeguard, "since": since}
    return int(connection.execute(_COUNTED_SINCE, of).scalar_one())


def first(connection: Connection, query: LogQuery) -> int | None:
    """Return the id to begin with: of the newest `limit` records that match the first, None where none does."""
    c = provisioning_log.c
    begin = 0 if query.since is None else _first_since(connection, query.since - ASTRAY_SECONDS)
    if query.limit is None:
        return begin
    place = _place(query)
    newest = _matching(select(c.id), query).where(place >= begin).order_by(place.desc()).limit(query.limit)
    ids = connection.execute(newest).scalars().all()
    return ids[-1] if ids else None


def _first_since(connection: Connection, moment: float) -> int:
    """Return the id from which on records are as young as that, by halving: they stand in the order of time."""
    c = provisioning_log.c
    # each by itself: SQLite then reads one row, of both together every one
    low = connection.execute(select(func.min(c.id))).scalar() or 0
    high = (connection.execute(select(func.max(c.id))).scalar() or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(select(c.id, c.at).where(c.id >= middle).order_by(c.id).limit(1)).one_or_none()
        if row is not None and row.at < moment:
            low = row.id + 1
        else:
            high = middle
    return low


def page(connection: Connection, query: LogQuery, first: int) -> list[tuple[int, dict[str, Any]]]:
    """Return at most PAGE records that match, from the id `first` on, each with its id."""
    c, source, target = provisioning_log.c, identities.alias("source"), identities.alias("target")
    statement = (
        select(
            *(c.id, c.job, cycles.c.cycle_id, c.at, c.kind, c.source_id, c.target_id, c.name),
            *(c.action, c.operation, c.status, c.payload, cycles.c.asked_by),
            *(source.c.type, source.c.place, source.c.key, target.c.type, target.c.place, target.c.key),
        )
        .select_from(provisioning_log)
        .join(cycles, and_(cycles.c.job_id == c.job_id, cycles.c.epoch == c.epoch))
        .join(source, source.c.id == cycles.c.source_ref)
        .join(target, target.c.id == cycles.c.target_ref)
    )
    place = _place(query)
    rows = connection.execute(_matching(statement, query).where(place >= first).order_by(place).limit(PAGE))
    return [(row[0], _told(row)) for row in rows]


def _place(query: LogQuery) -> ColumnElement[int]:
    """Return what records are ordered by: their ids, or the same so written that SQLite does not walk through them.

    Of one person there are few records, which three small indexes find; their order is made afterwards.
    """
    return provisioning_log.c.id + literal_column("0") if query.user is not None else provisioning_log.c.id


def _matching(statement: Select[Any], query: LogQuery) -> Select[Any]:
    """Narrow a statement to what a query asks for, by the index that finds the fewest records."""
    c = provisioning_log.c
    few = query.user is not None
    if query.status == "failure":
        statement, few = statement.where(FAILED), True
    if query.action in _RARE:
        statement, few = statement.where(RARE), True
    # SQLite, which knows nothing of how much a job has logged, would take the job's index before any other
    job = c.job.concat("") if few else c.job
    for column, value in ((job, query.job), (c.action, query.action), (c.status, query.status)):
        if value is not None:
            statement = statement.where(column == value)
    if query.since is not None:
        statement = statement.where(c.at >= query.since)
    if query.user is not None:
        beginning = spoken(query.user)
        named = and_(c.name_key >= beginning, c.name_key < beginning + _BEYOND_ALL)
        sum_ = _sum(query.user)
        by_source = and_(c.source_sum == sum_, c.source_id == query.user)
        by_target = and_(c.target_sum == sum_, c.target_id == query.user)
        statement = statement.where(or_(by_source, by_target, named))
    return statement


def _sum(value: str) -> int:
    return crc32(value.encode())


def _told(row: Sequence[Any]) -> dict[str, Any]:
    row_id, job, cycle_id, at, kind, source_id, target_id, name, action, operation, status, payload, *rest = row
    asked_by, *places = rest
    error_code, reason, took_ms, approved, steps, modified, *initiated_by = orjson.loads(payload)
    return {
        "change_id": str(row_id),
        "cycle_id": cycle_id,
        "job": job,
        "source": str(Identity(*places[:3])),
        "target": str(Identity(*places[3:])),
        "at": at,
        "kind": kind,
        "source_id": source_id,
        "target_id": target_id,
        "name": name,
        "action": action,
        "operation": operation,
        "status": status,
        "error_code": error_code,
        "reason": reason,
        "steps": [dict(zip(_STEP, step, strict=True)) for step in steps],
        "modified": [dict(zip(_MODIFIED, one, strict=True)) for one in modified],
        "took_ms": took_ms,
        "approved": approved,
        "initiated_by": initiated_by[0] if initiated_by else asked_by,
    }
