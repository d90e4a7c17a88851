"""A pretend app: the honest SCIM double without its wire, and a record of every change in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from reconciler.ports import Request, Response
from tests.servers.answers import Answer
from tests.servers.engine import Engine, Json, Seen
from tests.servers.quirks import Quirks
from tests.servers.schemas import GROUPS, USERS
from tests.sim.hr import TOKEN
from tests.sim.life import EPOCH
from tests.sim.rules import TARGET_HOST

BASE = "/scim/v2"
SHOWN_AFTER_SECONDS = 1.5
"""How long an app whose parts agree only after a while does not show what it has made."""
_LISTS = {"Users": "users", "Groups": "groups"}


@dataclass(frozen=True, slots=True)
class Changed:
    """What one request changed in the app; `before` None: it is new, `after` None: it is gone."""

    at: float
    kind: Literal["Users", "Groups"]
    target_id: str
    before: Json | None
    after: Json | None


class Pretend(Protocol):
    """An app at the other end, whatever it speaks; what it holds is shown in SCIM's words."""

    deleted: set[str]
    """Users that a request deleted and none has changed since; some apps keep them."""
    shown_after_seconds: float
    """How long it does not show what it has made, where it does not show that at once."""

    @property
    def quirks(self) -> Quirks: ...
    @property
    def thinks(self) -> object:
        """What is to be told of it where a seed fails."""
        ...

    @property
    def users(self) -> dict[str, Json]: ...
    @property
    def groups(self) -> dict[str, Json]: ...

    def answer(self, request: Request) -> Response: ...

    def calls(self, request: Request) -> list[Seen]:
        """Return what is asked for in a request, in SCIM's form."""
        ...

    # what its administrator does
    def put(self, kind: Literal["user", "group"], **resource: Any) -> str: ...
    def edit(self, id_: str, **values: Any) -> None: ...
    def remove(self, id_: str) -> None: ...
    def set_members(self, id_: str, members: Sequence[Json]) -> None: ...
    def remove_group(self, id_: str) -> None: ...


class App:
    """Users and groups behind SCIM. `hear` is told each change that a request made."""

    def __init__(self, quirks: Quirks, seconds: Callable[[], float], hear: Callable[[Changed], None]) -> None:
        self._seconds, self._hear = seconds, hear
        self.deleted: set[str] = set()
        self.shown_after_seconds = SHOWN_AFTER_SECONDS
        self.engine = Engine(quirks, TOKEN, f"https://{TARGET_HOST}{BASE}", self._moment)

    @property
    def quirks(self) -> Quirks:
        return self.engine.quirks

    @property
    def thinks(self) -> Quirks:
        return self.engine.quirks

    @property
    def users(self) -> dict[str, Json]:
        return self.engine.users

    @property
    def groups(self) -> dict[str, Json]:
        return self.engine.groups

    def put(self, kind: Literal["user", "group"], **resource: Any) -> str:
        """Make a resource as the app's administrator does."""
        resource_type = USERS if kind == "user" else GROUPS
        return self.engine.put(resource_type, {"schemas": [resource_type.core.urn], **resource})

    def edit(self, id_: str, **values: Any) -> None:
        self.users[id_] = {**self.users[id_], **values}

    def remove(self, id_: str) -> None:
        del self.users[id_]
        self.engine._leave_groups(id_)

    def set_members(self, id_: str, members: Sequence[Json]) -> None:
        self.groups[id_] = {**self.groups[id_], "members": list(members)}

    def remove_group(self, id_: str) -> None:
        del self.groups[id_]

    def calls(self, request: Request) -> list[Seen]:
        return [seen_of(request, self._seconds())]

    def answer(self, request: Request) -> Response:
        """Do what is asked, and tell what changed."""
        seen = seen_of(request, self._seconds())
        before = self._copied(seen)
        answer = self.engine.handle(seen)
        if seen.method != "GET":
            if seen.method == "DELETE" and answer.status < 300:
                self.deleted.add(seen.segments[-1])
            elif seen.method in {"PATCH", "PUT"} and answer.status < 300:
                self.deleted.discard(seen.segments[-1])
            self._tell(before)
        return response_of(answer)

    def _copied(self, seen: Seen) -> dict[str, dict[str, Json]]:
        if seen.method == "GET":
            return {}
        return {kind: {id_: dict(row) for id_, row in self._rows(kind).items()} for kind in _LISTS}

    def _tell(self, before: Mapping[str, dict[str, Json]]) -> None:
        for kind in ("Users", "Groups"):
            now, was = self._rows(kind), before[kind]
            for id_ in {**was, **now}:
                if was.get(id_) != now.get(id_):
                    if id_ not in was and self.engine.quirks.invisible_for_requests:
                        shows = partial(self.engine._invisible.pop, (kind.removesuffix("s"), id_), None)
                        asyncio.get_running_loop().call_later(SHOWN_AFTER_SECONDS, shows)
                    literal: Literal["Users", "Groups"] = "Users" if kind == "Users" else "Groups"
                    after = now.get(id_)
                    self._hear(Changed(self._seconds(), literal, id_, was.get(id_), dict(after) if after else None))

    def _rows(self, kind: str) -> dict[str, Json]:
        return self.engine.users if kind == "Users" else self.engine.groups

    def _moment(self) -> str:
        moment = datetime.fromtimestamp(EPOCH + self._seconds(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def response_of(answer: Answer) -> Response:
    """Return what the double says as it comes out of the wire."""
    return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body)


def seen_of(request: Request, seconds: float) -> Seen:
    """Return a request as the double sees it."""
    parts = urlsplit(request.url)
    segments = tuple(unquote(one) for one in parts.path.removeprefix(BASE).split("/") if one)
    return Seen(
        method=request.method,
        path="/" + "/".join(segments),
        query=dict(parse_qsl(parts.query)),
        body=_parsed(request.body),
        headers={name.lower(): value for name, value in request.headers.items()},
        at=seconds,
        segments=segments,
        raw=request.body or b"",
        raw_path=parts.path,
    )


def _parsed(raw: bytes | None) -> Any:
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError:
        return raw
