"""Takes in who is assigned to a job's app by the source's own word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.given import Given, GivenAssignment, GivenRules
from reconciler.core.model import Kind, SourceId
from reconciler.ports import Store
from reconciler.runtime.rules import KindRules

_NONE: frozenset[SourceId] = frozenset()


class Assigning:
    """The assignments of one reading, from the first of their pages to the entries that they reach."""

    __slots__ = ("_collected", "_job_id", "_rules", "_store", "app", "given")

    def __init__(self, store: Store, job_id: int, rules: Iterable[KindRules]) -> None:
        self._store, self._job_id = store, job_id
        self._rules: GivenRules | None = next((one.scope.assignments.given for one in rules), None)
        self._collected: list[GivenAssignment] = []
        self.app = self._rules.app if self._rules is not None else None
        """The app whose assignments the source is asked for."""
        self.given = Given(complete=self.app is None)
        """What is known of them: while nothing was read, nothing."""

    def take(self, assignments: Sequence[GivenAssignment]) -> None:
        self._collected += assignments

    async def end(self, *, complete: bool) -> frozenset[SourceId]:
        """Write down what was read; return whose assignments changed."""
        collected, self._collected = self._collected, []
        self.given = Given.of(collected, complete=complete)
        return await self._store.stage_assignments(self._job_id, collected, complete=complete)

    def groups(self, kind: Kind, *, nested: bool) -> frozenset[SourceId]:
        """Return the assigned groups whose members, direct or nested, must be known to judge entries of a kind."""
        if kind == "group" or self._rules is None or self._rules.nested is not nested:
            return _NONE
        return self.given.groups

    def memberships(
        self,
        ids: Iterable[SourceId],
        direct: Mapping[SourceId, frozenset[SourceId]],
        nested: Mapping[SourceId, frozenset[SourceId]],
    ) -> dict[SourceId, Memberships]:
        """Return what entries are in and are given, for those of `ids` for whom there is anything."""
        through = nested if self._rules is not None and self._rules.nested else direct
        who = ids if self.given.by_principal else {*direct, *nested}
        return {
            one: Memberships(
                direct.get(one, _NONE), nested.get(one, _NONE), self.given.reaching(one, through.get(one, _NONE))
            )
            for one in who
        }

    def known(self, groups: KnownGroups) -> KnownGroups:
        """Return what is known of groups with what is known of assignments."""
        return KnownGroups(groups.named, groups.complete, self.given)
