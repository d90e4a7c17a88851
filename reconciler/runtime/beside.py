"""Asks the rules of the other jobs of an app whether they have somebody in scope who leaves the scope of this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from reconciler.core import leave_dates
from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.decisions import Operation
from reconciler.core.model import (
    KINDS,
    PSEUDO_ATTRIBUTES,
    Cause,
    Deprovision,
    DeprovisionAction,
    Direct,
    Entry,
    FromExpression,
    Job,
    Kind,
    LeaveDate,
    ObjectRules,
    SourceId,
)
from reconciler.core.scoping import InScope, Leaving, ScopeRules, Standing, StandingUnknown, judge
from reconciler.language import compile_expression
from reconciler.ports import Wanted, chunks
from reconciler.runtime.world import World

PAGE = 1000
OF_THE_SCOPE = (Cause.ROLE_LOST, Cause.OUT_OF_SCOPE)
"""The causes that are one job's own: who is inactive or gone is so for every job of the source."""
Key = tuple[Kind, SourceId]
_GONE = Leaving(Cause.GONE, "no longer in the source")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the source says now of those who leave the scope of a job."""

    wanted: Mapping[Key, str]
    """Why an account is left to another job, which has its owner in scope, or may have."""
    overtaken: Set[Key]
    """Of whom the source says something else by now, for which the job's rules ask less than for what it said before.

    No other job has them in scope as they are now; as they were when the cycle read them, one may have had.
    """


@dataclass(frozen=True, slots=True)
class _Scope:
    """Who takes part in a job."""

    job: str
    rules: ScopeRules
    leave_date: LeaveDate | None
    reads: frozenset[str]
    """What is asked of the source: it must have all of this."""

    @classmethod
    def of(cls, job: Job, kind: Kind) -> _Scope:
        rules = ScopeRules.compile(job, kind)
        date = job.deprovision.leave_date if kind == "user" else None
        dates = {date.attribute, date.timezone_attribute or date.attribute} if date is not None else set[str]()
        # as that job itself sees them: of what is looked at where an entry has it only what is mapped is asked for
        seen = rules.reads_if_present & _mapped(job.rules(kind)) if rules.reads_if_present else rules.reads_if_present
        return cls(job.name, rules, date, (rules.reads | seen | dates) - PSEUDO_ATTRIBUTES)


class Beside:
    """The jobs that have the source and the target of this one, and run."""

    def __init__(self, own: Job, jobs: Sequence[Job]) -> None:
        self._deprovision = own.deprovision
        self._own = {kind: _Scope.of(own, kind) for kind in KINDS}
        self._scopes = {kind: [_Scope.of(job, kind) for job in jobs if job.rules(kind) is not None] for kind in KINDS}

    def with_groups(self, wanted: Wanted) -> Wanted:
        """Return what is wanted of the source so that it can be told who is in the groups that those jobs name."""
        asks = any(scope.rules.group_names for scopes in self._scopes.values() for scope in scopes)
        return replace(wanted, memberships=True) if asks else wanted

    async def ask(self, negatives: Sequence[Operation], world: World, job_id: int, *, complete: bool) -> Answer:
        """Return whose account is left to another job that has her in scope, and who is to be looked at again.

        It is what the source says now that counts, so that it does not matter which job runs first. `complete`: who is
        in which group was read well.
        """
        found: dict[Key, str] = {}
        overtaken: set[Key] = set()
        for kind, scopes in self._scopes.items():
            leaving = {
                o.record.source_id: o
                for o in negatives
                if o.record.kind == kind and o.record.link is not None and o.cause in OF_THE_SCOPE
            }
            for page in chunks(list(leaving), PAGE) if scopes else ():
                entries = await world.source.fetch(kind, page, self._wanted(kind))
                present = [entry for entry in entries.values() if entry is not None]
                for scope in scopes:
                    for id_, standing in (await _standings(scope, present, world, job_id, complete=complete)).items():
                        if why := _why_wanted(scope.job, id_, standing):
                            found.setdefault((kind, id_), why)
                here = await _standings(self._own[kind], present, world, job_id, complete=complete)
                for id_ in page:
                    if id_ not in entries:
                        found[kind, id_] = "whether another job has the entry in scope could not be read"
                    elif _is_overtaken(leaving[id_], here.get(id_, _GONE), self._deprovision):
                        overtaken.add((kind, id_))
        return Answer(found, overtaken - found.keys())

    def _wanted(self, kind: Kind) -> Wanted:
        reads = frozenset(name for scope in (self._own[kind], *self._scopes[kind]) for name in scope.reads)
        nothing: frozenset[str] = frozenset()
        users = kind == "user"
        return Wanted(reads if users else nothing, nothing if users else reads, users=users, groups=not users)


def _mapped(rules: ObjectRules | None) -> frozenset[str]:
    """Return the source attributes that mappings read."""
    sources = [mapping.source for mapping in rules.mappings] if rules is not None else []
    return frozenset(one.attribute for one in sources if isinstance(one, Direct)).union(
        *(compile_expression(one.text).reads for one in sources if isinstance(one, FromExpression))
    )


async def _standings(
    scope: _Scope, entries: Sequence[Entry], world: World, job_id: int, *, complete: bool
) -> Mapping[SourceId, Standing]:
    rules = scope.rules
    named = await world.store.groups_named(job_id, sorted(rules.group_names)) if rules.group_names else {}
    groups = KnownGroups(named, complete=complete)
    ids = [entry.id for entry in entries]
    direct, nested = groups.ids(rules.direct_groups), groups.ids(rules.nested_groups)
    of_direct = await world.store.memberships(job_id, ids, direct, nested=False) if direct else {}
    of_nested = await world.store.memberships(job_id, ids, nested, nested=True) if nested else {}
    nowhere: frozenset[SourceId] = frozenset()
    found: dict[SourceId, Standing] = {}
    for entry in entries:
        of = Memberships(of_direct.get(entry.id, nowhere), of_nested.get(entry.id, nowhere))
        standing = judge(entry, rules, groups, of)
        if scope.leave_date is not None:
            standing, _ = leave_dates.judge(standing, entry.attributes, scope.leave_date, world.clock.now())
        found[entry.id] = standing
    return found


def _why_wanted(job: str, id_: SourceId, standing: Standing) -> str:
    match standing:
        case InScope():
            return f"job {job} has {id_} in scope, and takes the account over"
        case StandingUnknown(why=why):
            return f"whether job {job} has {id_} in scope is unknown: {why}"
        case Leaving():
            return ""


def _is_overtaken(operation: Operation, now: Standing, deprovision: Deprovision) -> bool:
    """Whether the rules ask for less than this, now that somebody stands here: the one moment asked for it alone."""
    if not isinstance(now, Leaving):
        return isinstance(now, InScope)
    if now.cause is operation.cause:
        return False
    match deprovision.action(now.cause):
        case DeprovisionAction.DELETE:
            return False
        case DeprovisionAction.DISABLE:
            at_once = operation.word == "delete" and not operation.after_disable
            return at_once and operation.record.kind == "user" and not now.purged
        case DeprovisionAction.KEEP | DeprovisionAction.SET:
            return now.also is None or _is_overtaken(operation, now.also, deprovision)
