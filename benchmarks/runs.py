"""The runs that are measured: each in a process of its own, against a server of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

CONCURRENCY = 16
_CONFIG = """
[state]
url = "sqlite:///state.db"

[sources.staff]
type = "file"
users = "users.jsonl"
key = "id"
active = "accountEnabled"

[targets.app]
type = "scim"
url = "http://127.0.0.1:{port}/scim/v2"
auth = {{ type = "bearer", token = {{ file = "token" }} }}
concurrency = {concurrency}

[jobs.app]
source = "staff"
target = "app"
scope = "all"

[jobs.app.users]
attributes = [
  {{ to = "userName", from = "userPrincipalName", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {{ to = "displayName", from = "displayName" }},
  {{ to = "name.givenName", from = "givenName" }},
  {{ to = "name.familyName", from = "surname" }},
  {{ to = 'emails[type eq "work"].value', from = "mail" }},
  {{ to = "title", from = "jobTitle" }},
  {{ to = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", from = "department" }},
]
"""


@dataclass(frozen=True, slots=True)
class Measured:
    seconds: float
    mib: float
    requests: float


def organisation(directory: Path, users: int) -> Path:
    """Write so many users."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "users.jsonl").open("wb") as file:
        for number in range(users):
            file.write(orjson.dumps(_user(number, "Engineer")) + b"\n")
    token = directory / "token"
    token.touch(mode=0o600)
    token.write_text("bench-token")
    return directory


def change(directory: Path, every: int) -> None:
    """Give one user in so many another title."""
    lines = (directory / "users.jsonl").read_bytes().splitlines()
    rows = (orjson.loads(line) for line in lines)
    with (directory / "users.jsonl").open("wb") as file:
        for number, row in enumerate(rows):
            file.write(orjson.dumps(_user(number, "Manager") if number % every == 0 else row) + b"\n")


def _user(number: int, title: str) -> dict[str, object]:
    return {
        "id": f"{number:08d}-5e1f-4c57-a1d4-{number:012d}",
        "userPrincipalName": f"user{number}@example.com",
        "displayName": f"Given{number} Family{number % 9973}",
        "givenName": f"Given{number}",
        "surname": f"Family{number % 9973}",
        "mail": f"user{number}@example.com",
        "department": f"Department {number % 40}",
        "jobTitle": title,
        "accountEnabled": True,
        "city": "Göteborg",
        "country": "SE",
        "employeeId": str(100000 + number),
    }


def initial_cycle(directory: Path, users: int) -> Measured:
    """Run an initial cycle on a fresh state; the seconds are the cycle's own."""
    for file in directory.glob("state.db*"):
        file.unlink()
    with _server() as port:
        return _cycle(directory, port, "cycle")


def bare_loop(directory: Path, users: int) -> Measured:
    """Post the bodies that the cycle posts, with nothing around; the seconds are the loop's own."""
    with _server() as port:
        return run_measured(
            [sys.executable, "-m", "benchmarks.bare", str(directory), str(port), str(CONCURRENCY)], directory
        )


def settle(directory: Path) -> None:
    """Bring the state to where every user is linked, without sending 200,000 requests for it."""
    with _server() as port:
        _cycle(directory, port, "settle")


def quiet_cycle(directory: Path) -> Measured:
    """Run a cycle as a user would, in a fresh process; the seconds are the process's, with its imports."""
    with _server() as port:
        return _whole_process(directory, port)


def changed_cycle(directory: Path, every: int) -> Measured:
    """Create everybody, change one in so many, and measure the cycle that follows, in a fresh process."""
    with _server() as port:
        _cycle(directory, port, "cycle")
        change(directory, every)
        return _whole_process(directory, port)


def _whole_process(directory: Path, port: int) -> Measured:
    _configure(directory, port)
    command = [sys.executable, "-m", "benchmarks.inside", str(directory / "config.toml"), "cycle"]
    began = time.perf_counter()
    measured = run_measured(command, directory)
    return Measured(time.perf_counter() - began, measured.mib, measured.requests)


def _cycle(directory: Path, port: int, how: str) -> Measured:
    _configure(directory, port)
    return run_measured([sys.executable, "-m", "benchmarks.inside", str(directory / "config.toml"), how], directory)


def _configure(directory: Path, port: int) -> None:
    (directory / "config.toml").write_text(_CONFIG.format(port=port, concurrency=CONCURRENCY))


def run_measured(command: list[str], directory: Path) -> Measured:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[1:4])} failed:\n{done.stderr.decode()[-3000:]}")
    said = orjson.loads(done.stdout)
    return Measured(said["seconds"], said["mib"], said["requests"])


def peak_mib() -> float:
    """Return the peak memory of this process in MiB; ru_maxrss would begin with that of the process that forked it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def _server() -> Iterator[int]:
    """Run a server on a port that is always the same within one run, so that links stay valid."""
    port = int(os.environ.get("RECONCILER_BENCH_PORT", "0")) or _fixed_port()
    command = [sys.executable, "-m", "benchmarks.server", str(port)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline())
    finally:
        server.communicate()


_PORTS: list[int] = []


def _fixed_port() -> int:
    if not _PORTS:
        import socket

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            _PORTS.append(probe.getsockname()[1])
    return _PORTS[0]
