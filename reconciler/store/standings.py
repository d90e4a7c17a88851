"""Keeps how the jobs stand, with the notices that are still to be mailed."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, Integer, bindparam, func, select, update

from reconciler.core.notices import Notice, NoticeKind, Settle
from reconciler.core.standing import Standing
from reconciler.ports import QueuedNotice
from reconciler.store.dialects import put_many
from reconciler.store.tables import notices, standings

_STANDING = select(standings.c.standing).where(standings.c.job == bindparam("job"))
_DUE = (
    select(notices)
    .where(notices.c.due_at <= bindparam("now"))
    .order_by(notices.c.due_at, notices.c.id)
    .limit(bindparam("most", type_=Integer))
)
_NEXT = select(func.min(notices.c.due_at))


def standing(connection: Connection, job: str) -> Standing:
    found = connection.execute(_STANDING, {"job": job}).scalar()
    return Standing() if found is None else Standing.from_json(orjson.loads(found))


def settle(connection: Connection, job: str, change: Settle) -> Standing:
    changed, told = change(standing(connection, job))
    put_many(connection, standings, ("job",), ("standing",), [(job, orjson.dumps(changed.as_json()))])
    queue(connection, told)
    return changed


def queue(connection: Connection, told: Sequence[Notice]) -> None:
    """Write down notices to be mailed; one with the key of an earlier one is left out."""
    for notice in told:
        if connection.execute(select(notices.c.id).where(notices.c.key == notice.key)).scalar() is None:
            connection.execute(
                notices.insert().values(
                    key=notice.key,
                    job=notice.job,
                    kind=notice.kind,
                    at=notice.at,
                    facts=orjson.dumps(dict(notice.facts)),
                    attempts=0,
                    due_at=notice.at,
                    problem="",
                    recipients="",
                )
            )


def due_notices(connection: Connection, now: float, limit: int) -> list[QueuedNotice]:
    found = connection.execute(_DUE, {"now": now, "most": limit})
    return [
        QueuedNotice(
            row.id,
            Notice(NoticeKind(row.kind), row.job, row.at, row.key, orjson.loads(row.facts)),
            attempts=row.attempts,
            begun_at=row.begun_at,
            recipients=tuple(row.recipients.split()),
        )
        for row in found
    ]


def begin_notice(connection: Connection, notice_id: int, now: float) -> None:
    c = notices.c
    connection.execute(update(notices).where(c.id == notice_id).values(begun_at=now, attempts=c.attempts + 1))


def end_notice(
    connection: Connection,
    notice_id: int,
    sent_at: float | None,
    due_at: float | None,
    problem: str,
    recipients: Sequence[str],
) -> None:
    ended = {
        "begun_at": None,
        "sent_at": sent_at,
        "due_at": due_at,
        "problem": problem,
        "recipients": " ".join(recipients),
    }
    connection.execute(update(notices).where(notices.c.id == notice_id).values(**ended))


def next_notice_at(connection: Connection) -> float | None:
    found: float | None = connection.execute(_NEXT).scalar()
    return found
