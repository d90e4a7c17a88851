"""Counts what a person who looks at a job wants to know: who is managed, what waits, which mails could not be sent."""

from __future__ import annotations

from sqlalchemy import BindParameter, Connection, Integer, and_, bindparam, case, func, or_, select

from reconciler.ports import Figures
from reconciler.store.identifying import job_named
from reconciler.store.tables import LEFT_ON, MANAGED, SHOULD_BE_OFF, WAITS, entries, jobs, notices, pending_references

_JOB: BindParameter[str] = bindparam("job")
_ID: BindParameter[int] = bindparam("job_id")
_n = notices.c
_arrived = select(func.coalesce(func.max(_n.id), 0)).where(_n.job == _JOB, _n.sent_at.is_not(None)).scalar_subquery()
_MAILS = select(
    func.coalesce(func.sum(case((_n.due_at.is_not(None), 1), else_=0)), 0).cast(Integer),
    func.coalesce(func.sum(case((_n.due_at.is_(None), 1), else_=0)), 0).cast(Integer),
    func.max(_n.id).filter(_n.problem != ""),
    # what was given up before a mail went out again needs nobody any more
).where(and_(_n.job == _JOB, _n.sent_at.is_(None), or_(_n.due_at.is_not(None), _n.id > _arrived)))
_of_job = entries.c.job_id == _ID
# who waits after a failure is due some day: so the small index finds them
_ESCROW = select(func.count(), func.count(entries.c.target_id), func.min(entries.c.escrow_first_failed_at)).where(
    _of_job, WAITS, entries.c.escrow_failures.is_not(None)
)
_OFF = select(func.count(), func.min(entries.c.off_since)).where(
    _of_job, SHOULD_BE_OFF, entries.c.target_id.is_not(None)
)
_LEFT_ON = select(entries.c.verdict, func.count()).where(_of_job, LEFT_ON).group_by(entries.c.verdict)
_MANAGED = select(func.count()).select_from(entries).where(_of_job, MANAGED)
_PENDING = select(func.count()).select_from(pending_references).where(pending_references.c.job_id == _ID)
_WATERMARK = select(jobs.c.watermark).where(jobs.c.id == _ID)


def figures(connection: Connection, job: str) -> Figures:
    waiting, given_up, problem = connection.execute(_MAILS, {"job": job}).one()
    said = "" if problem is None else connection.execute(select(_n.problem).where(_n.id == problem)).scalar_one()
    row = job_named(connection, job)
    if row is None:
        return Figures(mails_waiting=waiting, mails_given_up=given_up, mail_problem=said)
    of_job = {"job_id": row.id}
    escrow, with_account, since = connection.execute(_ESCROW, of_job).one()
    off, off_since = connection.execute(_OFF, of_job).one()
    left_on = connection.execute(_LEFT_ON, of_job)
    return Figures(
        left_on={str(verdict): int(count) for verdict, count in left_on},
        managed=connection.execute(_MANAGED, of_job).scalar_one(),
        escrow=escrow,
        escrow_without_account=escrow - with_account,
        escrow_since=since,
        should_be_off=off,
        should_be_off_since=off_since,
        pending_references=connection.execute(_PENDING, of_job).scalar_one(),
        mails_waiting=waiting,
        mails_given_up=given_up,
        mail_problem=said,
        watermark=connection.execute(_WATERMARK, of_job).scalar() is not None,
    )
