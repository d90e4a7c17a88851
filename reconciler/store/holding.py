"""Keeps what safeguards hold back, and what people said to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, bindparam, delete, insert, select, update

from reconciler.core.model import Kind, SourceId
from reconciler.core.safeguards import Safeguard
from reconciler.ports import Decided, Decision, HeldOperation, Hold
from reconciler.store import ledgers
from reconciler.store.dialects import execute_many, put_many
from reconciler.store.identifying import job_named
from reconciler.store.tables import decided_operations, held_operations, holds, jobs

_KEY = ("kind", "source_id", "operation")
_REST = ("name", "why", "verdict", "since", "about")
_HELD = ("hold_id", "position", *_KEY, *_REST)
_INSERT = held_operations.insert()
_DECISION = ("decision", "decided_by", "decided_at", "hold")
_c = decided_operations.c
_DROP = delete(decided_operations).where(*(_c[name] == bindparam(name) for name in ("job_id", *_KEY)))


def hold(
    connection: Connection,
    job_id: int,
    cycle_id: str,
    now: float,
    why: str,
    operations: Sequence[HeldOperation],
    safeguard: Safeguard,
) -> str:
    """Replace what one safeguard of a job holds; return the hold's name.

    It goes on being called the same unless something was added that nobody can have seen when they were told of it.
    """
    of_safeguard = and_(holds.c.job_id == job_id, holds.c.safeguard == safeguard)
    open_hold = connection.execute(select(holds.c.id).where(of_safeguard)).scalar()
    before = {} if open_hold is None else {o.key: o for o in _operations(connection, open_hold)}
    kept = [_since(operation, before, now) for operation in operations]
    if open_hold is not None and all(_was_there(operation, before) for operation in kept):
        connection.execute(update(holds).where(holds.c.id == open_hold).values(cycle_id=cycle_id, why=why))
        connection.execute(delete(held_operations).where(held_operations.c.hold_id == open_hold))
    else:
        connection.execute(delete(holds).where(of_safeguard))
        open_hold = connection.execute(
            insert(holds)
            .values(job_id=job_id, safeguard=safeguard, cycle_id=cycle_id, since=now, why=why)
            .returning(holds.c.id)
        ).scalar_one()
    rows = [(open_hold, position, *operation.key, *_rest(operation)) for position, operation in enumerate(kept)]
    execute_many(connection, _INSERT, _HELD, rows)
    return str(open_hold)


def release(connection: Connection, job_id: int, safeguard: Safeguard | None) -> None:
    ended = delete(holds).where(holds.c.job_id == job_id)
    connection.execute(ended if safeguard is None else ended.where(holds.c.safeguard == safeguard))


_HOLDS = (
    select(jobs.c.name, holds.c.id, holds.c.safeguard, holds.c.since, holds.c.why)
    .join(jobs, jobs.c.id == holds.c.job_id)
    .order_by(holds.c.id)
)
_HOLDS_OF = _HOLDS.where(jobs.c.name == bindparam("job_name"))
_d = decided_operations.c
_DECIDED = (
    select(jobs.c.name.label("job"), decided_operations)
    .join(jobs, jobs.c.id == _d.job_id)
    .order_by(_d.job_id, _d.decided_at, _d.kind, _d.source_id)
)
_DECIDED_OF = _DECIDED.where(jobs.c.name == bindparam("job_name"))


def held(connection: Connection, job: str | None) -> list[Hold]:
    found = connection.execute(_HOLDS if job is None else _HOLDS_OF, {} if job is None else {"job_name": job})
    return [
        Hold(name, str(hold_id), safeguard, since, why, tuple(_operations(connection, hold_id)))
        for name, hold_id, safeguard, since, why in found.all()
    ]


def decide(connection: Connection, job: str, hold: str | None, decision: Decision, by: str, now: float) -> list[Hold]:
    """Write down a person's word on what a hold lists, and end the hold; return what was decided on."""
    row = job_named(connection, job)
    chosen = [one for one in held(connection, job) if hold is None or one.id == hold]
    for one in chosen if row is not None else ():
        assert row is not None
        rows = [(row.id, *o.key, decision, by, now, one.id, *_rest(o)) for o in one.operations]
        put_many(connection, decided_operations, ("job_id", *_KEY), (*_DECISION, *_REST), rows)
        connection.execute(delete(holds).where(holds.c.id == int(one.id)))
        if decision == "approved":  # a group that waits after a refusal is tried at once
            ledgers.soil(connection, row.id, [o.source_id for o in one.operations if o.operation == "members"])
    return chosen


def decisions(connection: Connection, job: str | None) -> list[Decided]:
    found = connection.execute(_DECIDED if job is None else _DECIDED_OF, {} if job is None else {"job_name": job})
    return [Decided(row.job, _operation(row), row.decision, row.decided_by, row.decided_at, row.hold) for row in found]


def drop_decisions(connection: Connection, job_id: int, keys: Sequence[tuple[Kind, SourceId, str]]) -> None:
    execute_many(connection, _DROP, ("job_id", *_KEY), [(job_id, *key) for key in keys])


def narrow_decision(connection: Connection, job_id: int, key: tuple[Kind, SourceId, str], about: Sequence[str]) -> None:
    of = (_c.job_id == job_id, *(_c[name] == value for name, value in zip(_KEY, key, strict=True)))
    connection.execute(update(decided_operations).where(*of).values(about=_packed(about)))


def _since(operation: HeldOperation, before: Mapping[Any, HeldOperation], now: float) -> HeldOperation:
    known = before.get(operation.key)
    return operation._replace(since=known.since if known is not None else operation.since or now)


def _was_there(operation: HeldOperation, before: Mapping[Any, HeldOperation]) -> bool:
    known = before.get(operation.key)
    return known is not None and set(operation.about) <= set(known.about)


def _rest(operation: HeldOperation) -> tuple[Any, ...]:
    return operation.name, operation.why, operation.verdict, operation.since, _packed(operation.about)


def _operations(connection: Connection, hold_id: int) -> list[HeldOperation]:
    c = held_operations.c
    found = select(held_operations).where(c.hold_id == hold_id).order_by(c.position)
    return [_operation(row) for row in connection.execute(found)]


def _operation(row: Row[Any]) -> HeldOperation:
    about = tuple(orjson.loads(row.about)) if row.about is not None else ()
    return HeldOperation(row.kind, row.source_id, row.name, row.operation, row.why, row.verdict, about, row.since)


def _packed(about: Sequence[str]) -> bytes | None:
    return orjson.dumps(about) if about else None
