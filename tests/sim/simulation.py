"""One seed: rules, a town, an app, weather, hands and accidents; then calm, and a look at what has come of it."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from reconciler.runtime.events import Event
from tests.servers.engine import Seen
from tests.servers.quirks import Quirks
from tests.sim import groups, hands, oracle, quiet, rules, seeds, weather
from tests.sim.app import App, Pretend
from tests.sim.daemon import MailServer
from tests.sim.disk import Disk
from tests.sim.hr import TOKEN, HrSystem
from tests.sim.hr_scim import ScimHrSystem
from tests.sim.life import Calendar, chance, wait
from tests.sim.lives import Lives
from tests.sim.net import Limits, Network
from tests.sim.opinions import described, keeps_names_to_itself, opinions
from tests.sim.rules import ENTERPRISE, PROTECTED, SITES, SOURCE_HOST, TARGET_HOST, USER
from tests.sim.story import Story
from tests.sim.tenant import TenantApp
from tests.sim.town import Town
from tests.sim.watch import Broken, Watch

HOUR, DAY = 3600.0, 86400.0
CYCLES_MAX = 3
"""Within so many cycles after the faults have stopped, the app is what the rules say."""
DESCRIBED = Path(__file__).parents[1] / "targets" / "described.toml"
"""How an app with SCIM's requests is described to the target that speaks whatever is described to it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a seed came to."""

    digest: str
    kind: str
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
        self.kind_dice = chance(f"{seed}/kind")
        """For what was added to the world later: what the others decide on stays as it was."""
        self.story, self.calendar = Story(), Calendar()
        self.story.hidden = str(directory)
        self.rules, self.town = rules.chosen(self.dice, self.kind_dice), Town()
        if seeds.is_for_a_tenant(seed):
            self.rules.target = "graph"
        self.group_dice = chance(f"{seed}/groups") if groups.are_lively(seed) else None
        if self.group_dice is not None:
            self.rules.groups, self.rules.deletion_threshold = True, 3
        self.town.tell = lambda text: self.story.tell(f"SOURCE {text}")
        self.town.choose_site = lambda: self.kind_dice.choice(SITES[:-1])
        self.chaos_seconds = self.dice.choice([3, 4, 6]) * HOUR
        self.weather = weather.forecast(chance(f"{seed}/weather"), self.chaos_seconds)
        self.disk = Disk(directory, self.seed, self.story)
        self.watch = Watch(self.town, lambda: self.rules, self.seconds, self.calendar, self.disk.path)
        self.app = self._app(opinions(self.dice))
        self.watch.users = lambda: self.app.users
        self.watch.calls = lambda request: self.app.calls(request)
        self.watch.groups = lambda: self.app.groups
        self.watch.drops = lambda: self.app.quirks.drops_attributes
        self.watch.shows_no_groups = lambda: self.hr.twist == "nobody is left"
        self.watch.hides_names = lambda: "userName" in self.app.quirks.filter_lies_empty
        self.watch.hides_deleted = lambda: self.app.quirks.soft_delete
        self.watch.deleted = lambda: self.app.deleted
        self.hr = (ScimHrSystem if self.rules.source == "scim" else HrSystem)(self.town, self.seconds)
        self.mails = MailServer(self.seed, self.story)
        self.network = Network(
            {SOURCE_HOST: self.hr, TARGET_HOST: self.app},
            self.weather,
            self.seed,
            self.story,
            {SOURCE_HOST: Limits(1, None), TARGET_HOST: self._limits()},
        )
        if isinstance(self.app, TenantApp):
            self.app.stand_in(self.network)
        self.network.wrong = self.watch.wrong
        self.network.on_send = self.watch.sends
        self.lives = Lives(
            self.seed,
            directory,
            self.disk,
            self.network,
            self.mails,
            self.calendar,
            self.story,
            self.watch,
            self.dice,
            lambda: (self.rules.toml(), self.rules.description()),
            self._hear,
        )
        self.cycles = 0
        self.troubled: set[str] = set()
        """Something went wrong in the cycles of these jobs that run."""
        self.drifted = False
        """The app holds something that only a comparison of everything finds."""
        self.foreign_members: dict[str, set[str]] = {}
        self.given_up: frozenset[str] = frozenset()
        """Who could not get her name for so long that nobody asks for it any more."""
        self.file_cut = False
        self._befell_before: dict[str, int] = {}

    def seconds(self) -> float:
        return asyncio.get_running_loop().time()

    def _app(self, quirks: Quirks) -> Pretend:
        match self.rules.target:
            case "graph":
                return TenantApp(self.seed, self.weather, self.seconds, self.watch.hears)
            case "rest":
                return App(described(quirks), self.seconds, self.watch.hears)
            case "scim":
                return App(quirks, self.seconds, self.watch.hears)

    def _limits(self) -> Limits:
        return Limits(self.rules.concurrency, self.rules.requests_per_second)

    @property
    def jobs(self) -> list[str]:
        return [job.name for job in self.rules.jobs]

    def a_job(self) -> str:
        """Return one of the jobs."""
        return self.jobs[0] if len(self.jobs) == 1 else self.kind_dice.choice(self.jobs)

    # --- the whole ---

    async def run(self) -> Outcome:
        """Live through it. Raises Broken where a promise was not kept."""
        self.settle_in()
        living = asyncio.get_running_loop().create_task(self.lives.live())
        try:
            await self._chaos()
            self.look()
            await self.calm()
            await self.converge()
            self.look()
            if self.seed.endswith(_DELETES_WAITED_FOR):
                await self.wait_for_deletes()
        finally:
            await self.lives.end(living)
        self.look()
        return Outcome(
            self.story.digest,
            f"{self.rules.source} to {self.rules.target}, {len(self.jobs)} jobs",
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
        self.story.secret = TOKEN
        if self.rules.target == "rest":
            described = DESCRIBED.read_text("utf-8")
            assert _MEANING in described
            (self.directory / "described.toml").write_text(described.replace(_MEANING, _AN_ERROR_IN_A_SUCCESS), "utf-8")
        people = [self.town.hire(0.0) for _ in range(self.dice.randint(4, 16))]
        for id_ in people:
            if self.dice.random() < 0.5:
                self.town.edit(id_, 0.0, manager=self.dice.choice(people))
        self.town.found(0.0, self.dice.sample(people, len(people) * 3 // 4), "Staff")
        self.town.found(0.0, self.dice.sample(people, len(people) // 3))
        groups.begin(self)
        self.stranger(PROTECTED)
        self.stranger("visitor@elsewhere.example")
        for id_ in self.dice.sample(people, self.dice.randint(0, 2)):
            self.stranger(self.town.people[id_]["userPrincipalName"].upper())
        self.changed_source()
        self.write_config()

    def stranger(self, name: str) -> None:
        if any(str(row["userName"]).lower() == name.lower() for row in self.app.users.values()):
            return
        # An account that is sent back whole must have declared beforehand what is added to it.
        schemas = {"schemas": [USER, ENTERPRISE]} if self.rules.target == "rest" else {}
        target_id = self.app.put("user", userName=name, active=True, title="Theirs", **schemas)
        self.watch.foreign[target_id] = deepcopy(self.app.users[target_id])

    async def _chaos(self) -> None:
        count = self.dice.randint(8, 18)
        moments = sorted(self.dice.uniform(0.0, self.chaos_seconds) for _ in range(count))
        for moment in moments:
            await wait(moment - self.seconds())
            await hands.do_something(self)
            await hands.do_something_new(self)
            await groups.live(self)
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
        # Where really nobody is left, a person has to say so: by rule, nobody at all is a reading that failed.
        self.rules.nobody_is_right = not self.town.people
        # So where no group has a member: a server that shows none may be hiding them.
        self.rules.no_members_are_right = not any(group["members"] for group in self.town.groups.values())
        self.write_config()
        await wait(1500.0)  # what was under way has ended, and who was dead has been started again
        self.calendar.set_by(DAY + HOUR)  # what failed again and again waits for a day
        await self.lives.hand(lambda desk: desk.reload(by="calm"))
        for job in self.jobs:
            await hands.resume(self, job)
        await self._idle()
        await self.let_everybody_back()
        await self._idle()  # a cycle that asked who is out before that goes by what it was told
        self.watch.perhaps_out.clear()
        self.watch.mark()

    async def _idle(self) -> None:
        for job in self.jobs:
            await self.lives.idle(job)
        await self._until_all_shows()

    async def _until_all_shows(self) -> None:
        """Wait until the app shows what was made: two cycles at once fail twice, and the third try is hours away."""
        if self.app.quirks.invisible_for_requests:
            await wait(self.app.shown_after_seconds)

    async def converge(self) -> None:
        """Run cycles until the app is what the rules say. Raises Broken where that takes too many."""
        compare = self.drifted or "nothing changed" in self.weather.befell or keeps_names_to_itself(self.app.quirks)
        found = await self._converged(full=compare)
        if found:
            raise Broken("\n".join([f"after {CYCLES_MAX} cycles in calm:", *found]))
        await self._until_all_shows()  # a job looks again for what another one has made, until it shows
        if oracle.as_made(self.app.quirks) or oracle.keeps_the_last(self.app.quirks):
            await self.lives.cycle(self.jobs)  # what it refuses for ever may have failed once: that is tried again
        await self.lives.cycle(self.jobs)
        sent: list[Seen] = []
        self.network.on_send = lambda host, request: sent.extend(self.app.calls(request) if host == TARGET_HOST else ())
        await self.lives.cycle(self.jobs)
        self.network.on_send = self.watch.sends
        names = {id_: str(self.town.people[id_]["userPrincipalName"]) for id_ in sorted(self._names().barred)}
        theirs = {id_ for id_, account in self.app.users.items() if self.watch.owner(account) in names}
        waited_for = {name.casefold() for name in names.values()}
        holders = {id_ for id_, one in self.app.users.items() if str(one["userName"]).casefold() in waited_for}
        if more := list(quiet.about_others(sent, names, theirs, holders)):
            raise Broken("\n".join([f"nothing has changed, and a cycle sent {len(more)} requests:", *more]))

    async def wait_for_deletes(self) -> None:
        """Let so much time pass that whoever was disabled is deleted by now. Raises Broken where one is not."""
        self.story.tell("LATER")
        self.calendar.set_by((rules.seconds_of(self.rules.delete_after) or 30 * DAY) + DAY)
        self.watch.mark()
        self.given_up = self._names().barred  # who cannot get her name is tried again for 28 days only
        found = await self._converged(full=False)
        if not found and not self.app.quirks.soft_delete:
            found = self.watch.not_deleted()
        if found:
            raise Broken("\n".join([f"{self.rules.delete_after} after they were disabled:", *found]))

    async def _converged(self, *, full: bool) -> list[str]:
        """Run cycles until nothing more is to be waited for; return what is not right then."""
        if grace := rules.seconds_of(self.rules.disable_after):
            # Who has left is seen by now, and is on until the time of grace is over.
            await self.lives.cycle(self.jobs, full=full)
            self.calendar.set_by(grace + 60.0)
            self.watch.mark()
        found = await self._settled(full=full)
        for _ in self.jobs:
            nameless = {one.split()[0] for one in found if " has userName " in one or " has no account" in one}
            if not nameless or any(one.split()[0] not in nameless for one in found):
                break
            # Those who stand in each other's way are tried again together, once all are due.
            self.calendar.set_by(DAY + HOUR)
            found = await self._settled(full=False)
        return found

    async def _settled(self, *, full: bool) -> list[str]:
        """Run as many cycles as may be needed, with a person who approves; return what is not right then."""
        found: list[str] = []
        for attempt in range(CYCLES_MAX):
            await self.lives.cycle(self.jobs, full=full and attempt == 0)
            for _ in range(4):
                await self._until_all_shows()  # whoever approves has the next cycle run at once
                if not await self.lives.decide(self.jobs, "approved"):
                    break
                for job in self.jobs:
                    await self.lives.idle(job)
            found = self.differences()
            if not found:
                break
        return found

    def _names(self) -> oracle.Names:
        users, deleted = self.app.users, self.app.deleted
        names, now = self.watch.names(), self.calendar.now()
        return oracle.Names(self.town, self.rules, users, deleted, names, now, self.given_up)

    def differences(self) -> list[str]:
        return oracle.differences(
            self.town,
            self.rules,
            self._names(),
            self.app.users,
            self.app.deleted,
            self.app.groups,
            self.watch.not_ours(),
            self.foreign_members,
            self.app.quirks,
            self.calendar.now(),
            self.watch.written.jobs_having(),
        )

    def look(self) -> None:
        """Raise Broken where a promise was not kept so far."""
        if self.watch.broken:
            raise Broken("\n".join(self.watch.broken))
        if self.story.leaks:
            raise Broken("the token was told: " + "\n".join(self.story.leaks))
        kept = [file for file in self.directory.rglob("*") if file.is_file() and file.name != "token"]
        if told := [file.name for file in kept if TOKEN.encode() in file.read_bytes()]:
            raise Broken(f"the token stands in {told}")
        twice = [key for key, times in self.mails.taken.items() if times > 1]
        if twice:
            raise Broken(f"mails that were sent twice: {twice}")

    # --- what is heard of the daemon ---

    def _hear(self, event: Event) -> None:
        if event.name == "cycle.progress":
            return
        facts = {name: value for name, value in event.facts.items() if name not in ("cycle_id",)}
        self.story.tell(f"EVENT {event.name} {event.job} {orjson.dumps(facts, default=str).decode()}")
        job = event.job
        if event.name == "cycle.started" and job is not None:
            self.troubled.discard(job)
            if self._trouble_now():
                self.troubled.add(job)
            self._befell_before[job] = sum(self.weather.befell.values())
            self.watch.cycle_begins(job)
        elif event.name == "cycle.ended" and job is not None:
            self.cycles += 1
            trouble = job in self.troubled or self._trouble_now()
            trouble = trouble or sum(self.weather.befell.values()) > self._befell_before.get(job, 0)
            read = (event.facts.get("report") or {}).get("read", {"complete": False})
            self.watch.cycle_ends(job, quiet=not trouble, whole=read["complete"])
            self.troubled.discard(job)

    def log(self, event: dict[str, Any]) -> None:
        """Take what the daemon has written into its log, from warnings up."""
        if "exception" in event:
            if self.lives.daemon is None or self.lives.alive:
                self.watch.wrong(f"a mistake of ours: {event}\n{event['exception']}")
            return
        self.story.tell(f"LOG {event.pop('level')} {event.pop('event')} {orjson.dumps(event, default=str).decode()}")

    def _trouble_now(self) -> bool:
        return self.disk.refuses is not None

    # --- what the hands do with more than one thing ---

    async def let_everybody_back(self) -> None:
        """Leave those to the rules again who were taken out by hand."""
        await self.lives.let_back(sorted(self.watch.taken_out | self.watch.perhaps_out))
        self.watch.perhaps_out |= self.watch.taken_out  # it may have been refused, too
        self.watch.taken_out.clear()
        self.watch.mark()

    def changed_source(self) -> None:
        """The source has changed: say so to who watches, and write the files."""
        self.watch.mark()
        self.hr.changed()
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


_MEANING = '{ status = 200, is = "forbidden", says = "request was not done" }'
_AN_ERROR_IN_A_SUCCESS = '{ status = 200, is = "server_error", says = "later" }'
_DELETES_WAITED_FOR = ("1", "4", "7")
"""The last digits of the seeds that go on until those who were disabled are deleted."""
