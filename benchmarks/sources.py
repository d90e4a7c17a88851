"""What reading people costs: everybody, and a hundred who changed, of each kind of source on a server of its own.

A part of `make bench`; alone: `make bench BENCH_OPTIONS="--only sources"`. What is not installed is left out, by name.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from sqlalchemy import create_engine, text

from tests.servers.okta import Okta
from tests.servers.real import scim2_server
from tests.servers.slapd import PEOPLE, READER, READER_PASSWORD, person, running_slapd, user, why_no_slapd
from tests.store.servers import running_postgresql, why_no_postgresql

Rows = list[tuple[str, str, str]]
Scene = Callable[[Path, int], Iterator[tuple[str, Callable[[], None]]]]
"""Gives the table of a source of so many people, and what changes a hundred of them."""
CHANGED = 100
_SQL = 'SELECT id, mail, name AS "displayName", title, at, gone FROM people'


@dataclass(frozen=True, slots=True)
class Read:
    """What one reading cost."""

    seconds: float
    mib: float
    entries: float
    requests: float
    received_bytes: float


def measure(directory: Path, users: int, rounds: int) -> Iterator[tuple[str, str, str]]:
    """Measure every kind of source that can be measured here, in a directory of `users` and one of a fifth of them."""
    kinds: list[tuple[str, Scene, str]] = [
        ("file", _file, ""),
        ("change files", _change_files, ""),
        ("SQLite", _sqlite, ""),
        ("PostgreSQL", _postgresql, why_no_postgresql() or ""),
        ("LDAP (slapd, TLS)", _ldap, why_no_slapd() or ""),
        ("REST (okta, a double in Python)", _okta, ""),
        ("SCIM (scim2-server)", _scim, ""),
    ]
    for number, (name, scene, why_not) in enumerate(kinds):
        if why_not:
            yield f"source {name}", "not measured", why_not
            continue
        full, delta = _both(directory / str(number), users, scene, rounds)
        yield from _rows(name, users, full, delta)
        if name != "file":
            few = users // 5
            _, delta_of_few = _both(directory / f"{number}-few", few, scene, rounds)
            yield from _growth(few, delta, delta_of_few)


def _rows(name: str, users: int, full: Read, delta: Read) -> Rows:
    told = "everybody is read again" if delta.entries >= users else f"{delta.entries:.0f} entries shown"
    return [
        (f"source {name}: {users:,} users in full", f"{users / full.seconds:,.0f} a second", f"{full.seconds:.2f} s"),
        ("  peak memory of the process", f"{full.mib:.0f} MiB", ""),
        (f"  {CHANGED} changes", f"{delta.seconds * 1000:.0f} ms", told),
    ]


def _growth(few: int, delta: Read, delta_of_few: Read) -> Rows:
    seconds = f"{delta.seconds / delta_of_few.seconds:.2f}"
    rows = [(f"  its delta beside that of {few:,} users", seconds, "in seconds; 1: no growth")]
    if delta.requests:
        received = f"{delta_of_few.received_bytes / 1024:,.0f} and {delta.received_bytes / 1024:,.0f} KiB"
        requests = f"{delta_of_few.requests:.0f} and {delta.requests:.0f} requests"
        rows.append(("  what it asked for, and was sent", requests, received))
    return rows


def _both(directory: Path, users: int, scene: Scene, rounds: int) -> tuple[Read, Read]:
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


def _reading(path: Path, token: Path) -> Read:
    command = [sys.executable, "-m", "benchmarks.reading", str(path), str(token)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"reading {path} failed:\n{done.stderr.decode()[-3000:]}")
    return Read(**orjson.loads(done.stdout))


def _file(directory: Path, users: int) -> Iterator[tuple[str, Callable[[], None]]]:
    path = directory / "users.jsonl"

    def write(title: str) -> None:
        with path.open("wb") as file:
            for number in range(users):
                file.write(orjson.dumps(_person(number, title if number < CHANGED else "Engineer")) + b"\n")

    write("Engineer")
    yield 'type = "file"\nusers = "users.jsonl"', lambda: write("Chief")


def _change_files(directory: Path, users: int) -> Iterator[tuple[str, Callable[[], None]]]:
    with (directory / "users.jsonl").open("wb") as file:
        file.writelines(orjson.dumps(one) + b"\n" for one in _people(users))
    (directory / "inbox").mkdir()
    numbers = iter(range(1, 1000))

    def change() -> None:
        number = next(numbers)
        rows = ({**_person(one, f"Title {number}"), "operation": "upsert"} for one in range(CHANGED))
        (directory / "inbox" / f"{number}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))

    yield 'type = "file"\nusers = "users.jsonl"\nchanges = "inbox/*.jsonl"', change


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


def _okta(directory: Path, users: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Give the shipped description of Okta, and a double of its API in this process."""
    okta = Okta()
    for number in range(users):
        okta.hire(f"p{number}", title="Engineer", displayName=f"P {number}")
    titles = iter(range(1000))

    def change() -> None:
        title = f"Title {next(titles)}"
        for number in range(CHANGED):
            okta.change(f"p{number}", title=title)

    with _serving(okta):
        auth = _secret(directory, okta.token)
        table = f'type = "okta"\nurl = "{okta.url}"\noverlap = "1s"\nauth = {auth}\nrequests_per_second = 10000'
        yield f'{table}\n[sources.staff.attributes]\ntitle = "profile.title"', change


@contextmanager
def _serving(double: Okta) -> Iterator[None]:
    """Serve from a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(double.__aenter__(), loop).result()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(double.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _secret(place: Path, secret: str) -> str:
    """Keep a token in a file, and return how a configuration names it."""
    (place / "secret").touch(mode=0o600)
    (place / "secret").write_text(secret)
    return '{ type = "bearer", token = { file = "secret" } }'


def _scim(directory: Path, users: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Give scim2-server, which is made for tests: for each page it looks at everybody, which takes nearly all the time.

    Without a sweep: the ids of all are a page for each thousand.
    """
    server = scim2_server(users)
    server.start()
    titles = iter(range(1000))

    def change() -> None:
        replaced = {"op": "replace", "path": "title", "value": f"Title {next(titles)}"}
        schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
        body = json.dumps({"schemas": schemas, "Operations": [replaced]}).encode()
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/scim+json"}
        for number in range(CHANGED):
            place = f"{server.url}/Users/user{number}"
            urllib.request.urlopen(urllib.request.Request(place, body, headers, method="PATCH"), timeout=20).close()

    try:
        auth = _secret(directory, server.token)
        yield f'type = "scim"\nurl = "{server.url}"\nauth = {auth}\nsweep = false\noverlap = "1s"', change
    finally:
        server.stop()


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
