"""Listens in on what a target is asked, for a person who looks on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from reconciler.core.model import Change, Identity, Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Found, ListEnd, ListPage, MembersDone, Missing
from reconciler.ports import Diagnosis, Target


class Overheard:
    """Passes everything on to a target, and keeps what the questions for accounts were answered with."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.answers: dict[tuple[Kind, str, str], Found | Failed] = {}
        """By kind, path and value: the last answer."""

    @property
    def identity(self) -> Identity:
        return self._target.identity

    @property
    def requests(self) -> Mapping[str, int]:
        return self._target.requests

    async def find(self, kind: Kind, path: str, value: str) -> Found | Failed:
        answer = self.answers[kind, path, value] = await self._target.find(kind, path, value)
        return answer

    def listing(self, kind: Kind) -> AsyncIterator[ListPage | ListEnd | Failed]:
        return self._target.listing(kind)

    async def get(self, kind: Kind, target_id: TargetId) -> Account | Missing | Failed:
        return await self._target.get(kind, target_id)

    async def create(self, kind: Kind, resource: Resource) -> Done | Failed:
        return await self._target.create(kind, resource)

    async def update(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], agreed: Resource
    ) -> Done | Failed:
        return await self._target.update(kind, target_id, changes, agreed)

    async def delete(self, kind: Kind, target_id: TargetId) -> Done | Missing | Failed:
        return await self._target.delete(kind, target_id)

    async def change_members(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId], *, filled: bool = False
    ) -> MembersDone | Failed:
        return await self._target.change_members(group, add, remove, filled=filled)

    async def members(self, group: TargetId) -> frozenset[TargetId] | Missing | Failed:
        return await self._target.members(group)

    async def test(self) -> list[Diagnosis]:
        return await self._target.test()

    async def close(self) -> None:
        """Leave the target open: it belongs to whoever opened it."""
