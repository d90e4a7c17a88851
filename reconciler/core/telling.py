"""Words the provisioning log: one record per entry and change of verdict (docs/provisioning-log.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import repeat
from typing import Any, Literal

from reconciler.core.decisions import Leave, Operation, Pending
from reconciler.core.model import Cause, Resource, TargetId
from reconciler.core.outcomes import Failed
from reconciler.core.reasons import OUT_OF_SCOPE, Reason
from reconciler.core.records import LogRecord, Modified, Record, Step
from reconciler.core.redaction import HIDDEN, without
from reconciler.core.safeguards import Safeguard

_ACTIONS = {
    "create": "create",
    "adopt": "update",
    "update": "update",
    "enable": "update",
    "disable": "disable",
    "delete": "delete",
}
_BECAUSE: dict[Cause, dict[str, Any]] = {cause: {"Cause": str(cause)} for cause in Cause}
HELD_BY: Mapping[Safeguard, Reason] = {
    "deletions": "TooManyDeletes",
    "members": "TooManyRemovals",
    "groups": "GroupDeleteHeld",
    "adopted": "AdoptedAccountHeld",
    "locked": "LockedAccountHeld",
    "renames": "TooManyRenames",
    "creates": "TooManyCreates",
    "clock": "ClockInDoubt",
}
"""The code of what each safeguard holds."""


def sent(
    operation: Operation,
    failure: Failed | None,
    target_id: TargetId | None,
    at: float,
    took_ms: int,
    warning: str = "",
    warning_code: Reason = "ValueNotKept",
) -> LogRecord:
    """Return the record of an operation that went to the target; `warning` is what it did not keep."""
    status: Literal["success", "failure", "warning"] = "success"
    if failure is not None:
        status = "failure"
    elif warning:
        status = "warning"
    verb = operation.word if failure is None else f"{operation.word} failed: {failure.reason}"
    record = operation.record
    return LogRecord(
        at=at,
        kind=record.kind,
        source_id=record.source_id,
        name=record.name,
        action=_ACTIONS[operation.word],
        operation=operation.word,
        status=status,
        target_id=target_id,
        error_code=failure.error_code if failure is not None else warning_code if warning else "",
        reason=failure.reason if failure is not None else warning or operation.why,
        steps=(
            Step("import", "success", f"Read {record.kind} {record.source_id} from the source"),
            _scoping(operation),
            _matching(operation),
            *(map(_unresolved, operation.pending) if failure is None and operation.pending else ()),
            _step("export", status, warning or verb) if failure is None else _refused(verb, failure),
        ),
        modified=_modified(operation),
        took_ms=took_ms,
        counts=operation.counts,
        approved=operation.approved,
    )


def told_without_secrets(operation: Operation, failure: Failed) -> Failed:
    """Return the failure without the values that the mapping keeps out of the log: a target may repeat them."""
    if not operation.redacted:
        return failure
    account = operation.account.resource if operation.account is not None else {}
    resources: tuple[Mapping[str, Any], ...] = (operation.resource, account, dict(operation.match))
    values = [resource[path] for resource in resources for path in operation.redacted & resource.keys()]
    values += [value for c in operation.changes if c.path in operation.redacted for value in (c.old, c.new)]
    return replace(failure, reason=without(failure.reason, values))


def made_before(record: Record, at: float) -> LogRecord:
    """Return the record of an account that was found under the name of a create whose answer was lost."""
    why = "made by a request whose answer was not seen; found under the name that it was made with"
    return LogRecord(
        at=at,
        kind=record.kind,
        source_id=record.source_id,
        name=record.name,
        action="create",
        operation="create",
        status="success",
        target_id=record.link.target_id if record.link is not None else None,
        reason=why,
        steps=(Step("matching", "success", why),),
    )


def seen_after_doubt(
    record: Record, shown: Resource, active: str, at: float, redacted: frozenset[str] = frozenset()
) -> LogRecord | None:
    """Return what a look shows after an answer was lost; None where the account is as it was known.

    Who made the difference, our request or somebody in the app, cannot be told, and is not claimed; what was switched
    off where we had sent nothing of the kind was not disabled by us.
    """
    link = record.link
    assert link is not None
    paths = [path for path in {**link.agreed, **shown} if link.agreed.get(path) != shown.get(path)]
    adopted = link.origin == "adopted" and link.linked_at == record.attempted_at
    if not paths and not adopted:
        return None
    operation = "adopt" if adopted else "update"
    if active in paths and shown.get(active) is not False:
        operation = operation if adopted else "enable"
    elif active in paths and record.attempted_off_at is not None:
        operation = "disable"
    why = "an answer was lost, so the account was looked at: this is what it shows now"
    return LogRecord(
        at=at,
        kind=record.kind,
        source_id=record.source_id,
        name=record.name,
        action="disable" if operation == "disable" else "update",
        operation=operation,
        status="success",
        target_id=link.target_id,
        reason=why,
        steps=(Step("matching", "success", "linked already"), Step("export", "success", why)),
        modified=_without(((path, link.agreed.get(path), shown.get(path)) for path in paths), redacted),
    )


def staged(operation: Operation, reason: str, why: str, safeguard: Safeguard, at: float) -> LogRecord:
    """Return the record of an operation that a safeguard holds back for `reason`, by the arithmetic `why`."""
    record = operation.record
    return LogRecord(
        at=at,
        kind=record.kind,
        source_id=record.source_id,
        name=record.name,
        action="stagedDelete" if operation.word == "delete" else "stagedAction",
        operation=operation.word,
        status="skipped",
        target_id=record.link.target_id if record.link is not None else None,
        error_code=HELD_BY[safeguard],
        reason=f"{reason}; held: {why}",
        steps=(_scoping(operation), Step("export", "skipped", f"held: {why}")),
    )


def skipped(record: Record, decision: Leave, at: float) -> LogRecord:
    """Return the record of an entry for which nothing was sent."""
    return LogRecord(
        at=at,
        kind=record.kind,
        source_id=record.source_id,
        name=record.name,
        action="other",
        operation="leave",
        status="skipped",
        target_id=record.link.target_id if record.link is not None else None,
        error_code=decision.code,
        reason=decision.why,
        steps=(
            Step("import", "success", f"Read {record.kind} {record.source_id} from the source"),
            Step(
                "scoping" if decision.code in OUT_OF_SCOPE else "processing",
                "skipped",
                decision.why,
                {"SkipReason": decision.code},
            ),
        ),
    )


def rejected(record: Record, error_code: Reason, why: str, at: float, step: str = "processing") -> LogRecord:
    """Return the record of an entry that failed before anything was sent for it."""
    return LogRecord(
        at=at,
        kind=record.kind,
        source_id=record.source_id,
        name=record.name,
        action="other" if record.link is not None else "create",
        operation="leave",
        status="failure",
        target_id=record.link.target_id if record.link is not None else None,
        error_code=error_code,
        reason=why,
        steps=(
            Step("import", "success", f"Read {record.kind} {record.source_id} from the source"),
            Step(step, "failure", why),
        ),
    )


def members(
    group: Record, added: int, removed: int, failure: Failed | None, at: float, held: str = "", unresolved: int = 0
) -> LogRecord:
    """Return the record of what became of a group's members."""
    said = [f"{added} added"] * bool(added) + [f"{removed} removed"] * bool(removed)
    steps = [Step("referenceResolution", "success", ", ".join(said) or "no member changed")]
    if unresolved:
        text = f"{unresolved} members have no account yet; they are added when they have one"
        details = {"SkipReason": "UnableToResolveReferenceAttributeValue"}
        steps.append(Step("referenceResolution", "skipped", text, details))
    if held:
        steps.append(Step("export", "skipped", f"held: {held}"))
    if failure is not None:
        steps.append(Step("export", "failure", failure.reason))
    return LogRecord(
        at=at,
        kind="group",
        source_id=group.source_id,
        name=group.name,
        action="update",
        operation="members",
        status="failure" if failure is not None else "skipped" if held and not said else "success",
        target_id=group.link.target_id if group.link is not None else None,
        error_code=failure.error_code if failure is not None else "TooManyRemovals" if held else "",
        reason=failure.reason if failure is not None else held or ", ".join(said),
        steps=tuple(steps),
    )


def _unresolved(pending: Pending) -> Step:
    text = f"{pending.path}: {pending.kind} {pending.source_id} has no account yet; it is set when there is one"
    details = {"SkipReason": "UnableToResolveReferenceAttributeValue"}
    return Step("referenceResolution", "skipped", text, details)


def _matching(operation: Operation) -> Step:
    if operation.account is not None:
        path = operation.match[0][0] if operation.match else "id"
        return _step("matching", "success", f"matched an existing account by {path}")
    if operation.word != "create":
        return _step("matching", "success", "linked already")
    return _step("matching", "success", "no account matches")


def _scoping(operation: Operation) -> Step:
    if operation.cause is None:
        return _step("scoping", "success", operation.why)
    return Step("scoping", "success", operation.why, _BECAUSE[operation.cause])


@lru_cache(maxsize=1000)
def _step(kind: str, status: Literal["success", "warning", "failure"], description: str) -> Step:
    """Return a step whose words are the same for many entries."""
    return Step(kind, status, description)


def _refused(description: str, failure: Failed) -> Step:
    """Return the step of a request that failed, with what the target's support finds it by."""
    found_by = {"Request": failure.request, "RequestId": failure.request_id}
    return Step("export", "failure", description, {name: value for name, value in found_by.items() if value})


def _modified(operation: Operation) -> tuple[Modified, ...]:
    if operation.word == "create":
        resource = operation.resource
        return _without(zip(resource, repeat(None), resource.values(), strict=False), operation.redacted)
    return _without(((change.path, change.old, change.new) for change in operation.changes), operation.redacted)


def _without(modified: Iterable[Modified], redacted: frozenset[str]) -> tuple[Modified, ...]:
    if not redacted:
        return tuple(modified)
    return tuple(
        (path, _hidden(old), _hidden(new)) if path in redacted else (path, old, new) for path, old, new in modified
    )


def _hidden(value: Any) -> Any:
    return HIDDEN if value is not None else None
