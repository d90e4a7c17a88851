"""Drops what is older than the log's retention, a batch at a time."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    Connection,
    Double,
    Integer,
    and_,
    bindparam,
    delete,
    exists,
    or_,
    select,
    update,
)

from reconciler.store.tables import cycles, notices, provisioning_log

KEYS_KEPT_SECONDS = 400 * 86400.0
"""A mail that was sent is known for so long at least, so that nobody is told the same thing twice."""
_NOTHING = b"{}"
_BEFORE: BindParameter[float] = bindparam("before")
_l = provisioning_log.c
_OLDEST = (
    select(_l.id, _l.at)
    .where(_l.id > 0, _l.at <= bindparam("now", type_=Double))
    .order_by(_l.id)
    .limit(bindparam("most", type_=Integer))
)
_c, _later, _n = cycles.c, cycles.alias("later"), notices.c
_followed = exists().where(_later.c.job_id == _c.job_id, _later.c.epoch > _c.epoch, _later.c.opened_at < _BEFORE)
_old = select(_c.id).where(_c.opened_at < _BEFORE, _followed).order_by(_c.id).limit(bindparam("most", type_=Integer))
_FOLLOWED = delete(cycles).where(_c.id.in_(_old))
_EMPTY = update(notices).where(and_(_n.sent_at < _BEFORE, _n.facts != _NOTHING)).values(facts=_NOTHING, recipients="")
_LONG_SENT = delete(notices).where(_n.sent_at < _BEFORE)
_LONG_GIVEN_UP = delete(notices).where(and_(_n.sent_at.is_(None), _n.due_at.is_(None)), _n.at < _BEFORE)


def prune(connection: Connection, before: float, now: float, limit: int) -> int:
    gone = _records(connection, before, now, limit)
    if gone < limit:
        _cycles(connection, before, limit)
        _mails(connection, before)
    return gone


def _records(connection: Connection, before: float, now: float, limit: int) -> int:
    """Drop the oldest records: they were written in the order of their ids, give or take a moment.

    Those of a time to come were written by a clock that was ahead: they go with the first one after them that is old.
    """
    oldest = connection.execute(_OLDEST, {"most": limit, "now": now}).all()
    old = [row.id for row in oldest if row.at < before]
    if not old:
        return 0
    theirs = or_(_l.at < before, _l.at > now)
    return connection.execute(delete(provisioning_log).where(_l.id <= old[-1], theirs)).rowcount


def _cycles(connection: Connection, before: float, limit: int) -> None:
    """Drop cycles after which another was opened before then: no record of theirs is left."""
    connection.execute(_FOLLOWED, {"before": before, "most": limit})


def _mails(connection: Connection, before: float) -> None:
    connection.execute(_EMPTY, {"before": before})
    for statement in (_LONG_SENT, _LONG_GIVEN_UP):
        connection.execute(statement, {"before": before - KEYS_KEPT_SECONDS})
