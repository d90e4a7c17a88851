"""AlexisHR into Entra ID: the fields of the document, in whole cycles against the double of Microsoft Graph."""

from __future__ import annotations

import re

import pytest

from reconciler.demo import organisation
from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import done
from tests.servers.graph import GraphServer
from tests.vendors.app import page
from tests.vendors.hr import HumanResources

ANN = "ann.beck@example.com"


@pytest.mark.row("D1")
@pytest.mark.row("D11")
async def test_a_new_employee_becomes_a_user_and_a_change_goes_out_alone(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck", jobTitle="Engineer")
    first = await hr.cycle()
    assert (first.state, done(first)) == ("active", {"create": 1})
    graph.clear()
    assert done(await hr.cycle()) == {}
    assert graph.calls == []
    hr.employees["e1"]["jobTitle"] = "Manager"
    assert done(await hr.cycle()) == {"update": 1}
    assert [(call.method, call.body) for call in graph.writes] == [("PATCH", {"jobTitle": "Manager"})]


@pytest.mark.row("D12")
async def test_an_account_is_enabled_when_it_is_made_and_not_touched_in_that_from_then_on(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    assert hr.account(ANN)["accountEnabled"] is True
    hr.account(ANN)["accountEnabled"] = False
    hr.employees["e1"]["jobTitle"] = "Lead"
    assert done(await hr.cycle(full=True)) == {"update": 1}, "nor is an enable held for a person's word"
    assert (hr.account(ANN)["accountEnabled"], hr.account(ANN)["jobTitle"]) == (False, "Lead")


@pytest.mark.row("D13")
async def test_what_needs_a_special_right_with_an_administrator_fails_for_that_one_alone(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck")
    hr.employee("e2", "Bob", "Carr")
    await hr.cycle()
    (create, _) = graph.sent("POST", "/users")
    assert create.body["accountEnabled"] is True
    graph.tenant.administrators.add(hr.account(ANN)["id"])
    for one in hr.employees.values():
        one["telephoneNumber"] = "+46 8 1"
    report = await hr.cycle()
    assert done(report) == {"update": 1, "failure": 1}
    assert report.state == "active"
    assert [(one["id"], one["error_code"]) for one in report.failures] == [("e1", "InsufficientRights")]
    assert "administrator" in report.failures[0]["reason"]


DIRECT = [
    ("D14", "givenName", "givenName", "Anna"),
    ("D15", "surname", "surname", "Becker"),
    ("D18", "streetAddress", "streetAddress", "Storgatan 1"),
    ("D19", "postalCode", "postalCode", "111 22"),
    ("D20", "city", "city", "Malmö"),
    ("D21", "country", "country", "SE"),
    ("D24", "jobTitle", "jobTitle", "Lead"),
    ("D25", "companyName", "companyName", "Beck & Co"),
    ("D26", "physicalDeliveryOfficeName", "officeLocation", "Floor 2"),
    ("D27", "department", "department", "Sales"),
]


@pytest.mark.row("D14")
@pytest.mark.row("D15")
@pytest.mark.row("D18")
@pytest.mark.row("D19")
@pytest.mark.row("D20")
@pytest.mark.row("D21")
@pytest.mark.row("D24")
@pytest.mark.row("D25")
@pytest.mark.row("D26")
@pytest.mark.row("D27")
async def test_each_field_is_set_at_first_changed_alone_and_taken_away(hr: HumanResources, graph: GraphServer) -> None:
    hr.map_home_address()
    hr.employee("e1", "Ann", "Beck", **{source: "first" for _, source, _, _ in DIRECT[2:]})
    await hr.cycle()
    assert all(hr.account(ANN)[target] == "first" for _, _, target, _ in DIRECT[2:])
    for _, source, target, value in DIRECT:
        graph.clear()
        hr.employees["e1"][source] = value
        await hr.cycle()
        (patch,) = graph.writes
        assert patch.body.pop("displayName", None) is None or source in ("givenName", "surname")
        assert patch.body == {target: value}
        assert hr.account(ANN)[target] == value
    for _, source, _, _ in DIRECT[2:]:
        hr.employees["e1"][source] = None
    await hr.cycle()
    assert all(target not in hr.account(ANN) for _, _, target, _ in DIRECT[2:])


@pytest.mark.row("D21")
async def test_a_country_can_be_sent_as_its_code(hr: HumanResources, graph: GraphServer) -> None:
    (written,) = re.findall(r"`(Switch\(\[country\][^`]*)`", page("entra"))
    hr.map_home_address()
    hr.tables = hr.tables.replace('from = "country"', f"expression = '{written}'")
    hr.employee("e1", "Ann", "Beck", country="Sweden")
    hr.employee("e2", "Bob", "Carr", country="NO")
    await hr.cycle()
    assert (hr.account(ANN)["country"], hr.account("bob.carr@example.com")["country"]) == ("SE", "NO")


@pytest.mark.row("D16")
async def test_the_nickname_is_first_dot_last_without_marks_and_unlike_any_other(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Åsa Maria", "Öberg Ñuñez", mail="asa@example.com")
    hr.employee("e2", "Asa Maria", "Oberg Nunez", mail="asa2@example.com")
    assert done(await hr.cycle()) == {"create": 2}
    names = {hr.account("asa@example.com")["mailNickname"], hr.account("asa2@example.com")["mailNickname"]}
    assert names == {"AsaMaria.ObergNunez", "AsaMaria.ObergNunez1"}
    hr.employee("e3", "Bríd", "O'Neill", mail="brid@example.com")
    hr.employee("e4", "太郎", "佐藤", mail="taro.sato@example.com")
    hr.employee("e5", "Ann (Bea)", "Beck", mail="ann.bea@example.com")
    assert done(await hr.cycle()) == {"create": 3}
    assert hr.account("brid@example.com")["mailNickname"] == "Brid.O'Neill"
    assert hr.account("taro.sato@example.com")["mailNickname"] == "taro.sato", "no letter of his name is one of it"
    assert hr.account("ann.bea@example.com")["mailNickname"] == "ann.bea"
    hr.employees["e1"]["surname"] = "Berg"
    await hr.cycle()
    assert hr.account("asa@example.com")["mailNickname"] in names


@pytest.mark.row("D17")
async def test_the_display_name_follows_both_names_and_is_never_cleared(hr: HumanResources, graph: GraphServer) -> None:
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    hr.employees["e1"]["surname"] = "Carr"
    await hr.cycle()
    assert hr.account(ANN)["displayName"] == "Ann Carr"
    hr.employees["e1"].update(givenName=None, surname=None)
    graph.clear()
    await hr.cycle()
    assert hr.account(ANN)["displayName"] == "Ann Carr"
    assert all("displayName" not in (call.body or {}) for call in graph.writes)


LIMITED = """
[jobs.entra.users.define]
mail = { never_null = true, own_domain = true, max_changes = 10 }
"""


@pytest.mark.row("D22")
async def test_the_work_address_is_mail_is_never_taken_away_and_becomes_a_proxy_address(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    hr.employees["e1"]["mail"] = "ann.carr@example.com"
    await hr.cycle()
    ann = hr.account(ANN)
    assert ann["proxyAddresses"] == ["SMTP:ann.carr@example.com", "smtp:ann.beck@example.com"]
    hr.employees["e1"]["mail"] = None
    await hr.cycle()
    assert ann["mail"] == "ann.carr@example.com"


@pytest.mark.row("D22")
async def test_where_ten_changes_are_all_the_eighth_warns_and_the_eleventh_is_not_sent(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.tables = LIMITED
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    for change in range(1, 12):
        hr.employees["e1"].update(mail=f"ann{change}@example.com", jobTitle=f"Title {change}")
        hr.clock.turn(2 * DAY)  # more in one day are held as renames
        await hr.cycle()
    ann = hr.account(ANN)
    assert graph.tenant.mail_changes[ann["id"]] == 10
    assert (ann["mail"], ann["jobTitle"]) == ("ann10@example.com", "Title 11")
    updates = [row for row in await hr.log() if row["action"] == "update"]
    assert [row["status"] for row in updates] == [*["success"] * 7, *["warning"] * 3, "success"]
    assert "mail was changed 8 times, and the target allows 10" in updates[7]["reason"]
    assert "not changed: mail" in updates[10]["reason"]


@pytest.mark.row("D23")
async def test_who_somebody_reports_to_is_set_once_both_are_there_and_taken_away(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck", manager="e3")
    hr.employee("e2", "Bob", "Carr", manager="e1")
    hr.employee("e3", "Cleo", "Dahl", manager="e2")
    assert done(await hr.cycle())["create"] == 3
    ids = {one: hr.account(name)["id"] for one, name in (("a", ANN), ("b", "bob.carr@example.com"))}
    assert graph.tenant.managers[ids["b"]] == ids["a"]
    assert len(graph.tenant.managers) == 3
    assert all(call.path.endswith("/manager/$ref") for call in graph.sent("PUT"))
    graph.clear()
    assert done(await hr.cycle()) == {}
    hr.employees["e2"]["manager"] = None
    await hr.cycle()
    assert [call.method for call in graph.writes] == ["DELETE"]
    assert ids["b"] not in graph.tenant.managers


@pytest.mark.row("D28")
async def test_the_phone_is_a_list_of_one(hr: HumanResources, graph: GraphServer) -> None:
    hr.employee("e1", "Ann", "Beck", telephoneNumber="+46 8 123")
    await hr.cycle()
    assert hr.account(ANN)["businessPhones"] == ["+46 8 123"]
    hr.employees["e1"]["telephoneNumber"] = None
    await hr.cycle()
    assert hr.account(ANN)["businessPhones"] == []
    hr.employees["e1"]["telephoneNumber"] = ["+46 8 123", "+46 8 124"]
    report = await hr.cycle()
    assert report.failures[0]["error_code"] == "SchemaPropertyCanOnlyAcceptValue"


@pytest.mark.row("D29")
async def test_the_hire_date_is_a_moment_in_utc(hr: HumanResources, graph: GraphServer) -> None:
    hr.employee("e1", "Ann", "Beck", employeeHireDate="2024-03-01")
    await hr.cycle()
    assert hr.account(ANN)["employeeHireDate"] == "2024-03-01T00:00:00Z"
    graph.clear()
    assert done(await hr.cycle(full=True)) == {}
    assert graph.writes == []


@pytest.mark.row("D30")
@pytest.mark.row("D35")
@pytest.mark.row("D36")
@pytest.mark.parametrize(("day", "active"), [("2031-06-30", True), ("2031-06-30", False), ("2019-06-30", False)])
async def test_offboarding_sets_the_leave_date_whenever_it_is_and_disables_nobody(
    hr: HumanResources, graph: GraphServer, day: str, *, active: bool
) -> None:
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    graph.clear()
    hr.employees["e1"].update(employeeLeaveDateTime=day, accountEnabled=active)
    assert done(await hr.cycle()) == {"update": 1}
    assert [call.body for call in graph.writes] == [{"employeeLeaveDateTime": f"{day}T00:00:00Z"}]
    assert hr.account(ANN)["accountEnabled"] is True
    hr.employees["e1"]["employeeLeaveDateTime"] = None
    await hr.cycle()
    assert "employeeLeaveDateTime" not in hr.account(ANN), "revoked"


@pytest.mark.row("D30")
async def test_a_leave_date_is_the_midnight_of_a_time_zone(hr: HumanResources, graph: GraphServer) -> None:
    profile = hr.directory / "ours.toml"
    profile.write_text('name = "ours"\nextends = "graph"\n')
    hr.profile = "ours.toml"
    leaving = """expression = 'UtcDateTime([employeeLeaveDateTime], "Europe/Stockholm")', null = "clear" """
    hr.tables = f"""
[jobs.entra.users]
attributes = [
  {{ to = "userPrincipalName", from = "mail", match = 1, apply = "create" }},
  {{ to = "accountEnabled", constant = true, apply = "create" }},
  {{ to = "displayName", from = "givenName" }},
  {{ to = "mailNickname", from = "id", apply = "create" }},
  {{ to = "employeeLeaveDateTime", {leaving} }},
]
"""
    hr.employee("e1", "Ann", "Beck", employeeLeaveDateTime="2026-06-30")
    hr.employee("e2", "Bob", "Carr", employeeLeaveDateTime="2026-12-31")
    assert done(await hr.cycle()) == {"create": 2}
    assert hr.account(ANN)["employeeLeaveDateTime"] == "2026-06-29T22:00:00Z"
    assert hr.account("bob.carr@example.com")["employeeLeaveDateTime"] == "2026-12-30T23:00:00Z"


@pytest.mark.row("D30")
async def test_a_time_zone_stands_in_both_places_as_the_page_says(hr: HumanResources, graph: GraphServer) -> None:
    (written,) = set(re.findall(r"`(UtcDateTime\([^`]*Stockholm\"\))`", page("entra")))
    assert "The date is written in two places, so say it in both" in page("entra")
    plain = "UtcDateTime([employeeLeaveDateTime])"
    hr.map_home_address()
    assert (hr.tables.count(plain), hr.job.count(plain)) == (1, 1)
    hr.tables = hr.tables.replace(f'"{plain}"', f"'{written}'")
    hr.job = hr.job.replace(f'"{plain}"', f"'{written}'")
    hr.employee("e1", "Ann", "Beck", employeeLeaveDateTime="2026-06-30")
    await hr.cycle()
    assert hr.account(ANN)["employeeLeaveDateTime"] == "2026-06-29T22:00:00Z"
    graph.clear()
    hr.employees["e1"]["accountEnabled"] = False
    await hr.cycle()
    assert graph.writes == [], "the date is the same for who is not active any more"


async def test_somebody_who_is_gone_from_the_source_is_kept(hr: HumanResources, graph: GraphServer) -> None:
    hr.employee("e1", "Ann", "Beck")
    hr.employee("e2", "Bob", "Carr")
    await hr.cycle()
    graph.clear()
    del hr.employees["e1"]
    assert done(await hr.cycle()) == {}
    assert graph.writes == []
    assert hr.account(ANN)["accountEnabled"] is True


@pytest.mark.row("D8")
@pytest.mark.row("D9")
@pytest.mark.row("D38")
async def test_somebody_in_a_domain_that_is_not_the_tenants_is_not_made_and_the_log_names_the_domains(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck", mail="ann@elsewhere.example")
    hr.employee("e2", "Bob", "Carr")
    report = await hr.cycle()
    assert done(report) == {"create": 1, "failure": 1}
    (failure,) = report.failures
    assert (failure["id"], failure["error_code"]) == ("e1", "DomainNotInTenant")
    assert "domain not in tenant" in failure["reason"]
    assert "elsewhere.example; the tenant has example.com, example.onmicrosoft.com" in failure["reason"]
    assert len(graph.sent("POST", "/users")) == 1
    graph.tenant.domains.append("elsewhere.example")
    hr.clock.turn(DAY)
    assert done(await hr.cycle()) == {"create": 1}


@pytest.mark.row("D8")
async def test_a_work_address_that_moves_out_of_the_tenant_changes_nothing(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    graph.clear()
    hr.employees["e1"].update(mail="ann@elsewhere.example", jobTitle="Lead")
    report = await hr.cycle()
    assert [one["error_code"] for one in report.failures] == ["DomainNotInTenant"]
    assert graph.writes == []


@pytest.mark.row("D10")
@pytest.mark.row("D37")
@pytest.mark.parametrize("missing", ["givenName", "surname"])
async def test_without_a_mandatory_field_nobody_is_made_and_the_log_names_it(
    hr: HumanResources, graph: GraphServer, missing: str
) -> None:
    hr.employee("e1", "Ann", "Beck", **{missing: None})
    report = await hr.cycle()
    assert done(report) == {"failure": 1}
    assert graph.sent("POST", "/users") == []
    (failure,) = report.failures
    assert failure["error_code"] == "MandatoryFieldsMissing"
    assert failure["reason"].startswith(f"{missing}: the target requires it")
    (row,) = [row for row in await hr.log() if row["status"] == "failure"]
    assert missing in row["reason"]
    hr.employees["e1"][missing] = "Name"
    assert done(await hr.cycle()) == {"create": 1}


@pytest.mark.row("D10")
@pytest.mark.row("D37")
async def test_without_a_work_address_nobody_is_made_and_the_log_says_so(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck", mail=None)
    report = await hr.cycle()
    assert graph.sent("POST", "/users") == []
    assert [(one["error_code"], one["reason"]) for one in report.failures] == [
        ("ImportSkipped", "no matching attribute has a value: userPrincipalName, mail")
    ]


@pytest.mark.row("D10")
async def test_what_is_mandatory_to_create_holds_up_no_later_change(hr: HumanResources, graph: GraphServer) -> None:
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    graph.clear()
    hr.employees["e1"].update(givenName=None, surname=None, mail=None, jobTitle="Lead")
    report = await hr.cycle()
    assert (report.failures, done(report)) == ([], {"update": 1})
    assert [call.body for call in graph.writes] == [{"jobTitle": "Lead"}]


@pytest.mark.row("D37")
async def test_each_mandatory_field_that_is_missing_is_named_at_once(hr: HumanResources, graph: GraphServer) -> None:
    hr.employee("e1", "Ann", "Beck", givenName=None, surname=None)
    (failure,) = (await hr.cycle()).failures
    assert failure["error_code"] == "MandatoryFieldsMissing"
    named = failure["reason"].partition(":")[0].split(", ")
    assert {"givenName", "surname"} <= set(named)


async def test_who_was_deleted_by_hand_gets_the_old_account_back(hr: HumanResources, graph: GraphServer) -> None:
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    before = hr.account(ANN)["id"]
    hr.clock.turn(HOUR)
    graph.tenant.remove(before)
    hr.employees["e1"]["jobTitle"] = "Lead"
    await hr.cycle()
    assert (hr.account(ANN)["id"], hr.account(ANN)["jobTitle"]) == (before, "Lead")


async def test_two_hundred_people_arrive_with_their_managers_and_the_next_cycle_sends_nothing(
    hr: HumanResources, graph: GraphServer
) -> None:
    graph.tenant.late_reads = 1
    for number in range(200):
        boss = f"e{number // 10}" if number else None
        hr.employee(f"e{number}", f"First{number}", "Last", manager=boss)
    report = await hr.cycle()
    assert (report.state, report.counts["create"], report.failures) == ("active", 200, [])
    await hr.cycle()
    assert len(graph.tenant.managers) == 199
    graph.clear()
    assert done(await hr.cycle()) == {}
    assert graph.calls == []


async def test_who_is_there_is_found_by_the_sign_in_name_and_then_by_the_mail_address_and_taken_over(
    hr: HumanResources, graph: GraphServer
) -> None:
    by_name = graph.tenant.put("Ann.Beck@example.com", accountEnabled=False, jobTitle="Old")
    by_mail = graph.tenant.put("bcarr@example.onmicrosoft.com", mail="bob.carr@example.com", jobTitle="Old")
    hr.employee("e1", "Ann", "Beck", jobTitle="Engineer")
    hr.employee("e2", "Bob", "Carr", jobTitle="Engineer")
    report = await hr.cycle()
    assert (report.failures, done(report)) == ([], {"adopt": 2})
    ann, bob = graph.tenant.users[by_name], graph.tenant.users[by_mail]
    assert (ann["jobTitle"], bob["jobTitle"]) == ("Engineer", "Engineer")
    assert ann["accountEnabled"] is False, "accountEnabled is written when a user is created, and never again"
    assert bob["userPrincipalName"] == "bcarr@example.onmicrosoft.com", "so is the user principal name"
    graph.clear()
    assert (done(await hr.cycle()), graph.calls) == ({}, [])


async def test_who_is_mastered_on_premises_is_left_alone_as_such_and_stops_nobody(
    hr: HumanResources, graph: GraphServer
) -> None:
    graph.tenant.put(ANN, onPremisesSyncEnabled=True, jobTitle="Old")
    hr.employee("e1", "Ann", "Beck", jobTitle="Engineer")
    hr.employee("e2", "Bob", "Carr")
    report = await hr.cycle()
    assert report.counts["create"] == 1
    assert [(one["id"], one["error_code"]) for one in report.failures] == [("e1", "OnPremisesMastered")]
    assert hr.account(ANN)["jobTitle"] == "Old"
    assert hr.account("bob.carr@example.com")["accountEnabled"] is True


async def test_the_sample_organisation_is_in_the_directory_and_the_next_cycle_sends_nothing(
    hr: HumanResources, graph: GraphServer
) -> None:
    graph.tenant.domains.append("orchard.example")
    people = organisation.people()
    for row in people:
        more = {name: row.get(name) for name in ("jobTitle", "department", "manager")}
        hr.employee(row["id"], row["givenName"], row["surname"], mail=row["mail"], **more)
    with_mail = [row for row in people if row["mail"]]
    report = await hr.cycle()
    assert report.failures == []
    assert len(graph.tenant.users) == len(with_mail) > 400
    names = [user["mailNickname"] for user in graph.tenant.users.values()]
    assert len({name.lower() for name in names}) == len(names)
    assert all(name.isascii() for name in names)
    by_name = {user["mail"]: user for user in graph.tenant.users.values()}
    assert all(by_name[row["mail"]]["displayName"] == f"{row['givenName']} {row['surname']}" for row in with_mail)
    assert any(ord(character) > 0x3000 for user in by_name.values() for character in user["displayName"])
    await hr.cycle()
    graph.clear()
    assert (done(await hr.cycle()), graph.calls) == ({}, [])
