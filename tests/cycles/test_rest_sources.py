"""AlexisHR and Okta as the sources of whole cycles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cycles import pages
from tests.cycles.calendar import DAY, LOOK_SECONDS
from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.cycles.pages import keep
from tests.servers.alexishr import SENSITIVE, AlexisHR
from tests.servers.okta import Okta
from tests.servers.scim import ScimServer

DEPARTMENT = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"
NAMES = f"""
  {{ to = "userName", from = "mail", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {{ to = "displayName", expression = 'Join(" ", [givenName], [surname])' }},
  {{ to = "title", from = "jobTitle" }},
  {{ to = "{DEPARTMENT}", from = "department" }},
  {MANAGER}
"""


# --- AlexisHR --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def hr(company: Company) -> AsyncIterator[AlexisHR]:
    async with AlexisHR() as running:
        keep(company.directory, "hr-token", running.token)
        company.attributes = NAMES.replace('from = "id"', 'from = "employeeId"')
        company.source = f"""
type = "alexishr"
url = "{running.url}/v1"
auth = {{ type = "bearer", token = {{ file = "hr-token" }} }}
attributes = {{ shirt = "shirtSize" }}
requests_per_second = 1000
"""
        yield running


def staff(hr: AlexisHR, count: int = 250) -> None:
    hr.put("department", "d1", name="Sales")
    hr.put("office", "o1", name="Malmö")
    for n in range(count):
        hr.hire(f"e{n:03}", employeeNumber=n, departmentId="d1", officeId="o1", managerEmployeeId="e000" if n else None)
        hr.clock += timedelta(minutes=1)


async def test_employees_come_with_department_and_manager_and_then_just_what_changed(
    company: Company, server: ScimServer, hr: AlexisHR
) -> None:
    staff(hr)
    first = await company.cycle()
    assert (first.problems, first.users_read, done(first)) == ([], 250, {"create": 250})
    account = server.user("e007@example.com")
    enterprise = account["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]
    assert account["displayName"] == "E007 Ångström"
    assert enterprise["department"] == "Sales"
    assert enterprise["manager"]["value"] == server.user("e000@example.com")["id"]
    assert not any(field in asked for field in SENSITIVE for asked in hr.asked)

    hr.asked.clear()
    hr.clock += timedelta(hours=1)
    hr.put("employee", "e007", title="Lead")
    second = await company.cycle()
    assert (second.users_read, done(second)) == (12, {"update": 1}), "the changed one, and the last ten minutes again"
    third = await company.cycle()
    assert (done(third), sum(third.requests.values())) == ({}, 0)


async def test_who_is_off_is_disabled_and_a_department_that_is_renamed_is_seen_although_nobody_changed(
    company: Company, server: ScimServer, hr: AlexisHR
) -> None:
    staff(hr, 12)
    await company.cycle()
    hr.put("employee", "e003", active=False)
    assert done(await company.cycle()) == {"disable": 1}
    hr.put("department", "d1", name="Revenue")
    renamed = await company.cycle()
    assert (renamed.users_read, done(renamed)) == (12, {"update": 12})


async def test_an_employee_who_was_deleted_is_found_by_the_full_cycle(company: Company, hr: AlexisHR) -> None:
    staff(hr, 12)
    await company.cycle()
    del hr.rows["employee"]["e003"]
    assert done(await company.cycle()) == {}
    assert done(await company.cycle(full=True)) == {"disable": 1}


LOGIN = b"<!DOCTYPE html><html><title>Sign in</title></html>"
BROKEN: dict[str, tuple[int, bytes, int]] = {
    "a login page": (200, LOGIN, 1),
    "an error in a 200": (200, b'{"status":"error","message":"try later"}', 1),
    "an empty object": (200, b"{}", 1),
    "an empty body": (200, b"", 1),
    "nobody at all": (200, b'{"status":"success","data":[],"total":0}', 1),
    "fewer than there are": (200, b'{"status":"success","data":[{"id":"e000","active":true}],"total":12}', 1),
    "fields that are gone": (200, b'{"status":"success","data":[{"id":"e000"}],"total":1}', 1),
    "no right": (403, b'{"statusCode":403}', 1),
    "elsewhere": (302, b"", 1),
    "gone": (404, b'{"statusCode":404}', 1),
    "the departments fail": (400, b'{"statusCode":400}', 0),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_cannot_be_read_is_no_leaver(company: Company, server: ScimServer, hr: AlexisHR, name: str) -> None:
    staff(hr, 12)
    await company.cycle()
    status, body, after = BROKEN[name]
    hr.then(status, body, after=after)
    report = await company.cycle(full=True)
    at_once = status in (302, 403, 404)
    assert (report.state, done(report)) == ("unreachable" if at_once else "incomplete", {})
    assert ((await company.standing()).quarantine is not None) is at_once
    assert "source staff users" in report.problems[0]
    assert all(account["active"] for account in server.users.values())


async def test_what_a_page_held_that_could_not_be_read_is_taken_in_by_the_next_cycle(
    company: Company, server: ScimServer, hr: AlexisHR
) -> None:
    staff(hr, 110)
    await company.cycle()
    hr.clock += timedelta(days=1)
    hr.put("employee", "e109", active=False)
    hr.clock += timedelta(days=1)
    for n in range(100):
        hr.put("employee", f"e{n:03}", title="Chief")
    hr.then(400, b'{"statusCode":400}', after=2)
    report = await company.cycle()
    assert (report.state, done(report)) == ("incomplete", {})
    assert done(await company.cycle()) == {"update": 100, "disable": 1}, "what was read is no newer than what was done"
    assert server.user("e109@example.com")["active"] is False


async def test_a_list_that_moves_while_it_is_read_makes_nobody_a_leaver(
    company: Company, server: ScimServer, hr: AlexisHR
) -> None:
    staff(hr, 150)
    await company.cycle()
    read = hr.answer

    async def answer(request):  # type: ignore[no-untyped-def]  # because it stands in for the server's own
        given = await read(request)
        if request.path == "/v1/employee":
            hr.rows["employee"].pop("e000", None)  # what was on the second page moves up to the first
        return given

    hr.answer = answer  # type: ignore[method-assign]  # because a list moves just once
    report = await company.cycle(full=True)
    assert (report.state, done(report)) == ("incomplete", {})
    hr.answer = read  # type: ignore[method-assign]  # because it stands still again
    assert done(await company.cycle(full=True)) == {"disable": 1}


async def test_a_token_that_died_is_said(company: Company, hr: AlexisHR) -> None:
    staff(hr, 3)
    hr.token = "another"
    report = await company.cycle()
    assert (report.state, done(report)) == ("unreachable", {})
    assert "401" in report.problems[0]
    quarantine = (await company.standing()).quarantine
    assert quarantine is not None
    assert (quarantine.rule, quarantine.source) == ("the source staff refuses the credentials", "staff")
    assert (quarantine.error_code, quarantine.request) == ("Unauthorized", "GET /v1/department")
    keep(company.directory, "hr-token", hr.token)
    report = await company.cycle()
    assert (report.state, done(report)) == ("active", {"create": 3})
    assert (await company.standing()).quarantine is None


# --- Okta ------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def okta(company: Company) -> AsyncIterator[Okta]:
    async with Okta() as running:
        keep(company.directory, "okta-token", running.token)
        company.attributes = NAMES
        company.source = f"""
type = "okta"
url = "{running.url}"
auth = {{ type = "bearer", token = {{ file = "okta-token" }} }}
parameters = {{ app = "0oa1" }}
requests_per_second = 1000
overlap = "1s"
allow_empty = ["groups"]
"""
        company.job = 'scope = "assigned"\nassigned = [ { group = "app:0oa1" } ]'
        running.apps["0oa1"] = {}
        yield running


def people(okta: Okta, count: int = 8) -> None:
    for n in range(count):
        okta.hire(f"u{n}", department="Sales", managerId="u0" if n else None)
        okta.apps["0oa1"][f"u{n}"] = "USER" if n % 2 else "GROUP"


async def test_those_assigned_to_the_app_have_accounts_page_by_page(
    company: Company, server: ScimServer, okta: Okta
) -> None:
    people(okta)
    okta.page_max = 3
    okta.hire("outsider")
    first = await company.cycle()
    assert (first.problems, first.users_read, done(first)) == ([], 9, {"create": 8})
    assert server.user("u3@example.com")["displayName"] == "U3 Ångström"
    quiet = await company.cycle()
    assert (quiet.users_read, done(quiet), sum(quiet.requests.values())) == (1, {}, 0)

    okta.change("u5", title="Lead")
    changed = await company.cycle()
    assert done(changed) == {"update": 1}
    assert changed.users_read < 4


async def test_an_assignment_that_ends_or_begins_is_seen_although_the_user_did_not_change(
    company: Company, server: ScimServer, okta: Okta
) -> None:
    people(okta)
    okta.hire("late")
    await company.cycle()
    del okta.apps["0oa1"]["u2"]
    okta.apps["0oa1"]["late"] = "USER"
    assert done(await company.cycle()) == {"create": 1, "disable": 1}
    assert server.user("u2@example.com")["active"] is False


def suspended(okta: Okta) -> None:
    okta.change("u3", status="SUSPENDED")


def deactivated(okta: Okta) -> None:
    okta.change("u3", status="DEPROVISIONED")


@pytest.mark.parametrize("leave", [suspended, deactivated])
async def test_who_is_suspended_or_deactivated_is_disabled(
    company: Company, server: ScimServer, okta: Okta, leave: Callable[[Okta], None]
) -> None:
    people(okta)
    await company.cycle()
    leave(okta)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user("u3@example.com")["active"] is False
    okta.change("u3", status="ACTIVE")
    okta.apps["0oa1"]["u3"] = "USER"
    assert done(await company.cycle()) == {"enable": 1}


async def test_locked_out_is_still_at_work(company: Company, okta: Okta) -> None:
    people(okta)
    await company.cycle()
    okta.change("u3", status="LOCKED_OUT")
    assert done(await company.cycle()) == {}


async def test_who_was_deleted_before_anybody_looked_is_found_by_the_full_cycle(company: Company, okta: Okta) -> None:
    people(okta)
    company.job = 'scope = "all"'
    await company.cycle()
    okta.change("u3", status="DEPROVISIONED")
    okta.delete("u3")
    assert done(await company.cycle()) == {}
    assert done(await company.cycle(full=True)) == {"disable": 1}


async def test_groups_are_asked_for_their_members_only_when_these_changed(
    company: Company, server: ScimServer, okta: Okta
) -> None:
    people(okta)
    okta.found("g1", "Crew", "u0", "u1")
    okta.clock += timedelta(hours=1)
    okta.found("g2", "Others", "u2")
    company.job = 'scope = "all"'
    company.tables = GROUPS
    first = await company.cycle()
    assert (first.problems, server.members("Crew")) == (
        [],
        {server.user(f"u{n}@example.com")["id"] for n in (0, 1)},
    )
    okta.asked.clear()
    okta.quit("g2", "u2")
    okta.enter("g2", "u5")
    second = await company.cycle()
    assert done(second) == {"members_added": 1, "members_removed": 1}
    assert not any("/groups/g1/users" in asked for asked in okta.asked)
    assert server.members("Others") == {server.user("u5@example.com")["id"]}
    assert len(server.members("Crew")) == 2


async def test_a_group_that_was_hidden_for_a_while_gets_its_members_back(
    company: Company, server: ScimServer, okta: Okta
) -> None:
    """Its members did not change meanwhile, so by its times there is nothing to be read; who is in it was dropped."""
    people(okta)
    okta.found("g1", "Crew", "u0", "u1")
    okta.clock += timedelta(hours=1)
    okta.found("g2", "Others", "u2")
    company.job, company.tables = 'scope = "all"', GROUPS
    await company.cycle()
    hidden = okta.groups.pop("g1")
    await company.cycle()
    okta.groups["g1"] = hidden
    report = await company.cycle()
    assert (report.problems, report.users_read) == ([], 8), "everything was read again"
    assert server.members("Crew") == {server.user(f"u{n}@example.com")["id"] for n in (0, 1)}
    quiet = await company.cycle()
    assert (quiet.users_read, sum(quiet.requests.values())) == (1, 0)


async def test_who_was_hidden_and_is_back_before_the_time_of_grace_is_over_stays_on(
    company: Company, server: ScimServer, okta: Okta
) -> None:
    """By her times nothing has changed: only who asks for her is told that she is there."""
    people(okta)
    okta.found("g1", "Crew", "u0", "u3")
    company.job = 'scope = "all"'
    company.tables = GROUPS + '[jobs.app.deprovision]\ndisable_after = "7d"\n'
    await company.cycle()
    hidden = okta.users.pop("u3")
    okta.quit("g1", "u3")
    await company.cycle()
    okta.users["u3"] = hidden
    company.clock.turn(8 * DAY)
    assert "disable" not in done(await company.cycle())
    assert server.user("u3@example.com")["active"] is True
    okta.users.pop("u3")
    assert done(await company.cycle(full=True)) == {}
    company.clock.turn(8 * DAY)
    assert done(await company.cycle()) == {"disable": 1}, "who is not back is off"


async def test_at_whichever_moment_of_a_cycle_the_time_of_grace_ends_who_is_back_was_asked_for(
    company: Company, server: ScimServer, okta: Okta
) -> None:
    people(okta)
    company.job = 'scope = "all"'
    company.tables = '[jobs.app.deprovision]\ndisable_after = "7d"\n'
    await company.cycle()
    was_asked = []
    for looks in range(36, 44):
        hidden = okta.users.pop("u3")
        await company.cycle(full=True)
        okta.users["u3"] = hidden
        okta.asked.clear()
        company.clock.turn(7 * DAY - LOOK_SECONDS * looks)
        assert done(await company.cycle()) == {}, f"{looks} looks at the clock before her time"
        was_asked.append("/api/v1/users/u3" in okta.asked)
        company.clock.turn(60)
        assert done(await company.cycle()) == {}, "the next cycle asks for her"
    assert was_asked[0] and not was_asked[-1], "her time came before the moment of asking, and after it"
    assert server.user("u3@example.com")["active"] is True


async def test_that_there_is_no_group_at_all_is_not_believed(company: Company, server: ScimServer, okta: Okta) -> None:
    people(okta)
    okta.found("g1", "Crew", "u0", "u1")
    company.job, company.tables = 'scope = "all"', GROUPS
    company.source = company.source.replace("allow_empty", "# allow_empty")
    await company.cycle()
    okta.groups.clear()
    report = await company.cycle()
    assert (report.state, done(report)) == ("incomplete", {})
    assert "there is no group" in report.problems[0]
    assert len(server.members("Crew")) == 2


@pytest.mark.parametrize("where", ["any group", "app:0oa1"])
async def test_that_nobody_is_in_any_list_of_members_is_not_believed(
    company: Company, server: ScimServer, okta: Okta, where: str
) -> None:
    people(okta)
    if where == "any group":
        company.job, company.tables = 'scope = "all"', GROUPS
        okta.found("g1", "Crew", "u0", "u1")
        okta.found("g2", "Empty")
    await company.cycle()
    if where == "any group":
        okta.quit("g1", "u0")
        okta.quit("g1", "u1")
    else:
        okta.apps["0oa1"].clear()
    report = await company.cycle()
    assert (report.state, done(report)) == ("incomplete", {})
    assert f"nobody is in {where}" in report.problems[0]
    company.source = company.source.replace('["groups"]', '["groups", "members"]')
    assert done(await company.cycle()) == ({"members_removed": 2} if where == "any group" else {"held": 8})


async def test_a_source_that_gave_some_is_no_cause_of_a_quarantine(
    company: Company, server: ScimServer, okta: Okta
) -> None:
    people(okta)
    okta.found("g1", "Crew", "u0", "u1")
    company.job = 'scope = "all"'
    company.tables = GROUPS
    await company.cycle()
    suspended(okta)
    okta.then(401, b"{}")
    report = await company.cycle()
    assert (report.state, done(report)) == ("incomplete", {"disable": 1}), "who was read well and has left is off"
    assert "401" in report.problems[0]
    assert (await company.standing()).quarantine is None


async def test_a_next_page_at_another_host_is_not_asked_for(company: Company, okta: Okta) -> None:
    people(okta)
    company.job = 'scope = "all"'
    await company.cycle()
    body = b'[{"id":"u0","status":"ACTIVE","lastUpdated":"2026-01-01T08:00:00.000Z","profile":{"login":"u0"}}]'
    okta.then(200, body, Link='<https://elsewhere.example.com/api/v1/users?after=1>; rel="next"')
    report = await company.cycle(full=True)
    assert (report.state, done(report).get("disable")) == ("incomplete", None)
    assert "another host" in report.problems[0]


async def test_a_page_that_leads_to_itself_is_no_end(company: Company, okta: Okta) -> None:
    people(okta)
    company.job = 'scope = "all"'
    await company.cycle()
    okta.page_max = 3
    read = okta.answer

    async def answer(request):  # type: ignore[no-untyped-def]  # because it stands in for the server's own
        given = await read(request)
        if request.query.get("after"):
            given.headers.popall("Link")
            given.headers.add("Link", f'<{request.url}>; rel="next"')
        return given

    okta.answer = answer  # type: ignore[method-assign]  # because this one goes in circles
    report = await company.cycle(full=True)
    assert (report.state, done(report)) == ("incomplete", {})


async def test_a_failed_create_is_fetched_by_itself(company: Company, server: ScimServer, okta: Okta) -> None:
    people(okta, 3)
    okta.users["u1"]["profile"]["email"] = None
    first = await company.cycle()
    assert done(first) == {"create": 2, "failure": 1}
    okta.users["u1"]["profile"]["email"] = "u1@example.com"  # and lastUpdated does not move
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"create": 1}
    assert any("/api/v1/users/u1" in asked for asked in okta.asked)


@pytest.mark.parametrize("name", ["alexishr", "okta", "rest"])
async def test_the_configuration_of_each_page_runs(tmp_path: Path, server: ScimServer, name: str) -> None:
    written, *descriptions = pages.shown(name)
    async with AlexisHR() as hr, Okta() as okta:
        staff(hr, 3)
        okta.apps["0oa1"] = {}
        people(okta, 3)
        okta.found("g1", "APP-Phone", "u0", "u1", "u2")
        for description in descriptions[:1]:  # what follows changes a shipped one (tests/vendors/test_assumed.py)
            (tmp_path / "people.toml").write_text(description)
        here = {
            pages.PHONE: server.url,
            "https://example.okta.com": okta.url,
            "https://api.alexishr.com/v1": f"{hr.url}/v1",
            "https://hr.example.com/v1": f"{hr.url}/v1",
        }
        secrets = {"phone-token": server.token, "source-token": okta.token if name == "okta" else hr.token}
        report = await pages.first_cycle(tmp_path, written, here, secrets)
    assert done(report) == {"create": 3}
