"""Counts what a job has done since it first ran: what the log's retention takes away stays counted here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection, Insert, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from reconciler.core.model import KINDS
from reconciler.ports import Statistics
from reconciler.store.dialects import execute_many
from reconciler.store.identifying import job_named
from reconciler.store.tables import MANAGED, cycles, entries, steady_states, tallies

_KEY = ("job", "kind", "operation", "status")
_NEW = frozenset({"create", "adopt"})
_NO_WORK = frozenset({"skip"})


def add(connection: Connection, job: str, counts: Mapping[tuple[str, str, str], int]) -> None:
    """Add to what was counted, by kind, operation and status."""
    rows = [(job, *key, n) for key, n in counts.items()]
    execute_many(connection, _adding(connection.dialect.name), (*_KEY, "n"), rows)


def is_steady(summary: Mapping[str, Any]) -> bool:
    """Whether a cycle ended with nothing left to do: everything was read, and nothing had to be sent."""
    counts = summary.get("counts", {})
    return summary.get("state") == "active" and not any(n for name, n in counts.items() if name not in _NO_WORK)


def steady(connection: Connection, job: str, now: float) -> None:
    s = steady_states
    if connection.execute(s.update().where(s.c.job == job).values(last_at=now)).rowcount == 0:
        connection.execute(s.insert().values(job=job, first_at=now, last_at=now))


def forget(connection: Connection, job: str) -> None:
    for table in (tallies, steady_states):
        connection.execute(delete(table).where(table.c.job == job))


def statistics(connection: Connection, job: str) -> Statistics:
    t, s = tallies.c, steady_states.c
    done: defaultdict[str, int] = defaultdict(int)
    failed: defaultdict[str, int] = defaultdict(int)
    provisioned = dict.fromkeys(KINDS, 0)
    skipped = 0
    for kind, operation, status, n in connection.execute(
        select(t.kind, t.operation, t.status, t.n).where(t.job == job)
    ):
        if status == "failure":
            failed[operation] += n
        elif status == "skipped" or operation == "leave":
            skipped += n
        else:
            done[operation] += n
            provisioned[kind] += n if operation in _NEW else 0
    achieved = connection.execute(select(s.first_at, s.last_at).where(s.job == job)).one_or_none()
    return Statistics(
        managed=_managed(connection, job),
        provisioned=provisioned,
        done=dict(done),
        failed=dict(failed),
        skipped=skipped,
        last_cycle=_last_cycle(connection, job),
        steady_first_at=None if achieved is None else achieved.first_at,
        steady_last_at=None if achieved is None else achieved.last_at,
    )


def _managed(connection: Connection, job: str) -> Mapping[Any, int]:
    managed = dict.fromkeys(KINDS, 0)
    row = job_named(connection, job)
    if row is not None:
        of_job = select(entries.c.kind, func.count()).where(entries.c.job_id == row.id, MANAGED)
        managed.update((kind, n) for kind, n in connection.execute(of_job.group_by(entries.c.kind)))
    return managed


def _last_cycle(connection: Connection, job: str) -> Mapping[str, Any] | None:
    c = cycles.c
    newest = select(c.cycle_id, c.closed_at, c.summary).where(c.job == job, c.summary.is_not(None))
    row = connection.execute(newest.order_by(c.id.desc()).limit(1)).one_or_none()
    return None if row is None else {**orjson.loads(row.summary), "cycle_id": row.cycle_id, "ended_at": row.closed_at}


@cache
def _adding(dialect: str) -> Insert:
    if dialect == "postgresql":
        counted = postgresql.insert(tallies)
        return counted.on_conflict_do_update(index_elements=_KEY, set_={"n": tallies.c.n + counted.excluded.n})
    tallied = sqlite.insert(tallies)
    return tallied.on_conflict_do_update(index_elements=_KEY, set_={"n": tallies.c.n + tallied.excluded.n})
