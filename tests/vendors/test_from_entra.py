"""Entra itself to SightCall and to Dialpad: whom its enterprise application has, through Graph, by the profiles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cycles.company import done
from tests.cycles.entra import AGENT, Tenant
from tests.servers.dialpad import Dialpad
from tests.servers.graph import GraphServer
from tests.servers.scim import ScimServer
from tests.servers.sightcall import SightCall
from tests.vendors.app import App

ANN, BOB, CLEO, DAN = (f"{who}@example.com" for who in ("ann", "bob", "cleo", "dan"))


@pytest.fixture
async def graph() -> AsyncIterator[GraphServer]:
    async with GraphServer() as running:
        yield running


async def entra_for(directory: Path, graph: GraphServer, server: ScimServer, profile: str) -> Tenant:
    """Return a tenant with four people and a crew of two, and the job that its enterprise application becomes."""
    by_profile = App(directory, server, profile)
    entra = Tenant(directory, graph, server)
    entra.company.attributes, entra.company.target_lines = by_profile.attributes, by_profile.target_lines
    entra.company.tables = by_profile.groups_table
    for who in ("ann", "bob", "cleo", "dan"):
        await entra.hire(who, text="Engineer")
        names = {"givenName": who.capitalize(), "surname": "Example", "mail": f"{who}@example.com"}
        graph.tenant.users[entra.ids[who]].update(names)
    await entra.found("crew", "bob", "cleo")
    return entra


@pytest.mark.row("C1")
@pytest.mark.row("C2")
@pytest.mark.row("C4")
@pytest.mark.row("C13")
@pytest.mark.row("C14")
@pytest.mark.row("C15")
async def test_the_application_of_single_sign_on_serves_provisioning_too(tmp_path: Path, graph: GraphServer) -> None:
    async with SightCall() as sightcall:
        entra = await entra_for(tmp_path, graph, sightcall, "sightcall")
        signed_in = sightcall.signs_in("Ann@Example.com")
        report = await entra.company.cycle()
        assert (done(report), len(sightcall.users)) == ({}, 1), "the list is empty for now"
        assert "nobody at all is assigned" in report.problems[0]

        entra.assign("ann")
        entra.assign("crew")
        report = await entra.company.cycle()
        assert (report.problems, done(report)) == ([], {"adopt": 1, "create": 3, "members_added": 2})
        assert sightcall.users[signed_in]["name"] == {"givenName": "Ann", "familyName": "Example"}
        ids = {user["userName"].lower(): one for one, user in sightcall.users.items()}
        assert sightcall.members("crew") == {ids[BOB], ids[CLEO]}
        assert DAN not in ids
        sightcall.clear_requests()
        assert (done(await entra.company.cycle()), sightcall.requests) == ({}, [])

        await entra.quit("crew", "bob")
        await entra.enter("crew", "dan")
        assert done(await entra.company.cycle()) == {
            "create": 1,
            "disable": 1,
            "members_added": 1,
            "members_removed": 1,
        }
        assert sightcall.user(BOB)["active"] is False


@pytest.mark.row("E1")
@pytest.mark.row("E4")
@pytest.mark.row("E7")
@pytest.mark.row("E10")
async def test_who_has_a_role_of_the_app_has_a_phone_and_default_access_has_none(
    tmp_path: Path, graph: GraphServer
) -> None:
    async with Dialpad() as dialpad:
        entra = await entra_for(tmp_path, graph, dialpad, "dialpad")
        entra.assign("ann", str(AGENT["id"]))
        entra.assign("dan")
        entra.assign("crew", str(AGENT["id"]))
        report = await entra.company.cycle()
        assert (report.problems, done(report)) == ([], {"create": 4, "members_added": 2})
        assert sorted(user["userName"] for user in dialpad.users.values()) == [ANN, BOB, CLEO]
        (left_out,) = await entra.company.log(user=DAN)
        assert "00000000-0000-0000-0000-000000000000" in str(left_out) or "Default Access" in str(left_out)
        entra.unassign("crew")
        assert done(await entra.company.cycle())["disable"] == 2
        assert list(dialpad.tenant.in_use) == [ANN]
