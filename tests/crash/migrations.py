"""Migrations that are killed on the way: the state is the old one or the new one."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.store.database import open_database
from reconciler.store.locking import Writer
from reconciler.store.migrating import SHIPPED, Revisions
from tests.crash.scenes import Places
from tests.crash.town import founded
from tests.crash.victim import Kill, Run
from tests.crash.warm import WarmProcess
from tests.servers.scim import ScimServer
from tests.store.test_migrating import with_next

PLACES: Places = [("commit", "before"), ("commit", "after"), ("statement", "before")]
WRITER = Writer(os.getpid(), "test", 0.0)
_ENTRIES = "SELECT source_id, target_id FROM entries ORDER BY row_id"
_REVISION = "SELECT version_num FROM alembic_version"
_TABLES = "SELECT count(*) FROM sqlite_master WHERE type = 'table'"


@dataclass(frozen=True, slots=True)
class Migrated:
    """A directory with a state, or with none yet, and the migrations that bring it up to date."""

    kept: Path
    revisions: Revisions
    entries: Sequence[Any]
    """What is in the state, and stays in it."""

    @classmethod
    def anew(cls, directory: Path) -> Migrated:
        """Return a directory in which there is no state yet."""
        directory.mkdir()
        return cls(directory, SHIPPED, [])

    @classmethod
    async def later(cls, directory: Path) -> Migrated:
        """Return a state of this version with much in it, which a later version opens."""
        async with ScimServer() as server:
            await founded(directory, server).cycle()
        entries = _ask(directory / "state.db", _ENTRIES)
        assert len(entries) == 15
        return cls(directory, with_next(directory.with_name("migrations")), entries)

    async def kill(self, kill: Kill, warm: WarmProcess) -> tuple[bool, str | None]:
        """Kill at one place; return whether that was, and the revision that is there then. Assert that all is well."""
        path = self.kept.with_name("killed") / "state.db"
        shutil.rmtree(path.parent, ignore_errors=True)
        shutil.copytree(self.kept, path.parent)
        migrations = self.revisions.location, tuple(self.revisions.names)
        outcome = await warm.run(Run((f"sqlite:///{path}",), kill, migrations=migrations))
        assert outcome.killed or outcome.exit_code == 0, outcome.stderr
        revision = None
        if path.exists() and _ask(path, _TABLES) != [(0,)]:
            [(revision,)] = _ask(path, _REVISION)
            assert _ask(path, _ENTRIES) == self.entries
        if revision is not None and revision != self.revisions.head:
            open_database(f"sqlite:///{path}", WRITER).close()  # the old version goes on as if nothing had been
        open_database(f"sqlite:///{path}", WRITER, self.revisions).close()
        assert (_ask(path, _REVISION), _ask(path, _ENTRIES)) == ([(self.revisions.head,)], self.entries)
        if self.entries:
            assert _ask(path, "SELECT DISTINCT colour FROM jobs") == [("green",)]
            backup = path.with_name(f"state.db.before-{self.revisions.head}")
            assert (_ask(backup, _REVISION), _ask(backup, _ENTRIES)) == ([(SHIPPED.head,)], self.entries)
            assert not path.with_name(backup.name + ".unfinished").exists()
        return outcome.killed, revision


def _ask(path: Path, question: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(question).fetchall()
