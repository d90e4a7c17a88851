"""Serves scim2-server, a SCIM 2.0 server that others wrote, with a memory that outlives its process.

Started by `reconciler.demo.server` as `python -m reconciler.demo.application DESCRIPTOR DIRECTORY`: the descriptor is a
listening socket. It stops when its standard input is closed, so it never outlives who started it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn
from scim2_models import ResourceType, ScimProvider, UnauthorizedException
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

from reconciler.demo.server import ACCOUNTS_FILE, READY, TOKEN_FILE


class TokenApplication(ASGIApplication):
    """scim2-server's application, for those who hold the token."""

    def __init__(self, storage: AsyncInMemoryStorage, provider: ScimProvider, token: str) -> None:
        super().__init__(storage, provider)
        self._wanted = f"Bearer {token}"

    def check_auth(self, request: ScimRequest) -> None:
        if request.header("Authorization") != self._wanted:
            raise UnauthorizedException


async def serve(listening: socket.socket, directory: Path) -> None:
    """Serve until standard input is closed, then write down every resource."""
    storage, provider = InMemoryStorage(), _provider()
    token = (directory / TOKEN_FILE).read_text("utf-8").strip()
    application = TokenApplication(AsyncInMemoryStorage(storage), provider, token)
    accounts = directory / ACCOUNTS_FILE
    if accounts.exists():
        _restore(storage, application.service, json.loads(accounts.read_text("utf-8")))
    server = uvicorn.Server(
        # A connection that is kept lives longer here than at the client: none is closed while a request is on its way.
        uvicorn.Config(application, log_level="warning", lifespan="off", timeout_keep_alive=120)
    )
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _stop, server)
    sys.stdout.write(READY)
    sys.stdout.flush()
    await server.serve(sockets=[listening])
    _write(accounts, [resource.model_dump() for resource in storage.resources])


def _stop(server: uvicorn.Server) -> None:
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    server.should_exit = True


def _provider() -> ScimProvider:
    """Return what the package's own command serves: default schemas, everything announced that it announces."""
    announced = load_default_service_provider_config()
    announced.authentication_schemes = [BEARER_TOKEN_SCHEME]
    return ScimProvider.from_discovery(
        load_default_schemas().values(), load_default_resource_types().values(), config=announced
    )


def _restore(storage: InMemoryStorage, service: ScimService, dumped: Sequence[dict[str, Any]]) -> None:
    """Put back what was written down, with its ids; what has no id yet is a user from before the first start."""
    types: dict[str | None, ResourceType] = {each.name: each for each in service.provider.resource_types}
    known = [
        service.get_model(types[each["meta"]["resourceType"]]).model_validate(each) for each in dumped if "id" in each
    ]
    storage.resources = known
    versions = [int(number) for each in known if each.meta for number in re.findall(r"\d+", each.meta.version or "")]
    storage.versions = itertools.count(max(versions, default=0) + 1)
    user = types["User"]
    for each in dumped:
        if "id" not in each:
            storage.create(user, service.get_model(user).model_validate({"schemas": [user.schema_], **each}))


def _write(path: Path, dumped: list[dict[str, Any]]) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(dumped, ensure_ascii=False, indent=1), "utf-8")
    new.replace(path)


if __name__ == "__main__":
    # uvicorn ends itself on these, and then raises them again: they must not keep the resources from being written.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2])))
