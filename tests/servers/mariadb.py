"""A private MariaDB server for the tests, where one is installed."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which

_SERVER = which("mariadbd") or "/usr/sbin/mariadbd"
_INSTALL = which("mariadb-install-db")
START_SECONDS_MAX = 60.0
_POLL_SECONDS = 0.05


def why_no_mariadb() -> str | None:
    if not Path(_SERVER).exists() or _INSTALL is None:
        return "MariaDB is not installed (make packages)"
    if find_spec("pymysql") is None:
        return "MariaDB's driver is not installed (requirements/dev.txt)"
    return None


@contextmanager
def running_mariadb(directory: Path) -> Iterator[str]:
    """Run a server on a free port of this machine; give the URL of an empty database of a user without a password."""
    assert _INSTALL is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, ready = directory / "data", directory / "ready"
    as_root = ("--user=root",) if os.geteuid() == 0 else ()
    _run(_INSTALL, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", *as_root)
    first = directory / "first.sql"
    first.write_text(
        "CREATE DATABASE hr CHARACTER SET utf8mb4;\nCREATE USER hr@'127.0.0.1';\nGRANT ALL ON hr.* TO hr@'127.0.0.1';\n"
        f"SELECT 'ready' INTO OUTFILE '{ready}';\n"
    )
    with (directory / "out").open("wb") as out:
        server = subprocess.Popen(
            [
                *(_SERVER, "--no-defaults", f"--datadir={data}", f"--socket={directory}/socket", f"--port={port}"),
                *("--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"),
                *(f"--init-file={first}", f"--pid-file={directory}/pid", *as_root),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        _wait(server, ready, directory / "out")
        yield f"mariadb+pymysql://hr@127.0.0.1:{port}/hr?charset=utf8mb4"
    finally:
        server.terminate()
        server.wait(START_SECONDS_MAX)


def _wait(server: subprocess.Popen[bytes], ready: Path, out: Path) -> None:
    """Return when the server has done what it does first."""
    give_up = time.monotonic() + START_SECONDS_MAX
    while not ready.exists():
        if server.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"MariaDB did not start: {out.read_text(errors='replace')[-2000:]}")
        time.sleep(_POLL_SECONDS)  # noqa: TID251  # because it only leaves a file when it is ready, and tells nobody


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
