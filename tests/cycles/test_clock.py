"""A wrong clock deletes nobody: one that is behind is refused, one that is far ahead is doubted for a day."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler import config, wiring
from reconciler.errors import ClockBehind
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.report import CycleReport
from reconciler.runtime.taking_out import take_out
from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import Company, done
from tests.servers.scim import ScimServer

YEARS = 20 * 365 * DAY


@pytest.fixture
async def firm(company: Company) -> Company:
    """A firm of which ann was disabled ten days ago."""
    company.people("ann", "bob", "eve")
    await company.cycle()
    del company.users["ann"]
    assert done(await company.cycle()) == {"disable": 1}
    company.clock.turn(10 * DAY)
    assert done(await company.cycle()) == {}
    return company


async def as_a_person_says(firm: Company) -> CycleReport:
    """Do what `reconciler cycle app --clock-is-right` does."""
    async with wiring.open_house(config.load(firm.write()), write=True) as opened:
        house = replace(opened, clock=firm.clock)
        async with house.world("app") as world:
            return await run_cycle(house.plan("app"), world, clock_is_right=True)


async def test_nobody_is_disabled_in_a_time_that_is_over(firm: Company, server: ScimServer) -> None:
    del firm.users["bob"]
    firm.clock.turn(-YEARS)
    server.clear_requests()
    with pytest.raises(ClockBehind, match=r"clock says 20\d\d-.* newest cycle was at 20\d\d-.* Set the clock"):
        await firm.cycle()
    with pytest.raises(ClockBehind):
        await firm.provision("bob")
    async with wiring.open_house(config.load(firm.configure()), write=True) as opened:
        house = replace(opened, clock=firm.clock)
        taken = await take_out(house.store, house.plans(), house.world, firm.clock, "eve", by="olga", dry_run=False)
    [eve] = taken.people
    assert (eve.outcome, "Set the clock" in eve.why) == ("failed", True)
    assert [seen.method for seen in server.requests if seen.method != "GET"] == []
    firm.clock.turn(YEARS)
    assert done(await firm.cycle()) == {"disable": 2}
    assert done(await firm.cycle()) == {}, "nor are they deleted at once"


async def test_a_clock_that_is_set_by_an_hour_or_falls_back_by_one_is_no_matter(firm: Company) -> None:
    for turned in (HOUR, -2 * HOUR, DAY, -2 * HOUR):
        firm.clock.turn(turned)
        assert done(await firm.cycle()) == {}


async def test_after_years_nobody_is_deleted_for_a_day(firm: Company, server: ScimServer) -> None:
    del firm.users["bob"]
    firm.clock.turn(YEARS)
    report = await firm.cycle()
    assert (done(report), report.exit_code) == ({"disable": 1, "held": 1}, 3), "a leaver is disabled all the same"
    assert any("the cycle before was at" in problem for problem in report.problems), report.problems
    [hold] = await firm.held()
    assert (hold.safeguard, [one.source_id for one in hold.operations]) == ("clock", ["ann"])
    firm.clock.turn(DAY - HOUR)
    assert done(await firm.cycle()) == {"held": 1}
    firm.clock.turn(2 * HOUR)
    assert done(await firm.cycle()) == {"delete": 1}
    assert await firm.held() == []


async def test_whoever_says_that_the_clock_is_right_need_not_wait(firm: Company) -> None:
    firm.clock.turn(YEARS)
    await firm.cycle()
    await firm.approve()
    assert done(await firm.cycle()) == {"delete": 1}


async def test_a_clock_that_was_ahead_and_is_back_needs_nobody(firm: Company, server: ScimServer) -> None:
    firm.clock.turn(YEARS)
    del firm.users["bob"]
    assert done(await firm.cycle()) == {"disable": 1, "held": 1}
    firm.clock.turn(-YEARS)
    assert done(await firm.cycle()) == {}
    assert await firm.held() == []
    firm.clock.turn(21 * DAY)
    assert done(await firm.cycle()) == {"delete": 1}, "ann, thirty days after she was disabled"
    firm.clock.turn(10 * DAY)
    assert done(await firm.cycle()) == {"delete": 1}, "and bob, who was disabled by the wrong clock"


async def test_a_state_whose_first_cycle_was_ahead_needs_a_person(company: Company, server: ScimServer) -> None:
    company.clock.turn(YEARS)
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    await company.cycle()
    company.clock.turn(-YEARS)
    with pytest.raises(ClockBehind, match="--clock-is-right"):
        await company.cycle()
    assert done(await as_a_person_says(company)) == {}
    company.clock.turn(29 * DAY)
    assert done(await company.cycle()) == {}
    company.clock.turn(2 * DAY)
    assert done(await company.cycle()) == {"delete": 1}
