"""Many small SCIM apps in one process, each on a port of its own, that count who speaks to them at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import orjson

ANSWER_SECONDS = 0.02
"""How long each answer takes, so that requests that may go out side by side do."""
_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_ABOUT_ITSELF = {"patch": {"supported": True}, "filter": {"supported": True, "maxResults": 1000}}


@dataclass(slots=True)
class App:
    """One app: its accounts, and what it saw."""

    port: int = 0
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: int = 0
    in_flight: int = 0
    in_flight_most: int = 0

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        """Return status and answer. A second account of a name is taken: it would show."""
        parts = urlsplit(target)
        _, _, _, kind, *ids = parts.path.split("/")
        if kind == "ServiceProviderConfig":
            return 200, _ABOUT_ITSELF
        if kind != "Users":
            return 404, {"detail": "no such endpoint"}
        match method:
            case "POST":
                row = {**orjson.loads(body), "id": f"u{len(self.users)}"}
                self.users[row["id"]] = row
                return 201, row
            case "PATCH":
                row = self.users[ids[0]]
                for operation in orjson.loads(body)["Operations"]:
                    row[operation["path"]] = operation["value"]
                return 200, row
            case "GET":
                return 200, self._found(parse_qs(parts.query).get("filter", [""])[0])
            case _:
                return 405, {"detail": "not here"}

    def _found(self, filter_: str) -> dict[str, Any]:
        name = filter_.partition(' eq "')[2].rstrip('"')
        rows = [row for row in self.users.values() if not filter_ or row["userName"] == name]
        return {"schemas": [_LIST], "totalResults": len(rows), "startIndex": 1, "Resources": rows}


class Apps:
    """All of them."""

    def __init__(self, count: int) -> None:
        self.all = [App() for _ in range(count)]
        self.busy_most = 0
        """How many of them had a request at the same time."""
        self.connections = 0

    def look(self) -> None:
        self.busy_most = max(self.busy_most, sum(app.in_flight > 0 for app in self.all))


class _Connection(asyncio.Protocol):
    """One client: takes a request, answers it a little later."""

    def __init__(self, apps: Apps, app: App) -> None:
        self._apps, self._app, self._buffer = apps, app, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._apps.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._apps.connections -= 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, target, _ = first.split(" ")
        app = self._app
        app.requests += 1
        app.in_flight += 1
        app.in_flight_most = max(app.in_flight_most, app.in_flight)
        self._apps.look()
        asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._answer, method, target, rest[:length])

    def _answer(self, method: str, target: str, body: bytes) -> None:
        self._app.in_flight -= 1
        status, answer = self._app.answer(method, target, body)
        payload = orjson.dumps(answer)
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/scim+json\r\nContent-Length: {len(payload)}\r\n\r\n"
        self._transport.write(head.encode() + payload)


@asynccontextmanager
async def serving_apps(count: int) -> AsyncIterator[Apps]:
    """Serve so many apps on free ports of this machine."""
    apps, loop = Apps(count), asyncio.get_running_loop()
    servers = []
    for app in apps.all:
        server = await loop.create_server(lambda app=app: _Connection(apps, app), "127.0.0.1", 0)  # type: ignore[misc]  # because mypy cannot tell the type of such a lambda
        servers.append(server)
        app.port = server.sockets[0].getsockname()[1]
    try:
        yield apps
    finally:
        for server in servers:
            server.close()
