"""One writer at a time: a lock that the kernel, or the PostgreSQL server, lets go of when its holder dies."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, text

from reconciler.errors import StateError, StateLocked

_ADVISORY_KEY = int.from_bytes(b"reconcil")
"""Advisory locks are numbers that programs agree on; this one is ours for ever."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: shown to whoever comes second."""

    pid: int
    command: str
    since: float

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"process {self.pid} ({self.command or 'reconciler'}) since {since}"


def lock_file(path: Path, writer: Writer) -> int:
    """Take the lock beside a SQLite state and write into it who has it; return the open file that holds it.

    The file stays when the lock is let go: to delete it would let two processes lock two files of one name.
    Raises StateLocked, naming the other writer.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"{path}: the state cannot be locked ({error.strerror}); its directory must be writable"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.read(handle, 500).decode("utf-8", "replace").strip()
        os.close(handle)
        raise _locked(str(path.with_name(path.name.removesuffix(".lock"))), other) from None
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{writer}\n".encode())
    except OSError as error:
        os.close(handle)
        raise StateError(
            f"{path}: the disk does not take the lock ({error.strerror}); make room and start again"
        ) from error
    return handle


def lock_server(connection: Connection, place: str, writer: Writer) -> None:
    """Take PostgreSQL's advisory lock for as long as this connection lives. Raises StateLocked."""
    connection.execute(text("SELECT set_config('application_name', :name, false)"), {"name": str(writer)[:63]})
    if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_KEY}).scalar_one():
        return
    # pg_locks shows the two halves of a 64-bit key as classid and objid.
    other = connection.execute(
        text(
            "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND ((CAST(l.classid AS bigint) << 32) | CAST(l.objid AS bigint)) = :key"
        ),
        {"key": _ADVISORY_KEY},
    ).scalar()
    raise _locked(place, other or "")


def _locked(place: str, other: str) -> StateLocked:
    return StateLocked(
        f"{place}: the state is being written by {other or 'another process'}; wait for it, stop it, or ask the daemon "
        "through its control socket"
    )
