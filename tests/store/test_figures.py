"""What is counted of a job, and its links a page at a time."""

from __future__ import annotations

from reconciler.core.notices import Notice, NoticeKind
from reconciler.core.records import Escrow, Verdict
from reconciler.ports import Figures, PendingReference
from reconciler.store.sql import SqlStore
from tests.store.scenes import Work, linked, sid, unlinked


def failed(name: str, since: float) -> Escrow:
    return Escrow(failures=1, first_failed_at=since, error_code="EntryConflict", reason="the name is taken")


async def test_a_job_that_nobody_knows_has_no_figures(store: SqlStore) -> None:
    assert await store.figures("nobody") == Figures()
    assert await store.links_after("nobody", 0, 10) == []


async def test_who_is_managed_and_who_waits_is_counted(store: SqlStore, work: Work) -> None:
    gone = linked("cleo", "t3")
    assert gone.link is not None
    gone.link.disabled_at = 5.0
    await work.commit(
        linked("ann", "t1"),
        linked("bob", "t2", escrow=failed("bob", 30.0), due_at=90.0),
        gone,
        unlinked("dan", escrow=failed("dan", 20.0), due_at=80.0),
        unlinked("eve", due_at=70.0),
        pending_add=[PendingReference("user", sid("ann"), "manager", "user", sid("dan"))],
    )
    assert await store.figures(work.name) == Figures(
        managed=2, escrow=2, escrow_without_account=1, escrow_since=20.0, pending_references=1
    )
    await work.close(watermark="token")
    assert (await store.figures(work.name)).watermark


async def test_accounts_of_leavers_that_stay_as_they_are_are_counted_by_cause(store: SqlStore, work: Work) -> None:
    off, due = linked("cleo", "t3", verdict=Verdict.ROLE_LOST), linked("dan", "t4", verdict=Verdict.GONE)
    assert off.link is not None
    off.link.disabled_at = 5.0
    due.off_since = 5.0
    await work.commit(
        linked("ann", "t1", verdict=Verdict.ROLE_LOST),
        linked("bob", "t2", verdict=Verdict.INACTIVE),
        linked("eve", "t5"),
        unlinked("fay", verdict=Verdict.ROLE_LOST),
        *(off, due),
    )
    assert (await store.figures(work.name)).left_on == {"role_lost": 1, "inactive": 1}


async def test_mails_that_wait_and_mails_given_up_are_told_apart(store: SqlStore, work: Work) -> None:
    await store.queue([Notice(NoticeKind.HELD, work.name, 10.0, key) for key in ("sent", "late", "lost")])
    await store.queue([Notice(NoticeKind.HELD, "other", 10.0, "of another job")])
    sent, late, lost, _ = [queued.id for queued in await store.due_notices(10.0, 9)]
    await store.end_notice(sent, sent_at=11.0, due_at=None, problem="")
    await store.end_notice(lost, sent_at=None, due_at=None, problem="550 no such user")
    await store.end_notice(late, sent_at=None, due_at=99.0, problem="")
    assert await store.figures(work.name) == Figures(mails_waiting=1, mails_given_up=1, mail_problem="550 no such user")


async def test_a_mail_that_was_given_up_is_of_the_past_when_another_one_goes_out(store: SqlStore, work: Work) -> None:
    await store.queue([Notice(NoticeKind.HELD, work.name, 10.0, key) for key in ("lost", "later")])
    lost, later = [queued.id for queued in await store.due_notices(10.0, 9)]
    await store.end_notice(lost, sent_at=None, due_at=None, problem="550 no such user")
    assert (await store.figures(work.name)).mails_given_up == 1
    await store.end_notice(later, sent_at=12.0, due_at=None, problem="")
    assert await store.figures(work.name) == Figures()


async def test_links_come_page_by_page(store: SqlStore, work: Work) -> None:
    await work.commit(linked("ann", "t1"), unlinked("bob"), linked("cleo", "t3"), linked("g", "t9", kind="group"))
    first = await store.links_after(work.name, 0, 2)
    assert [one.source_id for one in first] == ["ann", "cleo"]
    rest = await store.links_after(work.name, first[-1].row_id or 0, 2)
    assert [(one.kind, one.source_id) for one in rest] == [("group", "g")]
