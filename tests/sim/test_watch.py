"""What is done to the account of somebody who is out of scope is seen, and what only looks like it is excused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from reconciler.ports import Request
from reconciler.store.database import open_database
from reconciler.store.locking import Writer
from tests.sim.app import BASE, Changed
from tests.sim.life import Calendar, chance
from tests.sim.rules import TARGET_HOST, JobRules, chosen
from tests.sim.town import Town
from tests.sim.watch import Watch
from tests.sim.written import Told, untrue

ACCOUNT = "account-1"


class Scene:
    """One person who is out of scope, and whose account the app's administrator has switched off and changed."""

    def __init__(self, state: Path, *drops: str) -> None:
        town, rules = Town(), chosen(chance("1/world"), chance("1/kind"))
        rules.scope, rules.barred, rules.jobs = "all", "Alumni", [JobRules(name="app", interval_minutes=60)]
        owner = town.hire(0.0, department="Alumni")
        self.account: dict[str, Any] = {"id": ACCOUNT, "externalId": owner, "userName": "ann@example.com"}
        self.account |= {"title": "Changed by hand", "displayName": "Ann", "active": False}
        self.town, self.rules, self._state = town, rules, state
        self.calendar = Calendar()
        self.watch = Watch(town, lambda: rules, lambda: 1.0, self.calendar, state)
        self.watch.users = lambda: {ACCOUNT: self.account}
        self.watch.drops = lambda: drops
        self.watch.mark()

    def patched(self, path: str, value: Any, *, loses: str) -> list[str]:
        """Send a change after which something of the account is not there any more; return what is wrong with that."""
        self.sends(path, value)
        return self.becomes({name: shown for name, shown in self.account.items() if name != loses})

    def sends(self, path: str, value: Any) -> None:
        """Send a change, whatever the app says to it."""
        body = orjson.dumps({"Operations": [{"op": "replace", "path": path, "value": value}]})
        self.watch.sends(TARGET_HOST, Request("PATCH", f"https://{TARGET_HOST}{BASE}/Users/{ACCOUNT}", body=body))

    def becomes(self, after: dict[str, Any]) -> list[str]:
        """Show the account as a change has left it; return what is wrong with that."""
        self.watch.hears(Changed(1.0, "Users", ACCOUNT, self.account, after))
        return self.watch.broken

    def follows(self, department: str) -> str:
        """Hire somebody who is to get the account; return her id."""
        id_ = self.town.hire(0.0, department=department)
        self.watch.mark()
        return id_

    def moves(self, id_: str, department: str, *, after: float) -> None:
        """Let somebody get another department after so many seconds."""
        self.calendar.set_by(after)
        self.town.edit(id_, 0.0, department=department)
        self.watch.mark()

    def links(self, id_: str, verdict: str = "inactive", *, off_at: float | None = None) -> None:
        """Write down whose the account is, and what was decided about her last."""
        open_database(f"sqlite:///{self._state}", Writer(1, "test", 0.0)).close()
        with closing(sqlite3.connect(self._state)) as connection, connection:
            connection.execute("INSERT INTO jobs (id, name, epoch) VALUES (1, 'app', 1)")
            row = (1, "user", id_, verdict, ACCOUNT, "", "", off_at)
            columns = "job_id, kind, source_id, verdict, target_id, why, name, attempted_off_at"
            connection.execute(f"INSERT INTO entries ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


async def test_what_an_app_drops_with_a_disable_is_its_own_doing(tmp_path: Path) -> None:
    assert Scene(tmp_path / "state.db", "title").patched("active", False, loses="title") == []


@pytest.mark.parametrize(
    ("drops", "path", "value", "loses"),
    [
        pytest.param((), "active", False, "title", id="an app that keeps it"),
        pytest.param(("title",), "active", False, "displayName", id="something else"),
        pytest.param(("title",), "title", "Engineer", "title", id="no disable"),
    ],
)
async def test_any_other_change_is_not(
    tmp_path: Path, drops: tuple[str, ...], path: str, value: Any, loses: str
) -> None:
    assert Scene(tmp_path / "state.db", *drops).patched(path, value, loses=loses) == [
        f"at 1.000: {ACCOUNT} was changed ({loses}), whose owner is not in scope"
    ]


@pytest.mark.parametrize(
    ("department", "is_sent", "linked_to", "is_right"),
    [
        pytest.param("Development", True, "p002", True, id="given to her, and refused"),
        pytest.param("Development", True, "p001", False, id="still the other's in the state"),
        pytest.param("Development", False, "p002", False, id="never given to her"),
        pytest.param("Alumni", True, "p002", False, id="she is out of scope, too"),
    ],
)
async def test_an_account_whose_new_owner_the_app_has_refused_is_hers(
    tmp_path: Path, department: str, is_sent: bool, linked_to: str, is_right: bool
) -> None:
    scene = Scene(tmp_path / "state.db")
    successor = scene.follows(department)
    assert successor == "p002"
    scene.links(linked_to)
    if is_sent:
        scene.sends("externalId", successor)
    wrong = scene.becomes({**scene.account, "userName": "interim-1-ann@example.com"})
    assert wrong == ([] if is_right else [f"at 1.000: {ACCOUNT} was changed (userName), whose owner is not in scope"])


@pytest.mark.parametrize(
    ("look", "written", "knows"),
    [
        pytest.param("none", "out_of_scope", False, id="nobody looked"),
        pytest.param("none", "in_scope", True, id="nobody looked, and nobody saw her leave"),
        pytest.param("none", "being disabled", False, id="nobody looked, and the disable is on its way"),
        pytest.param("whole", "out_of_scope", True, id="a cycle read everything"),
        pytest.param("part", "out_of_scope", False, id="a cycle did not read everything"),
        pytest.param("part", "in_scope", True, id="a cycle did not read everything, and saw her"),
        pytest.param("cut off", "out_of_scope", False, id="a cycle was cut off"),
        pytest.param("cut off", "in_scope", True, id="a cycle was cut off, and had written down that it saw her"),
    ],
)
async def test_the_time_of_grace_begins_anew_for_whom_the_job_saw_back(
    tmp_path: Path, look: str, written: str, knows: bool
) -> None:
    scene = Scene(tmp_path / "state.db")
    scene.rules.disable_after = "1h"
    scene.account["active"] = True
    if written == "being disabled":
        scene.links("p001", "new", off_at=0.0)
    else:
        scene.links("p001", written)
    scene.moves("p001", "Development", after=7200.0)
    if look != "none":
        scene.watch.under_way.cycle_begins("app")
    if look == "cut off":
        scene.watch.under_way.all_ended()
    scene.watch.under_way.cycle_ends("app", whole=look == "whole")
    scene.moves("p001", "Alumni", after=600.0)
    scene.calendar.set_by(300.0)
    wrong = scene.becomes({**scene.account, "active": False})
    assert wrong == (
        [f"at 1.000: p001's account {ACCOUNT} was disabled after 300 s, allowed after 3600"] if knows else []
    )


def test_of_what_the_log_says_of_an_account_the_last_word_counts() -> None:
    def said(*words: tuple[str, str]) -> list[str]:
        told = [Told("user", operation, status, "t1", "p1") for operation, status in words]
        return list(untrue(told, {"t1": {"active": True}}, {"t1"}, []))

    assert said(("disable", "success")) == ["the log says that t1 of p1 was disabled, and it is on"]
    assert said(("disable", "success"), ("update", "failure")) == said(("disable", "success"))
    assert said(("disable", "success"), ("enable", "failure")) == []
