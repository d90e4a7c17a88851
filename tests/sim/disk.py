"""The state's disk: full now and then, locked now and then, and where the process can be killed around a commit."""

from __future__ import annotations

import atexit
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from reconciler.store.database import Database, open_database, sentences
from reconciler.store.locking import Writer
from reconciler.store.sql import SqlStore
from tests import states
from tests.sim.life import Killed, Life, chance
from tests.sim.story import Story

MEMORY = Path("/dev/shm")
"""Where files cost nothing."""


class Disk:
    """What is in store for the calls of all lives: kills and refusals, as the seed has it."""

    def __init__(self, directory: Path, seed: str, story: Story) -> None:
        self.path = directory / "state.db"
        self._chance, self._story = chance(f"{seed}/disk"), story
        self.kill_in: int | None = None
        """The process is killed at the nth transaction from now."""
        self.refuses: str | None = None
        """The name of the error that every write meets now."""
        self.refusal_share = 0.0
        """How many of the transactions meet one."""
        self.transactions = 0
        self.kills = 0

    def open(self, life: Life, now: float) -> SqlStore:
        """Open the state for one life. Raises StateError."""
        states.begin(self.path)
        database = open_database(f"sqlite:///{self.path}", Writer(1, "simulation", now))
        return SqlStore(_Watched(database.place, database.connection, database.lock, life, self), _InLoop())

    def before(self, life: Life) -> str | None:
        """Count a transaction; return the name of the error that it meets."""
        life.check()
        self.transactions += 1
        if self.refuses is not None and self._chance.random() < self.refusal_share:
            return self.refuses
        return None

    def at_commit(self, life: Life, *, written: bool) -> None:
        """Raise Killed where the process ends before (`written` false) or after this commit."""
        if self.kill_in is None:
            return
        if not written:
            self.kill_in -= 1
        if self.kill_in > 0:
            return
        if not written and self._chance.random() < 0.5:
            return  # then after it
        self.kill_in = None
        self.kills += 1
        self._story.tell(f"KILL {'after' if written else 'before'} commit {self.transactions}")
        life.kill()
        raise Killed


class _Watched(Database):
    """A database whose transactions the disk has a word in."""

    def __init__(self, place: str, connection: Connection, lock: int | None, life: Life, disk: Disk) -> None:
        super().__init__(place, connection, lock)
        self._life, self._disk = life, disk

    __slots__ = ("_disk", "_life")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        refusal = self._disk.before(self._life)
        with sentences(self.place), self.connection.begin():
            if refusal == "SQLITE_BUSY":
                raise _refused(refusal)
            yield self.connection
            if refusal is not None:
                raise _refused(refusal)
            self._disk.at_commit(self._life, written=False)
        self._disk.at_commit(self._life, written=True)


def _refused(name: str) -> DBAPIError:
    error = sqlite3.OperationalError("refused")
    error.sqlite_errorname = name
    return DBAPIError("", None, error)


class _InLoop(Executor):
    """Stands for the store's thread; the loop does the work itself."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        raise AssertionError("the loop of a simulation does what an executor is for")

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Nothing runs."""


def directory() -> Path:
    """Make a directory in memory, where there is such a place; it goes with the process at the latest."""
    made = Path(mkdtemp(prefix="reconciler-sim-", dir=MEMORY if MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
