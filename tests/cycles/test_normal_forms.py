"""One name in two normal forms (an "ë" of one character or of two, as files of macOS have it) is one person's."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from tests.cycles.calendar import HOUR
from tests.cycles.company import GROUPS, Company, done
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

COMPOSED, DECOMPOSED = (normalize(form, "zoë@example.com") for form in ("NFC", "NFD"))
ONE_AND_OTHER = pytest.mark.parametrize(
    ("one", "other"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)], ids=["composed", "decomposed"]
)
MANY = [f"p{number:02}" for number in range(12)]


@ONE_AND_OTHER
async def test_a_protected_account_is_protected_in_both_forms(
    company: Company, server: ScimServer, one: str, other: str
) -> None:
    company.target_lines = f'protected = ["{one}"]'
    server.put("user", userName=other, active=True, title="Queen")
    company.people("bob")
    company.person("zoe", userPrincipalName=other)
    assert done(await company.cycle()) == {"create": 1}
    assert server.user(other)["title"] == "Queen"
    assert (await company.log(user="zoe"))[-1]["error_code"] == "Protected"


async def test_who_is_protected_under_another_spelling_stays_in_an_exact_group(
    company: Company, server: ScimServer
) -> None:
    company.target_lines = f'protected = ["{COMPOSED}", "STRASSE@example.com"]'
    company.tables = GROUPS + 'members = "exact"\n'
    company.people("ann")
    company.group("g1", ["ann"], "Crew")
    await company.cycle()
    crew = server.group("Crew")
    strangers = {
        name: server.put("user", userName=name) for name in (DECOMPOSED, "straße@example.com", "dan@example.com")
    }
    crew["members"] += [{"value": stranger} for stranger in strangers.values()]
    report = await company.cycle(full=True)
    assert done(report) == {"members_removed": 1}
    assert server.members("Crew") == {
        server.user("ann@example.com")["id"],
        strangers[DECOMPOSED],
        strangers["straße@example.com"],
    }


@ONE_AND_OTHER
@pytest.mark.parametrize("many", [False, True])
async def test_an_account_in_the_other_form_is_found(
    company: Company, server: ScimServer, one: str, other: str, many: bool
) -> None:
    server.quirks = Quirks(lax_unique=True)
    company.people(*(MANY if many else []))
    server.put("user", userName=other, active=True)
    company.person("zoe", userPrincipalName=one)
    counts = done(await company.cycle())
    assert counts == {"adopt": 1, **({"create": len(MANY)} if many else {})}
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == [], "that the app writes it otherwise is no change"


@pytest.mark.parametrize("many", [False, True])
async def test_two_accounts_that_differ_in_their_form_alone_are_never_taken_for_one(
    company: Company, server: ScimServer, many: bool
) -> None:
    company.people(*(MANY if many else []))
    for name in (COMPOSED, DECOMPOSED):
        server.put("user", userName=name, active=True, title="Old")
    assert len(server.users) == 2, "this app takes them for two"
    company.person("zoe", userPrincipalName=COMPOSED)
    report = await company.cycle()
    assert [failure["error_code"] for failure in report.failures] == ["DuplicateTargetEntries"]
    assert [user["title"] for user in server.users.values()].count("Old") == 2


async def test_two_people_who_differ_in_the_form_alone_get_one_account_and_are_told(
    company: Company, server: ScimServer
) -> None:
    company.person("zoe1", userPrincipalName=COMPOSED)
    company.person("zoe2", userPrincipalName=DECOMPOSED)
    report = await company.cycle()
    assert [failure["error_code"] for failure in report.failures] == ["DuplicateSourceEntries"]
    assert len(server.users) == 1


async def test_weiss_does_not_get_the_account_of_her_colleague_weiß(company: Company, server: ScimServer) -> None:
    theirs = server.put("user", userName="a.weiß@example.com", active=True, title="Old")
    company.people(*MANY)
    company.person("weiss", userPrincipalName="a.weiss@example.com")
    assert done(await company.cycle()) == {"create": len(MANY) + 1}
    assert server.users[theirs]["title"] == "Old"


@ONE_AND_OTHER
async def test_a_group_in_the_other_form_is_taken_over_and_counts(tmp_path: Path, one: str, other: str) -> None:
    async with ScimServer(Quirks(duplicate_groups="accepted")) as server:
        company = Company(tmp_path, server)
        company.job = f'scope = "assigned"\nassigned = [ {{ group = "{one}" }} ]'
        company.tables = GROUPS
        server.put("group", displayName=other)
        company.people("ann")
        company.group("g1", ["ann"], one)
        assert done(await company.cycle()) == {"create": 1, "adopt": 1, "members_added": 1}
        company.clock.turn(HOUR)
        company.group("g1", ["ann"], other)
        assert done(await company.cycle()) == {}, "it is the same name, for the assignment too"
        assert len(server.groups) == 1


async def test_an_assigned_user_is_assigned_in_both_forms(company: Company, server: ScimServer) -> None:
    company.job = f'scope = "assigned"\nassigned = [ {{ user = "{COMPOSED}" }} ]'
    company.person("zoe", userPrincipalName=DECOMPOSED)
    assert done(await company.cycle()) == {"create": 1}
