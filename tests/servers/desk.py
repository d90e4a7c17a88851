"""An app that is nobody's, with the habits that Aircall does not have: for what a description of an API can say.

Ids that are texts, cursors, objects in objects, a switch of its own for off and on, changes merged into what is there,
members in batches, names that are told twice, and refusals that come as a success.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from tests.servers.http_double import HttpDouble, Json, Refused, answered

PEOPLE_AT_ONCE = 50


class Desk(HttpDouble):
    def __init__(self, key: str = "desk-key", *, workspace: str = "w1") -> None:
        super().__init__()
        self.token, self.workspace = key, workspace
        self.people: dict[str, Json] = {}
        self.circles: dict[str, Json] = {}
        self.members: dict[str, list[str]] = {}
        self.sent: list[tuple[str, str, Any]] = []
        """Method, path and body of each request that would change something."""
        self.refuses_in_a_success = self.ignores_questions = False
        self.untouchable: set[str] = set()
        """Whom nobody may bring into a circle, or out of it."""
        self._last = 0

    def put(self, email: str, **more: Any) -> str:
        """Register somebody by hand."""
        key = self._next("p")
        self.people[key] = {"key": key, "email": email, "status": "active", "profile": {}, "kind": "member", **more}
        return key

    def circle(self, title: str, *members: str) -> str:
        key = self._next("c")
        self.circles[key] = {"key": key, "title": title}
        self.members[key] = list(members)
        return key

    def circle_named(self, title: str) -> str:
        (key,) = [key for key, one in self.circles.items() if one["title"] == title]
        return key

    def person(self, email: str) -> Json:
        (found,) = [one for one in self.people.values() if one["email"] == email]
        return found

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Api-Key") != self.token:
            raise _refused(401, "the key is not known")
        if request.path == "/api/ping":
            return answered({"pong": True})
        parts = request.path.strip("/").split("/")
        if parts[:2] != ["api", self.workspace]:
            raise Refused(404, {"message": "no route"})
        written = await request.read()
        body: Any = orjson.loads(written) if written else None
        if request.method != "GET":
            self.sent.append((request.method, request.path, body))
        match request.method, parts[2:]:
            case "GET", ["people"]:
                wanted = None if self.ignores_questions else request.query.get("email")
                rows = [one for one in self.people.values() if wanted is None or one["email"] == wanted.lower()]
                return self._listed(request, "people", [self._shown(one) for one in rows])
            case "POST", ["people"]:
                return self._registered(body)
            case "GET", ["people", key]:
                return answered({"person": self._shown(self._one(self.people, key))})
            case "PATCH", ["people", key]:
                return self._merged(self._one(self.people, key), body)
            case "POST", ["people", key, "activate" | "deactivate" as verb]:
                self._one(self.people, key)["status"] = "active" if verb == "activate" else "suspended"
                return web.Response(status=204)
            case "DELETE", ["people", key]:
                del self.people[self._one(self.people, key)["key"]]
                for members in self.members.values():
                    members[:] = [one for one in members if one != key]
                return web.Response(status=204)
            case "GET", ["circles"]:
                return self._listed(request, "circles", list(self.circles.values()))
            case "POST", ["circles"]:
                return answered({"circle": self.circles[self.circle(body["circle"]["title"])]}, 201)
            case "GET", ["circles", key]:
                return answered({"circle": self._one(self.circles, key)})
            case "PATCH", ["circles", key]:
                self._one(self.circles, key).update(body["circle"])
                return answered({"circle": self.circles[key]})
            case "DELETE", ["circles", key]:
                del self.circles[self._one(self.circles, key)["key"]], self.members[key]
                return web.Response(status=204)
            case "GET", ["circles", key, "people"]:
                self._one(self.circles, key)
                return self._listed(request, "people", [self._shown(self.people[one]) for one in self.members[key]])
            case "POST", ["circles", key, "join" | "leave" as verb]:
                self._one(self.circles, key)
                return self._moved(key, verb, body["people"])
            case _:
                raise _refused(405, "not possible")

    def _listed(self, request: web.Request, name: str, rows: list[Json]) -> web.Response:
        start, limit = int(request.query.get("after", "0")), min(int(request.query.get("limit", "10")), 100)
        following = str(start + limit) if start + limit < len(rows) else None
        return answered({name: rows[start : start + limit], "next": following, "total": len(rows)})

    def _registered(self, body: Json) -> web.Response:
        person = dict(body["person"])
        if "active" in person or "status" in person:
            raise _refused(422, "who is active is said by activate and deactivate")
        if any(one["email"] == person["email"].lower() for one in self.people.values()):
            if self.refuses_in_a_success:
                return answered({"ok": False, "error": {"text": "name_taken"}})
            raise _refused(422, "this address is taken")
        manager = person.pop("manager", None)
        key = self.put(person.pop("email").lower(), **person)
        if manager is not None:
            self.people[key]["boss"] = manager
        return answered({"person": self._shown(self.people[key])}, 201)

    def _merged(self, person: Json, body: Json) -> web.Response:
        change = dict(body["person"])
        if "active" in change or "status" in change:
            raise _refused(422, "who is active is said by activate and deactivate")
        if "manager" in change:
            person["boss"] = change.pop("manager")
        _merge(person, change)
        return answered({"person": self._shown(person)})

    def _moved(self, key: str, verb: str, people: list[str]) -> web.Response:
        if len(people) > PEOPLE_AT_ONCE:
            raise _refused(413, f"{PEOPLE_AT_ONCE} at once")
        if self.untouchable.intersection(people):
            raise _refused(403, "this is not yours to do")
        unknown = [one for one in people if one not in self.people]
        if unknown:
            raise _refused(422, f"{len(unknown)} of them are nobody")
        members = self.members[key]
        if verb == "join":
            members += [one for one in people if one not in members]
        else:
            members[:] = [one for one in members if one not in people]
        return web.Response(status=204)

    def _shown(self, person: Json) -> Json:
        boss = person.get("boss")
        manager = {"key": boss, "id": boss, "email": self.people[boss]["email"]} if boss in self.people else None
        return {**{name: value for name, value in person.items() if name != "boss"}, "manager": manager}

    def _one(self, held: Mapping[str, Json], key: str) -> Json:
        if key not in held:
            raise _refused(404, "there is no such one")
        return held[key]

    def _next(self, letter: str) -> str:
        self._last += 1
        return f"{letter}-{self._last:04}"


def _merge(into: Json, change: Json) -> None:
    """RFC 7396."""
    for name, value in change.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def _refused(status: int, text: str) -> Refused:
    return Refused(status, {"error": {"text": text}})
