"""What PostgreSQL and UTF-8 cannot hold is left out of a person's values, and everybody else goes on."""

from __future__ import annotations

import pytest

from tests.cycles.company import GROUPS, Company, done
from tests.servers.scim import ScimServer
from tests.store.conftest import postgresql
from tests.store.servers import emptied

__all__ = ["postgresql"]

ANN = "ann@example.com"


@pytest.fixture(params=["sqlite", "postgresql"])
def firm(request: pytest.FixtureRequest, company: Company) -> Company:
    if request.param == "postgresql":
        company.state_url = str(request.getfixturevalue("postgresql"))
        emptied(company.state_url)
    company.people("ann", "bob")
    company.tables = GROUPS
    return company


async def test_a_name_with_u_0000_is_one_without(firm: Company, server: ScimServer) -> None:
    firm.users["ann"].update(
        userPrincipalName="ann\0@example.com", displayName="An\0n", employeeId="E\0", jobTitle="Bo\0ss"
    )
    firm.group("g1", ["ann", "bob"], "Cr\0ew")
    for full in (False, True):
        report = await firm.cycle(full=full)
        assert report.complete, report.problems
        [told] = [problem for problem in report.problems if "user ann" in problem]
        assert all(name in told for name in ("displayName", "jobTitle", "userPrincipalName")), told
        assert "\0" not in told
    assert (server.user(ANN)["displayName"], server.user(ANN)["title"]) == ("Ann", "Boss")
    [group] = server.groups.values()
    assert (group["displayName"], len(group["members"])) == ("Crew", 2)
    assert set((await firm.cycle()).requests.values()) <= {0}, "and that is all there is to it"
    del firm.users["ann"]
    assert done(await firm.cycle())["disable"] == 1


async def test_a_key_with_u_0000_is_nobodys_and_nobody_is_taken_for_gone(firm: Company, server: ScimServer) -> None:
    firm.group("g1", ["ann", "bob"])
    await firm.cycle()
    firm.people("e\0ve", "dan")
    del firm.users["bob"]
    firm.group("g\0", ["ann"])
    firm.group("g1", ["ann", "e\0ve"])
    report = await firm.cycle()
    assert (report.complete, report.exit_code, done(report)) == (False, 4, {"create": 1})
    assert any("users whose keys hold U+0000" in problem for problem in report.problems), report.problems
    del firm.users["e\0ve"], firm.groups["g\0"]
    firm.group("g1", ["ann"])
    report = await firm.cycle()
    assert (report.exit_code, done(report)["disable"]) == (0, 1)


async def test_a_name_that_was_cut_in_the_middle_of_a_character_shows_that(firm: Company, server: ScimServer) -> None:
    firm.users["ann"]["displayName"] = "Ann CUT"
    firm.write()
    users = firm.directory / "users.jsonl"
    users.write_bytes(users.read_bytes().replace(b"CUT", rb"\ud83d"))
    report = await firm.cycle(write=False)
    assert (report.exit_code, server.user(ANN)["displayName"]) == (0, "Ann \N{REPLACEMENT CHARACTER}")
