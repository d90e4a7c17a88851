"""A database as the source of whole cycles: what changed is read, who is not there any more is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.cycles import pages
from tests.cycles.calendar import DAY
from tests.cycles.company import Company, done
from tests.servers.scim import ScimServer
from tests.store.conftest import postgresql

__all__ = ["postgresql"]

ASSIGNED = 'scope = "assigned"\nassigned = [ { group = "APP" } ]'
COLUMNS = """SELECT id, login AS "userPrincipalName", name AS "displayName", title AS "jobTitle",
  enabled AS "accountEnabled", department, updated_at, removed_at FROM people"""


class Database:
    """The company's database, as its HR system writes it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        self.now = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1)  # noqa: TID251  # as the machine says
        self.run(
            "DROP TABLE IF EXISTS people",
            "DROP TABLE IF EXISTS persons",
            "DROP TABLE IF EXISTS teams",
            "DROP TABLE IF EXISTS team_members",
        )
        self.run(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, login TEXT, name TEXT, title TEXT, enabled BOOLEAN,"
            " department TEXT, updated_at TIMESTAMP, removed_at TIMESTAMP)",
            "CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT)",
            "CREATE TABLE team_members (team INTEGER, person INTEGER)",
        )

    def run(self, *statements: str, **values: object) -> None:
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement), values)

    def takes_on(self, *ids: int) -> None:
        for id_ in ids:
            self.run(
                "INSERT INTO people VALUES (:id, :login, :name, 'Engineer', TRUE, 'Development', :at, NULL)",
                id=id_,
                login=f"p{id_}@example.com",
                name=f"Åsa {id_} 李",
                at=self.now - timedelta(hours=id_),
            )

    def changes(self, id_: int, column: str, value: object) -> None:
        self.now += timedelta(hours=1)
        self.run(
            f"UPDATE people SET {column} = :value, updated_at = :at WHERE id = :id", value=value, at=self.now, id=id_
        )

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/hr.db" if request.param == "sqlite" else request.getfixturevalue("postgresql")
    hr = Database(url)
    yield hr
    hr.close()


def reads(company: Company, database: Database, *, more: str = "", users: str = COLUMNS) -> None:
    company.source = f"""
type = "sql"
url = "{database.url}"
users = '''{users};'''
groups = 'SELECT id, name AS "displayName" FROM teams'
members = "SELECT team AS group_id, person AS member_id FROM team_members"
active = "accountEnabled"
allow_empty = ["groups", "members"]
{more}
"""


CHANGES = 'changed = "updated_at"'
MARKED = 'changed = "updated_at"\ndeleted = "removed_at"'


async def test_everybody_is_read_and_then_only_what_changed(
    company: Company, server: ScimServer, database: Database
) -> None:
    database.takes_on(*range(1, 31))
    reads(company, database, more=CHANGES + '\noverlap = "5m"')
    first = await company.cycle()
    assert (first.problems, first.kind, first.users_read, done(first)) == ([], "initial", 30, {"create": 30})
    assert server.user("p7@example.com")["displayName"] == "Åsa 7 李"

    database.changes(7, "title", "Lead")
    second = await company.cycle()
    assert (second.users_read, done(second)) == (2, {"update": 1}), "the changed one, and the newest before"

    third = await company.cycle()
    assert (third.users_read, done(third), sum(third.requests.values())) == (1, {}, 0)


async def test_whose_row_is_not_there_any_more_has_left_and_comes_back_with_an_old_row(
    company: Company, server: ScimServer, database: Database
) -> None:
    database.takes_on(*range(1, 11))
    reads(company, database, more=CHANGES)
    await company.cycle()
    database.changes(1, "title", "Lead")
    database.run("CREATE TABLE archive AS SELECT * FROM people WHERE id = 3", "DELETE FROM people WHERE id = 3")
    left = await company.cycle()
    assert (left.complete, done(left)) == (True, {"update": 1, "disable": 1})
    assert server.user("p3@example.com")["active"] is False

    database.changes(1, "title", "Head")
    database.run("INSERT INTO people SELECT * FROM archive", "DROP TABLE archive")
    back = await company.cycle()
    assert done(back) == {"update": 1, "enable": 1}
    assert server.user("p3@example.com")["active"] is True


async def test_who_is_inactive_is_disabled_by_what_changed(
    company: Company, server: ScimServer, database: Database
) -> None:
    database.takes_on(1, 2, 3)
    reads(company, database, more=CHANGES)
    await company.cycle()
    database.changes(2, "enabled", False)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user("p2@example.com")["active"] is False


async def test_a_marked_row_is_a_tombstone_and_who_left_is_deleted_in_time(
    company: Company, server: ScimServer, database: Database
) -> None:
    database.takes_on(*range(1, 11))
    reads(company, database, more=MARKED)
    company.tables = '[jobs.app.deprovision]\ndelete_after = "30d"'
    await company.cycle()
    database.changes(4, "removed_at", database.now)
    assert done(await company.cycle()) == {"disable": 1}
    assert done(await company.cycle()) == {}
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {"delete": 1}
    assert "p4@example.com" not in {account["userName"] for account in server.users.values()}


async def test_a_row_that_vanished_is_found_by_a_full_cycle_where_deleted_rows_are_marked(
    company: Company, database: Database
) -> None:
    database.takes_on(*range(1, 11))
    reads(company, database, more=MARKED)
    await company.cycle()
    database.run("DELETE FROM people WHERE id = 3")
    assert done(await company.cycle()) == {}
    assert done(await company.cycle(full=True)) == {"disable": 1}


async def test_who_is_taken_out_of_an_assigned_group_leaves_without_a_change_of_her_own(
    company: Company, server: ScimServer, database: Database
) -> None:
    database.takes_on(*range(1, 11))
    database.run(
        "INSERT INTO teams VALUES (100, 'APP')",
        *(f"INSERT INTO team_members VALUES (100, {id_})" for id_ in range(1, 9)),
    )
    company.job = ASSIGNED
    reads(company, database, more=CHANGES)
    assert done(await company.cycle()) == {"create": 8}

    database.changes(10, "title", "Lead")
    database.run("DELETE FROM team_members WHERE person = 5", "INSERT INTO team_members VALUES (100, 9)")
    changed = await company.cycle()
    assert done(changed) == {"create": 1, "disable": 1}
    assert server.user("p5@example.com")["active"] is False
    again = await company.cycle()
    assert (done(again), sum(again.requests.values())) == ({}, 0)


async def test_a_failed_create_is_tried_again_although_the_row_does_not_change(
    company: Company, server: ScimServer, database: Database
) -> None:
    database.takes_on(1, 2)
    database.run("UPDATE people SET login = NULL WHERE id = 2")
    reads(company, database, more=CHANGES)
    first = await company.cycle()
    assert done(first) == {"create": 1, "failure": 1}
    database.run("UPDATE people SET login = 'late@example.com' WHERE id = 2")  # and nobody touches updated_at
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"create": 1}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda hr: hr.run("ALTER TABLE people RENAME TO persons"), id="no such table"),
        pytest.param(lambda hr: hr.run("ALTER TABLE people RENAME COLUMN department TO dep"), id="no such column"),
        pytest.param(lambda hr: hr.run("DELETE FROM people"), id="no rows"),
    ],
)
@pytest.mark.parametrize("more", ["", CHANGES, MARKED])
async def test_what_cannot_be_read_is_no_leaver(
    company: Company, server: ScimServer, database: Database, more: str, spoil: Callable[[Database], None]
) -> None:
    database.takes_on(1, 2, 3)
    reads(company, database, more=more)
    await company.cycle()
    spoil(database)
    report = await company.cycle(full=more == MARKED)
    assert (report.state, done(report)) == ("incomplete", {})
    assert any("staff users" in problem for problem in report.problems)
    assert all(server.user(f"p{n}@example.com")["active"] for n in (1, 2, 3))


async def test_a_run_on_demand_says_why_the_source_could_not_be_read(company: Company, tmp_path: Path) -> None:
    hr = Database(f"sqlite:///{tmp_path}/hr.db")
    hr.takes_on(1)
    hr.close()
    reads(company, hr)
    await company.cycle()
    (tmp_path / "hr.db").rename(tmp_path / "hr.moved")
    result = await company.provision("1")
    assert not isinstance(result, tuple)
    [subject] = result.subjects
    assert (result.exit_code, subject.error_code) == (4, "SourceNotRead")
    assert subject.why.startswith("the source could not be read whole: sqlite:///")
    assert "unable to open database file" in subject.why


async def test_a_row_twice_makes_the_reading_incomplete(company: Company, database: Database) -> None:
    database.takes_on(1, 2)
    reads(company, database, users=f"{COLUMNS} UNION ALL {COLUMNS}")
    report = await company.cycle()
    assert (report.state, done(report)) == ("incomplete", {"create": 2})
    [problem] = report.problems
    assert "two rows have the same 'id'" in problem
    assert problem.endswith("(the first: 1)")


async def test_a_bad_query_for_groups_does_not_keep_a_leaver_in_her_account(
    company: Company, database: Database
) -> None:
    database.takes_on(1, 2, 3)
    reads(company, database, more=CHANGES)
    company.tables = '[jobs.app.groups]\nattributes = [ { to = "displayName", from = "displayName", match = 1 } ]'
    await company.cycle()
    database.run("DROP TABLE teams", "DELETE FROM people WHERE id = 3")
    report = await company.cycle()
    assert (report.state, done(report)) == ("incomplete", {"disable": 1})


async def test_another_query_makes_the_watermark_worthless_and_nobody_is_gone_because_of_it(
    company: Company, database: Database
) -> None:
    database.takes_on(*range(1, 6))
    reads(company, database, more=CHANGES)
    await company.cycle()
    reads(company, database, more=CHANGES, users=f"{COLUMNS} WHERE id > 0")
    report = await company.cycle()
    assert (report.users_read, done(report)) == (5, {})


async def test_the_configuration_of_the_page_is_one_that_runs(tmp_path: Path, server: ScimServer) -> None:
    [written] = pages.shown("sql")
    hr = Database(f"sqlite:///{tmp_path}/hr.db")
    hr.run("ALTER TABLE people ADD COLUMN boss INTEGER", "INSERT INTO teams VALUES (1, 'APP-Phone')")
    for id_ in (1, 2, 3):
        hr.run(
            f"INSERT INTO people VALUES ({id_}, 'p{id_}@example.com', 'P', 'T', TRUE, 'D',"
            " '2024-01-01 00:00:00', NULL, 1)"
        )
    hr.run("INSERT INTO team_members VALUES (1, 1), (1, 2)")
    hr.close()
    here = {pages.PHONE: server.url, '{ env = "PHONE_TOKEN" }': '{ file = "phone-token" }'}
    report = await pages.first_cycle(tmp_path, written, here, {"phone-token": server.token})
    assert done(report) == {"create": 2}


async def test_a_full_cycle_says_what_the_watermark_had_missed(company: Company, database: Database) -> None:
    database.takes_on(*range(1, 6))
    reads(company, database, more=CHANGES)
    await company.cycle()
    database.run("UPDATE people SET title = 'Lead' WHERE id = 4")  # and nobody touches updated_at
    assert done(await company.cycle()) == {}
    report = await company.cycle(full=True)
    assert done(report) == {"update": 1}
    assert len(report.problems) == 1
    assert "1 " in report.problems[0]
    database.changes(2, "title", "Head")
    assert (await company.cycle(full=True)).problems == []
