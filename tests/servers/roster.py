"""A system with a REST API such as nobody sells: what the shipped descriptions do not need, in one place.

A key in a header, pages by a cursor in the body, changes by milliseconds, people who are marked when they are deleted,
whom a list shows only to those who ask for changes, and teams whose members have a list of their own. It refuses what
it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.servers.http_double import HttpDouble, Json, Refused, answered

DESCRIPTION = """
name = "Roster"
auth = ["header"]
active = { from = "state", is = ["here"] }
[paging]
kind = "cursor"
size_parameter = "size"
size = 50
parameter = "from"
next = "page.next"
total = "page.count"
[users]
path = "/people"
items = "people"
id = "number"
expects = ["number", "state"]
one = "/people/{id}"
one_item = "person"
changed = "touched"
format = "milliseconds"
since = [{ touched_since = "{since}" }]
deleted = { from = "state", is = ["deleted"] }
[users.attributes]
mail = "mail"
jobTitle = "role"
state = "state"
manager = "reports_to"
skills = "skills.name"
[groups]
path = "/teams"
items = "teams"
id = "key"
one = "/teams/{id}"
[groups.attributes]
displayName = "title"
[groups.members]
path = "/teams/{id}/people"
items = "people"
id = "number"
changed = "members_touched"
"""


class Roster(HttpDouble):
    def __init__(self, key: str = "r0ster") -> None:
        super().__init__()
        self.key = key
        self.people: dict[int, Json] = {}
        self.teams: dict[str, Json] = {}
        self.members: dict[str, list[int]] = {}
        self.now = 1_767_225_600_000
        """Its clock, in milliseconds since 1970."""
        self.page_max = 50

    def put(self, number: int, **fields: Any) -> None:
        """Write what a person writes in the application; `touched` moves with it, of this row only."""
        fresh = {"number": number, "mail": f"p{number}@example.com", "role": None, "state": "here", "reports_to": None}
        self.now += 60_000
        self.people[number] = {**self.people.get(number, {**fresh, "skills": []}), **fields, "touched": self.now}

    def delete(self, number: int) -> None:
        """Mark somebody as deleted; the teams lose her without a word, and so do those who reported to her."""
        self.put(number, state="deleted")
        for members in self.members.values():
            if number in members:
                members.remove(number)

    def found(self, key: str, members: Sequence[int]) -> None:
        self.teams[key] = {"key": key, "title": key}
        self.set_members(key, members)

    def set_members(self, key: str, members: Sequence[int]) -> None:
        self.now += 60_000
        self.members[key] = list(members)
        self.teams[key]["members_touched"] = datetime.fromtimestamp(self.now / 1000, UTC).isoformat()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Key") != self.key:
            raise Refused(401, {"problem": "no key, or not ours"})
        if request.method != "GET":
            raise Refused(405, {"problem": "reading only"})
        match request.path.strip("/").split("/"):
            case ["people"]:
                return answered(self._page(request, "people", self._shown(request)))
            case ["people", number] if number.isdigit() and int(number) in self.people:
                return answered({"person": self.people[int(number)]})
            case ["teams"]:
                return answered(self._page(request, "teams", list(self.teams.values())))
            case ["teams", key] if key in self.teams:
                return answered(self.teams[key])
            case ["teams", key, "people"] if key in self.teams:
                rows = [{"number": number} for number in self.members[key]]
                return answered(self._page(request, "people", rows))
            case _:
                raise Refused(404, {"problem": "nothing here"})

    def _shown(self, request: web.Request) -> list[Json]:
        since = request.query.get("touched_since")
        if since is None:
            return [person for person in self.people.values() if person["state"] != "deleted"]
        if not since.isdigit():
            raise Refused(400, {"problem": "touched_since counts milliseconds"})
        return [person for person in self.people.values() if person["touched"] >= int(since)]

    def _page(self, request: web.Request, name: str, rows: list[Json]) -> Json:
        known = {"size", "from", "touched_since"} if request.path == "/people" else {"size", "from"}
        size, start = request.query.get("size", "50"), request.query.get("from", "0")
        if set(request.query) - known or not (size.isdigit() and start.isdigit()):
            raise Refused(400, {"problem": "what is that?"})
        end = int(start) + min(int(size), self.page_max)
        following = str(end) if end < len(rows) else None
        return {name: rows[int(start) : end], "page": {"count": len(rows), "next": following}}
