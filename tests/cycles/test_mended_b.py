"""Answers, readings and rules that once let somebody stay in, fall out, or slip past a safeguard."""

from __future__ import annotations

import pytest

from tests.cycles.company import Company, done
from tests.servers.faults import FOR_EVER, ServerFault, Status, WrongJson
from tests.servers.scim import ScimServer

ANN = "ann@example.com"


# --- what a question is answered with ----------------------------------------------------------------------------

REFUSALS: dict[str, ServerFault] = {
    "forbidden": Status(403),
    "not found": Status(404),
    "a web page": WrongJson(b"<html>"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_where_no_question_is_answered_leavers_are_disabled_all_the_same(
    company: Company, server: ScimServer, refusal: ServerFault
) -> None:
    company.people("ann", "bob", "cleo")
    await company.cycle()
    del company.users["ann"]
    company.people("new", "newer")
    company.users["bob"]["jobTitle"] = "Manager"
    server.script.on("GET", "/Users$", then=refusal, times=FOR_EVER)
    report = await company.cycle()
    assert (report.state, report.exit_code, done(report)) == ("unreachable", 4, {"update": 1, "disable": 1})
    assert len(report.problems) == 1
    assert server.user(ANN)["active"] is False
    assert not any(seen.method == "POST" for seen in server.requests[-3:])
    server.script.clear()
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"create": 2})


@pytest.mark.parametrize(
    "odd",
    [
        b'{"totalResults": 1, "Resources": [{"userName": "new@example.com"}]}',
        b'{"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 3}',
    ],
)
async def test_an_odd_answer_about_one_name_fails_that_entry_only(
    company: Company, server: ScimServer, odd: bytes
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    company.people("new", "newer")
    server.script.on("GET", "/Users$", then=WrongJson(odd))
    report = await company.cycle()
    assert (report.state, report.exit_code) == ("active", 1)
    assert done(report) == {"create": 1, "disable": 1, "failure": 1}
    assert [failure["id"] for failure in report.failures] == ["new"]


async def test_a_full_cycle_that_may_not_list_disables_leavers(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    server.script.on("GET", "/Users$", then=Status(403), times=FOR_EVER)
    report = await company.cycle(full=True)
    assert (report.state, report.exit_code, done(report)) == ("unreachable", 4, {"disable": 1})
    assert server.user(ANN)["active"] is False


# --- a 404 that is not SCIM's ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"message": "no Route matched with those values"}, b"<html>404</html>", None])
@pytest.mark.parametrize("delete", [False, True])
async def test_behind_a_url_that_leads_nowhere_nobody_is_gone(
    company: Company, server: ScimServer, body: object, delete: bool
) -> None:
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n' if delete else ""
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    server.script.on("*", "/", then=Status(404, body=body), times=FOR_EVER)
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (1, {"failure": 1})
    server.script.clear()
    await company.cycle()
    assert [user["userName"] for user in server.users.values() if user["active"]] == ["bob@example.com"]
