"""Asks a SCIM server as a plain HTTP client does: for the tests of the servers themselves."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from tests.servers.real import RealScimServer
from tests.servers.schemas import ENTERPRISE, GROUP, PATCH_OP, USER
from tests.servers.scim import ScimServer


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def rows(self) -> list[Any]:
        rows: list[Any] = self.body["Resources"]
        return rows

    @property
    def scim_type(self) -> str | None:
        kind: str | None = self.body.get("scimType")
        return kind


class Asking:
    """One client with one connection pool, inside `async with`."""

    def __init__(self, server: ScimServer | RealScimServer) -> None:
        self._server = server
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Asking:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send; `path` comes percent-encoded, headers by name with _ for -."""
        assert self._session is not None
        sent = {"Authorization": f"Bearer {self._server.token}", "Content-Type": "application/scim+json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
        url = URL(self._server.url + path, encoded=True)
        async with self._session.request(method, url, data=data, headers=sent, allow_redirects=False) as response:
            raw = await response.read()
            try:
                parsed: Any = orjson.loads(raw) if raw else None
            except orjson.JSONDecodeError:
                parsed = raw
            return Reply(response.status, parsed, {name.lower(): value for name, value in response.headers.items()})

    async def user(self, user_name: str, **attributes: Any) -> Reply:
        return await self("POST", "/Users", user(user_name, **attributes))

    async def group(self, display_name: str, *members: str) -> Reply:
        body: dict[str, Any] = {"schemas": [GROUP], "displayName": display_name}
        return await self(
            "POST", "/Groups", body | ({"members": [{"value": each} for each in members]} if members else {})
        )

    async def patch(self, path: str, *operations: dict[str, Any]) -> Reply:
        return await self("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)})

    async def find(self, filter_text: str, endpoint: str = "Users") -> Reply:
        return await self("GET", f"/{endpoint}?filter={quote(filter_text, safe='')}")


def user(user_name: str, **attributes: Any) -> dict[str, Any]:
    """Return the body of a user; `enterprise` holds the attributes of the extension."""
    enterprise = attributes.pop("enterprise", None)
    extension = {} if enterprise is None else {ENTERPRISE: enterprise}
    return {"schemas": [USER, *extension], "userName": user_name, **attributes, **extension}


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def put(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def remove(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}
