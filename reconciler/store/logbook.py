"""Writes and reads the provisioning log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import orjson
from sqlalchemy import Connection, Select, and_, func, or_, select

from reconciler.core.model import Identity
from reconciler.core.records import LogRecord
from reconciler.core.safeguards import Safeguard
from reconciler.ports import LogQuery
from reconciler.store.dialects import execute_many
from reconciler.store.tables import COUNTED, cycles, identities, provisioning_log

PAGE = 1000

_NEGATIVE = frozenset({"disable", "delete"})
_DONE = frozenset({"success", "warning"})
"""With a warning it was done all the same, though something about it was odd."""
_COLUMNS = (
    *("job_id", "epoch", "job", "at", "kind", "source_id", "target_id", "source_sum", "target_sum"),
    *("name", "name_key"),
    *("action", "operation", "status", "counts", "payload"),
)
_STEP = ("type", "status", "description", "details")
_MODIFIED = ("path", "old", "new")
_INSERT = provisioning_log.insert()
_BEYOND_ALL = chr(0x10FFFF)


def write(connection: Connection, job_id: int, epoch: int, job: str, records: Sequence[LogRecord]) -> None:
    rows = [
        (
            *(job_id, epoch, job, r.at, r.kind, r.source_id, r.target_id),
            *(_sum(r.source_id), None if r.target_id is None else _sum(r.target_id), r.name, r.name.casefold()),
            *(r.action, r.operation, r.status),
            _counts(r),
            orjson.dumps(
                (
                    *(r.error_code, r.reason, r.took_ms, r.approved),
                    list(map(tuple, r.steps)),
                    list(map(tuple, r.modified)),
                    *((r.initiated_by,) if r.initiated_by else ()),
                )
            ),
        )
        for r in records
    ]
    execute_many(connection, _INSERT, _COLUMNS, rows)


def _counts(record: LogRecord) -> str | None:
    if record.approved or record.status not in _DONE:
        return None
    return "deletions" if record.operation in _NEGATIVE else record.counts or None


def counted_since(connection: Connection, job_id: int, safeguard: Safeguard, since: float) -> int:
    c = provisioning_log.c
    return connection.execute(
        select(func.count())
        .select_from(provisioning_log)
        .where(c.job_id == job_id, COUNTED, c.counts == safeguard, c.at >= since)
    ).scalar_one()


def first_of_the_newest(connection: Connection, query: LogQuery) -> int | None:
    """Return the id of the first of the newest `limit` records that match (0 without a limit), None where none does."""
    if query.limit is None:
        return 0
    newest = _matching(select(provisioning_log.c.id), query).order_by(provisioning_log.c.id.desc()).limit(query.limit)
    ids = connection.execute(newest).scalars().all()
    return ids[-1] if ids else None


def page(connection: Connection, query: LogQuery, first: int) -> list[tuple[int, dict[str, Any]]]:
    """Return at most PAGE records that match, from the id `first` on, each with its id."""
    c, source, target = provisioning_log.c, identities.alias("source"), identities.alias("target")
    statement = (
        select(
            *(c.id, c.job, cycles.c.cycle_id, c.at, c.kind, c.source_id, c.target_id, c.name),
            *(c.action, c.operation, c.status, c.payload),
            *(source.c.type, source.c.place, source.c.key, target.c.type, target.c.place, target.c.key),
        )
        .select_from(provisioning_log)
        .join(cycles, and_(cycles.c.job_id == c.job_id, cycles.c.epoch == c.epoch))
        .join(source, source.c.id == cycles.c.source_ref)
        .join(target, target.c.id == cycles.c.target_ref)
    )
    rows = connection.execute(_matching(statement, query).where(c.id >= first).order_by(c.id).limit(PAGE))
    return [(row[0], _told(row)) for row in rows]


def _matching(statement: Select[Any], query: LogQuery) -> Select[Any]:
    c = provisioning_log.c
    for column, value in ((c.job, query.job), (c.action, query.action), (c.status, query.status)):
        if value is not None:
            statement = statement.where(column == value)
    if query.since is not None:
        statement = statement.where(c.at >= query.since)
    if query.user is not None:
        beginning = query.user.casefold()
        named = and_(c.name_key >= beginning, c.name_key < beginning + _BEYOND_ALL)
        sum_ = _sum(query.user)
        by_source = and_(c.source_sum == sum_, c.source_id == query.user)
        by_target = and_(c.target_sum == sum_, c.target_id == query.user)
        statement = statement.where(or_(by_source, by_target, named))
    return statement


def _sum(value: str) -> int:
    return crc32(value.encode())


def _told(row: Sequence[Any]) -> dict[str, Any]:
    row_id, job, cycle_id, at, kind, source_id, target_id, name, action, operation, status, payload, *places = row
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
        "initiated_by": initiated_by[0] if initiated_by else "",
    }
