"""Makes users and groups in Graph, or takes back out of the recycle bin who was deleted there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from reconciler.core.diffing import is_empty
from reconciler.core.model import Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault
from reconciler.core.profile import Profile
from reconciler.dialects import graph
from reconciler.dialects.graph import Call, Readers
from reconciler.net.client import Client
from reconciler.targets.graph_wire import Wire

_PASSWORD_DIGITS = 32
_BIN_PAGES_MAX = 10
"""With more deleted users whose names end on the one that is looked for, it is not known whether she is among them."""
_GROUP_KIND = {"mailEnabled": False, "securityEnabled": True}
"""What a group is that members are given access by."""


class Creating:
    """Creates with what Graph requires and no source has: an initial password."""

    __slots__ = ("_profile", "_readers", "_wire")

    def __init__(self, wire: Wire, profile: Profile, readers: Mapping[Kind, Readers]) -> None:
        self._wire, self._profile, self._readers = wire, profile, readers

    async def create(self, kind: Kind, resource: Resource) -> Done | Failed:
        """Return the account with all that was set; what could not be set yet is left out of it."""
        doing = f"creating a {kind}"
        body = graph.body(self._at_once(kind, resource), kind, self._profile)
        if isinstance(body, Failed):
            return replace(body, reason=f"{doing}: {body.reason}", unsent=True)
        if kind == "user":
            restored = await self._restored(resource, body)
            if restored is not None:
                return restored
        body |= _passwords(self._wire.client) if kind == "user" else _group(body, self._wire.client)
        account = await self._sent(kind, body, doing=doing)
        if isinstance(account, Failed):
            if kind == "group" and account.may_have_been_done:
                return await self._group_made(resource, body["mailNickname"], account)
            return account
        self._wire.note_born(account.id)
        kept = {path: value for path, value in resource.items() if path in dict(self._at_once(kind, resource))}
        kept |= account.resource
        return Done(Account(account.id, {**kept, **await self._completed(kind, account.id, resource)}))

    async def _sent(self, kind: Kind, body: dict[str, Any], *, doing: str) -> Account | Failed:
        """Send a create; return what the answer shows. One that names nobody leaves the same doubt as none."""
        answers = await self._wire.write(Call("POST", graph.COLLECTIONS[kind], body), doing=doing)
        if isinstance(answers, Failed):
            return answers
        account = graph.account(graph.json_object(answers[0].body), self._readers[kind])
        return account or Failed(Fault.INTERRUPTED, f"{doing}: Graph answered without an id", answers[0].status)

    async def _group_made(self, resource: Resource, nickname: str, unanswered: Failed) -> Done | Failed:
        """Look for what a create without an answer made: names of groups are not unique, so another makes a second one.

        Where it is not shown, it may be later: nobody sends it again before the next cycle.
        """
        query = f"{self._readers['group'].query}&$filter={graph.equals('mailNickname', nickname, multivalued=False)}"
        call = Call("GET", f"{graph.COLLECTIONS['group']}?{query}")
        rows = await self._wire.once_shown(call, doing="looking for a group made just now")
        found = [graph.account(row, self._readers["group"]) for row in rows] if not isinstance(rows, Failed) else []
        account = found[0] if len(found) == 1 else None
        if account is None or account.resource.get("displayName") != resource.get("displayName"):
            return replace(unanswered, timed_out=True)
        self._wire.note_born(account.id)
        return Done(account)

    async def set_apart(
        self, kind: Kind, target_id: TargetId, values: Sequence[tuple[str, Any]], *, doing: str
    ) -> Failed | None:
        """Set what has a permission of its own; return why that was not done."""
        if not values:
            return None
        body = graph.body(values, kind, self._profile)
        if isinstance(body, Failed):
            return replace(body, reason=f"{doing}: {body.reason}")
        call = Call("PATCH", graph.one_path(kind, target_id), body)
        done = await self._wire.write(call, doing=doing, about=(target_id,))
        return done if isinstance(done, Failed) else None

    def _at_once(self, kind: Kind, resource: Resource) -> list[tuple[str, Any]]:
        return [
            (path, value)
            for path, value in resource.items()
            if path not in graph.SET_APART and self._profile.attribute(kind, path).references is None
        ]

    async def _completed(self, kind: Kind, target_id: TargetId, resource: Resource) -> Resource:
        """Set what a new account can only be given once it is there; return what was set."""
        later = [(path, value) for path, value in resource.items() if path in graph.SET_APART]
        refusal = await self.set_apart(kind, target_id, later, doing=f"completing a new {kind}")
        return {**(dict(later) if refusal is None else {}), **await self._refer(kind, target_id, resource)}

    async def _refer(self, kind: Kind, target_id: TargetId, resource: Resource) -> Resource:
        """Set the references of a new account; return those that are set."""
        done: Resource = {}
        for path, value in resource.items():
            referred = self._profile.attribute(kind, path).references
            if referred is None or is_empty(value) or not isinstance(value, str):
                continue
            body = graph.reference_body(self._wire.url, referred, value)
            call = Call("PUT", graph.one_path(kind, target_id, f"/{path}/$ref"), body)
            outcome = await self._wire.write(call, doing=f"completing a new {kind}", about=(target_id, value))
            if not isinstance(outcome, Failed):
                done[path] = value
        return done

    # --- the recycle bin ---

    async def _restored(self, resource: Resource, body: Mapping[str, Any]) -> Done | Failed | None:
        """Take the one soft-deleted user of this name out of the recycle bin; None where there is none, or several."""
        name, mail = resource.get("userPrincipalName"), resource.get("mail")
        if not isinstance(name, str):
            return None
        mail = mail if isinstance(mail, str) else None
        first, doing = Call("GET", graph.deleted(name, mail), None, graph.EVENTUAL), "looking into the recycle bin"
        rows = await self._wire.pages(first, doing=doing, pages_max=_BIN_PAGES_MAX)
        if isinstance(rows, Failed):
            return None if rows.fault in (Fault.FORBIDDEN, Fault.INVALID) else replace(rows, unsent=True)
        found = [row for row in rows if graph.was_called(row, name, mail)]
        if len(found) != 1 or graph.is_somebody_else(found[0], resource.get("employeeId")):
            return None
        target_id = TargetId(str(found[0]["id"]))
        place = f"/directory/deletedItems/{quote(target_id, safe='')}/restore"
        answers = await self._wire.write(Call("POST", place), doing="restoring a deleted user")
        if isinstance(answers, Failed):
            # what is not there any more, or whose own name somebody has by now, stays where it is
            gives_way = answers.fault in (Fault.NOT_FOUND, Fault.CONFLICT)
            return None if gives_way else _of_this_one(answers, unsent=not answers.may_have_been_done)
        self._wire.note_born(target_id)
        account = Account(target_id, await self._brought_up_to_date(target_id, resource, body))
        return Done(account, was_there=True, groups=await self._groups_of(target_id))

    async def _groups_of(self, target_id: TargetId) -> tuple[TargetId, ...] | None:
        """Return the groups that somebody is in who was restored: they are those of before."""
        place = graph.one_path("user", target_id, "/memberOf/microsoft.graph.group", "$select=id&$top=999")
        rows = await self._wire.pages(Call("GET", place), doing="reading the groups of a restored user")
        if isinstance(rows, Failed):
            return None
        return tuple(TargetId(str(row["id"])) for row in rows if "id" in row)

    async def _brought_up_to_date(self, target_id: TargetId, resource: Resource, body: Mapping[str, Any]) -> Resource:
        """Return what somebody who was restored is known to have by now: of before, and of what is wanted.

        What is refused, or not answered, is not told: the account is on, so it has to be somebody's all the same.
        """
        doing, how = "bringing a restored user up to date", self._readers["user"]
        call = Call("GET", graph.one_path("user", target_id, query=how.query))
        content = await self._wire.read(call, doing=doing, about=(target_id,))
        before = None if isinstance(content, Failed) else graph.account(content, how)
        wanted = dict(self._at_once("user", resource))
        has = {path: value for path, value in before.resource.items() if path not in wanted} if before else {}
        call = Call("PATCH", graph.one_path("user", target_id), body)
        if isinstance(await self._wire.write(call, doing=doing, about=(target_id,)), Failed):
            return has
        has |= wanted
        stale = [(path, None) for path, _ in how.values if path in graph.SET_APART - resource.keys()]
        if await self.set_apart("user", target_id, stale, doing=doing) is None:  # who comes back has not left
            has = {path: value for path, value in has.items() if path not in dict(stale)}
        return has | await self._completed("user", target_id, resource)


def _of_this_one(failure: Failed, *, unsent: bool = False) -> Failed:
    """Return a failure to restore somebody: that an administrator is not ours to bring back says nothing of others."""
    if failure.fault is Fault.FORBIDDEN:
        return replace(failure, fault=Fault.INVALID, code="InsufficientRights", unsent=unsent)
    return replace(failure, unsent=unsent)


def _passwords(client: Client) -> dict[str, Any]:
    """Return an initial password that nobody is told, and that is changed at the first sign-in."""
    password = f"A!{client.dice.hex(_PASSWORD_DIGITS)}"
    return {"passwordProfile": {"forceChangePasswordNextSignIn": True, "password": password}}


def _group(body: Mapping[str, Any], client: Client) -> dict[str, Any]:
    made: dict[str, Any] = {name: value for name, value in _GROUP_KIND.items() if name not in body}
    if "mailNickname" not in body:
        made["mailNickname"] = f"g{client.dice.hex(16)}"
    return made
