"""Watches decisions come about, and tells them as the five steps of provisioning on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.core import explaining
from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.decisions import Decision, Leave, Operation, Reject
from reconciler.core.model import Direct, Entry, FromExpression, Job, Kind, Resource
from reconciler.core.outcomes import Account, Failed
from reconciler.core.profile import Profile
from reconciler.core.reasons import Reason
from reconciler.core.records import Link, Record
from reconciler.core.scoping import InScope, Standing, StandingUnknown
from reconciler.language import compile_expression
from reconciler.ports import Diagnosis
from reconciler.runtime.candidates import Candidate
from reconciler.runtime.holding import Withheld
from reconciler.runtime.overhearing import Overheard
from reconciler.runtime.provisioned import Row, Shown, Status, Subject, connection
from reconciler.runtime.rules import KindRules
from reconciler.runtime.turns import Key

_HIDDEN = "[Redact]"
_OUTCOME: Mapping[str, Status] = {"success": "success", "warning": "warning", "skipped": "skipped"}


@dataclass(slots=True)
class _Seen:
    """What was seen of one entry."""

    name: str = ""
    entry: Entry | None = None
    memberships: Memberships = field(default_factory=Memberships)
    standing: Standing | None = None
    link: Link | None = None
    """As it was before."""
    match: tuple[tuple[str, str], ...] = ()
    redacted: frozenset[str] = frozenset()
    decision: Decision | None = None
    withheld: Withheld | None = None
    weighed: str = ""


class Watching:
    """A `Watch` of one run on demand."""

    def __init__(self, job: Job, profile: Profile, rules: Mapping[Kind, KindRules], target: Overheard) -> None:
        self._job, self._profile, self._rules, self._target = job, profile, rules, target
        self._seen: dict[Key, _Seen] = {}
        self.groups = KnownGroups({}, complete=False)
        """What is known of the groups that the rules name."""

    @property
    def left(self) -> Mapping[Key, Leave]:
        """Return the entries for which nothing was to be done."""
        return {key: one.decision for key, one in self._seen.items() if isinstance(one.decision, Leave)}

    def judged(self, entry: Entry, memberships: Memberships, standing: Standing) -> None:
        seen = self._of((entry.kind, entry.id))
        seen.entry, seen.memberships, seen.standing = entry, memberships, standing
        seen.name = self._rules[entry.kind].name_of(entry)

    def decided(self, candidate: Candidate, decision: Decision) -> None:
        seen = self._of(candidate.record.key)
        if seen.decision is None:
            seen.link = candidate.record.link
        seen.decision = decision
        if candidate.mapped is not None:
            seen.match, seen.redacted = candidate.mapped.match_values, candidate.mapped.redacted

    def gone(self, record: Record) -> None:
        """Take somebody whom the source has not any more."""
        seen = self._of(record.key)
        seen.name, seen.link = record.name, record.link

    def takes_away(self, operation: Operation) -> None:
        self._of(operation.record.key).decision = operation

    def weighed(self, operation: Operation, arithmetic: str) -> None:
        self._of(operation.record.key).weighed = arithmetic

    def holds(self, key: Key, withheld: Withheld) -> None:
        self._of(key).withheld = withheld

    def subject(self, key: Key, lines: Sequence[Diagnosis], rows: Sequence[Row], stopped: Failed | None) -> Subject:
        """Return what the steps came to for one entry."""
        seen = self._of(key)
        steps = [connection(lines), self._import(key, seen)]
        if seen.standing is not None:
            steps.append(self._scope(key, seen))
        elif seen.entry is None:
            steps.append(Shown("skipped", "not in scope (gone): no longer in the source"))
        unknown = isinstance(seen.standing, StandingUnknown)
        code: Reason | Literal[""] = "Unknown" if unknown else ""
        if not unknown:
            steps.append(self._match(key, seen))
            action, code = _action(seen, rows, stopped)
            steps.append(action)
        return Subject(*key, seen.name, tuple(steps), tuple(rows), code, unknown)

    def _of(self, key: Key) -> _Seen:
        return self._seen.setdefault(key, _Seen())

    def _import(self, key: Key, seen: _Seen) -> Shown:
        kind, source_id = key
        if seen.entry is None:
            known = f"; the state knows it by its account {seen.link.target_id}" if seen.link is not None else ""
            return Shown("skipped", f"the source has no {kind} {source_id} any more{known}")
        rules = self._rules[kind]
        hidden = _feeding(rules, seen.redacted)
        names = sorted(rules.reads | rules.scope.reads_if_present)
        values = {
            name: _HIDDEN if name in hidden and seen.entry.attributes[name] is not None else seen.entry.attributes[name]
            for name in names
            if name in seen.entry.attributes
        }
        return Shown("success", f"read {kind} {source_id} from the source", {"attributes": values})

    def _scope(self, key: Key, seen: _Seen) -> Shown:
        assert seen.entry is not None and seen.standing is not None
        found = explaining.checks(seen.entry, self._job, self._rules[key[0]].scope, self.groups, seen.memberships)
        details = {"checks": [check.as_json() for check in found]}
        status: Status = "skipped"
        match seen.standing:
            case InScope():
                status = "success"
            case StandingUnknown():
                status = "warning"
            case _:
                pass
        return Shown(status, explaining.verdict(seen.standing), details)

    def _match(self, key: Key, seen: _Seen) -> Shown:
        asked: list[dict[str, Any]] = []
        count = 0
        for path, value in seen.match:
            answer = self._target.answers.get((key[0], path, value))
            if answer is None:
                continue
            shown = _HIDDEN if path in seen.redacted else value
            if isinstance(answer, Failed):
                asked.append({"attribute": path, "value": shown, "failed": answer.reason, "found": []})
                continue
            accounts = [_account(account, seen.redacted) for account in answer.accounts]
            asked.append({"attribute": path, "value": shown, "found": accounts})
            count = count or len(accounts)
        details: dict[str, Any] = {"asked": asked}
        if seen.link is not None:
            details["link"] = {"target_id": seen.link.target_id, "origin": seen.link.origin}
            return Shown("success", f"linked to {seen.link.target_id} already ({seen.link.origin})", details)
        if not asked:
            return Shown("skipped", "the target was not asked: there is nothing to match", details)
        if any("failed" in one for one in asked):
            return Shown("failure", "the target could not be asked", details)
        by = next((str(one["attribute"]) for one in asked if one["found"]), "")
        if count > 1:
            return Shown("failure", f"{count} accounts match by {by}", details)
        return Shown("success", f"one account matches by {by}" if count else "no account matches", details)


def _action(seen: _Seen, rows: Sequence[Row], stopped: Failed | None) -> tuple[Shown, Reason | Literal[""]]:
    """Return the last step, and the code of what stood in its way."""
    details = _details(seen, rows)
    told = rows[-1] if rows else None
    if told is not None and told["status"] == "failure":
        return Shown("failure", f"{told['operation']} failed: {told['reason']}", details), told["error_code"]
    if (withheld := seen.withheld) is not None:
        return Shown("skipped", f"{withheld.word} held by the safeguard: {withheld.why}", details), withheld.code
    match seen.decision:
        case Operation(word=word, why=why) if told is not None:
            status = _OUTCOME.get(told["status"], "failure")
            warning = f"; {told['reason']}" if status == "warning" else ""
            counted = " (it counts for the safeguard)" if seen.weighed else ""
            return Shown(status, f"{word}: {why}{warning}{counted}", details), ""
        case Leave(why=why, code=code) if all(row["operation"] == "leave" for row in rows):
            return Shown("skipped", why, details), code
        case Reject(error_code=code, why=why):
            return Shown("failure", why, details), code
        case _ if told is not None:
            return Shown("success", f"{told['operation']}: {told['reason']}", details), ""
        case _ if stopped is not None:
            return Shown("failure", f"nothing was done: {stopped.reason}", details), stopped.error_code
        case _:
            return Shown("skipped", "there is nothing to do", details), "RedundantExport"


def _details(seen: _Seen, rows: Sequence[Row]) -> dict[str, Any]:
    details: dict[str, Any] = {"modified": [one for row in rows for one in row["modified"]]}
    if seen.weighed:
        details["safeguard"] = seen.weighed
    if rows:
        details["answers"] = [
            {
                "operation": row["operation"],
                "status": row["status"],
                "target_id": row["target_id"],
                "reason": row["reason"],
            }
            for row in rows
        ]
    return details


def _account(account: Account, redacted: frozenset[str]) -> dict[str, Any]:
    resource: Resource = {path: _HIDDEN if path in redacted else value for path, value in account.resource.items()}
    return {"id": account.id, "attributes": resource}


def _feeding(rules: KindRules, redacted: frozenset[str]) -> frozenset[str]:
    """Return the source attributes whose values flow to paths that the log must not show."""
    found: set[str] = set()
    for mapping in rules.rules.mappings if redacted else ():
        if mapping.to in redacted:
            match mapping.source:
                case Direct(attribute=attribute):
                    found.add(attribute)
                case FromExpression(text=text):
                    found |= compile_expression(text).reads
                case _:
                    pass
    return frozenset(found)
