"""Every kind of source and target that speaks HTTP, each at one address, built from a configuration as jobs have it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler import config
from reconciler.core.model import SourceId
from reconciler.core.outcomes import Failed, ListEnd
from reconciler.net.client import Lanes
from reconciler.ports import Dice, EntryPage, ReadEnd, Source, Target, Wanted
from reconciler.wiring.connecting import REAL, Connect
from reconciler.wiring.sources import build_source
from reconciler.wiring.targets import build_target
from tests.cycles.calendar import Calendar, NoLuck
from tests.targets.test_rest import PROFILE

TOKEN = "hostile-token"
WANTED = Wanted(frozenset({"mail"}), frozenset({"displayName"}))
DESCRIPTION = """
name = "Staff"
active = "active"
[paging]
kind = "next"
next = "next"
[users]
path = "/people"
items = "people"
id = "key"
expects = ["active"]
one = "/people/{id}"
one_item = "person"
[users.attributes]
mail = "email"
"""
_TENANT = """
tenant = "contoso.example"
client_id = "c-1"
client_secret = { file = "token" }
url = "{url}/v1.0"
login_url = "{login_url}"
"""
_BEARER = 'url = "{url}"\nauth = { type = "bearer", token = { file = "token" } }\n'
_OAUTH = """
url = "{url}"
auth = { type = "oauth2", token_url = "{token_url}", client_id = "c-1", client_secret = { file = "token" } }
"""
SOURCES: dict[str, str] = {
    "scim source": 'type = "scim"\nattributes = { mail = "userName" }\n' + _BEARER,
    "rest source": 'type = "rest"\ndescription = "staff.toml"\n' + _BEARER,
    "graph source": 'type = "graph"\n' + _TENANT,
}
TARGETS: dict[str, str] = {
    "scim target": 'type = "scim"\n' + _BEARER,
    "rest target": 'type = "rest"\nprofile = "desk.toml"\nparameters = { workspace = "w1" }\n' + _BEARER,
    "graph target": 'type = "graph"\n' + _TENANT,
}
SYSTEMS = [*SOURCES, *TARGETS]
_MATCHES = {"scim target": "userName", "rest target": "email", "graph target": "userPrincipalName"}
_MAPPED = {
    "scim target": '{ to = "userName", from = "mail", match = 1 }',
    "rest target": '{ to = "email", from = "mail", match = 1 }',
    "graph target": """{ to = "userPrincipalName", from = "mail", match = 1 },
  { to = "accountEnabled", constant = true }, { to = "displayName", constant = "x" },
  { to = "mailNickname", constant = "x" }""",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """What came of one list: who, whether that is everybody, and what was said about it."""

    ids: list[str]
    complete: bool
    said: str


class System:
    """A source, or a target, that a test asks for its users."""

    def __init__(self, name: str, is_: Any) -> None:
        self.name, self.is_ = name, is_

    async def listed(self) -> Listed:
        """List all users."""
        ids: list[str] = []
        if self.name in SOURCES:
            async for event in self.source.read(WANTED, None):
                if isinstance(event, EntryPage):
                    ids += [entry.id for entry in event.entries]
                elif isinstance(event, ReadEnd):
                    return Listed(ids, event.complete, " ".join(event.problems))
        else:
            async for came in self.target.listing("user"):
                match came:
                    case ListEnd(complete=complete, why=why):
                        return Listed(ids, complete, why)
                    case Failed(reason=reason):
                        return Listed(ids, False, reason)
                    case page:
                        ids += [account.id for account in page.accounts]
        raise AssertionError("a list has an end")

    async def asked(self) -> object:
        """Ask for one: of a source by the id, of a target by its matching attribute."""
        if self.name in SOURCES:
            return await self.source.fetch("user", [SourceId("00000000-0000-4000-8000-000000000001")], WANTED)
        return await self.target.find("user", _MATCHES[self.name], "ann@example.com")

    async def tested(self) -> list[str]:
        """Test the connection; return what was found to be wrong."""
        lines = await (self.source.test(WANTED) if self.name in SOURCES else self.target.test())
        return [line.text for line in lines if not line.ok]

    @property
    def source(self) -> Source:
        source: Source = self.is_
        return source

    @property
    def target(self) -> Target:
        target: Target = self.is_
        return target


def configured(directory: Path, name: str, url: str, lines: str = "", *, token_url: str = "") -> config.Config:
    """Write a configuration in which this one is at `url`, and load it; with `token_url` it takes OAuth tokens."""
    token = directory / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    (directory / "staff.toml").write_text(DESCRIPTION, "utf-8")
    (directory / "desk.toml").write_text(PROFILE, "utf-8")
    is_source = name in SOURCES
    table = {**SOURCES, **TARGETS}[name].replace(_BEARER, _OAUTH if token_url else _BEARER)
    table = table.replace("{token_url}", token_url).replace("{login_url}", token_url or url)
    table = table.replace("{url}", url) + lines
    source = table if is_source else 'type = "file"\nusers = "users.jsonl"\nactive = "active"'
    target = 'type = "scim"\nurl = "http://127.0.0.1:9"\n' if is_source else table
    mapped = _MAPPED["scim target" if is_source else name]
    path = directory / "config.toml"
    path.write_text(
        f"[sources.staff]\n{source}\n[targets.app]\n{target}\n"
        f'[jobs.app]\nsource = "staff"\ntarget = "app"\nscope = "all"\n[jobs.app.users]\nattributes = [{mapped}]\n',
        "utf-8",
    )
    return config.load(path)


@asynccontextmanager
async def system(
    loaded: config.Config, name: str, connect: Connect = REAL, dice: Callable[[], Dice] = NoLuck
) -> AsyncIterator[System]:
    """Build the one that a configuration is about; close it at the end."""
    clock, lanes = Calendar(), Lanes()
    is_: Any
    if name in SOURCES:
        is_ = build_source(loaded, "staff", clock, dice(), lanes, connect)
    else:
        is_ = build_target(loaded, "app", clock, dice(), lanes, None, None, connect)
    try:
        yield System(name, is_)
    finally:
        await is_.close()
