"""Says for a person how each rule of the scope stands of one entry: the single answers behind one standing."""

from __future__ import annotations

from typing import Any, NamedTuple

from reconciler.core.assignments import Entitled, EntitlementUnknown, KnownGroups, Memberships, NotEntitled
from reconciler.core.conditions import compile_condition, described
from reconciler.core.model import AllOf, Condition, Entry, Job, Scope
from reconciler.core.scoping import InScope, Leaving, ScopeRules, Standing, activity_of, entitlement_of

_ENTITLEMENT = {
    Scope.ALL: "Scope all",
    Scope.ASSIGNED: "Assigned to the application",
    Scope.ROLES: "Has a role of the job",
}


class Check(NamedTuple):
    """One rule of the scope, and how it stands."""

    name: str
    truth: bool | None
    """None: it cannot be told."""
    why: str

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "result": self.truth, "why": self.why}


def checks(entry: Entry, job: Job, rules: ScopeRules, groups: KnownGroups, of: Memberships) -> tuple[Check, ...]:
    """Return every rule that decides on the entry, with its own answer. What they come to is `scoping.judge`'s."""
    if entry.gone or entry.purged:
        return (Check("In the source", False, "the source says that it was deleted"),)
    found = []
    if rules.active is not None:
        active = activity_of(rules.active, entry.attributes, rules.hidden)
        found.append(Check("Active in the source", active.truth, active.why or f"{rules.active.attribute} says so"))
    name = _ENTITLEMENT[job.scope]
    match entitlement_of(entry, rules, groups, of):
        case Entitled(through=through, roles=roles):
            what = f", as {', '.join(role.display_name for role in roles)}" if roles else ""
            found.append(Check(name, True, f"{through}{what}"))
        case NotEntitled(why=why):
            found.append(Check(name, False, why))
        case EntitlementUnknown(why=why):
            found.append(Check(name, None, why))
    of_kind = job.rules(entry.kind)
    for clause in _clauses(of_kind.filter) if of_kind is not None and of_kind.filter is not None else ():
        judged = compile_condition(clause, hidden=rules.hidden).judge(
            entry.attributes, lambda membership: groups.holds(membership, of)
        )
        found.append(Check("Scoping filter", judged.truth, judged.why or described(clause)))
    return tuple(found)


def verdict(standing: Standing) -> str:
    """Return in a sentence what the rules come to."""
    match standing:
        case InScope(through=through):
            return f"in scope through {through}"
        case Leaving(cause=cause, why=why):
            return f"not in scope ({cause.replace('_', ' ')}): {why}"
        case _:
            return f"not known: {standing.why}"


def _clauses(condition: Condition) -> tuple[Condition, ...]:
    return condition.of if isinstance(condition, AllOf) else (condition,)
