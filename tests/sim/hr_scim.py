"""The same pretend HR system, over SCIM: the honest double without its wire, which shows what is true in the town."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from reconciler.ports import Request, Response
from tests.servers.answers import Answer
from tests.servers.engine import Engine, Json, Seen
from tests.servers.quirks import Quirks
from tests.sim.app import response_of, seen_of
from tests.sim.hr import PAGE_MAX, TOKEN, iso
from tests.sim.rules import ENTERPRISE, SOURCE_HOST, USER
from tests.sim.town import Row, Town

_GROUP = ["urn:ietf:params:scim:schemas:core:2.0:Group"]


class ScimHrSystem:
    """Answers as RFC 7644 says; `twist` names how the next lists are wrong."""

    def __init__(self, town: Town, seconds: Callable[[], float]) -> None:
        self._town, self._seconds = town, seconds
        quirks = replace(Quirks(), page_max=PAGE_MAX, etag_supported=False)
        self._engine = Engine(quirks, TOKEN, f"https://{SOURCE_HOST}/scim/v2", lambda: iso(seconds()))
        self.twist: str | None = None

    def changed(self) -> None:
        """Show the town as it is now."""
        self._engine.users = {row["id"]: self._user(row) for row in self._town.shown_people()}
        self._engine.groups = {row["id"]: self._group(row) for row in self._town.groups.values()}

    def answer(self, request: Request) -> Response:
        if request.method != "GET":
            return Response(405, {}, b"")
        seen = seen_of(request, self._seconds())
        answer = self._engine.handle(seen)
        return response_of(self._twisted(answer, seen) if self.twist is not None else answer)

    def _user(self, row: Row) -> Json:
        work: Json = {"employeeNumber": row["employeeId"], "department": row["department"], "division": row["site"]}
        if row["manager"] is not None:
            work["manager"] = {"value": row["manager"]}
        shown: Json = {
            "schemas": [USER, ENTERPRISE],
            "id": row["id"],
            "userName": row["userPrincipalName"],
            "displayName": row["displayName"],
            "title": row["jobTitle"],
            "active": row["accountEnabled"],
            ENTERPRISE: work,
            "meta": self._meta("User", row["id"]),
        }
        return shown if row["leaveDate"] is None else {**shown, "nickName": row["leaveDate"]}

    def _group(self, row: Row) -> Json:
        return {
            "schemas": _GROUP,
            "id": row["id"],
            "displayName": row["displayName"],
            "members": [{"value": member} for member in row["members"]],
            "meta": self._meta("Group", row["id"]),
        }

    def _meta(self, kind: str, id_: str) -> Json:
        changed = iso(self._town.changed[id_])
        return {"resourceType": kind, "created": changed, "lastModified": changed, "version": 'W/"1"'}

    def _twisted(self, answer: Answer, seen: Seen) -> Answer:
        body: Any = orjson.loads(answer.body) if answer.body else None
        if not isinstance(body, dict) or "Resources" not in body or "totalResults" not in body:
            return answer
        start = int(seen.query.get("startIndex", 1))
        match self.twist:
            case "a page is missing" if start > 1:
                body["Resources"] = []
            case "nobody is left":
                body.update(Resources=[], totalResults=0)
            case "somebody comes twice" if body["Resources"]:
                body["Resources"] = [*body["Resources"], body["Resources"][0]]
            case "the total grows":
                body["totalResults"] += start - 1
            case _:
                return answer
        return replace(answer, body=orjson.dumps(body))
