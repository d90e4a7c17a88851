"""What a database may hold, what it may refuse, and that nothing is ever written to it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, make_url

from reconciler.core.model import Entry, SourceId
from reconciler.core.outcomes import Fault
from reconciler.errors import ConfigError, Problem
from reconciler.ports import EntryPage, MembershipPage, PresentPage, ReadEnd, ReadEvent, Wanted, Watermark
from reconciler.runtime.clock import SystemClock
from reconciler.sources import sql_values
from reconciler.sources.sql import SqlSource
from reconciler.sources.sql_part import Queries
from tests.store.conftest import postgresql

__all__ = ["postgresql"]

USERS = Wanted(frozenset({"mail"}), frozenset())
MEMBERS = Wanted(frozenset(), frozenset(), users=False, memberships=True)
PEOPLE = "SELECT id, mail, at FROM people"


def hr(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "hr %?.db"
    hr(
        file,
        "CREATE TABLE people (id INTEGER PRIMARY KEY, mail TEXT, at TEXT)",
        *(f"INSERT INTO people VALUES ({n}, 'p{n}@example.com', '2024-01-{n:02} 08:00:00.5')" for n in range(1, 29)),
        "CREATE TABLE teams (id TEXT, displayName TEXT)",
        "INSERT INTO teams VALUES ('a', 'A'), ('b', 'B'), ('empty', 'None')",
        "CREATE TABLE members (team TEXT, person INTEGER)",
        "INSERT INTO members VALUES ('b', 2), ('a', 1), ('b', 3), ('a', 2), ('elsewhere', 1)",
    )
    return file


def source(path: Path, queries: Queries, *, timeout_seconds: float = 60.0) -> SqlSource:
    url = make_url("sqlite://").set(database=str(path))
    return SqlSource("hr", url, queries, timeout_seconds=timeout_seconds, clock=SystemClock())


async def given(events: AsyncIterator[ReadEvent]) -> list[ReadEvent]:
    return [event async for event in events]


async def read(one: SqlSource, since: str | None = None, wanted: Wanted = USERS) -> list[ReadEvent]:
    try:
        return await given(one.read(wanted, since))
    finally:
        await one.close()


def users(events: list[ReadEvent]) -> list[str]:
    return [entry.id for event in events if isinstance(event, EntryPage) for entry in event.entries]


def problems(events: list[ReadEvent]) -> tuple[str, ...]:
    return tuple(why for event in events if isinstance(event, ReadEnd) for why in event.problems)


def faults(events: list[ReadEvent]) -> list[Fault | None]:
    ends = [event for event in events if isinstance(event, ReadEnd)]
    return [end.fault.fault if end.fault is not None else None for end in ends]


def token(events: list[ReadEvent]) -> str:
    last = events[-1]
    assert isinstance(last, Watermark)
    assert last.token is not None
    return last.token


async def test_a_delta_has_what_changed_within_the_overlap_and_the_keys_of_everybody(path: Path) -> None:
    queries = Queries(PEOPLE, changed="at", overlap_seconds=86400.0)
    mark = token(await read(source(path, queries)))
    hr(path, "UPDATE people SET at = '2024-02-01 00:00:00' WHERE id = 5", "DELETE FROM people WHERE id = 9")
    events = await read(source(path, queries), mark)
    assert sorted(users(events)) == ["27", "28", "5"]
    present = [one for event in events if isinstance(event, PresentPage) for one in event.ids]
    assert present == [str(n) for n in range(1, 29) if n != 9]
    assert ReadEnd("user", complete=True) in events
    assert token(events) != mark


async def test_where_deleted_rows_are_marked_a_delta_says_nothing_of_the_others(path: Path) -> None:
    queries = Queries(
        f"{PEOPLE.replace(', at', ', at, CASE WHEN id = 28 THEN 1 END AS gone')}", changed="at", deleted="gone"
    )
    mark = token(await read(source(path, queries)))
    events = await read(source(path, queries), mark)
    (page,) = [event for event in events if isinstance(event, EntryPage)]
    assert [(entry.id, entry.gone) for entry in page.entries] == [("28", True)]
    assert ReadEnd("user", complete=True, delta=True) in events


async def test_a_row_that_does_not_say_when_it_changed_is_in_every_delta(path: Path) -> None:
    hr(path, "UPDATE people SET at = NULL WHERE id = 3")
    queries = Queries(PEOPLE, changed="at")
    mark = token(await read(source(path, queries)))
    assert sorted(users(await read(source(path, queries), mark))) == ["28", "3"]


async def test_a_row_from_the_future_does_not_hide_what_changes_until_then(path: Path) -> None:
    hr(path, "UPDATE people SET at = '2999-01-01 00:00:00' WHERE id = 3")
    queries = Queries(PEOPLE, changed="at")
    mark = token(await read(source(path, queries)))
    hr(path, "UPDATE people SET at = '2024-03-01 00:00:00' WHERE id = 4")
    assert sorted(users(await read(source(path, queries), mark))) == ["28", "3", "4"]


async def test_a_column_of_changes_may_hold_texts_and_numbers(path: Path) -> None:
    """In SQLite each value has a type of its own; they are told apart by when they are, page by page."""
    more = [f"INSERT INTO people VALUES ({n}, 'p', 1704000000)" for n in range(100, 1200)]
    hr(path, "ALTER TABLE people RENAME TO before", "CREATE TABLE people (id INTEGER PRIMARY KEY, mail TEXT, at)")
    hr(path, "INSERT INTO people SELECT * FROM before", *more)
    events = await read(source(path, Queries(PEOPLE, changed="at")))
    assert (len(users(events)), problems(events)) == (1128, ())
    assert "2024-01-28" in token(events)


async def test_a_column_of_changes_that_is_of_another_type_now_has_everybody_read(path: Path) -> None:
    """SQLite compares a number with a text and says nothing: nobody would have changed; others refuse each cycle."""
    queries = Queries(PEOPLE, changed="at")
    by_text = token(await read(source(path, queries)))
    hr(
        path,
        "ALTER TABLE people RENAME TO before",
        "CREATE TABLE people (id INTEGER PRIMARY KEY, mail TEXT, at INTEGER)",
        "INSERT INTO people SELECT id, mail, 1704000000 + id FROM before",
    )
    events = await read(source(path, queries), by_text)
    assert (len(users(events)), problems(events)) == (28, ())
    assert sorted(users(await read(source(path, queries), token(events)))) == sorted(str(n) for n in range(1, 29))
    hr(path, "UPDATE people SET at = '2024-01-01 08:00:00'")
    events = await read(source(path, queries), token(events))
    assert (len(users(events)), problems(events)) == (28, ())


@pytest.mark.parametrize("mark", ["", "null", "[]", "{", '{"of":"other","marks":{"user":"2024-01-28 08:00:00.5"}}'])
async def test_a_watermark_that_is_not_of_these_queries_is_none(path: Path, mark: str) -> None:
    events = await read(source(path, Queries(PEOPLE, changed="at")), mark)
    assert len(users(events)) == 28
    assert not any(isinstance(event, PresentPage) for event in events)
    assert ReadEnd("user", complete=True) in events


async def test_seconds_since_1970_are_moments_too(path: Path) -> None:
    queries = Queries("SELECT id, mail, 1700000000 + id * 1000 AS at FROM people", changed="at", overlap_seconds=1500.0)
    mark = token(await read(source(path, queries)))
    assert sorted(users(await read(source(path, queries), mark))) == ["27", "28"]


async def test_what_is_no_moment_makes_the_reading_incomplete(path: Path) -> None:
    events = await read(source(path, Queries("SELECT id, mail, mail AS at FROM people", changed="at")))
    assert problems(events) == ("source hr users: 'at' is neither a time nor seconds since 1970 (the first: 1)",)


async def test_members_come_by_group_and_groups_without_any_are_empty(path: Path) -> None:
    members = "SELECT team AS group_id, person AS member_id FROM members"
    queries = Queries(None, "SELECT id, displayName FROM teams", members)
    events = await read(source(path, queries), wanted=MEMBERS)
    groups = {
        group.group_id: (group.name, sorted(group.members))
        for event in events
        if isinstance(event, MembershipPage)
        for group in event.groups
    }
    assert groups == {"a": ("A", ["1", "2"]), "b": ("B", ["2", "3"]), "empty": ("None", [])}
    assert ReadEnd("memberships", complete=True) in events


async def test_a_table_of_members_without_a_row_empties_no_group(path: Path) -> None:
    members = "SELECT team AS group_id, person AS member_id FROM members WHERE person = 0"
    queries = Queries(None, "SELECT id, displayName FROM teams", members)
    events = await read(source(path, queries), wanted=MEMBERS)
    assert problems(events) == ('source hr members: has no rows (where that is right: allow_empty = ["members"])',)
    url = make_url("sqlite://").set(database=str(path))
    may_be = SqlSource("hr", url, queries, allow_empty=frozenset({"members"}), clock=SystemClock())
    assert problems(await read(may_be, wanted=MEMBERS)) == ()


async def test_those_who_are_asked_for_are_found_by_number_by_text_and_by_neither(path: Path) -> None:
    for query in (PEOPLE, "SELECT CAST(id AS TEXT) AS id, mail FROM people", "SELECT id * 1.0 AS id, mail FROM people"):
        one = source(path, Queries(query))
        found = await one.fetch("user", [SourceId("3"), SourceId("99"), SourceId("x'; --")], USERS)
        await one.close()
        assert set(found) == {"3", "99", "x'; --"}
        assert (found[SourceId("99")], found[SourceId("x'; --")]) == (None, None)
        if "1.0" not in query:
            assert isinstance(found[SourceId("3")], Entry)


async def test_a_fetch_that_fails_knows_nothing_of_anybody(path: Path) -> None:
    one = source(path, Queries("SELECT id, mail FROM nobody"))
    assert await one.fetch("user", [SourceId("3")], USERS) == {}
    await one.close()


REFUSED = {
    "no table": ("SELECT * FROM nowhere", "no such table"),
    "no column": ("SELECT id FROM people", "lacks the column 'mail'"),
    "letter case": ("SELECT id, mail AS Mail FROM people", "there is 'Mail'"),
    "syntax": ("SELECT id,, mail FROM people", "syntax error"),
    "a statement that writes": ("DELETE FROM people RETURNING id, mail", "syntax error"),
    "several": ("SELECT id, mail FROM people); DELETE FROM people; --", "one statement"),
    "no rows": ("SELECT id, mail FROM people WHERE id = 0", "has no rows"),
    "no key": ("SELECT NULL AS id, mail FROM people", "neither text nor a whole number"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_wrong_is_said_with_its_place_and_nothing_is_written(path: Path, name: str) -> None:
    query, said = REFUSED[name]
    events = await read(source(path, Queries(query)))
    (problem,) = problems(events)
    assert problem.startswith("source hr users: ")
    assert said in problem
    assert len(users(await read(source(path, Queries(PEOPLE))))) == 28


async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    one = source(tmp_path / "none.db", Queries(PEOPLE))
    events = await read(one)
    assert "unable to open database file" in problems(events)[0]
    assert faults(events) == [Fault.UNREACHABLE]
    assert not (tmp_path / "none.db").exists()


async def test_what_is_no_database_is_at_fault_as_a_whole_and_a_bad_query_is_not(path: Path) -> None:
    assert faults(await read(source(path, Queries("SELECT * FROM nowhere")))) == [None]
    assert faults(await read(source(Path(__file__), Queries(PEOPLE)))) == [Fault.NOT_SCIM]


async def test_a_password_that_is_not_there_is_a_sign_in_that_is_refused(path: Path) -> None:
    def missing() -> str:
        raise ConfigError(Problem("sources.hr.password", "the environment has no HR_PASSWORD"))

    url = make_url("sqlite://").set(database=str(path))
    one = SqlSource("hr", url, Queries(PEOPLE), read_password=missing, clock=SystemClock())
    [end] = [event for event in await given(one.read(USERS, None)) if isinstance(event, ReadEnd)]
    [line] = await one.test(USERS)
    await one.close()
    assert end.fault is not None and line.fault == end.fault
    assert (end.fault.fault, end.fault.request) == (Fault.UNAUTHORIZED, f"connect {one.identity.place}")
    assert "HR_PASSWORD" in end.fault.reason


async def test_a_query_may_not_take_for_ever(path: Path) -> None:
    endless = (
        "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT count(*) AS id, 'x' AS mail FROM n"
    )
    events = await read(source(path, Queries(endless), timeout_seconds=0.3))
    assert problems(events) == ("source hr users: the database took longer than timeout allows",)


async def test_a_reading_that_is_broken_off_lets_go_of_the_database(path: Path) -> None:
    one = source(path, Queries(PEOPLE))
    events = one.read(USERS, None)
    async for _ in events:
        break
    await events.aclose()  # type: ignore[attr-defined]  # because it is a generator behind the port
    await one.close()
    hr(path, "DROP TABLE people")


class Moved(SystemClock):
    """A clock that a test moves."""

    at = 0.0

    def monotonic(self) -> float:
        return self.at


async def test_a_target_that_takes_its_time_is_no_database_that_does(path: Path) -> None:
    """Whoever works on a page does not have the rows behind it run into the limit of the query."""
    series = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 30000)"
    many = f"{series} SELECT id, id AS mail FROM n"
    clock = Moved()
    url = make_url("sqlite://").set(database=str(path))
    one = SqlSource("hr", url, Queries(many, many.replace("mail", "displayName")), timeout_seconds=60.0, clock=clock)
    complete = []
    async for event in one.read(Wanted(frozenset({"mail"}), frozenset({"displayName"}), groups=True), None):
        clock.at += 100.0
        if isinstance(event, ReadEnd):
            complete.append(event.complete)
    await one.close()
    assert complete == [True, True]


async def test_a_slow_target_does_not_end_a_query_of_mariadb(mariadb: str) -> None:
    many = "SELECT seq AS id, REPEAT('x', 4000) AS mail FROM seq_1_to_10000"
    one = SqlSource("hr", make_url(mariadb), Queries(many), timeout_seconds=3.0, clock=SystemClock())
    events: list[ReadEvent] = []
    async for event in one.read(USERS, None):
        if not events:
            prepare(mariadb, "DO SLEEP(3.5)")
        events.append(event)
    await one.close()
    assert problems(events) == ()
    assert len(users(events)) == 10_000


async def test_where_there_are_no_rows_at_all_nobody_is_known_to_be_gone(path: Path) -> None:
    """A table that is filled anew each night is empty for a moment."""
    asked = [SourceId("3"), SourceId("99")]
    for allow_empty, answer in ((frozenset[str](), {}), (frozenset({"users"}), dict.fromkeys(asked))):
        url = make_url("sqlite://").set(database=str(path))
        nobody = Queries(f"{PEOPLE} WHERE id = 0")
        one = SqlSource("hr", url, nobody, allow_empty=allow_empty, clock=SystemClock())
        assert await one.fetch("user", asked, USERS) == answer
        await one.close()


async def test_whoever_was_marked_as_deleted_before_the_column_was_named_is_told(path: Path) -> None:
    hr(path, "ALTER TABLE people ADD left_at TEXT", "UPDATE people SET left_at = '2024-01-05' WHERE id = 5")
    queries = Queries("SELECT id, mail, at, left_at FROM people", changed="at")
    since = token(await read(source(path, queries)))
    events = await read(source(path, replace(queries, deleted="left_at")), since)
    assert [one.id for page in events if isinstance(page, EntryPage) for one in page.entries if one.gone] == ["5"]


async def test_colons_and_percent_signs_in_a_query_are_its_own(path: Path) -> None:
    query = "SELECT id, mail || ':x' AS mail FROM people WHERE mail LIKE 'p2%' AND ':mail' <> '%s'"
    (page,) = [event for event in await read(source(path, Queries(query))) if isinstance(event, EntryPage)]
    assert {entry.attributes["mail"] for entry in page.entries if entry.id == "2"} == {"p2@example.com:x"}


async def test_a_connection_test_shows_every_query(path: Path) -> None:
    one = source(path, Queries(PEOPLE, "SELECT id FROM teams", "SELECT 1 AS group_id, 2 AS member", changed="at"))
    lines = await one.test(replace(MEMBERS, user_attributes=USERS.user_attributes))
    await one.close()
    assert [(line.step, line.ok) for line in lines] == [
        ("database", True),
        ("users", True),
        ("groups", False),
        ("members", False),
    ]
    assert "28 rows with id, mail, at" in lines[1].text
    assert "[sources.hr] members: lacks the column 'member_id'" in lines[3].text


async def test_a_connection_test_asks_a_query_for_what_the_job_reads(path: Path) -> None:
    one = source(path, Queries("SELECT id, mail AS email FROM people", "SELECT id FROM teams", "SELECT 1, 2"))
    assert [line.ok for line in await one.test(Wanted(frozenset(), frozenset()))] == [True] * 4
    lines = await one.test(replace(MEMBERS, user_attributes=frozenset({"mail", "title"})))
    unused = "nothing of it is used (add it to the query, or take away what reads it)"
    assert [line.text for line in lines if not line.ok] == [
        "[sources.hr] users: lacks the columns 'mail' (there is 'email'), 'title';"
        " nothing of it is used (add them to the query, or take away what reads them)",
        f"[sources.hr] groups: lacks the column 'displayName'; {unused}",
        "[sources.hr] members: lacks the columns 'group_id', 'member_id';"
        " nothing of it is used (add them to the query, or take away what reads them)",
    ]
    (problem,) = problems(await read(one, wanted=Wanted(frozenset({"mail", "title"}), frozenset())))
    assert problem.removeprefix("source hr users: ") in lines[1].text


def test_values_of_drivers_become_values_of_entries() -> None:
    from datetime import UTC, date, datetime

    page = [
        (
            UUID(int=1),
            Decimal("7"),
            Decimal("1.5"),
            date(2024, 1, 2),
            datetime(2024, 1, 2, 3, tzinfo=UTC),
            b"\xff",
            [1],
        ),
    ]
    assert sql_values.rows(tuple("abcdefg"), page) == [
        {
            "a": "00000000-0000-0000-0000-000000000001",
            "b": 7,
            "c": 1.5,
            "d": "2024-01-02",
            "e": "2024-01-02T03:00:00Z",
            "f": "/w==",
            "g": [1],
        }
    ]


def test_values_at_the_ends_of_their_types_end_no_reading() -> None:
    from datetime import datetime, timedelta, timezone

    west = timezone(timedelta(hours=-5))
    assert sql_values.plain(datetime(9999, 12, 31, 23, 59, 59, tzinfo=west)) == "9999-12-31T23:59:59-05:00"
    assert sql_values.plain(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))) == "0001-01-01T00:00:00+05:00"
    assert sql_values.plain(Decimal("Infinity")) == float("inf")
    assert [sql_values.key_of(Decimal(one)) for one in ("Infinity", "NaN", "sNaN", "7")] == [None, None, None, "7"]
    assert not sql_values.is_moment(Decimal("sNaN"))


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def on_postgresql(url: str, queries: Queries, *, timeout_seconds: float = 60.0) -> SqlSource:
    address = make_url(url.replace("postgresql://", "postgresql+psycopg://"))
    return SqlSource("hr", address, queries, timeout_seconds=timeout_seconds, clock=SystemClock())


def prepare(url: str, *statements: str) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


SERIES = "SELECT n AS id, 'p' || n || '@example.com' AS mail FROM generate_series(1, {}) AS n"


async def test_a_key_with_places_after_the_point_is_found_by_its_number(postgresql: str) -> None:
    query = "SELECT n::numeric(12, 2) AS id, 'x' AS mail FROM generate_series(1, 3) AS n"
    one = on_postgresql(postgresql, Queries(query))
    assert users(await given(one.read(USERS, None))) == ["1", "2", "3"]
    found = await one.fetch("user", [SourceId("2"), SourceId("9")], USERS)
    await one.close()
    assert [entry is None for entry in found.values()] == [False, True]


async def test_a_cursor_of_the_server_gives_a_page_at_a_time(postgresql: str) -> None:
    one = on_postgresql(postgresql, Queries(SERIES.format(2500)))
    events = await given(one.read(USERS, None))
    await one.close()
    assert [len(event.entries) for event in events if isinstance(event, EntryPage)] == [1000, 1000, 500]


async def test_postgresql_is_bounded_and_only_read(postgresql: str) -> None:
    prepare(postgresql, "DROP TABLE IF EXISTS noted", "CREATE TABLE noted (id int)")
    prepare(
        postgresql,
        "CREATE OR REPLACE FUNCTION note() RETURNS int LANGUAGE sql AS 'INSERT INTO noted VALUES (1) RETURNING 1'",
    )
    writes = on_postgresql(postgresql, Queries("SELECT note() AS id, 'x' AS mail"))
    assert problems(await read(writes)) == ("source hr users: writes, and sources are only read",)
    slow = on_postgresql(postgresql, Queries("SELECT 1 AS id, pg_sleep(60)::text AS mail"), timeout_seconds=0.2)
    assert problems(await read(slow)) == ("source hr users: the database took longer than timeout allows",)


async def test_no_value_of_a_row_is_in_an_error(postgresql: str) -> None:
    one = on_postgresql(
        postgresql, Queries("SELECT 1 AS id, CAST('secret' || n AS int) AS mail FROM generate_series(1, 2) AS n")
    )
    (problem,) = problems(await read(one))
    assert "secret" not in problem


async def test_keys_of_postgresql_are_found_in_their_own_type(postgresql: str) -> None:
    for query, key in (
        (SERIES.format(9), "3"),
        ("SELECT '00000000-0000-0000-0000-000000000003'::uuid AS id, 'x' AS mail", str(UUID(int=3))),
        ("SELECT 3::numeric(10) AS id, 'x' AS mail", "3"),
    ):
        one = on_postgresql(postgresql, Queries(query))
        found = await one.fetch("user", [SourceId(key), SourceId("nobody")], USERS)
        await one.close()
        assert found[SourceId(key)] is not None
        assert found[SourceId("nobody")] is None


@pytest.mark.parametrize(
    ("elsewhere", "fault", "said"),
    [
        ({"port": 1}, Fault.UNREACHABLE, "no connection"),
        ({"username": "stranger"}, Fault.UNAUTHORIZED, "refused our sign-in"),
        ({"database": "nowhere"}, Fault.NOT_FOUND, "no database of this name"),
    ],
    ids=["nobody listens", "a stranger", "no such database"],
)
async def test_a_server_that_does_not_let_us_in_is_said(
    postgresql: str, elsewhere: dict[str, Any], fault: Fault, said: str
) -> None:
    url = make_url(postgresql).set(drivername="postgresql+psycopg").set(**elsewhere)
    one = SqlSource("hr", url, Queries(PEOPLE), clock=SystemClock())
    lines = await one.test(USERS)
    assert [line.ok for line in lines] == [False]
    assert said in lines[0].text
    assert lines[0].fault is not None and lines[0].fault.fault is fault
    assert faults(await read(one)) == [fault]
