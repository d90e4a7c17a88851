"""What is changed in the account of somebody who is out of scope is seen; what her app does by itself is no change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from reconciler.ports import Request
from tests.sim.app import BASE, Changed
from tests.sim.life import Calendar, chance
from tests.sim.rules import TARGET_HOST, JobRules, chosen
from tests.sim.town import Town
from tests.sim.watch import Watch

ACCOUNT = "account-1"


class Scene:
    """One person who is out of scope, and whose account the app's administrator has switched off and changed."""

    def __init__(self, state: Path, *drops: str) -> None:
        town, rules = Town(), chosen(chance("1/world"), chance("1/kind"))
        rules.barred, rules.jobs = "Alumni", [JobRules(name="app", interval_minutes=60)]
        owner = town.hire(0.0, department="Alumni")
        self.account: dict[str, Any] = {"id": ACCOUNT, "externalId": owner, "userName": "ann@example.com"}
        self.account |= {"title": "Changed by hand", "displayName": "Ann", "active": False}
        self.watch = Watch(town, lambda: rules, lambda: 1.0, Calendar(), state)
        self.watch.users = lambda: {ACCOUNT: self.account}
        self.watch.drops = lambda: drops
        self.watch.mark()

    def patched(self, path: str, value: Any, *, loses: str) -> list[str]:
        """Send a change after which something of the account is not there any more; return what is wrong with that."""
        body = orjson.dumps({"Operations": [{"op": "replace", "path": path, "value": value}]})
        self.watch.sends(TARGET_HOST, Request("PATCH", f"https://{TARGET_HOST}{BASE}/Users/{ACCOUNT}", body=body))
        after = {name: shown for name, shown in self.account.items() if name != loses}
        self.watch.hears(Changed(1.0, "Users", ACCOUNT, self.account, after))
        return self.watch.broken


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
