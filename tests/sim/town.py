"""What is true in the source at every moment: people, groups, and since when."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


@dataclass(slots=True)
class Town:
    """People and groups as the source has them. `changed` is when each last changed, by id."""

    people: dict[str, Row] = field(default_factory=dict)
    groups: dict[str, Row] = field(default_factory=dict)
    tombstones: dict[str, Row] = field(default_factory=dict)
    """Who was deleted, as they were."""
    changed: dict[str, float] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    """Whom the source does not show although they are there: a lie that nobody can see through."""
    tell: Callable[[str], None] = lambda text: None
    choose_site: Callable[[], str] = lambda: "North"
    _named: int = 0

    def hire(self, now: float, *, name: str = "", employee: str = "", **attributes: Any) -> str:
        """Take somebody on under a new id; return it."""
        self._named += 1
        number = self._named
        id_ = f"p{number:03}"
        self.people[id_] = {
            "id": id_,
            "userPrincipalName": name or f"{_NAMES[number % len(_NAMES)]}{number}@example.com",
            "displayName": f"{_NAMES[number % len(_NAMES)].capitalize()} {number}",
            "jobTitle": "Engineer",
            "department": "Development",
            "accountEnabled": True,
            "manager": None,
            "employeeId": employee or f"E{number}",
            "site": self.choose_site(),
            "leaveDate": None,
            **attributes,
        }
        self.changed[id_] = now
        self.tell(f"{id_} is hired: {self.people[id_]}")
        return id_

    def found(self, now: float, members: Iterable[str], name: str = "") -> str:
        """Found a group; return its id."""
        self._named += 1
        id_ = f"g{self._named:03}"
        self.groups[id_] = {"id": id_, "displayName": name or f"Group {self._named}", "members": list(members)}
        self.changed[id_] = now
        self.tell(f"{id_} is founded: {self.groups[id_]}")
        return id_

    def edit(self, id_: str, now: float, **attributes: Any) -> None:
        (self.people if id_ in self.people else self.groups)[id_].update(attributes)
        self.changed[id_] = now
        self.tell(f"{id_} changes: {attributes}")

    def remove(self, id_: str, now: float) -> None:
        """Delete a person or a group; groups lose their members."""
        self.tell(f"{id_} is deleted")
        if id_ in self.groups:
            self.tombstones[id_] = self.groups.pop(id_)
        else:
            self.tombstones[id_] = self.people.pop(id_)
        self.hidden.discard(id_)
        self.changed[id_] = now
        for group in self.groups.values():
            if id_ in group["members"]:
                group["members"].remove(id_)
                self.changed[group["id"]] = now

    def revive(self, id_: str, now: float) -> None:
        """Somebody who was deleted, or a group, is there again, under the same id."""
        self.tell(f"{id_} is there again")
        row = self.tombstones.pop(id_)
        (self.groups if "members" in row else self.people)[id_] = row
        self.changed[id_] = now

    def shown_people(self) -> list[Row]:
        return [deepcopy(row) for id_, row in self.people.items() if id_ not in self.hidden]


_NAMES = ("ann", "bob", "cleo", "dan", "eve", "finn", "gus", "hana", "ida", "jon", "kim", "lou", "max", "nia", "olga")
