"""Quarantine as whole cycles meet it: what puts a job there, and what takes it out."""

from __future__ import annotations

import math

import pytest

from reconciler import config, wiring
from reconciler.core.notices import Notice
from reconciler.core.standing import Quarantine, QuarantineReason
from reconciler.runtime import health
from reconciler.runtime.reading import wanted_by
from tests.cycles.calendar import HOUR
from tests.cycles.company import Company, done
from tests.servers.faults import FOR_EVER, Drop, ServerFault, Status, Unauthorized
from tests.servers.scim import ScimServer

PEOPLE = ("ann", "bob", "cleo", "dan")


async def mails(company: Company) -> list[Notice]:
    async with wiring.open_house(config.load(company.configure()), write=True) as house:
        return [queued.notice for queued in await house.store.due_notices(math.inf, 100)]


async def quarantine(company: Company) -> Quarantine:
    found = (await company.standing()).quarantine
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("method", "path", "fault", "request_of", "rule"),
    [
        ("*", "", Unauthorized(), "GET /Users", "the target refuses the credentials"),
        ("*", "", Status(403), "GET /Users", "the target refuses the credentials"),
        ("GET", "/Users", Status(404), "GET /Users", "what answers at the target's address is not SCIM"),
        (
            "GET",
            "/Users",
            Status(200, body=b"<html>"),
            "GET /Users",
            "what answers at the target's address is not SCIM",
        ),
        ("POST", "/Users", Status(403), "POST /Users", "the target does not let us create accounts"),
        ("*", "", Status(503), "", "the target is out of reach"),
    ],
    ids=["401", "403", "404 on the query", "no SCIM", "403 on creates", "503 on everything"],
)
async def test_a_target_that_cannot_be_worked_with_puts_the_job_into_quarantine_at_once(
    method: str, path: str, fault: ServerFault, request_of: str, rule: str, company: Company, server: ScimServer
) -> None:
    company.people(*PEOPLE)
    server.script.on(method, path, then=fault, times=FOR_EVER)
    report = await company.cycle()
    assert (report.state, report.exit_code) == ("unreachable", 4)
    found = await quarantine(company)
    assert (found.reason, found.rule, found.request) == (QuarantineReason.EXCEPTION, rule, request_of)
    assert found.next_attempt == pytest.approx(company.clock.now() + 2400, abs=5)
    assert [str(notice.kind) for notice in await mails(company)] == ["quarantine_entered"]

    server.script.clear()
    company.clock.turn(3600)
    report = await company.cycle()
    assert (report.state, report.counts["create"]) == ("active", 4)
    assert (await company.standing()).quarantine is None
    assert [str(notice.kind) for notice in await mails(company)][1:] == ["quarantine_left"]


async def test_a_cycle_with_nothing_to_do_asks_the_target_before_it_lifts_a_quarantine(
    company: Company, server: ScimServer
) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    company.users["ann"]["jobTitle"] = "Manager"
    server.script.on("*", "", then=Unauthorized(), times=FOR_EVER)
    assert (await company.cycle()).state == "unreachable"
    company.users["ann"]["jobTitle"] = "Engineer"
    company.clock.turn(HOUR)
    assert (await company.cycle()).state == "unreachable", "the token is refused still, although nothing is to be sent"
    server.script.clear()
    company.clock.turn(HOUR)
    assert (await company.cycle()).state == "active"
    assert (await company.standing()).quarantine is None


async def test_a_fault_of_one_person_is_no_quarantine(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    server.script.on("POST", "/Users", then=Status(400), times=FOR_EVER, body="ann")
    assert (await company.cycle()).exit_code == 1
    standing = await company.standing()
    assert (standing.quarantine, standing.failing_cycles) == (None, 1)
    await company.cycle()
    [digest] = await mails(company)
    assert (str(digest.kind), digest.facts["failed"], digest.facts["judged"]) == ("failures", 1, 4)
    assert [entry["id"] for entry in digest.facts["entries"]] == ["ann"]


async def test_what_is_wrong_with_a_list_of_a_source_that_answers_keeps_no_job_in_quarantine(company: Company) -> None:
    company.people(*PEOPLE)
    path = company.write()
    (company.directory / company.users_file).unlink()
    async with wiring.open_house(config.load(path), write=True) as house, house.world("app") as world:
        plan = house.plan("app")
        assert not (await world.source.test(wanted_by(plan)))[0].ok
        assert await health.test_source(world.source, plan) is None
    assert (await company.cycle(write=False)).state == "incomplete"
    assert (await company.standing()).quarantine is None


@pytest.mark.parametrize("fault", [Status(503), Status(500), Drop()], ids=["503", "500", "cut connections"])
async def test_an_outage_of_two_cycles_leaves_nobody_waiting_when_it_is_over(
    fault: ServerFault, company: Company, server: ScimServer
) -> None:
    company.people("zoe", *PEOPLE)
    await company.cycle()
    company.users["zoe"]["jobTitle"] = "Manager"
    company.people("eve")
    server.script.on("*", "", then=fault, times=FOR_EVER)
    for _ in range(2):
        assert (await company.cycle()).state == "unreachable"
        company.clock.turn(2400)
    server.script.clear()
    assert done(await company.cycle()) == {"create": 1, "update": 1}
    assert (await company.standing()).quarantine is None
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


async def test_an_outage_of_six_weeks_makes_nobody_be_given_up(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    server.script.on("*", "", then=Status(503), times=FOR_EVER)
    for _ in range(42):
        assert (await company.cycle()).state == "unreachable"
        company.clock.turn(24 * HOUR)
    server.script.clear()
    assert done(await company.cycle()) == {"create": 4}


async def test_who_fails_for_a_reason_of_her_own_waits_through_an_outage(company: Company, server: ScimServer) -> None:
    company.people("ann")
    server.script.on("POST", "/Users", then=Status(400), times=FOR_EVER)
    for _ in range(2):
        assert done(await company.cycle()) == {"failure": 1}
    company.people("bob")
    server.script.clear()
    server.script.on("*", "", then=Unauthorized(), times=FOR_EVER)
    assert (await company.cycle()).state == "unreachable"
    server.script.clear()
    assert done(await company.cycle()) == {"create": 1}, "bob; ann's next try is in six hours"
    company.clock.turn(7 * HOUR)
    assert done(await company.cycle()) == {"create": 1}


async def test_a_create_is_tried_for_28_days_and_a_disable_for_ever(company: Company, server: ScimServer) -> None:
    company.people("zoe", *PEOPLE)
    await company.cycle()
    zoe = server.user("zoe@example.com")["id"]
    company.users["zoe"]["accountEnabled"] = False
    company.people("eve")
    server.script.on("POST", "/Users", then=Status(400), times=FOR_EVER)
    server.script.on("*", f"/Users/{zoe}", then=Status(400), times=FOR_EVER)
    tried: dict[str, list[float]] = {"POST": [], "PATCH": []}
    began = company.clock.now()
    cycles = [*range(0, 72, 6), *range(72, 32 * 24, 12)]
    for hour in cycles:
        server.clear_requests()
        await company.cycle()
        for method, moments in tried.items():
            if server.sent(method):
                moments.append(round((company.clock.now() - began) / HOUR))
        company.clock.turn((6 if hour < 72 else 12) * HOUR)
    assert tried["POST"] == [0, 6, 12, 24, *range(48, 28 * 24 + 1, 24)]
    assert tried["PATCH"] == cycles
    server.script.clear()
    assert done(await company.cycle()) == {"disable": 1}
    company.users["eve"]["jobTitle"] = "Manager"
    assert done(await company.cycle()) == {"create": 1}, "who was given up is tried again when something changes"


async def test_a_token_that_the_app_repeats_is_in_no_record_no_report_and_no_mail(
    company: Company, server: ScimServer
) -> None:
    company.people(*PEOPLE)
    said: dict[str, object] = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "403"}
    said["detail"] = f"the token {server.token} may do nothing"
    server.script.on("*", "", then=Status(403, body=said), times=FOR_EVER)
    reports = [await company.cycle(), await company.cycle()]
    shown = [repr(one.as_dict()) for one in reports]
    shown += [repr(await quarantine(company)), repr(await mails(company))]
    for text in shown[:1] + shown[2:]:
        assert "the token *** may do nothing" in text
    server.script.clear()
    server.script.on("POST", "", then=Status(400, body={**said, "status": "400"}), times=FOR_EVER)
    shown += [repr(await company.cycle()), repr(await company.log())]
    assert "the token *** may do nothing" in shown[-1]
    assert not any(server.token in text for text in shown)
