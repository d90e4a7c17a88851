"""Reads what a directory behind Microsoft Graph holds, sends one operation at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.core.diffing import is_empty
from reconciler.core.levelling import level
from reconciler.core.model import Change, Identity, Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, ListEnd, ListPage, MembersDone, Missing
from reconciler.core.profile import Profile
from reconciler.dialects import graph
from reconciler.dialects.graph import Call
from reconciler.net.client import Client
from reconciler.ports import Clock, Diagnosis
from reconciler.targets import graph_connection
from reconciler.targets.graph_creating import Creating
from reconciler.targets.graph_domains import Domains
from reconciler.targets.graph_members import Membership
from reconciler.targets.graph_wire import Wire

TIMEOUT_SECONDS = 20.0
_STRANGERS_MAX = 10
_FOUND_PAGES_MAX = 10
"""Who gives more pages to a question does not choose by it."""


class GraphTarget:
    """One tenant that is reached by Microsoft Graph.

    `paths` are the mapped paths of each kind: what an answer is read for. Calls that are made side by side go in
    batches of twenty.
    """

    __slots__ = (
        *("_client", "_creating", "_domains", "_identity", "_members", "_paths", "_profile", "_readers", "_synced"),
        "_wire",
    )

    def __init__(
        self,
        name: str,
        *,
        url: str,
        profile: Profile,
        client: Client,
        clock: Clock,
        paths: Mapping[Kind, Sequence[str]],
        identity: Identity | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        entries_max: int | None = None,
    ) -> None:
        self._client, self._profile, self._paths = client, profile, paths
        self._identity = identity or Identity("graph", url, name)
        self._wire = Wire(client, clock, url, profile, timeout_seconds, entries_max=entries_max)
        self._readers = {kind: graph.readers(kind, paths.get(kind, ()), profile) for kind in graph.COLLECTIONS}
        self._domains = Domains(self._wire, profile)
        self._creating = Creating(self._wire, profile, self._readers)
        self._members = Membership(self._wire)
        self._synced: set[TargetId] = set()
        """Accounts that were seen to have their master elsewhere."""

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def requests(self) -> Mapping[str, int]:
        return self._client.requests

    @property
    def facts(self) -> dict[str, Any] | None:
        """Nothing of a Graph has to be remembered."""
        return None

    async def find(self, kind: Kind, path: str, value: str) -> Found | Failed:
        attribute = self._profile.attribute(kind, path)
        how = self._readers[kind]
        condition = graph.equals(path, value, multivalued=attribute.multivalued)
        call = Call("GET", f"{graph.COLLECTIONS[kind]}?{how.query}&$filter={condition}")
        rows = await self._wire.pages(call, doing=f"asking for a {kind} by {path}", pages_max=_FOUND_PAGES_MAX)
        if isinstance(rows, Failed):
            return rows
        exact, wanted = attribute.case_exact, level(value, exact=attribute.case_exact)
        found: dict[TargetId, Account] = {}
        for account in self._accounts(kind, rows):
            held = account.resource.get(path)
            shown = [str(one) for one in (held if isinstance(held, list) else [held])]
            if wanted in [level(one, exact=exact) for one in shown]:
                found[account.id] = account
        if len(rows) - len(found) >= _STRANGERS_MAX:
            reason = f"asking for a {kind} by {path}: Graph answers with others too, the question does not choose there"
            return Failed(Fault.UNSUPPORTED, reason, 200)
        return Found(tuple(found.values()))

    async def listing(self, kind: Kind) -> AsyncIterator[ListPage | ListEnd | Failed]:
        collection, doing = graph.COLLECTIONS[kind], f"listing {kind}s"
        counted = await self._wire.alone(Call("GET", f"{collection}/$count", None, graph.EVENTUAL), doing=doing)
        total = None
        if not isinstance(counted, Failed) and counted.body.strip(b"\xef\xbb\xbf ").isdigit():
            total = int(counted.body.strip(b"\xef\xbb\xbf "))
        first = f"{collection}?{self._readers[kind].query}&$top={self._profile.page_size}"
        way = self._wire.way(first, total)
        while way.path is not None:
            rows = await self._wire.page(way, doing=doing)
            if isinstance(rows, Failed):
                yield rows
                return
            accounts = self._accounts(kind, rows)
            if len(accounts) < len(rows):
                way.problems["a row has an id that names no resource"] = None
            if accounts:
                yield ListPage(accounts, total)
        yield ListEnd(not way.problems, "; ".join(way.problems))

    async def get(self, kind: Kind, target_id: TargetId) -> Account | Missing | Failed:
        call = Call("GET", graph.one_path(kind, target_id, query=self._readers[kind].query))
        content = await self._wire.read(call, doing=f"reading a {kind}", about=(target_id,))
        if isinstance(content, Failed):
            return Missing() if content.fault is Fault.NOT_FOUND else content
        for account in self._accounts(kind, [content]):
            if account.id.casefold() == target_id.casefold():
                return account
            reason = f"reading a {kind}: Graph shows it under another id: link it by its object id and not by a name"
            return Failed(Fault.NOT_SCIM, reason, 200, code="UnusableAnswer")
        return Failed(Fault.NOT_SCIM, f"reading a {kind}: what answers is not Graph: check the url")

    async def create(self, kind: Kind, resource: Resource) -> Done | Failed:
        return await self.foreseen(kind, list(resource.items())) or await self._creating.create(kind, resource)

    async def update(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], agreed: Resource
    ) -> Done | Failed:
        doing = f"changing a {kind}"
        values = [(change.path, change.new) for change in changes]
        refusal = await self.foreseen(kind, values, target_id)
        if refusal is not None:
            return refusal
        calls: list[Call] = []
        about: set[str] = {target_id}
        apart = [(path, value) for path, value in values if path in graph.SET_APART]
        values = [one for one in values if one not in apart]
        plain = [(path, value) for path, value in values if not self._is_reference(kind, path)]
        if plain:
            body = graph.body(plain, kind, self._profile)
            if isinstance(body, Failed):
                return replace(body, reason=f"{doing}: {body.reason}", unsent=True)
            calls.append(Call("PATCH", graph.one_path(kind, target_id), body))
        for path, value in values:
            referred = self._profile.attribute(kind, path).references
            if referred is None:
                continue
            place = graph.one_path(kind, target_id, f"/{path}/$ref")
            if is_empty(value):
                calls.append(Call("DELETE", place))
            else:
                calls.append(Call("PUT", place, graph.reference_body(self._wire.url, referred, value)))
                about.add(value)
        outcome = await self._wire.write(*calls, doing=doing, about=about) if calls else []
        if isinstance(outcome, Failed) and not (
            outcome.fault is Fault.NOT_FOUND
            and outcome.request.startswith("DELETE")  # there was no reference to take away
            and await self._is_there(kind, target_id)
        ):
            if outcome.fault is Fault.INVALID:  # a day of leaving waits for nobody's job title
                await self._creating.set_apart(kind, target_id, apart, doing=doing)
            return outcome
        refusal = await self._creating.set_apart(kind, target_id, apart, doing=doing)
        if refusal is None:
            return Done()
        return replace(refusal, unsent=refusal.unsent and not calls, repeated=refusal.repeated or bool(calls))

    async def foreseen(
        self, kind: Kind, values: Sequence[tuple[str, Any]], target_id: TargetId | None = None
    ) -> Failed | None:
        doing = f"creating a {kind}" if target_id is None else f"changing a {kind}"
        if target_id in self._synced:
            reason = f"{doing}: a directory on premises is the master of this {kind}; change it there"
            return Failed(Fault.INVALID, reason, code="OnPremisesMastered", unsent=True)
        refusal = await self._domains.refusal(kind, values, doing)
        return None if refusal is None else replace(refusal, unsent=True)

    async def delete(self, kind: Kind, target_id: TargetId) -> Done | Missing | Failed:
        outcome = await self._wire.write(
            Call("DELETE", graph.one_path(kind, target_id)), doing=f"deleting a {kind}", about=(target_id,)
        )
        if isinstance(outcome, Failed):
            return Missing() if outcome.fault is Fault.NOT_FOUND else outcome
        return Done()

    async def change_members(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId], *, filled: bool = False
    ) -> MembersDone | Failed:
        return await self._members.change(group, add, remove)

    async def members(self, group: TargetId) -> frozenset[TargetId] | Missing | Failed:
        return await self._members.read(group)

    async def test(self) -> list[Diagnosis]:
        return await graph_connection.test(self._wire, self._profile, self._domains, self._paths.get("user", ()))

    async def close(self) -> None:
        await self._client.aclose()

    def _is_reference(self, kind: Kind, path: str) -> bool:
        return self._profile.attribute(kind, path).references is not None

    async def _is_there(self, kind: Kind, target_id: TargetId) -> bool:
        return isinstance(await self.get(kind, target_id), Account)

    def _accounts(self, kind: Kind, rows: Sequence[Mapping[str, Any]]) -> list[Account]:
        found: list[Account] = []
        for row in rows:
            account = graph.account(row, self._readers[kind])
            if account is None:
                continue
            found.append(account)
            if row.get(graph.SYNCED) is True:
                self._synced.add(account.id)
        return found
