"""What is remembered of an entry once its operation was done or failed."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import diffing, escrow
from reconciler.core.model import Change, Kind, Profile
from reconciler.core.outcomes import Account, Failed
from reconciler.core.planning import Leave, Operation
from reconciler.core.records import Link, Record


def done(
    operation: Operation, account: Account | None, delete_after_seconds: float | None, active: str, now: float
) -> Record:
    """Return the operation's own record, brought to what holds after the target did it.

    `account` is the one that was created or adopted.
    """
    record = operation.record
    record.verdict, record.why, record.fingerprint = operation.verdict, operation.why, operation.fingerprint
    record.escrow = record.attempted_at = record.due_at = None
    match operation.word:
        case "delete":
            record.link = None
            return record
        case "create":
            assert account is not None
            record.link = Link(account.id, "created", dict(operation.resource), now)
        case _:
            link = record.link
            if operation.account is not None:
                link = Link(operation.account.id, "adopted", operation.account.resource, now)
            assert link is not None
            record.link = replace(link, agreed=diffing.apply(operation.changes, link.agreed))
    link = record.link
    assert link is not None
    if operation.word == "disable":
        because = str(operation.cause or operation.verdict)
        record.link = replace(link, disabled_at=now, disabled_because=because, delete_at=None)
        if operation.cause is not None and delete_after_seconds is not None:
            record.link.delete_at = now + delete_after_seconds
    elif link.disabled_at is not None and link.agreed.get(active) is not False:
        record.link = replace(link, disabled_at=None, disabled_because="", delete_at=None)
    record.due_at = record.link.delete_at
    return record


def left(record: Record, decision: Leave, fingerprint: bytes | None, now: float) -> Record:
    """Return the record of an entry for which nothing had to be sent."""
    link = record.link
    if link is not None and link.disabled_at is not None:
        if decision.leaves_disabled is not None:
            link = replace(link, disabled_at=now, disabled_because=str(decision.leaves_disabled))
        link = replace(link, delete_at=decision.due_at)
    return replace(
        record,
        link=link,
        verdict=decision.verdict,
        why=decision.why,
        fingerprint=fingerprint,
        due_at=decision.due_at,
        escrow=None,
        attempted_at=None,
    )


def failed(operation: Operation, failure: Failed, now: float) -> Record:
    """Return the record after a failure: what it was, and when it is tried again.

    A negative operation is never dropped nor put off: it is due at once, whatever the timers say.
    """
    record = rejected(operation.record, operation.fingerprint, failure.error_code, failure.reason, now)
    if operation.negative:
        record.due_at = now
        record.fingerprint = None
    if operation.word == "create":
        record.attempted_at = now if failure.may_have_been_done else None
    return record


def rejected(record: Record, fingerprint: bytes | None, error_code: str, reason: str, now: float) -> Record:
    """Return the record of an entry that failed; the link and the verdict stay as they were."""
    waiting, due_at = escrow.after_failure(record.escrow, now, error_code, reason)
    return replace(record, fingerprint=fingerprint, escrow=waiting, due_at=due_at)


def unkept(wanted: tuple[Change, ...], account: Account, kind: Kind, profile: Profile) -> tuple[str, ...]:
    """Return the paths whose new value the target's own answer does not show."""
    asked = {change.path: change.new for change in wanted}
    still = diffing.changes(asked, account.resource, lambda path: profile.attribute(kind, path))
    return tuple(change.path for change in still)
