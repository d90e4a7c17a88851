"""What is asked of a target."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from reconciler.core.model import Change, Identity, Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Found, ListEnd, ListPage, MembersDone, Missing
from reconciler.ports.exchange import Diagnosis


class Target(Protocol):
    """Reads what is, sends one operation. Retries, rate limit, dialect and profile are behind it."""

    @property
    def identity(self) -> Identity: ...

    @property
    def requests(self) -> Mapping[str, int]:
        """How many requests were sent, by method, since the target was opened."""
        ...

    async def find(self, kind: Kind, path: str, value: str) -> Found | Failed:
        """Ask for accounts whose `path` is `value`. Every returned row has been checked again."""
        ...

    def listing(self, kind: Kind) -> AsyncIterator[ListPage | ListEnd | Failed]:
        """Yield the whole target in pages; the last event is ListEnd or Failed."""
        ...

    async def get(self, kind: Kind, target_id: TargetId) -> Account | Missing | Failed: ...

    async def create(self, kind: Kind, resource: Resource) -> Done | Failed:
        """Create. Done always has an account: where the answer has no id, the target was asked again."""
        ...

    async def update(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], agreed: Resource
    ) -> Done | Failed:
        """Send exactly these changes. `agreed` is what the target last had, for the forms that need the whole."""
        ...

    async def delete(self, kind: Kind, target_id: TargetId) -> Done | Missing | Failed: ...

    async def change_members(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId], *, filled: bool = False
    ) -> MembersDone | Failed:
        """Add, then remove, in batches; never more per request than the profile allows, halved where refused.

        `filled`: somebody is certainly in the group, whether or not the target shows it; nobody else is thrown out.
        """
        ...

    async def members(self, group: TargetId) -> frozenset[TargetId] | Missing | Failed:
        """Return who is in the group at the target, for members = "exact" and for --full."""
        ...

    async def test(self) -> list[Diagnosis]: ...

    async def close(self) -> None: ...


@runtime_checkable
class Foreseeing(Protocol):
    """A target that refuses some operations by itself, before anything is sent: a rehearsal refuses them, too."""

    async def foreseen(
        self, kind: Kind, values: Sequence[tuple[str, Any]], target_id: TargetId | None = None
    ) -> Failed | None:
        """Return why these values would not be sent; `target_id` None: for a new account."""
        ...
