"""Makes the sample organisation: five hundred people in ten places, their groups, and a job that gives them phones."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import orjson

Person = dict[str, Any]
"""A row of users.jsonl."""
Group = dict[str, Any]
"""A row of groups.jsonl: id, displayName, members."""

PEOPLE = 500
DOMAIN = "orchard.example"
ADMINISTRATOR = f"admin@{DOMAIN}"
PHONE_GROUP = "APP-Phone"
ADMINS_GROUP = "APP-Phone-Admins"
NO_PHONES = "Operations"
"""The department that is not in APP-Phone."""

_RETURNING = PEOPLE + 1
"""The number of somebody who left before the files begin; her account was never removed."""
_MADE_BY_HAND = 3
"""The number of somebody whose account an administrator made before the job existed."""
_INACTIVE = frozenset({237, 389, 461})
_CHIEF = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A site: where it is, and the names that are usual there with their Latin spelling."""

    city: str
    country: str
    region: str
    family_first: bool
    between: str
    given: tuple[tuple[str, str], ...]
    surnames: tuple[tuple[str, str], ...]

    def name(self, index: int) -> Name:
        """Return a name; no two are the same before every given name has met every surname."""
        round_, position = divmod(index, len(self.given))
        given, surname = self.given[position], self.surnames[(round_ + index) % len(self.surnames)]
        return Name(given, surname)

    def display(self, name: Name) -> str:
        """Return the name as people there write it."""
        parts = (name.surname[0], name.given[0]) if self.family_first else (name.given[0], name.surname[0])
        return self.between.join(parts)


@dataclass(frozen=True, slots=True)
class Name:
    """A given name and a surname, each with its Latin spelling."""

    given: tuple[str, str]
    surname: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Department:
    name: str
    weight: int
    titles: tuple[str, ...]


def write(directory: Path, server_url: str, token_file: Path) -> None:
    """Write users.jsonl, groups.jsonl and config.toml; the same every time."""
    staff = people()
    write_rows(directory / "users.jsonl", staff)
    write_rows(directory / "groups.jsonl", groups(staff))
    template = resources.files("reconciler.demo").joinpath("config.toml").read_text("utf-8")
    token = os.path.relpath(token_file, directory)
    filled = template.replace('"{url}"', _quoted(server_url)).replace('"{token_file}"', _quoted(token))
    (directory / "config.toml").write_text(filled, "utf-8")


def people() -> list[Person]:
    """Return everybody, the chief first. Nobody's manager is somebody who is not there."""
    staff: list[Person] = []
    sign_ins: set[str] = set()
    leads: dict[tuple[str, str], str] = {}
    heads: dict[str, str] = {}
    for number in range(1, PEOPLE + 1):
        place, department = place_of(number), _department_of(number)
        title, manager = _title(number, department), leads.get((department.name, place.city))
        if number == _CHIEF:
            title, manager = "Chief Executive", None
        elif department.name not in heads:
            title, manager = f"Head of {department.name}", person_id(_CHIEF)
            heads[department.name] = leads[department.name, place.city] = person_id(number)
        elif manager is None:
            title, manager = f"{department.name} Team Lead", heads[department.name]
            leads[department.name, place.city] = person_id(number)
        staff.append(hire(number, department.name, title, manager, sign_ins))
    return staff


def hire(
    number: int, department: str, title: str | None, manager: str | None, sign_ins: set[str], name: Name | None = None
) -> Person:
    """Return the row of one person; her sign-in name is new to `sign_ins`, and is added there."""
    place = place_of(number)
    name = name or name_of(number)
    sign_in = new_sign_in(name, sign_ins)
    return {
        "id": person_id(number),
        "employeeId": str(10_000 + number),
        "userPrincipalName": sign_in,
        "mail": sign_in,
        "givenName": name.given[0],
        "surname": name.surname[0],
        "displayName": place.display(name),
        "department": department,
        "jobTitle": title,
        "city": place.city,
        "country": place.country,
        "manager": manager,
        "accountEnabled": number not in _INACTIVE,
        "startDate": (date(2008, 1, 7) + timedelta(days=number * 97 % 6200)).isoformat(),
    }


def returning(sign_ins: set[str], manager: str | None) -> Person:
    """Return the row of the person who was here before, with the sign-in name that her old account has."""
    return hire(_RETURNING, "Marketing", "Campaign Planner", manager, sign_ins)


def groups(staff: Sequence[Person]) -> list[Group]:
    """Return the 25 groups: for apps, departments and sites, and one of groups."""
    organisation = _organisation()
    sites = [_site(place.city) for place in organisation.places]
    departments = [department.name for department in organisation.departments]
    members: dict[str, list[str]] = {
        name: [] for name in (PHONE_GROUP, ADMINS_GROUP, "APP-Wiki", "APP-CRM", "APP-Payroll", *departments, *sites)
    }
    for person in staff:
        for name in groups_of(person):
            members[name].append(person["id"])
    members[ADMINS_GROUP] = members["IT"][:5]
    ids = {name: f"g{number:02}" for number, name in enumerate(members, 1)}
    europe = [ids[_site(place.city)] for place in organisation.places if place.region == "Europe"]
    return [
        *({"id": ids[name], "displayName": name, "members": of} for name, of in members.items()),
        {"id": f"g{len(members) + 1:02}", "displayName": "Sites in Europe", "members": europe},
    ]


def groups_of(person: Person) -> tuple[str, ...]:
    """Return the names of the groups that a person is in by her department and site."""
    department = person["department"]
    names = [department, _site(person["city"]), "APP-Wiki"]
    if department != NO_PHONES:
        names.append(PHONE_GROUP)
    if department in ("Sales", "Marketing"):
        names.append("APP-CRM")
    if department in ("Finance", "People"):
        names.append("APP-Payroll")
    return tuple(names)


def accounts_from_before() -> list[dict[str, Any]]:
    """Return the accounts that the app has before the first cycle, as SCIM users.

    The administrator's; one that was made by hand for somebody who works here; the disabled one of somebody who left.
    """
    sign_ins: set[str] = set()
    by_hand = people()[_MADE_BY_HAND - 1]
    left = returning(sign_ins, None)
    return [
        {"userName": ADMINISTRATOR, "displayName": "Administrator", "active": True},
        {"userName": by_hand["userPrincipalName"], "displayName": by_hand["displayName"], "active": True},
        {"userName": left["userPrincipalName"], "displayName": left["displayName"], "active": False},
    ]


def person_id(number: int) -> str:
    return f"p{number:04}"


def place_of(number: int) -> Place:
    """Return the site of a person: the sites take turns."""
    places = _organisation().places
    return places[(number - 1) % len(places)]


def name_of(number: int) -> Name:
    """Return a person's name; within a site nobody has the name of another."""
    return place_of(number).name((number - 1) // len(_organisation().places))


def new_sign_in(name: Name, taken: set[str]) -> str:
    """Return a sign-in name in plain ASCII that nobody has, and take it; namesakes are numbered from 2."""
    local = f"{name.given[1]}.{name.surname[1]}".lower()
    sign_in, count = f"{local}@{DOMAIN}", 1
    while sign_in in taken:
        count += 1
        sign_in = f"{local}{count}@{DOMAIN}"
    taken.add(sign_in)
    return sign_in


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON Lines beside the path and rename: a cycle that runs meanwhile meets the old file or the new one."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    new.replace(path)


@dataclass(frozen=True, slots=True)
class _Organisation:
    places: tuple[Place, ...]
    departments: tuple[Department, ...]


@cache
def _organisation() -> _Organisation:
    tables = tomllib.loads(resources.files("reconciler.demo").joinpath("names.toml").read_text("utf-8"))
    return _Organisation(tuple(_places(tables["places"])), tuple(_departments(tables["departments"])))


def _places(tables: Iterable[Mapping[str, Any]]) -> Iterator[Place]:
    for table in tables:
        yield Place(
            city=table["city"],
            country=table["country"],
            region=table["region"],
            family_first=table.get("family_first", False),
            between=table.get("between", " "),
            given=tuple(table["given"].items()),
            surnames=tuple(table["surname"].items()),
        )


def _departments(tables: Iterable[Mapping[str, Any]]) -> Iterator[Department]:
    for table in tables:
        yield Department(table["name"], table["weight"], tuple(table["titles"]))


def _department_of(number: int) -> Department:
    """Return the department of a person: each site has all of them, by their weights."""
    turns = [department for department in _organisation().departments for _ in range(department.weight)]
    place, index = (number - 1) % 10, (number - 1) // 10
    return turns[(index * 7 + place * 3) % len(turns)]


def _title(number: int, department: Department) -> str | None:
    """Return a job title; of some people none is known."""
    return department.titles[number % len(department.titles)] if number % 41 else None


def _site(city: str) -> str:
    return f"Site {city}"


def _quoted(text: str) -> str:
    """Return a TOML string, which is written as a JSON one."""
    return json.dumps(text, ensure_ascii=False)
