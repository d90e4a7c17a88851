"""Opens and closes the cycles of a job, and remembers what it needs between them."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection, Delete, Integer, Table, bindparam, delete, func, insert, or_, select, update

from reconciler.core.model import Identity
from reconciler.core.notices import Settle
from reconciler.errors import IdentityChanged, StateError
from reconciler.ports import JobState
from reconciler.store import claiming, expelling, standings, tallying, timing
from reconciler.store.dialects import upsert
from reconciler.store.identifying import (
    JobRow,
    fenced_job,
    identity_of,
    identity_ref,
    job_named,
    known_job,
    written_identity_ref,
)
from reconciler.store.tables import (
    accounts_let_go,
    assignments,
    cycles,
    decided_operations,
    entries,
    holds,
    installation,
    jobs,
    ledger,
    listing,
    listing_keys,
    memberships,
    pending_references,
    spoken_of,
    spool,
    staged_groups,
    taken_out,
    target_facts,
)
from reconciler.store.tables import standings as standing_rows

_OF_THE_SOURCE = (
    *(entries, assignments, memberships, staged_groups, ledger, pending_references, holds, decided_operations),
    accounts_let_go,
    taken_out,
    spoken_of,
)
_SCRATCH = (spool, listing_keys, listing)


_SET = update(jobs).where(jobs.c.id == bindparam("its_job"))
"""Sets the columns that are given beside it."""
_OPEN = insert(cycles)
_CLOSE = update(cycles).where(cycles.c.job_id == bindparam("its_job"), cycles.c.epoch == bindparam("its_epoch"))
_PROGRESS = select(jobs.c.watermark, jobs.c.completed_rules).where(jobs.c.id == bindparam("its_job"))
_NEWEST_ROW = select(func.max(entries.c.row_id))
_HISTORY = (
    select(cycles.c.cycle_id, cycles.c.closed_at, cycles.c.summary)
    .where(cycles.c.job == bindparam("its_job"), cycles.c.summary.is_not(None))
    .order_by(cycles.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_SET_DUE = update(jobs).where(jobs.c.name == bindparam("its_job")).values(next_due_at=bindparam("at"))
_FACTS = select(target_facts.c.facts).where(target_facts.c.target_ref == bindparam("ref"))
_KEY = select(installation.c.fingerprint_key)


def open_job(
    connection: Connection,
    name: str,
    source: Identity,
    target: Identity,
    now: float,
    cycle_id: str,
    asked_by: str,
    clock_is_right: bool,
) -> JobState:
    key = _fingerprint_key(connection)
    leap = timing.leap_by(connection, now, clock_is_right=clock_is_right)
    refs = written_identity_ref(connection, source), written_identity_ref(connection, target)
    row = job_named(connection, name)
    if row is None:
        connection.execute(insert(jobs).values(name=name, epoch=0))
        row = job_named(connection, name)
        assert row is not None
    if row.source_ref is not None and (row.source_ref, row.target_ref) != refs:
        _refuse_another_identity(connection, row, source, target)
        _empty(connection, row.id, _OF_THE_SOURCE)
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(watermark=None, completed_rules=None))
    _empty(connection, row.id, _SCRATCH)
    expelling.look_again(connection, row.id, now)
    epoch = row.epoch + 1
    connection.execute(_SET, {"its_job": row.id, "epoch": epoch, "source_ref": refs[0], "target_ref": refs[1]})
    made_up = hashlib.blake2b(f"{row.id}/{epoch}".encode(), key=key, digest_size=16).hexdigest()
    opened = {
        "job_id": row.id,
        "epoch": epoch,
        "job": name,
        "cycle_id": cycle_id or made_up,
        "source_ref": refs[0],
        "target_ref": refs[1],
        "opened_at": now,
        "asked_by": asked_by,
    }
    connection.execute(_OPEN, opened)
    state = connection.execute(_PROGRESS, {"its_job": row.id}).one()
    return JobState(
        job_id=row.id,
        epoch=epoch,
        fingerprint_key=key,
        watermark=state.watermark,
        completed_rules=state.completed_rules,
        ceiling=connection.execute(_NEWEST_ROW).scalar() or 0,
        leap=leap,
    )


def close_cycle(
    connection: Connection,
    job_id: int,
    epoch: int,
    watermark: str | None,
    rules: str | None,
    summary: dict[str, Any],
    now: float,
    settle: Settle | None,
) -> None:
    job = fenced_job(connection, job_id, epoch)
    moved = {"watermark": watermark, "completed_rules": rules}
    moved = {name: value for name, value in moved.items() if value is not None}
    if moved:
        connection.execute(_SET, {"its_job": job_id, **moved})
    closed: dict[str, Any] = {"its_job": job_id, "its_epoch": epoch, "closed_at": now, "summary": orjson.dumps(summary)}
    if summary.get("cycle_id"):
        closed["cycle_id"] = summary["cycle_id"]
    connection.execute(_CLOSE, closed)
    claiming.wake(connection)
    _empty(connection, job_id, _SCRATCH)
    if tallying.is_steady(summary):
        tallying.steady(connection, job.name, now)
    if settle is not None:
        standings.settle(connection, job.name, settle)


def close_visit(connection: Connection, job_id: int, epoch: int, now: float) -> None:
    fenced_job(connection, job_id, epoch)
    connection.execute(_CLOSE, {"its_job": job_id, "its_epoch": epoch, "closed_at": now})
    claiming.wake(connection)
    _empty(connection, job_id, _SCRATCH)


def history(connection: Connection, job: str, limit: int) -> list[dict[str, Any]]:
    rows = connection.execute(_HISTORY, {"its_job": job, "most": limit})
    return [{"cycle_id": row.cycle_id, "ended_at": row.closed_at, **orjson.loads(row.summary)} for row in rows]


def set_next_due(connection: Connection, name: str, at: float | None) -> None:
    if connection.execute(_SET_DUE, {"its_job": name, "at": at}).rowcount == 0:
        connection.execute(insert(jobs).values(name=name, epoch=0, next_due_at=at))


def next_due(connection: Connection, name: str) -> float | None:
    return connection.execute(select(jobs.c.next_due_at).where(jobs.c.name == name)).scalar()


def forget(connection: Connection, name: str) -> None:
    connection.execute(update(cycles).where(cycles.c.job == name).values(summary=None))
    connection.execute(delete(jobs).where(jobs.c.name == name))
    connection.execute(delete(standing_rows).where(standing_rows.c.job == name))
    tallying.forget(connection, name)
    claiming.wake(connection)


def rebind(connection: Connection, name: str, source: Identity, target: Identity, keep_links: bool) -> None:
    row, _ = known_job(connection, name)
    source_ref, target_ref = written_identity_ref(connection, source), written_identity_ref(connection, target)
    _empty(connection, row.id, _SCRATCH)
    if keep_links:
        _refuse_links_held_by_others(connection, row.id, target, target_ref)
        own = entries.c.job_id == row.id
        connection.execute(update(entries).where(own, entries.c.target_id.is_not(None)).values(target_ref=target_ref))
        connection.execute(update(entries).where(own).values(fingerprint=None))
    else:
        _empty(connection, row.id, _OF_THE_SOURCE)
    connection.execute(
        update(jobs)
        .where(jobs.c.id == row.id)
        # The epoch grows, so that a cycle that began before can write nothing more.
        .values(source_ref=source_ref, target_ref=target_ref, epoch=row.epoch + 1, watermark=None, completed_rules=None)
    )
    claiming.wake(connection)


def remembered(connection: Connection, target: Identity) -> dict[str, Any] | None:
    ref = identity_ref(connection, target)
    facts = connection.execute(_FACTS, {"ref": ref}).scalar()
    return None if facts is None else dict(orjson.loads(facts))


def remember(connection: Connection, target: Identity, facts: dict[str, Any], now: float) -> None:
    ref = written_identity_ref(connection, target)
    known = connection.execute(_FACTS, {"ref": ref}).scalar()
    facts = facts if known is None else {**orjson.loads(known), **facts}
    row = {"target_ref": ref, "facts": orjson.dumps(facts), "at": now}
    connection.execute(upsert(connection.dialect.name, target_facts, ("target_ref",), ("facts", "at")), row)


def _fingerprint_key(connection: Connection) -> bytes:
    """Return the installation's own secret, made when it is first asked for."""
    key = connection.execute(_KEY).scalar()
    if key is None:
        key = secrets.token_bytes(32)
        connection.execute(insert(installation).values(id=1, fingerprint_key=key))
    return bytes(key)


def _empty(connection: Connection, job_id: int, tables: tuple[Any, ...]) -> None:
    for table in tables:
        connection.execute(_emptying(table), {"its_job": job_id})


@cache
def _emptying(table: Table) -> Delete:
    return delete(table).where(table.c.job_id == bindparam("its_job"))


def _refuse_another_identity(connection: Connection, row: JobRow, source: Identity, target: Identity) -> None:
    """Raise IdentityChanged unless the job has no link, and no create that may have become one."""
    c = entries.c
    bound = connection.execute(
        select(func.count()).where(c.job_id == row.id, or_(c.target_id.is_not(None), c.attempted_at.is_not(None)))
    ).scalar_one()
    if not bound:
        return
    changes = [
        f"{side} {was} (configured now: {is_now})"
        for side, was, is_now in (
            ("source", identity_of(connection, row.source_ref), source),
            ("target", identity_of(connection, row.target_ref), target),
        )
        if was != is_now
    ]
    raise IdentityChanged(
        f"job {row.name!r}: its links ({bound}) belong to {' and '.join(changes)}. Correct the configuration; or, "
        f"if it only moved, `reconciler rebind {row.name} --keep-links`; or, if it is another one, "
        f"`reconciler rebind {row.name} --rematch`"
    )


def _refuse_links_held_by_others(connection: Connection, job_id: int, target: Identity, target_ref: int) -> None:
    mine, theirs = entries.alias("mine"), entries.alias("theirs")
    row = connection.execute(
        select(func.count(), func.min(jobs.c.name))
        .select_from(mine)
        .join(theirs, (theirs.c.kind == mine.c.kind) & (theirs.c.target_id == mine.c.target_id))
        .join(jobs, jobs.c.id == theirs.c.job_id)
        .where(mine.c.job_id == job_id, theirs.c.job_id != job_id, theirs.c.target_ref == target_ref)
    ).one()
    if row[0]:
        raise StateError(
            f"{row[0]} of these accounts at {target} already belong to job {row[1]!r}; "
            "unlink them there, or use --rematch"
        )
