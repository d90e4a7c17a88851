"""The provisioning log: what each record says of an operation."""

from __future__ import annotations

import pytest

from reconciler.core import telling
from reconciler.core.decisions import Leave, Operation, Pending, Word
from reconciler.core.model import Cause, Change, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed, Fault
from reconciler.core.records import Link, Modified, Record, Verdict

NOW = 1_000_000.0


def operation(word: Word, *, redacted: frozenset[str] = frozenset()) -> Operation:
    link = None if word in ("create", "adopt") else Link(TargetId("t1"), "created", {}, NOW)
    made = Operation(word, Record("user", SourceId("s1"), name="ann", link=link), "because", Verdict.IN_SCOPE, b"now")
    made.redacted = redacted
    if word == "create":
        made.resource = {"userName": "ann", "badge": "secret"}
    elif word == "adopt":
        made.account, made.match = Account(TargetId("t1"), {}), (("userName", "ann"),)
    if word in ("update", "adopt"):
        made.changes = (Change("badge", "was", "secret"),)
    return made


@pytest.mark.parametrize(
    ("word", "action", "matching"),
    [
        ("create", "create", "no account matches"),
        ("adopt", "update", "matched an existing account by userName"),
        ("update", "update", "linked already"),
        ("enable", "update", "linked already"),
        ("disable", "disable", "linked already"),
        ("delete", "delete", "linked already"),
    ],
)
def test_an_operation_is_told_by_the_names_of_graph(word: Word, action: str, matching: str) -> None:
    said = telling.sent(operation(word), None, TargetId("t1"), NOW, 12)
    assert (said.action, said.operation, said.status, said.reason) == (action, word, "success", "because")
    assert [step.type for step in said.steps] == ["import", "scoping", "matching", "export"]
    assert said.steps[2].description == matching


def test_a_create_is_told_the_same_after_its_link_is_known() -> None:
    create = operation("create")
    create.record.link = Link(TargetId("t1"), "created", {}, NOW)
    assert telling.sent(create, None, TargetId("t1"), NOW, 1).steps[2].description == "no account matches"


def test_a_reference_that_waits_is_told() -> None:
    create = operation("create")
    create.pending = (Pending("manager", "user", SourceId("s9")),)
    step = telling.sent(create, None, TargetId("t1"), NOW, 1).steps[3]
    assert (step.type, step.status) == ("referenceResolution", "skipped")
    assert step.details == {"SkipReason": "UnableToResolveReferenceAttributeValue"}
    assert "user s9 has no account yet" in step.description


def test_what_may_not_be_shown_is_not() -> None:
    hidden = frozenset({"badge"})
    assert telling.sent(operation("create", redacted=hidden), None, None, NOW, 1).modified == (
        Modified("userName", None, "ann"),
        Modified("badge", None, "[Redact]"),
    )
    assert telling.sent(operation("update", redacted=hidden), None, None, NOW, 1).modified == (
        Modified("badge", "[Redact]", "[Redact]"),
    )


def test_a_failure_has_its_code_and_its_reason() -> None:
    said = telling.sent(operation("update"), Failed(Fault.THROTTLED, "too many requests"), None, NOW, 1)
    assert (said.status, said.error_code, said.reason) == ("failure", "TooManyRequests", "too many requests")


def test_a_warning_says_what_was_not_kept() -> None:
    said = telling.sent(operation("update"), None, TargetId("t1"), NOW, 1, "the target does not keep: title")
    assert (said.status, said.reason) == ("warning", "the target does not keep: title")


@pytest.mark.parametrize(("word", "action"), [("delete", "stagedDelete"), ("disable", "stagedAction")])
def test_what_is_held_is_told_as_staged(word: Word, action: str) -> None:
    leaver = operation(word)
    leaver.cause = Cause.GONE
    said = telling.staged(leaver, leaver.why, "7 to be disabled, allowed 5", "deletions", NOW)
    assert (said.action, said.status, said.error_code) == (action, "skipped", "TooManyDeletes")
    assert said.reason == "because; held: 7 to be disabled, allowed 5"


def test_what_was_left_says_why() -> None:
    said = telling.skipped(
        Record("user", SourceId("s1")), Leave("not assigned", "NotEffectivelyEntitled", Verdict.OUT_OF_SCOPE), NOW
    )
    assert (said.action, said.status, said.error_code, said.reason) == (
        "other",
        "skipped",
        "NotEffectivelyEntitled",
        "not assigned",
    )


def test_members_are_told_by_number() -> None:
    group = Record("group", SourceId("g1"), name="Crew", link=Link(TargetId("t2"), "created", {}, NOW))
    said = telling.members(group, 3, 1, None, NOW, unresolved=2)
    assert (said.status, said.reason) == ("success", "3 added, 1 removed")
    assert said.steps[1].details == {"SkipReason": "UnableToResolveReferenceAttributeValue"}
    held = telling.members(group, 0, 0, None, NOW, held="30 to be removed, allowed 20")
    assert (held.status, held.error_code) == ("skipped", "TooManyRemovals")
    failed = telling.members(group, 1, 0, Failed(Fault.INVALID, "no such member"), NOW)
    assert (failed.status, failed.reason) == ("failure", "no such member")


@pytest.mark.parametrize(
    ("agreed", "shown", "adopted", "told"),
    [
        ({"active": True}, {"active": False}, False, ("disable", "disable")),
        ({"active": False}, {"active": True}, False, ("enable", "update")),
        ({"title": "A"}, {"title": "B"}, False, ("update", "update")),
        ({"title": "A"}, {"title": "A"}, True, ("adopt", "update")),
        ({"title": "A"}, {"title": "A"}, False, None),
    ],
)
def test_what_a_look_shows_after_a_lost_answer_is_told(
    agreed: dict[str, object], shown: dict[str, object], adopted: bool, told: tuple[str, str] | None
) -> None:
    link = Link(TargetId("t1"), "adopted" if adopted else "created", agreed, NOW)
    record = Record("user", SourceId("s1"), name="ann", link=link, attempted_at=NOW)
    log = telling.seen_after_doubt(record, shown, "active", NOW + 60)
    assert (None if log is None else (log.operation, log.action)) == told
