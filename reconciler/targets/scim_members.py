"""Adds and removes the members of a group at a SCIM target, in batches, in the form that the target takes.

By RFC 7644 §3.5.2.2 members leave by `members[value eq "id"]`. Targets that refuse this get a list; since by the letter
of the RFC a list empties the whole group, its first use is read back and put right. What is left is a PUT of the group.
A PATCH asks to leave the members out of its answer only where that was seen to lose none: some servers then write the
group without them. It is found out with the first large group that is filled.

Whom an answer shows in the group after he was taken out of it, and a second look too, is not out. Who is missing after
he was put in may be in all the same: long lists are cut.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from reconciler.core.model import TargetId
from reconciler.core.outcomes import Failed, Fault, MembersDone, Missing
from reconciler.core.profile import PatchDialect, Profile
from reconciler.dialects import scim, scim_shown
from reconciler.dialects.scim import RemoveForm
from reconciler.dialects.scim_wire import Wire, etag_of
from reconciler.ports import Response, chunks
from reconciler.targets.scim_facts import Facts

_PATIENCE = 3.0
_TRIES_WHERE_CHANGED_MEANWHILE = 2
_HALVED = (Fault.INVALID, Fault.TOO_LARGE, Fault.NO_TARGET)
_MANY = 1000
"""From so many new members on it is worth finding out whether they need not be shown after each batch."""
_DOING = "changing the members of a group"

_STAYED = Failed(
    Fault.UNSUPPORTED,
    f"{_DOING}: the target did not take the member out: it answered success, and shows the member in the group still",
    200,
    code="RemovalNotKept",
)

Send = Callable[[Sequence[TargetId]], Awaitable[Failed | None]]
"""Sends one batch; None: the target did it, but for those whom the run has among the refused."""
Still = frozenset[TargetId]
"""Those to be taken out whom the target's answer shows in the group; nobody also where it shows no members."""


@dataclass(slots=True)
class _Run:
    """What became of the ids of one call so far; `failure` ends it."""

    done: list[TargetId] = field(default_factory=list)
    refused: dict[TargetId, Failed] = field(default_factory=dict)
    failure: Failed | None = None

    def is_whole(self, refused_before: int) -> bool:
        """Whether nothing failed and nothing more was refused since there were so many refusals."""
        return self.failure is None and len(self.refused) == refused_before


class Membership:
    """The memberships of one target."""

    __slots__ = ("_facts", "_filled", "_not_empty", "_profile", "_proving", "_wire")

    def __init__(self, wire: Wire, facts: Facts, profile: Profile) -> None:
        self._wire, self._facts, self._profile = wire, facts, profile
        self._proving = anyio.Lock()
        """Held by whoever finds out how members leave: what goes wrong with that does so in one group."""
        self._filled: set[TargetId] = set()
        """Groups that certainly have members, because we have just added some."""
        self._not_empty: set[TargetId] = set()
        """Groups that had members before anything was changed here."""

    async def read(self, group: TargetId) -> frozenset[TargetId] | Missing | Failed:
        """Return who is in the group; Failed where the target is known not to show it."""
        got = await self._read(group)
        if isinstance(got, Failed):
            return Missing() if got.fault is Fault.NOT_FOUND else got
        return self._shown(group, got[0])

    async def change(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId], *, filled: bool = False
    ) -> MembersDone | Failed:
        """Add, then remove. What was done before a failure is told; the rest is refused with it."""
        run = _Run()
        if filled:
            self._not_empty.add(group)
        if add or remove:
            await self._facts.ask()
        if len(add) >= _MANY and self._facts.leaves_out is None and not self._writes_whole_groups():
            add = await self._find_out_with(group, list(dict.fromkeys(add)), run)
        for ids, send in ((add, self._adding(group)), (remove, self._removing(group, run))):
            for batch in chunks(list(dict.fromkeys(ids)), self._facts.members_per_request):
                await self._send(batch, send, run)
        failure = run.failure
        if failure is None:
            return MembersDone(tuple(dict.fromkeys(run.done)), run.refused)
        if failure.fault is Fault.NOT_FOUND or not run.done:
            return failure
        settled = {*run.done, *run.refused}
        run.refused |= {one: failure for one in (*add, *remove) if one not in settled}
        return MembersDone(tuple(run.done), run.refused)

    async def _find_out_with(self, group: TargetId, add: Sequence[TargetId], run: _Run) -> Sequence[TargetId]:
        """Add two batches to a group that is still empty, the second one quietly; return who is left to be added.

        Whoever is not there afterwards is added again at once. Nobody else is at risk: the group had no members.
        """
        async with self._proving:
            size = self._facts.members_per_request
            first, second = add[:size], add[size : 2 * size]
            before = await self._read(group)
            if self._facts.leaves_out is not None or isinstance(before, Failed) or scim_shown.member_ids(before[0]):
                return add
            await self._send(first, self._adding(group), run)
            if not run.is_whole(0) or self._writes_whole_groups():
                return add[size:]
            quiet = await self._patch(group, scim.members_body(self._profile, add=second), quietly=True)
            after = await self._read(group)
            there = frozenset() if isinstance(after, Failed) else scim_shown.member_ids(after[0])
            if not isinstance(quiet, Failed) and not isinstance(after, Failed):
                self._facts.note_leaves_out(there >= {*first, *second})
            await self._send([one for one in first if one not in there], self._adding(group), run)
            run.done.extend(one for one in second if one in there)
            return [one for one in add[size:] if one not in there]

    # --- batches ---

    async def _send(self, batch: Sequence[TargetId], send: Send, run: _Run, *, repeated: bool = False) -> None:
        """Send a batch; what the target finds too much or wrong is halved until the one that it refuses is alone.

        `repeated`: they were sent together with others before, and nobody knows whether that was done.
        """
        if run.failure is not None or not batch:
            return
        outcome = await send(batch)
        repeated = repeated or (outcome is not None and outcome.repeated)
        if outcome is None:
            run.done.extend(one for one in batch if one not in run.refused)
        elif outcome.fault not in _HALVED:
            run.failure = replace(outcome, repeated=repeated)
        elif len(batch) == 1:
            run.refused[batch[0]] = replace(outcome, repeated=repeated)
        else:
            refused_before, middle = len(run.refused), (len(batch) + 1) // 2
            await self._send(batch[:middle], send, run, repeated=repeated)
            await self._send(batch[middle:], send, run, repeated=repeated)
            if run.is_whole(refused_before):
                self._facts.note_members_per_request(middle)  # nobody was wrong, so it was the number

    def _adding(self, group: TargetId) -> Send:
        async def send(ids: Sequence[TargetId]) -> Failed | None:
            if self._writes_whole_groups():
                return _failure(await self._put(group, add=ids))
            outcome = await self._patch(group, scim.members_body(self._profile, add=ids))
            if isinstance(outcome, Failed) and outcome.fault is Fault.UNSUPPORTED:
                return _failure(await self._put_instead(group, outcome, add=ids))
            if not isinstance(outcome, Failed):
                self._filled.add(group)
            return _failure(outcome)

        return send

    def _removing(self, group: TargetId, run: _Run) -> Send:
        async def send(ids: Sequence[TargetId]) -> Failed | None:
            outcome = await self._take_out(group, ids)
            if isinstance(outcome, Failed):
                return outcome
            left = await self._left_in(group, outcome)
            stayed = [one for one in ids if one in left]
            if len(stayed) > 1 and left.issubset(stayed):
                # some pass over a list of nobody, and take one of somebody
                outcome = await self._take_out(group, stayed[:-1])
                if not isinstance(outcome, Failed):
                    left = await self._left_in(group, outcome) | {stayed[-1]}
            run.refused.update((one, _STAYED) for one in stayed if one in left)
            return None

        return send

    async def _take_out(self, group: TargetId, ids: Sequence[TargetId]) -> Still | Failed:
        if self._removal_is_known:
            return await self._remove(group, ids)
        async with self._proving:
            if self._removal_is_known:  # found out while this one waited
                return await self._remove(group, ids)
            form = self._facts.member_writing
            assert form != "put"
            return await self._remove_first(group, ids, form)

    async def _left_in(self, group: TargetId, still: Still) -> frozenset[TargetId]:
        """Return who is in the group where somebody is shown there still, else nobody.

        It is looked once more: an answer may be of what was there before.
        """
        if not still:
            return frozenset()
        found = await self._read(group)
        if isinstance(found, Failed):
            return still
        left = self._shown(group, found[0])
        return still if isinstance(left, Failed) else left

    @property
    def _removal_is_known(self) -> bool:
        return self._writes_whole_groups() or self._facts.member_writing_is_proven

    async def _remove(self, group: TargetId, ids: Sequence[TargetId]) -> Still | Failed:
        form = self._facts.member_writing
        if form == "put" or self._writes_whole_groups():
            return await self._put(group, remove=ids)
        return _unless_gone(await self._patch_out(group, ids, form), ids)

    async def _patch_out(self, group: TargetId, ids: Sequence[TargetId], form: RemoveForm) -> Still | Failed:
        return await self._patch(group, scim.members_body(self._profile, remove=ids, form=form), remove=ids)

    # --- the first removal on a target ---

    async def _remove_first(self, group: TargetId, ids: Sequence[TargetId], form: RemoveForm) -> Still | Failed:
        """Find the form in which this target takes members out, and check by reading that it does what it says."""
        before = await self._read(group)
        if isinstance(before, Failed):
            return before
        members = scim_shown.member_ids(before[0])
        if members:
            self._facts.note_shows_members(True)
        if not members & frozenset(ids):
            # they have left already, or the target shows something else than ids: nothing can be compared
            members = frozenset()
        refusal: Failed | None = None
        forms: tuple[RemoveForm, ...] = ("filter", "list") if form == "filter" else ("list",)
        for each in forms:
            if each == "list" and not members and self._profile.patch is not PatchDialect.ENTRA:
                break  # what cannot be read back is not risked
            outcome = await self._patch_out(group, ids, each)
            if not isinstance(outcome, Failed):
                if not members:
                    return outcome
                if await self._did_just_that(group, members, ids):
                    self._facts.note_member_writing(each)
                    return frozenset()
            elif outcome.fault is Fault.NO_TARGET and len(ids) == 1:
                return frozenset()  # it was not there, which is what was wanted
            elif outcome.fault not in (*_HALVED, Fault.UNSUPPORTED):
                return outcome
            elif len(ids) > 1 and outcome.fault is not Fault.UNSUPPORTED:
                return outcome  # perhaps only too many: halved before another form is tried
            else:
                refusal = refusal or outcome
        if refusal is not None and not members:
            return refusal
        return await self._put_instead(group, refusal, remove=ids)

    async def _did_just_that(self, group: TargetId, members: frozenset[TargetId], ids: Sequence[TargetId]) -> bool:
        """Whether exactly these ids have left. Others that left with them are put back at once."""
        after = await self._read(group)
        if isinstance(after, Failed):
            return True  # the target said that it did it, and nothing speaks against it
        left = scim_shown.member_ids(after[0])
        lost = sorted(members - frozenset(ids) - left)
        for batch in chunks(lost, self._facts.members_per_request):
            await self._patch(group, scim.members_body(self._profile, add=batch))
        return not lost and not left & frozenset(ids)

    # --- writing ---

    async def _patch(
        self, group: TargetId, body: dict[str, Any], *, remove: Sequence[TargetId] = (), quietly: bool = False
    ) -> Still | Failed:
        quietly = quietly or self._facts.leaves_out is True
        url = self._wire.url("group", group, "excludedAttributes=members" if quietly else "")
        answer = await self._wire.send(
            "PATCH", url, body, doing=_DOING, paths=(scim_shown.MEMBERS,), patience=_PATIENCE, one="group"
        )
        if isinstance(answer, Failed):
            return answer
        return self._still(answer, remove)

    async def _put_instead(
        self,
        group: TargetId,
        refusal: Failed | None,
        *,
        add: Sequence[TargetId] = (),
        remove: Sequence[TargetId] = (),
    ) -> Still | Failed:
        """Write the whole group; where that works, it is how this target is written from now on."""
        outcome = await self._put(group, add=add, remove=remove)
        if not isinstance(outcome, Failed):
            if not outcome:
                self._facts.note_member_writing("put")
        elif refusal is not None and outcome.fault in (Fault.UNSUPPORTED, *_HALVED):
            return refusal
        return outcome

    async def _put(
        self, group: TargetId, *, add: Sequence[TargetId] = (), remove: Sequence[TargetId] = ()
    ) -> Still | Failed:
        """Read the group, write it with other members; once more where somebody else changed it in between."""
        outcome: Still | Failed = Failed(Fault.PRECONDITION, f"{_DOING}: it changes all the time", 412)
        for _ in range(_TRIES_WHERE_CHANGED_MEANWHILE):
            found = await self._read(group)
            if isinstance(found, Failed):
                return found
            shown = self._shown(group, found[0])
            if isinstance(shown, Failed):
                return replace(shown, fault=Fault.UNSUPPORTED)
            if not shown and self._facts.shows_members is None and group in self._not_empty:
                reason = f"{_DOING}: it could only be written whole, and the target may be hiding its members"
                return Failed(Fault.UNSUPPORTED, reason)
            etag = etag_of(*found) if self._facts.says("etag") else None
            body = scim.put_members_body(found[0], add=add, remove=remove)
            outcome = await self._put_once(group, body, remove, etag)
            if not isinstance(outcome, Failed) and add:
                self._filled.add(group)
                await self._find_out_whether_shown(group)
            if not isinstance(outcome, Failed) or outcome.fault is not Fault.PRECONDITION:
                return outcome
        return outcome

    async def _find_out_whether_shown(self, group: TargetId) -> None:
        """Read the first group that got members: where it hides them, the next PUT would throw them out."""
        if self._facts.shows_members is None:
            found = await self._read(group)
            if not isinstance(found, Failed):
                self._shown(group, found[0])

    async def _put_once(
        self, group: TargetId, body: dict[str, Any], remove: Sequence[TargetId], etag: str | None
    ) -> Still | Failed:
        url = self._wire.url("group", group)
        answer = await self._wire.send("PUT", url, body, doing=_DOING, patience=_PATIENCE, etag=etag, one="group")
        if isinstance(answer, Failed):
            return answer
        return self._still(answer, remove)

    def _still(self, answer: Response, remove: Sequence[TargetId]) -> Still | Failed:
        content = self._wire.shown(answer, _DOING)
        if isinstance(content, Failed):
            return content
        return scim_shown.member_ids(content).intersection(remove) if remove else frozenset()

    def _writes_whole_groups(self) -> bool:
        return not self._facts.has_patch or self._facts.member_writing == "put"

    # --- reading ---

    async def _read(self, group: TargetId) -> tuple[dict[str, Any], Response] | Failed:
        doing = "reading the members of a group"
        return await self._wire.resource("group", group, doing=doing, patience=_PATIENCE)

    def _shown(self, group: TargetId, content: dict[str, Any]) -> frozenset[TargetId] | Failed:
        """Return the members; an empty list is believed until the target has hidden members that must be there."""
        ids = scim_shown.member_ids(content)
        if ids:
            self._facts.note_shows_members(True)
        elif self._facts.shows_members is None and group in self._filled:
            self._facts.note_shows_members(False)
        if not ids and self._facts.shows_members is False:
            return Failed(Fault.NOT_SCIM, "reading the members of a group: the target does not show members")
        return ids


def _unless_gone(outcome: Still | Failed, ids: Sequence[TargetId]) -> Still | Failed:
    """Take a member that is not there as removed."""
    gone = isinstance(outcome, Failed) and outcome.fault is Fault.NO_TARGET and len(ids) == 1
    return frozenset() if gone else outcome


def _failure(outcome: Still | Failed) -> Failed | None:
    return outcome if isinstance(outcome, Failed) else None
