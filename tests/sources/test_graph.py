"""A tenant behind Microsoft Graph as a source, against the double: the contract, and what only Graph does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from reconciler.core.given import GivenAssignment
from reconciler.core.model import AppRole
from reconciler.core.outcomes import Fault
from reconciler.ports import Wanted
from tests.servers.graph import GraphServer, Throttle
from tests.servers.graph_delta import app_role
from tests.sources.contract import Seen, SourceContract, look, opened, read
from tests.sources.graph_tenant import ATTRIBUTES, WANTED, Office


@pytest.fixture
async def server() -> AsyncIterator[GraphServer]:
    async with GraphServer() as running:
        yield running


@pytest.fixture
def office(server: GraphServer) -> Office:
    return Office(server)


@pytest.fixture(params=["plain", "split", "repeated"])
async def scene(office: Office, server: GraphServer, request: pytest.FixtureRequest) -> Office:
    """The office of the contract: one row in a page, one member in a row, so that everything goes on."""
    deltas = server.tenant.deltas
    deltas.page_size, deltas.slice_size = 1, 1
    deltas.splits = request.param == "split"
    deltas.repeats = deltas.empty_page = request.param == "repeated"
    return office


class TestGraph(SourceContract):
    pass


# --- who is deleted, and comes back ---


async def test_a_deleted_user_is_gone_and_a_purged_one_for_good(office: Office) -> None:
    await office.hire("ann")
    await office.hire("bob")
    before = await without_groups(office)
    await office.dismiss("ann")
    after = await without_groups(office, before.token)
    entry = after.users[office.id_of("ann")]
    assert (entry.gone, entry.purged) == (True, False)
    del office.tenant.deleted[office.id_of("ann")]
    purged = (await without_groups(office, after.token)).users[office.id_of("ann")]
    assert (purged.gone, purged.purged) == (True, True)


async def test_of_whom_a_round_says_both_that_he_left_and_that_he_is_there_is_asked_for(office: Office) -> None:
    office.tenant.deltas.replays_removals = True
    await office.hire("ann", text="Engineer")
    await office.hire("bob")
    before = await without_groups(office)
    await office.dismiss("ann")
    after = await without_groups(office, before.token)
    await office.hire("ann", text="Back")
    again = (await without_groups(office, after.token)).users
    assert list(again) == [office.id_of("ann")]
    assert (again[office.id_of("ann")].gone, again[office.id_of("ann")].attributes["jobTitle"]) == (False, "Back")


async def test_whoever_changed_and_is_not_found_when_asked_for_is_read_again_by_the_next_cycle(office: Office) -> None:
    await office.hire("ann")
    await office.hire("bob")
    before = await without_groups(office)
    await office.change("ann", text="Chief")
    office.tenant.hide(office.id_of("ann"), requests=1)
    seen = await without_groups(office, before.token)
    assert (seen.complete, seen.users) == (False, {})
    assert "the next cycle reads it again" in seen.ends["user"].problems[0]
    assert (await without_groups(office, before.token)).users[office.id_of("ann")].attributes["jobTitle"] == "Chief"


async def test_a_replica_that_has_not_heard_of_a_change_does_not_hide_it(office: Office) -> None:
    await office.hire("ann", text="Engineer")
    await office.hire("bob")
    before = await without_groups(office)
    office.tenant.lag(office.id_of("ann"))
    await office.change("ann", text="Chief")
    seen = await without_groups(office, before.token)
    assert seen.users[office.id_of("ann")].attributes["jobTitle"] == "Chief"
    assert not (await without_groups(office, seen.token)).users, "it is told once"


async def test_who_is_not_found_is_gone_where_the_recycle_bin_has_her_and_else_not_known(office: Office) -> None:
    """A replica that has not heard of a new user answers as for one who is deleted."""
    await office.hire("ann")
    await office.hire("bob")
    await office.dismiss("bob")
    ann, bob = office.id_of("ann"), office.id_of("bob")
    office.tenant.hide(ann, requests=1)
    async with opened(office) as source:
        assert await source.fetch("user", [ann, bob], WANTED) == {bob: None}
        assert (await source.fetch("user", [ann], WANTED)).keys() == {ann}
        del office.tenant.deleted[bob]
        assert await source.fetch("user", [bob], WANTED) == {}, "a round tells who is deleted for good"


# --- links ---


async def test_a_tenant_that_was_moved_is_read_anew_and_nobody_is_gone(office: Office) -> None:
    await office.hire("ann")
    await office.found("crew", "ann")
    before = await look(office)
    office.tenant.deltas.resets = 1
    seen = await look(office, before.token)
    assert seen.complete and not seen.ends["memberships"].delta and seen.ends["user"].delta
    assert [group.partial for group in seen.members.values()] == [False]
    assert not (await look(office, seen.token)).users


async def test_a_link_that_is_too_old_in_the_middle_of_a_round_has_it_read_anew(office: Office) -> None:
    office.tenant.deltas.page_size = 1
    await office.hire("ann")
    await office.hire("bob")
    office.tenant.deltas.loses_rounds = 1
    seen = await without_groups(office)
    assert seen.complete and seen.users.keys() == {office.id_of("ann"), office.id_of("bob")}
    office.tenant.deltas.loses_rounds = 2
    lost = await without_groups(office)
    assert not lost.complete and not lost.users
    assert "again and again" in lost.ends["user"].problems[0]


async def test_no_link_leads_our_token_to_another_host(office: Office) -> None:
    await office.hire("ann")
    office.tenant.root = "https://graph.example.net/v1.0"
    seen = await without_groups(office)
    assert not seen.complete and not seen.users
    assert "leads to another place" in seen.ends["user"].problems[0]


async def test_the_token_stays_short_however_long_the_links_are(office: Office) -> None:
    await office.hire("ann")
    office.tenant.deltas.token_length = 20_000
    seen = await without_groups(office)
    assert seen.complete and seen.token is not None and len(seen.token) < 200
    assert (await without_groups(office, seen.token)).users.keys() == seen.users.keys()


# --- limits and failures ---


@pytest.mark.parametrize("status", [429, 503])
async def test_whoever_asks_too_often_waits_as_long_as_is_said(office: Office, status: int) -> None:
    await office.hire("ann")
    office.server.throttle = Throttle(times=2, retry_after_seconds=7, status=status)
    assert (await without_groups(office)).complete
    assert office.server.requests["/v1.0/users/delta"] == 3


async def test_parts_of_a_batch_that_are_throttled_are_asked_for_again(office: Office) -> None:
    for n in range(30):
        await office.hire(f"p{n}", text="Engineer")
    before = await without_groups(office)
    for n in range(30):
        await office.change(f"p{n}", text="Lead")
    office.server.clear()
    office.tenant.throttled_reads = 3
    seen = await without_groups(office, before.token)
    assert seen.complete and {entry.attributes["jobTitle"] for entry in seen.users.values()} == {"Lead"}
    assert len(seen.users) == 30
    assert len(office.server.sent("GET", "$expand=manager")) == 33, "thirty, and three of them again"


async def test_a_page_that_breaks_off_is_asked_for_again_and_in_the_end_it_is_no_page(office: Office) -> None:
    await office.hire("ann")
    office.server.cut = 2
    assert (await without_groups(office)).complete
    office.server.cut = 1000
    seen = await without_groups(office)
    assert not seen.complete and not seen.users
    fault = seen.ends["user"].fault
    assert fault is not None and fault.fault is Fault.INTERRUPTED


async def test_a_property_that_graph_has_not_is_named(office: Office) -> None:
    await office.hire("ann")
    seen = await without_groups(office, attributes=frozenset({"departmnt"}))
    assert not seen.complete and "departmnt" in seen.ends["user"].problems[0]
    assert seen.ends["user"].fault is None, "the tenant can be worked with"
    odd = await without_groups(office, attributes=frozenset({"cost centre"}))
    assert "cost centre: no property of Graph" in odd.ends["user"].problems[0]


async def test_the_connection_test_names_a_property_that_graph_has_not(office: Office) -> None:
    await office.hire("ann")
    await office.found("crew", "ann")
    for name in ("departmnt", "cost centre"):
        wanted = replace(WANTED, user_attributes=frozenset({name}), group_attributes=frozenset({name}))
        async with opened(office) as source:
            wrong = [line for line in await source.test(wanted) if not line.ok]
        assert [line.step for line in wrong] == ["users", "groups"]
        assert all(name in line.text for line in wrong)


# --- what permissions hide ---


async def test_who_may_not_read_users_reads_nobody_and_nobody_is_gone(office: Office) -> None:
    await office.hire("ann")
    await office.found("crew", "ann")
    before = await look(office)
    office.tenant.permissions = {"GroupMember.Read.All"}
    seen = await look(office)
    assert seen.left("user", before) == set() and not seen.ends["user"].complete
    fault = seen.ends["user"].fault
    assert fault is not None and fault.fault is Fault.FORBIDDEN
    assert seen.ends["memberships"].complete


async def test_a_property_that_is_hidden_is_not_taken_for_empty(office: Office) -> None:
    await office.hire("ann")
    office.tenant.users[office.id_of("ann")]["employeeLeaveDateTime"] = "2026-01-01T00:00:00Z"
    leave = frozenset({"employeeLeaveDateTime"})
    assert (await without_groups(office, attributes=leave)).users[office.id_of("ann")].attributes[
        "employeeLeaveDateTime"
    ] == "2026-01-01T00:00:00Z"
    office.tenant.permissions.discard("User-LifeCycleInfo.ReadWrite.All")
    seen = await without_groups(office, attributes=leave)
    assert (seen.complete, seen.users) == (False, {})
    assert "User-LifeCycleInfo.Read.All" in seen.ends["user"].problems[0]
    async with opened(office) as source:
        assert await source.fetch("user", [office.id_of("ann")], Wanted(leave, frozenset())) == {}


async def test_a_group_that_hides_its_members_is_not_taken_for_empty(office: Office) -> None:
    await office.hire("ann")
    await office.found("crew", "ann")
    office.tenant.groups[office.id_of("crew")]["visibility"] = "HiddenMembership"
    seen = await look(office)
    assert not seen.ends["memberships"].complete and seen.members[office.id_of("crew")].partial
    assert "Member.Read.Hidden" in seen.ends["memberships"].problems[0]
    office.tenant.permissions.add("Member.Read.Hidden")
    seen = await look(office)
    assert seen.complete and seen.members[office.id_of("crew")].members == [office.id_of("ann")]


async def test_the_connection_test_names_every_permission_that_is_missing(office: Office) -> None:
    await office.hire("ann")
    office.wanted = replace(WANTED, user_attributes=ATTRIBUTES | {"employeeLeaveDateTime"}, app=APP)
    office.tenant.permissions = {"User.Read.All"}
    async with opened(office) as source:
        lines = await source.test(office.wanted)
    missing = [line.text.partition(" is missing")[0].rpartition(" ")[2] for line in lines if line.step == "permissions"]
    assert missing[1:] == ["GroupMember.Read.All", "Application.Read.All", "User-LifeCycleInfo.Read.All"]
    assert [line.step for line in lines if not line.ok and line.step != "permissions"] == ["groups", "app"]
    assert lines[0].ok and lines[0].step == "sign-in"
    async with opened(office) as source:
        lines = await source.test(Wanted(frozenset({"jobTitle"}), frozenset()))
    assert all(line.ok for line in lines), "a job is not asked for what another one needs"


# --- what is asked ---


async def test_just_what_the_rules_read_is_asked_for(office: Office) -> None:
    await office.hire("ann")
    await without_groups(office, attributes=frozenset({"manager", "telephoneNumber", "extensionAttribute3"}))
    first = office.server.sent("GET", "/users/delta")[0].path
    assert first.endswith(
        "$select=businessPhones,displayName,mail,manager,onPremisesExtensionAttributes,userPrincipalName"
    )


async def test_an_idle_round_costs_a_request_for_each_part(office: Office) -> None:
    for n in range(5):
        await office.hire(f"p{n}")
    await office.found("crew", "p0")
    seen = await look(office)
    office.server.clear()
    await look(office, seen.token)
    assert len(office.server.calls) == 3


# --- assignments ---

APP, APP_ID = "0aaaaaaa-0000-4000-8000-000000000001", "0aaaaaaa-0000-4000-8000-000000000002"
AGENT, CHIEF = app_role("agent", "Agent"), app_role(None, "Chief")


def assign(office: Office, who: str, role: str, kind: str = "User", name: str = "") -> None:
    office.tenant.service_principals.setdefault(
        APP, {"id": APP, "appId": APP_ID, "displayName": "Phone", "appRoles": [AGENT, CHIEF]}
    )
    office.tenant.assignments.append(
        {
            "id": f"a{len(office.tenant.assignments)}",
            "appRoleId": role,
            "principalDisplayName": name or who,
            "principalId": office.ids.get(who, who),
            "principalType": kind,
            "resourceId": APP,
        }
    )


@pytest.mark.parametrize("app", [APP, APP_ID])
async def test_assignments_name_the_role_in_the_words_of_the_app(office: Office, app: str) -> None:
    await office.hire("ann")
    await office.found("crew", "ann")
    assign(office, "ann", str(AGENT["id"]))
    assign(office, "ann", str(CHIEF["id"]))
    assign(office, "crew", "00000000-0000-0000-0000-000000000000", "Group")
    assign(office, "robot", str(AGENT["id"]), "ServicePrincipal")
    assign(office, "crew", "0bbbbbbb-0000-4000-8000-000000000001", "Group")
    office.tenant.page_max = 2
    seen = await assigned(office, app)
    ann, crew = office.id_of("ann"), office.id_of("crew")
    assert seen.complete
    assert seen.assignments == [
        GivenAssignment("user", ann, "ann", AppRole("agent", "Agent")),
        GivenAssignment("user", ann, "ann", AppRole("Chief", "Chief")),
        GivenAssignment("group", crew, "crew"),
        GivenAssignment("group", crew, "crew", None, "the app has no role 0bbbbbbb-0000-4000-8000-000000000001"),
    ]


async def test_an_app_that_cannot_be_read_has_no_known_assignments(office: Office) -> None:
    await office.hire("ann")
    nobody = await assigned(office, "0ccccccc-0000-4000-8000-000000000001")
    assert not nobody.complete and "service_principal is the object id" in nobody.ends["assignments"].problems[0]
    assign(office, "ann", str(AGENT["id"]))
    office.tenant.permissions.discard("Application.Read.All")
    refused = await assigned(office, APP)
    assert not refused.complete and refused.assignments == []
    assert "reconciler test names those that are missing" in refused.ends["assignments"].problems[0]


async def assigned(office: Office, app: str) -> Seen:
    async with opened(office) as source:
        return await read(source, Wanted(frozenset(), frozenset(), users=False, app=app))


async def without_groups(office: Office, since: str | None = None, *, attributes: frozenset[str] = ATTRIBUTES) -> Seen:
    async with opened(office) as source:
        return await read(source, Wanted(attributes, frozenset()), since)
