"""Twenty jobs for a long time, and an app that is away for a week: nothing grows, and nobody storms."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from reconciler import config
from reconciler.runtime.events import Event
from tests.servers.quirks import Quirks
from tests.sim import disk as disks
from tests.sim.app import App
from tests.sim.daemon import Daemon, MailServer
from tests.sim.disk import Disk
from tests.sim.hr import TOKEN
from tests.sim.life import Calendar, chance, wait
from tests.sim.loop import run_virtually
from tests.sim.net import Limits, Network, Peer
from tests.sim.running import logging_to
from tests.sim.story import Story
from tests.sim.weather import ANYWHERE, Spell, Weather

HOUR, DAY = 3600.0, 86400.0
JOBS = 20
CYCLES = int(os.environ.get("SIM_CYCLES", "400"))
"""How many cycles the twenty jobs run in all; 10,000 in `make soak`."""


class Plant:
    """Many jobs from one file, each to an app of its own."""

    def __init__(self, directory: Path, jobs: int, people: int, *, log: str = "", interval: str = "40m") -> None:
        self.directory = directory
        self.hosts = [f"app{number}.example.com" for number in range(jobs)]
        self.story, self.cycles = Story(), 0
        self.apps: dict[str, Peer] = {host: App(Quirks(), _seconds, lambda changed: None) for host in self.hosts}
        self.weather = Weather(chance("load"), {}, 0.0)
        limits = dict.fromkeys(self.hosts, Limits(4, None))
        self.network = Network(self.apps, self.weather, "load", self.story, limits)
        self.disk = Disk(directory, "load", self.story)
        self.titles = 0
        self._people = people
        (directory / "token").touch(mode=0o600)
        (directory / "token").write_text(TOKEN)
        (directory / "config.toml").write_text(_config(self.hosts, log, interval))
        self.change()
        self.daemon = Daemon(
            1,
            "load",
            lambda: config.load(directory / "config.toml"),
            self.disk,
            self.network,
            MailServer("load", self.story),
            Calendar(),
            self._hear,
        )

    def change(self) -> None:
        """Give everybody another title."""
        self.titles += 1
        lines = (
            f'{{"id":"p{n}","userPrincipalName":"p{n}@example.com","jobTitle":"{self.titles}","accountEnabled":true}}\n'
            for n in range(self._people)
        )
        (self.directory / "unfinished").write_text("".join(lines))
        (self.directory / "unfinished").replace(self.directory / "users.jsonl")

    def _hear(self, event: Event) -> None:
        self.cycles += event.name == "cycle.ended"

    def figures(self) -> dict[str, int]:
        """Return how much there is of what must not grow."""
        with closing(sqlite3.connect(self.disk.path)) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = sum(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names)
        gc.collect()
        return {
            "rows": rows,
            "tasks": len(asyncio.all_tasks()),
            "files": len(list(Path("/proc/self/fd").iterdir())),
            "objects": len(gc.get_objects()),
        }


def _config(hosts: list[str], log: str, interval: str) -> str:
    parts = [
        f"""
{log}
[state]
url = "sqlite:///state.db"
[sources.staff]
type = "file"
users = "users.jsonl"
key = "id"
active = "accountEnabled"
"""
    ]
    for number, host in enumerate(hosts):
        parts.append(
            f"""
[targets.app{number}]
type = "scim"
url = "https://{host}/scim/v2"
auth = {{ type = "bearer", token = {{ file = "token" }} }}
concurrency = 4
[jobs.app{number}]
source = "staff"
target = "app{number}"
interval = "{interval}"
full_interval = "1000d"
scope = "all"
[jobs.app{number}.users]
attributes = [
  {{ to = "userName", from = "userPrincipalName", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {{ to = "title", from = "jobTitle" }},
]
"""
        )
    return "".join(parts)


def _seconds() -> float:
    return asyncio.get_running_loop().time()


def run(plant: Callable[[Path], Plant], work: Callable[[Plant], Awaitable[None]]) -> None:
    """Let a daemon live beside the work."""
    directory = disks.directory()

    async def both() -> None:
        built = plant(directory)
        living = asyncio.get_running_loop().create_task(built.daemon.live())
        await work(built)
        assert not living.done()
        built.daemon.life.kill()
        await asyncio.wait((living,))

    try:
        with logging_to(lambda event: None):
            run_virtually(both)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.timeout(1800)
def test_nothing_grows_with_the_number_of_cycles() -> None:
    per_round = JOBS * 2

    async def work(plant: Plant) -> None:
        rounds = max(4, CYCLES // per_round)
        seen: list[dict[str, int]] = []
        for number in range(rounds):
            plant.change()
            await wait(8 * HOUR)
            if number in (rounds // 2, rounds - 1):
                seen.append(plant.figures())
        early, late = seen
        print(f"{plant.cycles:,} cycles of {JOBS} jobs; half way {early}, at the end {late}")
        assert plant.cycles >= 0.9 * rounds * per_round
        assert late["tasks"] <= early["tasks"]
        assert late["files"] <= early["files"]
        assert late["objects"] <= early["objects"] * 1.02, (early, late)
        assert late["rows"] <= early["rows"] * 1.05, (early, late)

    run(lambda directory: Plant(directory, JOBS, 5, log='[log]\nretention = "1d"', interval="4h"), work)


def test_an_app_that_is_away_for_a_week_is_left_in_peace_and_comes_back_without_a_storm() -> None:
    async def work(plant: Plant) -> None:
        host = plant.hosts[0]
        await wait(HOUR)
        made = plant.network.count(host)
        away = Spell(host, _seconds(), _seconds() + 7 * DAY, ANYWHERE["refused"](chance("away")))
        plant.weather.clears_at = away.ends
        plant.weather.spells.append(away)
        plant.change()
        for _ in range(7):
            await wait(DAY)
            plant.change()
        knocked = plant.network.count(host) - made
        assert 7 <= knocked <= 7 * 24 * 12, f"{knocked} requests to an app that was away for a week"
        before = plant.network.count(host)
        await wait(1.5 * DAY)
        app = plant.apps[host]
        assert isinstance(app, App)
        assert {user["title"] for user in app.users.values()} == {str(plant.titles)}
        sent = plant.network.count(host) - before
        assert sent <= 2 * len(app.users) + 20, f"{sent} requests for {len(app.users)} people"

    run(lambda directory: Plant(directory, 1, 40), work)
