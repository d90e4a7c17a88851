"""Whole cycles from a tenant behind Microsoft Graph: assignments, roles, and what Graph does not say by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cycles import pages
from tests.cycles.company import done
from tests.cycles.entra import AGENT, APP, CHIEF, Tenant
from tests.servers.graph import SECRET, GraphServer
from tests.servers.graph_proof import certificate_and_key
from tests.servers.real import RealScimServer
from tests.servers.scim import ScimServer

MANAGER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest.fixture
async def graph() -> AsyncIterator[GraphServer]:
    async with GraphServer() as running:
        yield running


@pytest.fixture
async def entra(tmp_path: Path, graph: GraphServer, server: ScimServer) -> Tenant:
    """Ann is an agent of her own; bob and cleo are by their crew, which boss leads; dan is not assigned."""
    entra = Tenant(tmp_path, graph, server)
    await entra.hire("boss", text="Director")
    for who in ("ann", "bob", "cleo", "dan"):
        await entra.hire(who, text="Engineer", boss="boss")
    await entra.found("crew", "boss", "bob", "cleo")
    await entra.found("staff", "dan")
    entra.assign("ann", str(AGENT["id"]))
    entra.assign("crew")
    return entra


async def test_who_is_assigned_gets_an_account_with_role_and_manager_and_then_nothing_happens(
    entra: Tenant, server: ScimServer
) -> None:
    first = await entra.company.cycle()
    assert (first.problems, done(first)) == ([], {"create": 5, "members_added": 3})
    ann = server.user("ann@example.com")
    assert (ann["userType"], ann["active"]) == ("agent", True)
    assert ann[MANAGER]["manager"]["value"] == server.user("boss@example.com")["id"]
    assert [group["displayName"] for group in server.groups.values()] == ["crew"]
    entra.server.clear()
    second = await entra.company.cycle()
    assert (second.users_read, done(second), sum(second.requests.values())) == (0, {}, 0)
    assert len(entra.server.calls) == 6, "a request for each part, three for the app"


async def test_what_changes_about_assignments_takes_effect_although_no_user_changed(
    entra: Tenant, server: ScimServer
) -> None:
    await entra.company.cycle()
    await entra.quit("crew", "cleo")
    await entra.enter("crew", "dan")
    report = await entra.company.cycle()
    assert done(report) == {"create": 1, "disable": 1, "members_added": 1, "members_removed": 1}
    entra.unassign("ann")
    entra.assign("ann", str(CHIEF["id"]))
    report = await entra.company.cycle()
    assert (done(report), server.user("ann@example.com")["userType"]) == ({"update": 1}, "chief")
    entra.unassign("ann")
    assert done(await entra.company.cycle()) == {"disable": 1}
    entra.assign("staff", str(AGENT["id"]))
    assert done(await entra.company.cycle()) == {"create": 1, "update": 1, "members_added": 1}, "dan is an agent now"
    entra.unassign("crew")
    assert done(await entra.company.cycle()) == {"disable": 2, "delete": 1}
    assert done(await entra.company.cycle(full=True)) == {}


async def test_groups_within_an_assigned_group_count_only_where_they_are_to(entra: Tenant) -> None:
    entra.company.tables = ""
    entra.tenant.members[entra.ids["crew"]].append(entra.ids["staff"])
    assert done(await entra.company.cycle())["create"] == 4
    entra.company.job += "\nnested = true"
    assert done(await entra.company.cycle()) == {"create": 1}
    await entra.quit("staff", "dan")
    assert done(await entra.company.cycle()) == {"disable": 1}


@pytest.mark.parametrize("told", [True, False])
async def test_a_deleted_user_leaves_groups_and_reports_although_nothing_says_so(
    entra: Tenant, server: ScimServer, told: bool
) -> None:
    entra.tenant.deltas.tells_of_the_deleted = told
    await entra.company.cycle()
    boss = server.user("boss@example.com")["id"]
    await entra.dismiss("boss")
    report = await entra.company.cycle()
    assert (done(report)["disable"], done(report)["members_removed"]) == (1, 1)
    assert all(one["value"] != boss for group in server.groups.values() for one in group["members"])
    reports = [server.user(f"{who}@example.com").get(MANAGER, {}) for who in ("ann", "bob", "cleo")]
    assert all(one.get("manager", {}).get("value") != boss for one in reports)
    entra.tenant.restore(entra.ids["boss"])
    await entra.enter("crew", "boss")
    assert done(await entra.company.cycle())["enable"] == 1


async def test_a_replica_that_has_not_heard_of_somebody_yet_does_not_make_her_a_leaver(
    entra: Tenant, server: ScimServer
) -> None:
    await entra.company.cycle()
    await entra.enter("crew", "ann")
    entra.tenant.hide(entra.ids["ann"], requests=9)
    report = await entra.company.cycle()
    assert (report.complete, done(report).get("disable")) == (False, None)
    await entra.company.provision(entra.ids["ann"])
    assert server.user("ann@example.com")["active"] is True
    entra.tenant.show(entra.ids["ann"])
    report = await entra.company.cycle()
    assert report.complete
    assert len(next(iter(server.groups.values()))["members"]) == 4


async def test_links_that_are_too_old_have_everybody_read_and_nobody_gone(entra: Tenant) -> None:
    await entra.company.cycle()
    entra.tenant.deltas.forget()
    await entra.change("ann", text="Chief")
    report = await entra.company.cycle()
    assert (report.users_read, done(report)) == (5, {"update": 1})
    entra.tenant.deltas.forget()
    await entra.dismiss("ann")
    assert done(await entra.company.cycle()) == {"disable": 1}, "a whole reading shows who is not there"


@pytest.mark.parametrize("calls", range(1, 10))
async def test_a_cycle_that_is_refused_in_the_middle_takes_nobody_out_and_the_next_one_goes_on(
    entra: Tenant, calls: int
) -> None:
    entra.tenant.deltas.page_size = 1
    await entra.company.cycle()
    entra.tenant.deltas.forget()
    await entra.change("ann", text="Chief")
    await entra.quit("crew", "cleo")
    entra.server.refuse_after = calls
    report = await entra.company.cycle()
    assert report.state == "incomplete" and "disable" not in done(report)
    await entra.company.cycle()
    assert done(await entra.company.cycle(full=True)) == {}
    assert await entra.company.logged(action="disable") == {"disable": 1}


async def test_assignments_that_cannot_be_read_are_not_known(entra: Tenant, server: ScimServer) -> None:
    await entra.company.cycle()
    entra.tenant.permissions.discard("Application.Read.All")
    await entra.change("ann", text="Chief")
    report = await entra.company.cycle()
    assert (report.state, done(report)) == ("incomplete", {})
    entra.tenant.permissions.add("Application.Read.All")
    del entra.tenant.service_principals[APP]
    assert (await entra.company.cycle()).state == "incomplete"
    assert all(account["active"] for account in server.users.values())


async def test_nobody_at_all_assigned_is_a_list_that_was_not_filled_yet(entra: Tenant) -> None:
    await entra.company.cycle()
    kept, entra.tenant.assignments[:] = list(entra.tenant.assignments), []
    report = await entra.company.cycle()
    assert done(report) == {} and "nobody at all is assigned" in report.problems[0]
    entra.tenant.assignments[:] = kept
    assert done(await entra.company.cycle()) == {}


async def test_a_full_cycle_says_what_graph_had_not_told(entra: Tenant) -> None:
    await entra.company.cycle()
    await entra.company.cycle()
    await entra.change("ann", text="Chief")
    entra.tenant.deltas.keeps_quiet = True
    assert done(await entra.company.cycle()) == {}
    report = await entra.company.cycle(full=True)
    assert done(report) == {"update": 1}
    assert "had left out 1 users" in report.problems[0]


async def test_a_refused_sign_in_is_the_fault_of_the_source(entra: Tenant) -> None:
    await entra.company.cycle()
    entra.keep("secret", "old")
    report = await entra.company.cycle()
    assert report.state == "unreachable" and done(report) == {}
    assert (await entra.company.standing()).quarantine is not None
    assert SECRET not in str(report.as_dict())
    entra.keep("secret", SECRET)
    assert (await entra.company.cycle()).state == "active"


async def test_a_certificate_or_another_issuer_says_who_we_are(entra: Tenant) -> None:
    pem, key = certificate_and_key()
    entra.server.certificate = pem
    entra.sign_in(f'certificate = {{ file = "{entra.keep("entra.pem", (pem + key).decode())}" }}')
    assert done(await entra.company.cycle())["create"] == 5
    other, other_key = certificate_and_key()
    entra.keep("entra.pem", (other + other_key).decode())
    assert (await entra.company.cycle()).state == "unreachable"
    entra.keep("entra.pem", (pem + other_key).decode())
    mixed = await entra.company.cycle()
    assert "the private key is not the RSA key of the certificate" in " ".join(mixed.problems)
    entra.server.federated = "eyJ.of.kubernetes"
    entra.sign_in(f'federated_token_file = "{entra.keep("token-of-kubernetes", "eyJ.of.kubernetes")}"')
    assert (await entra.company.cycle()).state == "active"


async def test_from_a_tenant_to_a_server_that_nobody_here_wrote(
    tmp_path: Path, graph: GraphServer, real_scim_server: RealScimServer
) -> None:
    entra = Tenant(tmp_path, graph, real_scim_server)
    graph.tenant.deltas.page_size, graph.tenant.deltas.slice_size = 7, 3
    graph.tenant.deltas.splits = graph.tenant.deltas.repeats = True
    await entra.hire("zoë", text="Chief 李")
    for n in range(20):
        await entra.hire(f"p{n}", text="Engineer", boss="zoë")
    await entra.found("Crew Å", "zoë", *(f"p{n}" for n in range(12)))
    entra.assign("Crew Å")
    entra.assign("p15", str(AGENT["id"]))
    first = await entra.company.cycle()
    assert (first.problems, done(first)) == ([], {"create": 15, "members_added": 13})
    await entra.change("p1", text="Lead")
    await entra.quit("Crew Å", "p2")
    entra.tenant.users[entra.ids["p3"]]["accountEnabled"] = False
    await entra.dismiss("p4")
    entra.assign("p16")
    second = await entra.company.cycle()
    assert (second.problems, second.kind) == ([], "incremental")
    assert done(second) == {"create": 1, "update": 1, "disable": 3, "members_removed": 2}
    third = await entra.company.cycle()
    assert (done(third), sum(third.requests.values())) == ({}, 0)
    assert done(await entra.company.cycle(full=True)) == {}


async def test_the_configuration_of_the_page_is_one_that_runs(
    tmp_path: Path, entra: Tenant, server: ScimServer
) -> None:
    [written] = pages.shown("graph")
    of_the_double = f'type = "graph"\nurl = "{entra.server.url}"\nlogin_url = "{entra.server.origin}"\n'
    here = {pages.PHONE: server.url, 'type = "graph"\n': of_the_double}
    secrets = {"entra.secret": SECRET, "phone-token": server.token}
    report = await pages.first_cycle(tmp_path, written, here, secrets)
    assert done(report) == {"create": 5, "members_added": 3}


async def test_on_demand_people_are_found_by_name_and_judged_by_their_assignments(
    entra: Tenant, server: ScimServer
) -> None:
    ann = await entra.company.provision("ann@example.com")
    assert ann.exit_code == 0 and server.user("ann@example.com")["userType"] == "agent"
    bob = await entra.company.provision(entra.ids["bob"])
    assert (bob.subjects[0].status, sorted(one["userName"] for one in server.users.values())) == (
        "success",
        ["ann@example.com", "bob@example.com"],
    )
    dan = await entra.company.provision("dan@example.com")
    assert dan.subjects[0].status == "skipped" and "not assigned" in str(dan.subjects[0].steps)
    entra.unassign("ann")
    assert (await entra.company.provision("ann@example.com")).exit_code == 0
    assert server.user("ann@example.com")["active"] is False
    assert done(await entra.company.cycle())["create"] == 3
