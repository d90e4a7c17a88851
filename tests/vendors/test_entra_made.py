"""Who is made in Entra ID, or comes back from its bin: only where that is safe, whole, and nobody else pays for it."""

from __future__ import annotations

import pytest

from reconciler.core.model import AttributeMapping, Direct
from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.graph import GraphServer
from tests.vendors.hr import HumanResources

ANN = "ann.beck@example.com"
BIN = "/directory/deletedItems"
ERROR_INSIDE = {"error": {"code": "generalException", "message": "later"}}


async def deleted(hr: HumanResources, graph: GraphServer) -> str:
    """Hire Ann, and have somebody delete her account; return its id."""
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    number: str = hr.account(ANN)["id"]
    hr.clock.turn(HOUR)
    graph.tenant.remove(number)
    hr.employees["e1"]["jobTitle"] = "Lead"
    return number


@pytest.mark.parametrize("status", [500, 503])
async def test_while_the_bin_cannot_be_looked_into_nothing_was_made_and_who_comes_then_is_a_stranger(
    hr: HumanResources, graph: GraphServer, status: int
) -> None:
    graph.script.on("GET", BIN, then=Status(status), times=FOR_EVER)
    hr.employee("e1", "Ann", "Beck")
    assert done(await hr.cycle()) == {"failure": 1}
    assert graph.sent("POST", "/users") == []
    graph.tenant.put(ANN)
    graph.script.clear()
    hr.clock.turn(DAY)
    assert done(await hr.cycle()) == {"adopt": 1}


async def test_while_the_domains_cannot_be_read_nothing_was_made_either(hr: HumanResources, graph: GraphServer) -> None:
    graph.script.on("GET", "/organization", then=Status(500), times=FOR_EVER)
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    graph.tenant.put(ANN)
    graph.script.clear()
    hr.clock.turn(DAY)
    assert done(await hr.cycle()) == {"adopt": 1}


async def test_an_administrator_whom_we_may_not_restore_stops_nobody(hr: HumanResources, graph: GraphServer) -> None:
    number = await deleted(hr, graph)
    graph.tenant.administrators.add(number)
    report = await hr.cycle()
    assert [(one["id"], one["error_code"]) for one in report.failures] == [("e1", "InsufficientRights")]
    assert (report.state, report.problems, list(graph.tenant.users)) == ("active", [], [])


async def test_who_was_restored_is_ours_although_the_rest_could_not_be_sent(
    hr: HumanResources, graph: GraphServer
) -> None:
    number = await deleted(hr, graph)
    graph.script.on("PATCH", f"/users/{number}", then=Status(429), nth=2, times=FOR_EVER)
    assert done(await hr.cycle())["create"] == 1
    graph.script.clear()
    assert done(await hr.cycle()) == {"update": 1}
    assert (list(graph.tenant.users), hr.account(ANN)["jobTitle"]) == ([number], "Lead")


async def test_who_was_restored_is_ours_although_the_rest_is_refused_and_leaves_as_everybody_does(
    hr: HumanResources, graph: GraphServer
) -> None:
    number = await deleted(hr, graph)
    hr.employees["e1"]["jobTitle"] = "x" * 129
    assert (done(await hr.cycle()), list(graph.tenant.users)) == ({"create": 1}, [number])
    report = await hr.cycle()
    assert [(one["id"], one["operation"]) for one in report.failures] == [("e1", "update")]
    assert "jobTitle" in report.failures[0]["reason"]
    hr.employees["e1"] |= {"accountEnabled": False, "employeeLeaveDateTime": "2026-12-31"}
    await hr.cycle()
    assert hr.account(ANN)["employeeLeaveDateTime"] == "2026-12-31T00:00:00Z"


async def test_of_who_came_back_all_is_put_right_that_she_had_before_and_has_no_more(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e0", "Bo", "Boss")
    number = await deleted(hr, graph)
    graph.tenant.deleted[number] |= {"jobTitle": "Clerk", "department": "Sales"}
    graph.tenant.managers[number] = hr.account("bo.boss@example.com")["id"]
    hr.employees["e1"] |= {"jobTitle": None, "department": "Support"}
    assert done(await hr.cycle()) == {"create": 1}
    assert done(await hr.cycle()) == {"update": 1}
    account = hr.account(ANN)
    assert (account["id"], account.get("jobTitle"), account["department"]) == (number, None, "Support")
    assert graph.tenant.managers == {}
    graph.clear()
    assert done(await hr.cycle()) == {}
    assert graph.calls == []


async def test_however_many_names_in_the_bin_end_alike_the_one_is_restored(
    hr: HumanResources, graph: GraphServer
) -> None:
    for some in range(4):
        graph.tenant.remove(graph.tenant.put(f"jo{some}{ANN}"))
    number = await deleted(hr, graph)
    graph.tenant.page_max = 1
    assert done(await hr.cycle())["create"] == 1
    assert list(graph.tenant.users) == [number]
    for more in range(11):
        graph.tenant.remove(graph.tenant.put(f"jo{more}bo.boss@example.com"))
    hr.employee("e2", "Bo", "Boss")
    report = await hr.cycle()
    assert [(one["id"], "recycle bin" in one["reason"]) for one in report.failures] == [("e2", True)], "of too many"


@pytest.mark.parametrize(
    ("name", "kind"), [("ann_gmail.com#EXT#@example.onmicrosoft.com", "Member"), ("abeck@example.com", "Guest")]
)
async def test_a_deleted_guest_of_the_same_mail_address_stays_in_the_bin(
    hr: HumanResources, graph: GraphServer, name: str, kind: str
) -> None:
    guest = graph.tenant.put(name, mail=ANN, userType=kind)
    graph.tenant.remove(guest)
    hr.employee("e1", "Ann", "Beck")
    assert done(await hr.cycle()) == {"create": 1}
    assert list(graph.tenant.deleted) == [guest]
    graph.tenant.remove(hr.account(ANN)["id"])
    hr.clock.turn(DAY)
    await hr.cycle(full=True)
    assert list(graph.tenant.deleted) == [guest], "and does not stand in the way of a member of that name"


async def test_who_came_back_has_no_day_of_leaving_any_more(hr: HumanResources, graph: GraphServer) -> None:
    number = await deleted(hr, graph)
    graph.tenant.deleted[number]["employeeLeaveDateTime"] = "2026-01-31T00:00:00Z"
    await hr.cycle()
    assert hr.account(ANN)["id"] == number
    assert hr.account(ANN).get("employeeLeaveDateTime") is None


async def test_a_deleted_account_whose_own_name_somebody_has_by_now_stands_in_nobodys_way(
    hr: HumanResources, graph: GraphServer
) -> None:
    old = graph.tenant.put("abeck@example.com", mail=ANN)
    graph.tenant.remove(old)
    graph.tenant.put("abeck@example.com")
    hr.employee("e1", "Ann", "Beck")
    report = await hr.cycle()
    assert (report.failures, done(report)) == ([], {"create": 1})
    assert (hr.account(ANN)["id"] != old, list(graph.tenant.deleted)) == (True, [old])


async def test_the_account_of_another_employee_of_the_same_name_stays_in_the_bin(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.map_also(AttributeMapping("employeeId", Direct("id")))
    old = graph.tenant.put(ANN, employeeId="e0")
    graph.tenant.remove(old)
    hr.employee("e1", "Ann", "Beck")
    assert done(await hr.cycle()) == {"create": 1}
    assert (hr.account(ANN)["employeeId"], hr.account(ANN)["id"] == old) == ("e1", False)


async def test_without_the_permission_for_the_day_of_leaving_everything_else_is_done(
    hr: HumanResources, graph: GraphServer
) -> None:
    graph.tenant.permissions.discard("User-LifeCycleInfo.ReadWrite.All")
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    hr.employees["e1"] |= {"jobTitle": "Lead", "employeeLeaveDateTime": "2026-12-31"}
    report = await hr.cycle()
    assert [(one["id"], one["error_code"]) for one in report.failures] == [("e1", "InsufficientRights")]
    assert hr.account(ANN)["jobTitle"] == "Lead"


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(Status(500), id="500"),
        pytest.param(Status(409), id="409"),
        pytest.param(Status(200, body=b"<!DOCTYPE html><title>Sign in</title>"), id="web page"),
        pytest.param(Status(200, body=ERROR_INSIDE), id="error inside"),
    ],
)
async def test_a_manager_who_could_not_be_set_at_once_is_set_in_the_next_cycle(
    hr: HumanResources, graph: GraphServer, refusal: Status
) -> None:
    hr.employee("e0", "Bo", "Boss")
    await hr.cycle()
    graph.script.on("PUT", "/manager", then=refusal, times=FOR_EVER)
    for number in range(12):
        hr.employee(f"e1{number}", f"Ann{number}", "Beck", manager="e0")
    assert done(await hr.cycle()) == {"create": 12}
    assert "manager: sent again in the next cycle" in (await hr.log())[-1]["reason"]
    graph.script.clear()
    assert done(await hr.cycle()) == {"update": 12}
    assert set(graph.tenant.managers.values()) == {hr.account("bo.boss@example.com")["id"]}
    assert done(await hr.cycle()) == {}


@pytest.mark.parametrize("answer", [Status(500, done=True), Status(200, body=ERROR_INSIDE, done=True)])
async def test_a_manager_who_was_set_at_once_without_a_word_of_it_can_be_taken_away_again(
    hr: HumanResources, graph: GraphServer, answer: Status
) -> None:
    hr.employee("e0", "Bo", "Boss")
    await hr.cycle()
    graph.script.on("PUT", "/manager", then=answer, times=FOR_EVER)
    hr.employee("e1", "Ann", "Beck", manager="e0")
    assert done(await hr.cycle()) == {"create": 1}
    assert hr.account(ANN)["id"] in graph.tenant.managers
    graph.script.clear()
    del hr.employees["e1"]["manager"]
    assert done(await hr.cycle()) == {"update": 1}
    assert graph.tenant.managers == {}
    graph.clear()
    assert done(await hr.cycle()) == {}
    assert graph.calls == []


async def test_a_manager_who_was_deleted_and_is_restored_leads_her_people_again(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e2", "Bob", "Carr", manager="e1")
    number = await deleted(hr, graph)
    bob = hr.account("bob.carr@example.com")["id"]
    graph.script.on("GET", BIN, then=Status(500), times=FOR_EVER)
    assert done(await hr.cycle()) == {"failure": 1}
    graph.script.clear()
    hr.clock.turn(DAY)
    assert bob not in graph.tenant.managers
    assert done(await hr.cycle(full=True)) == {"create": 1, "update": 1}
    assert graph.tenant.managers[bob] == hr.account(ANN)["id"] == number
    assert done(await hr.cycle()) == {}


async def test_a_manager_who_left_and_comes_back_out_of_the_bin_leads_her_people_again(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.job = hr.job.replace('gone = "keep"', 'gone = "delete"')
    ann = hr.employee("e1", "Ann", "Beck")
    hr.employee("e2", "Bob", "Carr", manager="e1")
    await hr.cycle()
    number, bob = hr.account(ANN)["id"], hr.account("bob.carr@example.com")["id"]
    del hr.employees["e1"]
    assert done(await hr.cycle()) == {"delete": 1}
    await hr.cycle()
    hr.clock.turn(HOUR)
    hr.employees["e1"] = ann
    assert done(await hr.cycle()) == {"create": 1, "update": 1}
    assert graph.tenant.managers[bob] == hr.account(ANN)["id"] == number
    assert done(await hr.cycle()) == {}
