"""The way of one user through the house, and back out of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.quirks import Quirks
from tests.servers.schemas import LIST_RESPONSE
from tests.servers.scim import ScimServer


@pytest.fixture
async def server() -> AsyncIterator[ScimServer]:
    async with ScimServer() as running:
        yield running


async def test_an_initial_cycle_creates_everybody_and_the_next_one_sends_nothing(
    tmp_path: Path, server: ScimServer
) -> None:
    company = Company(tmp_path, server)
    company.people("ann", "bob", "cleo")
    first = await company.cycle()
    assert (first.kind, first.state, first.exit_code) == ("initial", "active", 0)
    assert done(first) == {"create": 3}
    assert {user["userName"] for user in server.users.values()} == {
        "ann@example.com",
        "bob@example.com",
        "cleo@example.com",
    }
    server.clear_requests()
    second = await company.cycle()
    assert (second.kind, done(second), server.requests) == ("incremental", {}, [])


async def test_a_changed_title_is_one_patch_of_one_attribute(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    server.clear_requests()
    company.users["ann"]["jobTitle"] = "Manager"
    report = await company.cycle()
    assert done(report) == {"update": 1}
    (patch,) = server.sent("PATCH")
    assert [seen.path for seen in server.sent("GET")] == ["/ServiceProviderConfig"], (
        "asked once, before the first PATCH"
    )
    assert patch.body["Operations"] == [{"op": "replace", "path": "title", "value": "Manager"}]


async def test_somebody_inactive_is_disabled_and_enabled_again_on_return(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user("ann@example.com")["active"] is False
    assert done(await company.cycle()) == {}
    company.users["ann"]["accountEnabled"] = True
    assert done(await company.cycle()) == {"enable": 1}
    assert server.user("ann@example.com")["active"] is True


async def test_somebody_who_is_gone_is_disabled_and_comes_back_to_the_same_account(
    tmp_path: Path, server: ScimServer
) -> None:
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    account = server.user("ann@example.com")["id"]
    ann = company.users.pop("ann")
    assert done(await company.cycle()) == {"disable": 1}
    company.users["ann"] = ann
    assert done(await company.cycle()) == {"enable": 1}
    assert server.user("ann@example.com")["id"] == account


async def test_a_rehire_under_a_new_id_gets_the_old_account_back(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    account = server.user("ann@example.com")["id"]
    del company.users["ann"]
    await company.cycle()
    company.person("ann2", userPrincipalName="ann@example.com", displayName="Ann", employeeId="E-ann")
    report = await company.cycle()
    assert done(report) == {"adopt": 1}
    assert server.user("ann@example.com")["id"] == account
    assert server.user("ann@example.com")["active"] is True
    assert len(server.users) == 2


async def test_a_rehire_whose_account_is_shown_as_it_was_before_our_disable_is_switched_on(
    tmp_path: Path, server: ScimServer
) -> None:
    """The parts of some apps agree only after a while: what was disabled a moment ago shows on."""
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    shown_before = dict(server.user("ann@example.com"))
    del company.users["ann"]
    await company.cycle()
    company.person("ann2", userPrincipalName="ann@example.com", displayName="Ann", employeeId="E-ann")
    stale = {"schemas": [LIST_RESPONSE], "totalResults": 1, "Resources": [shown_before]}
    server.script.on("GET", "/Users$", then=Status(200, body=stale), times=FOR_EVER)
    assert done(await company.cycle()) == {"adopt": 1}
    assert server.user("ann@example.com")["active"] is True


async def test_a_rehire_in_the_same_cycle_keeps_the_account_on_and_in_its_groups(
    tmp_path: Path, server: ScimServer
) -> None:
    company = Company(tmp_path, server)
    company.tables = GROUPS
    company.people("ann", "bob")
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    account = server.user("ann@example.com")["id"]
    del company.users["ann"]
    company.person("ann2", userPrincipalName="ann@example.com", displayName="Ann", employeeId="E-ann")
    company.group("g1", ["ann2", "bob"], "Crew")
    report = await company.cycle()
    assert done(report) == {"adopt": 1}
    assert server.user("ann@example.com")["id"] == account
    assert server.user("ann@example.com")["active"] is True
    assert account in server.members("Crew")


async def test_a_new_person_never_gets_the_account_of_a_leaver(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    await company.cycle()
    company.person("other", userPrincipalName="ann@example.com", employeeId="E-other")
    report = await company.cycle()
    assert [failure["error_code"] for failure in report.failures] == ["AccountTaken"]
    assert server.user("ann@example.com")["active"] is False
    assert report.exit_code == 1


async def test_existing_accounts_are_adopted_not_made_again(tmp_path: Path, server: ScimServer) -> None:
    server.put("user", userName="ANN@example.com", title="Old", active=True)
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    report = await company.cycle()
    assert done(report) == {"adopt": 1, "create": 1}
    assert server.user("ann@example.com")["title"] == "Engineer"
    assert len(server.users) == 2


async def test_many_existing_accounts_are_found_with_one_list(tmp_path: Path, server: ScimServer) -> None:
    for number in range(30):
        server.put("user", userName=f"p{number}@example.com", active=True, displayName=f"P{number}", title="Engineer")
    company = Company(tmp_path, server)
    company.people(*(f"p{number}" for number in range(30)))
    report = await company.cycle()
    assert report.counts["adopt"] == 30
    assert len(server.sent("POST")) == 0
    lists = [seen for seen in server.sent("GET") if seen.path == "/Users"]
    assert len(lists) <= 2
    assert all("filter" not in seen.query for seen in lists)


async def test_leavers_wait_for_the_whole_reading_and_go_before_the_creates(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.people(*(f"p{number}" for number in range(20)))
    await company.cycle()
    del company.users["p3"]
    company.people("new")
    report = await company.cycle()
    assert done(report) == {"create": 1, "disable": 1}
    del company.users["p4"]
    company.concurrency = 1
    company.people(*(f"new{number}" for number in range(600)))
    server.clear_requests()
    assert done(await company.cycle()) == {"create": 600, "disable": 1}
    sent = [seen.method for seen in server.requests if seen.method != "GET"]
    assert sent.index("PATCH") < 300, "most of the creates still wait when the reading has ended"


BARE = Quirks(conflict_status=400, empty_errors=True)


@pytest.mark.parametrize("quirks", [Quirks(), Quirks(filter_refused=400), Quirks(ignores_filter=True), BARE])
async def test_two_people_swap_names(quirks: Quirks, tmp_path: Path, server: ScimServer) -> None:
    server.quirks = quirks
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    ann, bob = server.user("ann@example.com")["id"], server.user("bob@example.com")["id"]
    company.users["ann"]["userPrincipalName"] = "bob@example.com"
    company.users["bob"]["userPrincipalName"] = "ann@example.com"
    report = await company.cycle()
    assert report.failures == []
    assert (server.user("bob@example.com")["id"], server.user("ann@example.com")["id"]) == (ann, bob)
    server.clear_requests()
    await company.cycle()
    assert server.requests == []


async def test_an_interim_name_is_no_longer_than_a_name_may_be(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    first, second = f"{'a' * 46}.first@example.com", f"{'a' * 46}.second@example.com"
    company.person("ann", userPrincipalName=first)
    company.person("bob", userPrincipalName=second)
    await company.cycle()
    company.users["ann"]["userPrincipalName"], company.users["bob"]["userPrincipalName"] = second, first
    assert done(await company.cycle()) == {"update": 2}
    (interim,) = {name.decode() for seen in server.requests for name in re.findall(rb'interim-[^"]+', seen.raw)}
    assert re.fullmatch(r"interim-[0-9a-f]{8}-a{46}@example\.com", interim)


@pytest.mark.parametrize("hides", [(), ("userName",)], ids=["shown", "hidden"])
async def test_two_people_swap_names_and_one_of_them_is_switched_off(
    hides: tuple[str, ...], tmp_path: Path, server: ScimServer
) -> None:
    server.quirks = Quirks(filter_lies_empty=hides)
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    ann, bob = server.user("ann@example.com")["id"], server.user("bob@example.com")["id"]
    company.users["ann"]["userPrincipalName"] = "bob@example.com"
    [failure] = (await company.cycle()).failures
    assert f"the account {bob} belongs to bob" in failure["reason"]
    company.users["bob"] |= {"userPrincipalName": "ann@example.com", "accountEnabled": False}
    assert done(await company.cycle()) == {"disable": 1, "failure": 1}
    assert server.users[bob]["active"] is False
    assert done(await company.cycle()) == {"update": 2}
    assert (server.user("bob@example.com")["id"], server.user("ann@example.com")["id"]) == (ann, bob)
    assert (server.users[ann]["active"], server.users[bob]["active"]) == (True, False)


async def test_who_waits_for_a_name_that_nobody_frees_keeps_her_own(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    theirs = server.put("user", userName="taken@example.com", active=True)
    company.users["ann"]["userPrincipalName"] = "taken@example.com"
    company.users["bob"]["userPrincipalName"] = "ann@example.com"
    report = await company.cycle()
    assert sorted((failure["id"], failure["error_code"]) for failure in report.failures) == [
        ("ann", "EntryConflict"),
        ("bob", "DuplicateSourceEntries"),
    ]
    assert f"the account {theirs}, which is nobody's here, has the name" in {f["reason"] for f in report.failures}
    names = {user.get("externalId"): user["userName"] for user in server.users.values()}
    assert names == {"ann": "ann@example.com", "bob": "bob@example.com", None: "taken@example.com"}
    del server.users[theirs]
    assert done(await company.cycle()) == {"update": 2}
    assert {user["externalId"]: user["userName"] for user in server.users.values()} == {
        "ann": "taken@example.com",
        "bob": "ann@example.com",
    }


@pytest.mark.parametrize("quirks", [Quirks(), BARE])
async def test_who_comes_back_under_a_name_that_is_taken_is_enabled_under_her_old_one(
    quirks: Quirks, tmp_path: Path, server: ScimServer
) -> None:
    server.quirks = quirks
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    await company.cycle()
    theirs = server.put("user", userName="taken@example.com", active=True)
    company.users["ann"] |= {"accountEnabled": True, "userPrincipalName": "taken@example.com"}
    report = await company.cycle()
    assert (done(report), [f["error_code"] for f in report.failures]) == (
        {"enable": 1, "failure": 1},
        ["EntryConflict"],
    )
    assert server.user("ann@example.com")["active"] is True
    for _ in range(3):
        report = await company.cycle()
        assert "enable" not in report.counts
        company.clock.turn(HOUR)
    server.clear_requests()
    await company.cycle()
    assert server.requests == [], "what is left waits as any conflict does"
    del server.users[theirs]
    company.clock.turn(2 * DAY)
    assert done(await company.cycle()) == {"update": 1}
    assert [user["active"] for user in server.users.values()] == [True, True]
    assert server.user("taken@example.com")["externalId"] == "ann"
    log = [(row["action"], row["status"]) for row in await company.log()]
    assert log[3:] == [("update", "success"), ("update", "failure"), ("update", "failure"), ("update", "success")]


@pytest.mark.parametrize("quirks", [Quirks(), BARE])
async def test_who_cannot_get_the_other_name_has_her_own_again(
    quirks: Quirks, tmp_path: Path, server: ScimServer
) -> None:
    server.quirks = quirks
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    ann, bob = server.user("ann@example.com")["id"], server.user("bob@example.com")["id"]
    company.users["ann"]["userPrincipalName"] = "bob@example.com"
    company.users["bob"]["userPrincipalName"] = "ann@example.com"
    server.script.on("PATCH", f"/Users/{bob}", then=Status(400), times=FOR_EVER)
    report = await company.cycle()
    assert done(report) == {"failure": 2}
    assert (server.user("ann@example.com")["id"], server.user("bob@example.com")["id"]) == (ann, bob)
    server.script.clear()
    company.clock.turn(2 * 86400.0)
    assert done(await company.cycle()) == {"update": 2}
    assert (server.user("bob@example.com")["id"], server.user("ann@example.com")["id"]) == (ann, bob)


async def test_a_new_name_that_is_refused_and_free_is_not_sent_again(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["userPrincipalName"] = "ann.married@example.com"
    server.script.on("PATCH", "/Users", then=Status(400), times=FOR_EVER)
    server.clear_requests()
    report = await company.cycle()
    assert [failure["error_code"] for failure in report.failures] == ["UnprocessableEntity"]
    assert len(server.sent("PATCH")) == 1


async def test_a_name_freed_in_this_cycle_can_be_taken_in_it(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["userPrincipalName"] = "ann.married@example.com"
    company.person("zoe", userPrincipalName="ann@example.com")
    report = await company.cycle()
    assert report.failures == []
    assert server.user("ann@example.com")["externalId"] == "zoe"
    assert server.user("ann.married@example.com")["externalId"] == "ann"


async def test_managers_follow_when_they_have_an_account(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.attributes += MANAGER
    company.person("ann", manager="boss")
    company.person("boss")
    report = await company.cycle()
    assert report.failures == []
    extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    assert server.user("ann@example.com")[extension]["manager"]["value"] == server.user("boss@example.com")["id"]
    server.clear_requests()
    await company.cycle()
    assert server.requests == []


async def test_groups_are_created_empty_and_filled_in_batches(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.tables = GROUPS
    people = [f"p{number}" for number in range(230)]
    company.people(*people)
    company.group("g1", people, "Everybody")
    report = await company.cycle()
    assert done(report) == {"create": 231, "members_added": 230}
    assert len(server.members("Everybody")) == 230
    (made,) = [seen for seen in server.sent("POST") if "Groups" in seen.path]
    assert "members" not in made.body
    assert len([seen for seen in server.sent("PATCH") if "Groups" in seen.path]) == 3
    server.clear_requests()
    await company.cycle()
    assert server.requests == []


async def test_a_group_change_is_just_that(tmp_path: Path, server: ScimServer) -> None:
    company = Company(tmp_path, server)
    company.tables = GROUPS
    company.people("ann", "bob", "cleo")
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    server.clear_requests()
    company.groups["g1"]["members"] = ["bob", "cleo"]
    company.groups["g1"]["displayName"] = "The crew"
    report = await company.cycle()
    assert done(report) == {"update": 1, "members_added": 1, "members_removed": 1}
    assert server.members("The crew") == {server.user(f"{name}@example.com")["id"] for name in ("bob", "cleo")}
    assert {seen.path.split("/")[1] for seen in server.requests} == {"Groups"}, "nothing about users was asked or sent"


async def test_a_member_who_comes_into_scope_later_is_added_then(tmp_path: Path, server: ScimServer) -> None:
    company = Company(
        tmp_path, server, job='scope = "assigned"\nassigned = [ { user = "ann@example.com" }, { group = "Crew" } ]'
    )
    company.tables = GROUPS
    company.people("ann")
    company.group("g1", ["ann", "late"], "Crew")
    await company.cycle()
    assert len(server.members("Crew")) == 1
    company.people("late")
    report = await company.cycle()
    assert done(report) == {"create": 1, "members_added": 1}
    assert len(server.members("Crew")) == 2
