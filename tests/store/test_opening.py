"""Opening the state: one writer, readers beside it, and a sentence for everything that can be wrong with the file."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import CacheStats
from sqlalchemy.sql.compiler import SQLCompiler

from reconciler.errors import StateError, StateLocked
from reconciler.ports import Batch, GroupMembers
from reconciler.store.database import copy_state
from reconciler.store.sql import SqlStore
from tests.store.scenes import ids, linked, logged, open_work, sid, unlinked


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


async def opened(path: Path, *, write: bool = True) -> SqlStore:
    return await SqlStore.open(url_of(path), write=write, clock_now=1_700_000_000.0, process="reconciler test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


async def with_ann(path: Path) -> None:
    """Make a state with one link."""
    store = await opened(path)
    work = await open_work(store)
    await work.commit(linked("ann", "t1"))
    await store.close()


# --- one writer --------------------------------------------------------------------------------------------------

HOLD = """
import asyncio, sys
from reconciler.store.sql import SqlStore

async def main():
    store = await SqlStore.open(sys.argv[1], write=True, clock_now=1_700_000_000.0, process="reconciler run")
    print("open", flush=True)
    sys.stdin.read()
    await store.close()

asyncio.run(main())
"""


@contextmanager
def another_writer(url: str) -> Iterator[subprocess.Popen[str]]:
    """Run another process that has the state open for writing; it closes it when its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
async def test_a_second_writer_is_told_who_the_first_is(path: Path, where: str, request: pytest.FixtureRequest) -> None:
    url = url_of(path) if where == "sqlite" else str(request.getfixturevalue("postgresql"))
    with another_writer(url) as first:
        with pytest.raises(StateLocked) as refusal:
            await SqlStore.open(url, write=True, clock_now=0.0)
        assert f"process {first.pid} (reconciler run) since 2023-11-14T22:13:20Z" in str(refusal.value)

        # the lock goes with its holder, however that ends
        first.send_signal(signal.SIGKILL)
        first.wait()
        second = await SqlStore.open(url, write=True, clock_now=0.0)
        await second.close()


async def test_a_second_writer_in_the_same_process_is_refused_too(path: Path) -> None:
    first = await opened(path)
    with pytest.raises(StateLocked, match=rf"process {os.getpid()} \(reconciler test\)"):
        await opened(path)
    await first.close()
    await (await opened(path)).close()


async def test_readers_work_beside_a_writer_and_write_nothing(path: Path) -> None:
    store = await opened(path)
    work = await open_work(store)
    reader = await opened(path, write=False)
    await work.commit(linked("ann", "t1"), log=[logged("ann")])
    assert [record.source_id for record in await reader.list_links("phone", None)] == ["ann"]
    assert [record.source_id for record in await reader.list_links("phone", "ann")] == ["ann"]
    with pytest.raises(StateError, match="can be read but not written"):
        await reader.set_next_due("phone", 5.0)
    await work.commit(linked("bob", "t2"))
    assert len(await reader.list_links("phone", None)) == 2
    await reader.close()
    await store.close()


async def test_a_reader_after_a_writer_that_was_killed(path: Path) -> None:
    await with_ann(path)
    with another_writer(url_of(path)) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
    reader = await opened(path, write=False)
    assert len(await reader.list_links("phone", None)) == 1
    await reader.close()


# --- nothing begun is lost ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["scope", "task"])
async def test_a_cancelled_caller_does_not_lose_a_commit(path: Path, how: str) -> None:
    store = await opened(path)
    work = await open_work(store)
    many = GroupMembers(sid("g"), "G", ids(*(f"u{n}" for n in range(20_000))))
    busy = asyncio.create_task(store.stage_memberships(work.id, [many], additive=False))
    await anyio.wait_all_tasks_blocked()
    committing = asyncio.create_task(store.commit(work.id, work.state.epoch, Batch(records=[linked("ann", "t1")])))
    await anyio.wait_all_tasks_blocked()
    if how == "task":
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
    else:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await store.commit(work.id, work.state.epoch, Batch(records=[linked("bob", "t2")]))
        await committing
    await store.close()
    await busy
    reader = await opened(path, write=False)
    links = {record.source_id for record in await reader.list_links("phone", None)}
    assert links == ({"ann"} if how == "task" else {"ann", "bob"})
    await reader.close()


async def test_close_lets_what_was_begun_end(path: Path) -> None:
    store = await opened(path)
    work = await open_work(store)
    begun = [asyncio.create_task(work.commit(unlinked(f"u{n}"))) for n in range(50)]
    await anyio.wait_all_tasks_blocked()
    await store.close()
    await asyncio.gather(*begun)
    store = await opened(path)
    work = await open_work(store)
    assert len(await store.records(work.id, "user", ids(*(f"u{n}" for n in range(50))))) == 50
    await store.close()


# --- what can be wrong -------------------------------------------------------------------------------------------


def contents(path: Path, new: bytes | None = None) -> bytes:
    """Return what is in a file, after replacing it by `new`."""
    if new is not None:
        path.write_bytes(new)
    return path.read_bytes()


async def refusal(path: Path, *, write: bool) -> str:
    with pytest.raises(StateError) as refused:
        await (await opened(path, write=write)).close()
    assert not isinstance(refused.value, StateLocked)
    assert str(path) in str(refused.value)
    return str(refused.value)


async def test_there_is_no_state_to_read_yet(path: Path) -> None:
    assert "there is no state yet; `reconciler run`" in await refusal(path, write=False)
    contents(path, b"")
    assert "there is no state yet" in await refusal(path, write=False)
    await (await opened(path)).close()
    await (await opened(path, write=False)).close()


async def test_there_is_no_directory(path: Path) -> None:
    missing = path.parent / "missing" / "state.db"
    assert f"there is no directory {missing.parent}" in await refusal(missing, write=True)
    assert not missing.parent.exists()


async def test_the_directory_cannot_be_written(tmp_path: Path) -> None:
    # Root may write everywhere but here.
    directory = Path("/sys") if os.geteuid() == 0 else tmp_path
    directory.chmod(0o500) if directory == tmp_path else None
    assert "its directory must be writable" in await refusal(directory / "state.db", write=True)


async def test_a_place_that_may_not_be_looked_at_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 300)  # as in a directory that is closed to us; root may look into every one
    said = f"{path}: the state cannot be opened or written: File name too long"
    assert await refusal(path, write=False) == said
    with pytest.raises(StateError, match=re.escape(said)):
        copy_state(path, tmp_path / "copy.db")


@pytest.mark.parametrize("write", [True, False])
async def test_the_file_is_something_else(path: Path, write: bool) -> None:
    contents(path, b"id,name\n1,Ann\n" * 100)
    assert "not a state of reconciler" in await refusal(path, write=write)
    assert contents(path).startswith(b"id,name"), "it is left alone"
    with pytest.raises(StateError, match=f"^{re.escape(str(path))}: this file is not a state of reconciler"):
        copy_state(path, path.with_name("copy.db"))


@pytest.mark.parametrize("write", [True, False])
async def test_the_database_belongs_to_another_program(path: Path, write: bool) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE invoices (id INTEGER)")
    assert "belongs to another program (it has the table 'invoices')" in await refusal(path, write=write)


async def test_the_file_is_damaged(path: Path) -> None:
    await with_ann(path)
    whole = contents(path)
    contents(path, whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StateError, match="the file is damaged; restore a backup"):
        store = await opened(path)
        try:
            await store.list_links("phone", None)
        finally:
            await store.close()


@pytest.mark.parametrize("write", [True, False])
async def test_the_state_is_newer_than_the_program(path: Path, write: bool) -> None:
    await with_ann(path)
    with closing(sqlite3.connect(path)) as later:
        later.execute("UPDATE alembic_version SET version_num = '9999'")
        later.commit()
    assert "has revision 9999" in await refusal(path, write=write)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("state.db", "cannot be read"),
        ("mysql://someone:hunter2@host/name", "'mysql' is not supported"),
    ],
)
async def test_a_url_that_cannot_be_used(url: str, says: str) -> None:
    with pytest.raises(StateError, match=says) as refused:
        await SqlStore.open(url, write=True, clock_now=0.0)
    assert "hunter2" not in str(refused.value)


async def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed (requirements/dev.txt)")
    with pytest.raises(StateError, match=r"postgresql://someone:.*@127\.0\.0\.1:1/name") as refused:
        await SqlStore.open("postgresql://someone:hunter2@127.0.0.1:1/name", write=True, clock_now=0.0)
    assert "hunter2" not in str(refused.value)


# --- the files ---------------------------------------------------------------------------------------------------


async def test_only_the_owner_may_read_the_files(path: Path) -> None:
    before = os.umask(0)
    try:
        store = await opened(path)
        await open_work(store)
        copy_state(path, path.with_name("copy.db"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        await store.close()
    finally:
        os.umask(before)
    assert set(modes) == {"state.db", "state.db-wal", "state.db-shm", "state.db.lock", "copy.db"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("name", ["a b.db", "50%.db", "a#b.db", "ä.db", "a%20b.db", "why?.db"])
async def test_a_path_may_have_any_name(tmp_path: Path, name: str) -> None:
    await with_ann(tmp_path / name)
    assert (tmp_path / name).is_file()
    reader = await opened(tmp_path / name, write=False)
    assert len(await reader.list_links("phone", None)) == 1
    await reader.close()


async def test_a_copy_is_a_state_of_its_own(path: Path) -> None:
    await with_ann(path)
    store = await opened(path)
    copy = path.with_name("copy.db")
    copy_state(path, copy)
    of_the_copy = await opened(copy)
    work = await open_work(of_the_copy)
    await work.commit(linked("bob", "t2"))
    assert len(await of_the_copy.list_links("phone", None)) == 2
    assert len(await store.list_links("phone", None)) == 1
    await of_the_copy.close()
    await store.close()
    with pytest.raises(StateError, match="there is no state yet"):
        copy_state(path.with_name("missing.db"), copy)


async def test_a_state_in_memory_is_for_trials() -> None:
    store = await SqlStore.open("sqlite://", write=True, clock_now=0.0, inline=True)
    work = await open_work(store)
    await work.commit(linked("ann", "t1"))
    assert len(await store.list_links("phone", None)) == 1
    await store.close()


# --- a full disk -------------------------------------------------------------------------------------------------

FILL = """
import asyncio, os, resource, sys
from reconciler.errors import StateError
from reconciler.store.sql import SqlStore
from tests.store.scenes import linked, logged, open_work

async def main():
    store = await SqlStore.open(sys.argv[1], write=True, clock_now=0.0)
    work = await open_work(store)
    if sys.argv[2] == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    written = 0
    try:
        for _ in range(100):
            names = [f"u{n}" for n in range(written, written + 200)]
            await work.commit(*(linked(n, f"t-{n}", why="x" * 500) for n in names), log=[logged(n) for n in names])
            written += 200
    except StateError as error:
        print(written, error)
    await store.close()

asyncio.run(main())
"""


def fill(path: Path, how: str) -> tuple[int, str]:
    """Write until there is no room; return how many were committed and what the store said."""
    done = subprocess.run([sys.executable, "-c", FILL, url_of(path), how], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written, _, said = done.stdout.strip().partition(" ")
    return int(written), said


async def whats_there(path: Path) -> int:
    store = await opened(path)
    work = await open_work(store)
    count = await store.linked_count(work.id)
    await work.commit(linked("room again", "t1"))
    await store.close()
    return count


async def test_a_file_that_may_not_grow(path: Path) -> None:
    written, said = fill(path, "limit")
    assert written > 0
    assert re.match(rf"{path}: the disk .*; nothing of this step was written \(SQLITE_\w+\)$", said)
    assert await whats_there(path) == written


def may_mount() -> bool:
    """Whether this process may make a disk of its own (CAP_SYS_ADMIN)."""
    capabilities = re.search(r"^CapEff:\s+(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return capabilities is not None and bool(int(capabilities[1], 16) & 1 << 21)


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def enlarge(place: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)


if may_mount():

    async def test_a_full_disk(tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        with small_disk(disk, "3m"):
            written, said = fill(disk / "state.db", "disk")
            assert written > 0
            assert "the disk is full; nothing of this step was written. Make room" in said
            enlarge(disk, "9m")
            assert await whats_there(disk / "state.db") == written


# --- what opening costs ------------------------------------------------------------------------------------------


async def test_the_statements_of_a_state_are_compiled_once_in_a_process_however_many_are_opened(tmp_path: Path) -> None:
    found: list[CacheStats] = []

    def note(*told: Any) -> None:
        if isinstance(compiled := told[4].compiled, SQLCompiler) and compiled.cache_key is not None:
            found.append(told[4].cache_hit)

    first, second = tmp_path / "first.db", tmp_path / "second.db"
    for path in (first, second):
        await (await opened(path)).close()  # the tables are made by statements of the migration's own
    await with_ann(first)
    event.listen(Engine, "before_cursor_execute", note)
    try:
        await with_ann(second)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(found) > 5
    assert set(found) == {CacheStats.CACHE_HIT}
