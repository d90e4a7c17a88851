"""The provisioning log: what each record says of an operation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core import telling
from reconciler.core.decisions import Leave, Operation, Pending, Word
from reconciler.core.model import Cause, Change, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed, Fault
from reconciler.core.reasons import Reason
from reconciler.core.records import Link, LogRecord, Record, Step, Verdict

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
        ("userName", None, "ann"),
        ("badge", None, "[Redact]"),
    )
    assert telling.sent(operation("update", redacted=hidden), None, None, NOW, 1).modified == (
        ("badge", "[Redact]", "[Redact]"),
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
    ("agreed", "shown", "off_at", "adopted", "told"),
    [
        ({"active": True}, {"active": False}, NOW, False, ("disable", "disable")),
        ({"active": True}, {"active": False}, NOW, True, ("disable", "disable")),
        ({"active": True}, {"active": False}, None, False, ("update", "update")),
        ({"active": True}, {"active": False}, None, True, ("adopt", "update")),
        ({"active": False}, {"active": True}, None, False, ("enable", "update")),
        ({"title": "A"}, {"title": "B"}, NOW, False, ("update", "update")),
        ({"title": "A"}, {"title": "A"}, None, True, ("adopt", "update")),
        ({"title": "A"}, {"title": "A"}, NOW, False, None),
    ],
)
def test_what_a_look_shows_after_a_lost_answer_is_told(
    agreed: dict[str, object],
    shown: dict[str, object],
    off_at: float | None,
    adopted: bool,
    told: tuple[str, str] | None,
) -> None:
    link = Link(TargetId("t1"), "adopted" if adopted else "created", agreed, NOW)
    record = Record("user", SourceId("s1"), name="ann", link=link, attempted_at=NOW, attempted_off_at=off_at)
    log = telling.seen_after_doubt(record, shown, "active", NOW + 60)
    assert (None if log is None else (log.operation, log.action)) == told


# --- records to the last field -----------------------------------------------------------------------------------

ANN = {"at": NOW, "kind": "user", "source_id": SourceId("s1"), "name": "ann"}
READ = Step("import", "success", "Read user s1 from the source")
BY_DOUBT = "an answer was lost, so the account was looked at: this is what it shows now"


def ann(**more: Any) -> LogRecord:
    return LogRecord(**{**ANN, **more})


def test_an_update_to_the_last_field() -> None:
    update = operation("update")
    update.counts, update.approved, update.cause = "renames", True, Cause.INACTIVE
    assert telling.sent(update, None, TargetId("t1"), NOW, 12) == ann(
        action="update",
        operation="update",
        status="success",
        target_id="t1",
        reason="because",
        steps=(
            READ,
            Step("scoping", "success", "because", {"Cause": "inactive"}),
            Step("matching", "success", "linked already"),
            Step("export", "success", "update"),
        ),
        modified=(("badge", "was", "secret"),),
        took_ms=12,
        counts="renames",
        approved=True,
    )


def test_a_failure_to_the_last_field() -> None:
    create = operation("create")
    create.pending = (Pending("manager", "user", SourceId("s9")),)
    failure = Failed(Fault.INVALID, "no such title", request="POST /Users", request_id="r-7")
    assert telling.sent(create, failure, None, NOW, 3) == ann(
        action="create",
        operation="create",
        status="failure",
        error_code="UnprocessableEntity",
        reason="no such title",
        steps=(
            READ,
            Step("scoping", "success", "because"),
            Step("matching", "success", "no account matches"),
            Step(
                "export",
                "failure",
                "create failed: no such title",
                {"Request": "POST /Users", "RequestId": "r-7"},
            ),
        ),
        modified=(("userName", None, "ann"), ("badge", None, "secret")),
        took_ms=3,
    )
    bare = telling.sent(create, Failed(Fault.INVALID, "no"), None, NOW, 3)
    assert bare.steps[-1].details == {}


def test_a_warning_to_the_last_field() -> None:
    adopt = operation("adopt")
    adopt.match = ()
    said = telling.sent(adopt, None, TargetId("t1"), NOW, 1, "few left", "ChangeLimitReached")
    assert (said.status, said.error_code, said.reason) == ("warning", "ChangeLimitReached", "few left")
    assert said.steps[2:] == (
        Step("matching", "success", "matched an existing account by id"),
        Step("export", "warning", "few left"),
    )
    kept = telling.sent(adopt, None, TargetId("t1"), NOW, 1, "the target does not keep: title")
    assert kept.error_code == "ValueNotKept"


def test_a_reference_that_waits_to_the_last_field() -> None:
    create = operation("create")
    create.pending = (Pending("manager", "user", SourceId("s9")),)
    assert telling.sent(create, None, TargetId("t1"), NOW, 1).steps[3] == Step(
        "referenceResolution",
        "skipped",
        "manager: user s9 has no account yet; it is set when there is one",
        {"SkipReason": "UnableToResolveReferenceAttributeValue"},
    )


def test_a_create_that_is_found_later_to_the_last_field() -> None:
    record = Record("user", SourceId("s1"), name="ann", link=Link(TargetId("t1"), "created", {}, NOW))
    why = "made by a request whose answer was not seen; found under the name that it was made with"
    assert telling.made_before(record, NOW) == ann(
        action="create",
        operation="create",
        status="success",
        target_id="t1",
        reason=why,
        steps=(Step("matching", "success", why),),
    )
    record.link = None
    assert telling.made_before(record, NOW).target_id is None


def test_what_a_look_shows_to_the_last_field() -> None:
    link = Link(TargetId("t1"), "created", {"title": "A", "badge": "x", "gone": 1}, NOW)
    record = Record("user", SourceId("s1"), name="ann", link=link, attempted_at=NOW)
    shown = {"title": "B", "badge": "y"}
    assert telling.seen_after_doubt(record, shown, "active", NOW, frozenset({"badge"})) == ann(
        action="update",
        operation="update",
        status="success",
        target_id="t1",
        reason=BY_DOUBT,
        steps=(Step("matching", "success", "linked already"), Step("export", "success", BY_DOUBT)),
        modified=(
            ("title", "A", "B"),
            ("badge", "[Redact]", "[Redact]"),
            ("gone", 1, None),
        ),
    )


def test_who_was_linked_long_before_the_lost_answer_was_not_adopted_by_it() -> None:
    link = Link(TargetId("t1"), "adopted", {"title": "A"}, NOW - 60)
    record = Record("user", SourceId("s1"), link=link, attempted_at=NOW)
    assert telling.seen_after_doubt(record, {"title": "A"}, "active", NOW) is None
    link = Link(TargetId("t1"), "adopted", {"active": False}, NOW)
    record = Record("user", SourceId("s1"), link=link, attempted_at=NOW)
    log = telling.seen_after_doubt(record, {"active": True}, "active", NOW)
    assert log is not None
    assert (log.operation, log.action) == ("adopt", "update")


def test_what_is_held_to_the_last_field() -> None:
    leaver = operation("delete")
    leaver.cause = Cause.GONE
    assert telling.staged(leaver, "gone for long", "7 > 5", "deletions", NOW) == ann(
        action="stagedDelete",
        operation="delete",
        status="skipped",
        target_id="t1",
        error_code="TooManyDeletes",
        reason="gone for long; held: 7 > 5",
        steps=(
            Step("scoping", "success", "because", {"Cause": "gone"}),
            Step("export", "skipped", "held: 7 > 5"),
        ),
    )
    assert telling.staged(operation("create"), "new", "7 > 5", "creates", NOW).target_id is None


@pytest.mark.parametrize(("code", "type_"), [("NotEffectivelyEntitled", "scoping"), ("RedundantExport", "processing")])
def test_what_is_left_to_the_last_field(code: Reason, type_: str) -> None:
    record = Record("user", SourceId("s1"), name="ann", link=Link(TargetId("t1"), "created", {}, NOW))
    assert telling.skipped(record, Leave("why", code, Verdict.IN_SCOPE), NOW) == ann(
        action="other",
        operation="leave",
        status="skipped",
        target_id="t1",
        error_code=code,
        reason="why",
        steps=(READ, Step(type_, "skipped", "why", {"SkipReason": code})),
    )
    record.link = None
    assert telling.skipped(record, Leave("why", code, Verdict.IN_SCOPE), NOW).target_id is None


def test_what_failed_before_it_was_sent_to_the_last_field() -> None:
    record = Record("user", SourceId("s1"), name="ann", link=Link(TargetId("t1"), "created", {}, NOW))
    assert telling.rejected(record, "Timeout", "no answer", NOW) == ann(
        action="other",
        operation="leave",
        status="failure",
        target_id="t1",
        error_code="Timeout",
        reason="no answer",
        steps=(READ, Step("processing", "failure", "no answer")),
    )
    record.link = None
    unlinked = telling.rejected(record, "Timeout", "no answer", NOW, "matching")
    assert (unlinked.action, unlinked.target_id) == ("create", None)
    assert unlinked.steps[1] == Step("matching", "failure", "no answer")


def test_members_to_the_last_field() -> None:
    group = Record("group", SourceId("g1"), name="Crew", link=Link(TargetId("t2"), "created", {}, NOW))
    refused = Failed(Fault.INVALID, "no such member")
    assert telling.members(group, 2, 0, refused, NOW, "30 > 20", 3) == LogRecord(
        at=NOW,
        kind="group",
        source_id=SourceId("g1"),
        name="Crew",
        action="update",
        operation="members",
        status="failure",
        target_id=TargetId("t2"),
        error_code="UnprocessableEntity",
        reason="no such member",
        steps=(
            Step("referenceResolution", "success", "2 added"),
            Step(
                "referenceResolution",
                "skipped",
                "3 members have no account yet; they are added when they have one",
                {"SkipReason": "UnableToResolveReferenceAttributeValue"},
            ),
            Step("export", "skipped", "held: 30 > 20"),
            Step("export", "failure", "no such member"),
        ),
    )
    group.link = None
    quiet = telling.members(group, 0, 0, None, NOW)
    assert (quiet.target_id, quiet.status, quiet.error_code, quiet.reason) == (None, "success", "", "")
    assert quiet.steps == (Step("referenceResolution", "success", "no member changed"),)
    some = telling.members(group, 0, 2, None, NOW, "30 > 20")
    assert (some.status, some.error_code, some.reason) == ("success", "TooManyRemovals", "30 > 20")
    assert some.steps[0].description == "2 removed"


def test_a_failure_is_told_without_what_the_mapping_keeps_out_of_the_log() -> None:
    plain = Failed(Fault.INVALID, "badge s3cret-1, w4s-2, sh0wn-3, by-n4me is not valid")
    changed = operation("adopt", redacted=frozenset({"badge", "userName"}))
    changed.resource = {"badge": "s3cret-1"}
    changed.changes = (Change("badge", "w4s-2", "s3cret-1"),)
    changed.account = Account(TargetId("t1"), {"badge": "sh0wn-3"})
    changed.match = (("userName", "by-n4me"),)
    told = telling.told_without_secrets(changed, plain)
    assert told == replace(plain, reason="badge [Redact], [Redact], [Redact], [Redact] is not valid")
    changed.redacted = frozenset()
    assert telling.told_without_secrets(changed, plain) is plain
