"""Tells the story of one month: edits the files of the sample organisation as an HR system would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reconciler.demo.organisation import (
    PHONE_GROUP,
    Group,
    Name,
    Person,
    groups_of,
    hire,
    name_of,
    new_sign_in,
    person_id,
    place_of,
    read_rows,
    returning,
    write_rows,
)

Chapter = Literal["joiner", "mover", "leaver", "rename", "rehire", "group"]

_JOINERS = {502: "Engineering", 503: "Sales", 504: "Support", 505: "Finance", 506: "Marketing"}
_NAMESAKE = (503, 33)
"""Who joins with the name of somebody who is already there."""
_MOVERS = {34: "Sales", 97: "Support", 100: "Marketing", 166: "Finance"}
_MARKED_INACTIVE = (98, 173, 219)
_REMOVED = (142, 195)
_RENAMED = (41, 71)
"""Who marries, and whose surname she takes."""
_GETS_A_PHONE = 279
_GIVES_THE_PHONE_BACK = 228


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one person; `what` continues a sentence that begins with her name."""

    person: str
    name: str
    what: str
    chapter: Chapter


def tell(directory: Path) -> list[Event]:
    """Edit users.jsonl and groups.jsonl; return what was changed, nothing where the story has been told before."""
    month = _Month(directory)
    if person_id(min(_JOINERS)) in month.staff:
        return []
    events = [
        *(month.joins(number, department) for number, department in _JOINERS.items()),
        *(month.moves(number, department) for number, department in _MOVERS.items()),
        *(month.is_marked_inactive(number) for number in _MARKED_INACTIVE),
        *(month.is_removed(number) for number in _REMOVED),
        month.marries(*_RENAMED),
        month.comes_back(),
        month.gets_a_phone(_GETS_A_PHONE),
        month.gives_the_phone_back(_GIVES_THE_PHONE_BACK),
    ]
    month.write()
    return events


class _Month:
    """The rows of both files, while they are edited."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.staff: dict[str, Person] = {row["id"]: row for row in read_rows(directory / "users.jsonl")}
        groups = read_rows(directory / "groups.jsonl")
        self._groups: dict[str, Group] = {row["displayName"]: row for row in groups}
        self._sign_ins = {person["userPrincipalName"] for person in self.staff.values()}

    def write(self) -> None:
        write_rows(self._directory / "users.jsonl", self.staff.values())
        write_rows(self._directory / "groups.jsonl", self._groups.values())

    def joins(self, number: int, department: str) -> Event:
        city = place_of(number).city
        namesake = name_of(_NAMESAKE[1]) if number == _NAMESAKE[0] else None
        title = self._title(department)
        person = hire(number, department, title, self._lead(department, city), self._sign_ins, namesake)
        self._add(person)
        also = f", the second of that name: {person['userPrincipalName']}" if namesake else ""
        return _event(person, f"joins {department} in {city}{also}", "joiner")

    def moves(self, number: int, department: str) -> Event:
        person = self.staff[person_id(number)]
        before, groups = person["department"], groups_of(person)
        person |= {
            "department": department,
            "jobTitle": self._title(department),
            "manager": self._lead(department, person["city"]),
        }
        now = groups_of(person)
        self._leave(person, [name for name in groups if name not in now])
        self._enter(person, [name for name in now if name not in groups])
        return _event(person, f"moves from {before} to {department}", "mover")

    def is_marked_inactive(self, number: int) -> Event:
        person = self.staff[person_id(number)]
        person["accountEnabled"] = False
        return _event(person, "leaves: HR has marked the record as inactive", "leaver")

    def is_removed(self, number: int) -> Event:
        person = self.staff.pop(person_id(number))
        self._leave(person, list(self._groups))
        return _event(person, "leaves: the record is no longer in the file", "leaver")

    def marries(self, number: int, spouse: int) -> Event:
        person = self.staff[person_id(number)]
        before, place = person["displayName"], place_of(number)
        name = Name(name_of(number).given, name_of(spouse).surname)
        sign_in = new_sign_in(name, self._sign_ins)
        person |= {
            "surname": name.surname[0],
            "displayName": place.display(name),
            "userPrincipalName": sign_in,
            "mail": sign_in,
        }
        return _event(person, f"was {before} before the wedding, and signs in as {sign_in} now", "rename")

    def comes_back(self) -> Event:
        person = returning(self._sign_ins, None)
        person["manager"] = self._lead(person["department"], person["city"])
        self._add(person)
        return _event(person, f"is hired again, into {person['department']}; the old account was disabled", "rehire")

    def gets_a_phone(self, number: int) -> Event:
        person = self.staff[person_id(number)]
        self._enter(person, [PHONE_GROUP])
        return _event(person, f"is put into {PHONE_GROUP}", "group")

    def gives_the_phone_back(self, number: int) -> Event:
        person = self.staff[person_id(number)]
        self._leave(person, [PHONE_GROUP])
        return _event(person, f"is taken out of {PHONE_GROUP}", "group")

    def _add(self, person: Person) -> None:
        self.staff[person["id"]] = person
        self._enter(person, list(groups_of(person)))

    def _enter(self, person: Person, groups: list[str]) -> None:
        for name in groups:
            self._groups[name]["members"].append(person["id"])

    def _leave(self, person: Person, groups: list[str]) -> None:
        for name in groups:
            members = self._groups[name]["members"]
            members[:] = [member for member in members if member != person["id"]]

    def _lead(self, department: str, city: str) -> str:
        """Return the id of the team lead at the site, or of the department's head where there is no team."""
        by_title = {(person["jobTitle"], person["city"]): person["id"] for person in self.staff.values()}
        heads = {person["jobTitle"]: person["id"] for person in self.staff.values()}
        lead: str = by_title.get((f"{department} Team Lead", city)) or heads[f"Head of {department}"]
        return lead

    def _title(self, department: str) -> str:
        """Return the usual job title of a department: that of the last who has one and leads nobody."""
        titles = [
            person["jobTitle"]
            for person in self.staff.values()
            if person["department"] == department and person["jobTitle"] and "Lead" not in person["jobTitle"]
        ]
        title: str = titles[-1]
        return title


def _event(person: Person, what: str, chapter: Chapter) -> Event:
    return Event(person["id"], person["displayName"], what, chapter)
