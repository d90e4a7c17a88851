"""A tenant behind the double of Microsoft Graph, and sources that read it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from reconciler.core.model import SourceId
from reconciler.net.auth import ClientCredentials
from reconciler.net.client import Client, Lane
from reconciler.net.exchange import AiohttpExchange
from reconciler.ports import Wanted, Watermark
from reconciler.sources.graph import GraphSource
from tests.cycles.calendar import Calendar, NoLuck
from tests.servers.graph import CLIENT_ID, SECRET, TENANT, GraphServer

ATTRIBUTES = frozenset({"jobTitle", "otherMails", "manager", "accountEnabled"})
WANTED = Wanted(ATTRIBUTES, frozenset({"displayName", "description"}), groups=True, memberships=True)


class Office:
    """People and teams of a tenant by name."""

    text, several, reference, repeats = "jobTitle", "otherMails", "manager", False

    def __init__(self, server: GraphServer, wanted: Wanted = WANTED) -> None:
        self.server, self.tenant, self.wanted = server, server.tenant, wanted
        self.ids: dict[str, str] = {}

    def open(self, *, tenant: str = TENANT, allow_empty: Sequence[str] = (), url: str = "") -> GraphSource:
        exchange, clock = AiohttpExchange(connections=2), Calendar()
        origin = self.server.origin
        auth = ClientCredentials(
            exchange,
            clock,
            token_url=f"{origin}/{TENANT}/oauth2/v2.0/token",
            client_id=CLIENT_ID,
            read_secret=lambda: SECRET,
            scopes=(f"{origin}/.default",),
            send="body",
        )
        return GraphSource(
            "office",
            url=url or self.server.url,
            tenant=tenant,
            client=Client(exchange, clock, NoLuck(), lane=Lane(4, None), auth=auth),
            clock=clock,
            allow_empty=frozenset(allow_empty),
        )

    def id_of(self, who: str) -> SourceId:
        return SourceId(self.ids[who])

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None:
        values: dict[str, Any] = {"jobTitle": text or None, "otherMails": list(several)}
        number = self.ids.get(who)
        if number in self.tenant.deleted:
            self.tenant.restore(number)
            self.tenant.users[number].update(values)
        else:
            number = self.ids[who] = self.tenant.put(f"{who}@example.com", **values)
        if boss is not None:
            self.tenant.managers[number] = self.ids[boss]

    async def change(self, who: str, *, text: str) -> None:
        self.tenant.users[self.ids[who]]["jobTitle"] = text

    async def dismiss(self, who: str) -> None:
        self.tenant.remove(self.ids[who])

    async def found(self, team: str, *members: str) -> None:
        number = self.ids[team] = str(uuid.uuid4())
        self.tenant.groups[number] = {"id": number, "displayName": team, "securityEnabled": True}
        self.tenant.members[number] = [self.ids[one] for one in members]

    async def enter(self, team: str, who: str) -> None:
        self.tenant.members[self.ids[team]].append(self.ids[who])

    async def quit(self, team: str, who: str) -> None:
        self.tenant.members[self.ids[team]].remove(self.ids[who])

    async def foreign_tokens(self, token: str) -> Sequence[str]:
        """Return tokens of another tenant and of another question, ones that are too old, and broken ones."""
        question = replace(WANTED, user_attributes=frozenset({"manager"}), group_attributes=frozenset({"mail"}))
        other = await self._token(self.open(), replace(question, memberships=False))
        foreign = await self._token(self.open(tenant="other.onmicrosoft.com"), WANTED)
        too_old = orjson.loads(token)
        for kept in too_old["links"].values():
            kept[1] = kept[1].partition("=")[0] + "=gone"
        broken = ['{"of": 1}', "no json", orjson.dumps({**orjson.loads(token), "links": [1]}).decode()]
        return [foreign, other, orjson.dumps(too_old).decode(), *broken]

    async def fail_midway(self) -> None:
        self.server.refuse_after = 3

    async def _token(self, source: GraphSource, wanted: Wanted) -> str:
        tokens = [event.token async for event in source.read(wanted, None) if isinstance(event, Watermark)]
        await source.close()
        assert tokens[0] is not None
        return tokens[0]

    async def disband(self, team: str) -> None:
        del self.tenant.groups[self.ids[team]], self.tenant.members[self.ids[team]]
