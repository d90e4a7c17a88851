"""Whole cycles against servers that nobody here wrote: what the double takes, scim2-server and scimmy take."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from reconciler.runtime.report import CycleReport
from tests.cycles.calendar import HOUR
from tests.cycles.company import ATTRIBUTES, GROUPS, MANAGER, Company, done
from tests.servers.real import RealScimServer

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
JOB = 'scope = "all"\ndeletion_share = "100%"'
GONE_IS_DELETED = '[jobs.app.deprovision]\ngone = "delete"\n'


class App:
    """The server as somebody sees it who signs in beside us."""

    def __init__(self, server: RealScimServer) -> None:
        self._server = server

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self._server.token}", "Content-Type": "application/scim+json"}
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._server.url + path, sent, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def users(self) -> dict[str, Any]:
        return {user["externalId"]: user for user in self.ask("GET", "/Users?count=1000").get("Resources", [])}

    def groups(self) -> dict[str, set[str]]:
        """Return who is in which group, by the ids of the source."""
        names = {user["id"]: source_id for source_id, user in self.users().items()}
        found = self.ask("GET", "/Groups?count=1000").get("Resources", [])
        return {group["displayName"]: {names[one["value"]] for one in group.get("members", [])} for group in found}


@pytest.fixture
def app(any_real_scim_server: RealScimServer) -> App:
    return App(any_real_scim_server)


@pytest.fixture
async def company(tmp_path: Path, any_real_scim_server: RealScimServer) -> Company:
    company = Company(tmp_path, any_real_scim_server, job=JOB, attributes=ATTRIBUTES + MANAGER)
    company.tables = GROUPS + "hold_deletes = false\n" + GONE_IS_DELETED
    company.people("boss", "cleo", "dan")
    company.person("ann", manager="boss")
    company.person("bob", manager="boss")
    company.group("g1", ["ann", "bob", "cleo"], "Crew")
    return company


async def settled(company: Company) -> CycleReport:
    """Run a cycle in which everything is done, and one more that must send nothing."""
    report = await company.cycle()
    assert (report.exit_code, report.failures) == (0, [])
    quiet = await company.cycle()
    assert (done(quiet), sum(quiet.requests.values())) == ({}, 0)
    return report


async def test_accounts_and_groups_are_made_and_an_existing_account_is_adopted(company: Company, app: App) -> None:
    schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"]
    before = app.ask("POST", "/Users", {"schemas": schemas, "userName": "DAN@example.com", "title": "Intern"})
    report = await settled(company)
    assert done(report) == {"create": 5, "adopt": 1, "members_added": 3}
    users = app.users()
    assert set(users) == {"ann", "bob", "boss", "cleo", "dan"}
    assert (users["dan"]["id"], users["dan"]["title"]) == (before["id"], "Engineer")
    assert users["ann"][ENTERPRISE]["manager"]["value"] == users["boss"]["id"]
    assert app.groups() == {"Crew": {"ann", "bob", "cleo"}}


async def test_a_busy_month(company: Company, app: App) -> None:
    await settled(company)
    before = app.users()
    ann, bob = company.users["ann"], company.users["bob"]
    ann["userPrincipalName"], bob["userPrincipalName"] = bob["userPrincipalName"], ann["userPrincipalName"]
    company.users["cleo"]["accountEnabled"] = False
    del company.users["dan"]
    ann["manager"] = "zoe"
    company.person("zoe", jobTitle="Director")
    company.group("g1", ["bob", "zoe"], "The crew")
    company.group("g2", ["ann"], "Desk")
    report = await settled(company)
    assert done(report) == {
        "create": 2,
        "update": 4,  # two names, the name of the group, the manager once she has an account
        "disable": 1,
        "delete": 1,
        "members_added": 2,
        "members_removed": 2,
    }
    users = app.users()
    assert set(users) == {"ann", "bob", "boss", "cleo", "zoe"}
    assert (users["ann"]["userName"], users["bob"]["userName"]) == ("bob@example.com", "ann@example.com")
    assert users["ann"]["id"] == before["ann"]["id"], "each keeps the account and gets the other name"
    assert users["ann"][ENTERPRISE]["manager"]["value"] == users["zoe"]["id"]
    assert users["cleo"]["active"] is False
    assert app.groups() == {"The crew": {"bob", "zoe"}, "Desk": {"ann"}}
    company.users["cleo"]["accountEnabled"] = True
    del company.groups["g2"]
    assert done(await settled(company)) == {"enable": 1, "delete": 1}
    assert app.users()["cleo"]["active"] is True
    assert app.groups() == {"The crew": {"bob", "zoe"}}


async def test_what_somebody_changed_in_the_app_is_repaired_by_a_full_cycle(company: Company, app: App) -> None:
    await settled(company)
    users = app.users()
    patch = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
    changed = [{"op": "replace", "path": "title", "value": "Emperor"}, {"op": "add", "path": "nickName", "value": "Em"}]
    app.ask("PATCH", f"/Users/{users['ann']['id']}", {**patch, "Operations": changed})
    app.ask("DELETE", f"/Users/{users['bob']['id']}")
    company.clock.turn(HOUR)  # what was made a moment ago would be believed to be there
    report = await company.cycle(full=True)
    # the server keeps members who are not there any more, so the old bob is taken out
    expected = {"create": 1, "update": 1, "members_added": 1, "members_removed": 1}
    assert (report.exit_code, done(report)) == (0, expected)
    users = app.users()
    assert (users["ann"]["title"], users["ann"]["nickName"]) == ("Engineer", "Em"), "what is not mapped is not touched"
    assert app.groups() == {"Crew": {"ann", "bob", "cleo"}}
    assert done(await settled(company)) == {}


async def test_on_demand_one_person_then_a_group_then_her_leaving(company: Company, app: App) -> None:
    one = await company.provision("ann")
    assert (one.exit_code, list(app.users())) == (0, ["ann"])
    crew = await company.provision("Crew")
    assert [subject.status for subject in crew.subjects] == ["success", "skipped", "success", "success"]
    assert app.groups() == {"Crew": {"ann", "bob", "cleo"}}
    company.users["ann"]["accountEnabled"] = False
    assert (await company.provision("ann", dry_run=True)).exit_code == 0
    assert app.users()["ann"]["active"] is True
    assert (await company.provision("ann")).exit_code == 0
    assert app.users()["ann"]["active"] is False
    assert done(await company.cycle())["create"] == 2
    assert sorted(app.users()) == ["ann", "bob", "boss", "cleo", "dan"]
    assert done(await company.cycle()) == {}
