"""Counts what a person who looks at a job wants to know: who is managed, what waits, which mails could not be sent."""

from __future__ import annotations

from sqlalchemy import Connection, Integer, and_, case, func, or_, select

from reconciler.ports import Figures
from reconciler.store.identifying import job_named
from reconciler.store.tables import LEFT_ON, MANAGED, SHOULD_BE_OFF, WAITS, entries, jobs, notices, pending_references


def figures(connection: Connection, job: str) -> Figures:
    n = notices.c
    arrived = select(func.coalesce(func.max(n.id), 0)).where(n.job == job, n.sent_at.is_not(None)).scalar_subquery()
    # what was given up before a mail went out again needs nobody any more
    unsent = and_(n.job == job, n.sent_at.is_(None), or_(n.due_at.is_not(None), n.id > arrived))
    waiting, given_up, problem = connection.execute(
        select(
            func.coalesce(func.sum(case((n.due_at.is_not(None), 1), else_=0)), 0).cast(Integer),
            func.coalesce(func.sum(case((n.due_at.is_(None), 1), else_=0)), 0).cast(Integer),
            func.max(n.id).filter(n.problem != ""),
        ).where(unsent)
    ).one()
    said = "" if problem is None else connection.execute(select(n.problem).where(n.id == problem)).scalar_one()
    row = job_named(connection, job)
    if row is None:
        return Figures(mails_waiting=waiting, mails_given_up=given_up, mail_problem=said)
    of_job = entries.c.job_id == row.id
    escrow, with_account, since = connection.execute(
        # who waits after a failure is due some day: so the small index finds them
        select(func.count(), func.count(entries.c.target_id), func.min(entries.c.escrow_first_failed_at)).where(
            of_job, WAITS, entries.c.escrow_failures.is_not(None)
        )
    ).one()
    off, off_since = connection.execute(
        select(func.count(), func.min(entries.c.off_since)).where(
            of_job, SHOULD_BE_OFF, entries.c.target_id.is_not(None)
        )
    ).one()
    left_on = connection.execute(
        select(entries.c.verdict, func.count()).where(of_job, LEFT_ON).group_by(entries.c.verdict)
    )
    return Figures(
        left_on={str(verdict): int(count) for verdict, count in left_on},
        managed=connection.execute(select(func.count()).select_from(entries).where(of_job, MANAGED)).scalar_one(),
        escrow=escrow,
        escrow_without_account=escrow - with_account,
        escrow_since=since,
        should_be_off=off,
        should_be_off_since=off_since,
        pending_references=connection.execute(
            select(func.count()).select_from(pending_references).where(pending_references.c.job_id == row.id)
        ).scalar_one(),
        mails_waiting=waiting,
        mails_given_up=given_up,
        mail_problem=said,
        watermark=connection.execute(select(jobs.c.watermark).where(jobs.c.id == row.id)).scalar() is not None,
    )
