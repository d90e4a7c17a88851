"""What Aircall does besides its guide's rows: teams, limits, lost answers, refusals, wrong keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler import config
from tests.commands.shell import Shell
from tests.cycles.company import done
from tests.servers.aircall import Aircall
from tests.vendors.calls import ANN, BOB, CLEO, Office, emails, staffed


@pytest.fixture
async def aircall() -> AsyncIterator[Aircall]:
    async with Aircall() as running:
        yield running


@pytest.fixture
def office(tmp_path: Path, aircall: Aircall) -> Office:
    return staffed(tmp_path, aircall)


async def test_teams_follow_groups_and_keep_the_name_that_they_were_made_with(office: Office, aircall: Aircall) -> None:
    office.teams = office.groups_table
    assert done(await office.cycle()) == {"create": 4, "members_added": 2}
    assert aircall.members_of("Crew") == {ANN, BOB}
    office.groups["g1"]["members"] = ["bob", "cleo"]
    assert done(await office.cycle()) == {"members_added": 1, "members_removed": 1}
    assert aircall.members_of("Crew") == {BOB, CLEO}
    office.groups["g1"]["displayName"] = "Team"
    aircall.clear()
    assert (done(await office.cycle()), aircall.sent) == ({}, [])
    (renamed,) = [row for row in await office.log() if "does not rename groups" in str(row)]
    assert renamed["kind"] == "group"


async def test_a_team_that_is_there_is_taken_over_and_strangers_in_it_stay(office: Office, aircall: Aircall) -> None:
    office.teams = office.groups_table
    stranger = aircall.put("stranger@example.com")
    aircall.team("Crew", stranger)
    assert done(await office.cycle()) == {"create": 3, "adopt": 1, "members_added": 2}
    assert aircall.members_of("Crew") == {ANN, BOB, "stranger@example.com"}


async def test_never_more_requests_a_minute_than_the_company_may_send(office: Office, aircall: Aircall) -> None:
    office.concurrency = 4  # what is on its way is not on the virtual clock, and six a minute are spare
    office.employ(*(f"person{number}" for number in range(100)))
    office.job += "\ncreation_threshold = 1000"
    report = await office.cycle()
    assert (report.counts["create"], report.exit_code) == (103, 0)
    assert aircall.throttled == 0
    assert sum(office.clock.slept) > 100
    assert len(aircall.asked) > 103


async def test_where_the_limit_is_met_all_the_same_the_moment_that_aircall_names_is_waited_for(
    office: Office, aircall: Aircall
) -> None:
    office.target_lines += "requests_per_second = 1000\n"
    office.employ(*(f"person{number}" for number in range(100)))
    office.job += "\ncreation_threshold = 1000"
    report = await office.cycle()
    assert (report.counts["create"], report.exit_code) == (103, 0), report.failures
    assert 0 < aircall.throttled < 20
    assert max(office.clock.slept) > 30
    assert len(aircall.invited) == len(set(aircall.invited)) == 103


async def test_a_create_whose_answer_was_lost_is_looked_for_and_never_sent_again(
    office: Office, aircall: Aircall
) -> None:
    aircall.loses_answers = 1
    await office.cycle()
    await office.cycle()
    assert emails(aircall) == [ANN, BOB, CLEO]
    assert len(aircall.invited) == 3
    aircall.clear()
    assert (done(await office.cycle()), aircall.sent) == ({}, [])


@pytest.mark.parametrize("can_change", [False, True])
async def test_a_changed_address_is_sent_and_who_is_refused_holds_up_nobody(
    tmp_path: Path, *, can_change: bool
) -> None:
    async with Aircall(email_can_change=can_change) as aircall:
        office = Office(tmp_path, aircall)
        office.employ("ann", "bob")
        await office.cycle()
        office.users["ann"]["mail"] = "anna@example.com"
        office.users["bob"]["givenName"] = "Robert"
        report = await office.cycle()
        assert aircall.user(BOB)["name"] == "Robert Example"
        if can_change:
            assert emails(aircall) == ["anna@example.com", BOB]
        else:
            assert (emails(aircall), report.counts["failure"]) == ([ANN, BOB], 1)
            assert "email is not a parameter of this request" in report.failures[0]["reason"]


async def test_no_licence_is_left_for_one_and_the_reason_is_aircalls_own(tmp_path: Path) -> None:
    async with Aircall(licences=1) as aircall:
        office = Office(tmp_path, aircall)
        office.employ("ann", "bob")
        report = await office.cycle()
        assert (len(aircall.users), report.counts["failure"]) == (1, 1)
        assert "no licence is left" in report.failures[0]["reason"]


@pytest.mark.parametrize(
    ("change", "step", "said"),
    [
        (('username = "api-id"', 'username = "other"'), "sign-in", "Integrations & API > API Keys"),
        (("/v1/nowhere", "/v1/nowhere"), "path", "https://api.aircall.io"),
    ],
)
async def test_the_connection_test_tells_the_key_from_the_address(
    change: tuple[str, str], step: str, said: str, office: Office, aircall: Aircall
) -> None:
    path = office.write()
    shell = Shell(office.directory)
    right = await shell("test", "app")
    assert right.code == 0, right.out + right.err
    text = path.read_text("utf-8")
    wrong = text.replace(*change) if step == "sign-in" else text.replace(aircall.url, f"{aircall.url}/scim")
    path.write_text(wrong, "utf-8")
    ran = await shell("test", "app")
    assert ran.code == 4
    assert step in ran.out
    assert said in ran.out + ran.err
    assert aircall.token not in ran.out + ran.err


async def test_a_wrong_key_makes_nobody_absent_and_nobody_is_deleted(office: Office, aircall: Aircall) -> None:
    await office.cycle()
    aircall.token = "another"  # the key was revoked
    office.users["bob"]["accountEnabled"] = False
    report = await office.cycle()
    assert report.exit_code == 4
    assert len(aircall.users) == 3
    aircall.token = "api-token"
    assert done(await office.cycle()) == {"delete": 1}


def test_the_profile_says_how_well_each_fact_is_known() -> None:
    described = config.described_profile("aircall", Path("/nowhere"))
    assert {"stated", "vendor", "third_party", "assumed"} == {one.tier for one in described.table.evidence}
