"""From one revision to the next: a backup first, then all of it or nothing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from reconciler.errors import StateError
from reconciler.store.database import open_database
from reconciler.store.locking import Writer
from reconciler.store.migrating import SHIPPED, Revisions
from reconciler.store.sql import SqlStore
from reconciler.store.tables import metadata
from tests.store.scenes import linked, open_work

WRITER = Writer(os.getpid(), "test", 0.0)

NEXT = """
import os, signal
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

def upgrade():
    op.add_column("jobs", sa.Column("colour", sa.Text()))
    op.create_table("paint", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("UPDATE jobs SET colour = 'green'")
    {then}
"""


def with_next(directory: Path, then: str = "pass") -> Revisions:
    """Return the shipped migrations and one more, as a later version would have."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(Path(str(files("reconciler.store").joinpath("migrations"))), directory)
    (directory / "versions" / "0002_next.py").write_text(NEXT.format(then=then))
    return Revisions(str(directory), (*SHIPPED.names, "0002"))


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A state of the shipped revision with one link in it."""
    path = tmp_path / "state.db"
    store = await SqlStore.open(f"sqlite:///{path}", write=True, clock_now=0.0)
    work = await open_work(store)
    await work.commit(linked("ann", "t1"))
    await store.close()
    return path


def ask(path: Path, question: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute(question)]


def tables(path: Path) -> set[str]:
    return set(ask(path, "SELECT name FROM sqlite_master WHERE type = 'table'"))


def test_an_existing_state_is_copied_and_then_migrated(path: Path, tmp_path: Path) -> None:
    open_database(f"sqlite:///{path}", WRITER, with_next(tmp_path / "next 50%")).close()
    assert ask(path, "SELECT colour FROM jobs") == ["green"]
    assert ask(path, "SELECT source_id FROM entries") == ["ann"]

    backup = path.with_name("state.db.before-0002")
    assert "paint" not in tables(backup)
    assert ask(backup, "SELECT version_num FROM alembic_version") == ["0001"]
    assert ask(backup, "SELECT source_id FROM entries") == ["ann"]
    assert backup.stat().st_mode & 0o777 == 0o600


def test_a_state_that_is_new_or_as_it_should_be_needs_no_copy(path: Path) -> None:
    open_database(f"sqlite:///{path}", WRITER).close()
    assert not [file for file in path.parent.iterdir() if "before" in file.name]


def test_a_migration_that_fails_leaves_the_state_as_it_was(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        open_database(f"sqlite:///{path}", WRITER, with_next(tmp_path / "next", "1 / 0"))
    assert "paint" not in tables(path)
    open_database(f"sqlite:///{path}", WRITER).close()
    open_database(f"sqlite:///{path}", WRITER, with_next(tmp_path / "next")).close()
    assert "paint" in tables(path)


def test_a_migration_that_would_leave_loose_ends_is_not_done(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="would lose rows; nothing was changed"):
        open_database(f"sqlite:///{path}", WRITER, with_next(tmp_path / "next", 'op.execute("DELETE FROM jobs")'))
    assert ask(path, "SELECT name FROM jobs") == ["phone"]
    assert "paint" not in tables(path)


def test_a_kill_in_a_migration_leaves_the_state_as_it_was(path: Path, tmp_path: Path) -> None:
    revisions = with_next(tmp_path / "next", "os.kill(os.getpid(), signal.SIGKILL)")
    program = (
        "import sys; from reconciler.store import database, locking, migrating as m; "
        "database.open_database(sys.argv[1], locking.Writer(1, '', 0.0), m.Revisions(sys.argv[2], ('0001', '0002')))"
    )
    done = subprocess.run([sys.executable, "-c", program, f"sqlite:///{path}", revisions.location], check=False)
    assert done.returncode == -signal.SIGKILL
    open_database(f"sqlite:///{path}", WRITER).close()
    assert "paint" not in tables(path)
    assert ask(path, "SELECT source_id FROM entries") == ["ann"]
    open_database(f"sqlite:///{path}", WRITER, with_next(tmp_path / "next")).close()
    assert ask(path, "SELECT colour FROM jobs") == ["green"]


def test_a_reader_of_an_older_state_says_who_migrates_it(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="has revision 0001, this version of reconciler needs 0002; start"):
        open_database(f"sqlite:///{path}", None, with_next(tmp_path / "next"))


def test_an_older_program_does_not_touch_a_newer_state(path: Path, tmp_path: Path) -> None:
    open_database(f"sqlite:///{path}", WRITER, with_next(tmp_path / "next")).close()
    for writer in (WRITER, None):
        with pytest.raises(StateError, match="has revision 0002, this version of reconciler knows up to 0001"):
            open_database(f"sqlite:///{path}", writer)


def test_the_revisions_are_named_as_their_files() -> None:
    config = Config()
    config.set_main_option("script_location", SHIPPED.location)
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    assert tuple(reversed([revision.revision for revision in script.walk_revisions()])) == SHIPPED.names


def test_the_migrations_make_the_tables_that_the_program_works_with(tmp_path: Path) -> None:
    migrated, made = tmp_path / "migrated.db", tmp_path / "made.db"
    open_database(f"sqlite:///{migrated}", WRITER).close()
    engine = create_engine(f"sqlite:///{made}")
    metadata.create_all(engine)
    engine.dispose()

    def shapes(path: Path) -> dict[str, list[str]]:
        """Return what each table and index is made of, in any order."""
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
            return {name: sorted(re.split(r"[\s,]*\n|, ", sql)) for name, sql in rows if name != "alembic_version"}

    assert shapes(migrated) == shapes(made)


def test_the_migrations_make_the_same_tables_on_postgresql(unmade: str) -> None:
    database = open_database(unmade, WRITER)
    try:
        with database.transaction() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
    finally:
        database.close()
