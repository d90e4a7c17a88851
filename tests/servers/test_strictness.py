"""Where the double is stricter than scim2-server: the RFC says so, and some vendor does."""

from typing import Any

import pytest

from tests.servers.asking import Asking, add, put, user
from tests.servers.schemas import ENTERPRISE, PATCH_OP, USER
from tests.servers.scim import ScimServer


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ({"userName": "a"}, "invalidSyntax"),
        ({"schemas": ["urn:example:Person"], "userName": "a"}, "invalidSyntax"),
        ({"schemas": [ENTERPRISE], "userName": "a"}, "invalidSyntax"),
        ({"schemas": [USER], "userName": "a", ENTERPRISE: {"department": "x"}}, "invalidSyntax"),
        ({"schemas": [USER], "userName": ""}, "invalidValue"),
        ({"schemas": [USER], "userName": "a", "active": "True"}, "invalidValue"),
        ({"schemas": [USER], "userName": "a", "emails": [{"value": "x", "primary": "true"}]}, "invalidValue"),
        ([], "invalidSyntax"),
        (b"{", "invalidSyntax"),
    ],
)
async def test_a_resource_is_refused(body: Any, scim_type: str) -> None:
    async with ScimServer() as server, Asking(server) as ask:
        refused = await ask("POST", "/Users", body)
        assert (refused.status, refused.scim_type) == (400, scim_type)
        assert server.users == {}


@pytest.mark.parametrize(
    "body",
    [
        {"Operations": [put("title", "x")]},
        {"schemas": [USER], "Operations": [put("title", "x")]},
        {"schemas": [PATCH_OP], "Operations": []},
        {"schemas": [PATCH_OP], "Operations": [{"op": "set", "path": "title", "value": "x"}]},
        {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "title", "value": "x", "name": "title"}]},
        {"schemas": [PATCH_OP], "Operations": [put("active", "False")]},
        {"schemas": [PATCH_OP], "Operations": [put("userName", None)]},
        {"schemas": [PATCH_OP], "Operations": [put(f"{ENTERPRISE}:manager", "id")]},
    ],
)
async def test_a_patch_is_refused(body: Any) -> None:
    async with ScimServer() as server, Asking(server) as ask:
        path = f"/Users/{server.put('user', userName='ann')}"
        assert (await ask("PATCH", path, body)).status == 400
        assert server.user("ann").keys() == {"schemas", "id", "userName", "meta"}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_the_content_type_matters(content_type: str) -> None:
    async with ScimServer() as server, Asking(server) as ask:
        assert (await ask("POST", "/Users", user("ann"), Content_Type=content_type)).status == 415


@pytest.mark.parametrize(
    "text",
    [
        'name eq "x"',
        'active eq "true"',
        "userName eq 5",
        "(userName pr",
        'emails.type[value eq "x"]',
        "not userName pr",
    ],
)
async def test_a_filter_is_refused(text: str) -> None:
    async with ScimServer() as server, Asking(server) as ask:
        assert (await ask.find(text)).scim_type == "invalidFilter"


async def test_a_password_is_never_shown() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        created = await ask.user("ann", password="s3cret")
        read = await ask("GET", f"/Users/{created.body['id']}?attributes=password")
        assert "s3cret" not in str((created.body, read.body))
        assert server.user("ann")["password"] == "s3cret"


async def test_there_is_one_primary_value() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        mails = [{"type": "work", "value": "w", "primary": True}]
        path = f"/Users/{server.put('user', userName='ann', emails=mails)}"
        await ask.patch(path, add("emails", [{"type": "home", "value": "h", "primary": True}]))
        assert [each.get("primary") for each in server.user("ann")["emails"]] == [None, True]
        await ask.patch(path, put('emails[type eq "work"].primary', True))
        assert [each.get("primary") for each in server.user("ann")["emails"]] == [True, None]


async def test_an_unchanged_resource_keeps_its_version() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        created = await ask.user("ann", title="x")
        path = f"/Users/{created.body['id']}"
        assert (await ask.patch(path, put("title", "x"))).body["meta"] == created.body["meta"]
        assert (await ask.patch(path, put("title", "y"))).body["meta"]["version"] != created.body["meta"]["version"]
