"""What keeps a commit when the power goes: the settings of the connection that writes (docs/correctness.md)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.store.database import CHECKPOINT_PAGES, open_database
from reconciler.store.locking import Writer
from reconciler.store.migrating import SHIPPED
from tests.store.test_migrating import with_next

WRITER = Writer(os.getpid(), "test", 0.0)
KEPT = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: a commit is on the disk before COMMIT returns (sqlite.org/pragma.html)
    "wal_autocheckpoint": CHECKPOINT_PAGES,
    "foreign_keys": 1,
    "locking_mode": "normal",
}


@pytest.mark.parametrize("state", ["new", "there already", "brought to a later version"])
def test_whoever_writes_has_each_commit_on_the_disk_before_it_goes_on(state: str, tmp_path: Path) -> None:
    url, revisions = f"sqlite:///{tmp_path / 'state.db'}", SHIPPED
    if state != "new":
        open_database(url, WRITER).close()
    if state == "brought to a later version":
        revisions = with_next(tmp_path / "later")
    database = open_database(url, WRITER, revisions)
    try:
        with database.transaction() as connection:
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in KEPT}
    finally:
        database.close()
    assert found == KEPT
