"""People whose last day the source knows beforehand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import Company, done
from tests.servers.faults import Status
from tests.servers.scim import ScimServer

ANN = "ann@example.com"


def dated(company: Company, *, more: str = "") -> None:
    company.tables = f'[jobs.app.deprovision]\nleave_date = {{ from = "leaveDate" }}\n{more}'
    company.person("ann", leaveDate=None)
    company.person("bob", leaveDate=None)


def in_days(company: Company, days: int) -> str:
    return (datetime.fromtimestamp(company.clock.now(), UTC) + timedelta(days=days)).date().isoformat()


def until_the_day_after(company: Company, day: str) -> float:
    end = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
    return end.timestamp() - company.clock.now()


async def test_the_account_is_disabled_when_the_last_day_is_over_although_nothing_changed(
    company: Company, server: ScimServer
) -> None:
    dated(company)
    await company.cycle()
    company.users["ann"]["leaveDate"] = day = in_days(company, 3)
    assert done(await company.cycle()) == {}
    server.clear_requests()
    company.clock.turn(until_the_day_after(company, day) - HOUR)
    assert done(await company.cycle()) == {}
    assert (server.requests, server.user(ANN)["active"]) == ([], True)
    company.clock.turn(HOUR)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False
    [row] = [row for row in await company.log(user="ann") if row["operation"] == "disable"]
    assert row["reason"] == "leaveDate has passed"
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


async def test_the_day_ends_where_the_person_lives(company: Company, server: ScimServer) -> None:
    dated(company, more='timezone = { from = "tz", default = "Asia/Tokyo" }\n')
    company.users["ann"]["tz"], company.users["bob"]["tz"] = None, "Pacific/Honolulu"
    await company.cycle()
    day = in_days(company, 2)
    company.users["ann"]["leaveDate"] = company.users["bob"]["leaveDate"] = day
    await company.cycle()
    company.clock.turn(until_the_day_after(company, day) - 9 * HOUR)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False
    company.clock.turn(18 * HOUR)
    assert done(await company.cycle()) == {}
    company.clock.turn(HOUR)
    assert done(await company.cycle()) == {"disable": 1}


async def test_a_date_that_is_taken_back_cancels_what_is_pending(company: Company, server: ScimServer) -> None:
    dated(company)
    company.users["ann"]["leaveDate"] = in_days(company, 3)
    await company.cycle()
    company.users["ann"]["leaveDate"] = None
    assert done(await company.cycle()) == {}
    company.clock.turn(5 * DAY)
    assert done(await company.cycle()) == {}
    company.users["ann"]["leaveDate"] = in_days(company, -2)
    assert done(await company.cycle()) == {"disable": 1}
    company.users["ann"]["leaveDate"] = in_days(company, 90)
    assert done(await company.cycle()) == {"enable": 1}
    company.clock.turn(100 * DAY)
    assert done(await company.cycle()) == {"disable": 1}


async def test_a_date_that_cannot_be_read_disables_nobody_and_is_told(company: Company, server: ScimServer) -> None:
    dated(company)
    await company.cycle()
    company.users["ann"]["leaveDate"] = "end of the year"
    assert done(await company.cycle()) == {}
    [row] = [row for row in await company.log(user="ann") if row["status"] == "warning"]
    assert (row["error_code"], "no date that can be read" in row["reason"]) == ("Unknown", True)
    company.clock.turn(400 * DAY)
    assert done(await company.cycle()) == {}
    assert server.user(ANN)["active"] is True
    company.users["ann"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"disable": 1}, "what is known is done"


async def test_nobody_past_the_date_gets_an_account(company: Company, server: ScimServer) -> None:
    dated(company)
    company.users["ann"]["leaveDate"] = in_days(company, -3)
    assert done(await company.cycle()) == {"create": 1}


async def test_the_date_is_kept_through_updates_and_failures(company: Company, server: ScimServer) -> None:
    dated(company)
    company.users["ann"]["leaveDate"] = day = in_days(company, 3)
    await company.cycle()
    company.users["ann"]["jobTitle"] = "Manager"
    assert done(await company.cycle()) == {"update": 1}
    server.script.on("PATCH", "/Users", then=Status(400), times=4)
    company.users["ann"]["jobTitle"] = "Chief"
    for _ in range(4):
        company.clock.turn(DAY / 2)
        await company.cycle()
    server.script.clear()
    company.clock.turn(max(0.0, until_the_day_after(company, day)))
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False


async def test_the_date_is_kept_through_an_update_alone(company: Company, server: ScimServer) -> None:
    dated(company)
    company.users["ann"]["leaveDate"] = day = in_days(company, 3)
    await company.cycle()
    company.users["ann"]["jobTitle"] = "Manager"
    assert done(await company.cycle()) == {"update": 1}
    company.clock.turn(until_the_day_after(company, day))
    assert done(await company.cycle()) == {"disable": 1}


async def test_grace_is_added(company: Company) -> None:
    dated(company, more='disable_after = "2d"\n')
    company.users["ann"]["leaveDate"] = day = in_days(company, 1)
    await company.cycle()
    company.clock.turn(until_the_day_after(company, day))
    assert done(await company.cycle()) == {}
    assert [one.hindrance for one in (await company.overdue()).people] == ["grace"]
    company.clock.turn(2 * DAY)
    assert done(await company.cycle()) == {"disable": 1}
