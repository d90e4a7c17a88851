"""What is remembered once an operation was done or failed, and what the target is known not to keep."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core import settling
from reconciler.core.decisions import Leave, Operation, Word
from reconciler.core.model import Cause, Change, Profile, Resource, SourceId, TargetAttribute, TargetId
from reconciler.core.outcomes import Account, Failed, Fault
from reconciler.core.records import Escrow, Link, Record, Verdict

NOW = 1_000_000.0
DAY = 86400.0
PROFILE = Profile("example", {}, {})


def operation(word: Word, *changes: Change, link: Link | None = None, cause: Cause | None = None) -> Operation:
    record = Record("user", SourceId("s1"), verdict=Verdict.IN_SCOPE, fingerprint=b"before", link=link)
    return Operation(
        word, record, "because", Verdict.INACTIVE if cause else Verdict.IN_SCOPE, b"now", changes, cause=cause
    )


def linked(agreed: Resource | None = None, **settings: Any) -> Link:
    return Link(TargetId("t1"), "created", agreed if agreed is not None else {"active": True}, NOW - DAY, **settings)


def after(done: Operation, account: Account | None = None, delete_after: float | None = 30 * DAY) -> Record:
    return settling.done(done, account, delete_after, "active", NOW)


def test_what_was_created_is_linked_with_what_was_sent() -> None:
    create = operation("create")
    create.resource = {"userName": "ann"}
    record = after(create, Account(TargetId("t9"), {}))
    assert record.link == Link(TargetId("t9"), "created", {"userName": "ann"}, NOW)
    assert (record.fingerprint, record.attempted_at, record.escrow) == (b"now", None, None)


def test_what_was_adopted_has_what_the_target_showed_and_the_changes() -> None:
    adopt = operation("adopt", Change("title", "Old", "New"))
    adopt.account = Account(TargetId("t9"), {"userName": "ann", "title": "Old"})
    record = after(adopt)
    assert record.link == Link(TargetId("t9"), "adopted", {"userName": "ann", "title": "New"}, NOW)


def test_a_leaver_who_was_disabled_waits_to_be_deleted() -> None:
    disable = operation("disable", Change("active", True, False), link=linked(), cause=Cause.INACTIVE)
    record = after(disable)
    assert record.link is not None
    assert (record.link.disabled_at, record.link.disabled_because) == (NOW, "inactive")
    assert (record.link.delete_at, record.due_at) == (NOW + 30 * DAY, NOW + 30 * DAY)
    disable = operation("disable", Change("active", True, False), link=linked(), cause=Cause.INACTIVE)
    assert after(disable, delete_after=None).due_at is None


def test_somebody_in_scope_whom_the_mapping_disabled_does_not_wait_to_be_deleted() -> None:
    record = after(operation("disable", Change("active", True, False), link=linked()))
    assert record.link is not None
    assert (record.link.disabled_at, record.link.delete_at, record.due_at) == (NOW, None, None)


def test_a_change_of_something_else_does_not_forget_the_delete() -> None:
    link = linked({"active": False}, disabled_at=NOW - DAY, disabled_because="inactive", delete_at=NOW + 29 * DAY)
    record = after(operation("update", Change("title", None, "Chief"), link=link, cause=Cause.INACTIVE))
    assert record.due_at == NOW + 29 * DAY


def test_who_is_enabled_is_not_deleted() -> None:
    link = linked({"active": False}, disabled_at=NOW - DAY, disabled_because="inactive", delete_at=NOW + DAY)
    record = after(operation("enable", Change("active", False, True), link=link))
    assert record.link == linked({"active": True})
    assert record.due_at is None


def test_who_was_deleted_has_no_link() -> None:
    record = after(operation("delete", link=linked(), cause=Cause.GONE))
    assert (record.link, record.due_at, record.verdict) == (None, None, Verdict.INACTIVE)


def test_days_begin_when_a_leaver_was_disabled_already_by_the_mapping() -> None:
    link = linked({"active": False}, disabled_at=NOW - 99 * DAY, disabled_because="in_scope")
    record = Record("user", SourceId("s1"), link=link)
    decision = Leave("why", "RedundantExport", Verdict.GONE, due_at=NOW + 30 * DAY, leaves_disabled=Cause.GONE)
    left = settling.left(record, decision, b"now", NOW)
    assert left.link is not None
    assert (left.link.disabled_at, left.link.disabled_because, left.due_at) == (NOW, "gone", NOW + 30 * DAY)


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("failures", "hours"), [(0, 0), (1, 6), (2, 12), (3, 24), (9, 24)])
def test_a_failed_operation_waits_longer_each_time(failures: int, hours: int) -> None:
    update = operation("update", Change("title", None, "Chief"), link=linked())
    update.record.escrow = Escrow(failures, NOW - DAY, "Timeout", "") if failures else None
    record = settling.failed(update, Failed(Fault.SERVER_ERROR, "no"), NOW)
    assert (record.due_at, record.fingerprint) == (NOW + hours * 3600, b"now")


def test_a_failed_disable_is_tried_in_every_cycle() -> None:
    disable = operation("disable", Change("active", True, False), link=linked(), cause=Cause.GONE)
    disable.record.escrow = Escrow(9, NOW - 60 * DAY, "Timeout", "")
    record = settling.failed(disable, Failed(Fault.SERVER_ERROR, "no"), NOW)
    assert (record.due_at, record.fingerprint, record.verdict) == (NOW, None, Verdict.IN_SCOPE)


@pytest.mark.parametrize(
    ("fault", "attempted"),
    [(Fault.INTERRUPTED, True), (Fault.SERVER_ERROR, True), (Fault.INVALID, False), (Fault.CONFLICT, False)],
)
def test_a_create_that_may_have_been_done_is_remembered(fault: Fault, attempted: bool) -> None:
    record = settling.failed(operation("create"), Failed(fault, "no"), NOW)
    assert (record.attempted_at == NOW) is attempted


# --- what the target does not keep -------------------------------------------------------------------------------


def test_what_the_answer_does_not_show_was_not_kept() -> None:
    asked = (Change("title", None, "Chief"), Change("userName", None, "Ann@Example.com"), Change("password", None, "x"))
    shown = Account(TargetId("t1"), {"userName": "ann@example.com"})
    assert settling.unkept(asked, shown, "user", PROFILE) == ("title",)


def test_the_same_value_is_counted_on_and_another_from_the_beginning() -> None:
    link = linked({"title": "Chief"}, unkept={"title": 2, "floor": 1})
    chief, boss = (Change("title", "Old", "Chief"),), (Change("title", "Old", "Boss"),)
    assert settling.counted(link, chief, ("title",), "user", PROFILE) == {"title": 3, "floor": 1}
    assert settling.counted(link, boss, ("title",), "user", PROFILE) == {"title": 1, "floor": 1}
    assert settling.counted(link, chief, (), "user", PROFILE) == {"floor": 1}, "kept at last"
    assert settling.counted(link, chief, None, "user", PROFILE) == {"title": 2, "floor": 1}, "nothing was learned"
    assert settling.counted(link, boss, None, "user", PROFILE) == {"floor": 1}
    assert settling.counted(None, chief, ("title",), "user", PROFILE) == {"title": 1}


def test_a_look_at_the_account_tells_what_was_not_kept() -> None:
    link = linked({"title": "Chief", "floor": "3", "password": "x"}, unkept={"floor": 2, "old": 3, "cleared": 2})
    seen = settling.compared(
        link, Account(TargetId("t1"), {"title": "Old", "floor": "3", "new": "n", "cleared": "c"}), "user", PROFILE
    )
    assert seen.agreed == {"title": "Chief", "floor": "3", "password": "x", "new": "n"}
    assert seen.unkept == {"title": 1, "new": 1, "cleared": 2}


def test_what_the_target_shows_to_nobody_is_not_missed() -> None:
    profile = Profile("example", {"first_name": TargetAttribute("first_name", shown=False)}, {})
    asked = (Change("title", None, "Chief"), Change("first_name", None, "Ann"))
    account = Account(TargetId("t1"), {"title": "Chief"})
    assert settling.unkept(asked, account, "user", profile) == ()
    seen = settling.compared(linked({"title": "Chief", "first_name": "Ann"}), account, "user", profile)
    assert (seen.agreed, seen.unkept) == ({"title": "Chief", "first_name": "Ann"}, {})
    record = Record("user", SourceId("s1"), link=linked({"title": "Old", "first_name": "Ann"}), attempted_at=NOW)
    looked = settling.looked_at(record, account.resource, "active", frozenset({"first_name"}))
    assert looked.link is not None
    assert looked.link.agreed == {"title": "Chief", "first_name": "Ann"}


def test_a_look_at_an_account_that_is_as_agreed_forgets_what_was_counted() -> None:
    link = linked({"title": "Chief"}, unkept={"title": 2})
    seen = settling.compared(link, Account(TargetId("t1"), {"title": "CHIEF"}), "user", PROFILE)
    assert (seen.agreed, seen.unkept) == ({"title": "CHIEF"}, {})
