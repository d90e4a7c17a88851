"""Reads what an app with a REST API holds, sends one operation at a time, by the description in its profile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.core.mapping import MEMBERS
from reconciler.core.model import Change, Identity, Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, ListEnd, ListPage, MembersDone, Missing
from reconciler.core.paths import PathError
from reconciler.core.profile import Profile
from reconciler.dialects import rest_operations
from reconciler.dialects.rest import KeySecret, Listing, id_of
from reconciler.dialects.rest_operations import Api, Collection, Operation
from reconciler.net.client import Client
from reconciler.ports import Clock, Diagnosis, Response
from reconciler.targets import rest_connection
from reconciler.targets.rest_members import Membership
from reconciler.targets.rest_wire import Wire

TIMEOUT_SECONDS = 20.0
_FOUND_PAGES_MAX = 10
"""Who gives more pages to a question does not choose by it."""
_ANOTHER = "the answer is not the one that was asked for"
_KINDS: tuple[Kind, ...] = ("user", "group")


class RestTarget:
    """One app that a profile describes: its operations, their paths and bodies, its pages and its refusals.

    `paths` are the mapped paths of each kind: what an answer is read for.
    """

    __slots__ = ("_client", "_identity", "_members", "_paths", "_profile", "_readers", "_unasked", "_wire", "api")

    def __init__(
        self,
        name: str,
        *,
        url: str,
        api: Api,
        profile: Profile,
        client: Client,
        clock: Clock,
        paths: Mapping[Kind, Sequence[str]],
        identity: Identity | None = None,
        parameters: Mapping[str, str] | None = None,
        key: KeySecret | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        entries_max: int | None = None,
    ) -> None:
        self._client, self._profile, self._paths, self.api = client, profile, paths, api
        self._identity = identity or Identity("rest", url, name)
        self._wire = Wire(
            client,
            clock,
            url,
            api,
            profile,
            parameters=parameters or {},
            key=key,
            timeout_seconds=timeout_seconds,
            entries_max=entries_max,
        )
        self._readers: dict[Kind, rest_operations.Readers] = {}
        for kind in _KINDS:
            collection = api.collection(kind)
            if collection is not None:
                self._readers[kind] = rest_operations.readers(kind, paths.get(kind, ()), collection, profile)
        self._members = Membership(self._wire, profile)
        self._unasked: dict[tuple[Kind, str], Failed] = {}
        """What the app was found not to choose by."""

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def requests(self) -> Mapping[str, int]:
        return self._client.requests

    @property
    def facts(self) -> dict[str, Any] | None:
        """Everything is in the profile: nothing has to be remembered."""
        return None

    async def find(self, kind: Kind, path: str, value: str) -> Found | Failed:
        collection = self.api.collection(kind)
        lookup = None if collection is None else collection.lookups.get(path)
        if collection is None or lookup is None:
            return Failed(Fault.UNSUPPORTED, f"the profile says that {kind}s cannot be asked for by {path}")
        if (kind, path) in self._unasked:
            return self._unasked[kind, path]
        if not value or value in (".", ".."):
            return Found(())
        values = {"value": rest_operations.quoted(value, lookup.quoting)}
        doing = f"asking for a {kind} by {path}"
        if isinstance(lookup.ask, Operation):
            item = await self._wire.item(lookup.ask, values, doing=doing)
            if isinstance(item, Failed):
                refusal = await self._wire.vouched(kind, item) if item.fault is Fault.NOT_FOUND else item
                return Found(()) if refusal.fault is Fault.NOT_FOUND else _to_be_listed(refusal)
            items = [item]
        else:
            listed = await self._answer(lookup.ask, values, kind, path, doing)
            if isinstance(listed, Failed):
                return _to_be_listed(listed)
            items = listed
        attribute = self._profile.attribute(kind, path)
        found: dict[TargetId, Account] = {}
        for each in items:
            account = rest_operations.account(each, collection, self._readers[kind])
            if account is None:
                return self._wire.unreadable("the app shows an account without an id", doing=doing)
            if rest_operations.has(account, path, value, attribute):
                found[account.id] = account
        return Found(tuple(found.values()))

    async def listing(self, kind: Kind) -> AsyncIterator[ListPage | ListEnd | Failed]:
        collection = self.api.collection(kind)
        if collection is None:
            yield _nothing_of(kind)
            return
        walk = self._wire.walk(collection.listing)
        while walk.url is not None:
            page = await self._wire.page(walk, doing=f"listing {kind}s")
            if isinstance(page, Failed):
                yield page
                return
            accounts = self._accounts(kind, collection, page)
            if len(accounts) < len(page):
                walk.problems["an item has an id that names no resource"] = None
            if accounts:
                yield ListPage(accounts, walk.total)
        yield ListEnd(not walk.problems, "; ".join(walk.problems))

    async def get(self, kind: Kind, target_id: TargetId) -> Account | Missing | Failed:
        collection = self.api.collection(kind)
        if collection is None:
            return _nothing_of(kind)
        doing = f"reading a {kind}"
        item = await self._wire.item(collection.get, {"id": target_id}, doing=doing)
        if isinstance(item, Failed):
            refusal = await self._wire.vouched(kind, item) if item.fault is Fault.NOT_FOUND else item
            return Missing() if refusal.fault is Fault.NOT_FOUND else refusal
        account = rest_operations.account(item, collection, self._readers[kind])
        if account is None or account.id != target_id:
            return self._wire.unreadable(_ANOTHER, doing=doing)
        return account

    async def create(self, kind: Kind, resource: Resource) -> Done | Failed:
        collection = self.api.collection(kind)
        doing = f"creating a {kind}"
        if collection is None or collection.create is None:
            return Failed(Fault.UNSUPPORTED, f"{doing}: the profile says that it cannot be done")
        switched = {self._profile.active} if collection.disable or collection.enable else set[str]()
        try:
            values = [(path, value) for path, value in resource.items() if path not in switched]
            sent = rest_operations.document(kind, values, collection, self._profile)
        except PathError as error:
            return Failed(Fault.INVALID, f"{doing}: {error}")
        answer = await self._wire.send(collection.create, {}, sent, doing=doing, attributes=resource)
        if isinstance(answer, Failed):
            return answer
        account = self._shown(kind, collection, collection.create, answer, doing)
        if account is None:
            account = await self._made(kind, collection, resource)
        if account is not None:
            return Done(account)
        reason = f"{doing}: the app answered {answer.status} without an id, and does not show what it made"
        return Failed(Fault.INTERRUPTED, reason, answer.status)

    async def update(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], agreed: Resource
    ) -> Done | Failed:
        collection = self.api.collection(kind)
        if collection is None:
            return _nothing_of(kind)
        doing, rest = f"changing a {kind}", [change for change in changes if change.path != MEMBERS]
        account, says_something_else, switched = None, False, False
        for change in rest:
            switch = None
            if kind == "user" and change.path == self._profile.active:
                switch = collection.enable if change.new is True else collection.disable
            if switch is not None:
                answer = await self._wire.send(switch, {"id": target_id}, doing=doing)
                if isinstance(answer, Failed):
                    return await self._or_gone(kind, target_id, answer)
                account = self._shown_as(kind, target_id, collection, switch, answer, doing)
                says_something_else = account is None and bool(answer.body.strip())
                rest.remove(change)
                switched = True
                break
        if not rest:
            return Done(await self._looked_at(kind, target_id) if says_something_else else account)
        if collection.update is None:
            named = ", ".join(change.path for change in rest)
            why = f"{doing}: the profile says that {named} cannot be changed"
            return Failed(Fault.UNSUPPORTED, why, unsent=not switched, repeated=switched)
        sent = await self._to_send(kind, target_id, rest, collection, doing)
        if isinstance(sent, Failed):
            return await self._or_gone(kind, target_id, replace(sent, unsent=not switched, repeated=switched))
        paths = [change.path for change in rest]
        answer = await self._wire.send(collection.update, {"id": target_id}, sent, doing=doing, attributes=paths)
        if isinstance(answer, Failed):
            answer = replace(answer, unsent=answer.unsent and not switched, repeated=answer.repeated or switched)
            return await self._or_gone(kind, target_id, answer)
        account = self._shown_as(kind, target_id, collection, collection.update, answer, doing)
        says_something_else |= bool(answer.body.strip())
        return Done(await self._looked_at(kind, target_id) if account is None and says_something_else else account)

    async def delete(self, kind: Kind, target_id: TargetId) -> Done | Missing | Failed:
        collection = self.api.collection(kind)
        if collection is None or collection.delete is None:
            return Failed(Fault.UNSUPPORTED, f"deleting a {kind}: the profile says that it cannot be done")
        answer = await self._wire.send(collection.delete, {"id": target_id}, doing=f"deleting a {kind}")
        if not isinstance(answer, Failed):
            return Done()
        refusal = await self._or_gone(kind, target_id, answer)
        return Missing() if refusal.fault is Fault.NOT_FOUND else refusal

    async def change_members(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId], *, filled: bool = False
    ) -> MembersDone | Failed:
        return await self._members.change(group, add, remove)

    async def members(self, group: TargetId) -> frozenset[TargetId] | Missing | Failed:
        return await self._members.read(group)

    async def test(self) -> list[Diagnosis]:
        return await rest_connection.test(self._wire, [kind for kind in _KINDS if self._paths.get(kind)] or ["user"])

    async def close(self) -> None:
        await self._client.aclose()

    async def _answer(
        self, listing: Listing, values: Mapping[str, str], kind: Kind, path: str, doing: str
    ) -> list[dict[str, Any]] | Failed:
        """Return all that a question is answered with; "there is none" is not concluded from a part of it."""
        walk, items, pages = self._wire.walk(listing, values), list[dict[str, Any]](), 0
        while walk.url is not None:
            if pages == _FOUND_PAGES_MAX:
                reason = f"{doing}: the app answers with everybody, the question does not choose there"
                self._unasked[kind, path] = Failed(Fault.UNSUPPORTED, reason, 200)
                return self._unasked[kind, path]
            page = await self._wire.page(walk, doing=doing)
            if isinstance(page, Failed):
                return page
            items += page
            pages += 1
        if walk.problems:
            return replace(self._wire.unreadable(next(iter(walk.problems)), doing=doing), code="UnusableAnswer")
        return items

    async def _to_send(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], collection: Collection, doing: str
    ) -> dict[str, Any] | Failed:
        """Return what {*} stands for in an update: the changes, or with them the whole of what they are parts of."""
        values = [(change.path, change.new) for change in changes]
        paths = [change.path for change in changes]
        is_part = rest_operations.touches_an_element(paths, collection)
        try:
            if not collection.whole and not is_part:
                return rest_operations.document(kind, values, collection, self._profile)
            item = await self._wire.item(collection.get, {"id": target_id}, doing=f"reading a {kind} before {doing}")
            if isinstance(item, Failed):
                return item
            if id_of(item, collection.listing.id) != target_id:
                return self._wire.unreadable(_ANOTHER, doing=doing)
            whole = rest_operations.document(kind, values, collection, self._profile, base=item)
        except PathError as error:
            return Failed(Fault.INVALID, f"{doing}: {error}")
        if not collection.whole:
            return rest_operations.touched_of(paths, collection, whole)
        return {name: value for name, value in whole.items() if name not in collection.leaves_out}

    async def _made(self, kind: Kind, collection: Collection, resource: Resource) -> Account | None:
        """Look for what a create made whose answer has no id; None where not exactly one account can be it."""
        for path in collection.lookups:
            value = resource.get(path)
            if isinstance(value, str) and value:
                found = await self.find(kind, path, value)
                if isinstance(found, Found) and len(found.accounts) == 1:
                    return found.accounts[0]
        return None

    async def _or_gone(self, kind: Kind, target_id: TargetId, failure: Failed) -> Failed:
        """Return a failure; a 404 only where the account is not shown either: the operation itself may not be there."""
        if failure.fault is not Fault.NOT_FOUND:
            return failure
        match await self.get(kind, target_id):
            case Failed() as refusal:
                return refusal.following(failure)
            case Account():
                reason = f"{failure.reason}; the {kind} itself is shown: is the path of this operation right?"
                return replace(failure, fault=Fault.UNSUPPORTED, reason=reason)
            case _:
                return failure

    async def _looked_at(self, kind: Kind, target_id: TargetId) -> Account | None:
        """Return what is there after a success that said something else: it may be a refusal in its words."""
        shown = await self.get(kind, target_id)
        return shown if isinstance(shown, Account) else None

    def _shown_as(
        self,
        kind: Kind,
        target_id: TargetId,
        collection: Collection,
        operation: Operation,
        answer: Response,
        doing: str,
    ) -> Account | None:
        """Return the account that an answer shows, None where it shows none, or another one."""
        account = self._shown(kind, collection, operation, answer, doing)
        return account if account is not None and account.id == target_id else None

    def _shown(
        self, kind: Kind, collection: Collection, operation: Operation, answer: Response, doing: str
    ) -> Account | None:
        """Return the account that an answer shows, None where it shows none."""
        item = self._wire.item_of(answer, operation, doing=doing)
        return None if isinstance(item, Failed) else rest_operations.account(item, collection, self._readers[kind])

    def _accounts(self, kind: Kind, collection: Collection, items: Sequence[dict[str, Any]]) -> list[Account]:
        found = (rest_operations.account(item, collection, self._readers[kind]) for item in items)
        return [account for account in found if account is not None]


def _to_be_listed(refusal: Failed) -> Failed:
    """Return what a refused question means: one that the app does not take is answered by its list."""
    return replace(refusal, fault=Fault.UNSUPPORTED) if refusal.fault is Fault.INVALID else refusal


def _nothing_of(kind: Kind) -> Failed:
    return Failed(Fault.UNSUPPORTED, f"the profile says nothing of {kind}s")
