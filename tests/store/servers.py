"""A private PostgreSQL server for the tests, where one is installed."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import chown, which

from sqlalchemy import create_engine

from reconciler.store.tables import metadata

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def why_no_postgresql() -> str | None:
    if not BINARIES:
        return "PostgreSQL is not installed (make packages)"
    if find_spec("psycopg") is None:
        return "the PostgreSQL driver is not installed (requirements/dev.txt)"
    return None


@contextmanager
def running_postgresql(directory: Path) -> Iterator[str]:
    """Run a server that trusts everybody on a free port of this machine; give the URL of an empty database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = directory / "data"
    if os.geteuid() == 0:
        directory.chmod(0o755)
        data.mkdir(mode=0o700)
        chown(data, "postgres", "postgres")
    _run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
    options = f"-p {port} -h 127.0.0.1 -k {data} -c fsync=off"
    _run("pg_ctl", "-D", data, "-w", "-l", data / "log", "-o", options, "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        _run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


def emptied(url: str) -> None:
    """Take every row out of a state, and let its numbers begin anew: a tenth of what making its tables takes."""
    from psycopg import connect  # because it is not everywhere

    tables = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
    with connect(url, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() != (None,):
            connection.execute(f"TRUNCATE {tables} RESTART IDENTITY".encode())


def dropped(url: str) -> None:
    """Drop every table of a state."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    engine.dispose()


def _run(program: str, *arguments: str | Path) -> None:
    """Run one of PostgreSQL's programs; they refuse to be run by root."""
    as_user: Sequence[str] = ()
    if os.geteuid() == 0:
        as_user = [which("setpriv") or "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    command = [*as_user, BINARIES[-1] / program, *arguments]
    done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
