"""An honest double of Okta's Users, Groups and Application Users APIs, as far as their public documentation goes.

Written from developer.okta.com: SSWS tokens, bodies that are lists, pages by Link headers (self and next on lines of
their own, an opaque `after`), `filter` on a few properties, lists that leave out who is DEPROVISIONED, errors with
errorCode. The real service was never asked.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from aiohttp import web
from multidict import CIMultiDict

from tests.servers.http_double import HttpDouble, Json, Refused, answered

LIMITS = {"users": (200, 200), "groups": (10_000, 10_000), "members": (1000, 1000), "assigned": (50, 500)}
"""By list: how many come where nobody asks for a number, and the most that may be asked for."""
_CLAUSE = re.compile(r'(status|lastUpdated|id|profile\.login|profile\.email) (eq|gt|ge|lt|le) "([^"]*)"')


class Okta(HttpDouble):
    def __init__(self, token: str = "00api-token") -> None:
        super().__init__()
        self.token = token
        self.users: dict[str, Json] = {}
        self.groups: dict[str, Json] = {}
        self.members: dict[str, list[str]] = {}
        self.apps: dict[str, dict[str, str]] = {}
        """By app: user id → scope (USER or GROUP)."""
        self.clock = datetime(2026, 1, 1, 8, tzinfo=UTC)
        self.page_max: int | None = None

    def _now(self) -> str:
        self.clock += timedelta(minutes=1)
        return self.clock.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def hire(self, id_: str, **profile: Any) -> None:
        login = f"{id_}@example.com"
        profile = {"login": login, "email": login, "firstName": id_.capitalize(), "lastName": "Ångström", **profile}
        self.users[id_] = {"id": id_, "status": "ACTIVE", "lastUpdated": self._now(), "profile": profile}

    def change(self, id_: str, *, status: str | None = None, **profile: Any) -> None:
        user = self.users[id_]
        user["profile"] |= profile
        user["status"] = status or user["status"]
        user["lastUpdated"] = self._now()
        if status == "DEPROVISIONED":
            for group in self.members:
                if id_ in self.members[group]:
                    self.quit(group, id_)
            for assigned in self.apps.values():
                assigned.pop(id_, None)

    def delete(self, id_: str) -> None:
        assert self.users[id_]["status"] == "DEPROVISIONED", "only who is deactivated can be deleted"
        del self.users[id_]

    def found(self, id_: str, name: str, *members: str) -> None:
        now = self._now()
        profile = {"name": name, "description": None}
        self.groups[id_] = {"id": id_, "profile": profile, "lastUpdated": now, "lastMembershipUpdated": now}
        self.members[id_] = list(members)

    def enter(self, group: str, user: str) -> None:
        self.members[group].append(user)
        self.groups[group]["lastMembershipUpdated"] = self._now()

    def quit(self, group: str, user: str) -> None:
        self.members[group].remove(user)
        self.groups[group]["lastMembershipUpdated"] = self._now()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"SSWS {self.token}":
            raise _refused(401, "E0000011", "Invalid token provided")
        if request.method != "GET":
            raise _refused(405, "E0000022", "The endpoint does not support the provided HTTP method")
        match request.path.strip("/").split("/"):
            case ["api", "v1", "users"]:
                return self._listed(request, "users", self._filtered(request.query.get("filter")))
            case ["api", "v1", "users", id_] if id_ in self.users:
                return answered(self.users[id_])
            case ["api", "v1", "groups"]:
                return self._listed(request, "groups", list(self.groups.values()))
            case ["api", "v1", "groups", id_] if id_ in self.groups:
                return answered(self.groups[id_])
            case ["api", "v1", "groups", id_, "users"] if id_ in self.groups:
                return self._listed(request, "members", [self.users[one] for one in self.members[id_]])
            case ["api", "v1", "apps", id_, "users"] if id_ in self.apps:
                rows = [{"id": user, "scope": scope, "status": "ACTIVE"} for user, scope in self.apps[id_].items()]
                return self._listed(request, "assigned", rows)
            case _:
                raise _refused(404, "E0000007", "Not found: Resource not found")

    def _filtered(self, text: str | None) -> list[Json]:
        if text is None:
            return [user for user in self.users.values() if user["status"] != "DEPROVISIONED"]
        kept = list(self.users.values())
        for clause in text.split(" and "):
            found = _CLAUSE.fullmatch(clause)
            if found is None or (found[2] != "eq" and found[1] != "lastUpdated"):
                raise _refused(400, "E0000031", "Invalid search criteria.")
            name, operator, wanted = found.groups()
            kept = [user for user in kept if _compares(_at(user, name), operator, wanted)]
        return kept

    def _listed(self, request: web.Request, what: str, rows: list[Json]) -> web.StreamResponse:
        usual, most = LIMITS[what]
        known = {"limit", "after", "filter"} if what == "users" else {"limit", "after"}
        if set(request.query) - known:
            raise _refused(400, "E0000001", "Api validation failed: unknown parameter")
        limit = request.query.get("limit", str(usual))
        if not limit.isdigit() or not 1 <= int(limit) <= most:
            raise _refused(400, "E0000001", "Api validation failed: limit")
        size = min(int(limit), self.page_max or most)
        start = 0
        if after := request.query.get("after"):
            try:
                start = int(base64.urlsafe_b64decode(after))
            except ValueError:
                raise _refused(400, "E0000001", "Api validation failed: after") from None
        headers: CIMultiDict[str] = CIMultiDict()
        headers.add("Link", f'<{request.url}>; rel="self"')
        if start + size < len(rows):
            cursor = base64.urlsafe_b64encode(str(start + size).encode()).decode()
            headers.add("Link", f'<{request.url.update_query(after=cursor)}>; rel="next"')
        body = orjson.dumps(rows[start : start + size])
        return web.Response(body=body, content_type="application/json", headers=headers)


def _at(user: Json, name: str) -> str:
    found: Any = user
    for part in name.split("."):
        found = found[part]
    return str(found)


def _compares(has: str, operator: str, wanted: str) -> bool:
    return {"eq": has == wanted, "gt": has > wanted, "ge": has >= wanted, "lt": has < wanted, "le": has <= wanted}[
        operator
    ]


def _refused(status: int, code: str, summary: str) -> Refused:
    return Refused(status, {"errorCode": code, "errorSummary": summary, "errorCauses": []})
