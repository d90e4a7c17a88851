"""A pretend tenant: the honest double of Microsoft Graph without its wire, its accounts in the words of the oracle."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import orjson

from reconciler.core.outcomes import Failed
from reconciler.ports import Request, Response
from tests.servers.engine import Json, Seen
from tests.servers.graph_batches import Answer, batched
from tests.servers.graph_engine import Tenant
from tests.servers.graph_request import GraphRequest, parsed_query
from tests.servers.graph_rules import Refusal
from tests.servers.graph_sign_in import mistrust
from tests.servers.quirks import Quirks
from tests.sim.app import Changed
from tests.sim.hr import TOKEN
from tests.sim.life import chance
from tests.sim.net import Network
from tests.sim.rules import BROUGHT_BACK, ENTERPRISE, GRAPH_NAMES, LOGIN_HOST, TARGET_HOST
from tests.sim.weather import Weather

BASE = "/v1.0"
_JSON = {"content-type": "application/json"}
_TOKEN_SECONDS = 3599
_CODES = {
    400: "Request_BadRequest",
    401: "InvalidAuthenticationToken",
    404: "Request_ResourceNotFound",
    409: "Directory_ConcurrencyViolation",
    412: "Request_PreconditionFailed",
    429: "TooManyRequests",
    503: "serviceNotAvailable",
}
_WORDS = {name: word for word, name in GRAPH_NAMES.items()}
_NO_ANSWER = Refusal(504, "GatewayTimeout", "The call was not answered in time.")


@dataclass(frozen=True, slots=True)
class Opinions:
    """What a tenant is like."""

    page_max: int
    late_seconds: float
    """So long does not every replica know who was made."""
    lists_are_late: bool
    shows_its_domains: bool
    purges: bool
    """Its administrator deletes for good."""


def opinions(seed: str) -> Opinions:
    dice = chance(f"{seed}/tenant")
    late = dice.choice([0.0, 0.0, 0.0, 1.5, 20.0])
    return Opinions(
        dice.choice([999, 999, 3, 7]), late, dice.random() < 0.5, dice.random() < 0.9, purges=dice.random() < 0.5
    )


class TenantApp:
    """Users and groups behind Microsoft Graph. `hear` is told each change that a call made."""

    def __init__(
        self, seed: str, weather: Weather, seconds: Callable[[], float], hear: Callable[[Changed], None]
    ) -> None:
        self._weather, self._seconds, self._hear = weather, seconds, hear
        self.thinks = opinions(seed)
        self.tenant = Tenant(root=f"https://{TARGET_HOST}{BASE}", new_id=self._another_id)
        self.tenant.page_max, self.tenant.lists_are_late = self.thinks.page_max, self.thinks.lists_are_late
        if not self.thinks.shows_its_domains:
            self.tenant.permissions.discard("Organization.Read.All")
        self.shown_after_seconds = self.thinks.late_seconds
        self.quirks = Quirks(invisible_for_requests=10**6 if self.shown_after_seconds else 0)
        self.deleted: set[str] = set()
        self.door = Door(seconds)
        self._made = 0
        self._brought_back: dict[str, set[str]] = {}

    def _another_id(self) -> str:
        self._made += 1
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{TARGET_HOST}/{self._made}"))

    def stand_in(self, network: Network) -> None:
        """Be reached over a network, with its door, and with errors in its own words."""
        network.add_door(LOGIN_HOST, self.door)
        network.word(TARGET_HOST, in_its_words)
        # its paths are in lower case
        self._weather.spells[:] = [replace(one, about=one.about.lower()) for one in self._weather.spells]

    # --- what it holds, as the oracle knows it ---

    @property
    def users(self) -> dict[str, Json]:
        return {id_: self._user(row) for id_, row in self.tenant.users.items()}

    @property
    def groups(self) -> dict[str, Json]:
        return {id_: self._group(row) for id_, row in self.tenant.groups.items()}

    def _user(self, row: Json) -> Json:
        shown = {_WORDS[name]: value for name, value in row.items() if name in _WORDS}
        if (manager := self.tenant.managers.get(row["id"])) is not None:
            shown[ENTERPRISE] = {"manager": {"value": manager}}
        return {"id": row["id"], **shown}

    def _group(self, row: Json) -> Json:
        shown: Json = {"id": row["id"], "displayName": row["displayName"]}
        if "description" in row:
            shown["externalId"] = row["description"]
        members = [{"value": one} for one in self.tenant.members[row["id"]]]
        return {**shown, "members": members, BROUGHT_BACK: sorted(self._brought_back.get(row["id"], ()))}

    # --- what its administrator does ---

    def put(self, kind: Literal["user", "group"], **resource: Any) -> str:
        assert kind == "user"
        values = {GRAPH_NAMES[word]: value for word, value in resource.items()}
        return self.tenant.put(values.pop("userPrincipalName"), **values)

    def edit(self, id_: str, **values: Any) -> None:
        self.tenant.users[id_].update({GRAPH_NAMES[word]: value for word, value in values.items()})

    def remove(self, id_: str) -> None:
        self.tenant.remove(id_)
        if self.thinks.purges:
            del self.tenant.deleted[id_]

    def set_members(self, id_: str, members: Sequence[Json]) -> None:
        self.tenant.members[id_] = [str(one["value"]) for one in members]

    def remove_group(self, id_: str) -> None:
        del self.tenant.groups[id_], self.tenant.members[id_]

    # --- what is asked of it ---

    def answer(self, request: Request) -> Response:
        """Do what is asked, and tell what changed."""
        path = request.url.removeprefix(f"https://{TARGET_HOST}{BASE}")
        if not self.door.knows(request.headers.get("Authorization", "")):
            return _response(401, Refusal(401, "InvalidAuthenticationToken", "Access token is invalid.").document())
        body = orjson.loads(request.body) if request.body else None
        headers = {name.lower(): value for name, value in request.headers.items()}
        if (request.method, path) == ("POST", "/$batch"):
            return _response(*batched(body, self._part))
        return _response(*self._call(request.method, path, body, headers))

    def _part(self, method: str, url: str, body: Any, headers: dict[str, str]) -> Answer:
        """Answer a call of a batch, in the weather of its own that it has."""
        asked = Request(method, f"https://{TARGET_HOST}{BASE}{url}", headers)
        happens = self._weather.over(TARGET_HOST, asked, self._seconds())
        if not happens.sent:
            return 504, _NO_ANSWER.document(), {}
        status, shown, more = self._call(method, url, body, headers) if happens.done else (500, None, {})
        if happens.answer is None:
            return status, shown, more
        said = happens.answer(_response(status, shown, more))
        if isinstance(said, Failed):
            return 504, _NO_ANSWER.document(), {}
        said = in_its_words(said)
        return said.status, _content(said.body), dict(said.headers)

    def _call(self, method: str, url: str, body: Any, headers: dict[str, str]) -> Answer:
        parts = urlsplit(url)
        reads = method == "GET"
        before = {} if reads else {"Users": self.users, "Groups": self.groups}
        try:
            asked = GraphRequest(method, parts.path, parsed_query(parts.query), body, headers)
            were = {group: set(members) for group, members in self.tenant.members.items()}
            status, shown = self.tenant.answer(asked)
        except Refusal as refusal:
            return refusal.status, refusal.document(), refusal.headers
        if parts.path.endswith("/restore"):
            for group, members in self.tenant.members.items():
                self._brought_back.setdefault(group, set()).update(set(members) - were[group])
        if not reads:
            self._tell(before, deleted=before["Users"].keys() - self.tenant.users.keys())
        return status, shown, {}

    def _tell(self, before: Mapping[str, dict[str, Json]], *, deleted: Collection[str]) -> None:
        kinds: tuple[tuple[Literal["Users", "Groups"], dict[str, Json]], ...]
        kinds = (("Users", self.users), ("Groups", self.groups))
        for kind, now in kinds:
            was = before[kind]
            for id_ in {**was, **now}:
                if was.get(id_) == now.get(id_) or (deleted and id_ in was and id_ in now):
                    continue  # that nobody reports to the deleted, who are in no group, is the tenant's own doing
                if id_ not in was and self.shown_after_seconds:
                    self.tenant.hide(id_, requests=10**9)
                    shows = partial(self.tenant.show, id_)
                    asyncio.get_running_loop().call_later(self.shown_after_seconds, shows)
                self._hear(Changed(self._seconds(), kind, id_, was.get(id_), now.get(id_)))

    # --- what is asked of it, as the checks know it ---

    def calls(self, request: Request) -> list[Seen]:
        """Return the calls of a request in SCIM's form."""
        body = orjson.loads(request.body) if request.body else None
        path = request.url.removeprefix(f"https://{TARGET_HOST}{BASE}")
        if path == "/$batch" and body is not None:
            return [self._seen(row["method"], row["url"], row.get("body")) for row in body["requests"]]
        return [self._seen(request.method, path, body)]

    def _seen(self, method: str, url: str, body: Any) -> Seen:
        parts = urlsplit(url)
        said = {_WORDS.get(name, name): value for name, value in (body or {}).items()}
        condition = parsed_query(parts.query).get("$filter")
        asked = {"filter": condition.replace("'", '"')} if condition else {}
        match tuple(unquote(one) for one in parts.path.split("/") if one):
            case ("directory", "deletedItems", id_, "restore"):
                segments: tuple[str, ...] = ("Users",)
                said = self._user(self.tenant.deleted[id_]) if id_ in self.tenant.deleted else {}
            case ("users", id_) if id_ != "$count":
                segments = ("Users", id_)
            case ("users", id_, "manager", "$ref"):
                method, segments = "PATCH", ("Users", id_)
            case ("groups", *rest):
                segments = ("Groups", *rest)
            case _:
                segments = ("Users",)
        return Seen(method, parts.path, asked, said, {}, self._seconds(), segments)


class Door:
    """The token endpoint before a tenant."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._given: dict[str, float] = {}
        """Until when each token is good."""

    def knows(self, header: str) -> bool:
        return self._given.get(header.removeprefix("Bearer "), -1.0) > self._seconds()

    def answer(self, request: Request) -> Response:
        form = parsed_query((request.body or b"").decode())
        scope = f"https://{TARGET_HOST}/.default"
        refused = mistrust(request.method, urlsplit(request.url).path, form, TOKEN, scope, lambda _: "AADSTS700213")
        if refused is not None:
            return _response(*refused)
        token = f"{TOKEN}.{len(self._given)}"
        self._given[token] = self._seconds() + _TOKEN_SECONDS
        return _response(200, {"token_type": "Bearer", "expires_in": _TOKEN_SECONDS, "access_token": token})


def in_its_words(answer: Response) -> Response:
    """Return an error of the weather as Graph would word it."""
    if b"scim:api:messages:2.0:Error" not in answer.body:
        return answer
    try:
        status = int(orjson.loads(answer.body)["status"])
    except orjson.JSONDecodeError:
        return answer
    said = Refusal(status, _CODES.get(status, "generalException"), "the weather").document()
    return Response(answer.status, {**answer.headers, **_JSON}, orjson.dumps(said))


def _response(status: int, shown: Any, headers: Mapping[str, str] | None = None) -> Response:
    more = {name.lower(): value for name, value in (headers or {}).items()}
    if shown is None or isinstance(shown, int):
        return Response(status, more, b"" if shown is None else str(shown).encode())
    return Response(status, {**_JSON, **more}, orjson.dumps(shown))


def _content(body: bytes) -> Any:
    """Return a body as it stands in the answer to a batch: what is no JSON is a text there."""
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")
