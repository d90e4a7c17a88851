"""One seed: rules, a town, an app, weather, hands and accidents; then calm, and a look at what has come of it."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import structlog

from reconciler import config, wiring
from reconciler.core.restarting import RESTART
from reconciler.errors import ReconcilerError
from reconciler.net.client import Lanes
from reconciler.ports import Decision
from reconciler.runtime.desk import Desk
from reconciler.runtime.events import Event
from tests.servers.quirks import Quirks
from tests.sim import disk as disks
from tests.sim import hands, oracle, rules, weather
from tests.sim.app import App
from tests.sim.daemon import Daemon, MailServer
from tests.sim.disk import Disk
from tests.sim.hr import TOKEN, HrSystem
from tests.sim.life import Calendar, Killed, Life, LifeClock, LifeDice, chance, wait
from tests.sim.loop import run_virtually
from tests.sim.net import Limits, Network
from tests.sim.rules import PROTECTED, SOURCE_HOST, TARGET_HOST
from tests.sim.story import Story
from tests.sim.town import Town
from tests.sim.watch import Broken, Watch

HOUR, DAY = 3600.0, 86400.0
JOB = "app"
CYCLES_MAX = 3
"""Within so many cycles after the faults have stopped, the app is what the rules say."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a seed came to."""

    digest: str
    lines: int
    requests: int
    cycles: int
    transactions: int
    kills: int
    befell: dict[str, int]


class Simulation:
    """Everything that a seed decides on, and what is done with it."""

    def __init__(self, seed: int | str, directory: Path) -> None:
        self.seed, self.directory = str(seed), directory
        self.dice = chance(f"{seed}/world")
        self.story, self.calendar = Story(), Calendar()
        self.story.hidden = str(directory)
        self.rules, self.town = rules.chosen(self.dice), Town()
        self.town.tell = lambda text: self.story.tell(f"SOURCE {text}")
        self.chaos_seconds = self.dice.choice([3, 4, 6]) * HOUR
        self.weather = weather.forecast(chance(f"{seed}/weather"), self.chaos_seconds)
        self.disk = Disk(directory, self.seed, self.story)
        self.watch = Watch(self.town, lambda: self.rules, self.seconds, self.calendar.now, self.disk.path)
        self.app = App(_quirks(self.dice), self.seconds, self.watch.hears)
        self.watch.users = lambda: self.app.users
        self.hr = HrSystem(self.town, self.seconds)
        self.mails = MailServer(self.seed, self.story)
        self.network = Network(
            {SOURCE_HOST: self.hr, TARGET_HOST: self.app},
            self.weather,
            self.seed,
            self.story,
            {SOURCE_HOST: Limits(1, None), TARGET_HOST: self._limits()},
        )
        self.network.wrong = self.watch.wrong
        self.network.on_send = self.watch.sends
        self.daemon: Daemon | None = None
        self.lives = self.cycles = 0
        self.troubled = False
        """Something went wrong in the cycle that runs."""
        self.drifted = False
        """The app holds something that only a comparison of everything finds."""
        self.foreign_members: dict[str, set[str]] = {}
        self.file_cut = False
        self._loaded: dict[tuple[str, str], config.Config] = {}
        self._befell_before = 0
        self.over = False

    def seconds(self) -> float:
        return asyncio.get_running_loop().time()

    def _limits(self) -> Limits:
        return Limits(self.rules.concurrency, self.rules.requests_per_second)

    # --- the whole ---

    async def run(self) -> Outcome:
        """Live through it. Raises Broken where a promise was not kept."""
        self.settle_in()
        living = asyncio.get_running_loop().create_task(self.live())
        try:
            await self._chaos()
            self.look()
            await self.calm()
            await self.converge()
            self.look()
        finally:
            await self.end(living)
        self.look()
        return Outcome(
            self.story.digest,
            self.story.lines,
            self.network.requests,
            self.cycles,
            self.disk.transactions,
            self.disk.kills,
            self.weather.befell,
        )

    def settle_in(self) -> None:
        """Found the town, and write what the daemon reads."""
        token = self.directory / "token"
        token.touch(mode=0o600)
        token.write_text(TOKEN)
        people = [self.town.hire(0.0) for _ in range(self.dice.randint(4, 16))]
        for id_ in people:
            if self.dice.random() < 0.5:
                self.town.edit(id_, 0.0, manager=self.dice.choice(people))
        self.town.found(0.0, self.dice.sample(people, len(people) * 3 // 4), "Staff")
        self.town.found(0.0, self.dice.sample(people, len(people) // 3))
        self.stranger(PROTECTED)
        self.stranger("visitor@elsewhere.example")
        for id_ in self.dice.sample(people, self.dice.randint(0, 2)):
            self.stranger(self.town.people[id_]["userPrincipalName"].upper())
        self.changed_source()
        self.write_config()

    def stranger(self, name: str) -> None:
        if any(str(row["userName"]).lower() == name.lower() for row in self.app.users.values()):
            return
        target_id = self.app.put("user", userName=name, active=True, title="Theirs")
        self.watch.foreign[target_id] = deepcopy(self.app.users[target_id])

    async def _chaos(self) -> None:
        count = self.dice.randint(8, 18)
        moments = sorted(self.dice.uniform(0.0, self.chaos_seconds) for _ in range(count))
        for moment in moments:
            await wait(moment - self.seconds())
            await hands.do_something(self)
            self.look()
        await wait(self.chaos_seconds - self.seconds())

    async def calm(self) -> None:
        """The faults stop: the network, the disk and the source are well, and everybody means what the rules say."""
        self.story.tell("CALM")
        self.disk.kill_in, self.disk.refuses, self.hr.twist = None, None, None
        self.mails.refuses_share, self.file_cut = 0.0, False
        for id_ in sorted(self.town.hidden):
            self.town.changed[id_] = self.seconds()
        self.town.hidden.clear()
        self.changed_source()
        # Who is in a group that the source does not show is unknown for as long as the rules name it.
        names = {group["displayName"] for group in self.town.groups.values()}
        self.rules.assigned = [name for name in self.rules.assigned if name in names]
        self.write_config()
        await wait(1500.0)  # what was under way has ended, and who was dead has been started again
        self.calendar.set_by_seconds += DAY + HOUR  # what failed again and again waits for a day
        await self.hand(lambda desk: desk.reload(by="calm"))
        await self.hand(lambda desk: desk.resume(JOB, by="calm"))
        await self.let_everybody_back()
        self.watch.perhaps_out.clear()
        self.watch.mark()
        await self.idle()

    async def converge(self) -> None:
        """Run cycles until the app is what the rules say. Raises Broken where that takes too many."""
        found = await self._settled(full=self.drifted or "nothing changed" in self.weather.befell)
        if found and all(" has userName " in one or " has no account" in one for one in found):
            # Those who stand in each other's way are tried again together, once both are due.
            self.calendar.set_by_seconds += DAY + HOUR
            found = await self._settled(full=False)
        if found:
            raise Broken("\n".join([f"after {CYCLES_MAX} cycles in calm:", *found]))
        if oracle.somebody_is_barred(self.town, self.rules, self.app.users):
            return  # her name is tried again now and then
        await self.cycle()
        before = self.network.count(TARGET_HOST)
        await self.cycle()
        more = self.network.count(TARGET_HOST) - before
        if more:
            raise Broken(f"nothing has changed, and a cycle sent {more} requests")

    async def _settled(self, *, full: bool) -> list[str]:
        """Run as many cycles as may be needed, with a person who approves; return what is not right then."""
        found: list[str] = []
        for attempt in range(CYCLES_MAX):
            await self.cycle(full=full and attempt == 0)
            for _ in range(4):
                if not await self.approve():
                    break
                await self.idle()
            found = self.differences()
            if not found:
                break
        return found

    def differences(self) -> list[str]:
        return oracle.differences(
            self.town,
            self.rules,
            self.app.users,
            self.app.groups,
            self.watch.not_ours(),
            self.foreign_members,
            self.app.engine.quirks,
        )

    def look(self) -> None:
        """Raise Broken where a promise was not kept so far."""
        if self.watch.broken:
            raise Broken("\n".join(self.watch.broken))
        twice = [key for key, times in self.mails.taken.items() if times > 1]
        if twice:
            raise Broken(f"mails that were sent twice: {twice}")

    # --- the daemon's lives ---

    async def live(self) -> None:
        """Let the daemon live, again and again."""
        while not self.over:
            self.lives += 1
            daemon = Daemon(
                self.lives,
                self.seed,
                self._load,
                self.disk,
                self.network,
                self.mails,
                self.calendar,
                self._hear,
            )
            self.story.tell(f"LIFE {self.lives} begins")
            self.daemon = daemon
            task = asyncio.get_running_loop().create_task(daemon.live())
            await asyncio.wait((task,))
            self._ended(task, daemon)
            error = None if task.cancelled() else task.exception()
            # What a person has to mend is not tried again at once.
            await wait(1200.0 if isinstance(error, ReconcilerError) else self.dice.uniform(1.0, 60.0))

    def _load(self) -> config.Config:
        """Return the configuration as it is written now; one that was read before is not read again."""
        written = self.rules.toml(), self.rules.description()
        if written not in self._loaded:
            self._loaded[written] = config.load(self.directory / "config.toml")
        return self._loaded[written]

    def _ended(self, task: asyncio.Task[None], daemon: Daemon) -> None:
        """Judge how a life ended."""
        self.daemon = None
        self.watch.cycle = None
        self.watch.begun.clear()
        error = None if task.cancelled() else task.exception()
        told = "killed" if error is not None and _only(error, (Killed, asyncio.CancelledError)) else repr(error)
        self.story.tell(f"LIFE {daemon.life.number} ends: {told}")
        if error is not None and not _only(error, (Killed, asyncio.CancelledError, ReconcilerError)):
            self.watch.wrong(f"the daemon ended with {error!r}")
            self.crash = error

    async def terminate(self) -> None:
        """End the daemon as systemd does."""
        if self.daemon is not None and self.daemon.life.alive:
            await self.daemon.tell(signal.SIGTERM)

    async def end(self, living: asyncio.Task[None]) -> None:
        """Let the last life end as it should."""
        self.over = True
        await self.terminate()
        await asyncio.wait((living,), timeout=2000.0)

    def _hear(self, event: Event) -> None:
        if event.name == "cycle.progress":
            return
        facts = {name: value for name, value in event.facts.items() if name not in ("cycle_id",)}
        self.story.tell(f"EVENT {event.name} {orjson.dumps(facts, default=str).decode()}")
        if event.name == "cycle.started":
            self.troubled = self._trouble_now()
            self._befell_before = sum(self.weather.befell.values())
            self.watch.cycle_begins()
        elif event.name == "cycle.ended":
            self.cycles += 1
            trouble = self.troubled or self._trouble_now()
            trouble = trouble or sum(self.weather.befell.values()) > self._befell_before
            report = event.facts.get("report") or {}
            self.watch.cycle_ends(quiet=not trouble, whole=report.get("read", {}).get("complete", False))
            self.troubled = False

    def log(self, event: dict[str, Any]) -> None:
        """Take what the daemon has written into its log, from warnings up."""
        if "exception" in event:
            if self.daemon is None or self.daemon.life.alive:
                self.watch.wrong(f"a mistake of ours: {event}\n{event['exception']}")
            return
        self.story.tell(f"LOG {event.pop('level')} {event.pop('event')} {orjson.dumps(event, default=str).decode()}")

    def _trouble_now(self) -> bool:
        return self.disk.refuses is not None

    # --- hands ---

    async def hand(self, work: Callable[[Any], Any]) -> Any:
        """Let a person ask the daemon for something, through its desk; None where it does not answer."""
        daemon = self.daemon
        if daemon is None or daemon.desk is None or not daemon.life.alive or daemon.service is None:
            return None
        if not daemon.service.started.is_set() or daemon.service.stopping:
            return None
        try:
            return await work(daemon.desk)
        except ReconcilerError as error:
            self.story.tell(f"HAND refused: {error}")
        except (Killed, asyncio.CancelledError, BaseExceptionGroup):
            if daemon.life.alive:
                raise
        return None

    async def cycle(self, *, full: bool = False) -> None:
        """Run a cycle to its end."""
        await self.hand(lambda desk: _at_once(desk.trigger(JOB, full=full, by="calm")))
        await self.idle()

    async def idle(self) -> None:
        daemon = self.daemon
        if daemon is not None and daemon.service is not None:
            await daemon.service.until_idle(JOB)

    async def approve(self) -> int:
        """Approve everything that is held; return how many operations that is."""
        return await self._decide("approved")

    async def reject(self) -> int:
        """Reject everything that is held; return how many operations that is."""
        return await self._decide("rejected")

    async def _decide(self, decision: Decision) -> int:
        holds = await self.hand(lambda desk: desk.decide(JOB, None, decision, by="somebody"))
        count = sum(len(hold.operations) for hold in holds) if isinstance(holds, list) else 0
        self.watch.approved += count if decision == "approved" else 0
        return count

    async def bind_anew(self) -> None:
        """End the daemon, and say that source and target are still the same, as the command does."""
        await self.terminate()
        while self.daemon is not None:
            await wait(0.5)
        store = self.disk.open(Life(0), self.calendar.now())
        clock, dice = LifeClock(self.calendar, Life(0)), LifeDice(self.seed)
        house = wiring.House(self._load(), store, clock, dice, Lanes(), connect=partial(self.network.connect, Life(0)))
        try:
            async with house.world(JOB) as world:
                await store.rebind(JOB, world.source.identity, world.target.identity, keep_links=True)
        finally:
            await store.close()

    async def let_everybody_back(self) -> None:
        """Leave those to the rules again who were taken out by hand."""
        for id_ in sorted(self.watch.taken_out | self.watch.perhaps_out):
            await self.hand(partial(_let_back, id_))
        self.watch.perhaps_out |= self.watch.taken_out  # it may have been refused, too
        self.watch.taken_out.clear()
        self.watch.mark()

    async def restart_job(self) -> None:
        """Ask for an ordinary restart of the job."""
        await self.hand(lambda desk: desk.restart(JOB, RESTART, by="hand"))

    # --- what the hands write ---

    def changed_source(self) -> None:
        """The source has changed: say so to who watches, and write the files."""
        self.watch.mark()
        if self.rules.source != "file":
            return
        groups = [orjson.dumps(row) + b"\n" for row in self.town.groups.values()]
        people = b"".join(orjson.dumps(row) + b"\n" for row in self.town.shown_people())
        if self.file_cut:
            # In the middle of a line: what ends with a whole one would be a shorter file, and no broken one.
            people = people[: people.rfind(b"\n", 0, len(people) * 2 // 3) + 15]
        for name, text in (("users.jsonl", people), ("groups.jsonl", b"".join(groups))):
            (self.directory / "unfinished").write_bytes(text)
            (self.directory / "unfinished").replace(self.directory / name)

    def write_config(self) -> None:
        (self.directory / "config.toml").write_text(self.rules.toml())
        (self.directory / "hr.toml").write_text(self.rules.description())
        self.watch.mark()


def _only(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_only(one, kinds) for one in error.exceptions)
    return isinstance(error, kinds)


async def _let_back(id_: str, desk: Desk) -> object:
    return await desk.take_out(id_, dry_run=False, release=True, by="calm")


async def _at_once(value: Any) -> Any:
    return value


def _quirks(dice: Any) -> Quirks:
    """Return the app's opinions."""
    quirks = Quirks()
    for name, choice in _OPINIONS.items():
        if dice.random() < 0.1:
            quirks = replace(quirks, **{name: dice.choice(choice)})
    if quirks.ignores_filter or quirks.filter_refused:
        # Nothing that it says could prove that somebody is not there: it gets no accounts, by rule.
        quirks = replace(quirks, wrong_total_results=None, invisible_for_requests=0)
    if quirks.conflict_status == 400:
        quirks = replace(quirks, errors_without_scim_type=False, conflict_without_scim_type=False)
    if quirks.invisible_for_requests or quirks.filter_lies_empty:
        # Nobody could know that the group is there already: the app has to say so.
        quirks = replace(quirks, duplicate_groups="refused", created_without_id=False, created_without_body=False)
    if quirks.lax_unique:
        # Where it would take a second account of one name, it must be able to show the first.
        quirks = replace(quirks, invisible_for_requests=0, filter_lies_empty=())
    return quirks


_OPINIONS: dict[str, list[Any]] = {
    "page_max": [3, 7],
    "lax_unique": [True],
    "ignores_filter": [True],
    "filter_refused": [400, 501],
    "filter_repeats_rows": [True],
    "patch_no_content": [True],
    "patch_no_content_when_unchanged": [True],
    "patch_unsupported": [True],
    "put_resets": [False],
    "conflict_without_scim_type": [True],
    "duplicate_groups": ["refused"],
    "created_without_id": [True],
    "created_without_location": [True],
    "locations": ["relative", "user_name"],
    "ids": ["digits", "spaces", "reserved"],
    "delete_answers_body": [True],
    "missing_answers_500": [True],
    "members_per_patch_max": [2],
    "keeps_stale_members": [True],
    "wrong_total_results": ["missing"],
    "repeats_first_page": [True],
    "html_errors": [True],
    "empty_errors": [True],
    "etag_supported": [False],
    "spc_missing": [True],
    "spc_odd": [True],
    "invisible_for_requests": [10**6],
    "filter_lies_empty": [("userName",), ("externalId",), ("displayName",)],
    "soft_delete": [True],
    "patch_silent_no_op": [("title",)],
    "drops_attributes": [("title",)],
    "patch_unsupported_for": [("title",)],
    "unknown_members_refused": [True],
    "duplicates_members": [True],
    "no_members_on_get": [True],
    "user_name_normalised_lower": [True],
    "count_refused_above": [50],
    "count_refused_status": [500],
    "conflict_status": [400],
    "pathless_patch_refused": [True],
    "creates_on_no_target": [True],
    "integer_error_status": [True],
    "not_found_says_invalid_syntax": [True],
    "errors_without_scim_type": [True],
    "created_without_body": [True],
    "created_without_meta": [True],
}


def simulate(seed: int) -> Outcome:
    """Run one seed. Raises Broken with the way to do it again, and the end of the story."""
    directory = disks.directory()
    simulation: Simulation | None = None

    async def work() -> Outcome:
        nonlocal simulation
        simulation = Simulation(seed, directory)
        return await simulation.run()

    def log(event: dict[str, Any]) -> None:
        if simulation is not None:
            simulation.log(event)

    try:
        with logging_to(log):
            return run_virtually(work)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or simulation is None:
            raise
        raise Broken(_report(seed, simulation, error)) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def logging_to(take: Callable[[dict[str, Any]], object]) -> Iterator[None]:
    """Let what is logged from warnings up go there, and nowhere else."""

    def tell(_: Any, __: str, event: Any) -> Any:
        take(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, tell],
        wrapper_class=structlog.make_filtering_bound_logger(30),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _report(seed: int, simulation: Simulation, error: BaseException) -> str:
    rule = "-" * 100
    return "\n".join(
        [
            f"seed {seed}: {type(error).__name__}: {error}",
            rule,
            simulation.story.end(),
            rule,
            f"rules: {simulation.rules}",
            f"app: {simulation.app.engine.quirks}",
            f"weather: {simulation.weather.shares} {simulation.weather.spells}",
            rule,
            f"seed {seed}: {type(error).__name__}: {error}",
            f"again: python -m tests.sim {seed}",
        ]
    )
