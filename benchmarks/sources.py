"""What reading people costs: everybody, and a hundred who changed, of each kind of source on a server of its own.

A part of `make bench`; alone: `make bench BENCH_OPTIONS="--only sources"`. What is not installed is left out, by name.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from sqlalchemy import create_engine, text

from benchmarks.runs import Measured, run_measured
from tests.servers.okta import Okta
from tests.servers.real import scim2_server
from tests.servers.slapd import PEOPLE, READER, READER_PASSWORD, person, running_slapd, user, why_no_slapd
from tests.store.servers import running_postgresql, why_no_postgresql

Rows = list[tuple[str, str, str]]
CHANGED = 100
_SQL = 'SELECT id, mail, name AS "displayName", title, at, gone FROM people'


def measure(directory: Path, users: int, rounds: int) -> Iterator[tuple[str, str, str]]:
    """Measure every kind of source that can be measured here, in a directory of `users` and one of a fifth of them."""
    few = users // 5
    kinds: list[tuple[str, Callable[[Path, int], Iterator[tuple[str, Callable[[], None]]]], str]] = [
        ("file", _file, ""),
        ("SQLite", _sqlite, ""),
        ("PostgreSQL", _postgresql, why_no_postgresql() or ""),
        ("LDAP (slapd, TLS)", _ldap, why_no_slapd() or ""),
    ]
    for name, scene, why_not in kinds:
        if why_not:
            yield f"source {name}", "not measured", why_not
            continue
        full, delta = _both(directory / name[:4], users, scene, rounds)
        _, delta_of_few = _both(directory / f"{name[:4]}-few", few, scene, rounds)
        yield from _rows(name, users, full, delta)
        if name != "file":
            growth = delta.seconds / delta_of_few.seconds
            yield f"  its delta beside that of {few:,} users", f"{growth:.2f}", "1: no growth"
    yield from _rest(directory / "rest", users)
    yield from _scim(directory / "scim", users // 25)


def _rows(name: str, users: int, full: Measured, delta: Measured) -> Rows:
    told = "everybody is read again" if delta.requests >= users else f"{delta.requests:.0f} entries shown"
    return [
        (f"source {name}: {users:,} users in full", f"{users / full.seconds:,.0f} a second", f"{full.seconds:.2f} s"),
        ("  peak memory of the process", f"{full.mib:.0f} MiB", ""),
        (f"  {CHANGED} changes", f"{delta.seconds * 1000:.0f} ms", told),
    ]


def _both(
    directory: Path,
    users: int,
    scene: Callable[[Path, int], Iterator[tuple[str, Callable[[], None]]]],
    rounds: int,
) -> tuple[Measured, Measured]:
    """Return the best full reading of some, and the best reading of what changed."""
    directory.mkdir(parents=True)
    with contextmanager(scene)(directory, users) as (table, change):
        path = directory / "config.toml"
        path.write_text(f"[sources.staff]\n{table}\n")
        full, delta = [], []
        for number in range(rounds):
            token = directory / f"token-{number}"
            full.append(_reading(path, token))
            change()
            delta.append(_reading(path, token))
    return min(full, key=lambda one: one.seconds), min(delta, key=lambda one: one.seconds)


def _reading(path: Path, token: Path) -> Measured:
    return run_measured([sys.executable, "-m", "benchmarks.reading", str(path), str(token)], path.parent)


def _file(directory: Path, users: int) -> Iterator[tuple[str, Callable[[], None]]]:
    path = directory / "users.jsonl"

    def write(title: str) -> None:
        with path.open("wb") as file:
            for number in range(users):
                file.write(orjson.dumps(_person(number, title if number < CHANGED else "Engineer")) + b"\n")

    write("Engineer")
    yield 'type = "file"\nusers = "users.jsonl"', lambda: write("Chief")


def _sqlite(directory: Path, users: int) -> Iterator[tuple[str, Callable[[], None]]]:
    database = sqlite3.connect(directory / "hr.db")
    database.execute(
        "CREATE TABLE people (id TEXT PRIMARY KEY, mail TEXT, name TEXT, title TEXT, at INTEGER, gone INTEGER)"
    )
    database.execute("CREATE INDEX changed ON people (at)")
    database.executemany("INSERT INTO people VALUES (:id, :mail, :displayName, :title, :at, NULL)", _people(users))
    database.commit()
    moments = iter(range(1_700_100_000, 1_800_000_000, 100_000))

    def change() -> None:
        chosen = f"UPDATE people SET at = ? WHERE id IN (SELECT id FROM people LIMIT {CHANGED})"
        database.execute(chosen, (next(moments),))
        database.commit()

    yield f"type = 'sql'\nurl = 'sqlite:///hr.db'\nusers = '{_SQL}'\nchanged = 'at'\ndeleted = 'gone'", change
    database.close()


def _postgresql(directory: Path, users: int) -> Iterator[tuple[str, Callable[[], None]]]:
    # Not below ours, which another user may not enter.
    with tempfile.TemporaryDirectory() as data, running_postgresql(Path(data)) as url:
        url = url.replace("postgresql://", "postgresql+psycopg://")
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(
                text("CREATE TABLE people (id TEXT PRIMARY KEY, mail TEXT, name TEXT, title TEXT, at INT, gone INT)")
            )
            connection.execute(text("CREATE INDEX changed ON people (at)"))
            insert = text("INSERT INTO people VALUES (:id, :mail, :displayName, :title, :at, NULL)")
            connection.execute(insert, list(_people(users)))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE people"))
        moments = iter(range(1_700_100_000, 1_800_000_000, 100_000))

        def change() -> None:
            chosen = f"UPDATE people SET at = :at WHERE id IN (SELECT id FROM people ORDER BY id LIMIT {CHANGED})"
            with engine.begin() as connection:
                connection.execute(text(chosen), {"at": next(moments)})

        yield f"type = 'sql'\nurl = '{url}'\nusers = '{_SQL}'\nchanged = 'at'\ndeleted = 'gone'", change
        engine.dispose()


def _ldap(directory: Path, users: int) -> Iterator[tuple[str, Callable[[], None]]]:
    people = [user(f"p{number}", displayName=f"Given Family {number}") for number in range(users)]
    password = directory / "password"
    password.touch(mode=0o600)
    password.write_text(READER_PASSWORD)
    with running_slapd(directory / "slapd", people) as slapd:
        titles = iter(range(1000))

        def change() -> None:
            title = f"Title {next(titles)}"
            for number in range(CHANGED):
                slapd.set(person(f"p{number}"), title=title)

        bind = f'{{ type = "simple", dn = "{READER}", password = {{ file = "password" }} }}'
        yield (
            f'type = "ldap"\nurl = "{slapd.tls_url}"\nca_file = "{slapd.ca_file}"\nbind = {bind}\nbase = "{PEOPLE}"',
            change,
        )


def _rest(directory: Path, users: int) -> Rows:
    """Measure by the shipped description of Okta, from a double of its API in this process."""
    measured: dict[int, tuple[Measured, Measured]] = {}
    for count in (users // 5, users):
        place = directory / str(count)
        place.mkdir(parents=True)
        measured[count] = asyncio.run(_okta(place, count))
    full, delta = measured[users]
    growth = delta.seconds / measured[users // 5][1].seconds
    return [
        *_rows("REST (okta, a double in Python)", users, full, delta),
        (f"  its delta beside that of {users // 5:,} users", f"{growth:.2f}", "the double looks at everybody"),
    ]


async def _okta(place: Path, users: int) -> tuple[Measured, Measured]:
    async with Okta() as okta:
        for number in range(users):
            okta.hire(f"p{number}", title="Engineer", displayName=f"P {number}")
        auth = _secret(place, okta.token)
        path = place / "config.toml"
        table = f'type = "okta"\nurl = "{okta.url}"\noverlap = "1s"\nauth = {auth}'
        path.write_text(f'[sources.staff]\n{table}\n[sources.staff.attributes]\ntitle = "profile.title"\n')
        full = await asyncio.to_thread(_reading, path, place / "token")
        for number in range(CHANGED):
            okta.change(f"p{number}", title="Chief")
        return full, await asyncio.to_thread(_reading, path, place / "token")


def _secret(place: Path, secret: str) -> str:
    """Keep a token in a file, and return how a configuration names it."""
    (place / "secret").touch(mode=0o600)
    (place / "secret").write_text(secret)
    return '{ type = "bearer", token = { file = "secret" } }'


def _scim(directory: Path, users: int) -> Rows:
    """Measure against scim2-server, which is made for tests: it takes too long to fill with more."""
    directory.mkdir()
    server = scim2_server()
    server.start()
    try:
        for number in range(users):
            one = _person(number, "Engineer")
            body = {
                "userName": one["mail"],
                "displayName": one["displayName"],
                "title": one["title"],
                "externalId": one["id"],
            }
            headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/scim+json"}
            sent = json.dumps({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], **body}).encode()
            request = urllib.request.Request(f"{server.url}/Users", sent, headers, method="POST")
            urllib.request.urlopen(request, timeout=20).close()
        auth = _secret(directory, server.token)
        path = directory / "config.toml"
        path.write_text(f'[sources.staff]\ntype = "scim"\nurl = "{server.url}"\nauth = {auth}\n')
        full = _reading(path, directory / "token")
    finally:
        server.stop()
    rate = f"{full.requests / full.seconds:,.0f} a second"
    return [
        (f"source SCIM (scim2-server): {users:,} users in full", rate, f"{full.mib:.0f} MiB; the server is the limit")
    ]


def _people(users: int) -> Iterator[dict[str, object]]:
    return (_person(number, "Engineer") for number in range(users))


def _person(number: int, title: str) -> dict[str, object]:
    return {
        "id": f"{number:08d}-5e1f-4c57-a1d4-{number:012d}",
        "mail": f"user{number}@example.com",
        "displayName": f"Given{number} Family{number % 9973}",
        "title": title,
        "at": 1_600_000_000 if number else 1_700_000_000,
    }
