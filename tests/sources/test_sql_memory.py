"""The SQL source holds a page of rows and twenty bytes for each key, never the table."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.sources.weighing import MEMORY_MAX_KIB, weighed
from tests.store.conftest import postgresql

__all__ = ["postgresql"]

PEOPLE = int(os.environ.get("SQL_PEOPLE", "100000"))
"""Two million take some minutes: SQL_PEOPLE=2000000."""
_NUMBERS = {
    "sqlite": f"WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {PEOPLE - 1})",
    "postgresql": f"WITH numbers AS (SELECT generate_series(0, {PEOPLE - 1}) AS n)",
}

READ_AND_WEIGH = """
import asyncio, sys
from sqlalchemy import make_url
from reconciler.ports import EntryPage, MembershipPage, PresentPage, ReadEnd, Wanted, Watermark
from reconciler.runtime.clock import SystemClock
from reconciler.sources.sql import SqlSource
from reconciler.sources.sql_part import Queries

QUERIES = Queries(
    "SELECT id, mail, name, boss, at FROM people", 'SELECT id, name AS "displayName" FROM teams',
    "SELECT id / 1000 AS group_id, id AS member_id FROM people", changed="at", overlap_seconds=1.0)
WANTED = Wanted(frozenset({"mail", "name", "boss"}), frozenset({"displayName"}), groups=True, memberships=True)

async def work():
    source = SqlSource("staff", make_url(sys.argv[1]), QUERIES, clock=SystemClock(), timeout_seconds=3600.0)
    token = None
    for _ in range(2):
        users = members = present = 0
        async for event in source.read(WANTED, token):
            match event:
                case EntryPage(kind="user", entries=entries): users += len(entries)
                case MembershipPage(groups=groups): members += sum(len(group.members) for group in groups)
                case PresentPage(kind="user", ids=ids): present += len(ids)
                case ReadEnd(): assert event.complete, event
                case Watermark(): following = event.token
        token = following
        print(users, members, present)
    await source.close()

asyncio.run(work())
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_table_of_any_size_is_read_in_the_memory_of_a_few_pages(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/hr.db" if kind == "sqlite" else str(request.getfixturevalue("postgresql"))
    url = url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in (
            "DROP TABLE IF EXISTS people",
            "DROP TABLE IF EXISTS teams",
            f"CREATE TABLE people AS {_NUMBERS[kind]} SELECT n AS id, 'person' || n || '@example.com' AS mail,"
            " 'Zoë Person' AS name, n / 10 AS boss, CASE n WHEN 7 THEN 1700000100 ELSE 1700000000 END AS at"
            " FROM numbers",
            "CREATE TABLE teams AS SELECT id / 1000 AS id, 'team' AS name FROM people WHERE id % 1000 = 0",
        ):
            connection.execute(text(statement))
    engine.dispose()
    *read, peak_kib = weighed(READ_AND_WEIGH, url)
    assert read == [PEOPLE, PEOPLE, 0, 1, PEOPLE, PEOPLE], "then one who changed, and the keys of all"
    assert peak_kib <= MEMORY_MAX_KIB
