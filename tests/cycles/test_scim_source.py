"""From one SCIM server to another, in whole cycles: first everybody, then what changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cycles import pages
from tests.cycles.calendar import DAY
from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.cycles.test_real_server import App
from tests.servers.faults import FOR_EVER, Status, Throttle, Unauthorized
from tests.servers.quirks import Quirks
from tests.servers.real import RealScimServer
from tests.servers.scim import ScimServer

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ATTRIBUTES = f"""
  {{ to = "userName", from = "userName", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {{ to = "displayName", expression = 'Join(" ", [givenName], [surname])' }},
  {{ to = "title", from = "title" }},
  {{ to = "{ENTERPRISE}:department", from = "department" }},
  {MANAGER}
"""
ASSIGNED = 'scope = "assigned"\nassigned = [ { group = "APP" } ]\n'


class People:
    """The server that is the source, as its administrators use it."""

    def __init__(self, server: ScimServer) -> None:
        self.server = server
        self.ids: dict[str, str] = {}

    def hire(self, *names: str, **attributes: Any) -> None:
        enterprise = {"department": "Sales", **attributes.pop("enterprise", {})}
        for name in names:
            person: dict[str, Any] = {
                "userName": f"{name}@example.com",
                "name": {"givenName": name.capitalize(), "familyName": "Ångström"},
                "title": "Engineer",
                "active": True,
                "nickName": "a secret of hers",
                ENTERPRISE: dict(enterprise),
                **attributes,
            }
            self.ids[name] = self.server.put("user", **person)

    def team(self, name: str, *members: str) -> None:
        values = [{"value": self.ids[member]} for member in members]
        self.ids[name] = self.server.put("group", displayName=name, members=values)

    def changed(self, name: str, later: timedelta = timedelta(hours=1), **attributes: Any) -> None:
        rows = self.server.users if self.ids[name] in self.server.users else self.server.groups
        row = rows[self.ids[name]]
        newest = max(datetime.fromisoformat(one["meta"]["lastModified"]) for one in rows.values())
        row.update(attributes)
        row["meta"]["lastModified"] = (newest + later).isoformat()


@pytest.fixture
async def people(company: Company) -> AsyncIterator[People]:
    async with ScimServer(token="source-token") as server:
        token = company.directory / "source-token"
        token.touch(mode=0o600)
        token.write_text(server.token)
        company.attributes = ATTRIBUTES
        reads(company, server.url)
        yield People(server)


def reads(company: Company, url: str, *, more: str = "") -> None:
    company.source = f"""
type = "scim"
url = "{url}"
auth = {{ type = "bearer", token = {{ file = "source-token" }} }}
overlap = "1s"
page_size = 10
allow_empty = ["groups"]
{more}
"""


async def test_everybody_comes_and_then_just_what_changed(company: Company, server: ScimServer, people: People) -> None:
    people.hire("boss")
    people.hire(*(f"p{n:02}" for n in range(24)), enterprise={"manager": {"value": people.ids["boss"]}})
    first = await company.cycle()
    assert (first.problems, first.users_read, done(first)) == ([], 25, {"create": 25})
    account = server.user("p07@example.com")
    assert (account["displayName"], account[ENTERPRISE]["department"]) == ("P07 Ångström", "Sales")
    assert account["externalId"] == people.ids["p07"]
    assert account[ENTERPRISE]["manager"]["value"] == server.user("boss@example.com")["id"]
    assert all("nickName" not in seen.query.get("attributes", "nickName") for seen in people.server.sent("GET")[1:])

    people.changed("p07", title="Lead")
    second = await company.cycle()
    assert (second.problems, done(second)) == ([], {"update": 1})
    people.changed("p08", active=False)
    people.server.clear_requests()
    third = await company.cycle()
    assert (third.users_read, done(third)) == (2, {"disable": 1}), "the changed one, and the newest before"
    assert server.user("p08@example.com")["active"] is False
    fourth = await company.cycle()
    assert (done(fourth), sum(fourth.requests.values())) == ({}, 0)


async def test_who_is_gone_is_seen_by_the_sweep_or_by_the_full_cycle(company: Company, people: People) -> None:
    people.hire(*(f"p{n}" for n in range(12)))
    people.changed("p11")  # so that the newest of all is none of those who leave
    await company.cycle()
    del people.server.users[people.ids["p3"]]
    assert done(await company.cycle()) == {"disable": 1}
    reads(company, people.server.url, more="sweep = false")
    await company.cycle()
    del people.server.users[people.ids["p4"]]
    people.server.clear_requests()
    assert done(await company.cycle()) == {}
    assert len(people.server.sent("GET")) == 3, "the configuration, what changed, and its end"
    assert done(await company.cycle(full=True)) == {"disable": 1}


async def test_the_newest_of_all_may_leave(company: Company, people: People) -> None:
    people.hire("ann", "bob", "cleo")
    await company.cycle()
    people.changed("bob", title="Lead")
    await company.cycle()
    del people.server.users[people.ids["bob"]]
    assert done(await company.cycle()) == {"disable": 1}


async def test_who_is_taken_out_of_an_assigned_group_leaves_without_a_change_of_her_own(
    company: Company, server: ScimServer, people: People
) -> None:
    people.hire(*(f"p{n}" for n in range(6)))
    people.team("APP", "p1", "p2", "p3")
    people.team("Other", "p1")
    company.job, company.tables = ASSIGNED, GROUPS
    first = await company.cycle()
    assert (first.problems, done(first)) == ([], {"create": 4, "members_added": 3})
    people.changed("APP", members=[{"value": people.ids[one]} for one in ("p1", "p2", "p4")])
    second = await company.cycle()
    assert (second.problems, done(second)) == (
        [],
        {"create": 1, "disable": 1, "members_added": 1, "members_removed": 1},
    )
    assert server.user("p3@example.com")["active"] is False
    third = await company.cycle()
    assert (done(third), sum(third.requests.values())) == ({}, 0)


async def test_a_group_that_was_hidden_for_a_while_gets_its_members_back(
    company: Company, server: ScimServer, people: People
) -> None:
    people.hire("ann", "bob")
    people.team("Crew", "ann", "bob")
    people.team("Other")
    people.changed("Other")  # so that Crew is not the newest, which is shown each time
    company.job, company.tables = 'scope = "all"', GROUPS
    await company.cycle()
    hidden = people.server.groups.pop(people.ids["Crew"])
    await company.cycle()
    people.server.groups[people.ids["Crew"]] = hidden
    assert (await company.cycle()).problems == []
    assert server.members("Crew") == {server.user(f"{name}@example.com")["id"] for name in ("ann", "bob")}


LIES: dict[str, Quirks] = {
    "the total changes": Quirks(total_grows=True),
    "rows are missing": Quirks(hides_rows=3),
    "startIndex is ignored": Quirks(ignores_start_index=True),
    "the total is a page": Quirks(wrong_total_results="page_size"),
    "the total is never more than five": Quirks(wrong_total_results=5),
    "there is no total": Quirks(wrong_total_results="missing"),
    "rows are missing from pages by cursor": Quirks(cursors="only", hides_rows=3),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("full", [False, True])
async def test_who_is_missing_from_pages_that_lie_is_not_gone(
    company: Company, server: ScimServer, people: People, lie: str, full: bool
) -> None:
    people.hire(*(f"p{n:02}" for n in range(25)))
    await company.cycle()
    people.server.quirks = LIES[lie]
    del people.server.users[people.ids["p03"]]
    people.changed("p01", active=False)
    report = await company.cycle(full=full)
    assert report.state == "incomplete", report.problems
    assert server.user("p03@example.com")["active"] is True
    assert any(problem.startswith("source staff users: ") for problem in report.problems)
    people.server.quirks = Quirks()
    done_since = done(await company.cycle())
    assert server.user("p03@example.com")["active"] is False
    assert server.user("p01@example.com")["active"] is False, done_since


HONEST: dict[str, Quirks] = {
    "pages are smaller than asked": Quirks(page_max=7),
    "the first page is repeated past the end": Quirks(repeats_first_page=True),
    "count is refused": Quirks(count_refused_above=5, count_refused_status=500),
    "a cursor expires once": Quirks(cursors="beside", cursor_expires=2),
    "attributes are left out that are asked for": Quirks(not_selected=("name", ENTERPRISE)),
}


@pytest.mark.parametrize("habit", HONEST)
async def test_odd_habits_are_lived_with(company: Company, server: ScimServer, people: People, habit: str) -> None:
    people.hire(*(f"p{n:02}" for n in range(25)))
    people.server.quirks = HONEST[habit]
    first = await company.cycle()
    assert (first.problems, first.users_read, done(first)) == ([], 25, {"create": 25})
    assert server.user("p09@example.com")["displayName"] == "P09 Ångström"
    people.changed("p01", title="Lead")
    assert done(await company.cycle()) == {"update": 1}


MEMBERS: dict[str, tuple[Quirks, str]] = {
    "in the list": (Quirks(), ""),
    "with each group": (Quirks(no_members_in_list=True), ""),
    "in the users": (Quirks(no_members_on_get=True, users_show_groups=True), ""),
    "cut off": (Quirks(members_shown_max=3, users_show_groups=True), "members_max = 3"),
}


@pytest.mark.parametrize("where", MEMBERS)
async def test_members_are_found_where_the_server_shows_them(company: Company, people: People, where: str) -> None:
    people.hire(*(f"p{n}" for n in range(8)))
    people.team("APP", "p1", "p2", "p3", "p4", "p5")
    people.team("Nobody")
    people.server.quirks, more = MEMBERS[where]
    company.job = ASSIGNED
    reads(company, people.server.url, more=more)
    first = await company.cycle()
    assert (first.problems, done(first)) == ([], {"create": 5})
    people.changed("APP", members=[{"value": people.ids[one]} for one in ("p1", "p2", "p3", "p6")])
    second = await company.cycle()
    assert (second.problems, done(second)) == ([], {"create": 1, "disable": 2})
    assert done(await company.cycle()) == {}


HIDDEN = [
    Quirks(no_members_on_get=True),
    Quirks(members_shown_max=3),
    Quirks(member_value_is_user_name=True),
]


@pytest.mark.parametrize("quirks", HIDDEN)
async def test_members_that_are_not_shown_are_not_known(company: Company, people: People, quirks: Quirks) -> None:
    people.hire(*(f"p{n}" for n in range(8)))
    people.team("APP", "p1", "p2", "p3", "p4", "p5")
    company.job = ASSIGNED
    reads(company, people.server.url, more="members_max = 100")
    assert done(await company.cycle()) == {"create": 5}
    people.server.quirks = quirks
    reads(company, people.server.url, more=f"members_max = {30 if quirks.member_value_is_user_name else 3}")
    report = await company.cycle()
    assert (report.state, done(report)) == ("incomplete", {})


@pytest.mark.parametrize("where", ["list", "each", "users"])
async def test_members_that_are_nowhere_any_more_are_not_known_wherever_they_were_said_to_be(
    company: Company, people: People, where: str
) -> None:
    people.hire("ann", "bob")
    people.team("APP", "ann", "bob")
    people.server.quirks = Quirks(users_show_groups=True)
    company.job = ASSIGNED
    reads(company, people.server.url, more=f'members_from = "{where}"')
    assert done(await company.cycle()) == {"create": 2}
    people.server.quirks = Quirks(no_members_on_get=True)
    report = await company.cycle(full=True)
    assert (report.state, done(report)) == ("incomplete", {})


async def test_a_lone_member_without_a_list_around_it_is_one(company: Company, people: People) -> None:
    people.hire("ann", "bob")
    people.team("APP", "ann", "bob")
    people.team("Other", "ann", "bob")
    company.job = ASSIGNED
    await company.cycle()
    people.server.quirks = Quirks(shown_of_groups={"APP": {"members": {"value": people.ids["ann"]}}})
    people.changed("APP")
    report = await company.cycle()
    assert (report.problems, done(report)) == ([], {"disable": 1})


@pytest.mark.parametrize("shown", [{"display": "Bob"}, {"value": None}, {"value": {"id": "b"}}, None])
async def test_a_member_without_an_id_is_somebody_who_is_not_known(
    company: Company, people: People, shown: object
) -> None:
    people.hire("ann", "bob")
    people.team("APP", "ann", "bob")
    people.team("Other", "ann", "bob")
    company.job = ASSIGNED
    await company.cycle()
    members = [{"value": people.ids["ann"]}, shown]
    people.server.quirks = Quirks(shown_of_groups={"APP": {"members": members}})
    people.changed("APP")
    report = await company.cycle()
    assert (report.state, done(report)) == ("incomplete", {})
    assert "without an id" in report.problems[0]


async def test_an_attribute_that_neither_anybody_nor_the_schemas_have_empties_nobody(
    company: Company, server: ScimServer, people: People
) -> None:
    people.hire("ann")
    await company.cycle()
    company.attributes = ATTRIBUTES.replace('from = "title"', 'from = "titel"')
    report = await company.cycle()
    assert (report.state, done(report)) == ("incomplete", {})
    assert "nobody has titel, and the server's schemas do not know it" in report.problems[0]
    assert server.user("ann@example.com")["title"] == "Engineer"


async def test_an_empty_server_is_no_exodus_and_a_refusal_is_the_sources(company: Company, people: People) -> None:
    people.hire("ann", "bob")
    await company.cycle()
    users = dict(people.server.users)
    people.server.users.clear()
    report = await company.cycle()
    assert (report.state, done(report)) == ("incomplete", {})
    people.server.users.update(users)
    people.server.script.on("GET", "/Users", then=Throttle(2))
    assert (await company.cycle()).problems == []
    people.server.script.on("GET", "/Users", then=Unauthorized())
    assert (await company.cycle()).state == "unreachable"
    people.server.script.on("GET", "/Users", then=Status(403), times=FOR_EVER)
    report = await company.cycle()
    assert (report.complete, done(report)) == (False, {})
    assert "403" in report.problems[0]


async def test_a_failed_create_is_tried_again_by_its_id(company: Company, server: ScimServer, people: People) -> None:
    people.hire("ann", "bob")
    server.script.on("POST", "/Users", then=Status(400), body="bob@")
    assert done(await company.cycle()) == {"create": 1, "failure": 1}
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"create": 1}


async def test_a_full_cycle_says_what_the_times_had_not_told(company: Company, people: People) -> None:
    people.hire("ann", "bob", "cleo")
    await company.cycle()
    people.changed("cleo", title="Lead")
    await company.cycle()
    people.server.users[people.ids["ann"]]["title"] = "Chief"  # and the server keeps the time
    assert done(await company.cycle()) == {}
    report = await company.cycle(full=True)
    assert done(report) == {"update": 1}
    assert len(report.problems) == 1


async def test_from_the_double_to_a_real_server_and_back_from_the_real_one(
    company: Company, server: ScimServer, real_scim_server: RealScimServer
) -> None:
    app = App(real_scim_server)
    token = company.directory / "source-token"
    token.touch(mode=0o600)
    token.write_text(real_scim_server.token)
    company.attributes, company.tables = ATTRIBUTES, GROUPS
    reads(company, real_scim_server.url)
    ids: dict[str, str] = {}
    for name in ("boss", "ann", "bob", "cleo", "dan", "eve"):
        manager = {"manager": {"value": ids["boss"]}} if ids else {}
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
            "userName": f"{name}@example.com",
            "name": {"givenName": name, "familyName": "李"},
            "title": "Engineer",
            "active": True,
            ENTERPRISE: {"department": "Sales", **manager},
        }
        ids[name] = app.ask("POST", "/Users", body)["id"]
    members = [{"value": ids["ann"]}, {"value": ids["bob"]}]
    schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"]
    app.ask("POST", "/Groups", {"schemas": schemas, "displayName": "Crew", "members": members})
    first = await company.cycle()
    assert (first.problems, done(first)) == ([], {"create": 7, "members_added": 2})
    boss = server.user("boss@example.com")["id"]
    assert server.user("ann@example.com")[ENTERPRISE]["manager"]["value"] == boss
    patch = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
    operation = {"op": "replace", "path": "title", "value": "Lead"}
    app.ask("PATCH", f"/Users/{ids['ann']}", {**patch, "Operations": [operation]})
    app.ask("DELETE", f"/Users/{ids['eve']}")
    second = await company.cycle()
    assert (second.problems, done(second)) == ([], {"update": 1, "disable": 1})
    assert server.user("eve@example.com")["active"] is False
    third = await company.cycle()
    assert (done(third), sum(third.requests.values())) == ({}, 0)


async def test_the_configuration_of_the_page_is_one_that_runs(
    tmp_path: Path, server: ScimServer, people: People
) -> None:
    [written] = pages.shown("scim")
    people.hire("ann", "bob", "cleo", emails=[{"value": "x@example.com", "primary": True}])
    people.team("APP-Phone", "ann", "bob")
    here = {pages.PHONE: server.url, "https://hr.example.com/scim/v2": people.server.url}
    report = await pages.first_cycle(tmp_path, written, here, {"phone-token": server.token})
    assert done(report) == {"create": 2}
    assert server.user("ann@example.com")["emails"][0]["value"] == "x@example.com"
