"""Runs scim2-server's own ASGI application with its in-memory storage, on a listening socket that it inherits.

Start it as `python -m tests.servers.scim2_app DESCRIPTOR [cursors]` with the token in SCIM_TOKEN, and in SCIM_PEOPLE
how many users it begins with.
"""

import os
import socket
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import uvicorn
from scim2_models import EnterpriseUser, Meta, Pagination, Resource, ScimProvider, UnauthorizedException, User
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage, InMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.service import ScimService
from scim2_server.testserver.application import BEARER_TOKEN_SCHEME
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

EMPTY_PATH = "/empty"
"""Not SCIM: a POST here makes the server forget every resource, between two tests."""


class TokenApplication(ASGIApplication):
    """scim2-server's application, for those who hold the token."""

    def __init__(self, storage: AsyncInMemoryStorage, provider: ScimProvider, token: str) -> None:
        super().__init__(storage, provider, ScimService(provider, secret="cursors of this process"))
        self._wanted = f"Bearer {token}"

    def check_auth(self, request: ScimRequest) -> None:
        if request.header("Authorization") != self._wanted:
            raise UnauthorizedException


class Emptied:
    """An ASGI application that serves another one, and empties its storage when asked."""

    def __init__(self, application: ASGIApplication, storage: AsyncInMemoryStorage) -> None:
        self._application, self._storage = application, storage

    def begin_with(self, storage: InMemoryStorage) -> None:
        self._storage.storage = storage

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == EMPTY_PATH:
            self._storage.storage = InMemoryStorage()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._application(scope, receive, send)


def application(token: str, *, cursors: bool = False) -> Emptied:
    """Return the application as its own command line makes it: default schemas, everything announced.

    With `cursors` it pages by cursor alone (RFC 9865), which its command line leaves out.
    """
    announced = load_default_service_provider_config()
    if cursors:
        announced.pagination = Pagination(cursor=True, index=False)
    announced.authentication_schemes = [BEARER_TOKEN_SCHEME]
    provider = ScimProvider.from_discovery(
        load_default_schemas().values(), load_default_resource_types().values(), config=announced
    )
    storage = AsyncInMemoryStorage()
    return Emptied(TokenApplication(storage, provider, token), storage)


def staffed(count: int) -> InMemoryStorage:
    """Return a storage with so many users, of whom one changed just now. By requests they would take minutes."""
    storage = InMemoryStorage()
    users: list[Resource[Any]] = []
    for number in range(count):
        name = f"user{number}"
        one = User[EnterpriseUser](id=name, user_name=f"{name}@example.com", display_name=name, title="Engineer")
        changed = storage.clock() - timedelta(days=1 if number else 0)
        one.meta = Meta(resource_type="User", created=changed, last_modified=changed, version=storage.next_version())
        users.append(one)
    storage.resources = users
    return storage


def main() -> None:
    listening = socket.socket(fileno=int(sys.argv[1]))
    served = application(os.environ["SCIM_TOKEN"], cursors="cursors" in sys.argv)
    if people := int(os.environ.get("SCIM_PEOPLE", "0")):
        served.begin_with(staffed(people))
    uvicorn.Server(uvicorn.Config(served, log_level="warning", lifespan="off")).run(sockets=[listening])


if __name__ == "__main__":
    main()
