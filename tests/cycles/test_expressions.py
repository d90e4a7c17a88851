"""Expressions that ask the world: values that nobody else has, groups, tables, the time, chance."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.cycles.calendar import DAY
from tests.cycles.company import ATTRIBUTES, Company, done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer

NICK = """{ to = "nickName", apply = "%s", expression = '''SelectUniqueValue(
  ToLower([givenName]), ToLower(Join(".", [givenName], [surname])), Append([givenName], [id])) ''' },"""


def nicks(server: ScimServer, *ids: str) -> list[str]:
    return [server.user(f"{id_}@example.com").get("nickName", "") for id_ in ids]


def anns(company: Company, *ids: str) -> None:
    for id_ in ids:
        company.person(id_, givenName="Ann", surname="Lee")


async def test_no_two_people_of_a_cycle_get_the_same_value(company: Company, server: ScimServer) -> None:
    company.attributes += NICK % "create"
    anns(company, "a1", "a2", "a3")
    assert done(await company.cycle()) == {"create": 3}
    assert sorted(nicks(server, "a1", "a2", "a3")) == ["Anna3", "ann", "ann.lee"]


@pytest.mark.parametrize("many", [1, 12], ids=["one by one", "from a list"])
async def test_a_value_that_somebody_has_at_the_target_is_not_taken(
    company: Company, server: ScimServer, many: int
) -> None:
    server.put("user", userName="other@example.com", nickName="ANN")
    company.attributes += NICK % "create"
    anns(company, "a1")
    for number in range(1, many):
        company.person(f"p{number}", givenName=f"P{number}", surname="Lee")
    assert done(await company.cycle()) == {"create": many}
    assert nicks(server, "a1") == ["ann.lee"]


@pytest.mark.parametrize("apply", ["always", "create"])
async def test_a_value_once_chosen_stays(company: Company, server: ScimServer, apply: str) -> None:
    company.attributes += NICK % apply
    anns(company, "a1", "a2")
    await company.cycle()
    before = nicks(server, "a1", "a2")
    company.users["a2"]["jobTitle"] = company.users["a1"]["jobTitle"] = "Head"
    assert done(await company.cycle()) == {"update": 2}
    await company.cycle(full=True)
    assert nicks(server, "a1", "a2") == before


async def test_an_always_value_is_chosen_anew_when_the_rules_offer_it_no_more(
    company: Company, server: ScimServer
) -> None:
    company.attributes += NICK % "always"
    anns(company, "a1", "a2")
    await company.cycle()
    company.users["a1"]["givenName"] = company.users["a2"]["givenName"] = "Bea"
    assert done(await company.cycle()) == {"update": 2}
    assert sorted(nicks(server, "a1", "a2")) == ["bea", "bea.lee"]
    server.clear_requests()
    assert (done(await company.cycle()), server.requests) == ({}, [])


async def test_an_adopted_account_keeps_the_value_that_it_has(company: Company, server: ScimServer) -> None:
    server.put("user", userName="a1@example.com", nickName="ann.lee")
    company.attributes += NICK % "always"
    anns(company, "a1", "a2")
    assert done(await company.cycle())["create"] == 1
    assert nicks(server, "a1", "a2") == ["ann.lee", "ann"]


async def test_who_gets_no_value_fails_and_is_tried_again(company: Company, server: ScimServer) -> None:
    holders = [server.put("user", userName=f"{n}@x.example", nickName=n) for n in ("ann", "ann.lee", "Anna1")]
    company.attributes += NICK % "create"
    anns(company, "a1")
    report = await company.cycle()
    assert [failure["error_code"] for failure in report.failures] == ["SelectUniqueValueExhausted"]
    assert "each of the 3 values" in report.failures[0]["reason"]
    del server.users[holders[1]]
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"create": 1}
    assert nicks(server, "a1") == ["ann.lee"]


async def test_without_an_answer_nobody_is_created(company: Company, server: ScimServer) -> None:
    company.attributes += NICK % "create"
    anns(company, "a1")
    server.script.on("GET", "nickName", times=FOR_EVER, then=Status(400))
    server.script.on("GET", "/Users", times=FOR_EVER, then=Status(500))
    await company.cycle()
    assert server.users == {}


async def test_groups_tables_domain_and_roles_in_expressions(company: Company, server: ScimServer) -> None:
    (company.directory / "cities.csv").write_text("name,code,zip\nBern,BE,3000\nGenf,GE,1200\n", "utf-8")
    company.attributes += """
      { to = "nickName", expression = 'IIF(MemberOf("Staff"), "staff", "guest")' },
      { to = "preferredLanguage", expression = 'Lookup("cities", [city], "?", "zip")' },
      { to = "locale", expression = "=VLOOKUP([city], cities, 2)" },
      { to = "timezone", expression = 'Join("@", [id], DefaultDomain())' },
      { to = "userType", from = "role" },
      { to = "profileUrl", expression = 'Join("+", [roles])' },
    """
    company.job = """scope = "roles"\nroles = ["boss", "dev"]\nrole_choice = "all"\ndefault_domain = "example.com" """
    company.tables = """
[tables.cities]
file = "cities.csv"
key = "code"
[roles.boss]
when = { attribute = "jobTitle", operator = "EQUALS", value = "Boss" }
[roles.dev]
when = { attribute = "department", operator = "EQUALS", value = "Development" }
"""
    company.person("ann", city="BE", jobTitle="Boss")
    company.person("bob", city="BE")
    company.group("g1", ["ann"], "Staff")
    report = await company.cycle()
    assert done(report) == {"create": 2}, report.failures
    paths = ("nickName", "preferredLanguage", "locale", "timezone", "userType", "profileUrl")
    ann, bob = (server.user(f"{id_}@example.com") for id_ in ("ann", "bob"))
    assert [ann[path] for path in paths] == ["staff", "3000", "Bern", "ann@example.com", "boss", "boss+dev"]
    assert [bob[path] for path in paths] == ["guest", "3000", "Bern", "bob@example.com", "dev", "dev"]
    company.groups["g1"]["members"].append("bob")
    assert done(await company.cycle()) == {"update": 1}
    assert server.user("bob@example.com")["nickName"] == "staff"
    (company.directory / "cities.csv").write_text("name,code,zip\nBern,BE,3001\n", "utf-8")
    assert done(await company.cycle()) == {"update": 2}


async def test_a_membership_that_is_not_known_leaves_the_value(company: Company, server: ScimServer) -> None:
    company.attributes += """{ to = "nickName", expression = 'IIF(MemberOf("Staff"), "staff", "guest")' },"""
    company.people("ann")
    company.group("g1", ["ann"], "Staff")
    await company.cycle()
    del company.groups["g1"]
    company.users["ann"]["jobTitle"] = "Head"
    assert done(await company.cycle()) == {"update": 1}
    ann = server.user("ann@example.com")
    assert (ann["nickName"], ann["title"]) == ("staff", "Head")


async def test_the_day_comes_without_any_change(company: Company, server: ScimServer) -> None:
    company.attributes += """
      { to = "nickName", expression = 'IIF(DateDiff("d", Now(), [starts]) <= 14, "soon", "later")' },
    """
    company.person("ann", starts="2999-01-01")
    await company.cycle()
    company.clock.turn((_days_until(company, "2999-01-01") - 5) * DAY)
    assert done(await company.cycle()) == {"update": 1}
    assert nicks(server, "ann") == ["soon"]


async def test_who_is_ignored_until_a_day_is_created_then(company: Company, server: ScimServer) -> None:
    company.attributes += """
      { to = "nickName", expression = 'IIF(DateDiff("d", Now(), [starts]) <= 14, "x", IgnoreObjectFlow)' },
    """
    company.person("ann", starts="2999-01-01")
    assert done(await company.cycle()) == {}
    assert done(await company.cycle()) == {}
    company.clock.turn((_days_until(company, "2999-01-01") - 5) * DAY)
    assert done(await company.cycle()) == {"create": 1}


async def test_chance_on_creation_is_thrown_once(company: Company, server: ScimServer) -> None:
    company.attributes = (
        ATTRIBUTES
        + """
      { to = "nickName", expression = "Guid()", apply = "create" },
      { to = "profileUrl", expression = "RandomString(12, 2, 2, 2, 2)", apply = "create" },
    """
    )
    company.people("ann", "bob")
    await company.cycle()
    first, other = nicks(server, "ann", "bob")
    assert len({first, other}) == 2
    server.clear_requests()
    assert (done(await company.cycle()), server.requests) == ({}, [])
    company.users["ann"]["jobTitle"] = "Head"
    await company.cycle()
    assert nicks(server, "ann", "bob") == [first, other]


def _days_until(company: Company, day: str) -> int:
    return (datetime.fromisoformat(day).replace(tzinfo=UTC) - datetime.fromtimestamp(company.clock.now(), UTC)).days
