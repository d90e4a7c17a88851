"""The same story from databases, REST and SCIM to a server that nobody here wrote: scim2-server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import create_engine, text

from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.cycles.pages import keep
from tests.cycles.test_real_server import ENTERPRISE, App
from tests.servers.alexishr import AlexisHR
from tests.servers.okta import Okta
from tests.servers.real import RealScimServer
from tests.servers.roster import DESCRIPTION, Roster
from tests.servers.scim import ScimServer
from tests.store.conftest import postgresql

__all__ = ["postgresql"]
CLEARED = MANAGER.replace(" }", ', null = "clear" }')
ATTRIBUTES = f"""
  {{ to = "userName", from = "mail", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {{ to = "title", from = "jobTitle" }},
  {CLEARED}
"""
NUMBERS = {"boss": 1, "ann": 2, "bob": 3, "cleo": 4, "crew": 11, "chiefs": 12}


class System(Protocol):
    """What people do in the system that is read. Whoever reports to the boss is hired with her."""

    table: str
    """The lines of [sources.staff]."""
    has_teams: bool
    tells_of_deletions: bool
    """Whether what changed says, or a sweep shows, who was deleted."""

    def id_of(self, who: str) -> str: ...

    def write(self, who: str, *, told: bool = True, **fields: Any) -> None:
        """Hire or change somebody: title, mail, boss, active. Not `told`: the time of the last change stays."""
        ...

    def delete(self, who: str) -> None: ...

    def team(self, name: str, *members: str) -> None: ...


class Database:
    has_teams = tells_of_deletions = True

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        quote = "`" if url.startswith("mariadb") else '"'
        columns = ("jobTitle", "accountEnabled", "manager")
        title, active, boss = (f"{quote}{name}{quote}" for name in columns)
        people = f"SELECT id, mail, title AS {title}, active AS {active}, boss AS {boss}, at FROM people"
        self.table = f"""
type = "sql"
url = "{url}"
users = '''{people}'''
groups = '''SELECT id, name AS {quote}displayName{quote} FROM teams'''
members = "SELECT team AS group_id, person AS member_id FROM team_members"
active = "accountEnabled"
changed = "at"
overlap = "1s"
allow_empty = ["groups", "members"]
"""
        self._at = 1_700_000_000
        for table in ("people", "teams", "team_members"):
            self._run(f"DROP TABLE IF EXISTS {table}")
        self._run("CREATE TABLE people (id INT PRIMARY KEY, mail TEXT, title TEXT, active INT, boss INT, at INT)")
        self._run("CREATE TABLE teams (id INT PRIMARY KEY, name TEXT)")
        self._run("CREATE TABLE team_members (team INT, person INT)")

    def _run(self, statement: str, **values: object) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement), values)

    def id_of(self, who: str) -> str:
        return str(NUMBERS[who])

    def write(self, who: str, *, told: bool = True, **fields: Any) -> None:
        self._at += 3600 * told
        with self._engine.begin() as connection:
            found = connection.execute(text("SELECT * FROM people WHERE id = :id"), {"id": NUMBERS[who]}).mappings()
            row = dict(found.one_or_none() or {"mail": f"{who}@x.test", "active": 1, "boss": None, "title": "Engineer"})
            fields |= {"boss": NUMBERS[fields["boss"]]} if "boss" in fields else {}
            fields |= {"active": int(fields["active"])} if "active" in fields else {}
            row |= {"id": NUMBERS[who], **fields, **({"at": self._at} if told else {})}
            connection.execute(text("DELETE FROM people WHERE id = :id"), row)
            connection.execute(text("INSERT INTO people VALUES (:id, :mail, :title, :active, :boss, :at)"), row)

    def delete(self, who: str) -> None:
        self._run("DELETE FROM people WHERE id = :id", id=NUMBERS[who])

    def team(self, name: str, *members: str) -> None:
        self._run("DELETE FROM teams WHERE id = :id", id=NUMBERS[name])
        self._run("DELETE FROM team_members WHERE team = :id", id=NUMBERS[name])
        self._run("INSERT INTO teams VALUES (:id, :name)", id=NUMBERS[name], name=name)
        for member in members:
            self._run("INSERT INTO team_members VALUES (:id, :member)", id=NUMBERS[name], member=NUMBERS[member])

    def close(self) -> None:
        self._engine.dispose()


REST = 'requests_per_second = 10000\noverlap = "1s"\nallow_empty = ["groups"]\n'
TOKEN = 'auth = { type = "bearer", token = { file = "source-token" } }\n'


class OktaPeople:
    has_teams = tells_of_deletions = True

    def __init__(self, okta: Okta) -> None:
        self._okta = okta
        self.table = f'type = "okta"\nurl = "{okta.url}"\n{TOKEN}{REST}'

    def id_of(self, who: str) -> str:
        return f"00u{who}"

    def write(self, who: str, *, told: bool = True, **fields: Any) -> None:
        id_ = self.id_of(who)
        if id_ not in self._okta.users:
            self._okta.hire(id_, title="Engineer", email=f"{who}@x.test")
        before = self._okta.users[id_]["lastUpdated"]
        names = {"title": "title", "mail": "email", "boss": "managerId"}
        values = {names[name]: value for name, value in fields.items() if name in names}
        if "boss" in fields:
            values["managerId"] = self.id_of(fields["boss"])
        self._okta.change(id_, status="ACTIVE" if fields.get("active", True) else "SUSPENDED", **values)
        if not told:
            self._okta.users[id_]["lastUpdated"] = before

    def delete(self, who: str) -> None:
        self._okta.change(self.id_of(who), status="DEPROVISIONED")

    def team(self, name: str, *members: str) -> None:
        self._okta.found(f"00g{name}", name, *map(self.id_of, members))


class RosterPeople:
    has_teams = tells_of_deletions = True

    def __init__(self, directory: Path, roster: Roster) -> None:
        self._roster = roster
        (directory / "roster.toml").write_text(DESCRIPTION)
        auth = 'auth = { type = "header", name = "X-Key", key = { file = "source-token" } }'
        self.table = f'type = "rest"\ndescription = "roster.toml"\nurl = "{roster.url}"\n{auth}\n{REST}'

    def id_of(self, who: str) -> str:
        return str(NUMBERS[who])

    def write(self, who: str, *, told: bool = True, **fields: Any) -> None:
        number = NUMBERS[who]
        before = self._roster.people.get(number, {}).get("touched")
        values = {name: fields[field] for field, name in (("title", "role"), ("mail", "mail")) if field in fields}
        if before is None:
            values = {"role": "Engineer", "mail": f"{who}@x.test", **values}
        if "boss" in fields:
            values["reports_to"] = NUMBERS[fields["boss"]]
        if "active" in fields:
            values["state"] = "here" if fields["active"] else "on leave"
        self._roster.put(number, **values)
        if not told:
            self._roster.people[number]["touched"] = before

    def delete(self, who: str) -> None:
        self._roster.delete(NUMBERS[who])

    def team(self, name: str, *members: str) -> None:
        self._roster.found(name, [NUMBERS[one] for one in members])


class AlexisPeople:
    has_teams = tells_of_deletions = False

    def __init__(self, hr: AlexisHR) -> None:
        self._hr = hr
        self.table = f'type = "alexishr"\nurl = "{hr.url}/v1"\n{TOKEN}{REST}'.replace('allow_empty = ["groups"]\n', "")

    def id_of(self, who: str) -> str:
        return f"e-{who}"

    def write(self, who: str, *, told: bool = True, **fields: Any) -> None:
        id_ = self.id_of(who)
        self._hr.clock += timedelta(hours=1)
        if id_ not in self._hr.rows["employee"]:
            self._hr.hire(id_, title="Engineer", workEmail=f"{who}@x.test")
        before = self._hr.rows["employee"][id_]["updated"]
        names = {"title": "title", "mail": "workEmail", "active": "active"}
        values = {names[name]: value for name, value in fields.items() if name in names}
        if "boss" in fields:
            values["managerEmployeeId"] = self.id_of(fields["boss"])
        self._hr.put("employee", id_, **values)
        if not told:
            self._hr.rows["employee"][id_]["updated"] = before

    def delete(self, who: str) -> None:
        del self._hr.rows["employee"][self.id_of(who)]

    def team(self, name: str, *members: str) -> None:
        raise AssertionError("AlexisHR knows no teams, so no story asks for one")


class ScimPeople:
    has_teams = tells_of_deletions = True

    def __init__(self, server: ScimServer) -> None:
        self._server = server
        self.table = f'type = "scim"\nurl = "{server.url}"\n{TOKEN}overlap = "1s"\nallow_empty = ["groups"]\n'
        self._ids: dict[str, str] = {}
        self._gone: dict[str, Any] = {}
        self._at = datetime(2026, 1, 1, tzinfo=UTC)

    def id_of(self, who: str) -> str:
        return self._ids[who]

    def write(self, who: str, *, told: bool = True, **fields: Any) -> None:
        mail = f"{who}@x.test"
        if who not in self._ids:
            self._ids[who] = self._server.put("user", userName=mail, title="Engineer", active=True)
            fields = {"mail": mail, **fields}
        elif who in self._gone:
            self._server.users[self._ids[who]] = self._gone.pop(who)
        row = self._server.users[self._ids[who]]
        row.update({name: value for name, value in fields.items() if name in ("title", "active")})
        if "mail" in fields:
            row["emails"] = [{"value": fields["mail"], "type": "work"}]
        if "boss" in fields:
            row[ENTERPRISE] = {"manager": {"value": self._ids[fields["boss"]]}}
        if told:
            self._touch(row)

    def delete(self, who: str) -> None:
        self._gone[who] = self._server.users.pop(self._ids[who])

    def team(self, name: str, *members: str) -> None:
        if name not in self._ids:
            self._ids[name] = self._server.put("group", displayName=name)
        row = self._server.groups[self._ids[name]]
        row["members"] = [{"value": self._ids[member]} for member in members]
        self._touch(row)

    def _touch(self, row: dict[str, Any]) -> None:
        self._at += timedelta(hours=1)
        row["meta"]["lastModified"] = self._at.isoformat()


KINDS = ("sqlite", "postgresql", "mariadb", "okta", "rest", "alexishr", "scim")


@pytest.fixture(params=KINDS)
async def system(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[System]:
    match request.param:
        case "sqlite" | "postgresql" | "mariadb" as kind:
            url = f"sqlite:///{tmp_path}/hr.db" if kind == "sqlite" else str(request.getfixturevalue(kind))
            database = Database(url.replace("postgresql://", "postgresql+psycopg://"))
            yield database
            database.close()
        case "okta":
            async with Okta() as okta:
                keep(tmp_path, "source-token", okta.token)
                yield OktaPeople(okta)
        case "scim":
            async with ScimServer(token="source-token") as server:
                keep(tmp_path, "source-token", server.token)
                yield ScimPeople(server)
        case "rest":
            async with Roster() as roster:
                keep(tmp_path, "source-token", roster.key)
                yield RosterPeople(tmp_path, roster)
        case _:
            async with AlexisHR() as hr:
                keep(tmp_path, "source-token", hr.token)
                yield AlexisPeople(hr)


@pytest.fixture
def company(tmp_path: Path, system: System, real_scim_server: RealScimServer) -> Company:
    company = Company(tmp_path, real_scim_server, job='scope = "all"\ndeletion_share = "100%"', attributes=ATTRIBUTES)
    company.source = system.table
    return company


@pytest.fixture
def app(real_scim_server: RealScimServer) -> App:
    return App(real_scim_server)


def manager(app: App, system: System, who: str) -> str | None:
    """Return the mail address of somebody's manager at the app."""
    users = app.users()
    held = users[system.id_of(who)].get(ENTERPRISE, {}).get("manager", {}).get("value")
    return next((one["userName"] for one in users.values() if one["id"] == held), None)


def active(app: App) -> list[str]:
    return sorted(one["userName"].partition("@")[0] for one in app.users().values() if one["active"])


async def test_a_year_of_people(company: Company, system: System, app: App) -> None:
    async def passes(*, full: bool = False) -> dict[str, int]:
        report = await company.cycle(full=full)
        assert (report.complete, report.exit_code) == (True, 0), report.problems
        problems[:] = report.problems
        return dict(done(report))

    problems: list[str] = []
    system.write("boss", title="Chief")
    for who in ("ann", "bob"):
        system.write(who, boss="boss")
    assert await passes() == {"create": 3}
    assert [manager(app, system, who) for who in ("boss", "ann", "bob")] == [None, "boss@x.test", "boss@x.test"]
    report = await company.cycle()
    assert (done(report), sum(report.requests.values())) == ({}, 0)

    system.write("ann", title="Lead")
    system.write("bob", active=False)
    system.write("cleo", boss="ann")
    assert await passes() == {"create": 1, "update": 1, "disable": 1}
    assert (active(app), app.users()[system.id_of("ann")]["title"]) == (["ann", "boss", "cleo"], "Lead")

    system.write("boss", mail="director@x.test")
    assert await passes() == {"update": 1}
    assert manager(app, system, "ann") == "director@x.test", "a reference outlives a rename"

    system.write("cleo", title="Unseen", told=False)
    assert await passes() == {}
    assert await passes(full=True) == {"update": 1}
    assert "what the source tells of changes had left out 1 users" in problems[0]

    system.delete("ann")
    if not system.tells_of_deletions:
        assert await passes() == {}
    assert await passes(full=not system.tells_of_deletions) == {"disable": 1}
    assert (active(app), manager(app, system, "cleo")) == (["cleo", "director"], "ann@x.test"), "as the system says"
    system.write("cleo", boss="boss")
    assert await passes() == {"update": 1}
    assert manager(app, system, "cleo") == "director@x.test"

    system.write("ann", title="Back", active=True)
    assert await passes() == {"enable": 1}
    assert (await passes(full=True), active(app)) == ({}, ["ann", "cleo", "director"])


@pytest.mark.parametrize("system", [kind for kind in KINDS if kind != "alexishr"], indirect=True)
async def test_who_leaves_a_team_loses_what_it_gave_although_no_user_changed(
    company: Company, system: System, app: App
) -> None:
    company.job = 'scope = "roles"\nroles = ["chief", "member"]\ndeletion_share = "100%"'
    company.attributes += '{ to = "userType", expression = "SingleAppRoleAssignment([appRoleAssignments])" },'
    company.tables = (
        GROUPS + '[roles.chief]\nwhen = { member_of = "chiefs" }\n[roles.member]\nwhen = { member_of = "crew" }\n'
    )
    for who in ("boss", "ann", "bob"):
        system.write(who)

    async def passes() -> Sequence[str | None]:
        report = await company.cycle()
        assert (report.complete, report.exit_code) == (True, 0), report.problems
        users = app.users()
        people = (users.get(system.id_of(who)) for who in ("boss", "ann", "bob"))
        return [None if one is None or not one["active"] else one["userType"] for one in people]

    system.team("chiefs", "boss")
    system.team("crew", "ann", "bob")
    assert await passes() == ["chief", "member", "member"]
    system.team("chiefs", "boss", "ann")
    system.team("crew", "ann")
    assert await passes() == ["chief", "chief", None], "a role changed, and one was lost"
    system.team("chiefs", "ann")
    system.team("crew", "boss", "bob")
    assert await passes() == ["member", "chief", "member"]
    system.delete("bob")
    assert await passes() == ["member", "chief", None]
    assert {name: members for name, members in app.groups().items() if name == "crew"} == {
        "crew": {system.id_of("boss")}
    }
