"""A SCIM target as fast as Python makes one: maps in memory, no validation. It is the yardstick, not a double.

    python -m benchmarks.server PORT

Serves until its standard input is closed, so that it never outlives the benchmark that started it.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_CONFIG = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
    "patch": {"supported": True},
    "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
    "filter": {"supported": True, "maxResults": 1000},
    "changePassword": {"supported": False},
    "sort": {"supported": False},
    "etag": {"supported": False},
    "authenticationSchemes": [],
}
_REASONS = {200: b"OK", 201: b"Created", 204: b"No Content", 404: b"Not Found", 409: b"Conflict", 400: b"Bad Request"}
_KEYS = {"Users": "userName", "Groups": "displayName"}


class Shelf:
    """The resources of one kind."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.rows: dict[str, dict[str, Any]] = {}
        self.names: dict[str, str] = {}


SHELVES = {name: Shelf(key) for name, key in _KEYS.items()}


class Connection(asyncio.Protocol):
    """One client: reads requests as they come, answers each in order."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end]
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 : lower.find(b"\r\n", at) if b"\r\n" in lower[at:] else None]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            method, target, _ = head[: head.find(b"\r\n")].decode().split(" ", 2)
            status, answer = handle(method, target, body)
            payload = b"" if answer is None else orjson.dumps(answer)
            self._transport.write(
                b"HTTP/1.1 %d %s\r\nContent-Type: application/scim+json\r\nContent-Length: %d\r\n\r\n%s"
                % (status, _REASONS[status], len(payload), payload)
            )


def handle(method: str, target: str, body: bytes) -> tuple[int, dict[str, Any] | None]:
    """Return status and answer."""
    parts = urlsplit(target)
    _, _, _, name, *rest = [*parts.path.split("/"), ""]
    if name == "ServiceProviderConfig":
        return 200, _CONFIG
    shelf = SHELVES.get(name)
    if shelf is None:
        return _refuse(404, "no such endpoint")
    row_id = unquote(rest[0]) if rest else ""
    if method == "POST":
        return _create(shelf, orjson.loads(body))
    if method == "GET" and not row_id:
        return _list(shelf, parse_qs(parts.query))
    row = shelf.rows.get(row_id)
    if row is None:
        return _refuse(404, "no such id")
    match method:
        case "GET":
            return 200, row
        case "DELETE":
            del shelf.rows[row_id]
            shelf.names.pop(str(row[shelf.key]).casefold(), None)
            return 204, None
        case "PATCH":
            for operation in orjson.loads(body)["Operations"]:
                _patch(row, operation)
            return 200, row
        case _:
            return _refuse(400, "method")


def _create(shelf: Shelf, row: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
    name = str(row.get(shelf.key)).casefold()
    if name in shelf.names:
        return _refuse(409, "taken")
    row["id"] = row_id = f"{len(shelf.rows) + 1:08x}"
    shelf.rows[row_id] = row
    shelf.names[name] = row_id
    return 201, row


def _list(shelf: Shelf, query: dict[str, list[str]]) -> tuple[int, dict[str, Any] | None]:
    asked = re.fullmatch(r'(\w+) eq "(.*)"', query.get("filter", [""])[0])
    if asked:
        found = shelf.names.get(asked[2].casefold()) if asked[1] == shelf.key else None
        rows = [shelf.rows[found]] if found else []
        return 200, {"schemas": [_LIST], "totalResults": len(rows), "Resources": rows}
    start, count = int(query.get("startIndex", ["1"])[0]), int(query.get("count", ["100"])[0])
    page = list(shelf.rows.values())[start - 1 : start - 1 + count]
    answer = {"schemas": [_LIST], "totalResults": len(shelf.rows), "startIndex": start, "itemsPerPage": len(page)}
    return 200, {**answer, "Resources": page}


def _patch(row: dict[str, Any], operation: dict[str, Any]) -> None:
    path = operation.get("path", "")
    if path == "members":
        row.setdefault("members", []).extend(operation["value"])
    elif re.fullmatch(r"[\w.]+", path):
        *outer, last = path.split(".")
        for part in outer:
            row = row.setdefault(part, {})
        if operation["op"] == "remove":
            row.pop(last, None)
        else:
            row[last] = operation["value"]


def _refuse(status: int, detail: str) -> tuple[int, dict[str, Any]]:
    return status, {"schemas": [_ERROR], "status": str(status), "detail": detail}


async def serve(port: int) -> None:
    """Serve on loopback; say the port on standard output; end with standard input."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
