"""Who should be off and is not, what stands against it, and when people are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core import overdue
from reconciler.core.model import SourceId
from reconciler.core.notices import NoticeKind
from reconciler.core.overdue import Blind, Hindrance, Overdue, Said, blind, listed, tell
from reconciler.core.records import Escrow, Record, Verdict
from reconciler.core.standing import Pause, Quarantine, QuarantineReason, Standing

NOW, DAY = 1_000_000.0, 86400.0
QUARANTINE = Quarantine(QuarantineReason.EXCEPTION, "Unauthorized", "refused", "", 5.0, 4.0, 1, 9.0)


def leaver(id_: str = "ann", since: float | None = NOW - DAY, **more: object) -> Record:
    record = Record("user", SourceId(id_), verdict=Verdict.GONE, why="gone", name=f"{id_}@example.com", off_since=since)
    for name, value in more.items():
        setattr(record, name, value)
    return record


@pytest.mark.parametrize(
    ("record", "said", "hindrance", "why"),
    [
        (leaver(), None, "waits", "gone"),
        (leaver(due_at=NOW + 1), None, "grace", "gone"),
        (leaver(due_at=NOW), None, "waits", "gone"),
        (
            leaver(attempted_at=1.0, due_at=NOW + 1),
            None,
            "in_doubt",
            "it was sent, and whether it was done is not known",
        ),
        (leaver(escrow=Escrow(3, 1.0, "X", "no way"), attempted_at=1.0), None, "escrow", "failed 3 times: no way"),
        (leaver(escrow=Escrow(3, 1.0, "X", "no way")), Said("held", "too many"), "held", "too many"),
        (leaver(), Said("rejected", "by olga"), "rejected", "by olga"),
    ],
)
def test_what_stands_against_a_disable(record: Record, said: Said | None, hindrance: Hindrance, why: str) -> None:
    found = listed([record], {record.key: said} if said else {}, NOW)
    assert found == [Overdue("user", SourceId("ann"), "ann@example.com", NOW - DAY, hindrance, why)]


def test_the_oldest_comes_first_and_whose_beginning_is_not_known_counts_from_now() -> None:
    records = [leaver("new", None), leaver("b", NOW - DAY), leaver("a", NOW - DAY), leaver("old", 1.0)]
    found = listed(records, {}, NOW)
    assert [(one.id, one.since) for one in found] == [
        ("old", 1.0),
        ("a", NOW - DAY),
        ("b", NOW - DAY),
        ("new", NOW),
    ]


def test_an_account_that_is_held_and_not_linked_yet_is_listed_too() -> None:
    zoe = Said("held", "was there before us", "zoe@example.com", 3.0)
    found = listed([leaver()], {("user", SourceId("zoe")): zoe}, NOW)
    assert found[0] == Overdue("user", SourceId("zoe"), "zoe@example.com", 3.0, "held", "was there before us")
    assert len(found) == 2


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing(), None),
        (Standing(judged_at=1.0, last_finished_at=2.0), None),
        (
            Standing(unjudged_cycles=1, judged_at=1.0, last_finished_at=2.0),
            Blind("incomplete", "the source was not read whole, so who is absent is not known", 1.0),
        ),
        (
            Standing(unjudged_cycles=1, last_finished_at=2.0),
            Blind("incomplete", "the source was not read whole, so who is absent is not known", 2.0),
        ),
        (
            Standing(unjudged_cycles=1),
            Blind("incomplete", "the source was not read whole, so who is absent is not known", 0.0),
        ),
        (Standing(quarantine=QUARANTINE, unjudged_cycles=1), Blind("quarantine", "refused", 4.0)),
        (
            Standing(paused=Pause(3.0, "olga"), quarantine=QUARANTINE),
            Blind("paused", "the job was paused by olga", 3.0),
        ),
        (
            Standing(stopped_at=6.0, paused=Pause(3.0, "olga")),
            Blind("stopped", "the job was stopped after long in quarantine", 6.0),
        ),
    ],
)
def test_why_nobody_knows_who_else_should_be_off(standing: Standing, expected: Blind | None) -> None:
    assert blind(standing) == expected


def person(hindrance: Hindrance = "held", since: float = NOW - DAY, id_: str = "ann") -> Overdue:
    return Overdue("user", SourceId(id_), f"{id_}@example.com", since, hindrance, "too many")


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ([person()], True),
        ([person(since=NOW - DAY + 1)], False),  # not for a day yet
        ([person("rejected")], False),  # somebody has decided it
        ([person("grace")], False),
        ([person("escrow")], True),
        ([], False),
    ],
)
def test_people_are_told_of_who_is_on_for_a_day_and_of_nothing_that_somebody_decided(
    people: list[Overdue], told: bool
) -> None:
    standing, notices = tell("app", Standing(), people, len(people), NOW)
    assert bool(notices) is told
    assert dict(standing.alerted) == ({NoticeKind.NOT_OFF: NOW} if told else {})


def test_they_are_told_once_a_day_and_it_begins_anew_when_all_is_well() -> None:
    standing, first = tell("app", Standing(alerted={"failures": 1.0}), [person()], 1, NOW)
    assert len(first) == 1
    same, none = tell("app", standing, [person()], 1, NOW + overdue.TOLD_AFTER_SECONDS - 1)
    assert (same, none) == (standing, ())
    later, again = tell("app", standing, [person()], 1, NOW + overdue.TOLD_AFTER_SECONDS)
    assert (len(again), later.alerted["failures"]) == (1, 1.0)
    assert again[0].key != first[0].key
    well, none = tell("app", later, [], 0, NOW + 1)
    assert (dict(well.alerted), none) == ({"failures": 1.0}, ())
    assert replace(well, alerted={}) == Standing()


def test_the_mail_names_who_and_why_and_how_many_there_are() -> None:
    _, (notice,) = tell("app", Standing(), [person(), person(id_="bob", since=1.0)], 7, NOW)
    assert notice.facts == {
        "total": 7,
        "oldest_since": 1.0,
        "people": [
            {"id": "bob", "name": "bob@example.com", "why": "held: too many", "since": 1.0},
            {"id": "ann", "name": "ann@example.com", "why": "held: too many", "since": NOW - DAY},
        ],
    }
    _, (notice,) = tell("app", Standing(), [person(), person("grace", id_="bob")], 7, NOW)
    assert notice.facts["total"] == 1, "of whom not everybody is late, the late ones are counted"
