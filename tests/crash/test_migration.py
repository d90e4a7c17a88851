"""A later version brings the state up to date and is killed on the way: the state is the old one or the new one."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reconciler.store.database import open_database
from reconciler.store.locking import Writer
from reconciler.store.migrating import SHIPPED, Revisions
from tests.crash.town import founded
from tests.crash.victim import Kill, Run
from tests.crash.warm import WarmProcess
from tests.servers.scim import ScimServer
from tests.store.test_migrating import with_next

WRITER = Writer(os.getpid(), "test", 0.0)
ENTRIES = "SELECT source_id, target_id FROM entries ORDER BY row_id"
REVISION = "SELECT version_num FROM alembic_version"


@pytest.fixture
async def old(tmp_path: Path) -> Path:
    """A state of this version with much in it, and the rest of its directory."""
    async with ScimServer() as server:
        company = founded(tmp_path / "old", server)
        await company.cycle()
    return tmp_path / "old" / "state.db"


@pytest.fixture
def later(tmp_path: Path) -> Revisions:
    return with_next(tmp_path / "later")


def kills() -> Iterator[Kill]:
    yield from (Kill("commit", when, nth) for nth in (1, 2, 3) for when in ("before", "after"))
    yield from (Kill("statement", "before", nth) for nth in range(1, 200, 4))


async def test_killed_anywhere_the_state_is_the_old_or_the_new_one(
    old: Path, later: Revisions, tmp_path: Path, warm: WarmProcess
) -> None:
    before = ask(old, ENTRIES)
    assert len(before) == 15
    outcomes = set()
    for kill in kills():
        path = tmp_path / "killed" / "state.db"
        shutil.rmtree(path.parent, ignore_errors=True)
        shutil.copytree(old.parent, path.parent)
        migrations = later.location, tuple(later.names)
        outcome = await warm.run(Run((f"sqlite:///{path}",), kill, migrations=migrations))
        assert outcome.killed or outcome.exit_code == 0, outcome.stderr
        revision = ask(path, REVISION)[0][0]
        outcomes.add((outcome.killed, revision))
        assert ask(path, ENTRIES) == before, kill
        if revision == SHIPPED.head:
            open_database(f"sqlite:///{path}", WRITER).close()  # the old version goes on as if nothing had been
        open_database(f"sqlite:///{path}", WRITER, later).close()
        assert ask(path, "SELECT DISTINCT colour FROM jobs") == [("green",)], kill
        assert ask(path, ENTRIES) == before, kill
        backup = path.with_name("state.db.before-0002")
        assert (ask(backup, REVISION), ask(backup, ENTRIES)) == ([(SHIPPED.head,)], before), kill
        assert not path.with_name(backup.name + ".unfinished").exists()
    assert outcomes == {(True, "0001"), (True, "0002"), (False, "0002")}


def ask(path: Path, question: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(question).fetchall()
