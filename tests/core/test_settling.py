"""What is remembered once an operation was done or failed, and what the target is known not to keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core import settling
from reconciler.core.decisions import Leave, Operation, Word
from reconciler.core.model import Cause, Change, Resource, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed, Fault
from reconciler.core.profile import Profile, TargetAttribute
from reconciler.core.records import BY_OTHERS, Escrow, Link, Record, Verdict

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


def test_what_was_not_sent_together_with_a_disable_is_as_the_target_was_seen_to_hold_it() -> None:
    off, title = Change("active", True, False), Change("title", "By hand", "Engineer")
    link = linked({"active": True, "title": "Engineer"})
    disable = operation("disable", off, title, link=link, cause=Cause.INACTIVE)
    settling.send_only(disable, [off])
    record = after(disable)
    assert record.link is not None
    assert (record.link.agreed, record.fingerprint) == ({"active": False, "title": "By hand"}, None)


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
    first = NOW - DAY if failures else NOW
    assert record.escrow == Escrow(failures + 1, first, "InternalServerError", "no")


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


OFF_BY_US: dict[str, Any] = {"disabled_at": NOW - DAY, "disabled_because": "gone", "delete_at": NOW + DAY}


@pytest.mark.parametrize(
    ("before", "changed", "missing", "because"),
    [
        (OFF_BY_US, "active", ("active", "title"), "gone"),
        (OFF_BY_US, "active", ("title",), ""),
        ({"disabled_at": NOW - DAY}, "active", ("active",), "in_scope"),
        ({"disabled_because": "gone"}, "active", ("active",), "gone"),
        ({"disabled_because": "gone"}, "active", (), ""),
        ({"disabled_because": "gone"}, "title", (), "gone"),
        ({"disabled_because": BY_OTHERS}, "active", ("active",), ""),
        ({}, "active", ("active",), ""),
    ],
)
def test_an_enable_that_is_not_kept_leaves_the_account_off_by_us_if_it_was(
    before: dict[str, Any], changed: str, missing: tuple[str, ...], because: str
) -> None:
    link = linked({"active": changed != "active"}, **before)
    enable = operation("enable", Change(changed, False, True), link=link)
    record = settling.done(enable, None, 30 * DAY, "active", NOW, missing)
    assert record.link is not None
    assert record.link == linked({"active": True, changed: True}, disabled_because=because)
    assert record.due_at is None


@pytest.mark.parametrize(("shown", "because"), [(False, "gone"), (True, "")])
def test_an_account_that_is_shown_on_is_off_by_nobody(*, shown: bool, because: str) -> None:
    account = Account(TargetId("t1"), {"active": shown})
    assert settling.compared(linked(disabled_because="gone"), account, "user", PROFILE).disabled_because == because
    doubtful = Record("user", SourceId("s1"), link=linked(disabled_because="gone"), attempted_at=NOW)
    looked = settling.looked_at(doubtful, account.resource, "active")
    assert looked.link is not None
    assert (looked.link.disabled_at, looked.link.disabled_because) == (None, because)


# --- what may have been done ---------------------------------------------------------------------------------------


def test_what_is_about_to_be_sent_is_written_down_and_the_record_itself_is_left_alone() -> None:
    create = operation("create")
    create.match = (("userName", "ann"),)
    record = settling.attempted(create, NOW)
    assert (record.attempted_at, record.attempted_match, record.fingerprint) == (NOW, (("userName", "ann"),), None)
    assert (record.off_since, record.link) == (None, None)
    assert (create.record.attempted_at, create.record.fingerprint) == (None, b"before")


def test_that_a_disable_was_sent_is_known_until_something_is_answered() -> None:
    disable = operation("disable", Change("active", True, False), link=linked(), cause=Cause.GONE)
    update = operation("update", Change("title", None, "Chief"), link=linked())
    lost, refused = Failed(Fault.INTERRUPTED, "no"), Failed(Fault.INVALID, "no")
    assert settling.attempted(update, NOW).attempted_off_at is None
    assert settling.failed(update, lost, NOW).attempted_off_at is None
    assert settling.attempted(operation("delete", link=linked()), NOW).attempted_off_at == NOW
    update.record = settling.attempted(disable, NOW - 9)
    assert settling.attempted(update, NOW).attempted_off_at == NOW - 9, "neither was answered"
    assert settling.failed(update, lost, NOW).attempted_off_at == NOW - 9
    assert settling.failed(update, refused, NOW).attempted_off_at is None
    assert after(update).attempted_off_at is None
    update.record = Record("user", SourceId("s1"), link=linked(), attempted_off_at=NOW - 9)
    assert settling.attempted(update, NOW).attempted_off_at is None, "that is over"


def test_since_when_somebody_should_be_off_is_kept() -> None:
    disable = operation("disable", Change("active", True, False), link=linked(), cause=Cause.GONE)
    assert settling.attempted(disable, NOW).off_since == NOW
    disable.record.off_since = NOW - DAY
    assert settling.attempted(disable, NOW).off_since == NOW - DAY
    assert settling.failed(disable, Failed(Fault.INVALID, "no"), NOW).off_since == NOW - DAY
    assert settling.not_sent(disable, NOW).off_since == NOW - DAY
    assert settling.let_be(disable, "why", NOW).off_since == NOW - DAY
    disable.record.off_since = None
    for record in (
        settling.failed(disable, Failed(Fault.INVALID, "no"), NOW),
        settling.not_sent(disable, NOW),
        settling.let_be(disable, "why", NOW),
    ):
        assert record.off_since == NOW
    update = operation("update", Change("title", None, "Chief"), link=linked())
    update.record.off_since = NOW - DAY
    assert settling.failed(update, Failed(Fault.INVALID, "no"), NOW).off_since is None
    assert settling.let_be(update, "why", NOW).off_since is None


@pytest.mark.parametrize(
    ("before", "verdict", "after"),
    [
        (Verdict.GONE, Verdict.IN_SCOPE, Verdict.NEW),
        (Verdict.INACTIVE, Verdict.IN_SCOPE, Verdict.NEW),
        (Verdict.GONE, Verdict.GONE, Verdict.NEW),
        (Verdict.INACTIVE, Verdict.INACTIVE, Verdict.INACTIVE),
        (Verdict.UNKNOWN, Verdict.IN_SCOPE, Verdict.UNKNOWN),
    ],
)
def test_who_is_attempted_is_looked_at_again(before: Verdict, verdict: Verdict, after: Verdict) -> None:
    attempt = operation("update", link=linked())
    attempt.record.verdict, attempt.verdict = before, verdict
    assert settling.attempted(attempt, NOW).verdict is after


def test_an_account_that_is_about_to_be_taken_over_is_linked_at_once() -> None:
    adopt = operation("adopt")
    adopt.account = Account(TargetId("t9"), {"userName": "ann"})
    assert settling.attempted(adopt, NOW).link == Link(TargetId("t9"), "adopted", {"userName": "ann"}, NOW)
    adopt.record.link = linked()
    assert settling.attempted(adopt, NOW).link == linked()


@pytest.mark.parametrize("in_doubt", [False, True])
def test_a_refusal_ends_the_doubt_unless_an_earlier_try_is_in_doubt(in_doubt: bool) -> None:
    create = operation("create")
    create.match, create.in_doubt = (("userName", "ann"),), in_doubt
    create.record.attempted_at, create.record.attempted_match = NOW - 1, (("userName", "old"),)
    record = settling.failed(create, Failed(Fault.INVALID, "no"), NOW)
    assert record.attempted_at == (NOW if in_doubt else None)
    assert record.attempted_match == ((("userName", "ann"),) if in_doubt else ())


def test_a_look_that_failed_before_anything_was_sent_ends_no_doubt_and_makes_none() -> None:
    for before in (None, NOW - 1):
        update = operation("update", Change("title", "A", "B"), link=linked())
        update.record.attempted_at = before
        record = settling.failed(update, Failed(Fault.SERVER_ERROR, "no", unsent=True), NOW)
        assert record.attempted_at == before


def test_a_look_that_was_not_sent_does_not_settle_what_came_before_it() -> None:
    before, look = Failed(Fault.NOT_FOUND, "no", 404), Failed(Fault.THROTTLED, "later", unsent=True)
    assert look.following(before) == look
    assert look.following(replace(before, repeated=True)).may_have_been_done


@pytest.mark.parametrize(("status", "may_have_been_done"), [(200, True), (201, True), (302, False), (None, False)])
def test_a_success_in_other_words_may_be_one(status: int | None, *, may_have_been_done: bool) -> None:
    assert Failed(Fault.NOT_SCIM, "a web page", status).may_have_been_done is may_have_been_done


def test_the_next_try_goes_by_what_a_comparison_has_shown() -> None:
    update = operation("update", Change("title", "Shown", "Chief"), link=linked({"title": "Agreed", "active": True}))
    record = settling.failed(update, Failed(Fault.INVALID, "no"), NOW)
    assert record.link is not None
    assert record.link.agreed == {"title": "Shown", "active": True}
    assert settling.not_sent(update, NOW).link == record.link
    disable = operation(
        *("disable", Change("active", True, False)),
        link=linked({"active": False}, disabled_at=NOW - DAY, disabled_because="gone", delete_at=NOW + DAY),
        cause=Cause.GONE,
    )
    for record in (
        settling.failed(disable, Failed(Fault.INVALID, "no"), NOW),
        settling.not_sent(disable, NOW),
        settling.let_be(disable, "why", NOW),
    ):
        assert record.link == linked({"active": True}), "somebody had switched it on"


def test_a_failure_in_scope_forgets_that_somebody_had_left_and_keeps_the_leave_date() -> None:
    update = operation("update", Change("title", None, "Chief"), link=linked())
    update.record.verdict, update.due_at = Verdict.GONE, NOW - 5
    record = settling.failed(update, Failed(Fault.INVALID, "no"), NOW)
    assert (record.verdict, record.due_at) == (Verdict.NEW, NOW - 5)
    leaver = operation("disable", Change("active", True, False), link=linked(), cause=Cause.INACTIVE)
    leaver.record.verdict = Verdict.GONE
    assert settling.failed(leaver, Failed(Fault.INVALID, "no"), NOW).verdict is Verdict.GONE


def test_what_is_held_is_found_by_the_next_cycle_too() -> None:
    enable = operation("enable", Change("active", False, True), link=linked({"active": True}))
    record = settling.not_sent(enable, NOW)
    assert (record.fingerprint, record.due_at, record.off_since) == (None, NOW, None)
    assert record.link is not None
    assert record.link.agreed == {"active": False}, "as it was shown"
    assert settling.not_sent(operation("create"), NOW).link is None


def test_what_a_person_rejected_stays_as_it_is() -> None:
    link = linked(delete_at=NOW + DAY)
    disable = operation("disable", Change("active", True, False), link=link, cause=Cause.INACTIVE)
    disable.due_at, disable.record.escrow = NOW + 5, Escrow(1, NOW, "Timeout", "")
    record = settling.let_be(disable, "rejected by olga", NOW)
    assert (record.verdict, record.why, record.fingerprint) == (Verdict.INACTIVE, "rejected by olga", b"now")
    assert (record.due_at, record.escrow, record.link) == (NOW + 5, None, linked())
    disable.verdict = Verdict.GONE
    assert settling.let_be(disable, "why", NOW).due_at == settling.WHEN_ALL_ARE
    assert settling.let_be(operation("create"), "why", NOW).link is None


def test_who_cannot_be_looked_at_is_sent_a_disable_whatever_was_sent_before() -> None:
    link = linked({"active": False, "title": "x"}, disabled_at=NOW - DAY, disabled_because="gone", delete_at=NOW + DAY)
    record = settling.not_shown(Record("user", SourceId("s1"), link=link, attempted_at=NOW), "active")
    assert (record.link, record.attempted_at) == (linked({"title": "x"}), NOW)
    assert record.attempted_off_at == NOW - DAY, "that it may be off is our doing"
    sent = settling.not_shown(replace(record, attempted_off_at=NOW - 9), "active")
    assert sent.attempted_off_at == NOW - 9


@pytest.mark.parametrize(
    ("was", "shows", "off_at", "disabled_at", "because"),
    [
        ({"active": True}, {"active": False}, NOW - 90, NOW - 90, ""),
        ({}, {"active": False}, NOW - 90, NOW - 90, ""),
        ({"active": True}, {"active": False}, None, None, ""),
        ({"active": False}, {"active": False}, NOW - 90, NOW - DAY, "gone"),
        ({"active": False}, {"active": False}, None, NOW - DAY, "gone"),
        ({"active": False}, {"active": True}, NOW - 90, None, ""),
        ({"active": False}, {}, NOW - 90, None, ""),
    ],
)
def test_what_a_look_shows_counts(
    was: Resource, shows: Resource, off_at: float | None, disabled_at: float | None, because: str
) -> None:
    link = linked(was, disabled_at=NOW - DAY, disabled_because="gone", delete_at=NOW + DAY)
    sent = Record("user", SourceId("s1"), link=link, attempted_at=NOW - 60, attempted_off_at=off_at)
    record = settling.looked_at(sent, shows, "active")
    assert record.link is not None
    assert (record.attempted_at, record.attempted_off_at, record.link.agreed) == (None, None, shows)
    assert (record.link.disabled_at, record.link.disabled_because) == (disabled_at, because)
    assert record.link.delete_at == (NOW + DAY if because else None)


# --- what may be changed so and so often -------------------------------------------------------------------------


NUMBERED = Profile("example", {"userName": TargetAttribute("userName", max_changes=5)}, {})


def test_changes_of_what_may_be_changed_so_and_so_often_are_counted() -> None:
    record = Record("user", SourceId("s1"), link=linked(changed={"userName": 2}))
    changes = (Change("userName", "a", "b"), Change("title", "a", "b"))
    counted, said = settling.numbered(record, changes, NUMBERED)
    assert counted.link is not None
    assert (counted.link.changed, said) == ({"userName": 3}, "")
    counted, said = settling.numbered(counted, changes, NUMBERED)
    assert said == "userName was changed 4 times, and the target allows 5"
    first, said = settling.numbered(record, (Change("userName", None, "b"),), NUMBERED)
    assert (first, said) == (record, ""), "the first value is no change"
    assert settling.numbered(Record("user", SourceId("s1")), changes, NUMBERED) == (
        Record("user", SourceId("s1")),
        "",
    )


def test_what_is_left_as_it_is_waits_for_what_the_decision_says() -> None:
    link = linked({"active": False}, disabled_at=NOW - DAY, disabled_because="gone", delete_at=NOW + DAY)
    record = Record("user", SourceId("s1"), link=link, escrow=Escrow(1, NOW, "X", ""), off_since=NOW - 9)
    decision = Leave("why", "RedundantExport", Verdict.GONE, due_at=NOW + 5, claims=TargetId("t7"))
    left = settling.left(record, decision, b"now", NOW)
    assert left.link is not None
    assert (left.link.delete_at, left.due_at, left.claims) == (NOW + 5, NOW + 5, "t7")
    assert (left.escrow, left.off_since, left.why, left.verdict) == (None, None, "why", Verdict.GONE)
    always = settling.left(record, Leave("why", "Gone", Verdict.GONE, due_at=settling.WHEN_ALL_ARE), None, NOW)
    assert always.link is not None
    assert (always.link.delete_at, always.fingerprint) == (None, None)
    grace = settling.left(record, Leave("why", "GracePeriod", Verdict.GONE, due_at=NOW + 5), None, NOW)
    assert grace.off_since == NOW - 9
    record.off_since = None
    assert settling.left(record, Leave("why", "GracePeriod", Verdict.GONE), None, NOW).off_since == NOW


@pytest.mark.parametrize(
    ("disabled_at", "because", "by_others", "after"),
    [
        (None, "", True, "somebody else"),
        (None, "somebody else", True, "somebody else"),
        (None, "somebody else", False, ""),
        (None, "", False, ""),
        (NOW, "gone", True, "gone"),
        (NOW, "gone", False, "gone"),
    ],
)
def test_whom_somebody_else_had_disabled_is_remembered(
    disabled_at: float | None, because: str, by_others: bool, after: str
) -> None:
    because = because.replace("somebody else", BY_OTHERS)
    link = linked({"active": False}, disabled_at=disabled_at, disabled_because=because)
    decision = Leave("why", "RedundantExport", Verdict.GONE, off_by_others=by_others)
    left = settling.left(Record("user", SourceId("s1"), link=link), decision, None, NOW)
    assert left.link is not None
    assert left.link.disabled_because.replace(BY_OTHERS, "somebody else") == after


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(None, None, None), (1.0, None, 1.0), (None, 2.0, 2.0), (1.0, 2.0, 1.0)]
)
def test_the_earlier_of_two_moments(first: float | None, second: float | None, expected: float | None) -> None:
    assert settling.earliest(first, second) == expected


def test_who_is_gone_is_due_when_everybody_is_looked_at() -> None:
    gone = operation("disable", Change("active", True, False), link=linked(), cause=Cause.GONE)
    gone.verdict = Verdict.GONE
    assert after(gone, delete_after=None).due_at == settling.WHEN_ALL_ARE
    dated = operation("update", Change("title", None, "x"), link=linked())
    dated.due_at = NOW + 7
    assert after(dated).due_at == NOW + 7


# --- what is sent once more, and who is back ---------------------------------------------------------------------


def test_what_could_not_go_with_a_create_is_sent_by_the_next_cycle() -> None:
    link = linked({"active": True, "title": "Engineer", "nick": "Annie", "floor": 3})
    record = Record("user", SourceId("s1"), fingerprint=b"now", link=link)
    account = Account(TargetId("t1"), {"title": "Intern", "userName": "ann"})
    settling.to_be_sent(record, ["title", "nick"], account, NOW)
    assert record.link is not None
    assert record.link.agreed == {"active": True, "title": "Intern", "floor": 3}, "of these paths what it shows"
    assert (record.fingerprint, record.due_at, record.attempted_at) == (None, NOW, NOW)
    assert link.agreed["title"] == "Engineer", "who holds the old link sees no change"


@pytest.mark.parametrize("verdict", Verdict)
def test_who_is_back_counts_as_gone_no_more_and_her_time_begins_anew(verdict: Verdict) -> None:
    record = Record("user", SourceId("s1"), verdict=verdict, off_since=NOW - DAY)
    settling.is_back(record)
    left = (Verdict.INACTIVE, Verdict.ROLE_LOST, Verdict.OUT_OF_SCOPE, Verdict.GONE)
    assert (record.verdict, record.off_since) == (Verdict.NEW if verdict in left else verdict, None)


def test_the_first_change_counts_as_one() -> None:
    record = Record("user", SourceId("s1"), link=linked())
    counted, said = settling.numbered(record, (Change("userName", "a", "b"),), NUMBERED)
    assert counted.link is not None
    assert (counted.link.changed, said) == ({"userName": 1}, "")
    assert record.link == linked()
