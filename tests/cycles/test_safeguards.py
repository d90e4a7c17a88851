"""What takes away from many at once waits for a person; what gives does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import GROUPS, Company, done
from tests.servers.scim import ScimServer


def staff(number: int) -> list[str]:
    return [f"p{one:03}" for one in range(number)]


def off(server: ScimServer) -> int:
    return sum(user["active"] is False for user in server.users.values())


@pytest.mark.parametrize(
    ("people", "leave", "rules", "held"),
    [
        (8, 5, "", False),
        (8, 6, "", True),
        (60, 6, "", False),
        (60, 7, "", True),
        (60, 6, 'deletion_share = "5%"', True),
        (60, 12, 'deletion_share = "20%"', False),
        (60, 13, 'deletion_share = "20%"', True),
        (60, 10, 'deletion_share = "100%"\ndeletion_threshold = 10', False),
        (60, 11, 'deletion_share = "100%"\ndeletion_threshold = 10', True),
        (8, 3, "deletion_threshold = 2", True),
        (8, 2, "deletion_threshold = 2", False),
        (8, 1, "deletion_threshold = 0", True),
    ],
)
async def test_more_than_the_limit_is_held(
    company: Company, server: ScimServer, people: int, leave: int, rules: str, held: bool
) -> None:
    company.job = f'scope = "all"\n{rules}'
    company.people(*staff(people))
    await company.cycle()
    for one in staff(people)[:leave]:
        del company.users[one]
    report = await company.cycle()
    if held:
        assert (report.state, report.exit_code, done(report)) == ("held", 3, {"held": leave})
        assert off(server) == 0
    else:
        assert (report.state, report.exit_code, done(report)) == ("active", 0, {"disable": leave})
        assert off(server) == leave
    assert f"{leave} to be disabled or deleted" in report.arithmetic


@pytest.mark.parametrize("cause", ["gone", "inactive", "out_of_scope", "deleted"])
async def test_every_cause_counts(company: Company, server: ScimServer, cause: str) -> None:
    company.people(*staff(10))
    company.tables = "[jobs.app.deprovision]\n" + ('inactive = "delete"\n' if cause == "deleted" else "")
    await company.cycle()
    if cause == "out_of_scope":
        company.tables += """[jobs.app.users.filter]
attribute = "department"
operator = "EQUALS"
value = "Development"
"""
    for one in staff(6):
        if cause == "gone":
            del company.users[one]
        elif cause == "out_of_scope":
            company.users[one]["department"] = "Sales"
        else:
            company.users[one]["accountEnabled"] = False
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (3, {"held": 6})
    assert (off(server), len(server.users)) == (0, 10)


async def test_a_hold_holds_what_takes_away_and_nothing_else(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    company.people(*staff(10))
    company.group("g1", ["p008", "p009"], "Crew")
    company.group("g2", ["p009"], "Team")
    await company.cycle()
    for one in staff(6):
        company.users[one]["accountEnabled"] = False
    company.users["p009"]["jobTitle"] = "Manager"
    company.person("new")
    company.group("g1", ["p009", "new"], "Crew")
    del company.groups["g2"]
    report = await company.cycle()
    assert done(report) == {"create": 1, "update": 1, "members_added": 1, "held": 8}
    assert (off(server), len(server.groups)) == (0, 2)
    assert len(server.members("Crew")) == 3, "the removal waits, the addition does not"
    actions = await company.logged()
    assert (actions["stagedAction"], actions["stagedDelete"]) == (6, 1)
    again = await company.cycle()
    assert (again.exit_code, done(again)) == (3, {"held": 8})
    assert await company.logged() == actions, "what is held is told once"


async def test_a_hold_ends_when_its_cause_does(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    company.people(*staff(10))
    company.group("g1", staff(10), "Crew")
    await company.cycle()
    leavers = {one: company.users.pop(one) for one in staff(6)}
    company.group("g1", staff(10)[1:], "Crew")
    report = await company.cycle()
    assert done(report) == {"held": 7}
    company.users.update(leavers)
    del company.users["p000"]
    report = await company.cycle()
    assert (report.state, report.exit_code) == ("active", 0)
    assert done(report) == {"disable": 1, "members_removed": 1}
    for one in staff(7)[1:]:
        del company.users[one]
    assert (await company.cycle()).state == "held"
    assert (await company.logged())["stagedAction"] == 6 + 6, "another hold is told anew"


async def test_many_small_cycles_do_not_slip_past(company: Company, server: ScimServer) -> None:
    company.people(*staff(20))
    await company.cycle()
    for hours in range(2):
        del company.users[f"p{hours * 2:03}"], company.users[f"p{hours * 2 + 1:03}"]
        assert done(await company.cycle()) == {"disable": 2}
        company.clock.turn(HOUR)
    del company.users["p004"], company.users["p005"]
    report = await company.cycle()
    assert (report.state, done(report)) == ("held", {"held": 2})
    assert "6 to be disabled or deleted (2 now, 4 in the last 24 h), allowed 5" in report.arithmetic
    company.clock.turn(DAY - HOUR / 2)
    assert done(await company.cycle()) == {"disable": 2}, "the first four are longer ago"


async def test_a_window_of_ones_own(company: Company) -> None:
    company.job = 'scope = "all"\nsafeguard_window = "1h"'
    company.people(*staff(20))
    await company.cycle()
    for one in staff(5):
        del company.users[one]
    assert done(await company.cycle()) == {"disable": 5}
    company.clock.turn(2 * HOUR)
    del company.users["p005"]
    assert done(await company.cycle()) == {"disable": 1}


async def test_accounts_made_in_the_same_cycle_let_nobody_else_go(company: Company, server: ScimServer) -> None:
    company.people(*staff(30))
    await company.cycle()
    company.users.clear()
    company.people(*(f"q{one:03}" for one in range(300)))
    report = await company.cycle()
    assert done(report) == {"create": 300, "held": 30}, "of 330 a tenth would be 33"
    deletions, _, _ = report.arithmetic.partition(";")
    assert deletions.startswith("30 to be disabled or deleted") and "of 30 managed = 3" in deletions


async def test_an_incomplete_reading_ends_no_hold(company: Company, server: ScimServer) -> None:
    company.people(*staff(10))
    await company.cycle()
    leavers = {one: company.users.pop(one) for one in staff(6)}
    await company.cycle()
    company.write()
    with (company.directory / "users.jsonl").open("ab") as file:
        file.write(b"broken")
    assert (await company.cycle(write=False)).exit_code == 4
    assert (await company.cycle()).exit_code == 3
    assert (await company.logged())["stagedAction"] == 6
    company.users.update(leavers)
    assert (await company.cycle()).exit_code == 0


# --- members -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "leave", "held"), [(30, 20, False), (30, 21, True), (60, 30, False), (60, 31, True)]
)
async def test_too_many_removals_from_one_group_are_held(
    company: Company, server: ScimServer, members: int, leave: int, held: bool
) -> None:
    company.tables = GROUPS
    people = staff(members)
    company.people(*people)
    company.group("g1", people, "Everybody")
    company.group("g2", people[:3], "Crew")
    await company.cycle()
    company.group("g1", people[leave:], "Everybody")
    company.group("g2", people[:1], "Crew")
    report = await company.cycle()
    if held:
        assert (report.exit_code, done(report)) == (3, {"members_removed": 2, "held": leave})
        assert len(server.members("Everybody")) == members
        assert (await company.cycle()).exit_code == 3
        rows = [row for row in await company.log() if row["error_code"] == "TooManyRemovals"]
        assert len(rows) == 1, "told once"
        company.group("g1", people, "Everybody")
        assert (await company.cycle()).exit_code == 0
    else:
        assert (report.exit_code, done(report)) == (0, {"members_removed": 2 + leave})
        assert len(server.members("Everybody")) == members - leave


async def test_people_come_into_a_group_whose_removals_are_held(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    people = staff(40)
    company.people(*people)
    company.group("g1", people[:30], "Everybody")
    await company.cycle()
    company.group("g1", people[30:], "Everybody")
    assert done(await company.cycle()) == {"members_added": 10, "held": 30}
    assert len(server.members("Everybody")) == 40


async def test_strangers_count_where_members_are_exact(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS + 'members = "exact"\n'
    company.people("ann")
    company.group("g1", ["ann"], "Crew")
    await company.cycle()
    for number in range(25):
        server.put("user", userName=f"stranger{number}@example.org", active=True)
    strangers = [id_ for id_, user in server.users.items() if user["userName"].startswith("stranger")]
    server.group("Crew")["members"] += [{"value": id_} for id_ in strangers]
    report = await company.cycle(full=True)
    assert (report.exit_code, done(report)) == (3, {"held": 25})
    assert len(server.members("Crew")) == 26
    server.group("Crew")["members"] = server.group("Crew")["members"][:11]
    report = await company.cycle(full=True)
    assert done(report) == {"members_removed": 10}
    assert server.members("Crew") == {server.user("ann@example.com")["id"]}


def test_the_report_says_held_before_failed() -> None:
    from reconciler.runtime.report import CycleReport

    report = CycleReport("app", "c", "initial", 0, 0, "held", 0, 0, True, {"failure": 1}, {})
    assert report.exit_code == 3
    assert replace(report, state="incomplete").exit_code == 4
    assert replace(report, state="active").exit_code == 1
