"""An honest double of Aircall's Public API, as far as its public documentation goes.

Written from developer.aircall.io: Basic authentication with API ID and API token (403 where they are wrong, 401 where
they are missing), users by version 2, deletes and teams by version 1, `meta` with next_page_link, at most 50 a page, a
limit of requests a minute for the company with X-AircallApi-* headers once it is reached, no disabled users, no change
of teams. What the documentation leaves open it refuses, so that nobody relies on it. The real service was never asked.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from tests.servers.http_double import HttpDouble, Json, Refused, answered

ON_CREATE = {
    "email": str,
    "first_name": str,
    "last_name": str,
    "time_zone": str,
    "language": str,
    "wrap_up_time": int,
    "role_ids": list,
    "inviter_user_id": int,
}
ON_UPDATE = {name: kind for name, kind in ON_CREATE.items() if name not in ("email", "inviter_user_id")}
ROLES = ("agent", "supervisor", "admin")
WINDOW_SECONDS = 60.0


class Aircall(HttpDouble):
    def __init__(
        self,
        api_id: str = "api-id",
        token: str = "api-token",
        *,
        now: Callable[[], float] | None = None,
        requests_per_minute: int = 60,
        licences: int = 10_000,
        email_can_change: bool = False,
    ) -> None:
        """`now` is the company's clock, without which nothing is limited."""
        super().__init__()
        self.api_id, self.token, self.licences = api_id, token, licences
        self.users: dict[int, Json] = {}
        self.roles: dict[int, list[str]] = {}
        self.teams: dict[int, Json] = {}
        self.members: dict[int, list[int]] = {}
        self.invited: list[str] = []
        """The addresses that invitations were mailed to."""
        self.deleted: list[Json] = []
        self.sent: list[tuple[str, str, Any]] = []
        """Method, path and body of each request that would change something."""
        self.throttled = 0
        self.loses_answers = 0
        """So many creates are carried out whose answer never arrives."""
        self._now, self._requests_per_minute = now, requests_per_minute
        self._email_can_change = email_can_change
        self._came: deque[float] = deque()
        self._last_id = 455

    def keep_time(self, now: Callable[[], float] | None) -> None:
        """Count the requests of each minute by this clock from now on; None: nothing is limited."""
        self._now = now
        self._came.clear()

    def put(self, email: str, first_name: str = "Jane", last_name: str = "Doe", **more: Any) -> int:
        """Invite somebody by hand."""
        number = self._next_id()
        self.users[number] = {
            "id": number,
            "direct_link": f"https://api.aircall.io/v2/users/{number}",
            "name": f"{first_name} {last_name}".strip(),
            "email": email,
            "available": False,
            "availability_status": "available",
            "created_at": "2026-01-01T08:00:00.000Z",
            "time_zone": "Etc/UTC",
            "language": "en-US",
            "wrap_up_time": 0,
            **more,
        }
        self.roles[number] = ["agent"]
        return number

    def team(self, name: str, *members: int) -> int:
        """Make a team by hand."""
        number = self._next_id()
        self.teams[number] = {"id": number, "name": name, "created_at": "2026-01-02T11:41:01.000Z"}
        self.members[number] = list(members)
        return number

    def user(self, email: str) -> Json:
        (found,) = [user for user in self.users.values() if user["email"].lower() == email.lower()]
        return found

    def id_of(self, email: str) -> int:
        return int(self.user(email)["id"])

    def members_of(self, name: str) -> set[str]:
        (number,) = [number for number, team in self.teams.items() if team["name"] == name]
        return {self.users[one]["email"] for one in self.members[number]}

    def clear(self) -> None:
        """Forget what was asked until now."""
        self.asked.clear()
        self.sent.clear()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self._authenticate(request)
        limited = self._limited()
        if limited is not None:
            return limited
        body = await self._body(request)
        if request.method != "GET":
            self.sent.append((request.method, request.path, body))
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["v1", "ping"]:
                return answered({"ping": "pong"})
            case "GET", ["v2", "users"]:
                return self._listed(request, "users", list(self.users.values()))
            case "GET", ["v2", "users", who]:
                return answered({"user": self._user(who, by_email=True)})
            case "POST", ["v2", "users"]:
                return self._created(body)
            case "PUT", ["v2", "users", who]:
                return answered({"user": self._updated(self._user(who), body)})
            case "DELETE", ["v1", "users", who]:
                return self._delete(self._user(who))
            case "GET", ["v1", "teams"]:
                return self._listed(request, "teams", [self._shown(number) for number in self.teams])
            case "GET", ["v1", "teams", one]:
                return answered({"team": self._shown(self._team(one))})
            case "POST", ["v1", "teams"]:
                return self._made(body)
            case "DELETE", ["v1", "teams", one]:
                number = self._team(one)
                del self.teams[number], self.members[number]
                return web.Response(status=204)
            case "POST" | "DELETE", ["v1", "teams", one, "users", who]:
                return self._moved(request.method, self._team(one), self._user(who))
            case _:
                # the gateway's words, not the application's
                raise Refused(404, {"message": "Not Found"})

    def _authenticate(self, request: web.Request) -> None:
        header = request.headers.get("Authorization")
        if header is None:
            raise Refused(401, {"message": "Unauthorized"})
        expected = base64.b64encode(f"{self.api_id}:{self.token}".encode()).decode()
        if header != f"Basic {expected}":
            raise Refused(403, {"message": "Forbidden"})

    def _limited(self) -> web.Response | None:
        if self._now is None:
            return None
        now = self._now()
        while self._came and self._came[0] <= now - WINDOW_SECONDS:
            self._came.popleft()
        if len(self._came) < self._requests_per_minute:
            self._came.append(now)
            return None
        self.throttled += 1
        headers = {
            "X-AircallApi-Limit": str(self._requests_per_minute),
            "X-AircallApi-Remaining": "0",
            "X-AircallApi-Reset": str(int(self._came[0] + WINDOW_SECONDS)),
        }
        return answered({"error": "Too Many Requests", "troubleshoot": "Rate limit reached"}, 429, headers)

    async def _body(self, request: web.Request) -> Any:
        written = await request.read()
        if not written:
            return None
        if request.content_type != "application/json":
            raise _refused(400, "Bad Request", "Content-Type must be application/json")
        try:
            return orjson.loads(written)
        except orjson.JSONDecodeError:
            raise _refused(400, "Bad Request", "Body is not JSON") from None

    def _listed(self, request: web.Request, name: str, rows: list[Json]) -> web.Response:
        asked = {"page": "1", "per_page": "20", **request.query}
        if set(asked) - {"page", "per_page", "order", "from", "to"}:
            raise _refused(400, "Bad Request", "Unknown parameter")
        if not asked["page"].isdigit() or int(asked["page"]) < 1:
            raise _refused(400, "Bad Request", "page must be a positive integer")
        if not asked["per_page"].isdigit() or not 1 <= int(asked["per_page"]) <= 50:
            raise _refused(400, "Bad Request", "per_page must be between 1 and 50")
        page, size = int(asked["page"]), int(asked["per_page"])
        shown = rows[(page - 1) * size : page * size]
        following = f"{self.url}{request.path}?page={page + 1}&per_page={size}" if page * size < len(rows) else None
        meta = {
            "count": len(shown),
            "total": len(rows),
            "current_page": page,
            "per_page": size,
            "next_page_link": following,
            "previous_page_link": None,
        }
        return answered({"meta": meta, name: shown})

    def _user(self, who: str, *, by_email: bool = False) -> Json:
        if who.isdigit() and int(who) in self.users:
            return self.users[int(who)]
        for user in self.users.values() if by_email and "@" in who else ():
            if user["email"].lower() == who.lower():
                return user
        raise _refused(404, "Not Found", "User does not exist or does not belong to the company")

    def _team(self, one: str) -> int:
        if one.isdigit() and int(one) in self.teams:
            return int(one)
        raise _refused(404, "Not Found", "Team does not exist or does not belong to the company")

    def _shown(self, number: int) -> Json:
        """Return a team with its members: abridged users, as the documentation has them."""
        members = [
            {name: self.users[one][name] for name in ("id", "direct_link", "name", "email", "created_at")}
            for one in self.members[number]
        ]
        return {**self.teams[number], "direct_link": f"https://api.aircall.io/v1/teams/{number}", "users": members}

    def _created(self, body: Any) -> web.Response:
        _judge(body, ON_CREATE)
        email = body.get("email")
        if not isinstance(email, str) or "@" not in email:
            raise _refused(422, "Unprocessable Entity", "email is mandatory and must be an e-mail address")
        if any(user["email"].lower() == email.lower() for user in self.users.values()):
            raise _refused(422, "Unprocessable Entity", "email has already been taken")
        if len(self.users) >= self.licences:
            raise _refused(422, "Unprocessable Entity", "no licence is left")
        known = {name: body[name] for name in ("time_zone", "language", "wrap_up_time") if name in body}
        number = self.put(email, body.get("first_name", ""), body.get("last_name", ""), **known)
        self.roles[number] = body.get("role_ids", ["agent"])
        self.invited.append(email)
        if self.loses_answers:
            self.loses_answers -= 1
            return web.Response(status=504, body=b"upstream request timeout", content_type="text/plain")
        return answered({"user": self.users[number]}, 201)

    def _updated(self, user: Json, body: Any) -> Json:
        _judge(body, {**ON_UPDATE, "email": str} if self._email_can_change else ON_UPDATE)
        first, _, last = user["name"].partition(" ")
        if "first_name" in body or "last_name" in body:
            user["name"] = f"{body.get('first_name', first)} {body.get('last_name', last)}"
        if "role_ids" in body:
            self.roles[user["id"]] = body["role_ids"]
        user.update({name: body[name] for name in ("time_zone", "language", "wrap_up_time", "email") if name in body})
        return user

    def _delete(self, user: Json) -> web.Response:
        self.deleted.append(self.users.pop(user["id"]))
        for members in self.members.values():
            if user["id"] in members:
                members.remove(user["id"])
        return web.Response(status=204)

    def _made(self, body: Any) -> web.Response:
        _judge(body, {"name": str})
        name = body.get("name")
        if not name or len(name) > 64:
            raise _refused(400, "Bad Request", "name is mandatory, 64 characters at most")
        if any(team["name"] == name for team in self.teams.values()):
            raise _refused(400, "Bad Request", "name has already been taken")
        return answered({"team": self._shown(self.team(name))}, 201)

    def _moved(self, method: str, team: int, user: Json) -> web.Response:
        members = self.members[team]
        if method == "POST" and user["id"] in members:
            raise _refused(400, "Bad Request", "User is in the team already")
        if method == "DELETE" and user["id"] not in members:
            raise _refused(404, "Not Found", "User is not in the team")
        members.append(user["id"]) if method == "POST" else members.remove(user["id"])
        return answered({"team": self._shown(team)}, 201 if method == "POST" else 200)

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


def _judge(body: Any, known: dict[str, type]) -> None:
    if not isinstance(body, dict):
        raise _refused(400, "Bad Request", "Body must be an object")
    for name, value in body.items():
        if name not in known:
            raise _refused(422, "Unprocessable Entity", f"{name} is not a parameter of this request")
        if not isinstance(value, known[name]) or isinstance(value, bool):
            raise _refused(422, "Unprocessable Entity", f"{name} has the wrong type")
    if any(role not in ROLES for role in body.get("role_ids", ())):
        raise _refused(422, "Unprocessable Entity", "role_ids has an unknown role")


def _refused(status: int, error: str, troubleshoot: str) -> Refused:
    return Refused(status, {"error": error, "troubleshoot": troubleshoot})
