"""Killed while it takes in what changed, and what was deleted: the next run is told of all of it once more."""

from __future__ import annotations

from pathlib import Path

from tests.crash.town import JOB, Scene
from tests.crash.victim import Kill
from tests.crash.warm import WarmProcess
from tests.cycles.company import Company
from tests.cycles.test_sql_source import MARKED, Database, reads
from tests.servers.scim import ScimServer


async def test_killed_after_any_commit_nothing_that_the_source_said_is_lost(tmp_path: Path, warm: WarmProcess) -> None:
    directory = tmp_path / "company"
    directory.mkdir()
    async with ScimServer() as server:
        company = Company(directory, server, job=JOB)
        database = Database(f"sqlite:///{directory}/hr.db")
        database.takes_on(1, 2, 3, 4)
        reads(company, database, more=MARKED)
        await company.cycle()
        database.changes(2, "removed_at", database.now)
        database.changes(1, "title", "Lead")  # the newest is read again in any case
        database.close()
        scene = Scene.of(company, server)
        kills = 0
        while (await warm.cycle(scene.set(), Kill("commit", "after", kills + 1))).killed:
            kills += 1
            outcome = await warm.cycle(directory / "config.toml")
            assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
            assert server.user("p1@example.com")["title"] == "Lead", f"killed after commit {kills}"
            assert server.user("p2@example.com")["active"] is False, f"killed after commit {kills}"
        assert kills >= 4, "there was something to kill"
