"""What the profiles of Aircall and AlexisHR assume: where it is wrong a setting mends it, and the pages say which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from reconciler import config
from reconciler.errors import ConfigError
from tests.cycles.company import Company, done
from tests.servers import alexishr
from tests.servers.aircall import Aircall
from tests.servers.alexishr import AlexisHR
from tests.servers.http_double import Refused, answered
from tests.servers.scim import ScimServer
from tests.vendors.app import page
from tests.vendors.calls import ANN, BOB, Office, emails

HIRED = '{ to = "title", from = "employeeHireDate" },'
SOURCES = Path(__file__).parents[2] / "docs" / "sources"


class OtherAircall(Aircall):
    """Aircall as it may turn out to be: roles by number, deletes by version 2, other words for a name that is taken."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self._authenticate(request)
        method, path = request.method, request.path.strip("/").split("/")
        if method == "DELETE" and path[:2] == ["v1", "users"]:
            raise Refused(404, {"message": "Not Found"})
        if method == "DELETE" and path[:2] == ["v2", "users"]:
            return self._delete(self._user(path[2]))
        body: Any = await self._body(request)
        roles = (body or {}).pop("role_ids", []) if isinstance(body, dict) else []
        if any(type(role) is not int for role in roles):
            raise Refused(422, {"error": "Unprocessable Entity", "troubleshoot": "role_ids: numbers"})
        if (method, path) == ("POST", ["v2", "users"]):
            if body["email"].lower() in emails(self):
                raise Refused(409, {"error": "Conflict", "troubleshoot": "a seat has this login"})
            number = self.put(body["email"], body["first_name"], body["last_name"])
            self.roles[number] = [str(role) for role in roles]
            return answered({"user": self.users[number]}, 201)
        if method == "PUT" and path[:2] == ["v2", "users"]:
            user = self._user(path[2])
            self.roles[user["id"]] = [str(role) for role in roles]
            return answered({"user": self._updated(user, body)})
        return await super().answer(request)


OTHERWISE = """
extends = "aircall"
[rest]
meanings = [ { status = 403, is = "unauthorized" }, { status = 409, is = "conflict", says = "has this login" } ]
[rest.users]
delete = { path = "/v2/users/{id}" }
[users.define]
email = { write_once = true }
role_ids = { type = "Integer", multivalued = true, shown = false, allowed = [] }
"""


async def test_an_aircall_that_is_otherwise_is_served_by_a_profile_that_says_how(tmp_path: Path) -> None:
    (tmp_path / "phones.toml").write_text(OTHERWISE, "utf-8")
    async with OtherAircall() as aircall:
        office = Office(tmp_path, aircall)
        office.employ("ann", "bob")
        office.attributes += '\n{ to = "role_ids", from = "roles" },'
        office.job += "\nrole_values = { engineer = '17' }"
        by_hand = aircall.put(BOB)
        refused = await office.cycle()
        assert (emails(aircall), done(refused)["failure"]) == ([BOB], 2)
        assert all("role_ids: the target allows only agent" in failure["reason"] for failure in refused.failures)
        office.target_lines = 'profile = "phones.toml"\n'
        office.clock.turn(86400.0)
        report = await office.cycle()
        assert (report.failures, emails(aircall)) == ([], [ANN, BOB])
        assert aircall.roles[aircall.id_of(ANN)] == ["17"]
        assert aircall.id_of(BOB) == by_hand
        aircall.clear()
        office.users["ann"]["mail"] = "anna@example.com"
        assert (await office.cycle()).failures == []
        assert aircall.sent == [], "the address is sent on create only"
        office.users["bob"]["accountEnabled"] = False
        assert done(await office.cycle()) == {"delete": 1}
        assert emails(aircall) == [ANN]


async def test_deletes_that_are_elsewhere_make_nobody_deleted(tmp_path: Path) -> None:
    async with OtherAircall() as aircall:
        office = Office(tmp_path, aircall)
        office.employ("ann", "bob")
        await office.cycle()
        office.users["bob"]["accountEnabled"] = False
        report = await office.cycle()
        assert (emails(aircall), done(report)) == ([ANN, BOB], {"failure": 1})
        assert "404" in report.failures[0]["reason"]
        assert "is the path of this operation right?" in report.failures[0]["reason"]


async def test_an_alexishr_with_other_names_is_read_by_a_description_that_extends_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(alexishr.FIELDS, "employment", ["id", "employee", "start", "endDate"])
    async with AlexisHR() as hr, ScimServer() as app:
        company = Company(tmp_path, app, attributes='{ to = "userName", from = "mail", match = 1 },' + HIRED)
        token = tmp_path / "hr-token"
        token.touch(mode=0o600)
        token.write_text(hr.token)
        shipped = (
            f'type = "alexishr"\nurl = "{hr.url}/v1"\nauth = {{ type = "bearer", token = {{ file = "hr-token" }} }}\n'
        )
        company.source = shipped + "requests_per_second = 1000\n"
        hr.hire("e1", workEmail="ann@example.com")
        hr.put("employment", "m1", employee="e1", start="2024-08-01")
        refused = await company.cycle()
        assert (done(refused), app.users) == ({}, {})
        assert "400" in refused.problems[0]
        (tmp_path / "hr.toml").write_text(
            'extends = "alexishr"\n[paging]\nsize = 50\n[users.joins.employments]\nby = "employee"\n'
            'query = { select = "id,employee,start,endDate" }\n'
            '[users.attributes]\nemployeeHireDate = { path = "employments.start", which = "min" }\n',
            "utf-8",
        )
        company.source += 'description = "hr.toml"\n'
        report = await company.cycle()
        assert (report.problems, done(report)) == ([], {"create": 1})
        assert app.user("ann@example.com")["title"] == "2024-08-01"
        assert any("limit=50" in asked for asked in hr.asked)


def test_a_description_extends_a_shipped_one_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "hr.toml").write_text('extends = "hr.toml"\n', "utf-8")
    company = Company(tmp_path, ScimServer())
    company.source = 'type = "rest"\ndescription = "hr.toml"\nurl = "https://hr.example.com"\n'
    with pytest.raises(ConfigError, match="is no shipped description"):
        config.load(company.configure())


@pytest.mark.parametrize(
    "words",
    [
        "## What is assumed",
        "`role_ids` takes the roles by name",
        "an e-mail address can be changed",
        '`extends = "aircall"`',
        "`email = { write_once = true }`",
        '`delete = { path = "/v2/users/{id}" }`',
        "`meanings = [ … ]`",
        "`requests_per_second` in the target",
    ],
)
def test_the_page_of_aircall_says_what_is_assumed_and_what_changes_it(words: str) -> None:
    assert words in page("aircall")


@pytest.mark.parametrize(
    "words",
    [
        "## What is assumed",
        "`employeeId`, `startDate`",
        "`[users.joins.employments]`",
        "`[paging] size`",
        "`active` in `[sources.X]`",
    ],
)
def test_the_page_of_alexishr_says_what_is_assumed_and_what_changes_it(words: str) -> None:
    assert words in " ".join((SOURCES / "alexishr.md").read_text("utf-8").split())
