"""Asks the rules of the other jobs of an app whether they have somebody in scope who leaves the scope of this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.core import leave_dates
from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.decisions import Operation
from reconciler.core.model import KINDS, PSEUDO_ATTRIBUTES, Cause, Entry, Job, Kind, LeaveDate, SourceId
from reconciler.core.scoping import InScope, ScopeRules, StandingUnknown, judge
from reconciler.ports import Wanted, chunks
from reconciler.runtime.world import World

PAGE = 1000
OF_THE_SCOPE = (Cause.ROLE_LOST, Cause.OUT_OF_SCOPE)
"""The causes that are one job's own: who is inactive or gone is so for every job of the source."""
Key = tuple[Kind, SourceId]


@dataclass(frozen=True, slots=True)
class _Scope:
    """Who takes part in another job."""

    job: str
    rules: ScopeRules
    leave_date: LeaveDate | None

    @property
    def reads(self) -> frozenset[str]:
        date = self.leave_date
        dates = {date.attribute, date.timezone_attribute or date.attribute} if date is not None else set[str]()
        return (self.rules.reads | self.rules.reads_if_present | dates) - PSEUDO_ATTRIBUTES


class Beside:
    """The jobs that have the source and the target of this one, and run."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._scopes: dict[Kind, list[_Scope]] = {kind: [] for kind in KINDS}
        for kind in KINDS:
            for job in jobs:
                if job.rules(kind) is not None:
                    leave_date = job.deprovision.leave_date if kind == "user" else None
                    self._scopes[kind].append(_Scope(job.name, ScopeRules.compile(job, kind), leave_date))

    def with_groups(self, wanted: Wanted) -> Wanted:
        """Return what is wanted of the source so that it can be told who is in the groups that those jobs name."""
        asks = any(scope.rules.group_names for scopes in self._scopes.values() for scope in scopes)
        return replace(wanted, memberships=True) if asks else wanted

    async def wanting(
        self, negatives: Sequence[Operation], world: World, job_id: int, *, complete: bool
    ) -> Mapping[Key, str]:
        """Return for each whom another job has in scope why her account is left to it.

        It is what the source says now that counts, so that it does not matter which job runs first. `complete`: who is
        in which group was read well.
        """
        found: dict[Key, str] = {}
        for kind, scopes in self._scopes.items():
            leaving = [
                o.record.source_id
                for o in negatives
                if o.record.kind == kind and o.record.link is not None and o.cause in OF_THE_SCOPE
            ]
            for page in chunks(leaving, PAGE) if scopes else ():
                entries = await world.source.fetch(kind, page, self._wanted(kind))
                for scope in scopes:
                    present = [entry for entry in entries.values() if entry is not None]
                    for id_, why in (await _in_scope(scope, present, world, job_id, complete=complete)).items():
                        found.setdefault((kind, id_), why)
                for id_ in page:
                    if id_ not in entries:
                        found[kind, id_] = "whether another job has the entry in scope could not be read"
        return found

    def _wanted(self, kind: Kind) -> Wanted:
        reads = frozenset(name for scope in self._scopes[kind] for name in scope.reads)
        nothing: frozenset[str] = frozenset()
        users = kind == "user"
        return Wanted(reads if users else nothing, nothing if users else reads, users=users, groups=not users)


async def _in_scope(
    scope: _Scope, entries: Sequence[Entry], world: World, job_id: int, *, complete: bool
) -> Mapping[SourceId, str]:
    rules = scope.rules
    named = await world.store.groups_named(job_id, sorted(rules.group_names)) if rules.group_names else {}
    groups = KnownGroups(named, complete=complete)
    ids = [entry.id for entry in entries]
    direct, nested = groups.ids(rules.direct_groups), groups.ids(rules.nested_groups)
    of_direct = await world.store.memberships(job_id, ids, direct, nested=False) if direct else {}
    of_nested = await world.store.memberships(job_id, ids, nested, nested=True) if nested else {}
    nowhere: frozenset[SourceId] = frozenset()
    found: dict[SourceId, str] = {}
    for entry in entries:
        of = Memberships(of_direct.get(entry.id, nowhere), of_nested.get(entry.id, nowhere))
        standing = judge(entry, rules, groups, of)
        if scope.leave_date is not None:
            standing, _ = leave_dates.judge(standing, entry.attributes, scope.leave_date, world.clock.now())
        match standing:
            case InScope():
                found[entry.id] = f"job {scope.job} has {entry.id} in scope, and takes the account over"
            case StandingUnknown(why=why):
                found[entry.id] = f"whether job {scope.job} has {entry.id} in scope is unknown: {why}"
            case _:
                pass
    return found
