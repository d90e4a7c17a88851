"""The same half year on every odd server: all end up right, nothing is sent for ever, what is odd is told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import ATTRIBUTES, GROUPS, MANAGER, Company, done
from tests.servers.quirks import Quirks
from tests.servers.schemas import ENTERPRISE
from tests.servers.scim import ScimServer

EXTENDED = (
    ATTRIBUTES
    + """
  { to = 'emails[type eq "work"].value', from = "mail", null = "clear" },
  { to = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", from = "department" },
"""
    + MANAGER
)
GONE_IS_DELETED = '[jobs.app.deprovision]\ngone = "delete"\n'
STAFF = {"ann", "bob", "dan", "boss", "zoe"}

ODD: dict[str, Quirks] = {
    "nothing odd": Quirks(),
    "1: every filter gives everybody": Quirks(ignores_filter=True),
    "1: a filter looks into another attribute": Quirks(filter_confuses={"userName": "externalId"}),
    "1: a filter repeats its rows": Quirks(filter_repeats_rows=True),
    "1: a filter regards case": Quirks(filter_case_exact=True),
    "2: a filter gives nobody": Quirks(filter_lies_empty=("userName", "displayName")),
    "2: filters are refused": Quirks(filter_refused=400),
    "2: filters are not implemented": Quirks(filter_refused=501),
    "4: a list of leaving members empties the group": Quirks(
        refuses_member_filter_remove=True, entra_remove_wipes_group=True
    ),
    "5: texts are stored for booleans": Quirks(string_booleans="stored"),
    "6: 501 to a missing element": Quirks(no_target_answer=501),
    "6: a missing element is made": Quirks(creates_on_no_target=True),
    "7: no PATCH": Quirks(patch_unsupported=True),
    "7: no PATCH of some attributes": Quirks(patch_unsupported_for=("title", "active", "members")),
    "8: 500 for who is not there": Quirks(missing_answers_500=True),
    "8: 500 for a second group of a name": Quirks(duplicate_groups="server_error"),
    "9: errors in HTML": Quirks(html_errors=True, html_labelled_scim=True),
    "9: empty errors": Quirks(empty_errors=True),
    "9: errors in plain text": Quirks(text_errors=True),
    "9: errors without a kind": Quirks(
        errors_without_scim_type=True, integer_error_status=True, not_found_says_invalid_syntax=True
    ),
    "10: a delete only switches off": Quirks(soft_delete=True),
    "10: a delete answers with a body": Quirks(delete_answers_body=True),
    "11: no id, no address, no meta": Quirks(
        created_without_id=True, created_without_location=True, created_without_meta=True
    ),
    "11: addresses by name": Quirks(locations="user_name"),
    "12: ids with slashes": Quirks(ids="reserved"),
    "12: ids that are numbers": Quirks(ids="number"),
    "13: a wrong total": Quirks(wrong_total_results="page_size", page_max=50),
    "13: no total": Quirks(wrong_total_results="missing", page_max=50),
    "13: the first page comes again": Quirks(repeats_first_page=True, page_max=50),
    "13: count is refused": Quirks(count_refused_above=20, count_refused_status=500),
    "14: 30 members at most": Quirks(members_per_patch_max=30),
    "14: small bodies": Quirks(body_bytes_max=2000, too_many_members_status=413),
    "16: no content": Quirks(patch_no_content=True),
    "16: no content where nothing changed": Quirks(patch_no_content_when_unchanged=True),
    "17: unknown attributes are dropped": Quirks(unknown_attributes="ignored"),
    "18: members twice, and members who are gone": Quirks(duplicates_members=True, keeps_stale_members=True),
    "19: members by name": Quirks(member_value_is_user_name=True),
    "20: versions that nobody looks at": Quirks(etag_ignored=True),
    "20: no versions": Quirks(etag_supported=False),
    "20: a config that makes no sense": Quirks(spc_odd=True),
    "21: every connection is closed": Quirks(closes_connections=True),
    "21: four at a time": Quirks(requests_at_once_max=4),
    "22: a URN is split at its dot": Quirks(splits_urn_at_dot=True),
    "like AWS: no members shown, 100 at a time, pages of 50": Quirks(
        no_members_on_get=True,
        members_per_patch_max=100,
        page_max=50,
        pathless_patch_refused=True,
        patch_no_content=True,
    ),
    "no discovery": Quirks(no_discovery=True),
    "no discovery, and errors in HTML": Quirks(no_discovery=True, html_errors=True),
    "like scimmy": Quirks(
        writes_without_left_out=True,
        filter_case_exact=True,
        filter_without_escapes=True,
        unknown_attributes="ignored",
        duplicates_members=True,
        keeps_stale_members=True,
        patch_no_content_when_unchanged=True,
        etag_supported=False,
    ),
}


MANY = ("13", "14", "like AWS")
"""Where it is about many: more than a page, more than a batch of members."""


@pytest.fixture
async def open_company(company: Company) -> AsyncIterator[Company]:
    """A company whose state stays open: what is odd here is the server, and it is told nothing of processes."""
    async with company.staying_open():
        yield company


@pytest.mark.parametrize("name", ODD)
async def test_half_a_year(open_company: Company, server: ScimServer, name: str) -> None:
    company = open_company
    server.quirks = ODD[name]
    company.concurrency = 4
    company.job = 'scope = "all"\ndeletion_share = "100%"'
    company.attributes = EXTENDED
    company.tables = GROUPS + "hold_deletes = false\n" + GONE_IS_DELETED
    there = server.put("user", userName="DAN@example.com", title="Old", active=True)
    crew = [f"m{number:03}" for number in range(101 if name.startswith(MANY) else 5)]
    await _hired(company, crew)
    stays = crew[: len(crew) * 2 // 3]
    await _moved(company, stays)
    await _left_and_came_back(company, stays)

    log = await company.log()
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == [], "a quiet cycle asks nothing"
    for _ in range(2):
        company.clock.turn(DAY)
        report = await company.cycle(full=True)
        assert (report.exit_code, report.failures) == (0, [])
    server.clear_requests()
    company.clock.turn(DAY)
    assert done(await company.cycle(full=True)) == {}
    assert [seen.path for seen in server.requests if seen.method != "GET"] == [], "nothing is sent again and again"
    told = Counter(
        (row["source_id"], row["reason"]) for row in (await company.log())[len(log) :] if row["status"] != "success"
    )
    assert all(times == 1 for times in told.values()), told

    server.quirks = Quirks()
    people = {user["externalId"]: user for user in server.users.values()}
    assert people.keys() - {"cleo"} == STAFF | set(crew)
    assert str(people["dan"]["id"]) == there
    assert people["ann"]["userName"] == "ann.beck@example.com"
    assert (people["ann"]["title"], people["ann"]["active"], people["bob"]["active"]) == ("Director", True, True)
    assert people["ann"]["emails"] == [{"type": "work", "value": "ann@example.com"}]
    assert people["ann"][ENTERPRISE]["department"] == "Sales"
    assert str(people["ann"][ENTERPRISE]["manager"]["value"]) == str(people["zoe"]["id"])
    assert people.get("cleo", {"active": False})["active"] is False
    wanted = {str(people[id_]["id"]) for id_ in ("ann", "bob", "zoe", *stays)}
    assert {str(id_) for id_ in server.members("The crew")} & {str(user["id"]) for user in people.values()} == wanted


async def _hired(company: Company, crew: list[str]) -> None:
    company.people("boss", "cleo", "dan", *crew)
    company.person("ann", manager="boss")
    company.person("bob", manager="boss", mail="bob@example.com")
    company.group("g1", ["ann", "bob", "cleo", *crew], "Crew")
    await _settled(company)


async def _moved(company: Company, stays: list[str]) -> None:
    ann, bob = company.users["ann"], company.users["bob"]
    ann.update(userPrincipalName="ann.beck@example.com", jobTitle="Director", manager="zoe", department="Sales")
    ann["mail"], bob["mail"] = "ann@example.com", None
    bob["accountEnabled"] = False
    company.person("zoe")
    company.group("g1", ["ann", "bob", "cleo", "zoe", *stays], "The crew")
    await _settled(company)


async def _left_and_came_back(company: Company, stays: list[str]) -> None:
    cleo = company.users.pop("cleo")
    company.group("g1", ["ann", "bob", "zoe", *stays], "The crew")
    company.group("g2", ["ann"], "Desk")
    company.users["bob"]["accountEnabled"] = True
    await _settled(company)
    company.users["cleo"] = cleo
    del company.groups["g2"]
    await _settled(company)
    del company.users["cleo"]
    await _settled(company)


async def _settled(company: Company) -> None:
    """Three cycles are enough for everything, whatever the server is like."""
    for _ in range(3):
        company.clock.turn(DAY)
        report = await company.cycle()
        if not done(report):
            break
    assert (report.exit_code, report.failures) == (0, [])


async def test_a_name_that_nobody_can_be_seen_to_have_is_a_conflict_that_is_told_at_each_of_a_few_tries(
    open_company: Company, server: ScimServer
) -> None:
    company = open_company
    server.quirks = Quirks(deleted_names_stay_taken=True)
    company.job = 'scope = "all"\ndeletion_share = "100%"'
    company.tables = GONE_IS_DELETED
    company.people("ann", "bob")
    await company.cycle()
    ann = company.users.pop("ann")
    assert done(await company.cycle()) == {"delete": 1}
    company.users["ann"] = ann
    server.clear_requests()
    tries = 0
    for _ in range(36):
        report = await company.cycle()
        assert [failure["error_code"] for failure in report.failures] in ([], ["EntryConflict"])
        tries += len(report.failures)
        company.clock.turn(HOUR)
    assert tries == 4, "at once, in the next cycle, six hours later, and twelve hours after that"
    assert len(server.sent("POST")) == 2 * tries, "once more when everything else has run: somebody may have let it go"
    assert len(await company.log(user="ann", status="failure")) == tries
    company.clock.turn(29 * DAY)
    await company.cycle()
    server.clear_requests()
    company.clock.turn(9 * DAY)
    assert (done(await company.cycle()), server.requests) == ({}, []), "after four weeks it is left alone"
    company.users["ann"]["userPrincipalName"] = "ann.beck@example.com"
    assert done(await company.cycle()) == {"create": 1}, "another name is another try, at once"


async def test_an_attribute_that_the_server_does_not_know_is_named_at_each_of_a_few_tries(
    open_company: Company, server: ScimServer
) -> None:
    company = open_company
    company.attributes = ATTRIBUTES + '{ to = "favouriteColour", constant = "red" },'
    company.people("ann", "bob")
    for _ in range(6):
        await company.cycle()
    log = await company.log(status="failure")
    assert all("favouriteColour" in row["reason"] for row in log)
    assert len(log) == len(server.sent("POST")) == 2 * 2, "each at once and in the next cycle"
    company.attributes = ATTRIBUTES
    assert done(await company.cycle()) == {"create": 2}


def test_the_page_names_every_oddity_and_tests_that_are_there() -> None:
    here = Path(__file__).parents[2]
    page = (here / "docs/targets/odd-servers.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 26))
    assert all("`test_" in tests for _, tests in rows)
    there = "".join(file.read_text("utf-8") for file in (here / "tests").rglob("test_*.py"))
    assert [name for name in re.findall(r"`(test_\w+)`", page) if f"def {name}(" not in there] == []
