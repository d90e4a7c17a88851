"""Drops what is older than the log's retention, a batch at a time."""

from __future__ import annotations

from sqlalchemy import Connection, and_, delete, exists, select, update

from reconciler.store.tables import cycles, notices, provisioning_log

KEYS_KEPT_SECONDS = 400 * 86400.0
"""A mail that was sent is known for so long at least, so that nobody is told the same thing twice."""
_NOTHING = b"{}"


def prune(connection: Connection, before: float, limit: int) -> int:
    gone = _records(connection, before, limit)
    if gone < limit:
        _cycles(connection, before, limit)
        _mails(connection, before)
    return gone


def _records(connection: Connection, before: float, limit: int) -> int:
    """Drop the oldest records: they were written in the order of their ids, give or take a moment."""
    c = provisioning_log.c
    oldest = connection.execute(select(c.id, c.at).where(c.id > 0).order_by(c.id).limit(limit)).all()
    old = [row.id for row in oldest if row.at < before]
    if not old:
        return 0
    return connection.execute(delete(provisioning_log).where(c.id <= old[-1], c.at < before)).rowcount


def _cycles(connection: Connection, before: float, limit: int) -> None:
    """Drop cycles after which another was opened before then: no record of theirs is left."""
    c, later = cycles.c, cycles.alias("later")
    followed = exists().where(later.c.job_id == c.job_id, later.c.epoch > c.epoch, later.c.opened_at < before)
    old = select(c.id).where(c.opened_at < before, followed).order_by(c.id).limit(limit)
    connection.execute(delete(cycles).where(c.id.in_(old)))


def _mails(connection: Connection, before: float) -> None:
    c = notices.c
    connection.execute(
        update(notices).where(and_(c.sent_at < before, c.facts != _NOTHING)).values(facts=_NOTHING, recipients="")
    )
    connection.execute(delete(notices).where(c.sent_at < before - KEYS_KEPT_SECONDS))
    given_up = and_(c.sent_at.is_(None), c.due_at.is_(None))
    connection.execute(delete(notices).where(given_up, c.at < before - KEYS_KEPT_SECONDS))
