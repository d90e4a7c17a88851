"""A company before and after a busy day, and the app that follows it."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler import config, wiring
from reconciler.core.model import KINDS
from reconciler.errors import StateError
from reconciler.ports import LogQuery
from tests.crash.victim import Kill, Outcome
from tests.crash.warm import CYCLE, Victims, WarmProcess
from tests.cycles.company import ATTRIBUTES, GROUPS, MANAGER, Company
from tests.servers.engine import Json
from tests.servers.scim import ScimServer

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
JOB = 'scope = "all"\ndeletion_share = "100%"'
TABLES = f"""
filter = {{ all = [ {{ attribute = "department", operator = "NOT EQUALS", value = "Alumni" }} ] }}
{GROUPS}
hold_deletes = false
[jobs.app.deprovision]
out_of_scope = "delete"
"""


def founded(directory: Path, server: ScimServer) -> Company:
    """A manager with her people, one of them inactive, two groups; the app has three accounts already."""
    directory.mkdir()
    company = Company(directory, server, job=JOB, attributes=ATTRIBUTES + MANAGER)
    company.tables = TABLES
    for name in ("ann", "bob", "cleo", "dan", "eve", "finn", "gus", "hana", "ida", "jon", "lou"):
        company.person(name, manager="boss")
    company.person("boss", jobTitle="Manager")
    company.person("kim", accountEnabled=False)
    company.group("g1", ["boss", "ann", "bob", "cleo"], "Crew")
    company.group("g2", ["dan", "eve", "kim"], "Desk")
    server.put("user", userName="admin@example.com", active=True)
    server.put("user", userName="DAN@example.com", title="Intern", active=True)
    server.put("user", userName="kim@example.com", active=False)
    return company


def after_a_leave(company: Company) -> None:
    """Two go away who will be back."""
    del company.users["jon"], company.users["lou"]


def after_a_busy_day(company: Company) -> None:
    """Everything that can happen to people and groups happens at once."""
    users = company.users
    del users["finn"]
    users["gus"]["accountEnabled"] = False
    users["hana"]["department"] = "Alumni"
    users["ida"]["userPrincipalName"] = "ida.married@example.com"
    company.person("zoe", userPrincipalName="ida@example.com")
    users["bob"]["userPrincipalName"] = "cleo@example.com"
    users["cleo"]["userPrincipalName"] = "bob@example.com"
    company.person("jon", manager="boss")
    company.person("lou2", userPrincipalName="lou@example.com", employeeId="E-lou")
    company.person("olga", manager="nia")
    company.person("nia", manager="max")
    company.people("max")
    users["eve"]["manager"] = "nia"
    users["boss"]["jobTitle"] = "Director"
    company.group("g1", ["boss", "bob", "cleo", "max"], "The crew")
    company.group("g3", ["nia", "olga", "dan"], "Night shift")
    del company.groups["g2"]


@dataclass(slots=True)
class Scene:
    """A directory with its state, and what the app holds: where every kill starts from."""

    directory: Path
    kept: Path
    config: config.Config
    server: ScimServer
    users: dict[str, Json]
    groups: dict[str, Json]

    @classmethod
    def of(cls, company: Company, server: ScimServer) -> Scene:
        """Write the company's files; take everything as it is now."""
        loaded = config.load(company.write())
        kept = company.directory.with_name(company.directory.name + "-kept")
        shutil.copytree(company.directory, kept)
        return cls(company.directory, kept, loaded, server, deepcopy(server.users), deepcopy(server.groups))

    def set(self) -> Path:
        """Put everything back to where it was; return the configuration."""
        shutil.rmtree(self.directory)
        shutil.copytree(self.kept, self.directory)
        for held, was in ((self.server.users, self.users), (self.server.groups, self.groups)):
            held.clear()
            held.update(deepcopy(was))
        self.server.clear_requests()
        return self.directory / "config.toml"


@dataclass(frozen=True, slots=True)
class Known:
    """What the state holds, for whoever reads it."""

    links: Mapping[tuple[str, str], str]
    members: frozenset[tuple[str, str]]
    """Whom this job has put into which group: (source id of the group, target id)."""
    log: tuple[dict[str, Any], ...]


async def known(loaded: config.Config) -> Known:
    """Read links and log beside whoever writes; nothing is known where there is no state yet."""
    try:
        async with wiring.open_house(loaded, write=False) as house:
            rows = [row async for row in house.store.log(LogQuery(job="app"))]
            links = await house.store.list_links("app", None)
    except StateError as error:
        assert "there is no state yet" in str(error)  # because it is the only one that is meant
        return Known({}, frozenset(), ())
    # Read only, so that the next to write finds the state as the killed one left it.
    place = loaded.state_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as connection:
        members = frozenset(connection.execute("SELECT group_id, member_target_id FROM ledger"))
    return Known({(r.kind, r.source_id): r.link.target_id for r in links if r.link is not None}, members, tuple(rows))


def seen_from_outside(server: ScimServer) -> dict[str, Any]:
    """Return what the app holds without what it made up itself: ids become names."""
    names = {id_: user["userName"] for id_, user in server.users.items()}
    people = []
    for user in server.users.values():
        shown = {name: value for name, value in user.items() if name not in ("id", "meta", ENTERPRISE)}
        manager = user.get(ENTERPRISE, {}).get("manager")
        people.append({**shown, "manager": names[manager["value"]] if manager else None})
    groups = [
        (group["displayName"], sorted(names[each["value"]] for each in group.get("members") or []))
        for group in server.groups.values()
    ]
    return {"users": sorted(people, key=lambda one: str(one["userName"])), "groups": sorted(groups)}


def made(server: ScimServer) -> Counter[str]:
    """Count the POSTs that the app has seen, by the name of what they make."""
    return Counter(str(seen.body.get("externalId") or seen.body["displayName"]) for seen in server.sent("POST"))


@dataclass(frozen=True, slots=True)
class Ended:
    """What a scene came to once everything was done."""

    target: dict[str, Any]
    made: Counter[str]


async def run_to_the_end(config_path: Path, server: ScimServer, warm: WarmProcess) -> Ended:
    """Run until all is done, and once more, which must send nothing."""
    outcome = await warm.cycle(config_path)
    assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
    target, posts, already = seen_from_outside(server), made(server), len(server.requests)
    again = await warm.cycle(config_path)
    assert again.exit_code == 0, again.stdout + again.stderr
    assert server.requests[already:] == [], "nothing changed, so nothing is sent"
    return Ended(target, posts)


async def survive(
    scene: Scene,
    kill: Kill,
    warm: WarmProcess,
    expected: Ended,
    words: Sequence[str] = CYCLE,
    victims: Victims | None = None,
) -> Outcome:
    """Run a command until the kill, then cycles to the end; assert that nothing was lost and nothing made twice.

    The command runs in a fork of the warm process, or where `victims` have it run.
    """
    path = scene.set()
    outcome = await (victims or warm).command(words, path, kill)
    before = await known(scene.config)
    ended = await run_to_the_end(path, scene.server, warm)
    after = await known(scene.config)
    assert ended.made == expected.made, "each account and each group is made exactly once"
    assert ended.target == expected.target
    assert after.log[: len(before.log)] == before.log, "what was written down stays"
    _assert_linked(scene, before, after)
    return outcome


def _assert_linked(scene: Scene, before: Known, after: Known) -> None:
    server = scene.server
    ours = {user["externalId"]: id_ for id_, user in server.users.items() if "externalId" in user}
    assert len(ours) == len(server.users) - 1, "everybody but the administrator is one of ours, once"
    linked = {source_id: target_id for (kind, source_id), target_id in after.links.items() if kind == "user"}
    assert linked == {source_id: ours[source_id] for source_id in linked}
    assert set(linked.values()) == set(ours.values())
    groups = {target_id: source_id for (kind, source_id), target_id in after.links.items() if kind == "group"}
    assert set(groups) == set(server.groups)
    there = {(groups[id_], each["value"]) for id_, group in server.groups.items() for each in group["members"]}
    assert after.members == there, "it knows whom it has put into each group, so that it can take them out again"
    gone = {(kind, source_id) for kind in KINDS for source_id in ("finn", "hana", "lou", "g2")}
    for key, target_id in before.links.items():
        assert after.links.get(key, target_id) == target_id, "an account changes its owner only with its person"
        assert key in after.links or key in gone
    told = {row["target_id"] for row in after.log if row["operation"] in ("create", "adopt", "disable")}
    assert {*linked.values(), *groups} <= told, "the log tells of every account that is held"
