"""People out of two systems as one: whole cycles into a server that nobody here wrote."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.cycles import pages
from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.cycles.test_real_server import App
from tests.servers.real import RealScimServer
from tests.servers.slapd import (
    BASE,
    PEOPLE,
    READER,
    READER_PASSWORD,
    Slapd,
    group,
    person,
    running_slapd,
    user,
    why_no_slapd,
)
from tests.store.conftest import postgresql

__all__ = ["postgresql"]
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ATTRIBUTES = f"""
  {{ to = "userName", from = "mail", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {{ to = "displayName", from = "displayName" }},
  {{ to = "title", from = "title" }},
  {MANAGER}
"""
JOB = 'scope = "all"\ndeletion_share = "100%"'


class Hr:
    """An HR system's database: it knows numbers, titles and who is employed."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.run("CREATE TABLE staff (number TEXT PRIMARY KEY, title TEXT, chief TEXT, employed INT, changed TEXT)")
        self._now = 0

    def run(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self._place) as database:
            database.execute(statement, values)
        database.close()

    def employ(self, number: str, title: str, chief: str | None = None) -> None:
        self.run("INSERT INTO staff VALUES (?, ?, ?, 1, ?)", number, title, chief, self._moment())

    def set(self, number: str, column: str, value: object) -> None:
        self.run(f"UPDATE staff SET {column} = ?, changed = ? WHERE number = ?", value, self._moment(), number)

    def _moment(self) -> str:
        self._now += 1
        return f"2026-01-01 10:{self._now // 60:02}:{self._now % 60:02}"

    def table(self) -> str:
        return f"""
[sources.hr]
type = "sql"
url = "sqlite:///{self._place}"
users = "SELECT number AS id, title, chief, employed, changed FROM staff"
changed = "changed"
overlap = "1s"
"""


@pytest.fixture
def hr(tmp_path: Path) -> Hr:
    made = Hr(tmp_path / "hr.db")
    for number, title, chief in (("1", "Chief", None), ("2", "Engineer", "1"), ("3", "Engineer", "1")):
        made.employ(number, title, chief)
    return made


def joined(company: Company, of: str, key: str, *tables: str, title: str = "title") -> None:
    company.attributes = ATTRIBUTES
    company.source = f"""
type = "joined"
of = ["{of}", "hr"]
key = {{ {of} = "{key}", hr = "id" }}
active = {{ from = "employed", is = ["1"] }}
[sources.staff.attributes]
title = ["hr", "{of}.{title}"]
employed = ["hr"]
manager = ["hr.chief"]
"""
    company.tables = "\n".join((GROUPS, "hold_deletes = false", *tables))


@pytest.fixture
def app(real_scim_server: RealScimServer) -> App:
    return App(real_scim_server)


def title(found: dict[str, Any], who: str) -> str | None:
    value: str | None = found[who].get("title")
    return value


async def test_a_file_and_a_database_keep_one_app(
    tmp_path: Path, real_scim_server: RealScimServer, app: App, hr: Hr
) -> None:
    company = Company(tmp_path, real_scim_server, job=JOB)
    for name, number in (("boss", "1"), ("ann", "2"), ("bob", "3"), ("guest", "")):
        company.person(name, mail=f"{name}@x.test", number=number)
    company.group("g1", ["ann", "bob"], "Crew")
    joined(company, "files", "number", f"[sources.files]\n{company._files()}", hr.table(), title="jobTitle")
    company.source_lines = ""
    first = await company.cycle()
    assert (first.kind, done(first)) == ("initial", {"create": 4, "members_added": 2}), first.problems
    found = app.users()
    assert found.keys() == {"boss", "ann", "bob"}, "whom HR does not know is neither active nor inactive"
    assert (title(found, "boss"), title(found, "ann")) == ("Chief", "Engineer")
    assert found["ann"][ENTERPRISE]["manager"]["value"] == found["boss"]["id"]
    assert app.groups() == {"Crew": {"ann", "bob"}}

    quiet = await company.cycle()
    assert (quiet.kind, done(quiet), sum(quiet.requests.values())) == ("incremental", {}, 0)

    hr.set("2", "title", "Lead")
    company.users["bob"]["displayName"] = "Bobby"
    changed = await company.cycle()
    assert (changed.kind, done(changed)) == ("incremental", {"update": 2})
    found = app.users()
    assert (title(found, "ann"), found["bob"]["displayName"]) == ("Lead", "Bobby")

    hr.set("3", "employed", 0)
    assert done(await company.cycle()) == {"disable": 1}
    assert app.users()["bob"]["active"] is False

    del company.users["ann"]
    assert done(await company.cycle()) == {"disable": 1, "members_removed": 1}
    company.person("ann", mail="ann@x.test", number="2")
    assert done(await company.cycle()) == {"enable": 1, "members_added": 1}
    assert done(await company.cycle(full=True)) == {}


async def test_nobody_is_touched_while_hr_is_away(
    tmp_path: Path, real_scim_server: RealScimServer, app: App, hr: Hr
) -> None:
    company = Company(tmp_path, real_scim_server, job=JOB)
    for name, number in (("boss", "1"), ("ann", "2")):
        company.person(name, mail=f"{name}@x.test", number=number)
    joined(company, "files", "number", f"[sources.files]\n{company._files()}", hr.table(), title="jobTitle")
    await company.cycle()
    hr.run("ALTER TABLE staff RENAME TO elsewhere")
    del company.users["ann"]
    company.users["boss"]["displayName"] = "The Boss"
    company.person("dan", mail="dan@x.test", number="4")
    away = await company.cycle()
    assert (away.exit_code, done(away)) == (4, {"update": 1}), "what is known of both goes on"
    assert any(problem.startswith("hr: ") for problem in away.problems)
    hr.run("ALTER TABLE elsewhere RENAME TO staff")
    hr.employ("4", "New")
    back = await company.cycle()
    assert (back.exit_code, done(back)) == (0, {"create": 1, "disable": 1})


async def test_who_is_provisioned_by_name_does_not_have_the_next_cycle_read_everybody(
    tmp_path: Path, real_scim_server: RealScimServer, hr: Hr
) -> None:
    company = Company(tmp_path, real_scim_server, job=JOB)
    for name, number in (("boss", "1"), ("ann", "2"), ("bob", "3")):
        company.person(name, mail=f"{name}@x.test", number=number)
    joined(company, "files", "number", f"[sources.files]\n{company._files()}", hr.table(), title="jobTitle")
    await company.cycle()
    hr.set("2", "title", "Lead")
    result = await company.provision("ann@x.test")
    assert result.exit_code == 0
    assert (await company.cycle()).users_read == 1


async def test_two_of_one_number_do_not_hide_who_leaves(
    tmp_path: Path, real_scim_server: RealScimServer, app: App, hr: Hr
) -> None:
    """Whoever shares her number with somebody else stays as she is; the cycles go on without her."""
    company = Company(tmp_path, real_scim_server, job=JOB)
    for name, number in (("boss", "1"), ("ann", "2"), ("bob", "3")):
        company.person(name, mail=f"{name}@x.test", number=number)
    company.person("zoe", mail="second-of-ann@x.test", number="2")
    joined(company, "files", "number", f"[sources.files]\n{company._files()}", hr.table(), title="jobTitle")
    first = await company.cycle()
    assert done(first) == {"create": 3}
    del company.users["bob"]
    left = await company.cycle()
    assert (left.kind, left.complete, done(left)) == ("incremental", True, {"disable": 1}), left.problems
    company.users["ann"]["number"] = "3"
    assert done(await company.cycle()) == {"create": 1}, "zoe is the only one of her number now"


async def test_what_a_database_had_not_told_is_reported_by_the_full_cycle(
    tmp_path: Path, real_scim_server: RealScimServer, hr: Hr
) -> None:
    company = Company(tmp_path, real_scim_server, job=JOB)
    company.person("ann", mail="ann@x.test", number="1")
    joined(company, "files", "number", f"[sources.files]\n{company._files()}", hr.table(), title="jobTitle")
    await company.cycle()
    hr.run("UPDATE staff SET title = 'Unseen' WHERE number = '1'")
    assert done(await company.cycle()) == {}, "the column of changes says nothing"
    full = await company.cycle(full=True)
    assert done(full) == {"update": 1}
    assert "hr: 1 entries had changed without being told of as changes" in full.problems


@pytest.mark.skipif(why_no_slapd() is not None, reason=why_no_slapd() or "")
class TestDirectoryAndFile:
    """A slapd says who is there, a file of HR the rest."""

    @pytest.fixture
    def slapd(self, tmp_path: Path) -> Iterator[Slapd]:
        people = [user(name, employeeNumber=number) for name, number in (("boss", "1"), ("ann", "2"), ("bob", "3"))]
        crew = group("crew", [person("ann"), person("bob")])
        with running_slapd(tmp_path / "slapd", [*people, crew]) as server:
            yield server

    async def test_a_directory_and_a_file_keep_one_app(
        self, tmp_path: Path, real_scim_server: RealScimServer, app: App, slapd: Slapd
    ) -> None:
        staff = {
            number: {"id": number, "title": text, "chief": chief, "employed": 1}
            for number, text, chief in (("1", "Chief", None), ("2", "Engineer", "1"), ("3", "Engineer", "1"))
        }

        def export() -> None:
            (tmp_path / "hr.json").write_text(json.dumps(list(staff.values())))

        export()
        (tmp_path / "password").touch(mode=0o600)
        (tmp_path / "password").write_text(READER_PASSWORD)
        company = Company(tmp_path, real_scim_server, job=JOB)
        directory = f"""
[sources.directory]
type = "ldap"
url = "{slapd.tls_url}"
ca_file = "{slapd.ca_file}"
bind = {{ type = "simple", dn = "{READER}", password = {{ file = "password" }} }}
base = "{BASE}"
users_base = "{PEOPLE}"
"""
        joined(
            company,
            "directory",
            "employeeNumber",
            directory,
            f'[sources.hr]\ntype = "file"\nusers = "{tmp_path}/hr.json"',
        )
        company.tables = company.tables.replace('from = "displayName", match', 'from = "cn", match')
        first = await company.cycle()
        assert done(first) == {"create": 4, "members_added": 2}, first.problems
        found = {one["userName"]: one for one in app.users().values()}
        assert found["ann@example.test"][ENTERPRISE]["manager"]["value"] == found["boss@example.test"]["id"]

        assert sum((await company.cycle()).requests.values()) == 0
        staff["2"]["title"] = "Lead"
        export()
        slapd.set(person("bob"), displayName="Bobby")
        changed = await company.cycle()
        assert (changed.kind, done(changed)) == ("incremental", {"update": 2})
        slapd.delete(person("bob"))
        assert done(await company.cycle())["disable"] == 1
        assert done(await company.cycle(full=True)) == {}

    async def test_the_configuration_of_the_page_runs(
        self, tmp_path: Path, real_scim_server: RealScimServer, app: App, slapd: Slapd, postgresql: str
    ) -> None:
        engine = create_engine(postgresql.replace("postgresql://", "postgresql+psycopg://"))
        with engine.begin() as connection:
            for statement in (
                "DROP TABLE IF EXISTS employees",
                "CREATE TABLE employees (number TEXT, job_title TEXT, boss TEXT, status TEXT, changed TIMESTAMP)",
                "INSERT INTO employees VALUES ('1', 'Chief', NULL, 'employed', now()), ('2', '', '1', 'left', now()),"
                " ('3', 'Clerk', '1', 'leave', now())",
            ):
                connection.execute(text(statement))
        engine.dispose()
        (tmp_path / "ca.pem").write_bytes(slapd.ca_file.read_bytes())
        [written] = pages.shown("joined")
        here = {
            "ldaps://directory.example.com": slapd.tls_url,
            "cn=reader,dc=example,dc=com": READER,
            "dc=example,dc=com": BASE,
            "postgresql+psycopg://reader@hr.example.com/hr": postgresql.replace("://", "+psycopg://"),
            pages.PHONE: real_scim_server.url,
        }
        secrets = {"secrets/directory": READER_PASSWORD, "secrets/hr": "trusted anyway"}
        report = await pages.first_cycle(tmp_path, written, here, {**secrets, "phone-token": real_scim_server.token})
        assert done(report) == {"create": 2}
        found = {one["userName"].partition("@")[0]: one for one in app.users().values()}
        assert (found["boss"]["title"], found["bob"]["title"]) == ("Chief", "Clerk"), "ann has left by HR's word"
        assert found["bob"][ENTERPRISE]["manager"]["value"] == found["boss"]["id"]
