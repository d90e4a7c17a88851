"""Reads what a SCIM 2.0 target holds, sends one operation at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from reconciler.core.model import Change, Identity, Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, ListEnd, ListPage, MembersDone, Missing
from reconciler.core.profile import Profile
from reconciler.dialects import scim, scim_shown
from reconciler.dialects.scim_wire import ENDPOINTS, Wire
from reconciler.net.client import Client
from reconciler.ports import Diagnosis
from reconciler.targets import scim_connection
from reconciler.targets.scim_facts import Facts
from reconciler.targets.scim_finding import Finding
from reconciler.targets.scim_listing import pages
from reconciler.targets.scim_members import Membership
from reconciler.targets.scim_updating import Updating

TIMEOUT_SECONDS = 20.0
"""How long one user may take by default; groups and pages may take three times as long."""
_NAMING: dict[Kind, tuple[str, ...]] = {"user": ("userName", "externalId"), "group": ("displayName", "externalId")}


class ScimTarget:
    """One app that speaks SCIM 2.0 (RFC 7643, RFC 7644), or something like it.

    `paths` are the mapped paths of each kind: what an answer is read for. `facts` is what `facts` gave the last time.
    """

    __slots__ = (
        *("_bodies", "_client", "_facts", "_finding", "_identity", "_members", "_profile", "_readers"),
        *("_updating", "_wire"),
    )

    def __init__(
        self,
        name: str,
        *,
        url: str,
        profile: Profile,
        client: Client,
        paths: Mapping[Kind, Sequence[str]],
        identity: Identity | None = None,
        facts: dict[str, Any] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        entries_max: int | None = None,
    ) -> None:
        self._client, self._profile = client, profile
        self._identity = identity or Identity("scim", url.partition("?")[0].rstrip("/"), name)
        self._wire = Wire(client, url, timeout_seconds, hints=profile.hints, entries_max=entries_max)
        self._facts = Facts(self._wire, profile, facts)
        self._readers = {kind: scim_shown.readers(kind, paths.get(kind, ()), profile) for kind in ENDPOINTS}
        self._bodies = {kind: scim.BodyWriter(kind, profile) for kind in ENDPOINTS}
        self._finding = Finding(self._wire, profile, self._readers)
        self._updating = Updating(self._wire, self._facts, profile, self._readers)
        self._members = Membership(self._wire, self._facts, profile)

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def requests(self) -> Mapping[str, int]:
        return self._client.requests

    @property
    def facts(self) -> dict[str, Any] | None:
        """What was learned of the target, to be remembered as JSON and handed in the next time."""
        return self._facts.remembered

    async def find(self, kind: Kind, path: str, value: str) -> Found | Failed:
        return await self._finding.find(kind, path, value)

    def listing(self, kind: Kind) -> AsyncIterator[ListPage | ListEnd | Failed]:
        return pages(self._wire, self._facts, kind, self._readers[kind])

    async def get(self, kind: Kind, target_id: TargetId) -> Account | Missing | Failed:
        query = "excludedAttributes=members" if kind == "group" else ""
        got = await self._wire.resource(kind, target_id, query, doing=f"reading a {kind}")
        if isinstance(got, Failed):
            return Missing() if got.fault is Fault.NOT_FOUND else got
        _, resource = scim_shown.extract(got[0], self._readers[kind])
        return Account(target_id, resource)

    async def create(self, kind: Kind, resource: Resource) -> Done | Failed:
        doing = f"creating a {kind}"
        body, is_plain = self._bodies[kind](resource)
        answer = await self._wire.send(
            "POST", self._wire.url(kind), body, doing=doing, idempotent=False, paths=resource
        )
        if isinstance(answer, Failed):
            return answer
        content = self._wire.shown(answer, doing, resource)
        if isinstance(content, Failed) and content.fault is not Fault.NOT_SCIM:
            return content
        if isinstance(content, dict):
            if is_plain and scim_shown.shows(content, body):
                account = scim_shown.account_made(content, resource, self._readers[kind])
            else:
                target_id, kept = scim_shown.extract(content, self._readers[kind])
                account = Account(target_id, kept) if target_id is not None else None
            if account is not None:
                return Done(account)
        made = await self._made(kind, resource)
        if made is not None:
            return Done(made)
        if isinstance(content, Failed):
            return content
        reason = f"{doing}: the target answered {answer.status} without an id, and does not show what it made"
        return Failed(Fault.INTERRUPTED, reason, answer.status)

    async def update(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], agreed: Resource
    ) -> Done | Failed:
        return await self._updating.update(kind, target_id, changes, agreed)

    async def delete(self, kind: Kind, target_id: TargetId) -> Done | Missing | Failed:
        url, doing = self._wire.url(kind, target_id), f"deleting a {kind}"
        answer = await self._wire.send("DELETE", url, doing=doing, one=kind, takes_away=True)
        if not isinstance(answer, Failed):
            # A web page, or an error that hides behind a 200, says that nothing was deleted.
            content = self._wire.shown(answer, doing)
            return content if isinstance(content, Failed) else Done()
        if answer.fault is Fault.NOT_FOUND:
            return Missing()
        if answer.fault is Fault.SERVER_ERROR and isinstance(await self.get(kind, target_id), Missing):
            return Missing()
        return answer

    async def change_members(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId], *, filled: bool = False
    ) -> MembersDone | Failed:
        return await self._members.change(group, add, remove, filled=filled)

    async def members(self, group: TargetId) -> frozenset[TargetId] | Missing | Failed:
        return await self._members.read(group)

    async def test(self) -> list[Diagnosis]:
        return await scim_connection.test(self._wire, self._profile, self._client.dice.hex(32))

    async def close(self) -> None:
        await self._client.aclose()

    async def _made(self, kind: Kind, resource: Resource) -> Account | None:
        """Look for what a create made whose answer has no id; None where not exactly one account can be it."""
        for path in _NAMING[kind]:
            value = resource.get(path)
            if isinstance(value, str) and value:
                found = await self._finding.find(kind, path, value)
                if isinstance(found, Found) and len(found.accounts) == 1:
                    return found.accounts[0]
        return None
