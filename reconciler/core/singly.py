"""Finds groups whose members are assigned one by one, where the group itself was probably meant."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.assignments import LOGIN_ATTRIBUTES
from reconciler.core.levelling import spoken
from reconciler.core.model import AssignedGroup, AssignedUser, Attributes, Job, Scope, SourceId

MEMBERS_MIN = 2


class AssignedSingly:
    """Is shown the groups and users of one reading; `problems` says which groups were meant. Costs nothing where nobody
    is assigned directly."""

    __slots__ = ("_assigned", "_groups", "_names", "_whole", "asks")

    def __init__(self, job: Job) -> None:
        users = [rule.user for rule in job.assigned if isinstance(rule, AssignedUser)]
        self._names = {spoken(name) for name in users}
        self._whole = {spoken(rule.group) for rule in job.assigned if isinstance(rule, AssignedGroup)}
        self._assigned: set[SourceId] = set()
        self._groups: list[tuple[str, Sequence[SourceId]]] = []
        self.asks = job.scope is Scope.ASSIGNED and job.groups is not None and len(users) >= MEMBERS_MIN
        """Whether it wants to be shown anything."""

    def group(self, group_id: SourceId, name: str, members: Sequence[SourceId]) -> None:
        """Take note of a group with all its members. One that is larger than the assignments cannot be meant."""
        if MEMBERS_MIN <= len(members) <= len(self._names) and {spoken(group_id), spoken(name)}.isdisjoint(self._whole):
            self._groups.append((name or group_id, members))

    def user(self, source_id: SourceId, attributes: Attributes) -> None:
        """Take note of a user, who may be assigned by name."""
        values = (source_id, *(attributes.get(name) for name in LOGIN_ATTRIBUTES))
        if any(isinstance(value, str) and spoken(value) in self._names for value in values):
            self._assigned.add(source_id)

    @property
    def problems(self) -> list[str]:
        """One sentence for each group all of whose members are assigned directly."""
        return [
            f"all {len(members)} members of the group {name} are assigned one by one: assign the entire group, "
            "so that the group itself and whoever joins it come along"
            for name, members in self._groups
            if self._assigned.issuperset(members)
        ]
