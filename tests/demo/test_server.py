"""The demo's server is the real one, and remembers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from reconciler.demo import organisation
from reconciler.demo.server import DemoServer
from reconciler.errors import ConfigError

ANN = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann@orchard.example", "active": False}


async def ask(server: DemoServer, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token or server.token}", "Content-Type": "application/scim+json"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, server.url + path, headers=headers, data=body and json.dumps(body)) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def test_a_user_is_still_there_with_the_same_id_after_a_restart(tmp_path: Path) -> None:
    async with DemoServer(tmp_path) as server:
        place = server.url, server.token
        status, created = await ask(server, "POST", "/Users", ANN)
        assert status == 201
        group = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "APP-Phone"}
        status, _ = await ask(server, "POST", "/Groups", {**group, "members": [{"value": created["id"]}]})
        assert status == 201
    async with DemoServer(tmp_path) as server:
        assert (server.url, server.token) == place
        status, found = await ask(server, "GET", f"/Users/{created['id']}")
        assert (status, found["userName"], found["active"]) == (200, ANN["userName"], False)
        assert found["meta"] == created["meta"]
        _, listed = await ask(server, "GET", '/Groups?filter=displayName eq "APP-Phone"')
        assert [member["value"] for member in listed["Resources"][0]["members"]] == [created["id"]]
        status, _ = await ask(server, "POST", "/Users", ANN)
        assert status == 409
        change = {"op": "replace", "path": "active", "value": True}
        patch = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [change]}
        await ask(server, "PATCH", f"/Users/{created['id']}", patch)
        _, changed = await ask(server, "GET", f"/Users/{created['id']}")
        assert changed["active"]
        assert changed["meta"]["version"] != created["meta"]["version"]


async def test_it_begins_with_the_accounts_from_before_and_only_once(tmp_path: Path) -> None:
    async with DemoServer(tmp_path, accounts=organisation.accounts_from_before()) as server:
        _, listed = await ask(server, "GET", "/Users")
        assert {each["userName"]: each["active"] for each in listed["Resources"]} == {
            organisation.ADMINISTRATOR: True,
            "lukasz.nowak@orchard.example": True,
            "aoife.doyle@orchard.example": False,
        }
        await ask(server, "DELETE", f"/Users/{listed['Resources'][0]['id']}")
    async with DemoServer(tmp_path, accounts=organisation.accounts_from_before()) as server:
        _, listed = await ask(server, "GET", "/Users")
        assert listed["totalResults"] == 2


async def test_only_who_holds_the_token_gets_in_and_only_we_can_read_it(tmp_path: Path) -> None:
    async with DemoServer(tmp_path) as server:
        status, _ = await ask(server, "GET", "/Users", token="guessed")
        assert status == 401
        assert stat.S_IMODE(os.stat(server.token_file).st_mode) == 0o600  # noqa: PTH116  # the directory is ours
        assert server.url.startswith("http://127.0.0.1:")


async def test_two_of_them_do_not_run_in_one_directory(tmp_path: Path) -> None:
    async with DemoServer(tmp_path):
        with pytest.raises(ConfigError, match="is it running already"):
            async with DemoServer(tmp_path):
                pass


async def test_a_signal_does_not_make_it_forget(tmp_path: Path) -> None:
    async with DemoServer(tmp_path) as server:
        await ask(server, "POST", "/Users", ANN)
        assert server.process_id is not None
        os.kill(server.process_id, signal.SIGTERM)
        await asyncio.wait_for(server.ended(), 20)
    assert [each["userName"] for each in json.loads((tmp_path / "server.json").read_text())] == [ANN["userName"]]
