"""Writes down what is decided of one entry in every situation: python -m tests.core.decided.

Each situation is an account, where its owner stands, and one rule that is not the ordinary one. So a reason that
changes, or a border that moves, is a line of the file that is another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.core.decisions import Ask, Decision, Judged, Leave, Operation, Pending, Reject
from reconciler.core.leaving import kept_causes
from reconciler.core.mapping import Mapped, Mapper
from reconciler.core.model import (
    Action,
    Apply,
    AppRole,
    AttributeMapping,
    Cause,
    Constant,
    Deprovision,
    DeprovisionAction,
    Direct,
    FromExpression,
    Job,
    Kind,
    ObjectRules,
    Resource,
    SourceId,
    TargetId,
)
from reconciler.core.outcomes import Account
from reconciler.core.planning import Planner
from reconciler.core.profile import Profile, TargetAttribute, ValueType
from reconciler.core.records import BY_OTHERS, Escrow, Link, Record, Verdict
from reconciler.core.scoping import InScope, Leaving

PAGE = Path(__file__).parent / "decided.txt"
NOW, DAY = 1_000_000.0, 86400.0
PROFILE = Profile(
    "example",
    {
        "active": TargetAttribute("active", ValueType.BOOLEAN),
        "userName": TargetAttribute("userName", required=True, max_changes=2),
        "floor": TargetAttribute("floor", ValueType.INTEGER, never_null=True),
        "serial": TargetAttribute("serial", write_once=True),
        "badge": TargetAttribute("badge", read_only=True),
    },
    {"displayName": TargetAttribute("displayName", required=True)},
)
MAPPINGS = (
    AttributeMapping("userName", Direct("upn"), match=2),
    AttributeMapping("externalId", Direct("id"), match=1),
    AttributeMapping("active", FromExpression("Not([IsSoftDeleted])")),
    AttributeMapping("title", Direct("jobTitle")),
    AttributeMapping("floor", Direct("floor")),
    AttributeMapping("serial", Direct("serial")),
    AttributeMapping("badge", Direct("badge")),
    AttributeMapping("entitlement", FromExpression("SingleAppRoleAssignment([appRoleAssignments])")),
)
PARTING = (AttributeMapping("title", Constant("Alumna")),)
ANN = {"id": "s1", "upn": "ann@example.com", "jobTitle": "Engineer", "floor": 3, "serial": "2", "badge": "b"}
AGREED: Resource = {
    "userName": "ann@example.com",
    "externalId": "s1",
    "active": True,
    "title": "Engineer",
    "floor": 3,
    "serial": "1",
    "entitlement": "User",
}
OFF: Resource = {**AGREED, "active": False}
USER = (AppRole("User", "User"),)
OUT = Leaving(Cause.OUT_OF_SCOPE, "not assigned")
STANDINGS: Mapping[str, InScope | Leaving] = {
    "in": InScope("group APP", USER),
    "in, roles unknown": InScope("scope all", (), "not known"),
    "inactive": Leaving(Cause.INACTIVE, "was False"),
    "inactive, the rest unknown": Leaving(Cause.INACTIVE, "was False", unsettled="not known whether a member"),
    "inactive and out": Leaving(Cause.INACTIVE, "was False", OUT),
    "out": OUT,
    "filtered": Leaving(Cause.OUT_OF_SCOPE, "filter: x", filtered=True),
    "role lost": Leaving(Cause.ROLE_LOST, "no role"),
    "gone": Leaving(Cause.GONE, "deleted"),
    "purged": Leaving(Cause.GONE, "purged", purged=True),
    "taken out": Leaving(Cause.INACTIVE, "by olga", forced=True),
    "gone and taken out": Leaving(Cause.GONE, "deleted", forced=True),
}


def _link(agreed: Resource = AGREED, **more: Any) -> Link:
    return Link(TargetId("t1"), "created", agreed, NOW - 90 * DAY, **more)


def _off(days: float, because: str = "inactive") -> Link:
    return _link(OFF, disabled_at=NOW - days * DAY, disabled_because=because)


ACCOUNTS: Mapping[str, tuple[Link | None, Mapping[str, Any]]] = {
    "none": (None, {}),
    "as it should be": (_link(), {}),
    "another title": (_link({**AGREED, "title": "Intern"}), {}),
    "named otherwise": (_link({**AGREED, "userName": "a@example.com"}), {}),
    "named otherwise for the last time": (
        _link({**AGREED, "userName": "a@example.com", "title": "x"}, changed={"userName": 2}),
        {},
    ),
    "named otherwise once too often": (_link({**AGREED, "userName": "a@example.com"}, changed={"userName": 2}), {}),
    "without a name": (_link({k: v for k, v in AGREED.items() if k != "userName"}, changed={"userName": 2}), {}),
    "off, by us": (_off(10), {"verdict": Verdict.INACTIVE}),
    "off for long, by us": (_off(31), {"verdict": Verdict.INACTIVE}),
    "off, by the mapping": (_off(99, "in_scope"), {}),
    "off, by somebody": (_link(OFF), {}),
    "off, by somebody, as was seen": (_link(disabled_because=BY_OTHERS), {"verdict": Verdict.INACTIVE}),
    "on, and was off by us": (_link(disabled_because="inactive"), {}),
    "adopted": (replace(_link(), origin="adopted"), {}),
    "left two days ago": (_link(), {"verdict": Verdict.GONE, "due_at": NOW + 5 * DAY}),
    "left long ago": (_link(), {"verdict": Verdict.GONE, "due_at": NOW - DAY}),
    "left, in escrow": (_link(), {"verdict": Verdict.UNKNOWN, "due_at": NOW + DAY, "escrow": Escrow(1, NOW, "X", "")}),
    "left, not known": (_link(), {"verdict": Verdict.UNKNOWN, "due_at": NOW + DAY}),
    "attempted": (None, {"attempted_at": NOW - 5}),
}
_ALL = frozenset(Action)


def _everything(action: DeprovisionAction, **more: Any) -> Deprovision:
    return Deprovision(action, action, action, action, **more)


RULES: Mapping[str, Mapping[str, Any]] = {
    "ordinary": {},
    "keep": {"deprovision": _everything(DeprovisionAction.KEEP)},
    "keep who is inactive": {"deprovision": Deprovision(inactive=DeprovisionAction.KEEP)},
    "delete": {"deprovision": _everything(DeprovisionAction.DELETE)},
    "set": {"deprovision": _everything(DeprovisionAction.SET, parting=PARTING)},
    "set out": {"deprovision": Deprovision(out_of_scope=DeprovisionAction.SET, parting=PARTING)},
    "seven days of grace": {"deprovision": Deprovision(disable_after_seconds=7 * DAY)},
    "delete after grace": {"deprovision": _everything(DeprovisionAction.DELETE, disable_after_seconds=7 * DAY)},
    "delete never": {"deprovision": Deprovision(delete_after_seconds=None)},
    "create alone": {"actions": frozenset({Action.CREATE})},
    "no create": {"actions": _ALL - {Action.CREATE}},
    "no delete": {"actions": _ALL - {Action.DELETE}},
    "cannot disable": {"profile": replace(PROFILE, can_disable=False)},
    "cannot delete": {"profile": replace(PROFILE, can_delete=False, can_delete_groups=False)},
    "cannot adopt or rename groups": {"profile": replace(PROFILE, can_adopt_groups=False, can_rename_groups=False)},
    "protected by id": {"protected": ("T1",)},
    "protected by name": {"protected": ("ANN@example.com", "Crew")},
    "somebody else is protected": {"protected": ("zoe",)},
    "a value does not fit": {"entry": {"floor": "third", "jobTitle": "Chief"}},
    "two values do not fit": {"entry": {"floor": "third", "upn": None, "id": None}},
    "matching values do not fit": {"entry": {"upn": {"a": 1}, "id": {"a": 1}}},
    "no matching value": {"entry": {"upn": None, "id": None}},
    "null": {"entry": {"floor": None, "jobTitle": None}},
    "another title": {"entry": {"jobTitle": "Chief"}},
    "ignored": {"mappings": (*MAPPINGS, AttributeMapping("nick", FromExpression("IgnoreObjectFlow")))},
    "redacted": {"mappings": (*MAPPINGS, AttributeMapping("pin", FromExpression("Redact([id])")))},
    "active on create": {"mappings": (*MAPPINGS[:2], replace(MAPPINGS[2], apply=Apply.CREATE))},
    "no active": {"mappings": MAPPINGS[:2]},
    "the mapping says no": {"mappings": (*MAPPINGS[:2], AttributeMapping("active", Constant(False)), *MAPPINGS[3:])},
    "no, and a value does not fit": {
        "mappings": (*MAPPINGS[:2], AttributeMapping("active", Constant(False)), *MAPPINGS[3:]),
        "entry": {"floor": "third"},
    },
    "shown on": {"found": AGREED},
    "shown off": {"found": OFF},
    "shown otherwise": {"found": {**AGREED, "title": "Intern"}},
    "a manager": {"references": {"manager": TargetId("t9")}},
    "a manager who waits": {"pending": (Pending("manager", "user", SourceId("s9")),)},
    "sign-in by mail": {"sign_in": "mail"},
}
KINDS: Mapping[Kind, tuple[tuple[AttributeMapping, ...], Mapping[str, Any], Resource]] = {
    "user": (MAPPINGS, ANN, AGREED),
    "group": (
        (AttributeMapping("displayName", Direct("name"), match=1), AttributeMapping("externalId", Direct("id"))),
        {"id": "s1", "name": "Crew"},
        {"displayName": "Crew", "externalId": "s1"},
    ),
}
GROUPS: Mapping[str, Link | None] = {
    "none": None,
    "as it should be": _link(KINDS["group"][2]),
    "named otherwise": _link({"displayName": "Old", "externalId": "s1"}),
    "adopted": replace(_link(KINDS["group"][2]), origin="adopted"),
}


def situations() -> Iterator[tuple[str, str, str]]:
    """Yield each situation, the rule that is not the ordinary one, and what is decided."""
    for name, (link, more) in ACCOUNTS.items():
        for standing in STANDINGS:
            for rule in RULES:
                yield f"user, {name}, {standing}", rule, _text(_decided("user", link, more, standing, rule))
    for name, group_link in GROUPS.items():
        for standing in ("in", "out", "gone", "purged"):
            for rule in RULES:
                yield f"group, {name}, {standing}", rule, _text(_decided("group", group_link, {}, standing, rule))
    for kind in KINDS:
        for standing in ("in", "in, roles unknown", "inactive"):
            for name, account in _matches(kind).items():
                for rule in RULES:
                    decision = _matched(kind, standing, rule, account)
                    yield f"{kind} matched by {name}, {standing}", rule, _text(decision)
    for rule, rules in RULES.items():
        job = _job("user", rules, KINDS["user"][0])
        yield "causes that leave accounts as they are", rule, ", ".join(kept_causes(job, rules.get("profile", PROFILE)))


def written() -> str:
    """Return the file: each decision once, with the situations that come to it and the rules in which they do."""
    by_decision: dict[str, dict[str, list[str]]] = {}
    for situation, rule, decided in situations():
        by_decision.setdefault(decided, {}).setdefault(situation, []).append(rule)
    blocks = [
        "\n".join((f"# {decided}", *(f"{situation}: {_list(rules)}" for situation, rules in found.items())))
        for decided, found in by_decision.items()
    ]
    return "\n\n".join(blocks) + "\n"


def _list(rules: Sequence[str]) -> str:
    """Return the rules; where there are more than half of them, those that are not among them."""
    if len(rules) * 2 <= len(RULES):
        return "; ".join(rules)
    others = [rule for rule in RULES if rule not in rules]
    return "whatever the rule" + (f", but {'; '.join(others)}" if others else "")


def _matches(kind: Kind) -> dict[str, Account | None]:
    agreed = KINDS[kind][2]
    return {
        "nobody": None,
        "one as it should be": Account(TargetId("t1"), agreed),
        "one that is off": Account(TargetId("t1"), {**agreed, "active": False, "title": "Intern"}),
    }


def _job(kind: Kind, rules: Mapping[str, Any], mappings: tuple[AttributeMapping, ...]) -> Job:
    of_kind = ObjectRules(kind, mappings, rules.get("actions", _ALL), sign_in=rules.get("sign_in"))
    return Job(
        *("app", "staff", "phone"),
        users=of_kind if kind == "user" else None,
        groups=of_kind if kind == "group" else None,
        deprovision=rules.get("deprovision", Deprovision()),
        protected=rules.get("protected", ()),
    )


def _mapped(rules: ObjectRules, profile: Profile, entry: Mapping[str, Any], standing: InScope | Leaving) -> Mapped:
    roles = standing.roles if isinstance(standing, InScope) else ()
    computed = {
        "IsSoftDeleted": "False" if isinstance(standing, InScope) else "True",
        "appRoleAssignments": [{"value": role.value, "displayName": role.display_name} for role in roles],
    }
    return Mapper.compile(rules, profile).wanted({**entry, **computed})


def _prepared(kind: Kind, record: Record, standing: InScope | Leaving, rule: str) -> tuple[Planner, Judged]:
    rules = RULES[rule]
    mappings, entry, _ = KINDS[kind]
    if kind == "user":
        mappings = rules.get("mappings", mappings)
    entry = {**entry, **rules.get("entry", {})}
    job, profile = _job(kind, rules, mappings), rules.get("profile", PROFILE)
    of_kind = job.rules(kind)
    assert of_kind is not None
    maps = isinstance(standing, InScope) or standing.entitled
    found = Account(TargetId("t1"), rules["found"]) if "found" in rules else None
    judged = Judged(
        record,
        standing,
        _mapped(of_kind, profile, entry, standing) if maps else None,
        rules.get("references", {}),
        rules.get("pending", ()),
        b"now",
        found,
        Mapper.compile(replace(of_kind, mappings=PARTING), profile).wanted(entry),
    )
    return Planner.of(job, of_kind, profile), judged


def _decided(kind: Kind, link: Link | None, more: Mapping[str, Any], standing: str, rule: str) -> Decision:
    record = Record(kind, SourceId("s1"), 1, b"before", **{"verdict": Verdict.IN_SCOPE, **more}, name="ann", link=link)
    planner, judged = _prepared(kind, record, STANDINGS[standing], rule)
    decision = planner.plan(judged, NOW)
    assert not isinstance(decision, Operation) or decision.record is record
    return decision


def _matched(kind: Kind, standing: str, rule: str, account: Account | None) -> Decision:
    record = Record(kind, SourceId("s1"), verdict=Verdict.NEW, name="ann")
    planner, judged = _prepared(kind, record, STANDINGS[standing], rule)
    assert judged.mapped is not None
    if not judged.mapped.match_values:
        return Reject("ImportSkipped", "never asked for")
    decision = planner.plan_matched(judged, account)
    assert not isinstance(decision, Operation) or decision.record is record
    return decision


def _text(decision: Decision) -> str:
    match decision:
        case Ask(match=match):
            return f"ask for {match}"
        case Reject(error_code=code, why=why):
            return f"reject {code}: {why}"
        case Leave(why=why, code=code, verdict=verdict, due_at=due_at, leaves_disabled=disabled, off_by_others=others):
            due = "" if due_at is None else f", due in {(due_at - NOW) / DAY:g} days"
            return f"leave {code}: {why} [{verdict}{due}, {disabled}, {others}]"
        case Operation():
            said: list[Any] = [
                decision.verdict,
                decision.fingerprint,
                decision.cause,
                sorted(decision.redacted),
                decision.match,
            ]
            said += [decision.account.id if decision.account else None, decision.pending, decision.due_at]
            changes = [f"{c.path}: {c.old} to {c.new}" for c in decision.changes]
            return f"{decision.word}: {decision.why} {said} {changes} {decision.resource}"


def main() -> None:
    """Rewrite the file."""
    PAGE.write_text(written(), "utf-8")


if __name__ == "__main__":
    main()
