"""Microsoft Graph as a target, against the double: names, batches, limits, restores, and what comes late."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
import pytest

from reconciler import config
from reconciler.core.model import Change, Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, ListEnd, ListPage, MembersDone, Missing
from reconciler.core.profile import Profile
from reconciler.net.auth import ClientCredentials
from reconciler.net.client import Client, Lanes
from reconciler.net.exchange import AiohttpExchange
from reconciler.targets.graph import GraphTarget
from tests.cycles.calendar import Calendar, NoLuck
from tests.servers.faults import FOR_EVER, CutBody, DropAfterCommit, ServerFault, Status, WrongJson
from tests.servers.graph import CLIENT_ID, SECRET, TENANT, GraphServer, Throttle

PROFILE = replace(config.load_profile("graph", Path("/nowhere")), page_size=7)
PATHS: dict[Kind, tuple[str, ...]] = {
    "user": ("userPrincipalName", "mail", "accountEnabled", "displayName", "mailNickname", "jobTitle", "manager"),
    "group": ("displayName",),
}


def person(name: str, **more: Any) -> Resource:
    nickname = re.sub(r"[^a-z0-9]", "", name.lower())
    return {
        "userPrincipalName": f"{name}@example.com",
        "accountEnabled": True,
        "displayName": name,
        "mailNickname": nickname,
        **more,
    }


@dataclass(slots=True)
class Opened:
    target: GraphTarget
    server: GraphServer
    clock: Calendar

    async def user(self, name: str, **more: Any) -> Account:
        outcome = await self.target.create("user", person(name, **more))
        assert isinstance(outcome, Done), outcome
        assert outcome.account is not None
        return outcome.account

    async def together(self, count: int, first: str = "u") -> list[Done | Failed]:
        """Create so many users side by side."""
        outcomes: list[Done | Failed] = []

        async def create(number: int) -> None:
            outcomes.append(await self.target.create("user", person(f"{first}{number}")))

        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(create, number)
        return outcomes


@pytest.fixture
async def server() -> AsyncIterator[GraphServer]:
    async with GraphServer() as running:
        yield running


@pytest.fixture
async def at(server: GraphServer) -> AsyncIterator[Opened]:
    opened = target_of(server)
    yield opened
    await opened.target.close()


def target_of(server: GraphServer, profile: Profile = PROFILE) -> Opened:
    clock, dice = Calendar(), NoLuck()
    exchange = AiohttpExchange(connections=8)
    auth = ClientCredentials(
        exchange,
        clock,
        token_url=f"{server.origin}/{TENANT}/oauth2/v2.0/token",
        client_id=CLIENT_ID,
        read_secret=lambda: SECRET,
        scopes=(f"{server.origin}/.default",),
        send="body",
    )
    lane = Lanes().lane("graph", "test", concurrency=40, writes_per_second=profile.writes_per_second)
    client = Client(exchange, clock, dice, lane=lane, auth=auth)
    target = GraphTarget("test", url=server.url, profile=profile, client=client, clock=clock, paths=PATHS)
    return Opened(target, server, clock)


# --- who is there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["o'neill", "it's 'her'", "a&b=c", "x+y", "50%", "Ünïcode", "a or b", "#1"])
async def test_any_name_is_found_and_no_other(at: Opened, name: str) -> None:
    wanted = await at.user("ann", displayName=name)
    await at.user("bob", displayName=f"{name} too")
    found = await at.target.find("user", "displayName", name)
    assert isinstance(found, Found)
    assert [account.id for account in found.accounts] == [wanted.id]


async def test_a_name_is_found_whatever_its_case_with_what_is_only_shown_on_select(at: Opened) -> None:
    boss = await at.user("boss")
    ann = await at.user("Ann", manager=boss.id, jobTitle="Lead")
    found = await at.target.find("user", "userPrincipalName", "aNN@example.com")
    assert found == Found((ann,))
    assert ann.resource == {**person("Ann"), "manager": boss.id, "jobTitle": "Lead"}
    assert await at.target.get("user", ann.id) == ann
    assert await at.target.get("user", TargetId("nobody")) == Missing()


async def test_advanced_queries_are_asked_for_only_where_they_are_needed(at: Opened) -> None:
    await at.user("ann")
    await at.target.find("user", "mail", "ann@example.com")
    async for _ in at.target.listing("user"):
        pass
    eventual = {unquote(call.path.partition("?")[0]) for call in at.server.calls if "consistencylevel" in call.headers}
    assert eventual == {"/directory/deletedItems/microsoft.graph.user", "/users/$count"}


async def test_a_list_is_read_to_its_end_and_says_how_many_there_are(at: Opened) -> None:
    for number in range(20):
        at.server.tenant.put(f"u{number}@example.com")
    events = [event async for event in at.target.listing("user")]
    pages = [event for event in events if isinstance(event, ListPage)]
    assert events[-1] == ListEnd(True)
    assert [len(page.accounts) for page in pages] == [7, 7, 6]
    assert {page.total for page in pages} == {20}


async def test_the_token_follows_no_page_to_another_host(at: Opened) -> None:
    for number in range(9):
        at.server.tenant.put(f"u{number}@example.com")
    at.server.tenant.root = "http://elsewhere.example/v1.0"
    events = [event async for event in at.target.listing("user")]
    assert isinstance(events[-1], Failed)
    assert events[-1].fault is Fault.NOT_SCIM


async def test_a_wrong_address_is_not_taken_for_nobody(server: GraphServer) -> None:
    opened = target_of(server)
    wrong = GraphTarget(
        "test",
        url=f"{server.origin}/v2",
        profile=PROFILE,
        client=opened.target._client,  # because it is the same sign-in at another address
        clock=opened.clock,
        paths=PATHS,
    )
    outcome = await wrong.get("user", TargetId("1"))
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.NOT_SCIM
    await wrong.close()


# --- creating ----------------------------------------------------------------------------------------------------


async def test_an_initial_password_is_chance_is_changed_at_once_and_goes_nowhere_else(at: Opened) -> None:
    accounts = [await at.user("ann"), await at.user("bob")]
    profiles = [at.server.tenant.passwords[account.id] for account in accounts]
    assert [profile["forceChangePasswordNextSignIn"] for profile in profiles] == [True, True]
    assert profiles[0]["password"] != profiles[1]["password"]
    assert all("password" not in str(account.resource).lower() for account in accounts)


async def test_a_name_that_is_taken_is_a_conflict(at: Opened) -> None:
    await at.user("ann")
    outcome = await at.target.create("user", person("ANN"))
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.attribute) == (Fault.CONFLICT, "userPrincipalName")


async def test_somebody_deleted_comes_back_to_the_same_account_brought_up_to_date(at: Opened) -> None:
    boss, ann = await at.user("boss"), await at.user("ann", jobTitle="Agent")
    assert await at.target.delete("user", ann.id) == Done()
    at.server.clear()
    back = await at.user("ann", jobTitle="Lead", manager=boss.id)
    assert back.id == ann.id
    assert at.server.sent("POST", "/users") == []
    restored = at.server.tenant.users[ann.id]
    assert (restored["userPrincipalName"], restored["jobTitle"]) == ("ann@example.com", "Lead")
    assert at.server.tenant.managers[ann.id] == boss.id
    assert "passwordProfile" not in at.server.sent("PATCH")[0].body


async def test_one_whose_name_ends_alike_is_not_restored_nor_one_of_two(at: Opened) -> None:
    joann = await at.user("joann")
    await at.target.delete("user", joann.id)
    ann = await at.user("ann")
    assert ann.id != joann.id
    await at.target.delete("user", ann.id)
    again = at.server.tenant.put("ann@example.com")
    at.server.tenant.remove(again)
    third = await at.user("ann")
    assert third.id not in (ann.id, again, joann.id)


async def test_whom_not_all_of_the_directory_knows_yet_is_waited_for(at: Opened) -> None:
    at.server.tenant.late_reads = 3
    boss = await at.user("boss")
    ann = await at.user("ann", manager=boss.id)
    assert at.server.tenant.managers[ann.id] == boss.id
    assert sum(at.clock.slept) > 1.0
    assert len(at.server.sent("POST", "/users")) == 2


async def test_who_was_there_before_and_is_not_any_more_is_not_waited_for(at: Opened) -> None:
    change = [Change("jobTitle", None, "Lead")]
    outcome = await at.target.update("user", TargetId("gone"), change, {})
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.NOT_FOUND
    assert sum(at.clock.slept) == 0


# --- changing ----------------------------------------------------------------------------------------------------


async def test_where_the_change_fails_the_manager_is_not_set(at: Opened) -> None:
    boss, ann = await at.user("boss"), await at.user("ann")
    at.server.clear()
    changes = [Change("jobTitle", None, "x" * 200), Change("manager", None, boss.id)]
    outcome = await at.target.update("user", ann.id, changes, ann.resource)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.INVALID
    assert "jobTitle" in outcome.reason
    assert at.server.batches == [2]
    assert at.server.tenant.managers == {}


async def test_an_account_with_its_master_elsewhere_is_left_alone_with_that_reason(at: Opened) -> None:
    number = TargetId(at.server.tenant.put("ann@example.com", onPremisesSyncEnabled=True))
    change = [Change("jobTitle", None, "Lead")]
    unseen = await at.target.update("user", number, change, {})
    assert isinstance(unseen, Failed)
    assert unseen.error_code == "OnPremisesMastered"
    await at.target.find("user", "userPrincipalName", "ann@example.com")
    at.server.clear()
    seen = await at.target.update("user", number, change, {})
    assert isinstance(seen, Failed)
    assert seen.error_code == "OnPremisesMastered"
    assert at.server.writes == []


async def test_a_manager_who_is_taken_away_twice_is_away(at: Opened) -> None:
    ann = await at.user("ann")
    outcome = await at.target.update("user", ann.id, [Change("manager", "somebody", None)], ann.resource)
    assert outcome == Done()


# --- batches and limits ------------------------------------------------------------------------------------------


async def test_what_is_done_side_by_side_goes_in_batches_of_twenty(at: Opened) -> None:
    await at.user("first")
    outcomes = await at.together(50)
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert len(at.server.tenant.users) == 51
    assert max(at.server.batches) == 20
    assert at.target.requests["POST"] + at.target.requests["GET"] < 20


async def test_a_throttled_part_of_a_batch_waits_as_long_as_it_was_told_and_is_done_once(at: Opened) -> None:
    at.server.throttle = Throttle(times=3, retry_after_seconds=7, method="POST")
    outcomes = await at.together(12)
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert len(at.server.tenant.users) == 12
    assert len(at.server.sent("POST", "/users")) == 15
    assert max(at.clock.slept) >= 7.0
    names = [call.body["userPrincipalName"] for call in at.server.sent("POST", "/users")]
    assert len(set(names)) == 12


async def test_a_lost_answer_to_a_batch_makes_nobody_twice(at: Opened) -> None:
    await at.user("first")
    at.server.drop_batches = 0
    lost: list[Done | Failed] = []

    async def create(number: int) -> None:
        lost.append(await at.target.create("user", person(f"u{number}")))

    at.server.drop_batches = 2  # the questions to the recycle bin are asked again, the creates are not
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(create, number)
    names = [user["userPrincipalName"] for user in at.server.tenant.users.values()]
    assert len(names) == len(set(names))
    assert len(at.server.sent("POST", "/users")) == len(names)
    doubtful = [outcome for outcome in lost if isinstance(outcome, Failed)]
    assert all(outcome.may_have_been_done for outcome in doubtful)


async def test_three_thousand_changes_take_a_hundred_and_fifty_seconds(at: Opened) -> None:
    ann = await at.user("ann")
    began = at.clock.now()

    async def change(number: int) -> None:
        await at.target.update("user", ann.id, [Change("jobTitle", None, f"t{number}")], {})

    for start in range(0, 300, 60):
        async with anyio.create_task_group() as tasks:
            for number in range(start, start + 60):
                tasks.start_soon(change, number)
    assert at.clock.now() - began >= (300 - 20) / 20


# --- groups ------------------------------------------------------------------------------------------------------


async def test_members_are_added_and_taken_out_and_both_may_be_said_twice(at: Opened) -> None:
    people = [(await at.user(f"u{number}")).id for number in range(25)]
    made = await at.target.create("group", {"displayName": "Sales"})
    assert isinstance(made, Done)
    assert made.account is not None
    group = made.account.id
    for _ in range(2):
        outcome = await at.target.change_members(group, people, [])
        assert isinstance(outcome, MembersDone)
        assert (set(outcome.done), outcome.refused) == (set(people), {})
    assert await at.target.members(group) == frozenset(people)
    for _ in range(2):
        outcome = await at.target.change_members(group, [], people[:5])
        assert isinstance(outcome, MembersDone)
        assert (set(outcome.done), outcome.refused) == (set(people[:5]), {})
    assert await at.target.members(group) == frozenset(people[5:])
    outcome = await at.target.change_members(group, [TargetId("nobody")], [])
    assert isinstance(outcome, MembersDone)
    assert outcome.refused[TargetId("nobody")].fault is Fault.NOT_FOUND


async def test_a_group_that_is_gone_is_told_from_members_who_are(at: Opened) -> None:
    ann = await at.user("ann")
    made = await at.target.create("group", {"displayName": "Sales"})
    assert isinstance(made, Done)
    assert made.account is not None
    del at.server.tenant.groups[made.account.id], at.server.tenant.members[made.account.id]
    for add, remove in (([ann.id], []), ([], [ann.id])):
        outcome = await at.target.change_members(made.account.id, add, remove)
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.NOT_FOUND


async def test_a_group_that_not_all_of_the_directory_knows_yet_is_not_missing_when_its_members_are_read(
    at: Opened,
) -> None:
    made = await at.target.create("group", {"displayName": "Sales"})
    assert isinstance(made, Done)
    assert made.account is not None
    at.server.tenant.hide(made.account.id, requests=3)
    assert await at.target.members(made.account.id) == frozenset()
    assert sum(at.clock.slept) > 1.0


async def test_who_is_still_shown_in_a_group_was_not_taken_out_by_a_404(server: GraphServer) -> None:
    people = [TargetId(server.tenant.put(f"u{number}@example.com")) for number in range(2)]
    server.tenant.groups["g"] = {"id": "g", "displayName": "Sales"}
    server.tenant.members["g"] = list(people)
    server.tenant.late_members = 1
    opened = target_of(server)
    first = await opened.target.change_members(TargetId("g"), [], people)
    assert isinstance(first, MembersDone)
    assert (len(first.done), len(first.refused)) == (1, 1)
    assert set(first.refused) == set(server.tenant.members["g"])
    second = await opened.target.change_members(TargetId("g"), [], list(first.refused))
    assert (second, server.tenant.members["g"]) == (MembersDone(tuple(first.refused)), [])
    await opened.target.close()


@pytest.mark.parametrize("fault", [DropAfterCommit(), CutBody(), WrongJson(), Status(201, body={}, done=True)])
async def test_a_group_whose_create_got_no_answer_that_names_it_is_found_when_it_shows_and_is_not_made_twice(
    at: Opened, fault: ServerFault
) -> None:
    at.server.script.on("POST", "/groups$", then=fault)
    at.server.script.on("GET", "/groups$", then=Status(200, body={"value": []}), times=3)
    made = await at.target.create("group", {"displayName": "Sales"})
    assert isinstance(made, Done)
    assert made.account is not None
    assert list(at.server.tenant.groups) == [made.account.id]
    at.server.script.on("POST", "/groups$", then=fault)
    at.server.script.on("GET", "/groups$", then=Status(200, body={"value": []}), times=FOR_EVER)
    lost = await at.target.create("group", {"displayName": "Support"})
    assert isinstance(lost, Failed)
    assert (lost.may_have_been_done, lost.timed_out) == (True, True), "the next cycle asks, and not this one"


async def test_who_was_linked_by_name_is_told_so_and_the_address_is_not_blamed(at: Opened) -> None:
    await at.user("ann")
    outcome = await at.target.get("user", TargetId("ann@example.com"))
    assert isinstance(outcome, Failed)
    assert (outcome.error_code, "object id" in outcome.reason) == ("UnusableAnswer", True)


async def test_a_graph_that_throttles_for_long_is_not_asked_to_add_everybody_else(server: GraphServer) -> None:
    people = [TargetId(server.tenant.put(f"u{number}@example.com")) for number in range(100)]
    server.tenant.groups["g"] = {"id": "g", "displayName": "Sales"}
    server.tenant.members["g"] = []
    opened = target_of(server)
    assert await opened.target.change_members(TargetId("g"), people[:20], []) != MembersDone()
    server.clear()
    server.throttle = Throttle(times=10_000, retry_after_seconds=3600)
    outcome = await opened.target.change_members(TargetId("g"), people[20:], [])
    assert isinstance(outcome, Failed)
    assert (outcome.fault, len(server.writes)) == (Fault.THROTTLED, 20)
    await opened.target.close()
