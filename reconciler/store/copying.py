"""Copies a state out of PostgreSQL into a SQLite file, for those who only want to try something."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import select

from reconciler.store.database import open_database, sentences
from reconciler.store.locking import Writer
from reconciler.store.tables import metadata

_ROWS = 2000


def copy_server_state(url: str, copy: Path) -> None:
    """Copy the state at `url` (postgresql://…) as it is at one moment, also while it is written to.

    Raises NoStateYet where there is none, and StateError where it cannot be read or the copy not be written.
    """
    reading = open_database(url, None)
    try:
        writing = open_database(f"sqlite:///{copy}", Writer(os.getpid(), "copy", 0.0))
        try:
            with reading.transaction() as source, writing.transaction() as target:
                source.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                for table in metadata.sorted_tables:
                    target.execute(table.delete())
                    with sentences(reading.place):
                        rows = source.execution_options(yield_per=_ROWS).execute(select(table)).mappings()
                        for some in rows.partitions():
                            target.execute(table.insert(), [dict(row) for row in some])
        finally:
            writing.close()
    finally:
        reading.close()
