"""States as their first opening makes them: to make the tables takes longer than many a test."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.store.database import open_database
from reconciler.store.locking import Writer


def begin(path: Path) -> None:
    """Put a state there in which nothing is, where there is none yet."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_new())


@cache
def _new() -> bytes:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "state.db"
        open_database(f"sqlite:///{path}", Writer(1, "tests", 0.0)).close()
        return path.read_bytes()
