"""An honest SCIM 2.0 server in the test's own event loop: it follows RFC 7643 and 7644, and refuses what they refuse.

It comes from the RFCs, not from our code. `Quirks` makes it one of the servers that do not follow them, `script` makes
it fail. It knows no clock but the loop's, so it runs in virtual time too.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import unquote

import orjson
from aiohttp import web

from tests.servers import answers
from tests.servers.answers import Answer
from tests.servers.engine import Engine, House, Json, Seen
from tests.servers.faults import Script, ServerFault
from tests.servers.playing import dropped, played, wait
from tests.servers.quirks import Quirks
from tests.servers.refusals import Refusal
from tests.servers.schemas import GROUPS, USERS, ResourceType

BASE_PATH = "/scim/v2"
_WORDS = "the request was not done"
LOOP_ZERO = datetime(2026, 1, 1, tzinfo=UTC)
"""What the server takes for the time when the loop's clock stands at zero."""


class ScimServer:
    """A server on 127.0.0.1, inside `async with`. A resource that a test reads or changes is the server's own."""

    def __init__(
        self,
        quirks: Quirks | None = None,
        *,
        token: str = "double-token",
        base_path: str = BASE_PATH,
        user_type: ResourceType = USERS,
        house: House | None = None,
    ) -> None:
        self._base_path = base_path
        self.script = Script()
        self.requests: list[Seen] = []
        self._came = asyncio.Event()
        self.in_flight_max = 0
        """The most requests that were being answered at one time."""
        self._engine = Engine(quirks or Quirks(), token, "", self._moment, user_type=user_type, house=house)
        self._in_flight = 0
        self._port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return self._engine.base_url

    @property
    def token(self) -> str:
        return self._engine.token

    @token.setter
    def token(self, token: str) -> None:
        """From now on this one is taken, and none that was issued before."""
        self._engine.token = token

    @property
    def quirks(self) -> Quirks:
        return self._engine.quirks

    @quirks.setter
    def quirks(self, quirks: Quirks) -> None:
        """The server's maker has changed something, or mended it."""
        self._engine.quirks = quirks

    @property
    def users(self) -> dict[str, Json]:
        return self._engine.users

    @property
    def groups(self) -> dict[str, Json]:
        return self._engine.groups

    def user(self, user_name: str) -> Json:
        """Return the one user of this name (case-insensitive); KeyError where there is none or more than one."""
        return _only(self.users, "userName", user_name)

    def group(self, display_name: str) -> Json:
        return _only(self.groups, "displayName", display_name)

    def members(self, display_name: str) -> set[str]:
        """Return the ids of a group's members."""
        return {each["value"] for each in self.group(display_name).get("members") or []}

    def put(self, kind: Literal["user", "group"], **resource: Any) -> str:
        """Store a resource as its administrator would, without a request; return its id. Quirks apply."""
        resource_type = self._engine.user_type if kind == "user" else GROUPS
        declared = [resource_type.core.urn, *(urn for urn in resource_type.extensions if urn in resource)]
        return self._engine.put(resource_type, {"schemas": declared, **resource})

    def forget(self) -> None:
        """Lose every resource, as a server that keeps them in memory does when it is restarted."""
        self.users.clear()
        self.groups.clear()

    def show_everything(self) -> None:
        """Find from now on what `invisible_for_requests` still hides."""
        self._engine.show_everything()

    def clear_requests(self) -> None:
        self.requests.clear()

    def sent(self, method: str) -> list[Seen]:
        """Return the requests of one method, in order."""
        return [seen for seen in self.requests if seen.method == method]

    async def until_sent(self, method: str) -> None:
        """Return when a request of this method has come."""
        while not self.sent(method):
            self._came.clear()
            await self._came.wait()

    async def start(self) -> None:
        """Listen; after `stop`, again on the same port."""
        application = web.Application(client_max_size=1 << 30)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            keepalive_timeout=self.quirks.keep_alive_seconds,
            shutdown_timeout=1.0,
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self._engine.base_url = f"http://127.0.0.1:{self._port}{self._base_path}"

    async def stop(self) -> None:
        """Close the port and every connection; the resources stay."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # --- one request ---

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        seen = await _seen(request, self._base_path)
        self.requests.append(seen)
        self._came.set()
        self._in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self._in_flight)
        try:
            most = self.quirks.requests_at_once_max
            if most is not None and self._in_flight > most:
                return dropped(request)
            await self._take_time(seen)
            return await self._answer(request, seen, self.script.take(seen))
        finally:
            self._in_flight -= 1

    async def _take_time(self, seen: Seen) -> None:
        seconds = self.quirks.seconds_per_request
        if self.quirks.seconds_per_member and seen.segments[:1] == ("Groups",) and len(seen.segments) == 2:
            members = self.groups.get(seen.segments[1], {}).get("members") or []
            seconds += self.quirks.seconds_per_member * len(members)
        if seconds:
            await wait(seconds)

    async def _answer(self, request: web.Request, seen: Seen, fault: ServerFault | None) -> web.StreamResponse:
        if fault is None:
            return self._response(self._done(seen))
        answer = await played(
            request, fault, lambda: self._done(seen), lambda code: Refusal(code, _WORDS).document(), answers.SCIM_JSON
        )
        if self.quirks.closes_connections:
            answer.force_close()
        return answer

    def _done(self, seen: Seen) -> Answer:
        return self._engine.handle(seen)

    def _response(self, answer: Answer) -> web.Response:
        response = web.Response(status=answer.status, body=answer.body or None, headers=dict(answer.headers))
        if self.quirks.closes_connections:
            response.force_close()
        return response

    def _moment(self) -> str:
        moment = LOOP_ZERO + timedelta(seconds=asyncio.get_running_loop().time())
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _only(rows: dict[str, Json], name: str, value: str) -> Json:
    found = [row for row in rows.values() if str(row[name]).lower() == value.lower()]
    if len(found) != 1:
        raise KeyError(f"{len(found)} resources with {name} {value}")
    return found[0]


async def _seen(request: web.Request, base_path: str) -> Seen:
    raw_path = request.raw_path.partition("?")[0].removeprefix(base_path)
    segments = tuple(unquote(segment) for segment in raw_path.split("/") if segment)
    raw = await request.read()
    return Seen(
        method=request.method,
        path="/" + "/".join(segments),
        query=dict(request.query),
        body=_parsed(raw),
        headers={name.lower(): value for name, value in request.headers.items()},
        at=asyncio.get_running_loop().time(),
        segments=segments,
        raw=raw,
        raw_path=request.raw_path.partition("?")[0],
    )


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError:
        return raw
