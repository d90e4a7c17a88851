"""Changes one account at a SCIM target: by PATCH, or by PUT from a fresh read where a PATCH is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.core.model import Change, Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault
from reconciler.core.paths import Reader
from reconciler.core.profile import Profile
from reconciler.dialects import scim, scim_shown
from reconciler.dialects.scim_wire import Wire, etag_of, is_of
from reconciler.ports import Response
from reconciler.targets.scim_facts import Facts

_GROUP_PATIENCE = 3.0
_TRIES_WHERE_CHANGED_MEANWHILE = 2


class Updating:
    """Sends the changes of one account at a time, in the form that the target was found to take."""

    __slots__ = ("_facts", "_profile", "_readers", "_wire")

    def __init__(
        self, wire: Wire, facts: Facts, profile: Profile, readers: Mapping[Kind, tuple[tuple[str, Reader], ...]]
    ) -> None:
        self._wire, self._facts, self._profile, self._readers = wire, facts, profile, readers

    async def update(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], agreed: Resource
    ) -> Done | Failed:
        """Send exactly these changes; NOT_FOUND means that the account is gone."""
        await self._facts.ask()
        if not self._facts.has_patch or any(self._facts.needs_put(kind, change.path) for change in changes):
            outcome = await self._put(kind, target_id, changes, by_nature=not self._facts.has_patch)
        else:
            outcome = await self._patch(kind, target_id, changes, agreed)
        if isinstance(outcome, Failed) and outcome.fault is Fault.SERVER_ERROR:
            return await self._or_gone(kind, target_id, outcome)
        return outcome

    async def _patch(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], agreed: Resource
    ) -> Done | Failed:
        body = scim.patch_body(kind, changes, self._profile, agreed)
        outcome = await self._send_patch(kind, target_id, changes, body)
        if not isinstance(outcome, Failed):
            misread = _misread(changes, outcome) if kind == "user" else []
            return await self._put_misread(kind, target_id, misread, outcome) if misread else outcome
        if outcome.fault is Fault.NO_TARGET:
            body = scim.patch_body(kind, changes, self._profile, agreed, whole_element=True)
            if not body["Operations"]:
                return Done()
            again = await self._send_patch(kind, target_id, changes, body)
            return again.following(outcome) if isinstance(again, Failed) else again
        if outcome.fault is Fault.UNSUPPORTED or (
            outcome.fault is Fault.INVALID and kind == "user" and _names_a_urn(changes)
        ):
            put = await self._put(kind, target_id, changes, by_nature=False)
            if isinstance(put, Failed):
                refused_too = put.fault in (Fault.UNSUPPORTED, Fault.INVALID)
                return outcome.following(put) if refused_too else replace(put, unsent=False).following(outcome)
            self._facts.note_put(kind, [change.path for change in changes])
            return put
        return outcome

    async def _put_misread(
        self, kind: Kind, target_id: TargetId, misread: Sequence[Change], patched: Done
    ) -> Done | Failed:
        """Write by PUT what a PATCH left as it was; where that works, these paths go by PUT from now on."""
        put = await self._put(kind, target_id, misread, by_nature=False)
        if isinstance(put, Failed):
            refused = put.fault in (Fault.UNSUPPORTED, Fault.INVALID)
            return patched if refused else replace(put, unsent=False, repeated=True)  # the rest of the PATCH was done
        if put.account is not None and not _misread(misread, put):
            self._facts.note_put(kind, [change.path for change in misread])
        return put

    async def _send_patch(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], body: dict[str, Any]
    ) -> Done | Failed:
        """Send one PATCH; where the target wants to know which version is meant, read it and send once more."""
        outcome = await self._write("PATCH", kind, target_id, changes, body, None)
        if isinstance(outcome, Failed) and outcome.fault is Fault.PRECONDITION:
            found = await self._read(kind, target_id)
            if isinstance(found, Failed):
                return found.following(outcome)
            again = await self._write("PATCH", kind, target_id, changes, body, etag_of(*found))
            return again.following(outcome) if isinstance(again, Failed) else again
        return outcome

    async def _put(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], *, by_nature: bool
    ) -> Done | Failed:
        """Read, change, write the whole; once more where somebody else changed it in between.

        A PUT takes away what it does not name, so a group whose members the target may be hiding is left alone,
        unless it can be written in no other way.
        """
        refused = Failed(Fault.PRECONDITION, f"changing a {kind}: it changes all the time", 412)
        for tried in range(_TRIES_WHERE_CHANGED_MEANWHILE):
            found = await self._read(kind, target_id)
            if isinstance(found, Failed):
                return replace(found, unsent=not tried).following(refused)
            content = found[0]
            if kind == "group" and not self._may_put_group(content, by_nature=by_nature):
                reason = "changing a group: it could only be written whole, and the target does not show its members"
                return Failed(Fault.UNSUPPORTED, reason).following(refused)
            body = scim.put_body(kind, _without_torn_urns(content, changes), changes, self._profile)
            etag = etag_of(*found) if self._facts.says("etag") else None
            outcome = await self._write("PUT", kind, target_id, changes, body, etag)
            if not isinstance(outcome, Failed):
                return outcome
            refused = outcome.following(refused)
            if refused.fault is not Fault.PRECONDITION:
                break
        return refused

    def _may_put_group(self, content: Mapping[str, Any], *, by_nature: bool) -> bool:
        if scim_shown.member_ids(content):
            self._facts.note_shows_members(True)
        known = self._facts.shows_members
        return known is True or (by_nature and known is None)

    async def _read(self, kind: Kind, target_id: TargetId) -> tuple[dict[str, Any], Response] | Failed:
        patience = _GROUP_PATIENCE if kind == "group" else 1.0
        doing = f"reading a {kind} before it is changed"
        return await self._wire.resource(kind, target_id, doing=doing, patience=patience)

    async def _write(
        self,
        method: str,
        kind: Kind,
        target_id: TargetId,
        changes: Sequence[Change],
        body: dict[str, Any],
        etag: str | None,
    ) -> Done | Failed:
        doing = f"changing a {kind}"
        sent = [change.path for change in changes]
        quiet = kind == "group" and method == "PATCH" and self._facts.leaves_out is True
        url = self._wire.url(kind, target_id, "excludedAttributes=members" if quiet else "")
        patience = _GROUP_PATIENCE if kind == "group" else 1.0
        disables = any(change.path == self._profile.active and change.new is False for change in changes)
        answer = await self._wire.send(
            method, url, body, doing=doing, paths=sent, patience=patience, etag=etag, one=kind, takes_away=disables
        )
        if isinstance(answer, Failed):
            return answer
        content = self._wire.shown(answer, doing, sent)
        if isinstance(content, Failed):
            return content
        if content is None or content.get("id") is None:
            return Done()
        if not is_of(content, target_id):
            looked_at = await self._read(kind, target_id)
            if isinstance(looked_at, Failed):
                return Done()
            content = looked_at[0]
        return Done(Account(target_id, scim_shown.extract(content, self._readers[kind])[1]))

    async def _or_gone(self, kind: Kind, target_id: TargetId, failure: Failed) -> Failed:
        """Return NOT_FOUND where a 5xx was a server's way to say that there is no such account."""
        query = "excludedAttributes=members" if kind == "group" else ""
        got = await self._wire.resource(kind, target_id, query, doing=f"looking for a {kind}")
        return got if isinstance(got, Failed) and got.fault is Fault.NOT_FOUND else failure


def _is_urn(change: Change) -> bool:
    return change.path.lower().startswith("urn:")


def _names_a_urn(changes: Sequence[Change]) -> bool:
    """Whether a refusal may be of the path itself: some servers cannot take the URN of an extension apart."""
    return any(_is_urn(change) for change in changes)


def _without_torn_urns(content: Mapping[str, Any], changes: Sequence[Change]) -> Mapping[str, Any]:
    """Leave out what a server made of the URN of an extension that it split at a dot: "urn:…:2" of "urn:…:2.0:User"."""
    urns = [change.path.lower() for change in changes if _is_urn(change)]
    if not urns:
        return content
    return {key: value for key, value in content.items() if not any(urn.startswith(f"{key.lower()}.") for urn in urns)}


def _misread(changes: Sequence[Change], outcome: Done) -> list[Change]:
    """Return the changes of an extension that the target claims to have made, while it shows what was there before.

    Some servers split the URN at the dot of its version, and keep the value where nobody looks.
    """
    if outcome.account is None:
        return []
    shown = outcome.account.resource
    return [change for change in changes if _is_urn(change) and shown.get(change.path) == change.old != change.new]
