"""Who should be off and is not: one list, whatever stands against it."""

from __future__ import annotations

import pytest

from reconciler.runtime.overdue import OverdueList
from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import Company, done
from tests.cycles.test_leaving import Leave, gone, inactive
from tests.servers.faults import FOR_EVER, Status, Unauthorized
from tests.servers.scim import ScimServer


def staff(number: int) -> list[str]:
    return [f"p{one:03}" for one in range(number)]


def shown(found: OverdueList) -> dict[str, str]:
    return {str(one.id): one.hindrance for one in found.people}


async def test_nobody_is_overdue_where_all_is_well(company: Company) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    await company.cycle()
    found = await company.overdue()
    assert (found.people, found.total, found.oldest_since, found.blind) == ((), 0, None, None)


async def test_who_is_held_is_listed_since_the_first_day_and_then_as_rejected_by_whom(company: Company) -> None:
    company.people(*staff(20))
    await company.cycle()
    leavers = {one: company.users.pop(one) for one in staff(7)}
    await company.cycle()
    began = company.clock.now()
    company.clock.turn(3 * HOUR)
    del company.users["p007"]
    await company.cycle()
    found = await company.overdue()
    assert (found.total, set(shown(found).values())) == (8, {"held"})
    assert found.oldest_since is not None and abs(found.oldest_since - began) < 60
    assert found.people[-1].id == "p007"
    assert "held: 8 to be disabled" in found.people[0].why
    await company.approve()
    assert set(shown(await company.overdue()).values()) == {"approved"}
    company.users["p000"] = leavers["p000"]
    await company.cycle()
    assert (await company.overdue()).total == 0

    for one in staff(15)[8:]:
        del company.users[one]
    await company.cycle()
    await company.reject()
    await company.cycle()
    found = await company.overdue()
    assert (found.total, set(shown(found).values())) == (7, {"rejected"})
    assert found.people[0].why.endswith("rejected by olga")


async def test_who_waits_out_the_days_of_grace_is_listed_until_the_disable(company: Company) -> None:
    company.tables = '[jobs.app.deprovision]\ndisable_after = "3d"\n'
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    await company.cycle()
    assert shown(await company.overdue()) == {"ann": "grace"}
    company.users["ann"]["accountEnabled"] = True
    await company.cycle()
    assert shown(await company.overdue()) == {}
    company.users["ann"]["accountEnabled"] = False
    await company.cycle()
    company.clock.turn(3 * DAY)
    await company.cycle()
    assert shown(await company.overdue()) == {}


async def test_a_disable_that_fails_is_listed_and_told_after_a_day_once_a_day(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    server.script.on("PATCH", "/Users", then=Status(400), times=FOR_EVER)
    del company.users["ann"]
    for _ in range(5):
        await company.cycle()
        company.clock.turn(HOUR)
    [one] = (await company.overdue()).people
    assert (one.hindrance, one.name) == ("escrow", "ann@example.com")
    assert one.why.startswith("failed 5 times: ")
    assert "not_off" not in [notice.kind for notice in await company.notices()]
    company.clock.turn(DAY)
    for _ in range(3):
        await company.cycle()
    told = [notice for notice in await company.notices() if notice.kind == "not_off"]
    assert [notice.facts["total"] for notice in told] == [1]
    company.clock.turn(DAY)
    await company.cycle()
    assert len([notice for notice in await company.notices() if notice.kind == "not_off"]) == 2
    server.script.clear()
    assert done(await company.cycle()) == {"disable": 1}
    assert (await company.overdue()).total == 0


@pytest.mark.parametrize("leave", [gone, inactive], ids=["gone", "inactive"])
async def test_a_disable_that_was_not_sent_is_listed(company: Company, server: ScimServer, leave: Leave) -> None:
    company.people("ann", "bob")
    await company.cycle()
    leave(company)
    server.script.on("PATCH", "/Users", then=Unauthorized(), times=FOR_EVER)
    await company.cycle()
    [one] = (await company.overdue()).people
    assert (one.id, one.hindrance, one.why) == ("ann", "waits", "the cycle was given up before it was sent")
    server.script.clear()
    assert done(await company.cycle()) == {"disable": 1}
    assert (await company.overdue()).total == 0


async def test_what_was_decided_needs_no_mail(company: Company) -> None:
    company.people(*staff(20))
    await company.cycle()
    for one in staff(7):
        del company.users[one]
    await company.cycle()
    await company.reject()
    company.clock.turn(3 * DAY)
    await company.cycle()
    assert "not_off" not in [notice.kind for notice in await company.notices()]


async def test_a_job_that_cannot_see_who_has_left_says_so(company: Company) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.write()
    with (company.directory / "users.jsonl").open("ab") as file:
        file.write(b"broken")
    await company.cycle(write=False)
    found = await company.overdue()
    assert found.blind is not None
    assert (found.people, found.blind.cause) == ((), "incomplete")
    await company.cycle()
    assert (await company.overdue()).blind is None
