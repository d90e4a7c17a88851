"""Keeps who is in which group, as the source says: who joins from each page on, who left once all of it was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.model import Kind, SourceId
from reconciler.core.singly import AssignedSingly
from reconciler.ports import AssignmentPage, GroupMembers, MembershipPage, Store, chunks
from reconciler.runtime.assigning import Assigning
from reconciler.runtime.auditing import Audit
from reconciler.runtime.fitting import Fitting
from reconciler.runtime.rules import KindRules

GROUPS_MAX = 1000
"""So many groups are handed to the store at once."""


class Staging:
    """The memberships and assignments of one reading, from their pages to the entries whose part they decide."""

    def __init__(
        self,
        store: Store,
        job_id: int,
        rules: Mapping[Kind, KindRules],
        fitting: Fitting,
        singly: AssignedSingly,
        audit: Audit | None,
        problems: list[str],
        *,
        incremental: bool,
    ) -> None:
        """`incremental`: the source may show only what changed, so that whoever is moved must be looked at again."""
        self._store, self._job_id, self._incremental = store, job_id, incremental
        self._fitting, self._singly, self._audit, self._problems = fitting, singly, audit, problems
        self._assigning = Assigning(store, job_id, rules.values())
        self._names = tuple(sorted({name for rules_of in rules.values() for name in rules_of.scope.group_names}))
        self.named = KnownGroups({}, complete=True)
        """The groups that the rules name, and the assignments, as far as they are known."""
        self.missing: tuple[str, ...] = ()
        """Those of the names that no group has, now that all memberships were read."""
        self.is_back = False
        """Whether a group is there that was not, and its source says only that its members are as they were."""
        self._seen: set[SourceId] = set()
        self._mixed: list[GroupMembers] = []
        """Those of whose members, as they are kept, some would leave."""

    async def take(self, page: AssignmentPage | MembershipPage) -> None:
        """Write memberships. Who is missing from a list is taken out only when all of it was read well."""
        match page:
            case AssignmentPage(assignments=assignments):
                self._assigning.take(assignments)
            case MembershipPage(groups=groups):
                await self._take(self._fitting.groups(groups))

    async def _take(self, groups: Sequence[GroupMembers]) -> None:
        self._seen.update(group.group_id for group in groups)
        for group in groups if self._singly.asks else ():
            if not group.partial and not group.gone:
                self._singly.group(group.group_id, group.name, group.members)
        job_id, again = self._job_id, self._incremental
        if gone := [group.group_id for group in groups if group.gone]:
            await self._store.forget_groups(job_id, gone, look_again=again)
        groups = [group for group in groups if not group.gone] if gone else groups
        if same := [group.group_id for group in groups if group.unchanged]:
            known = await self._store.known_groups(job_id, same)
            self.is_back = self.is_back or len(known) < len(same)
            groups = [group for group in groups if not group.unchanged or group.group_id in known]
        if moved := await self._store.stage_memberships(job_id, groups, additive=True, look_again=again):
            if self._audit is not None:
                self._audit.moved(moved)
            mixed = await self._store.mixed_groups(job_id, [group.group_id for group in groups])
            self._mixed += [group for group in groups if group.group_id in mixed]

    async def end_assignments(self, *, complete: bool) -> None:
        """Write down who is assigned to the app, now that all of it was read."""
        changed = await self._assigning.end(complete=complete)
        if self._audit is not None:
            self._audit.moved(changed)
        self.named = self._assigning.known(self.named)

    async def end_memberships(self, *, complete: bool, delta: bool) -> set[SourceId]:
        """Take out who is not there any more, where all was read; find the groups that the rules name.

        Returns those that they name and the source does not show any more: not known, so not gone.
        """
        mixed, self._mixed = self._mixed, []
        if complete:
            for groups in chunks(mixed, GROUPS_MAX):
                await self._store.stage_memberships(self._job_id, groups, additive=False, look_again=self._incremental)
        named = staged_before = await self._store.groups_named(self._job_id, self._names)
        shows_all = complete and not delta
        if shows_all:
            # a group that a complete reading does not show is not there, whatever was staged earlier
            named = {name: tuple(i for i in ids if i in self._seen) for name, ids in staged_before.items()}
        self.named = self._assigning.known(KnownGroups(named, complete=complete))
        self.missing = self.named.missing(self._names)
        self._problems += [f"the source has no group {name}: who is in it is unknown" for name in self.missing]
        if not shows_all:
            return set()
        unknown = {group_id for name in self.missing for group_id in staged_before.get(name, ())}
        await self._store.drop_groups(self._job_id, self._seen | unknown, look_again=self._incremental)
        return unknown

    async def memberships(self, rules: KindRules, ids: Sequence[SourceId]) -> Mapping[SourceId, Memberships]:
        """Return who of these is in which of the groups that the rules name."""
        assigned = {nested: self._assigning.groups(rules.kind, nested=nested) for nested in (False, True)}
        direct_groups = (*self.named.ids(rules.scope.direct_groups), *assigned[False])
        nested_groups = (*self.named.ids(rules.scope.nested_groups), *assigned[True])
        direct: Mapping[SourceId, frozenset[SourceId]] = {}
        nested: Mapping[SourceId, frozenset[SourceId]] = {}
        if direct_groups:
            direct = await self._store.memberships(self._job_id, ids, direct_groups, nested=False)
        if nested_groups:
            nested = await self._store.memberships(self._job_id, ids, nested_groups, nested=True)
        return self._assigning.memberships(ids, direct, nested)
