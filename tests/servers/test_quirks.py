"""Each quirk of the double does what the servers do that have it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.servers.asking import Asking, add, put, remove, user
from tests.servers.quirks import Quirks
from tests.servers.schemas import ENTERPRISE, USER
from tests.servers.scim import ScimServer


@asynccontextmanager
async def served(**quirks: Any) -> AsyncIterator[tuple[ScimServer, Asking]]:
    async with ScimServer(Quirks(**quirks)) as server, Asking(server) as ask:
        yield server, ask


async def test_a_filter_is_ignored() -> None:
    async with served(ignores_filter=True) as (_, ask):
        await ask.user("ann"), await ask.user("bea")
        assert (await ask.find('userName eq "ann"')).body["totalResults"] == 2


async def test_filters_are_refused() -> None:
    async with served(filter_refused=400) as (server, ask):
        assert (await ask.find('userName eq "ann"')).scim_type == "invalidFilter"
        server.quirks = Quirks(filter_refused=501)
        assert (await ask.find('userName eq "ann"')).status == 501
        server.quirks = Quirks(filter_refused_for=("externalId",))
        assert (await ask.find('externalId eq "x"')).status == 400
        assert (await ask.find('userName eq "x"')).status == 200


async def test_a_filter_lies() -> None:
    async with served(filter_lies_empty=("externalId", "and", ENTERPRISE)) as (_, ask):
        await ask.user("ann", externalId="1", enterprise={"department": "Sales"})
        for text in ('externalId eq "1"', 'userName eq "ann" and externalId pr', f'{ENTERPRISE}:department eq "Sales"'):
            assert (await ask.find(text)).rows == []
        assert len((await ask.find('userName eq "ann"')).rows) == 1


async def test_a_filter_reads_another_attribute_and_repeats_its_rows() -> None:
    async with served(filter_confuses={"externalId": "userName"}, filter_repeats_rows=True) as (_, ask):
        await ask.user("ann", externalId="1")
        assert len((await ask.find('externalId eq "ann"')).rows) == 2


async def test_a_filter_regards_case() -> None:
    async with served(filter_case_exact=True) as (_, ask):
        await ask.user("Ann")
        assert (await ask.find('userName eq "ann"')).rows == []
        assert (await ask.user("ann")).status == 409


async def test_a_filter_knows_no_escapes() -> None:
    async with served(filter_without_escapes=True) as (_, ask):
        await ask.user("back\\slash")
        assert (await ask.find(r'userName eq "back\slash"')).rows
        assert not (await ask.find(r'userName eq "back\\slash"')).rows
        assert (await ask.find(r'userName eq "the \"boss\""')).scim_type == "invalidFilter"


async def test_the_entra_form_of_a_filter_is_refused_or_understood() -> None:
    async with served() as (server, ask):
        await ask.user("ann", emails=[{"type": "work", "value": "a@example.com"}])
        text = 'emails[type eq "work"].value eq "a@example.com"'
        assert (await ask.find(text)).status == 400
        server.quirks = Quirks(understands_entra_filters=True)
        assert len((await ask.find(text)).rows) == 1


async def test_patch_is_not_implemented() -> None:
    async with served(patch_unsupported=True) as (server, ask):
        path = f"/Users/{server.put('user', userName='ann')}"
        assert (await ask.patch(path, put("title", "x"))).status == 501
        assert (await ask("GET", "/ServiceProviderConfig")).body["patch"] == {"supported": False}
        assert (await ask("PUT", path, user("ann", title="x"))).status == 200
        server.quirks = Quirks(patch_unsupported_for=("title", ENTERPRISE))
        assert (await ask.patch(path, put("title", "y"))).status == 501
        assert (await ask.patch(path, put(f"{ENTERPRISE}:department", "y"))).status == 501
        assert (await ask.patch(path, put("displayName", "y"))).status == 200


async def test_patch_says_yes_and_does_nothing() -> None:
    async with served(patch_silent_no_op=("title", "name.givenName")) as (server, ask):
        path = f"/Users/{server.put('user', userName='ann', title='old')}"
        answer = await ask.patch(path, put("title", "new"), put("name.givenName", "A"), put("name.familyName", "B"))
        assert answer.status == 200
        assert server.user("ann")["title"] == "old"
        assert server.user("ann")["name"] == {"familyName": "B"}


async def test_operations_in_capitals() -> None:
    async with served() as (server, ask):
        path = f"/Users/{server.put('user', userName='ann')}"
        for title, quirks, kept in (
            ("A", Quirks(), "A"),
            ("B", Quirks(patch_capitals_ignored=True), "A"),
            ("C", Quirks(patch_capitals_refused=True), "A"),
        ):
            server.quirks = quirks
            await ask.patch(path, {"op": "Replace", "path": "title", "value": title})
            assert server.user("ann")["title"] == kept


async def test_attributes_are_dropped() -> None:
    async with served(drops_attributes=("title", f"{ENTERPRISE}:department")) as (server, ask):
        created = await ask.user("ann", title="x", enterprise={"department": "Sales"})
        assert created.body.keys() == {"schemas", "id", "userName", "meta"}
        path = f"/Users/{created.body['id']}"
        assert (await ask.patch(path, put("title", "x"), put("nickName", "n"))).status == 200
        assert (await ask("PUT", path, user("ann", title="x"))).status == 200
        assert "title" not in server.user("ann")


@pytest.mark.parametrize(("answer", "status"), [(200, 200), (400, 400), (500, 500), (501, 501)])
async def test_a_missing_element(answer: Any, status: int) -> None:
    async with served(no_target_answer=answer) as (server, ask):
        path = f"/Users/{server.put('user', userName='ann')}"
        assert (await ask.patch(path, put('emails[type eq "work"].value', "a@example.com"))).status == status
        assert "emails" not in server.user("ann")
        server.quirks = Quirks(creates_on_no_target=True)
        assert (await ask.patch(path, put('emails[type eq "work"].value', "a@example.com"))).status == 200
        assert server.user("ann")["emails"] == [{"type": "work", "value": "a@example.com"}]
        server.quirks = Quirks(no_target_on_remove=True)
        assert (await ask.patch(path, remove('emails[type eq "fax"]'))).scim_type == "noTarget"


async def test_what_patch_answers() -> None:
    async with served(patch_no_content_when_unchanged=True) as (server, ask):
        path = f"/Users/{server.put('user', userName='ann')}"
        assert (await ask.patch(path, put("title", "x"))).status == 200
        assert (await ask.patch(path, put("title", "x"))).status == 204
        server.quirks = Quirks(patch_no_content=True)
        reply = await ask.patch(path, put("title", "y"))
        assert (reply.status, reply.body) == (204, None)


async def test_operations_without_a_path() -> None:
    async with served() as (server, ask):
        path = f"/Users/{server.put('user', userName='ann')}"
        dotted = {"op": "replace", "value": {"name.givenName": "Ann"}}
        assert (await ask.patch(path, dotted)).status == 400
        server.quirks = Quirks(understands_dotted_keys=True)
        assert (await ask.patch(path, dotted)).body["name"] == {"givenName": "Ann"}
        server.quirks = Quirks(pathless_patch_refused=True)
        assert (await ask.patch(path, {"op": "replace", "value": {"title": "x"}})).status == 400


async def test_a_urn_is_split_at_its_dot() -> None:
    async with served(splits_urn_at_dot=True) as (server, ask):
        path = f"/Users/{server.put('user', userName='ann')}"
        assert (await ask.patch(path, put(f"{ENTERPRISE}:department", "Sales"))).status == 200
        read = (await ask("GET", path)).body
        assert ENTERPRISE not in read
        assert read["urn:ietf:params:scim:schemas:extension:enterprise:2"] == {"0:User:department": "Sales"}


async def test_unknown_attributes() -> None:
    async with served(unknown_attributes="ignored") as (server, ask):
        assert "costCenter" not in (await ask.user("ann", costCenter="x")).body
        server.quirks = Quirks(unknown_attributes="stored")
        assert (await ask.user("bea", costCenter="x")).body["costCenter"] == "x"
        server.quirks = Quirks()
        refused = await ask.user("cleo", costCenter="x")
        assert "'costCenter'" in refused.body["detail"]


async def test_booleans_as_strings() -> None:
    async with served() as (server, ask):
        assert (await ask.user("ann", active="False")).status == 400
        server.quirks = Quirks(string_booleans="stored")
        assert (await ask.user("bea", active="False")).body["active"] == "False"
        server.quirks = Quirks(string_booleans="understood")
        assert (await ask.user("cleo", active="False")).body["active"] is False


async def test_a_user_name_in_lower_case_and_a_simple_manager() -> None:
    async with served(user_name_normalised_lower=True, accepts_simple_manager=True) as (_, ask):
        created = await ask.user("Ann@Example.com", enterprise={"manager": "42"})
        assert created.body["userName"] == "ann@example.com"
        assert created.body[ENTERPRISE]["manager"] == {"value": "42"}


async def test_put_keeps_what_it_does_not_name() -> None:
    async with served(put_resets=False) as (_, ask):
        created = await ask.user("ann", title="x")
        assert (await ask("PUT", f"/Users/{created.body['id']}", user("ann"))).body["title"] == "x"


async def test_names_that_are_taken() -> None:
    async with served(lax_unique=True) as (server, ask):
        assert [(await ask.user("ann")).status for _ in range(2)] == [201, 201]
        server.quirks = Quirks(conflict_status=500)
        assert (await ask.user("ann")).status == 500
        server.quirks = Quirks(conflict_without_scim_type=True)
        refused = await ask.user("ann")
        assert (refused.status, refused.scim_type) == (409, None)
        await ask.group("Sales")
        assert (await ask.group("Sales")).status == 201
        server.quirks = Quirks(duplicate_groups="refused")
        assert (await ask.group("sales")).status == 409
        server.quirks = Quirks(duplicate_groups="server_error")
        assert (await ask.group("sales")).status == 500


async def test_a_created_resource_without_this_and_that() -> None:
    async with served(created_without_id=True, created_without_location=True, created_without_meta=True) as (
        server,
        ask,
    ):
        created = await ask.user("ann")
        assert created.status == 201
        assert created.body.keys() == {"schemas", "userName"}
        assert "location" not in created.headers
        server.quirks = Quirks(created_without_body=True)
        empty = await ask.user("bea")
        assert (empty.status, empty.body) == (201, None)


@pytest.mark.parametrize(
    ("form", "ending"),
    [
        ("relative", "/Users/ID"),
        ("without_version", "/scim/Users/ID"),
        ("user_name", "/scim/v2/Users/ann%40example.com"),
    ],
)
async def test_locations(form: Any, ending: str) -> None:
    async with served(locations=form) as (_, ask):
        created = await ask.user("ann@example.com")
        assert created.headers["location"].endswith(ending.replace("ID", created.body["id"]))
        assert created.headers["location"].startswith("/") is (form == "relative")


async def test_a_new_resource_is_invisible_for_a_while() -> None:
    async with served(invisible_for_requests=3) as (_, ask):
        created = await ask.user("ann")
        path = f"/Users/{created.body['id']}"
        assert (await ask("GET", path)).status == 404
        assert (await ask.find('userName eq "ann"')).rows == []
        assert (await ask.patch(path, put("title", "x"))).status == 404
        assert (await ask.user("ann")).status == 409
        assert (await ask("GET", path)).status == 200


@pytest.mark.parametrize("form", ["digits", "number", "spaces", "email", "reserved"])
async def test_forms_of_ids(form: Any) -> None:
    async with served(ids=form) as (server, ask):
        created = await ask.user("ann")
        new_id = created.body["id"]
        assert isinstance(new_id, int if form == "number" else str)
        path = f"/Users/{quote(str(new_id), safe='')}"
        assert created.headers["location"] == server.url + path
        assert (await ask.patch(path, put("title", "x"))).status == 200
        assert server.users[str(new_id)]["title"] == "x"
        assert (await ask("DELETE", path)).status == 204


async def test_deleting() -> None:
    async with served(soft_delete=True) as (server, ask):
        path = f"/Users/{(await ask.user('ann')).body['id']}"
        assert (await ask("DELETE", path)).status == 204
        assert (await ask.find('userName eq "ann"')).rows[0]["active"] is False
        assert (await ask.user("ann")).status == 409
        server.quirks = Quirks(delete_answers_body=True, missing_answers_500=True)
        assert (await ask("DELETE", path)).status == 200
        assert (await ask("DELETE", path)).status == 500
        assert (await ask.patch(path, put("title", "x"))).status == 500


async def test_limits_of_members() -> None:
    async with served(members_per_patch_max=2, too_many_members_status=413) as (server, ask):
        path = f"/Groups/{server.put('group', displayName='Sales')}"
        three = [{"value": str(n)} for n in range(3)]
        assert (await ask.patch(path, add("members", three))).status == 413
        assert (await ask.patch(path, *(remove(f'members[value eq "{n}"]') for n in range(3)))).status == 413
        assert (await ask.patch(path, {"op": "add", "value": {"members": three}})).status == 413
        assert (await ask.patch(path, add("members", three[:2]))).status == 200
        server.quirks = Quirks(members_per_group_max=2)
        assert (await ask.patch(path, add("members", three[2:]))).status == 400
        server.quirks = Quirks(unknown_members_refused=True)
        assert (await ask.patch(path, put("members", three))).status == 400


async def test_forms_of_removing_members() -> None:
    async with served() as (server, ask):
        group_id = server.put("group", displayName="Sales", members=[{"value": "1"}, {"value": "2"}, {"value": "3"}])
        path = f"/Groups/{group_id}"
        entra = {"op": "Remove", "path": "members", "value": [{"value": "1"}]}
        assert (await ask.patch(path, entra)).status == 400
        server.quirks = Quirks(refuses_member_filter_remove=True)
        assert (await ask.patch(path, remove('members[value eq "1"]'))).status == 400
        server.quirks = Quirks(understands_entra_remove=True)
        assert (await ask.patch(path, entra)).status == 200
        assert server.members("Sales") == {"2", "3"}
        server.quirks = Quirks(entra_remove_wipes_group=True)
        assert (await ask.patch(path, entra)).status == 200
        assert server.members("Sales") == set()


async def test_members_that_are_odd() -> None:
    async with served(duplicates_members=True) as (server, ask):
        ann = server.put("user", userName="ann")
        path = f"/Groups/{server.put('group', displayName='Sales', members=[{'value': ann}])}"
        assert len((await ask.patch(path, add("members", [{"value": ann}]))).body["members"]) == 2
        server.quirks = Quirks(member_value_is_user_name=True)
        assert {each["value"] for each in (await ask("GET", path)).body["members"]} == {"ann"}
        server.quirks = Quirks(no_members_on_get=True)
        assert "members" not in (await ask("GET", path)).body
        server.quirks = Quirks(ignores_excluded_attributes=True, keeps_stale_members=True)
        await ask("DELETE", f"/Users/{ann}")
        assert server.members("Sales") == {ann}
        assert "members" in (await ask("GET", f"{path}?excludedAttributes=members")).body
        server.quirks = Quirks(unknown_members_refused=True)
        assert (await ask.patch(path, put("displayName", "Support"))).status == 200  # who stayed is no new member
        assert (await ask.patch(path, add("members", [{"value": "nobody"}]))).status == 400


async def test_what_an_answer_leaves_out_is_lost() -> None:
    async with served(writes_without_left_out=True) as (server, ask):
        path = f"/Groups/{server.put('group', displayName='Sales', members=[{'value': 'ann'}])}"
        assert "members" in (await ask.patch(path, put("displayName", "Support"))).body
        await ask.patch(f"{path}?excludedAttributes=members", put("displayName", "Sales"))
        assert server.members("Sales") == set()


async def test_a_deleted_user_leaves_the_groups() -> None:
    async with served() as (server, ask):
        ann = server.put("user", userName="ann")
        server.put("group", displayName="Sales", members=[{"value": ann}])
        await ask("DELETE", f"/Users/{ann}")
        assert server.members("Sales") == set()


async def test_pages_that_are_odd() -> None:
    async with served(page_max=2) as (server, ask):
        for n in range(5):
            server.put("user", userName=f"u{n}")
        first = (await ask("GET", "/Users?count=100")).body
        assert (len(first["Resources"]), first["itemsPerPage"], first["totalResults"]) == (2, 2, 5)
        for wrong, total in (("page_size", 2), (3, 3), ("missing", None)):
            server.quirks = Quirks(page_max=2, wrong_total_results=wrong)  # type: ignore[arg-type]  # a table of all
            assert (await ask("GET", "/Users?startIndex=3")).body.get("totalResults") == total
        server.quirks = Quirks(repeats_first_page=True)
        assert (await ask("GET", "/Users?startIndex=6&count=2")).rows[0]["userName"] == "u0"
        server.quirks = Quirks(ignores_start_index=True)
        assert (await ask("GET", "/Users?startIndex=3&count=2")).rows[0]["userName"] == "u0"
        server.quirks = Quirks(count_refused_above=1000, count_refused_status=500)
        assert (await ask("GET", "/Users?count=1001")).status == 500


@pytest.mark.parametrize(
    ("quirks", "content_type", "body"),
    [
        ({"html_errors": True}, "text/html", b"<!DOCTYPE"),
        ({"html_errors": True, "html_labelled_scim": True}, "application/scim+json", b"<!DOCTYPE"),
        ({"empty_errors": True}, "application/octet-stream", b""),
        ({"text_errors": True}, "text/plain", b"User nobody not found"),
    ],
)
async def test_errors_that_are_no_scim_errors(quirks: dict[str, bool], content_type: str, body: bytes) -> None:
    async with served(**quirks) as (_, ask):
        refused = await ask("GET", "/Users/nobody")
        assert refused.status == 404
        assert refused.headers.get("content-type", "application/octet-stream").startswith(content_type)
        assert (refused.body or b"").startswith(body)


async def test_errors_with_odd_fields() -> None:
    async with served(integer_error_status=True, not_found_says_invalid_syntax=True) as (server, ask):
        refused = await ask("GET", "/Users/nobody")
        assert (refused.body["status"], refused.scim_type) == (404, "invalidSyntax")
        server.quirks = Quirks(errors_without_scim_type=True)
        assert (await ask("POST", "/Users", {"schemas": [USER]})).scim_type is None


async def test_the_config_document_is_missing_or_odd() -> None:
    async with served(spc_missing=True) as (server, ask):
        assert (await ask("GET", "/ServiceProviderConfig")).status == 404
        server.quirks = Quirks(spc_odd=True, spc_overrides={"patch": None})
        document = (await ask("GET", "/ServiceProviderConfig")).body
        assert (document["etag"], document["sort"], document["patch"]) == ("no", None, None)


async def test_versions_that_mean_nothing() -> None:
    async with served(etag_ignored=True) as (server, ask):
        path = f"/Users/{server.put('user', userName='ann')}"
        assert (await ask("DELETE", path, If_Match='W/"0"')).status == 204
        server.quirks = Quirks(etag_supported=False)
        assert "etag" not in (await ask.user("bea")).headers


async def test_large_bodies() -> None:
    async with served(body_bytes_max=500) as (_, ask):
        assert (await ask.user("a" * 500)).status == 413


async def test_connections_are_closed() -> None:
    async with served(closes_connections=True) as (_, ask):
        assert (await ask("GET", "/Users")).headers["connection"] == "close"
        assert (await ask("GET", "/Users")).status == 200


async def test_a_server_forgets() -> None:
    async with served() as (server, ask):
        path = f"/Users/{(await ask.user('ann')).body['id']}"
        server.forget()
        assert (await ask.patch(path, put("title", "x"))).status == 404
        assert (await ask.user("ann")).status == 201


async def test_a_server_stops_and_comes_back() -> None:
    async with served() as (server, ask):
        await ask.user("ann")
        await server.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask("GET", "/Users")
        await server.start()
        assert len((await ask("GET", "/Users")).rows) == 1
