"""The story is true: what it says of people is what stands in the files afterwards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reconciler.demo import organisation, story
from reconciler.demo.story import Event

Rows = dict[str, dict[str, Any]]


class Told:
    """The files before and after, and what was told."""

    def __init__(self, directory: Path) -> None:
        organisation.write(directory, "http://127.0.0.1:1234/v2", directory / "server.token")
        self.people_before, self.groups_before = _rows(directory)
        self.events = story.tell(directory)
        self.people, self.groups = _rows(directory)

    def of(self, chapter: str) -> list[Event]:
        return [event for event in self.events if event.chapter == chapter]

    def groups_of(self, person: str) -> set[str]:
        return {group["displayName"] for group in self.groups.values() if person in group["members"]}


def _rows(directory: Path) -> tuple[Rows, Rows]:
    users, groups = (organisation.read_rows(directory / name) for name in ("users.jsonl", "groups.jsonl"))
    return {row["id"]: row for row in users}, {row["id"]: row for row in groups}


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_everything_that_changed_is_told_and_each_person_once(told: Told) -> None:
    assert Counter(event.chapter for event in told.events) == {
        "joiner": 5,
        "mover": 4,
        "leaver": 5,
        "rename": 1,
        "rehire": 1,
        "group": 2,
    }
    assert len({event.person for event in told.events}) == len(told.events)
    changed = {
        person
        for person in told.people.keys() | told.people_before.keys()
        if told.people.get(person) != told.people_before.get(person)
    }
    for before in told.groups_before.values():
        changed |= set(before["members"]) ^ set(told.groups[before["id"]]["members"])
    assert changed == {event.person for event in told.events}


def test_the_files_fit_together_afterwards(told: Told) -> None:
    sign_ins = [person["userPrincipalName"] for person in told.people.values()]
    assert len(set(sign_ins)) == len(sign_ins) == 504
    assert {person["manager"] for person in told.people.values()} <= {*told.people, None}
    assert {member for group in told.groups.values() for member in group["members"]} <= {*told.people, *told.groups}
    assert told.groups.keys() == told.groups_before.keys()


def test_joiners_are_new_and_have_a_phone(told: Told) -> None:
    for event in told.of("joiner"):
        assert event.person not in told.people_before
        assert organisation.PHONE_GROUP in told.groups_of(event.person)
    names = Counter(person["displayName"] for person in told.people.values())
    assert [event.name for event in told.of("joiner") if names[event.name] == 2] == ["Zofia Król"]


def test_movers_are_in_the_groups_of_their_new_department_only(told: Told) -> None:
    for event in told.of("mover"):
        before, person = told.people_before[event.person], told.people[event.person]
        assert before["department"] != person["department"]
        assert before["manager"] != person["manager"]
        assert told.people[person["manager"]]["department"] == person["department"]
        assert told.groups_of(event.person) == set(organisation.groups_of(person))


def test_leavers_are_inactive_or_not_there(told: Told) -> None:
    there = [told.people.get(event.person) for event in told.of("leaver")]
    assert [person and person["accountEnabled"] for person in there] == [False, False, False, None, None]
    assert all(told.people_before[event.person]["accountEnabled"] for event in told.of("leaver"))
    assert not told.groups_of("p0142")


def test_the_bride_keeps_her_id_and_has_a_new_name_everywhere(told: Told) -> None:
    (event,) = told.of("rename")
    before, person = told.people_before[event.person], told.people[event.person]
    differing = {column for column in person if person[column] != before[column]}
    assert differing == {"surname", "displayName", "userPrincipalName", "mail"}
    assert event.name == person["displayName"] == "Niamh Fitzgerald-Kelly"
    assert person["userPrincipalName"] == "niamh.fitzgerald-kelly@orchard.example"


def test_the_rehired_has_the_sign_in_name_of_the_account_that_was_left_behind(told: Told) -> None:
    (event,) = told.of("rehire")
    (left,) = [account for account in organisation.accounts_from_before() if not account["active"]]
    assert event.person not in told.people_before
    assert told.people[event.person]["userPrincipalName"] == left["userName"]
    assert organisation.PHONE_GROUP in told.groups_of(event.person)


def test_one_gets_a_phone_and_one_gives_it_back(told: Told) -> None:
    got, gave = told.of("group")
    phones_before = set(told.groups_before["g01"]["members"])
    assert (got.person in phones_before, gave.person in phones_before) == (False, True)
    phones = told.groups_of
    assert organisation.PHONE_GROUP in phones(got.person)
    assert organisation.PHONE_GROUP not in phones(gave.person)


def test_a_story_is_told_once(tmp_path: Path) -> None:
    Told(tmp_path)
    after = (tmp_path / "users.jsonl").read_bytes()
    assert story.tell(tmp_path) == []
    assert (tmp_path / "users.jsonl").read_bytes() == after
