"""Whole cycles from real directories to a real SCIM server: slapd and Samba to scim2-server, none of them ours."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tomllib
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from reconciler import config, wiring
from reconciler.core.model import KINDS
from reconciler.ports import Watermark
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.report import CycleReport
from reconciler.runtime.rules import KindRules, wanted_of
from tests.cycles import pages
from tests.cycles.calendar import Calendar, NoLuck
from tests.cycles.company import done
from tests.servers import samba as ad
from tests.servers import slapd as ol
from tests.servers.real import RealScimServer

MANAGER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"


class Office(Protocol):
    """What an administrator of a directory does in this story."""

    @property
    def source(self) -> str:
        """The lines of [sources.staff], without the password."""
        ...

    @property
    def password(self) -> str: ...

    def hire(self, who: str, manager: str = "") -> None: ...

    def lock(self, who: str) -> None: ...

    def promote(self, who: str) -> None: ...

    def delete(self, who: str) -> None: ...

    def rename(self, who: str) -> None: ...

    def team(self, name: str, *members: str) -> None: ...

    def leave(self, name: str, who: str) -> None: ...


class OpenLdapOffice:
    password = ol.READER_PASSWORD

    def __init__(self, server: ol.Slapd) -> None:
        self._server = server
        self.source = f"""
url = "{server.tls_url}"
ca_file = "{server.ca_file}"
bind = {{ type = "simple", dn = "{ol.READER}", password = {{ file = "password" }} }}
base = "{ol.BASE}"
active = {{ from = "employeeType", is = ["active"] }}
"""

    def hire(self, who: str, manager: str = "") -> None:
        self._server.add(ol.user(who, manager=ol.person(manager) if manager else ""))

    def lock(self, who: str) -> None:
        self._server.set(ol.person(who), employeeType="locked")

    def promote(self, who: str) -> None:
        self._server.set(ol.person(who), title="Chief")

    def delete(self, who: str) -> None:
        self._server.delete(ol.person(who))

    def rename(self, who: str) -> None:
        self._server.rename(ol.person(who), f"uid={who}-new")

    def team(self, name: str, *members: str) -> None:
        self._server.add(ol.group(name, list(map(ol.person, members))))

    def leave(self, name: str, who: str) -> None:
        self._server.leave(name, ol.person(who))


class DomainOffice:
    password = ad.READER_PASSWORD

    def __init__(self, server: ad.Samba) -> None:
        self._server = server
        self.source = f"""
url = "{server.url}"
directory = "active_directory"
ca_file = "{server.ca_file}"
bind = {{ type = "simple", dn = "{ad.READER}", password = {{ file = "password" }} }}
base = "{ad.BASE}"
users_base = "{ad.PEOPLE}"
groups_base = "{ad.GROUPS}"
active = "accountEnabled"
"""

    def hire(self, who: str, manager: str = "") -> None:
        self._server.hire(who, title="Engineer", manager=ad.person(manager) if manager else "")

    def lock(self, who: str) -> None:
        self._server.set(ad.person(who), userAccountControl=str(ad.DISABLED))

    def promote(self, who: str) -> None:
        self._server.set(ad.person(who), title="Chief")

    def delete(self, who: str) -> None:
        self._server.delete(ad.person(who))

    def rename(self, who: str) -> None:
        self._server.move(ad.person(who), f"CN={who}-new")

    def team(self, name: str, *members: str) -> None:
        self._server.found(name, *map(ad.person, members))

    def leave(self, name: str, who: str) -> None:
        self._server.leave(name, ad.person(who))


@pytest.fixture(params=["OpenLDAP", "Active Directory"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    if request.param == "Active Directory":
        yield DomainOffice(request.getfixturevalue("samba"))
        return
    if why := ol.why_no_slapd():
        pytest.skip(why)
    with ol.running_slapd(tmp_path / "slapd") as server:
        yield OpenLdapOffice(server)


class App:
    """The server as somebody sees it who signs in beside us."""

    def __init__(self, server: RealScimServer) -> None:
        self._server = server

    def _list(self, path: str) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self._server.token}"}
        request = urllib.request.Request(f"{self._server.url}/{path}?count=1000", None, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: list[dict[str, Any]] = json.load(answer).get("Resources", [])
            return found

    def users(self) -> dict[str, dict[str, Any]]:
        return {str(one["userName"]).partition("@")[0]: one for one in self._list("Users")}

    def active(self) -> set[str]:
        return {name for name, one in self.users().items() if one.get("active")}

    def manager(self, name: str) -> str | None:
        users = self.users()
        held = users[name].get(MANAGER.rpartition(":")[0], {}).get("manager", {}).get("value")
        return next((who for who, one in users.items() if one["id"] == held), None)

    def team(self, name: str) -> set[str]:
        names = {one["id"]: who for who, one in self.users().items()}
        [team] = [one for one in self._list("Groups") if one["displayName"] == name]
        return {names[one["value"]] for one in team.get("members", ())}


async def cycle(directory: Path, office: Office, app: RealScimServer, clock: Calendar, *, full: bool) -> CycleReport:
    for name, secret in (("token", app.token), ("password", office.password)):
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(secret)
    path = directory / "config.toml"
    path.write_text(f"""
[state]
url = "sqlite:///state.db"
[sources.staff]
type = "ldap"
allow_empty = ["members"]
{office.source}
[targets.app]
type = "scim"
url = "{app.url}"
auth = {{ type = "bearer", token = {{ file = "token" }} }}
[jobs.app]
source = "staff"
target = "app"
scope = "all"
full_interval = "1000d"
deletion_share = "100%"
[jobs.app.users]
attributes = [
  {{ to = "userName", from = "mail", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {{ to = "displayName", from = "displayName" }},
  {{ to = "title", from = "title" }},
  {{ to = "{MANAGER}", from = "manager" }},
]
[jobs.app.groups]
attributes = [ {{ to = "displayName", from = "cn", match = 1 }}, {{ to = "members", from = "members" }} ]
""")
    async with wiring.open_house(config.load(path), write=True) as opened:
        house = replace(opened, clock=clock, dice=NoLuck())
        async with house.world("app") as world:
            return await run_cycle(house.plan("app"), world, full=full)


async def forget_what_was_told(directory: Path) -> None:
    """Put the newest token in the place of the job's: as after a server that forgot to tell of what was before."""
    loaded = config.load(directory / "config.toml")
    async with wiring.open_house(loaded, write=True) as house, house.world("app") as world:
        compiled = [KindRules.compile(loaded.jobs["app"], kind, house.plan("app").profile) for kind in KINDS]
        wanted = wanted_of({rules.kind: rules for rules in compiled if rules is not None})
        [token] = [event.token async for event in world.source.read(wanted, None) if isinstance(event, Watermark)]
    with sqlite3.connect(directory / "state.db") as state:
        state.execute("UPDATE jobs SET watermark = ?", (token,))
    state.close()


async def test_a_year_in_an_office(tmp_path: Path, office: Office, real_scim_server: RealScimServer) -> None:
    clock, app = Calendar(), App(real_scim_server)

    async def passes(*, full: bool = False) -> dict[str, int]:
        report = await cycle(tmp_path, office, real_scim_server, clock, full=full)
        assert (report.complete, report.exit_code) == (True, 0), report.problems
        return dict(done(report))

    for who, manager in (("boss", ""), ("ann", "boss"), ("bob", "boss"), ("cleo", "ann")):
        office.hire(who, manager)
    office.team("crew", "ann", "bob")
    assert (await passes())["create"] == 5
    assert (app.active(), app.team("crew")) == ({"boss", "ann", "bob", "cleo"}, {"ann", "bob"})
    assert [app.manager(who) for who in ("boss", "ann", "cleo")] == [None, "boss", "ann"]
    assert await passes() == {}
    office.hire("dan", "ann")
    office.lock("bob")
    office.promote("cleo")
    office.leave("crew", "bob")
    assert await passes() == {"create": 1, "update": 1, "disable": 1, "members_removed": 1}
    assert (app.active(), app.team("crew")) == ({"boss", "ann", "cleo", "dan"}, {"ann"})
    assert (app.users()["cleo"]["title"], app.manager("dan")) == ("Chief", "ann")
    office.rename("boss")
    office.delete("ann")
    assert await passes() == {"disable": 1, "members_removed": 1}
    assert (app.active(), app.team("crew")) == ({"boss", "cleo", "dan"}, set())
    assert await passes() == {}
    assert await passes(full=True) == {}, "a comparison of everything finds nothing that a delta had left out"


async def test_a_comparison_of_everything_says_what_the_directory_had_not_told(
    tmp_path: Path, office: Office, real_scim_server: RealScimServer
) -> None:
    clock = Calendar()
    for who in ("ann", "bob"):
        office.hire(who)
    office.team("crew", "ann")
    await cycle(tmp_path, office, real_scim_server, clock, full=False)
    for who in ("ann", "bob"):
        office.promote(who)
    await forget_what_was_told(tmp_path)
    assert done(await cycle(tmp_path, office, real_scim_server, clock, full=False)) == {}
    report = await cycle(tmp_path, office, real_scim_server, clock, full=True)
    assert done(report) == {"update": 2}
    assert any("had left out 2 users" in problem for problem in report.problems), report.problems


async def test_the_configuration_of_the_page_runs(
    tmp_path: Path, office: Office, real_scim_server: RealScimServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    generic, domain = pages.shown("ldap")
    written = generic
    if "active_directory" in office.source:
        source = generic[generic.index("[sources.staff]") : generic.index("[targets.phone]")]
        written = generic.replace(source, domain.replace("base =", 'ca_file = "ca.pem"\nbase =', 1))
    said = tomllib.loads(office.source)
    shutil.copy(said["ca_file"], tmp_path / "ca.pem")
    here = {
        "ldaps://directory.example.com": said["url"],
        "ldaps://dc1.example.com": said["url"],
        "cn=reconciler,ou=system,dc=example,dc=com": said["bind"]["dn"],
        "reconciler@example.com": said["bind"]["dn"],
        "dc=example,dc=com": "dc=example,dc=test",
        pages.PHONE: real_scim_server.url,
    }
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    office.hire("boss")
    office.hire("ann", "boss")
    office.hire("outsider")
    office.team("APP-Phone", "boss", "ann")
    secrets = {"phone-token": real_scim_server.token, "ldap": office.password}
    report = await pages.first_cycle(tmp_path, written, here, secrets)
    app = App(real_scim_server)
    assert done(report) == {"create": 2}
    assert (app.active(), app.manager("ann")) == ({"boss", "ann"}, "boss")
