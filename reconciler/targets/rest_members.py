"""Puts users into groups of an app with a REST API, and takes them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anyio

from reconciler.core.model import TargetId
from reconciler.core.outcomes import Failed, Fault, MembersDone, Missing
from reconciler.core.profile import Profile
from reconciler.dialects import rest, rest_operations
from reconciler.dialects.rest_operations import Operation
from reconciler.ports import chunks
from reconciler.targets.rest_wire import Wire

_HOPELESS = (Fault.UNREACHABLE, Fault.UNAUTHORIZED, Fault.THROTTLED)
"""And what is forbidden of everybody; but a member of its own may be, too."""
_SIDE_BY_SIDE = 20
_UNKNOWN: Failed = Failed(Fault.UNSUPPORTED, "the profile says nothing of the members of groups")


class Membership:
    """The members of groups: one in a request, or several where the app takes them."""

    __slots__ = ("_profile", "_wire")

    def __init__(self, wire: Wire, profile: Profile) -> None:
        self._wire, self._profile = wire, profile

    async def change(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId]
    ) -> MembersDone | Failed:
        """Add, then remove. Of those who were refused it is looked whether they are as asked all the same."""
        collection = self._wire.api.groups
        if collection is None:
            return _UNKNOWN
        changing = _Changing(self._wire, self._profile, group)
        for operation, members in ((collection.add_member, add), (collection.remove_member, remove)):
            if not members:
                continue
            if operation is None:
                changing.refused.update(dict.fromkeys(members, _UNKNOWN))
                continue
            hopeless = await changing.send(operation, members)
            if hopeless is not None and not changing.done:
                return hopeless
        if not changing.refused:
            return MembersDone(tuple(changing.done))
        shown = await self.read(group)
        if isinstance(shown, Missing):
            reason = "changing a group: it is not there"
            return Failed(Fault.NOT_FOUND, reason, 404, request=next(iter(changing.refused.values())).request)
        if isinstance(shown, frozenset):
            settled = [one for one in changing.refused if (one in shown) == (one in add)]
            return MembersDone(
                (*changing.done, *settled),
                {one: failure for one, failure in changing.refused.items() if one not in settled},
            )
        return MembersDone(tuple(changing.done), changing.refused)

    async def read(self, group: TargetId) -> frozenset[TargetId] | Missing | Failed:
        collection = self._wire.api.groups
        if collection is None or collection.members is None:
            return _UNKNOWN
        walk = self._wire.walk(collection.members, {"id": group})
        walk.counts_repeats = collection.members.paging.kind != "none"
        found: set[TargetId] = set()
        while walk.url is not None:
            page = await self._wire.page(walk, doing="reading the members of a group")
            if isinstance(page, Failed):
                if page.fault is not Fault.NOT_FOUND:
                    return page
                refusal = await self._wire.vouched("group", page)
                return Missing() if refusal.fault is Fault.NOT_FOUND else refusal
            found.update(TargetId(rest.id_of(item, collection.members.id) or "") for item in page)
        if walk.problems:
            return self._wire.unreadable(next(iter(walk.problems)), doing="reading the members of a group")
        return frozenset(found)


class _Changing:
    """The changes of one group's members, and what came of them."""

    def __init__(self, wire: Wire, profile: Profile, group: TargetId) -> None:
        self._wire, self._profile, self._group = wire, profile, group
        self._allows_some = False
        """Whether the app took the operation of any member."""
        self.done: list[TargetId] = []
        self.refused: dict[TargetId, Failed] = {}

    async def send(self, operation: Operation, members: Sequence[TargetId]) -> Failed | None:
        """Send one operation for all of these; return what is no use to go on after."""
        self._allows_some = False
        if rest_operations.takes_several(operation):
            parts = [list(some) for some in chunks(members, self._profile.members_per_request)]
            rounds = [[part] for part in parts]
        else:
            rounds = [[[one] for one in some] for some in chunks(members, _SIDE_BY_SIDE)]
        for side_by_side in rounds:
            async with anyio.create_task_group() as tasks:
                for some in side_by_side:
                    tasks.start_soon(self._send, operation, some)
            refusals = [self.refused[one] for one in members if one in self.refused]
            for failure in refusals:
                if failure.fault in _HOPELESS:
                    return failure
            if len(refusals) >= _SIDE_BY_SIDE and (forbidden := self._forbidden(refusals)) is not None:
                return forbidden
        return self._forbidden([self.refused[one] for one in members if one in self.refused])

    def _forbidden(self, refusals: Sequence[Failed]) -> Failed | None:
        """Return why the operation is forbidden of everybody, as far as one can see; None: it is not."""
        forbidden = [failure for failure in refusals if failure.fault is Fault.FORBIDDEN]
        return forbidden[0] if forbidden and not self._allows_some else None

    async def _send(self, operation: Operation, members: Sequence[TargetId], *, repeated: bool = False) -> None:
        """Send it; in halves where several were refused together.

        Where that is forbidden, it is tried of two of them first: it may be so of everybody. `repeated`: they were sent
        together with others before, and nobody knows whether that was done.
        """
        named = [self._named(one) for one in members]
        values = {"id": self._group, "member": named[0], "members": named}
        outcome = await self._wire.send(operation, values, doing="changing a group")
        if isinstance(outcome, Failed) and (repeated := repeated or outcome.repeated):
            outcome = replace(outcome, repeated=True)
        if not isinstance(outcome, Failed):
            self.done += members
            self._allows_some = True
        elif len(members) == 1 or outcome.fault in _HOPELESS:
            self.refused.update(dict.fromkeys(members, outcome))
        elif outcome.fault is Fault.FORBIDDEN and not self._allows_some:
            await self._send(operation, members[:1], repeated=repeated)
            await self._send(operation, members[-1:], repeated=repeated)
            if (rest := members[1:-1]) and self._allows_some:
                await self._send(operation, rest, repeated=repeated)
            else:
                self.refused.update(dict.fromkeys(rest, outcome))
        else:
            half = len(members) // 2
            await self._send(operation, members[:half], repeated=repeated)
            await self._send(operation, members[half:], repeated=repeated)

    def _named(self, member: TargetId) -> TargetId | int:
        return int(member) if self._wire.api.users.numeric_ids and member.isascii() and member.isdigit() else member
