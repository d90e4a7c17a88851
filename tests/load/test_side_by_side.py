"""Fifty jobs in one daemon, each with an app of its own on a real socket: side by side, within limits, nothing left.

LOAD_JOBS and LOAD_ROUNDS make it more: `LOAD_JOBS=200 LOAD_ROUNDS=20`.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import orjson

from tests.daemon.process import Daemon
from tests.load.apps import Apps, serving_apps

JOBS = int(os.environ.get("LOAD_JOBS", "50"))
ROUNDS = int(os.environ.get("LOAD_ROUNDS", "3"))
PEOPLE = 5
CONCURRENCY = 2
GROWTH_MAX_MIB = 4.0
"""Of the daemon from its third round on, in which it did what it had done before."""


class Plant:
    """One file of people, and a job for each app."""

    def __init__(self, directory: Path, apps: Apps) -> None:
        self._directory, self._apps = directory, apps
        (directory / "token").touch(mode=0o600)
        (directory / "token").write_text("token-of-all-apps")
        (directory / "config.toml").write_text(_config(apps))

    def give_title(self, title: str) -> None:
        """Put a new export in place in which everybody has this title."""
        rows = (
            {"id": f"p{n}", "userPrincipalName": f"p{n}@example.com", "jobTitle": title, "accountEnabled": True}
            for n in range(PEOPLE)
        )
        unfinished = self._directory / "users.new"
        unfinished.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        unfinished.replace(self._directory / "users.jsonl")

    def titles(self) -> Counter[str]:
        return Counter(user["title"] for app in self._apps.all for user in app.users.values())


def _config(apps: Apps) -> str:
    parts = [
        """
[state]
url = "sqlite:///state.db"
[control]
socket = "control.sock"
[sources.staff]
type = "file"
users = "users.jsonl"
key = "id"
active = "accountEnabled"
"""
    ]
    for number, app in enumerate(apps.all):
        parts.append(f"""
[targets.app{number}]
type = "scim"
url = "http://127.0.0.1:{app.port}/scim/v2"
auth = {{ type = "bearer", token = {{ file = "token" }} }}
concurrency = {CONCURRENCY}
[jobs.app{number}]
source = "staff"
target = "app{number}"
interval = "12h"
scope = "all"
triggers = {{ announced = true, debounce = "0.1s" }}
[jobs.app{number}.users]
attributes = [
  {{ to = "userName", from = "userPrincipalName", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {{ to = "title", from = "jobTitle" }},
]
""")
    return "".join(parts)


class Weighed:
    """What a process holds."""

    def __init__(self, pid: int) -> None:
        self.files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        status = Path(f"/proc/{pid}/status").read_text()
        self.mib = int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def __repr__(self) -> str:
        return f"{self.files} files, {self.mib:.1f} MiB"


async def test_many_jobs_run_side_by_side_and_leave_nothing(tmp_path: Path) -> None:
    async with serving_apps(JOBS) as apps:
        plant = Plant(tmp_path, apps)
        plant.give_title("0")
        async with Daemon(tmp_path) as daemon:
            await all_with("0", plant, daemon)
            weighed = []
            for number in range(1, ROUNDS + 1):
                plant.give_title(str(number))
                await all_with(str(number), plant, daemon)
                weighed.append(Weighed(daemon.pid))
            assert await daemon.stop() == 0
        events = daemon.events()
    print(f"{JOBS} jobs: {weighed}; {apps.busy_most} apps busy at once")
    assert {app.in_flight_most for app in apps.all} == {CONCURRENCY}, "the limit of each app is reached, and kept"
    assert all(len(app.users) == PEOPLE for app in apps.all), "nobody was made twice"
    assert apps.busy_most >= JOBS / 2, "and they ran side by side"
    assert apps.connections == 0
    assert len({one.files for one in weighed}) == 1, weighed
    assert weighed[0].files < JOBS, "no connection is kept"
    assert weighed[-1].mib - weighed[-3].mib <= GROWTH_MAX_MIB, weighed
    assert not [event for event in events if event["level"] in ("warning", "error", "critical")]


async def all_with(title: str, plant: Plant, daemon: Daemon) -> None:
    """Wait until everybody in every app has this title, and every cycle that began has ended."""
    running = 0
    while running or plant.titles() != {title: JOBS * PEOPLE}:
        event = await daemon.next_event()
        running += event["event"] == "cycle.started"
        running -= event["event"] == "cycle.finished"
