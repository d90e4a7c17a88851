"""Leavers into whose accounts something is written: deprovision = "set"."""

from __future__ import annotations

from tests.cycles.calendar import DAY
from tests.cycles.company import Company, done
from tests.servers.scim import ScimServer

ANN = "ann@example.com"


def rules(causes: str, *mappings: str) -> str:
    return f"[jobs.app.deprovision]\n{causes}\nset = [ {', '.join(mappings)} ]\n"


async def test_what_is_set_is_written_and_the_account_stays_active(company: Company, server: ScimServer) -> None:
    company.tables = rules('inactive = "set"', '{ to = "title", constant = "has left" }')
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"] |= {"accountEnabled": False, "displayName": "Somebody else"}
    assert done(await company.cycle()) == {"update": 1}
    ann = server.user(ANN)
    assert (ann["title"], ann["active"], ann["displayName"]) == ("has left", True, "Ann")
    assert done(await company.cycle()) == {}
    assert done(await company.cycle(full=True)) == {}
    company.clock.turn(60 * DAY)
    assert done(await company.cycle()) == {}, "nor deleted"
    company.users["ann"]["accountEnabled"] = True
    assert done(await company.cycle()) == {"update": 1}
    assert server.user(ANN)["title"] == "Engineer"


async def test_attributes_of_the_source_and_the_day_are_set(company: Company, server: ScimServer) -> None:
    company.tables = rules(
        'inactive = "set"',
        '{ to = "nickName", from = "leaveDate" }',
        """{ to = "title", expression = 'Join(" ", "left", FormatDateTime(Now(), , "G", "yyyy-MM-dd"))' }""",
    )
    company.person("ann", leaveDate=None)
    await company.cycle()
    company.users["ann"] |= {"accountEnabled": False, "leaveDate": "2026-11-30"}
    assert done(await company.cycle()) == {"update": 1}
    title = server.user(ANN)["title"]
    assert (server.user(ANN)["nickName"], title.startswith("left 20")) == ("2026-11-30", True)
    company.clock.turn(3 * DAY)
    assert done(await company.cycle()) == {}
    assert done(await company.cycle(full=True)) == {}
    assert server.user(ANN)["title"] == title, "the day on which she left, not today"


async def test_what_only_set_writes_is_compared_with_the_target_too(company: Company, server: ScimServer) -> None:
    company.tables = rules('inactive = "set"', '{ to = "nickName", constant = "has left" }')
    company.people("ann")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"update": 1}
    assert done(await company.cycle(full=True)) == {}
    server.user(ANN)["nickName"] = "Queen"
    assert done(await company.cycle(full=True)) == {"update": 1}
    assert server.user(ANN)["nickName"] == "has left"


async def test_who_is_gone_gets_constants(company: Company, server: ScimServer) -> None:
    company.tables = rules('gone = "set"', '{ to = "title", constant = "has left" }')
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    assert done(await company.cycle()) == {"update": 1}
    assert (server.user(ANN)["title"], server.user(ANN)["active"]) == ("has left", True)
    assert done(await company.cycle()) == {}
    company.person("ann")
    assert done(await company.cycle()) == {"update": 1}


async def test_a_disable_in_other_words_is_counted_as_one(company: Company, server: ScimServer) -> None:
    company.job = 'scope = "all"\ndeletion_threshold = 0'
    company.tables = rules('inactive = "set"', '{ to = "active", constant = false }')
    company.people("ann")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"held": 1}
    await company.approve()
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False
    company.users["ann"]["accountEnabled"] = True
    assert done(await company.cycle()) == {"enable": 1}


async def test_a_weaker_cause_still_disables(company: Company, server: ScimServer) -> None:
    company.tables = rules('inactive = "set"', '{ to = "title", constant = "has left" }')
    company.tables += """[jobs.app.users.filter]
attribute = "department"
operator = "EQUALS"
value = "Development"
"""
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"update": 1}
    company.users["ann"]["department"] = "Sales"
    assert done(await company.cycle()) == {"disable": 1}
