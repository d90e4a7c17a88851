"""Which operations need more than the rules, and what is left of one while a part of it is held."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.decisions import Operation, Word
from reconciler.core.guarding import Guards
from reconciler.core.model import (
    AttributeMapping,
    Change,
    Direct,
    Job,
    Kind,
    ObjectRules,
    SafeguardLimits,
    SourceId,
    TargetId,
)
from reconciler.core.outcomes import Account
from reconciler.core.profile import Profile
from reconciler.core.records import BY_OTHERS, Link, Record, Verdict

USERS = ObjectRules(
    "user",
    (
        AttributeMapping("userName", Direct("login"), match=1),
        AttributeMapping("externalId", Direct("id"), match=2),
        AttributeMapping("title", Direct("jobTitle")),
    ),
)
RENAME = Change("userName", "ann", "ann.b")
ENABLE = Change("active", False, True)
TITLE = Change("title", "Engineer", "Lead")


def guards(**limits: Any) -> Guards:
    job = Job("app", "staff", "phone", USERS, None, safeguards=SafeguardLimits(**limits))
    return Guards.of(job, Profile("example", {}, {}))


def operation(word: Word, *changes: Change, kind: Kind = "user", linked: bool = True, **link: Any) -> Operation:
    held = Link(TargetId("t1"), "created", {"active": False, "title": "Engineer"}, 1.0, **link) if linked else None
    return Operation(word, Record(kind, SourceId("ann"), link=held), "because", Verdict.IN_SCOPE, b"now", changes)


def test_guards_know_the_paths_that_are_matched_by_and_no_others() -> None:
    assert guards().matching == {"user": {"userName", "externalId"}}
    assert guards().active == "active"


@pytest.mark.parametrize(
    ("word", "kind", "first", "adopts", "hold_groups", "expected"),
    [
        ("disable", "user", False, False, True, "deletions"),
        ("disable", "user", True, False, True, "deletions"),
        ("disable", "user", True, True, True, "adopted"),
        ("disable", "user", False, True, True, "deletions"),
        ("delete", "user", True, True, True, "deletions"),
        ("delete", "group", False, False, True, "groups"),
        ("delete", "group", False, False, False, "deletions"),
    ],
)
def test_what_takes_something_away_falls_under_one_safeguard(
    word: Word, kind: Kind, first: bool, adopts: bool, hold_groups: bool, expected: str
) -> None:
    negative = operation(word, kind=kind)
    negative.account = Account(TargetId("t1"), {}) if adopts else None
    assert guards(hold_group_deletes=hold_groups).of_negative(negative, first=first) == expected


@pytest.mark.parametrize(
    ("positive", "expected"),
    [
        (operation("create", linked=False), ("creates",)),
        (operation("create", kind="group", linked=False), ()),
        (operation("update", TITLE), ()),
        (operation("update", RENAME), ("renames",)),
        (operation("adopt", RENAME, linked=False), ("renames",)),
        (operation("adopt", ENABLE, linked=False), ()),
        (operation("enable", ENABLE), ("locked",)),
        (operation("enable", ENABLE, RENAME), ("locked", "renames")),
        (operation("enable", ENABLE, disabled_at=1.0), ()),
        (operation("enable", ENABLE, disabled_because="gone"), ()),
        (operation("enable", ENABLE, disabled_because=BY_OTHERS), ("locked",)),
        (operation("update", ENABLE, linked=False), ()),
        (operation("update", Change("active", None, True)), ()),
        (operation("update", Change("active", False, None)), ()),
        (operation("update", Change("userName", None, "ann")), ()),
        (operation("update", Change("userName", "ann", None)), ()),
        (operation("update", RENAME, kind="group"), ()),
        (operation("disable", RENAME), ()),
    ],
)
def test_what_gives_something_falls_under_those_that_look_at_it(positive: Operation, expected: tuple[str, ...]) -> None:
    assert guards(creation_threshold=5).of_positive(positive) == expected


def test_without_a_limit_no_create_is_looked_at() -> None:
    assert guards().of_positive(operation("create", linked=False)) == ()


def test_while_an_enable_is_held_the_rest_is_done_and_the_account_is_known_to_be_off() -> None:
    held = operation("enable", ENABLE, TITLE)
    rest = guards().without(held, "locked")
    assert rest is not None
    assert (rest.word, rest.changes, rest.fingerprint) == ("update", (TITLE,), None)
    assert rest.record.link is not None
    assert rest.record.link.agreed == {"active": False, "title": "Engineer"}
    assert guards().without(operation("enable", ENABLE), "locked") is None


def test_while_a_rename_is_held_the_rest_is_done() -> None:
    rest = guards().without(operation("enable", RENAME, ENABLE, TITLE), "renames")
    assert rest is not None
    assert (rest.word, rest.changes, rest.fingerprint) == ("enable", (ENABLE, TITLE), None)
    rest = guards().without(operation("enable", RENAME, TITLE), "renames")
    assert rest is not None
    assert (rest.word, rest.changes) == ("update", (TITLE,))
    assert guards().without(operation("update", RENAME), "renames") is None


def test_who_is_taken_over_is_taken_over_also_where_nothing_else_is_left() -> None:
    rest = guards().without(operation("adopt", RENAME, linked=False), "renames")
    assert rest is not None
    assert (rest.word, rest.changes, rest.fingerprint) == ("adopt", (), None)


def test_of_a_create_nothing_is_left() -> None:
    assert guards().without(operation("create", linked=False), "creates") is None


def test_a_word_on_a_rename_is_good_for_that_name_and_any_other_word_for_whatever_it_says() -> None:
    rename = operation("update", RENAME, Change("externalId", "1", "2"), TITLE)
    assert guards().about(rename, "renames") == ("userName=ann.b", "externalId=2")
    assert guards().about(rename, "locked") == ()


def test_a_person_who_decides_is_told_what_is_special() -> None:
    rename = operation("update", RENAME, Change("externalId", "1", "2"), TITLE)
    assert guards().why(rename, "renames") == (
        "userName would change from ann to ann.b; externalId would change from 1 to 2"
    )
    assert guards().why(rename, "locked") == (
        "because; the account is not active in the app, and it was not this job that disabled it"
    )
    assert guards().why(rename, "deletions") == "because"
