"""A target that reads what is, pretends to write, and refuses what the real one refuses unasked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from reconciler.core.model import Change, Identity, Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Found, ListEnd, ListPage, MembersDone, Missing
from reconciler.ports import Diagnosis, Foreseeing, Target


class Rehearsal:
    """Answers each write as if the app had done it. Questions go to the real target, which may foresee a refusal."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._made = 0
        self.memberships: list[tuple[TargetId, tuple[TargetId, ...], tuple[TargetId, ...]]] = []
        """Changes of members that were pretended: group, added, removed."""

    @property
    def identity(self) -> Identity:
        return self._target.identity

    @property
    def requests(self) -> Mapping[str, int]:
        return self._target.requests

    async def find(self, kind: Kind, path: str, value: str) -> Found | Failed:
        return await self._target.find(kind, path, value)

    def listing(self, kind: Kind) -> AsyncIterator[ListPage | ListEnd | Failed]:
        return self._target.listing(kind)

    async def get(self, kind: Kind, target_id: TargetId) -> Account | Missing | Failed:
        return await self._target.get(kind, target_id)

    async def create(self, kind: Kind, resource: Resource) -> Done | Failed:
        if isinstance(self._target, Foreseeing):
            refusal = await self._target.foreseen(kind, list(resource.items()))
            if refusal is not None:
                return refusal
        self._made += 1
        return Done(Account(TargetId(f"(new {kind} {self._made})"), resource))

    async def update(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], agreed: Resource
    ) -> Done | Failed:
        if isinstance(self._target, Foreseeing):
            refusal = await self._target.foreseen(kind, [(one.path, one.new) for one in changes], target_id)
            if refusal is not None:
                return refusal
        return Done()

    async def delete(self, kind: Kind, target_id: TargetId) -> Done | Missing | Failed:
        return Done()

    async def change_members(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId], *, filled: bool = False
    ) -> MembersDone | Failed:
        self.memberships.append((group, tuple(add), tuple(remove)))
        return MembersDone((*add, *remove))

    async def members(self, group: TargetId) -> frozenset[TargetId] | Missing | Failed:
        if group.startswith("(new "):
            return frozenset()
        return await self._target.members(group)

    async def test(self) -> list[Diagnosis]:
        return await self._target.test()

    async def close(self) -> None:
        """Leave the real target open: it belongs to whoever opened it."""
