"""A small company whose accounts a test keeps equal to its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import anyio
import orjson

from reconciler import config, wiring
from reconciler.config import Config
from reconciler.core.decisions import Operation
from reconciler.core.notices import Notice, Settle
from reconciler.core.restarting import scopes_named
from reconciler.core.standing import Standing
from reconciler.net.client import Lanes
from reconciler.ports import Decided, Decision, Hold, LogQuery, Progress
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.finding import NotOne
from reconciler.runtime.ondemand import provision
from reconciler.runtime.overdue import OverdueList, overdue_list
from reconciler.runtime.provisioned import Provisioned
from reconciler.runtime.report import CycleReport
from reconciler.wiring.house import House
from tests import states
from tests.cycles.calendar import Calendar, NoLuck

ATTRIBUTES = """
  { to = "userName", from = "userPrincipalName", match = 1 },
  { to = "externalId", from = "id" },
  { to = "active", expression = "Not([IsSoftDeleted])" },
  { to = "displayName", from = "displayName" },
  { to = "title", from = "jobTitle" },
"""
MANAGER = '{ to = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", from = "manager" },'
GROUPS = """
[jobs.app.groups]
attributes = [ { to = "displayName", from = "displayName", match = 1 }, { to = "members", from = "members" } ]
"""


class Address(Protocol):
    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str: ...


class Company:
    """Files, a configuration and a state in a directory. `await company.cycle()` is what the command does."""

    def __init__(self, directory: Path, server: Address, *, job: str = "", attributes: str = ATTRIBUTES) -> None:
        self.directory = directory
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.job = job or 'scope = "all"'
        self.attributes = attributes
        self.auth = '{ type = "bearer", token = { file = "token" } }'
        self.state_url = "sqlite:///state.db"
        self.target_type = "scim"
        self.target_lines = ""
        self.source_lines = ""
        self.source = ""
        """The table of the source, where it is not the files."""
        self.tables = ""
        self.allow_empty = ["groups"]
        self.users_file = "users.jsonl"
        self.concurrency = 8
        self.full_interval = "1000d"
        """So long that what a cycle does by itself is not hidden by a comparison with the target."""
        self.clock = Calendar()
        self._dice = NoLuck()
        self._house: House | None = None
        self._loaded: tuple[str, Config | None] = ("", None)
        self._server = server
        token = directory / "token"
        token.touch(mode=0o600)
        token.write_text(server.token)

    def serve_with(self, server: Address) -> None:
        """Let another server be the target from now on; it takes the same token."""
        self._server = server

    def person(self, id_: str, **attributes: Any) -> dict[str, Any]:
        """Take somebody on; what is not said is made up from the id."""
        row = {
            "id": id_,
            "userPrincipalName": f"{id_}@example.com",
            "displayName": id_.capitalize(),
            "jobTitle": "Engineer",
            "department": "Development",
            "accountEnabled": True,
            "manager": None,
            "employeeId": f"E-{id_}",
            **attributes,
        }
        self.users[id_] = row
        return row

    def people(self, *ids: str) -> None:
        for id_ in ids:
            self.person(id_)

    def group(self, id_: str, members: Sequence[str], name: str = "") -> dict[str, Any]:
        row = {"id": id_, "displayName": name or id_, "members": list(members)}
        self.groups[id_] = row
        return row

    def write(self) -> Path:
        """Write the files; return the configuration's path."""
        _write_lines(self.directory / self.users_file, self.users)
        _write_lines(self.directory / "groups.jsonl", self.groups)
        return self.configure()

    def configure(self) -> Path:
        path = self.directory / "config.toml"
        path.write_text(
            f"""
[state]
url = "{self.state_url}"

[sources.staff]
{self.source or self._files()}

[targets.app]
type = "{self.target_type}"
url = "{self._server.url}"
auth = {self.auth}
concurrency = {self.concurrency}
{self.target_lines}

[jobs.app]
source = "staff"
target = "app"
full_interval = "{self.full_interval}"
{self.job}

[jobs.app.users]
attributes = [
{self.attributes}
]
{self.tables}
"""
        )
        return path

    def _files(self) -> str:
        return f"""
type = "file"
users = "{self.users_file}"
groups = "groups.jsonl"
key = "id"
person = "employeeId"
active = "accountEnabled"
allow_empty = {self.allow_empty}
{self.source_lines}
"""

    @asynccontextmanager
    async def staying_open(self) -> AsyncIterator[None]:
        """Keep the state open, as a daemon does, for tests of many cycles that are not about opening it."""
        self._begin()
        async with wiring.open_house(config.load(self.configure()), write=True) as house:
            self._house = house
            try:
                yield
            finally:
                self._house = None

    @asynccontextmanager
    async def opened(self, loaded: Config, *, write: bool, scratch: bool = False) -> AsyncIterator[House]:
        """Open the state as a fresh process would, unless it stays open. It begins as a copy of a new one."""
        if self._house is not None and not scratch:
            yield replace(self._house, config=loaded, lanes=Lanes())
            return
        if write and not scratch:
            self._begin()
        async with wiring.open_house(loaded, write=write, scratch=scratch) as house:
            yield house

    def _begin(self) -> None:
        if self.state_url == "sqlite:///state.db":
            states.begin(self.directory / "state.db")

    def _load(self, path: Path) -> Config:
        """Read the configuration; while the state stays open only when it is another one."""
        text, loaded = path.read_text("utf-8"), self._loaded[1]
        if self._house is None or loaded is None or text != self._loaded[0]:
            loaded = config.load(path)
            self._loaded = (text, loaded)
        return loaded

    async def cycle(
        self,
        *,
        full: bool = False,
        write: bool = True,
        progress: Progress | None = None,
        stop: anyio.Event | None = None,
    ) -> CycleReport:
        """Run one cycle as a fresh process would: the state is opened and closed around it."""
        path = self.write() if write else self.configure()
        loaded = self._load(path)
        async with self.opened(loaded, write=True) as opened:
            house = replace(opened, clock=self.clock, dice=self._dice)
            async with house.world("app", progress=progress) as world:
                return await run_cycle(house.plan("app"), world, full=full, stop=stop)

    async def ask_for(self, *names: str, dry_run: bool = False) -> Provisioned | tuple[NotOne, ...]:
        """Do what `reconciler provision app NAME…` does."""
        loaded = self._load(self.write())
        async with self.opened(loaded, write=True, scratch=dry_run) as opened:
            house = replace(opened, clock=self.clock, dice=self._dice)
            async with house.world("app", rehearse=dry_run) as world:
                return await provision(house.plan("app"), world, names, dry_run=dry_run, by="ann")

    async def provision(self, *names: str, dry_run: bool = False) -> Provisioned:
        """Provision on demand people whose names are those of one entry each."""
        result = await self.ask_for(*names, dry_run=dry_run)
        assert isinstance(result, Provisioned), [str(problem) for problem in result]
        return result

    async def standing(self) -> Standing:
        """Return how the job stands."""
        return await self.settle(lambda before: (before, []))

    async def settle(self, change: Settle) -> Standing:
        """Change how the job stands, as a command does."""
        async with self.opened(self._load(self.configure()), write=True) as house:
            return await house.store.settle("app", change)

    async def restart(self, *words: str) -> Standing:
        """Do what the command of this name does; without words, an ordinary restart."""
        async with self.opened(self._load(self.configure()), write=True) as house:
            return await house.store.reset("app", scopes_named(words), self.clock.now())

    async def log(self, **query: Any) -> list[dict[str, Any]]:
        """Return the provisioning log, oldest first."""
        async with self.opened(self._load(self.configure()), write=False) as house:
            return [row async for row in house.store.log(LogQuery(**query))]

    async def logged(self, **query: Any) -> Counter[str]:
        """Return how often each action is in the log."""
        return Counter(row["action"] for row in await self.log(**query))

    async def rebind(self, *, keep_links: bool) -> None:
        """Do what the command of this name does: take source and target for what they are now."""
        loaded = self._load(self.write())
        async with self.opened(loaded, write=True) as house, house.world("app") as world:
            await house.store.rebind("app", world.source.identity, world.target.identity, keep_links=keep_links)

    async def held(self) -> list[Hold]:
        async with self.opened(self._load(self.configure()), write=False) as house:
            return await house.store.held("app")

    async def overdue(self) -> OverdueList:
        async with self.opened(self._load(self.configure()), write=False) as house:
            return await overdue_list(house.store, "app", self.clock.now())

    async def decisions(self) -> list[Decided]:
        async with self.opened(self._load(self.configure()), write=False) as house:
            return await house.store.decisions("app")

    async def notices(self) -> list[Notice]:
        """Return what people are to be told by mail."""
        async with self.opened(self._load(self.configure()), write=False) as house:
            return [queued.notice for queued in await house.store.due_notices(self.clock.now(), 100)]

    async def decide(self, decision: Decision, hold: str | None = None) -> int:
        """Say what the command of this name says; return how many operations that was about."""
        async with self.opened(self._load(self.configure()), write=True) as house:
            decided = await house.store.decide_hold("app", hold, decision, "olga", self.clock.now())
            return sum(len(one.operations) for one in decided)

    async def approve(self, hold: str | None = None) -> int:
        return await self.decide("approved", hold)

    async def reject(self, hold: str | None = None) -> int:
        return await self.decide("rejected", hold)

    async def plan(self, *, full: bool = False) -> tuple[CycleReport, list[tuple[str, str, str]]]:
        """Return what a cycle would do, as (operation, source id, why it is held)."""
        seen: list[tuple[str, str, str]] = []

        def observe(operation: Operation, held: str) -> None:
            seen.append((operation.word, operation.record.source_id, held))

        loaded = self._load(self.write())
        async with (
            wiring.open_house(loaded, write=True, scratch=True) as opened,
            replace(opened, clock=self.clock, dice=self._dice).world("app", rehearse=True) as world,
        ):
            return await run_cycle(opened.plan("app"), world, full=full, observer=observe), seen


def done(report: CycleReport) -> Mapping[str, int]:
    """Return the counts that are not zero, without the skips."""
    return {name: n for name, n in report.counts.items() if n and name != "skip"}


def _write_lines(path: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    unfinished = path.with_suffix(".new")
    unfinished.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows.values()))
    unfinished.replace(path)
