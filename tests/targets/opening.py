"""Opens the SCIM target as the wiring does, and the two servers that the contract is checked against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from reconciler import config
from reconciler.config.rest_target import api_of
from reconciler.core.model import Identity, Kind, TargetId
from reconciler.core.outcomes import Account, Done, Failed, ListEnd, ListPage
from reconciler.core.profile import PatchDialect, Profile, TargetAttribute, ValueType
from reconciler.net.auth import Bearer
from reconciler.net.client import Client, Lanes
from reconciler.net.exchange import AiohttpExchange
from reconciler.ports import Target
from reconciler.targets.rest import RestTarget
from reconciler.targets.scim import ScimTarget
from tests.net.doubles import LoopClock, SetDice
from tests.servers.asking import Asking
from tests.servers.quirks import Quirks
from tests.servers.real import RealScimServer
from tests.servers.schemas import ENTERPRISE
from tests.servers.scim import ScimServer

WORK_MAIL = 'emails[type eq "work"].value'
DEPARTMENT = f"{ENTERPRISE}:department"
MANAGER = f"{ENTERPRISE}:manager"

USER_PATHS = (
    "userName",
    "externalId",
    "active",
    "displayName",
    "title",
    "name.givenName",
    "name.familyName",
    WORK_MAIL,
    'phoneNumbers[type eq "mobile"].value',
    DEPARTMENT,
    MANAGER,
)
PATHS: dict[Kind, tuple[str, ...]] = {"user": USER_PATHS, "group": ("displayName", "externalId", "members")}

PROFILE = Profile(
    name="contract",
    user_attributes={
        "userName": TargetAttribute("userName", required=True),
        "externalId": TargetAttribute("externalId", case_exact=True),
        "active": TargetAttribute("active", ValueType.BOOLEAN),
        MANAGER: TargetAttribute(MANAGER, ValueType.REFERENCE, references="user"),
    },
    group_attributes={
        "displayName": TargetAttribute("displayName", required=True),
        "externalId": TargetAttribute("externalId", case_exact=True),
        "members": TargetAttribute("members", ValueType.REFERENCE, multivalued=True, references="user"),
    },
)
ENTRA_PROFILE = replace(PROFILE, patch=PatchDialect.ENTRA)
PUT_PROFILE = replace(PROFILE, patch=PatchDialect.PUT)
DESCRIBED = Path(__file__).with_name("described.toml")
"""A profile that describes SCIM as any API: what a description can say must do for what the contract asks."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A target, and beside it the server as a plain HTTP client sees it."""

    target: Target
    ask: Asking

    async def user(self, user_name: str = "ann@example.com", **more: Any) -> Account:
        """Create through the target; return the account."""
        return created(await self.target.create("user", {"userName": user_name, **more}))

    async def group(self, display_name: str = "Sales") -> Account:
        return created(await self.target.create("group", {"displayName": display_name}))

    async def shown(self, kind: Kind, target_id: TargetId) -> dict[str, Any]:
        """Return what the server holds, without the target in between."""
        endpoint = "Users" if kind == "user" else "Groups"
        reply = await self.ask("GET", f"/{endpoint}/{quote(target_id, safe='')}")
        assert reply.status == 200, reply
        body: dict[str, Any] = reply.body
        return body

    async def listed(self, kind: Kind) -> tuple[list[Account], ListEnd | Failed]:
        """Return everything that the target lists, and how it ended."""
        accounts: list[Account] = []
        end: ListEnd | Failed | None = None
        async for event in self.target.listing(kind):
            assert end is None, "nothing comes after the end"
            if isinstance(event, ListPage):
                accounts += event.accounts
            else:
                end = event
        assert end is not None, "a listing has an end"
        return accounts, end


@asynccontextmanager
async def opened(
    server: ScimServer | RealScimServer,
    profile: Profile = PROFILE,
    *,
    concurrency: int = 4,
    read_token: Callable[[], str] | None = None,
    timeout_seconds: float = 30.0,
) -> AsyncIterator[Opened]:
    """Open a ScimTarget on a server; close both it and its connections at the end."""
    clock, dice = LoopClock(), SetDice(0.5)
    parts = urlsplit(server.url)
    exchange = AiohttpExchange(connections=concurrency)
    client = Client(
        exchange,
        clock,
        dice,
        lane=Lanes().lane(parts.netloc, "contract", concurrency=concurrency),
        auth=Bearer(read_token or (lambda: server.token)),
    )
    target = ScimTarget(
        "contract",
        url=server.url,
        profile=profile,
        client=client,
        paths=PATHS,
        identity=Identity("scim", server.url),
        facts=None,
        timeout_seconds=timeout_seconds,
    )
    async with Asking(server) as ask:
        try:
            yield Opened(target, ask)
        finally:
            await target.close()


@asynccontextmanager
async def opened_by_description(
    server: ScimServer | RealScimServer,
    *,
    page_size: int = 7,
    concurrency: int = 4,
    read_token: Callable[[], str] | None = None,
) -> AsyncIterator[Opened]:
    """Open a RestTarget, described as data, on a server that speaks SCIM."""
    described = config.described_profile(DESCRIBED.name, DESCRIBED.parent)
    assert described.table.rest is not None
    profile, clock = described.profile, LoopClock()
    lane = Lanes().lane(urlsplit(server.url).netloc, "described", concurrency=concurrency)
    auth = Bearer(read_token or (lambda: server.token))
    client = Client(AiohttpExchange(connections=concurrency), clock, SetDice(0.5), lane=lane, auth=auth)
    table = described.table.rest
    table = table.model_copy(update={"paging": table.paging.model_copy(update={"size": page_size})})
    target = RestTarget(
        "described",
        url=server.url,
        api=api_of(table, profile.active),
        profile=profile,
        client=client,
        clock=clock,
        paths=PATHS,
    )
    async with Asking(server) as ask:
        try:
            yield Opened(target, ask)
        finally:
            await target.close()


@asynccontextmanager
async def odd(profile: Profile = PROFILE, **quirks: Any) -> AsyncIterator[tuple[ScimServer, Opened]]:
    """Start the double with these quirks, and open a target on it."""
    async with ScimServer(Quirks(**quirks)) as server, opened(server, profile) as at:
        yield server, at


@dataclass(frozen=True, slots=True)
class Spoken:
    """A way in which a server that speaks SCIM is a target: as SCIM, or described as an API like any other."""

    name: str
    change: str
    """The method of its changes of users."""

    @asynccontextmanager
    async def odd(
        self,
        *,
        page_size: int = 100,
        concurrency: int = 4,
        read_token: Callable[[], str] | None = None,
        **quirks: Any,
    ) -> AsyncIterator[tuple[ScimServer, Opened]]:
        """Start the double with these quirks, and open a target on it."""
        async with ScimServer(Quirks(**quirks)) as server:
            token = read_token or (lambda: server.token)
            profile = replace(PROFILE, page_size=page_size)
            at = opened(server, profile, concurrency=concurrency, read_token=token)
            if self.name != "scim":
                at = opened_by_description(server, page_size=page_size, concurrency=concurrency, read_token=token)
            async with at as target:
                yield server, target


SPOKEN = {"scim": Spoken("scim", "PATCH"), "described": Spoken("described", "PUT")}


def created(outcome: Done | Failed) -> Account:
    """Return the account of a create that was done; the port promises that there is one."""
    assert isinstance(outcome, Done), outcome
    assert outcome.account is not None
    return outcome.account
