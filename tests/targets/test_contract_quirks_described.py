"""What a Target promises on servers with quirks still holds where the server is described as an API like any other.

Not here, since a description sends what it says and nothing else: forms of PATCH and of filters, discovery, booleans as
texts, extensions that are misread, batches that are found to be too large for a server (test_rest halves them).
"""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.model import Change, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, ListEnd, MembersDone, Missing
from tests.targets.opening import SPOKEN, WORK_MAIL, created

pytestmark = pytest.mark.looptime
odd = SPOKEN["described"].odd


@pytest.mark.parametrize(
    "quirks",
    [
        {"ignores_filter": True},
        {"filter_repeats_rows": True},
        {"filter_refused": 400},
        {"filter_refused": 501},
        {"filter_refused_for": ("userName",), "html_errors": True},
        {"page_max": 5, "ignores_filter": True},
        {"wrong_total_results": "missing"},
        {"wrong_total_results": 0},
        {"wrong_total_results": "page_size", "ignores_filter": True},
        {"repeats_first_page": True, "ignores_filter": True},
        {"ignores_start_index": True, "ignores_filter": True},
        {"hides_rows": 5, "ignores_filter": True},
        {"total_grows": True, "ignores_filter": True},
    ],
)
async def test_a_question_never_hides_nor_mistakes_an_account(quirks: dict[str, Any]) -> None:
    async with odd(page_size=7, **quirks) as (server, at):
        for number in range(30):
            server.put("user", userName=f"user{number:02}", externalId="user29")
        wanted = TargetId(server.user("user29")["id"])
        found = await at.target.find("user", "userName", "USER29")
        if isinstance(found, Found):
            assert [account.id for account in found.accounts] == [wanted]
        else:
            assert found.fault in (Fault.UNSUPPORTED, Fault.NOT_SCIM)
        nobody = await at.target.find("user", "userName", "nobody")
        assert nobody == Found(()) or isinstance(nobody, Failed)


async def test_a_server_that_looks_into_another_attribute_is_not_believed() -> None:
    async with odd(filter_confuses={"userName": "externalId"}) as (server, at):
        ids = [server.put("user", userName=f"user{number}", externalId="user2") for number in range(3)]
        for name, wanted in (("user2", [ids[2]]), ("nobody", [])):
            found = await at.target.find("user", "userName", name)
            assert isinstance(found, Found)
            assert [account.id for account in found.accounts] == wanted


async def test_two_accounts_of_one_name_are_two_also_on_pages_of_one() -> None:
    async with odd(lax_unique=True, page_max=1) as (_, at):
        ids = {(await at.user("ann@example.com")).id, (await at.user("Ann@example.com")).id}
        found = await at.target.find("user", "userName", "ANN@example.com")
        assert isinstance(found, Found)
        assert {account.id for account in found.accounts} == ids


@pytest.mark.parametrize(
    ("quirks", "whole"),
    [
        ({}, True),
        ({"page_max": 3}, True),
        ({"repeats_first_page": True}, True),
        ({"wrong_total_results": "page_size"}, False),
        ({"wrong_total_results": "page_size", "page_max": 10}, False),
        ({"wrong_total_results": 10}, False),
        ({"wrong_total_results": "missing"}, False),
        ({"ignores_start_index": True}, False),
        ({"hides_rows": 2}, False),
        ({"total_grows": True}, False),
    ],
)
async def test_a_list_that_lies_is_never_whole(quirks: dict[str, Any], whole: bool) -> None:
    async with odd(page_size=10, **quirks) as (server, at):
        ids = {server.put("user", userName=f"user{number:02}") for number in range(30)}
        accounts, end = await at.listed("user")
        assert {account.id for account in accounts} <= ids
        assert (isinstance(end, ListEnd) and end.complete) is whole
        if whole:
            assert {account.id for account in accounts} == ids
        assert len(server.requests) <= 13


@pytest.mark.parametrize(
    "quirks",
    [
        {"created_without_id": True},
        {"created_without_body": True},
        {"created_without_location": True, "created_without_meta": True},
        {"locations": "relative"},
        {"ids": "number"},
        {"user_name_normalised_lower": True},
        {"closes_connections": True},
        {"etag_ignored": True},
        {"put_resets": False},
    ],
)
async def test_a_created_account_is_known_by_its_id_and_changed(quirks: dict[str, Any]) -> None:
    async with odd(**quirks) as (server, at):
        account = created(await at.target.create("user", {"userName": "Ann@example.com", "title": "Agent"}))
        assert account.id == str(server.user("ann@example.com")["id"])
        changed = await at.target.update("user", account.id, [Change("title", "Agent", "Lead")], account.resource)
        assert isinstance(changed, Done)
        assert server.user("ann@example.com")["title"] == "Lead"


@pytest.mark.parametrize(
    "quirks", [{}, {"conflict_without_scim_type": True}, {"html_errors": True}, {"empty_errors": True}]
)
async def test_a_taken_name_is_told(quirks: dict[str, Any]) -> None:
    async with odd(**quirks) as (server, at):
        await at.user()
        second = await at.target.create("user", {"userName": "Ann@example.com"})
        assert isinstance(second, Failed)
        assert second.fault is Fault.CONFLICT
        assert len(server.users) == 1


@pytest.mark.parametrize("form", ["digits", "number", "spaces", "email", "reserved"])
async def test_any_id_works_everywhere(form: str) -> None:
    async with odd(ids=form) as (server, at):
        ann, bea = await at.user("ann"), await at.user("bea")
        assert await at.target.get("user", ann.id) == ann
        assert isinstance(await at.target.update("user", ann.id, [Change("title", None, "Lead")], {}), Done)
        assert server.users[ann.id]["title"] == "Lead"
        group = await at.group()
        added = await at.target.change_members(group.id, [ann.id, bea.id], [])
        assert isinstance(added, MembersDone)
        assert set(added.done) == {ann.id, bea.id}
        assert await at.target.members(group.id) == frozenset({ann.id, bea.id})
        assert isinstance(await at.target.change_members(group.id, [], [ann.id]), MembersDone)
        assert await at.target.members(group.id) == frozenset({bea.id})
        accounts, end = await at.listed("user")
        assert ({account.id for account in accounts}, end) == ({ann.id, bea.id}, ListEnd(complete=True))
        assert isinstance(await at.target.delete("user", ann.id), Done)
        assert await at.target.get("user", ann.id) == Missing()


@pytest.mark.parametrize("quirks", [{"drops_attributes": ("title",)}, {"user_name_normalised_lower": True}])
async def test_a_success_without_a_change_is_shown_as_what_is_there(quirks: dict[str, Any]) -> None:
    async with odd(**quirks) as (_, at):
        account = await at.user("Ann@example.com", displayName="Ann")
        done = await at.target.update("user", account.id, [Change("title", None, "Agent")], account.resource)
        assert isinstance(done, Done)
        shown = await at.target.get("user", account.id)
        assert isinstance(shown, Account)
        assert done.account == shown


async def test_others_values_stay_when_a_whole_account_is_sent() -> None:
    async with odd() as (server, at):
        account = await at.user(active=True, **{WORK_MAIL: "ann@example.com"})
        held = server.user("ann@example.com")
        held["nickName"] = "Annie"
        held["emails"].append({"type": "home", "value": "ann@home.example"})
        off = [Change("active", True, False), Change(WORK_MAIL, "ann@example.com", "ann2@example.com")]
        assert isinstance(await at.target.update("user", account.id, off, account.resource), Done)
        after = server.user("ann@example.com")
        assert (after["active"], after["nickName"]) == (False, "Annie")
        assert sorted(each["value"] for each in after["emails"]) == ["ann2@example.com", "ann@home.example"]
