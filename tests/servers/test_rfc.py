"""What RFC 7644 promises, asked of the double and of scim2-server: the double is as strict as a server in earnest."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.servers.asking import Asking, add, put, remove, user
from tests.servers.real import RealScimServer
from tests.servers.schemas import ENTERPRISE, GROUP, USER
from tests.servers.scim import ScimServer

ANN: dict[str, Any] = {
    "externalId": "e-1",
    "name": {"givenName": "Ann", "familyName": "Beck"},
    "active": True,
    "emails": [{"type": "work", "value": "ann@example.com"}, {"type": "home", "value": "ann@home.example"}],
    "enterprise": {"department": "Sales", "costCenter": "C1"},
}


@pytest.fixture(params=["double", "scim2-server"])
async def ask(request: pytest.FixtureRequest) -> AsyncIterator[Asking]:
    if request.param == "double":
        async with ScimServer() as server, Asking(server) as asking:
            yield asking
        return
    real: RealScimServer = request.getfixturevalue("real_scim_server")
    async with Asking(real) as asking:
        yield asking


async def test_what_was_created_can_be_read(ask: Asking) -> None:
    created = await ask.user("ann@example.com", **ANN)
    assert created.status == 201
    assert created.headers["location"] == created.body["meta"]["location"]
    read = await ask("GET", f"/Users/{created.body['id']}")
    assert read.status == 200
    assert read.body == created.body
    assert read.body[ENTERPRISE] == {"department": "Sales", "costCenter": "C1"}
    assert set(read.body["schemas"]) == {USER, ENTERPRISE}


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "ANN@example.com"',
        'USERNAME EQ "ann@example.com"',
        f'{USER}:userName eq "ann@example.com"',
        'externalId eq "e-1"',
        'emails[type eq "work" and value eq "ann@example.com"]',
        'emails.value eq "ann@home.example"',
        'emails co "home.example"',
        'name.familyName sw "be"',
        'name.givenName ew "NN"',
        f'{ENTERPRISE}:department eq "sales"',
        "active eq true",
        'title pr or (userName sw "ann" and not (name.familyName eq "Carr"))',
        'meta.created gt "2000-01-01T00:00:00Z" and active eq true',
        'userName gt "ann@" and userName lt "b"',
    ],
)
async def test_a_filter_finds_the_one(ask: Asking, text: str) -> None:
    await ask.user("ann@example.com", **ANN)
    await ask.user("zoe@example.com", active=False, externalId="E-1")
    found = await ask.find(text)
    assert found.status == 200, found.body
    assert [row["userName"] for row in found.rows] == ["ann@example.com"]
    assert found.body["totalResults"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "userName",
        "userName eq",
        "userName eq ann",
        'nickname2 eq "a"',
        'userName like "a"',
        'userName eq "a',
        "active gt true",
    ],
)
async def test_a_filter_that_is_none_is_refused(ask: Asking, text: str) -> None:
    await ask.user("ann@example.com")
    refused = await ask.find(text)
    assert (refused.status, refused.scim_type) == (400, "invalidFilter")


@pytest.mark.parametrize(
    "name", ["o'neill@example.com", 'quo"te\\back@example.com', "山田太郎", "🙂@example.com", "a+b &c#d%"]
)
async def test_any_name_is_stored_and_found(ask: Asking, name: str) -> None:
    created = await ask.user(name)
    assert created.status == 201
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    found = await ask.find(f'userName eq "{escaped}"')
    assert [row["userName"] for row in found.rows] == [name]


async def test_a_user_name_is_unique_whatever_its_case(ask: Asking) -> None:
    await ask.user("ann@example.com")
    second = await ask.user("Ann@Example.com")
    assert (second.status, second.scim_type) == (409, "uniqueness")
    other = await ask.user("bea@example.com")
    renamed = await ask.patch(f"/Users/{other.body['id']}", put("userName", "ANN@example.com"))
    assert renamed.status == 409


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ({"schemas": [USER]}, "invalidValue"),
        ({"schemas": [USER], "userName": "a", "nickNames": "x"}, "invalidSyntax"),
        ({"schemas": [USER], "userName": "a", "name": {"first": "x"}}, "invalidSyntax"),
        ({"schemas": [USER], "userName": 5}, "invalidValue"),
        ({"schemas": [USER], "userName": "a", "active": "perhaps"}, "invalidValue"),
        ({"schemas": [USER], "userName": "a", "emails": "a@example.com"}, "invalidValue"),
        ({"schemas": [USER, ENTERPRISE], "userName": "a", ENTERPRISE: {"manager": "id"}}, "invalidValue"),
    ],
)
async def test_a_resource_that_is_none_is_refused(ask: Asking, body: Any, scim_type: str) -> None:
    refused = await ask("POST", "/Users", body)
    assert (refused.status, refused.scim_type) == (400, scim_type)


PATCHES: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
    ("a single value", [put("title", "Lead")], {"title": "Lead"}),
    ("an add to a single value", [add("title", "Lead")], {"title": "Lead"}),
    ("a part", [put("name.givenName", "Anne")], {"name": {"givenName": "Anne", "familyName": "Beck"}}),
    (
        "a complex value is merged",
        [put("name", {"givenName": "A"})],
        {"name": {"givenName": "A", "familyName": "Beck"}},
    ),
    ("active", [put("active", False)], {"active": False}),
    (
        "an extension's attribute",
        [put(f"{ENTERPRISE}:department", "R&D")],
        {ENTERPRISE: {"department": "R&D", "costCenter": "C1"}},
    ),
    (
        "a manager",
        [put(f"{ENTERPRISE}:manager", {"value": "x"})],
        {ENTERPRISE: {**ANN["enterprise"], "manager": {"value": "x"}}},
    ),
    ("an extension's attribute goes", [remove(f"{ENTERPRISE}:costCenter")], {ENTERPRISE: {"department": "Sales"}}),
    (
        "a filtered part",
        [put('emails[type eq "work"].value', "new@example.com")],
        {"emails": [{"type": "work", "value": "new@example.com"}, ANN["emails"][1]]},
    ),
    ("a filtered element goes", [remove('emails[type eq "work"]')], {"emails": [ANN["emails"][1]]}),
    ("all elements go", [remove("emails")], {"emails": None}),
    (
        "an element more",
        [add("emails", [{"type": "other", "value": "o@example.com"}])],
        {"emails": [*ANN["emails"], {"type": "other", "value": "o@example.com"}]},
    ),
    ("an element that is there", [add("emails", [ANN["emails"][0]])], {"emails": ANN["emails"]}),
    (
        "a replaced list",
        [put("emails", [{"type": "work", "value": "n@example.com"}])],
        {"emails": [{"type": "work", "value": "n@example.com"}]},
    ),
    ("null is nothing", [put("externalId", None)], {"externalId": None}),
    ("a value goes", [remove("externalId")], {"externalId": None}),
    (
        "without a path",
        [{"op": "replace", "value": {"title": "Lead", "active": False}}],
        {"title": "Lead", "active": False},
    ),
    (
        "without a path, an extension",
        [{"op": "add", "value": {f"{ENTERPRISE}:division": "D", ENTERPRISE: {"costCenter": "C2"}}}],
        {ENTERPRISE: {"department": "Sales", "costCenter": "C2", "division": "D"}},
    ),
    (
        "one after the other",
        [put("title", "A"), put("title", "B"), remove("externalId")],
        {"title": "B", "externalId": None},
    ),
    ("names in another case", [put("NAME.givenname", "Anne")], {"name": {"givenName": "Anne", "familyName": "Beck"}}),
    ("a removal that is done already", [remove('emails[type eq "fax"]')], {"emails": ANN["emails"]}),
]


@pytest.mark.parametrize(("what", "operations", "expected"), PATCHES, ids=[each[0] for each in PATCHES])
async def test_patch(ask: Asking, what: str, operations: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    created = await ask.user("ann@example.com", **ANN)
    path = f"/Users/{created.body['id']}"
    answer = await ask.patch(path, *operations)
    assert answer.status in (200, 204), answer.body
    after = (await ask("GET", path)).body
    assert {name: _plain(after.get(name)) for name in expected} == {
        name: _plain(each) for name, each in expected.items()
    }
    untouched = created.body.keys() - expected.keys() - {"meta", "schemas"}
    assert {name: after[name] for name in untouched} == {name: created.body[name] for name in untouched}


def _plain(value: Any) -> Any:
    """Take away what only a server adds."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if name not in ("$ref", "display", "displayName")}
    if isinstance(value, list):
        return [_plain(each) for each in value] or None
    return value


REFUSED_PATCHES: list[tuple[list[dict[str, Any]], str]] = [
    ([put('emails[type eq "fax"].value', "f@example.com")], "noTarget"),
    ([add('emails[type eq "fax"].value', "f@example.com")], "noTarget"),
    ([put("nickNames", "x")], "invalidPath"),
    ([put("urn:example:2.0:User:x", "x")], "invalidPath"),
    ([put("id", "x")], "mutability"),
    ([remove("userName")], "mutability"),
    ([{"op": "remove"}], "noTarget"),
    ([{"op": "replace", "path": "title"}], "invalidValue"),
    ([put("title", 5)], "invalidValue"),
    ([put("title", "A"), put("nickNames", "x")], "invalidPath"),
]


@pytest.mark.parametrize(("operations", "scim_type"), REFUSED_PATCHES)
async def test_a_refused_patch_changes_nothing(ask: Asking, operations: list[dict[str, Any]], scim_type: str) -> None:
    created = await ask.user("ann@example.com", **ANN)
    path = f"/Users/{created.body['id']}"
    refused = await ask.patch(path, *operations)
    assert (refused.status, refused.scim_type) == (400, scim_type)
    assert (await ask("GET", path)).body == created.body


async def test_members_come_and_go(ask: Asking) -> None:
    ids = [(await ask.user(f"u{n}")).body["id"] for n in range(4)]
    group = (await ask.group("Sales")).body
    path = f"/Groups/{group['id']}"
    await ask.patch(path, add("members", [{"value": each} for each in ids]))
    await ask.patch(path, add("members", [{"value": ids[0]}]))
    await ask.patch(path, remove(f'members[value eq "{ids[1]}"]'), remove(f'members[value eq "{ids[2]}"]'))
    await ask.patch(path, remove('members[value eq "nobody"]'))
    read = (await ask("GET", path)).body
    assert [each["value"] for each in read["members"]] == [ids[0], ids[3]]
    renamed = await ask.patch(path, put("displayName", "Sales & more"))
    assert renamed.status in (200, 204)
    assert (await ask.find('displayName eq "sales & more"', "Groups")).body["totalResults"] == 1
    without = (await ask("GET", f"{path}?excludedAttributes=members")).body
    assert "members" not in without
    refused = await ask.patch(path, {"op": "remove", "path": "members", "value": [{"value": ids[0]}]})
    assert refused.status == 400
    fixed = await ask.patch(path, put(f'members[value eq "{ids[0]}"].value', ids[1]))
    assert (fixed.status, fixed.scim_type) == (400, "mutability")


async def test_pages_show_everyone_once(ask: Asking) -> None:
    names = {f"user{n:02}" for n in range(23)}
    for name in sorted(names):
        await ask.user(name)
    met: list[str] = []
    for start in (1, 11, 21):
        page = (await ask("GET", f"/Users?startIndex={start}&count=10")).body
        assert (page["totalResults"], page["startIndex"]) == (23, start)
        assert page["itemsPerPage"] == len(page["Resources"]) <= 10
        met += [row["userName"] for row in page["Resources"]]
    assert sorted(met) == sorted(names)
    past = (await ask("GET", "/Users?startIndex=24&count=10")).body
    assert (past["totalResults"], past["Resources"]) == (23, [])
    nothing = (await ask("GET", "/Users?count=0")).body
    assert (nothing["totalResults"], nothing["Resources"]) == (23, [])
    assert (await ask("GET", "/Users?count=many")).status == 400


async def test_only_some_attributes(ask: Asking) -> None:
    created = (await ask.user("ann@example.com", **ANN)).body
    named = quote(f"userName,name.givenName,emails.value,{ENTERPRISE}:department", safe="")
    some = (await ask("GET", f"/Users/{created['id']}?attributes={named}")).body
    assert some.keys() == {"schemas", "id", "userName", "name", "emails", ENTERPRISE}
    assert some["name"] == {"givenName": "Ann"}
    assert some["emails"] == [{"value": "ann@example.com"}, {"value": "ann@home.example"}]
    assert some[ENTERPRISE] == {"department": "Sales"}
    others = (await ask("GET", f"/Users/{created['id']}?excludedAttributes=emails,name.givenName")).body
    assert "emails" not in others
    assert others["name"] == {"familyName": "Beck"}


async def test_put_replaces_the_whole(ask: Asking) -> None:
    created = (await ask.user("ann@example.com", **ANN)).body
    answer = await ask("PUT", f"/Users/{created['id']}", user("ann2@example.com", title="Lead", id="ignored"))
    assert answer.status == 200
    after = (await ask("GET", f"/Users/{created['id']}")).body
    assert after.keys() == {"schemas", "id", "meta", "userName", "title"}
    assert after["id"] == created["id"]


async def test_deleted_is_gone(ask: Asking) -> None:
    path = f"/Users/{(await ask.user('ann@example.com')).body['id']}"
    assert (await ask("DELETE", path)).status == 204
    assert (await ask("GET", path)).status == 404
    assert (await ask("DELETE", path)).status == 404
    assert (await ask.patch(path, put("title", "x"))).status == 404
    assert (await ask.user("ann@example.com")).status == 201


async def test_versions_guard_a_change(ask: Asking) -> None:
    created = await ask.user("ann@example.com")
    path, first = f"/Users/{created.body['id']}", created.headers["etag"]
    assert first == created.body["meta"]["version"]
    await ask.patch(path, put("title", "A"))
    late = await ask("PATCH", path, {"schemas": [], "Operations": []}, If_Match=first)
    assert late.status in (400, 412)
    assert (await ask("DELETE", path, If_Match=first)).status == 412
    current = (await ask("GET", path)).headers["etag"]
    assert current != first
    assert (await ask("DELETE", path, If_Match=current)).status == 204


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Nothing", 404),
        ("GET", "/Users/nobody", 404),
        ("PUT", "/Users", 405),
        ("POST", "/Users/nobody", 405),
        ("GET", "/Me", 501),
    ],
)
async def test_places_where_nothing_is(ask: Asking, method: str, path: str, status: int) -> None:
    body = user("x") if method in ("POST", "PUT") else None
    assert (await ask(method, path, body)).status == status


async def test_the_token_is_asked_for(ask: Asking) -> None:
    for token in ("", "Bearer wrong", "Basic double-token"):
        refused = await ask("GET", "/Users", Authorization=token)
        assert refused.status == 401
        assert "www-authenticate" in refused.headers


async def test_the_server_says_what_it_can(ask: Asking) -> None:
    announced = (await ask("GET", "/ServiceProviderConfig")).body
    assert announced["patch"]["supported"] is True
    assert announced["filter"]["supported"] is True
    schemas = (await ask("GET", "/Schemas")).rows
    assert {USER, GROUP, ENTERPRISE} <= {each["id"] for each in schemas}
    types = (await ask("GET", "/ResourceTypes")).rows
    assert {each["endpoint"] for each in types} == {"/Users", "/Groups"}
