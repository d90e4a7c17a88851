"""A delta costs what changed, however large the directory is: counted at the servers and on the wire, not timed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import NullPool, create_engine, text

from reconciler import config, wiring
from reconciler.core.outcomes import Failed
from reconciler.net.exchange import AiohttpExchange
from reconciler.ports import Request, Response, Wanted
from reconciler.runtime.clock import SystemClock
from tests.servers.okta import Okta
from tests.servers.scim import ScimServer
from tests.servers.slapd import READER, READER_PASSWORD, group, person, running_slapd, user, why_no_slapd
from tests.sources.looking import read
from tests.sources.weighing import weighed
from tests.store.conftest import postgresql

__all__ = ["postgresql"]

FEW, MANY = 300, 3000
CHANGED = 10
WANTED = Wanted(frozenset({"mail", "title"}), frozenset({"displayName"}), users=True, groups=True, memberships=True)


class Wire:
    """Counts what goes over a connection."""

    def __init__(self, **settings: Any) -> None:
        self._exchange = AiohttpExchange(**settings)
        self.requests = self.received = 0

    async def __call__(self, request: Request) -> Response | Failed:
        self.requests += 1
        answer = await self._exchange(request)
        if isinstance(answer, Response):
            self.received += len(answer.body)
        return answer

    async def aclose(self) -> None:
        await self._exchange.aclose()


async def cost_of_a_delta(
    directory: Path, table: str, change: Callable[[], None], *, wanted: Wanted = WANTED
) -> tuple[int, int]:
    """Read all, have something change, read that; return how many requests and bytes of answers it took."""
    wires: list[Wire] = []

    def connect(**settings: Any) -> Wire:
        wires.append(Wire(**settings))
        return wires[-1]

    path = directory / "config.toml"
    path.write_text(f"[sources.staff]\n{table}\n")
    source = wiring.build_source(config.load(path), "staff", SystemClock(), connect=connect)
    before = await read(source, wanted)
    assert before.complete and before.token is not None
    change()
    requests, received = (sum(wire.requests for wire in wires), sum(wire.received for wire in wires))
    seen = await read(source, wanted, before.token)
    await source.close()
    assert seen.complete and CHANGED <= len(seen.users) <= CHANGED + 2 and not seen.present
    return sum(wire.requests for wire in wires) - requests, sum(wire.received for wire in wires) - received


def secret(directory: Path, value: str) -> str:
    (directory / "secret").touch(mode=0o600)
    (directory / "secret").write_text(value)
    return '{ file = "secret" }'


# --- over HTTP ---------------------------------------------------------------------------------------------------


async def okta_delta(directory: Path, size: int) -> tuple[int, int]:
    async with Okta() as okta:
        for n in range(size):
            okta.hire(f"u{n:05}", title="x")
        okta.found("g", "Crew", *okta.users)
        okta.clock = okta.clock.replace(month=6)

        def change() -> None:
            for n in range(CHANGED):
                okta.change(f"u{n:05}", title="Chief")

        auth = f'auth = {{ type = "bearer", token = {secret(directory, okta.token)} }}'
        table = f'type = "okta"\nurl = "{okta.url}"\n{auth}\nrequests_per_second = 10000\noverlap = "1s"'
        attributes = '[sources.staff.attributes]\ntitle = "profile.title"'
        # the one group has all as members: its list is not asked for, since it did not change
        okta.found("h", "Nobody")
        return await cost_of_a_delta(directory, f"{table}\n{attributes}", change)


async def scim_delta(directory: Path, size: int) -> tuple[int, int]:
    async with ScimServer() as server:
        ids = [server.put("user", userName=f"u{n:05}", title="x") for n in range(size)]
        server.put("group", displayName="Crew", members=[{"value": one} for one in ids[:3]])
        for row in server.users.values():
            row["meta"]["lastModified"] = "2026-01-01T00:00:00Z"

        def change() -> None:
            for one in ids[:CHANGED]:
                server.users[one].update(title="Chief")
                server.users[one]["meta"]["lastModified"] = "2026-06-01T00:00:00Z"

        auth = f'auth = {{ type = "bearer", token = {secret(directory, server.token)} }}'
        table = f'type = "scim"\nurl = "{server.url}"\n{auth}\noverlap = "1s"\nsweep = false\nallow_empty = ["members"]'
        # the newest of before is shown once more, as proof that the server can be asked so
        server.users[ids[-1]]["meta"]["lastModified"] = "2026-02-01T00:00:00Z"
        return await cost_of_a_delta(directory, table, change)


@pytest.mark.parametrize("delta", [okta_delta, scim_delta])
async def test_requests_and_bytes_are_as_many_for_ten_times_the_people(
    tmp_path: Path, delta: Callable[[Path, int], Any]
) -> None:
    few, many = await delta(tmp_path, FEW), await delta(tmp_path, MANY)
    assert many[0] == few[0]
    assert many[1] <= 1.1 * few[1]


# --- LDAP --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(why_no_slapd() is not None, reason=why_no_slapd() or "")
async def test_a_directory_sends_as_many_entries_and_bytes_for_ten_times_the_people(tmp_path: Path) -> None:
    """By slapd's own count (cn=monitor)."""
    costs = []
    for size in (FEW, MANY):
        people = [user(f"u{n:05}") for n in range(size)]
        crew = group("crew", [dn for dn, _ in people])
        with running_slapd(tmp_path / f"slapd-{size}", [*people, crew]) as slapd:
            sent: dict[str, int] = {}

            def change() -> None:
                for n in range(CHANGED):
                    slapd.set(person(f"u{n:05}"), title="Chief")  # called before the next round
                sent.update(slapd.statistics())  # noqa: B023  # as above

            password = secret(tmp_path, READER_PASSWORD)
            bind = f'bind = {{ type = "simple", dn = "{READER}", password = {password} }}'
            table = f'type = "ldap"\nurl = "{slapd.tls_url}"\nca_file = "{slapd.ca_file}"\n{bind}'
            base = 'base = "dc=example,dc=test"\nusers = "(objectClass=inetOrgPerson)"'
            await cost_of_a_delta(tmp_path, f"{table}\n{base}", change)
            costs.append({name: count - sent[name] for name, count in slapd.statistics().items()})
    few, many = costs
    assert few["Entries"] <= many["Entries"] <= few["Entries"] + 1 < CHANGED + 20
    assert many["Bytes"] <= 1.1 * few["Bytes"]


# --- PostgreSQL --------------------------------------------------------------------------------------------------


class Postgresql:
    """A table of people in a database that can say how many rows were looked at."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("postgresql://", "postgresql+psycopg://")
        engine = create_engine(self.url, poolclass=NullPool)
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def fill(self, size: int) -> None:
        self._run(
            "DROP TABLE IF EXISTS people",
            f"CREATE TABLE people AS {_PEOPLE} FROM generate_series(0, {size - 1}) AS n",
            "CREATE INDEX changed ON people (at)",
            "VACUUM ANALYZE people",
        )

    def change(self) -> None:
        self._run(f"UPDATE people SET title = 'Chief', at = 1700009999 WHERE id < {CHANGED}", "VACUUM ANALYZE people")

    def looked_at(self) -> int:
        """Return how many rows were looked at so far."""
        with self._engine.connect() as connection:
            others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            while connection.execute(text(f"{others} AND pid <> pg_backend_pid()")).scalar():
                continue  # a connection tells what it did when it has ended
            counted = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'people'"
            return int(connection.execute(text(counted)).scalar() or 0)

    def _run(self, *statements: str) -> None:
        with self._engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))


_PEOPLE = (
    "SELECT n AS id, 'p' || n AS mail, 'x' AS title, 1700000000 + CASE n WHEN 99 THEN 50 ELSE 0 END AS at, 0 AS gone"
)
_QUERY = "SELECT id, mail, title, at, gone FROM people"
_CHANGES = 'changed = "at"\ndeleted = "gone"\noverlap = "1s"'


async def test_postgresql_looks_at_as_many_rows_for_three_times_the_people(tmp_path: Path, postgresql: str) -> None:
    """By its own count (pg_stat_user_tables). In a smaller table it looks at all rather than into an index."""
    database = Postgresql(postgresql)
    costs = []
    for size in (10 * MANY, 30 * MANY):
        database.fill(size)
        before: list[int] = []

        def change() -> None:
            database.change()
            before.append(database.looked_at())  # noqa: B023  # called before the next round

        table = f'type = "sql"\nurl = "{database.url}"\nusers = "{_QUERY}"\n{_CHANGES}'
        await cost_of_a_delta(tmp_path, table, change, wanted=Wanted(WANTED.user_attributes, frozenset()))
        costs.append(database.looked_at() - before[0])
    assert costs[0] <= 3 * CHANGED
    assert costs[1] <= costs[0] + 2


# --- on disk -----------------------------------------------------------------------------------------------------

READ_ALL_AND_WHAT_CHANGED = """
import asyncio, orjson, sqlite3, sys
from pathlib import Path
from reconciler import config, wiring
from reconciler.ports import EntryPage, ReadEnd, Wanted, Watermark
from reconciler.runtime.clock import SystemClock

WANTED = Wanted(frozenset({"mail", "title"}), frozenset())
CHANGED = int(sys.argv[1])

def bytes_read():
    return int(Path("/proc/self/io").read_text().splitlines()[0].split()[1])

async def read(place, token):
    before, entries = bytes_read(), 0
    loaded = config.load(place / "config.toml")
    source = wiring.build_source(loaded, "staff", SystemClock(), copy=place / "copy.db")
    async for event in source.read(WANTED, token):
        match event:
            case EntryPage(entries=page): entries += len(page)
            case ReadEnd(): assert event.complete, event
            case Watermark(): token = event.token
    await source.close()
    print(entries, bytes_read() - before)
    return token

def change(place):
    rows = ({"id": str(n), "mail": "new", "title": "x", "operation": "upsert"} for n in range(CHANGED))
    (place / "inbox" / "1.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\\n" for row in rows))
    with sqlite3.connect(place / "hr.db") as database:
        database.execute(f"UPDATE people SET title = 'Chief', at = 1700009999 WHERE rowid <= {CHANGED}")
    database.close()

for place in map(Path, sys.argv[2:]):
    token = asyncio.run(read(place, None))
    change(place)
    asyncio.run(read(place, token))
"""
FILES = 'type = "file"\nusers = "users.jsonl"\nchanges = "inbox/*.jsonl"'
SQLITE = f'type = "sql"\nurl = "sqlite:///hr.db"\nusers = "{_QUERY}"\n{_CHANGES}'
JOINED = f"""type = "joined"
of = ["files", "hr"]
key = {{ files = "id", hr = "id" }}
attributes = {{ title = ["hr"] }}
[sources.files]
{FILES}
[sources.hr]
{SQLITE}"""


@pytest.mark.parametrize("table", [FILES, SQLITE, JOINED], ids=["change files", "SQLite", "joined"])
def test_as_many_bytes_are_read_for_ten_times_the_people(tmp_path: Path, table: str) -> None:
    sizes = (10 * FEW, 10 * MANY)
    places = [tmp_path / str(size) for size in sizes]
    for place, size in zip(places, sizes, strict=True):
        (place / "inbox").mkdir(parents=True)
        (place / "config.toml").write_text(f"[sources.staff]\n{table}\n")
        people = [{"id": str(n), "mail": f"p{n}@example.com", "title": "x"} for n in range(size)]
        (place / "users.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in people))
        with sqlite3.connect(place / "hr.db") as database:
            database.execute("CREATE TABLE people (id TEXT PRIMARY KEY, mail TEXT, title TEXT, at INT, gone INT)")
            database.execute("CREATE INDEX changed ON people (at)")
            insert = "INSERT INTO people VALUES (:id, :mail, :title, 1700000000 + 50 * (:id = '99'), 0)"
            database.executemany(insert, people)
        database.close()
    said = weighed(READ_ALL_AND_WHAT_CHANGED, CHANGED, *places)
    (few, _, of_few, few_bytes), (many, whole_bytes, of_many, many_bytes) = said[:4], said[4:8]
    assert (few, many) == sizes
    assert CHANGED <= of_few <= of_many <= CHANGED + 1
    assert many_bytes <= few_bytes + 256 * 1024 < whole_bytes, "trees of pages are a little deeper"
