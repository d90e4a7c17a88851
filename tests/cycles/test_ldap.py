"""Whole cycles from a real slapd to the honest double of an app."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import config, wiring
from reconciler.core.standing import Quarantine
from reconciler.ports import Wanted, Watermark
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.report import CycleReport
from reconciler.runtime.rules import KindRules
from tests.cycles.calendar import DAY, Calendar, NoLuck
from tests.cycles.company import MANAGER, done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer
from tests.servers.slapd import (
    BASE,
    GROUPS,
    PEOPLE,
    READER,
    READER_PASSWORD,
    Slapd,
    group,
    person,
    running_slapd,
    team,
    user,
    why_no_slapd,
)

pytestmark = pytest.mark.skipif(why_no_slapd() is not None, reason=why_no_slapd() or "")

ATTRIBUTES = f"""
  {{ to = "userName", from = "mail", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {{ to = "displayName", from = "displayName" }},
  {{ to = "title", from = "title" }},
  {MANAGER}
"""
EXTENSION = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
TEAMS = """
[jobs.app.groups]
attributes = [ { to = "displayName", from = "cn", match = 1 }, { to = "members", from = "members" } ]
"""


class Firm:
    """A directory, an app, and a job between them. `await firm.cycle()` is what the command does."""

    def __init__(self, directory: Path, slapd: Slapd, app: ScimServer) -> None:
        self.directory, self.slapd, self.app = directory, slapd, app
        self.job = 'scope = "all"\ndeletion_share = "100%"'
        self.tables = TEAMS
        self.source_lines = ""
        self.attributes = ATTRIBUTES
        self.clock, self._dice = Calendar(), NoLuck()
        for name, secret in (("token", app.token), ("password", READER_PASSWORD)):
            (directory / name).touch(mode=0o600)
            (directory / name).write_text(secret)

    def configure(self) -> Path:
        path = self.directory / "config.toml"
        path.write_text(f"""
[state]
url = "sqlite:///state.db"

[sources.staff]
type = "ldap"
url = "{self.slapd.tls_url}"
ca_file = "{self.slapd.ca_file}"
bind = {{ type = "simple", dn = "{READER}", password = {{ file = "password" }} }}
base = "{BASE}"
users_base = "{PEOPLE}"
groups_base = "{GROUPS}"
active = {{ from = "employeeType", is = ["active"] }}
{self.source_lines}

[targets.app]
type = "scim"
url = "{self.app.url}"
auth = {{ type = "bearer", token = {{ file = "token" }} }}

[jobs.app]
source = "staff"
target = "app"
full_interval = "1000d"
{self.job}

[jobs.app.users]
attributes = [
{self.attributes}
]
{self.tables}
""")
        return path

    async def cycle(self, *, full: bool = False) -> CycleReport:
        """Run one cycle as a fresh process would."""
        async with wiring.open_house(config.load(self.configure()), write=True) as opened:
            house = replace(opened, clock=self.clock, dice=self._dice)
            async with house.world("app") as world:
                return await run_cycle(house.plan("app"), world, full=full)

    async def quarantine(self) -> Quarantine | None:
        async with wiring.open_house(config.load(self.configure()), write=False) as house:
            return (await house.store.standing("app")).quarantine

    async def set_watermark(self, token: str) -> None:
        """Put something else in the place of the job's watermark."""
        with sqlite3.connect(self.directory / "state.db") as state:
            state.execute("UPDATE jobs SET watermark = ?", (token,))
        state.close()

    async def newest_token(self) -> str:
        """Return the token of a reading that nobody used: a server that forgot to tell of what was before."""
        loaded = config.load(self.configure())
        async with wiring.open_house(loaded, write=True) as house, house.world("app") as world:
            rules = KindRules.compile(loaded.jobs["app"], "user", house.plan("app").profile)
            assert rules is not None
            wanted = Wanted(rules.reads, frozenset({"cn"}), groups=True, memberships=True)
            [token] = [e.token async for e in world.source.read(wanted, None) if isinstance(e, Watermark)]
            assert token is not None
            return token

    def manager(self, name: str) -> str | None:
        """Return the mail address of somebody's manager in the app."""
        held = self.app.user(f"{name}@example.test").get(EXTENSION, {}).get("manager")
        return str(self.app.users[held["value"]]["userName"]).partition("@")[0] if held else None

    def members(self, team_name: str) -> set[str]:
        ids = self.app.members(team_name)
        return {str(account["userName"]).partition("@")[0] for id_, account in self.app.users.items() if id_ in ids}

    def active(self) -> set[str]:
        """Return who can use the app."""
        return {str(one["userName"]).partition("@")[0] for one in self.app.users.values() if one.get("active", True)}


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    """Four people, one of them the manager of the others, and a crew of three."""
    people = [user("boss"), *(user(one, manager=person("boss")) for one in ("ann", "bob", "cleo"))]
    crew = group("crew", [person("ann"), person("bob"), person("boss")])
    with running_slapd(tmp_path / "slapd", [*people, crew]) as server:
        yield server


@pytest.fixture
async def app() -> AsyncIterator[ScimServer]:
    async with ScimServer() as running:
        yield running


@pytest.fixture
def firm(tmp_path: Path, slapd: Slapd, app: ScimServer) -> Firm:
    return Firm(tmp_path, slapd, app)


async def test_everybody_of_a_directory_has_an_account_and_then_nothing_is_sent(firm: Firm) -> None:
    report = await firm.cycle()
    assert (report.exit_code, report.problems, done(report)["create"]) == (0, [], 5)
    assert firm.active() == {"boss", "ann", "bob", "cleo"}
    assert firm.members("crew") == {"ann", "bob", "boss"}
    assert [firm.manager(one) for one in ("ann", "boss")] == ["boss", None]
    firm.app.clear_requests()
    report = await firm.cycle()
    assert (done(report), firm.app.requests) == ({}, [])
    assert (report.users_read, report.complete) == (0, True), "a delta without a change shows nobody"


async def test_a_delta_carries_joiners_movers_and_leavers(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.add(user("dan", manager=person("ann")))
    firm.slapd.join("crew", person("dan"))
    firm.slapd.set(person("bob"), title="Chief")
    firm.slapd.set(person("cleo"), employeeType="retired")
    report = await firm.cycle()
    assert report.users_read == 3
    assert done(report) == {"create": 1, "update": 1, "disable": 1, "members_added": 1}
    assert firm.active() == {"boss", "ann", "bob", "dan"}
    assert firm.app.user("bob@example.test")["title"] == "Chief"
    assert (firm.manager("dan"), firm.members("crew")) == ("ann", {"ann", "bob", "boss", "dan"})


async def test_who_is_deleted_is_disabled_and_leaves_the_groups_although_no_group_changed(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.delete(person("ann"))
    report = await firm.cycle()
    assert report.users_read <= 1
    assert done(report) == {"disable": 1, "members_removed": 1}
    assert (firm.active(), firm.members("crew")) == ({"boss", "bob", "cleo"}, {"bob", "boss"})
    assert done(await firm.cycle()) == {}


async def test_the_reports_of_a_manager_who_is_deleted_have_none_although_they_did_not_change(firm: Firm) -> None:
    firm.attributes = ATTRIBUTES.replace('from = "manager" }', 'from = "manager", null = "clear" }')
    await firm.cycle()
    assert firm.manager("ann") == "boss"
    firm.slapd.delete(person("boss"))
    report = await firm.cycle()
    assert (report.counts["disable"], report.counts["update"]) == (1, 3)
    assert [firm.manager(one) for one in ("ann", "bob", "cleo")] == [None, None, None]


async def test_who_comes_back_after_a_deletion_is_somebody_new(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.delete(person("ann"))
    await firm.cycle()
    firm.slapd.add(user("ann"))
    report = await firm.cycle()
    assert report.complete
    assert "ann" in {str(one["userName"]).partition("@")[0] for one in firm.app.users.values()}


async def test_who_leaves_an_assigned_group_is_disabled_although_her_entry_did_not_change(firm: Firm) -> None:
    firm.job = 'scope = "assigned"\nassigned = [ { group = "crew" } ]\ndeletion_share = "100%"'
    assert done(await firm.cycle())["create"] == 4
    firm.slapd.leave("crew", person("ann"))
    firm.slapd.join("crew", person("cleo"))
    report = await firm.cycle()
    assert (report.counts["disable"], report.counts["create"]) == (1, 1)
    assert firm.active() == {"boss", "bob", "cleo"}


async def test_a_role_that_a_group_gives_follows_the_group(firm: Firm) -> None:
    firm.job = '''scope = "roles"
roles = ["crew"]
deletion_share = "100%"'''
    firm.tables = '[roles.crew]\nwhen = { member_of = "crew" }\n'
    assert done(await firm.cycle()) == {"create": 3}
    firm.slapd.leave("crew", person("bob"))
    assert done(await firm.cycle()) == {"disable": 1}
    assert firm.active() == {"boss", "ann"}


async def test_a_rename_changes_what_it_changes_and_nothing_else(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.rename(person("boss"), "uid=chief")
    firm.slapd.rename(person("ann"), "uid=anna")
    assert done(await firm.cycle()) == {}
    assert (firm.manager("ann"), firm.members("crew")) == ("boss", {"ann", "bob", "boss"})
    assert done(await firm.cycle(full=True)) == {}


async def test_who_is_moved_out_of_the_base_has_left(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.rename(person("bob"), "uid=bob", f"ou=left,{BASE}")
    report = await firm.cycle()
    assert report.counts["disable"] == 1
    assert firm.active() == {"boss", "ann", "cleo"}


async def test_a_group_that_is_deleted_takes_nobody_with_it_who_was_assigned_by_it(firm: Firm) -> None:
    firm.job = 'scope = "assigned"\nassigned = [ { group = "crew" } ]\ndeletion_share = "100%"'
    firm.tables = ""
    assert done(await firm.cycle()) == {"create": 3}
    firm.slapd.delete(team("crew"))
    report = await firm.cycle()
    assert done(report) == {}
    assert "the source has no group crew: who is in it is unknown" in report.problems
    assert firm.active() == {"boss", "ann", "bob"}


async def test_a_user_that_may_not_read_everything_makes_nobody_a_leaver(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.stop()
    conf = firm.slapd.directory / "slapd.conf"
    conf.write_text(conf.read_text().replace("size=unlimited time=unlimited", "size=2 time=unlimited size.prtotal=2"))
    firm.slapd.start()
    report = await firm.cycle(full=True)
    assert (report.state, report.complete, done(report)) == ("incomplete", False, {})
    assert any("Size limit" in problem or "limit" in problem for problem in report.problems)


async def test_a_directory_that_is_away_makes_nobody_a_leaver(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.stop()
    report = await firm.cycle()
    assert (report.state, done(report)) == ("unreachable", {})
    parts, job = [problem for problem in report.problems if "Can't contact LDAP server" in problem]
    assert parts.startswith("the directory: ") and job.startswith("the source staff is out of reach: ")
    quarantine = await firm.quarantine()
    assert quarantine is not None
    assert (quarantine.rule, quarantine.request) == (
        "the source staff is out of reach",
        f"connect {firm.slapd.tls_url}",
    )
    firm.slapd.start()
    assert (await firm.cycle()).state == "active"
    assert await firm.quarantine() is None


# --- what a delta alone would forget -----------------------------------------------------------------------------


async def test_a_failed_change_is_tried_again_although_the_delta_shows_nothing(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.set(person("bob"), title="Chief")
    firm.app.script.on("PATCH", "/Users", then=Status(500), times=FOR_EVER)
    assert (await firm.cycle()).counts["failure"] == 1
    firm.app.script.clear()
    firm.clock.turn(30 * DAY)
    assert done(await firm.cycle()) == {"update": 1}
    assert firm.app.user("bob@example.test")["title"] == "Chief"


async def test_leavers_whom_the_safeguard_holds_stay_held_although_the_delta_shows_them_once(firm: Firm) -> None:
    firm.job = 'scope = "all"\ndeletion_threshold = 1'
    await firm.cycle()
    for who in ("ann", "bob"):
        firm.slapd.delete(person(who))
    assert (await firm.cycle()).counts["held"] >= 2
    report = await firm.cycle()
    assert (report.state, report.counts["held"] >= 2, firm.active()) == ("held", True, {"boss", "ann", "bob", "cleo"})


@pytest.mark.parametrize("token", ["", "nonsense", "rid=000,csn=20010101000000.000000Z#000000#000#000000"])
async def test_a_watermark_that_is_none_of_the_server_s_has_everything_read_and_nothing_done(
    firm: Firm, token: str
) -> None:
    await firm.cycle()
    await firm.set_watermark(token)
    firm.app.clear_requests()
    report = await firm.cycle()
    assert (report.complete, report.users_read, done(report), firm.app.requests) == (True, 4, {}, [])
    assert (await firm.cycle()).users_read == 0, "and the next cycle has a watermark to go by"


async def test_a_cycle_that_did_not_end_well_asks_for_the_same_changes_again(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.set(person("bob"), title="Chief")
    await firm.app.stop()
    assert (await firm.cycle()).state == "unreachable"
    await firm.app.start()
    assert done(await firm.cycle()) == {"update": 1}


async def test_people_whom_a_right_hides_look_like_leavers_and_the_safeguard_stands_before_them(firm: Firm) -> None:
    firm.job = 'scope = "all"\ndeletion_threshold = 1'
    await firm.cycle()
    firm.slapd.reconfigure(
        "access to * by users read",
        f'access to dn.subtree="{PEOPLE}" filter="(&(uid=*)(!(uid=boss)))" by dn.exact="{READER}" none\n'
        "access to * by users read",
    )
    report = await firm.cycle(full=True)
    assert (report.state, firm.active()) == ("held", {"boss", "ann", "bob", "cleo"})


async def test_a_right_that_hides_everybody_makes_no_leavers_however_few_they_are(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.reconfigure(
        "access to * by users read",
        f'access to dn.subtree="{PEOPLE}" filter="(uid=*)" by dn.exact="{READER}" none\naccess to * by users read',
    )
    report = await firm.cycle(full=True)
    assert (report.state, done(report), firm.active()) == ("incomplete", {}, {"boss", "ann", "bob", "cleo"})


async def test_a_comparison_of_everything_says_what_the_server_did_not_tell(firm: Firm) -> None:
    await firm.cycle()
    firm.slapd.set(person("bob"), title="Chief")
    await firm.cycle()
    report = await firm.cycle(full=True)
    assert (done(report), report.problems) == ({}, [])
    firm.slapd.set(person("ann"), title="Chief")
    report = await firm.cycle(full=True)
    assert (done(report), report.problems) == ({"update": 1}, []), "what it would have told it has not missed"
    firm.slapd.set(person("ann"), title="Engineer")
    firm.slapd.delete(person("cleo"))
    await firm.set_watermark(await firm.newest_token())
    report = await firm.cycle(full=True)
    assert done(report) == {"update": 1, "disable": 1}
    [said] = report.problems
    assert "had left out 2 users" in said
