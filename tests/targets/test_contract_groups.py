"""Listings and groups on servers that do not follow the RFC: one quirk, one promise."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.model import Change, TargetId
from reconciler.core.outcomes import Done, Failed, Fault, ListEnd, MembersDone
from reconciler.core.profile import Profile
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer
from tests.targets.opening import ENTRA_PROFILE, PROFILE, PUT_PROFILE, Opened, odd, opened

pytestmark = pytest.mark.looptime

# --- listing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quirks", "whole"),
    [
        ({}, True),
        ({"page_max": 3}, True),
        ({"repeats_first_page": True}, True),
        ({"count_refused_above": 5}, True),
        ({"count_refused_above": 5, "count_refused_status": 500}, True),
        ({"wrong_total_results": "page_size", "page_max": 4}, None),
        ({"wrong_total_results": 7}, None),
        ({"wrong_total_results": "missing"}, None),
        ({"filter_refused": 400}, True),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 10, 23])
async def test_a_listing_ends_and_shows_everyone(quirks: dict[str, Any], whole: bool | None, count: int) -> None:
    async with ScimServer(Quirks(**quirks)) as server, opened(server, replace(PROFILE, page_size=10)) as at:
        ids = {server.put("user", userName=f"user{n:02}") for n in range(count)}
        accounts, end = await at.listed("user")
        assert sorted(account.id for account in accounts) == sorted(ids)
        assert isinstance(end, ListEnd)
        if whole is not None:
            assert end == ListEnd(complete=whole)
        assert len(server.requests) <= count + 6


async def test_a_listing_that_never_moves_on_is_not_whole() -> None:
    quirks = Quirks(ignores_start_index=True)
    async with ScimServer(quirks) as server, opened(server, replace(PROFILE, page_size=10)) as at:
        for n in range(23):
            server.put("user", userName=f"user{n:02}")
        accounts, end = await at.listed("user")
        assert len(accounts) == 10
        assert isinstance(end, ListEnd)
        assert not end.complete
        assert end.why
        assert len(server.requests) <= 5


# --- groups ------------------------------------------------------------------------------------------------------


async def _group_of(server: ScimServer, at: Opened, count: int) -> tuple[TargetId, list[TargetId]]:
    ids = [TargetId(server.put("user", userName=f"user{n:03}")) for n in range(count)]
    return (await at.group()).id, ids


@pytest.mark.parametrize(
    "quirks",
    [
        {"members_per_patch_max": 100},
        {"members_per_patch_max": 30},
        {"members_per_patch_max": 30, "too_many_members_status": 413},
        {"members_per_patch_max": 1},
        {"body_bytes_max": 2000},
        {"patch_no_content": True},
        {"patch_unsupported": True},
        {"patch_unsupported": True, "spc_missing": True},
        {"ignores_excluded_attributes": True},
        {"writes_without_left_out": True},
        {"duplicates_members": True},
        {"no_target_on_remove": True},
        {"pathless_patch_refused": True},
        {"patch_capitals_refused": True},
    ],
)
async def test_members_are_as_asked_for(quirks: dict[str, Any]) -> None:
    async with odd(**quirks) as (server, at):
        group, ids = await _group_of(server, at, 130)
        added = await at.target.change_members(group, ids, [])
        assert isinstance(added, MembersDone), added
        assert (set(added.done), added.refused) == (set(ids), {})
        assert server.members("Sales") == set(ids)
        removed = await at.target.change_members(group, [], ids[:120])
        assert isinstance(removed, MembersDone), removed
        assert (set(removed.done), removed.refused) == (set(ids[:120]), {})
        assert server.members("Sales") == set(ids[120:])


@pytest.mark.parametrize("profile", [PROFILE, ENTRA_PROFILE])
@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"refuses_member_filter_remove": True},
        {"refuses_member_filter_remove": True, "understands_entra_remove": True},
        {"refuses_member_filter_remove": True, "entra_remove_wipes_group": True},
        {"understands_entra_remove": True},
        {"entra_remove_wipes_group": True},
    ],
)
async def test_members_leave_and_nobody_else(profile: Profile, quirks: dict[str, Any]) -> None:
    async with odd(profile, **quirks) as (server, at):
        group, ids = await _group_of(server, at, 12)
        await at.target.change_members(group, ids, [])
        await at.ask.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": "by-hand"}]})
        for leaving in (ids[:3], ids[3:5]):
            outcome = await at.target.change_members(group, [], leaving)
            assert isinstance(outcome, MembersDone), outcome
            assert (set(outcome.done), outcome.refused) == (set(leaving), {})
        assert server.members("Sales") == {*ids[5:], "by-hand"}


QUIET = "excludedAttributes"


async def test_a_large_group_is_not_shown_after_each_batch_where_that_is_safe() -> None:
    async with odd() as (server, at):
        group, ids = await _group_of(server, at, 1000)
        done = await at.target.change_members(group, ids, [])
        assert isinstance(done, MembersDone)
        assert (sorted(done.done), done.refused) == (sorted(ids), {})
        assert server.members("Sales") == set(ids)
        assert [QUIET in seen.query for seen in server.sent("PATCH")] == [False, *[True] * 9]
        server.clear_requests()
        await at.target.change_members(group, [], ids[:1])
        change = Change("displayName", "Sales", "Support")
        await at.target.update("group", group, [change], {"displayName": "Sales"})
        assert all(QUIET in seen.query for seen in server.sent("PATCH"))
        assert server.members("Support") == set(ids[1:])


@pytest.mark.parametrize(
    "quirks",
    [
        {"writes_without_left_out": True},
        {"no_members_on_get": True},
        {"member_value_is_user_name": True},
        {"ids": "number"},
        {"patch_unsupported": True},
        {"members_per_patch_max": 30},
    ],
)
async def test_a_large_group_is_filled_whatever_becomes_of_what_is_left_out(quirks: dict[str, Any]) -> None:
    async with odd(**quirks) as (server, at):
        group, ids = await _group_of(server, at, 1050)
        done = await at.target.change_members(group, ids, [])
        assert isinstance(done, MembersDone)
        assert (sorted(done.done), done.refused) == (sorted(ids), {})
        assert {str(one) for one in server.members("Sales")} == set(ids)
        await at.target.change_members(group, [], ids[:40])
        assert {str(one) for one in server.members("Sales")} == set(ids[40:])


async def test_a_group_with_members_is_never_what_it_is_found_out_with() -> None:
    async with odd(writes_without_left_out=True) as (server, at):
        ids = [TargetId(server.put("user", userName=f"user{n:04}")) for n in range(1000)]
        group = TargetId(server.put("group", displayName="Sales", members=[{"value": "by-hand"}]))
        await at.target.change_members(group, ids, [])
        assert server.members("Sales") == {*ids, "by-hand"}
        assert not any(QUIET in seen.query for seen in server.sent("PATCH"))


async def test_a_large_group_may_take_its_time() -> None:
    async with odd(seconds_per_member=0.004, ignores_excluded_attributes=True) as (server, at):  # 40 s each time
        ids = [TargetId(server.put("user", userName=f"user{n:03}")) for n in range(250)]
        others = [{"value": f"other{n}"} for n in range(10_000)]
        group = TargetId(server.put("group", displayName="Sales", members=others))
        done = await at.target.change_members(group, ids, [])
        assert isinstance(done, MembersDone)
        assert (set(done.done), done.refused) == (set(ids), {})
        assert [seen.method for seen in server.requests if seen.method != "GET"] == ["PATCH"] * 3
        assert len(server.members("Sales")) == 10_250


async def test_one_member_that_is_refused_holds_nobody_up() -> None:
    async with odd(unknown_members_refused=True) as (server, at):
        group, ids = await _group_of(server, at, 60)
        unknown = TargetId("unknown")
        outcome = await at.target.change_members(group, [*ids[:20], unknown, *ids[20:]], [])
        assert isinstance(outcome, MembersDone)
        assert set(outcome.done) == set(ids)
        assert outcome.refused.keys() == {unknown}
        assert server.members("Sales") == set(ids)


async def test_a_full_group_refuses_and_says_so() -> None:
    async with odd(members_per_group_max=50) as (server, at):
        group, ids = await _group_of(server, at, 60)
        outcome = await at.target.change_members(group, ids, [])
        assert isinstance(outcome, MembersDone)
        assert set(outcome.done) == server.members("Sales")
        assert set(outcome.done) | outcome.refused.keys() == set(ids)


async def test_members_that_the_target_hides_are_unknown() -> None:
    async with odd(no_members_on_get=True) as (server, at):
        group, ids = await _group_of(server, at, 3)
        done = await at.target.change_members(group, ids, [])
        assert isinstance(done, MembersDone)
        assert isinstance(await at.target.members(group), Failed)
        renamed = await at.target.update(
            "group", group, [Change("displayName", "Sales", "Support")], {"displayName": "Sales"}
        )
        assert isinstance(renamed, Done)
        assert server.members("Support") == set(ids)


async def test_what_is_refused_of_users_is_patched_in_groups() -> None:
    async with odd(patch_unsupported_for=("title",), no_members_on_get=True) as (server, at):
        group, ids = await _group_of(server, at, 3)
        await at.target.change_members(group, ids, [])
        user = await at.user()
        of_user = [Change("displayName", None, "Ann"), Change("title", None, "Engineer")]
        assert isinstance(await at.target.update("user", user.id, of_user, user.resource), Done)
        assert isinstance(await at.target.members(group), Failed)
        change = Change("displayName", "Sales", "Support")
        assert isinstance(await at.target.update("group", group, [change], {"displayName": "Sales"}), Done)
        assert server.members("Support") == set(ids)


@pytest.mark.parametrize("profile", [PROFILE, PUT_PROFILE])
async def test_a_rename_loses_no_member(profile: Profile) -> None:
    async with odd(profile, writes_without_left_out=True) as (server, at):
        group, ids = await _group_of(server, at, 3)
        await at.target.change_members(group, ids, [])
        change = Change("displayName", "Sales", "Support")
        assert isinstance(await at.target.update("group", group, [change], {"displayName": "Sales"}), Done)
        assert server.members("Support") == set(ids)


async def test_a_member_who_was_deleted_is_no_obstacle() -> None:
    async with odd(keeps_stale_members=True) as (server, at):
        group, ids = await _group_of(server, at, 3)
        await at.target.change_members(group, ids, [])
        await at.target.delete("user", ids[0])
        members = await at.target.members(group)
        assert isinstance(members, frozenset)
        assert set(ids) >= members >= set(ids[1:])
        outcome = await at.target.change_members(group, [], ids[:1])
        assert isinstance(outcome, MembersDone)
        assert server.members("Sales") == set(ids[1:])


NO_EMPTY_LIST: dict[str, Any] = {"patch_unsupported": True, "put_resets": False}


def stayed(outcome: MembersDone | Failed) -> dict[TargetId, str]:
    """Return who was not taken out, with the reason's code."""
    assert isinstance(outcome, MembersDone), outcome
    return {one: failure.error_code for one, failure in outcome.refused.items()}


async def test_the_last_member_of_a_group_who_is_shown_in_it_still_is_not_out() -> None:
    async with odd(**NO_EMPTY_LIST) as (server, at):
        group, ids = await _group_of(server, at, 4)
        await at.target.change_members(group, ids[:3], [])
        outcome = await at.target.change_members(group, [], ids[:3])
        last = {ids[2]: "RemovalNotKept"}
        assert (stayed(outcome), server.members("Sales")) == (last, {ids[2]}), "all but one are out"
        server.clear_requests()
        assert stayed(await at.target.change_members(group, [], ids[2:3])) == last
        assert [seen.method for seen in server.requests] == ["GET", "PUT", "GET"]
        assert stayed(await at.target.change_members(group, ids[3:], ids[2:3])) == {}
        assert server.members("Sales") == {ids[3]}, "with somebody else in the list it is read"


async def test_a_removal_by_patch_that_was_passed_over_is_not_done() -> None:
    async with odd() as (server, at):
        group, ids = await _group_of(server, at, 4)
        await at.target.change_members(group, ids, [])
        assert stayed(await at.target.change_members(group, [], ids[:1])) == {}
        server.quirks = Quirks(patch_silent_no_op=("members",))
        assert set(stayed(await at.target.change_members(group, [], ids[1:3]))) == set(ids[1:3])
        server.quirks = Quirks()
        assert stayed(await at.target.change_members(group, [], ids[1:3])) == {}
        assert server.members("Sales") == {ids[3]}


async def test_what_passes_over_members_in_every_form_is_not_taken_for_the_form_to_use() -> None:
    async with odd(patch_silent_no_op=("members",), put_resets=False) as (server, at):
        group, ids = await _group_of(server, at, 2)
        server.group("Sales")["members"] = [{"value": ids[0]}]
        assert set(stayed(await at.target.change_members(group, [], ids[:1]))) == {ids[0]}
        server.quirks = Quirks()
        server.clear_requests()
        assert stayed(await at.target.change_members(group, ids[1:], ids[:1])) == {}
        assert "PUT" not in {seen.method for seen in server.requests}


@pytest.mark.parametrize("quirks", [{}, {"patch_unsupported": True}])
async def test_an_answer_of_what_was_before_is_looked_at_once_more(quirks: dict[str, Any]) -> None:
    async with odd(answers_before=True, **quirks) as (server, at):
        group, ids = await _group_of(server, at, 4)
        await at.target.change_members(group, ids, [])
        for leaving in (ids[:1], ids[1:3], ids[3:]):
            assert stayed(await at.target.change_members(group, [], leaving)) == {}
        assert server.members("Sales") == set()


async def test_who_is_not_shown_after_a_removal_is_out() -> None:
    async with odd(no_members_on_get=True) as (server, at):
        group, ids = await _group_of(server, at, 3)
        await at.target.change_members(group, ids, [])
        server.clear_requests()
        assert stayed(await at.target.change_members(group, [], ids[:2])) == {}
        assert [seen.method for seen in server.requests].count("GET") <= 1


@pytest.mark.parametrize("answer", ["refused", "server_error"])
async def test_a_second_group_of_one_name(answer: str) -> None:
    async with odd(duplicate_groups=answer) as (server, at):
        await at.group("Sales")
        second = await at.target.create("group", {"displayName": "sales"})
        assert isinstance(second, Failed)
        assert second.fault is (Fault.CONFLICT if answer == "refused" else Fault.SERVER_ERROR)
        assert len(server.groups) == 1


# --- what the target says of itself ------------------------------------------------------------------------------


@pytest.mark.parametrize("quirks", [{"spc_odd": True}, {"spc_missing": True}, {"filter_refused": 400}])
async def test_a_connection_test_survives(quirks: dict[str, Any]) -> None:
    async with odd(**quirks) as (server, at):
        diagnoses = await at.target.test()
        assert diagnoses
        assert diagnoses[0].ok
        assert {seen.method for seen in server.requests} == {"GET"}


async def test_the_config_document_is_asked_for_once() -> None:
    async with odd(spc_missing=True) as (server, at):
        account = await at.user()
        for title in ("A", "B"):
            await at.target.update("user", account.id, [Change("title", None, title)], account.resource)
        await at.listed("user")
        assert [seen.path for seen in server.requests].count("/ServiceProviderConfig") <= 1


@pytest.mark.parametrize("quirks", [{}, {"unknown_members_refused": True}])
async def test_removals_on_a_target_that_shows_user_names_as_members_put_nobody_back(quirks: dict[str, Any]) -> None:
    async with odd(member_value_is_user_name=True, **quirks) as (server, at):
        ids = [TargetId(server.put("user", userName=f"u{number}")) for number in range(4)]
        group = (await at.group()).id
        await at.target.change_members(group, ids, [])
        await at.target.change_members(group, [], ids[:2])
        assert server.members("Sales") == set(ids[2:])
