"""What becomes of accounts whose owners leave: what the planner's tests do not reach."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.decisions import Judged, Operation
from reconciler.core.leaving import Deprovisioning, disabled_again, withholds_deletes
from reconciler.core.mapping import Mapper
from reconciler.core.model import (
    Action,
    Apply,
    AttributeMapping,
    Cause,
    Change,
    Constant,
    Deprovision,
    DeprovisionAction,
    Job,
    ObjectRules,
    SourceId,
    TargetId,
)
from reconciler.core.outcomes import Account
from reconciler.core.profile import Profile, TargetAttribute, ValueType
from reconciler.core.records import Link, Record, Verdict
from reconciler.core.scoping import Leaving

NOW, DAY = 1_000_000.0, 86400.0
USERS = ObjectRules("user", (AttributeMapping("enabled", Constant(True)),))
ATTRIBUTES = {
    "pin": TargetAttribute("pin", shown=False),
    "enabled": TargetAttribute("enabled", ValueType.BOOLEAN),
}
PROFILE = Profile("example", ATTRIBUTES, {}, active="enabled")
INACTIVE, OUT = Leaving(Cause.INACTIVE, "was False"), Leaving(Cause.OUT_OF_SCOPE, "not assigned")


def job(users: ObjectRules | None = USERS, **rules: Any) -> Job:
    return Job("app", "staff", "phone", users, None, deprovision=Deprovision(**rules))


def linked(**agreed: Any) -> Record:
    link = Link(TargetId("t1"), "created", {"enabled": False, **agreed}, NOW - 90 * DAY, disabled_at=NOW - 31 * DAY)
    return Record("user", SourceId("s1"), verdict=Verdict.INACTIVE, name="ann", link=link)


# --- a delete that finds the account on --------------------------------------------------------------------------


def test_an_account_that_is_on_when_it_should_be_deleted_is_disabled_again_instead() -> None:
    record = linked(title="Engineer", pin="1")
    delete = Operation(
        "delete", record, "disabled long enough", Verdict.INACTIVE, b"now", cause=Cause.INACTIVE, after_disable=True
    )
    disable = disabled_again(delete, Account(TargetId("t1"), {"enabled": True, "title": "Chief"}), PROFILE)
    assert (disable.word, disable.changes) == ("disable", (Change("enabled", True, False),))
    assert disable.why == "disabled long enough; but it is on, so it is disabled again, and deleted later"
    assert (disable.cause, disable.verdict, disable.after_disable) == (Cause.INACTIVE, Verdict.INACTIVE, False)
    assert disable.record.link is not None
    assert disable.record.link.agreed == {"enabled": False, "title": "Engineer", "pin": "1"}, "what is hidden was kept"
    assert disable.record.link.unkept == {"enabled": 1, "title": 1}
    assert (disable.record.name, disable.record.source_id) == ("ann", "s1")
    assert (delete.word, record.link) == ("delete", linked(title="Engineer", pin="1").link), "they are left as they are"


# --- what is told of deletes that wait for a word of the job -----------------------------------------------------


CONFIRMED = replace(PROFILE, confirm_delete="yes, for ever", can_delete=False)


@pytest.mark.parametrize(
    ("of", "profile", "withheld"),
    [
        (job(), CONFIRMED, True),
        (job(), replace(CONFIRMED, can_delete=True), False),
        (job(), replace(CONFIRMED, confirm_delete=None), False),
        (job(), replace(CONFIRMED, can_disable=False), False),
        (job(users=None), CONFIRMED, False),
        (job(delete_after_seconds=None), CONFIRMED, False),
        (job(replace(USERS, actions=frozenset(Action) - {Action.DELETE})), CONFIRMED, False),
    ],
)
def test_deletes_are_withheld_where_the_job_does_not_say_what_the_profile_wants(
    of: Job, profile: Profile, withheld: bool
) -> None:
    assert withholds_deletes(of, profile) is withheld


# --- what the rules set ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("standing", "sets"),
    [
        (OUT, True),
        (INACTIVE, False),
        (replace(INACTIVE, also=OUT), True),
        (replace(OUT, also=INACTIVE), True),
        (replace(OUT, forced=True), False),
        (replace(INACTIVE, also=replace(INACTIVE, also=OUT)), True),
    ],
)
def test_attributes_are_set_for_the_cause_that_says_so_also_where_it_is_the_weaker_one(
    standing: Leaving, sets: bool
) -> None:
    of = job(out_of_scope=DeprovisionAction.SET)
    assert Deprovisioning(of, USERS, PROFILE).sets(standing) is sets


def test_what_is_set_goes_by_what_the_account_has() -> None:
    parting = (
        AttributeMapping("title", Constant("Alumna")),
        AttributeMapping("nick", Constant("gone"), apply=Apply.ADD_ONLY),
        AttributeMapping("floor", Constant("0"), apply=Apply.ADD_ONLY),
    )
    of = job(out_of_scope=DeprovisionAction.SET, parting=parting)
    record = linked(enabled=True, title="Engineer", floor="3")
    assert record.link is not None
    record.link.disabled_at = None
    mapped = Mapper.compile(ObjectRules("user", parting), PROFILE).wanted({})
    decision = Deprovisioning(of, USERS, PROFILE).plan(Judged(record, OUT, None, parting=mapped), record.link, OUT, NOW)
    assert isinstance(decision, Operation)
    assert decision.changes == (Change("nick", None, "gone"), Change("title", "Engineer", "Alumna"))
    assert (decision.word, decision.why) == ("update", "not assigned; set: nick, title")


@pytest.mark.parametrize(
    ("before", "after", "word"), [(True, False, "disable"), (False, True, "update"), (None, True, "update")]
)
def test_what_is_set_is_a_disable_where_it_switches_the_account_off(
    before: bool | None, after: bool, word: str
) -> None:
    parting = (AttributeMapping("title", Constant("Alumna")), AttributeMapping("enabled", Constant(after)))
    of = job(out_of_scope=DeprovisionAction.SET, parting=parting)
    record = linked(enabled=before, title="Engineer")
    assert record.link is not None
    record.link.disabled_at = None
    mapped = Mapper.compile(ObjectRules("user", parting), PROFILE).wanted({})
    decision = Deprovisioning(of, USERS, PROFILE).plan(Judged(record, OUT, None, parting=mapped), record.link, OUT, NOW)
    assert isinstance(decision, Operation)
    assert (decision.word, decision.why) == (word, "not assigned; set: enabled, title")
    assert decision.changes == (Change("enabled", before, after), Change("title", "Engineer", "Alumna"))
    assert (decision.cause, decision.verdict) == (Cause.OUT_OF_SCOPE, Verdict.OUT_OF_SCOPE)
