"""Writes down where somebody stands in every situation, and what each clause says: python -m tests.core.stood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reconciler.core.assignments import KnownGroups, Memberships, nobody_assigned
from reconciler.core.conditions import compile_condition, described
from reconciler.core.explaining import checks
from reconciler.core.given import Given, GivenAssignment
from reconciler.core.leave_dates import judge as judge_date
from reconciler.core.model import (
    ActiveRule,
    AllOf,
    AnyOf,
    AppRole,
    AssignedGroup,
    AssignedUser,
    AttributeMapping,
    Clause,
    Condition,
    Entry,
    FromExpression,
    Job,
    Kind,
    LeaveDate,
    MemberOf,
    Negation,
    ObjectRules,
    Operator,
    Role,
    Scope,
    SourceId,
)
from reconciler.core.operators import as_moment
from reconciler.core.scoping import ScopeRules, judge, taken_out
from reconciler.errors import ConfigError

PAGE = Path(__file__).parent / "stood.txt"
CREW, STAFF, DEEP = SourceId("g1"), SourceId("g2"), SourceId("g3")
SALES = Clause("department", Operator.EQUALS, "Sales")
AGENT = Role("agent", SALES, "Agent")
BOSS = Role("boss", AllOf((Clause("level", Operator.GREATER_THAN, "4"), MemberOf("Crew"))), "Boss")
NIGHT = Role("night", MemberOf("Deep", nested=True), "Night")
HIDING = (AttributeMapping("badge", FromExpression("Redact([department])")),)


def _job(name: str) -> Job:
    assigned = (
        AssignedUser("s1"),
        AssignedUser("ANN@example.com", "Admin"),
        AssignedGroup("Crew", "agent"),
        AssignedGroup("Staff"),
        AssignedUser("s3", "Default Access"),
        AssignedGroup("Deep", "default access"),
    )
    table: Mapping[str, Mapping[str, Any]] = {
        "all": {},
        "all with roles": {"roles": (AGENT, BOSS, NIGHT)},
        "all with every role": {"roles": (AGENT, BOSS, NIGHT), "role_choice": "all", "role_values": {"agent": "A"}},
        "roles": {"scope": Scope.ROLES, "roles": (AGENT, BOSS, NIGHT)},
        "many roles": {
            "scope": Scope.ROLES,
            "roles": tuple(Role(f"r{n}", Clause("level", Operator.EQUALS, str(n)), "x") for n in range(4)),
        },
        "no roles": {"scope": Scope.ROLES},
        "assigned": {"scope": Scope.ASSIGNED, "assigned": assigned, "excluded_roles": ("Default Access",)},
        "assigned with roles": {"scope": Scope.ASSIGNED, "assigned": assigned, "roles": (AGENT, BOSS)},
        "assigned, nested": {"scope": Scope.ASSIGNED, "assigned": assigned[2:4], "nested": True},
        "assigned, nested, some excluded": {
            "scope": Scope.ASSIGNED,
            "assigned": (AssignedGroup("Deep", "Default Access"), AssignedGroup("Crew", "agent")),
            "excluded_roles": ("default access",),
            "nested": True,
        },
        "assigned through four": {
            "scope": Scope.ASSIGNED,
            "assigned": tuple(AssignedGroup(name) for name in ("Crew", "Staff", "Deep", "Other")),
        },
        "assigned by themselves": {"scope": Scope.ASSIGNED, "assigned": assigned[:1]},
        "assigned, roles by condition": {
            "scope": Scope.ASSIGNED,
            "assigned": (*assigned[:1], AssignedGroup("Nowhere"), AssignedGroup("Deep")),
            "roles": (BOSS, NIGHT),
        },
        "nobody": {"scope": Scope.ASSIGNED},
        "nobody, keep": {"scope": Scope.ASSIGNED, "empty_assignment": "keep"},
        "by the source": {
            "scope": Scope.ASSIGNED,
            "service_principal": "app",
            "role_values": {"Reader": "R"},
            "excluded_roles": ("Default Access",),
        },
        "by the source and the job": {
            "scope": Scope.ASSIGNED,
            "service_principal": "app",
            "assigned": assigned,
            "empty_assignment": "keep",
            "nested": True,
        },
        "filtered": {"filter": AnyOf((SALES, Negation(MemberOf("Crew"))))},
        "filtered by what is hidden": {"filter": SALES, "mappings": HIDING},
        "active by a word": {"active": ActiveRule("status", ("Active", " on leave"))},
        "active by a word or none": {"active": ActiveRule("status", ("Active", ""))},
    }
    rules = dict(table[name])
    filtered, mappings = rules.pop("filter", None), rules.pop("mappings", ())
    rules.setdefault("scope", Scope.ALL)
    rules.setdefault("active", ActiveRule("enabled") if name != "all with roles" else None)
    users, groups = (ObjectRules(kind, mappings, filter=filtered) for kind in _KINDS)
    return Job("app", "staff", "phone", users, groups, **rules)


_KINDS: tuple[Kind, Kind] = ("user", "group")
_JOBS = (
    *("all", "all with roles", "all with every role", "roles", "many roles", "no roles", "assigned"),
    *("assigned with roles", "assigned, nested", "assigned through four", "assigned by themselves", "nobody"),
    *("assigned, roles by condition", "assigned, nested, some excluded"),
    *("nobody, keep", "by the source", "by the source and the job", "filtered", "filtered by what is hidden"),
    *("active by a word", "active by a word or none"),
)
ANN: Mapping[str, Any] = {
    "enabled": True,
    "department": "Sales",
    "level": 5,
    "userPrincipalName": "Ann@Example.com",
    "displayName": "crew",
    "status": "active",
}
ENTRIES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ann": ("s1", ANN),
    "bob, by another name": ("s2", {**ANN, "userPrincipalName": None, "mail": "ann@example.COM", "level": 1}),
    "cleo, who is excluded": ("s3", {"enabled": True, "department": "IT", "level": "x", "status": "On Leave"}),
    "dan, off": ("s4", {"enabled": False, "department": ["Sales", "IT"], "level": 9, "status": "gone"}),
    "eve, of whom little is known": ("s5", {"enabled": None}),
    "finn, oddly": ("s6", {"enabled": ["x"], "department": {"a": 1}, "status": ["x"], "userName": "S3"}),
}
GROUPS = {"g2": "Renamed", "g1": "Crew", "g9": "crew", "g3": "Deep", "g7": None}
MEMBERSHIPS = {
    "in none": Memberships(),
    "in Crew": Memberships(frozenset({CREW}), frozenset({CREW, DEEP})),
    "in Staff": Memberships(frozenset({STAFF}), frozenset({STAFF})),
    "in Deep": Memberships(frozenset({DEEP}), frozenset({DEEP})),
}
_NAMED = {"Crew": (CREW,), "Staff": (STAFF,), "Deep": (DEEP,), "Other": (SourceId("g4"),)}
READER, DEFAULT = AppRole("reader", "Reader"), AppRole("Default Access", "Default Access")
_GIVEN = (
    GivenAssignment("user", SourceId("s1"), "Ann", READER),
    GivenAssignment("user", SourceId("s2"), "Bob", DEFAULT),
    GivenAssignment("user", SourceId("s4"), "Dan", None, "the role is not shown"),
    GivenAssignment("group", CREW, "Crew", AppRole("x", "Other")),
    GivenAssignment("group", STAFF, "Staff"),
)
KNOWN = {
    "whole": KnownGroups(_NAMED, complete=True, given=Given.of(_GIVEN, complete=True)),
    "not whole": KnownGroups(_NAMED, complete=False, given=Given.of(_GIVEN[:2], complete=False)),
    "without Staff": KnownGroups({**_NAMED, "Staff": ()}, complete=True),
}
_DATE = LeaveDate("leaves")
_VALUES: tuple[Any, ...] = (
    *(None, "", "Sales", "sales", " SALES ", "Sa", True, False, "true", "0", 0, 5, -1, 5.0, 5.5, "5", "x5", 2**40),
    *(["Sales", "IT"], [], ["IT"], [None], {"a": 1}, "2026-03-09", "2026-03-09T12:00:00+02:00", "20260309120000Z"),
)
_CLAUSES = [
    *(Clause("a", operator) for operator in Operator),
    *(Clause("a", operator, "Sales") for operator in Operator),
    *(Clause("a", operator, "5") for operator in Operator),
    *(Clause("a", operator, "2026-03-09") for operator in Operator),
    *(Clause("a", Operator.REGEX_MATCH, text) for text in ("^s", "(", "S.*s|T", "[")),
    *(
        Clause("a", operator, "Sales", of)
        for operator in (Operator.EQUALS, Operator.NOT_EQUALS)
        for of in ("any", "all")
    ),
]


def written() -> str:
    """Return the file: each answer once, with what comes to it."""
    by_answer: dict[str, dict[str, None]] = {}
    for situation, answer in (*_stood(), *_judged(), *_moments()):
        by_answer.setdefault(answer, {})[situation] = None
    return "\n\n".join("\n".join((f"# {answer}", *found)) for answer, found in by_answer.items()) + "\n"


def _stood() -> Iterator[tuple[str, str]]:
    for job_name in _JOBS:
        job = _job(job_name)
        rules = {kind: ScopeRules.compile(job, kind) for kind in _KINDS}
        yield f"{job_name}: what it reads", repr([_of(one) for one in rules.values()])
        for known_name, known in KNOWN.items():
            yield f"{job_name}, {known_name}: nobody", repr(nobody_assigned(job, known.given))
            for name, (id_, attributes) in ENTRIES.items():
                entry = Entry("user", SourceId(id_), attributes)
                for of_name, of in MEMBERSHIPS.items():
                    seen = Memberships(of.direct, of.nested, known.given.reaching(entry.id, of.direct))
                    standing = judge(entry, rules["user"], known, seen)
                    checked = [tuple(one) for one in checks(entry, job, rules["user"], known, seen)]
                    yield f"{job_name}, {known_name}, {name}, {of_name}", f"{standing!r} {checked}"
                    if job_name == "filtered":
                        yield f"taken out, {name}, {of_name}", repr(taken_out(standing, "olga"))
                        for day in ("2026-03-08", "2026-03-09", "?", None):
                            dated = judge_date(standing, {"leaves": day}, _DATE, 1_773_014_400.0)
                            yield f"leaves {day}, {known_name}, {name}, {of_name}", repr(dated)
            for id_, display_name in GROUPS.items():
                group = Entry("group", SourceId(id_), {"displayName": display_name, "department": "Sales"})
                yield f"{job_name}, {known_name}, group {id_}", repr(judge(group, rules["group"], known))


def _of(rules: ScopeRules) -> list[Any]:
    found = (rules.reads, rules.reads_if_present, rules.hidden)
    return [rules.kind, *(sorted(one) for one in found), rules.direct_groups, rules.nested_groups, rules.group_names]


def _judged() -> Iterator[tuple[str, str]]:
    def member_of(membership: MemberOf) -> bool | None:
        return {"Crew": True, "Staff": False}.get(membership.group)

    trees: list[Condition] = [
        *_CLAUSES,
        AllOf((SALES, MemberOf("Crew"), MemberOf("Deep"))),
        AllOf((SALES, MemberOf("Crew"), MemberOf("Staff"))),
        AllOf(()),
        AnyOf((SALES, MemberOf("Staff"), MemberOf("Deep", nested=True))),
        AnyOf((SALES, MemberOf("Staff"))),
        AnyOf(()),
        *(Negation(one) for one in (SALES, MemberOf("Crew"), MemberOf("Deep"), AllOf((SALES, MemberOf("Staff"))))),
        Negation(AnyOf((Clause("a", Operator.IS_NULL), MemberOf("Deep", nested=True)))),
    ]
    for tree in trees:
        yield f"described: {tree}", described(tree)
        for hidden in (frozenset[str](), frozenset({"a", "department"})):
            try:
                condition = compile_condition(tree, "filter", hidden=hidden)
            except ConfigError as error:
                yield f"compiled: {described(tree)}", str(error)
                continue
            for value in _VALUES if not hidden else _VALUES[2:4]:
                judged = condition.judge({"a": value, "department": value}, member_of)
                yield f"{described(tree)} of {value!r} {sorted(hidden)}", f"{judged.truth} {judged.why}"
            yield f"{described(tree)} reads", f"{sorted(condition.reads)} {condition.groups}"


def _moments() -> Iterator[tuple[str, str]]:
    for value in (*_VALUES, "2026-3-9", "20260309", "2026-03-09 12:00", "12/31/2026", 1_773_014_400, "2026-02-30"):
        yield f"moment {value!r}", repr(as_moment(value))


def main() -> None:
    """Rewrite the file."""
    PAGE.write_text(written(), "utf-8")


if __name__ == "__main__":
    main()
