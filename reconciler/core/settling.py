"""What is remembered of an entry once its operation was done or failed."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from reconciler.core import diffing, escrow
from reconciler.core.decisions import LEAVERS, Leave, Operation
from reconciler.core.model import Change, Kind, Resource
from reconciler.core.outcomes import Account, Done, Failed, Missing
from reconciler.core.profile import Profile
from reconciler.core.records import BY_OTHERS, Link, Record, Verdict

WHEN_ALL_ARE = math.inf
"""Due when everybody is looked at, as after a change of the rules: of who is gone no reading reminds."""
NEARLY = 0.8
"""From this share of the changes that a target allows on, people are warned."""


def done(
    operation: Operation,
    account: Account | None,
    delete_after_seconds: float | None,
    active: str,
    now: float,
    missing: Collection[str] = (),
) -> Record:
    """Return the operation's own record, brought to what holds after the target did it.

    `account` is the one that was created or adopted, `missing` what the target does not show as it was sent.
    """
    record = operation.record
    record.verdict, record.why, record.fingerprint = operation.verdict, operation.why, operation.fingerprint
    record.escrow = record.attempted_at = record.attempted_off_at = record.due_at = None
    record.attempted_match, record.claims, record.off_since = (), None, None
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
                before, link = link, Link(operation.account.id, "adopted", operation.account.resource, now)
                if before is not None and before.target_id == link.target_id:
                    # it has passed to this job, or to a new id
                    link = replace(link, disabled_at=before.disabled_at, disabled_because=before.disabled_because)
            assert link is not None
            record.link = replace(link, agreed=diffing.apply(operation.changes, link.agreed))
    link = record.link
    assert link is not None
    if operation.word == "disable":
        because = str(operation.cause or operation.verdict)
        record.link = replace(link, disabled_at=now, disabled_because=because, delete_at=None)
        if operation.cause is not None and delete_after_seconds is not None:
            record.link.delete_at = now + delete_after_seconds
    elif (link.disabled_at is not None or link.disabled_because) and link.agreed.get(active) is not False:
        because = _why_if_off(operation, link, active, missing)
        record.link = replace(link, disabled_at=None, disabled_because=because, delete_at=None)
    if operation.beside is not None:
        record.link = _off_or_on(record.link, operation.beside, now)
    record.due_at = earliest(record.link.delete_at, operation.due_at)
    if operation.word == "adopt" and record.link.disabled_at is not None:
        record.due_at = now  # it was disabled before it passed: the next cycle says when it is deleted
    elif record.due_at is None and record.verdict is Verdict.GONE:
        record.due_at = WHEN_ALL_ARE
    return record


def _why_if_off(operation: Operation, link: Link, active: str, missing: Collection[str]) -> str:
    """Return why we had disabled an account that counts as on now, where the target has not shown that it is."""
    says_nothing = link.disabled_at is None and operation.account is None
    says_nothing = says_nothing and all(change.path != active for change in operation.changes)
    if not link.is_ours_if_off or not (says_nothing or active in missing):
        return ""
    return link.disabled_because or str(operation.verdict)


def to_be_sent(record: Record, paths: Collection[str], account: Account, now: float) -> None:
    """Have the next cycle look at the account, and send what it lacks: what could not go with a create, or after it.

    The target may have taken it all the same, and only not shown it. What is not wanted any more then must go again.
    """
    assert record.link is not None
    shown = {path: value for path, value in account.resource.items() if path in paths}
    agreed = {path: value for path, value in record.link.agreed.items() if path not in paths}
    record.link = replace(record.link, agreed={**agreed, **shown})
    record.fingerprint, record.due_at, record.attempted_at = None, now, now


def left(record: Record, decision: Leave, fingerprint: bytes | None, now: float) -> Record:
    """Return the record of an entry for which nothing had to be sent; whose create is in doubt is looked at again."""
    in_doubt = record.attempted_at is not None and record.link is None
    return replace(
        record,
        link=_off_or_on(record.link, decision, now) if record.link is not None else None,
        verdict=decision.verdict,
        why=decision.why,
        fingerprint=None if in_doubt else fingerprint,
        due_at=decision.due_at,
        escrow=None,
        off_since=(record.off_since or now) if decision.code == "GracePeriod" else None,
        claims=decision.claims,
    )


def _off_or_on(link: Link, decision: Leave, now: float) -> Link:
    """Return the link of an account that is left on or off as it is: by whom it is off, and when it is deleted."""
    if link.disabled_at is None and decision.off_by_others != (link.disabled_because == BY_OTHERS):
        link = replace(link, disabled_because=BY_OTHERS if decision.off_by_others else "")
    if link.disabled_at is not None:
        if decision.leaves_disabled is not None:
            link = replace(link, disabled_at=now, disabled_because=str(decision.leaves_disabled))
        link = replace(link, delete_at=decision.due_at if decision.due_at != WHEN_ALL_ARE else None)
    return link


def left_on(record: Record, found: Account | None, active: str) -> None:
    """Take note that a comparison has shown an account on that was off for all we knew, and that it may stay so.

    Where we had disabled it the target had not done it, somebody has undone it, or what was shown is late: whether it
    is on is not known. Who leaves is sent the disable, who changes the enable; and seen off still, it is off by us.
    """
    link = record.link
    if link is None or found is None or found.resource.get(active) is False:
        return
    if link.disabled_at is not None:
        agreed = {path: value for path, value in link.agreed.items() if path != active}
        because = link.disabled_because or str(Verdict.IN_SCOPE)
        record.link = replace(link, agreed=agreed, disabled_at=None, disabled_because=because, delete_at=None)
    elif link.agreed.get(active) is False:
        record.link = replace(link, agreed={**link.agreed, active: True})


def failed(operation: Operation, failure: Failed, now: float) -> Record:
    """Return the record after a failure: what it was, and when it is tried again.

    A negative operation is never dropped nor put off: it is due at once, whatever the timers say.
    """
    record = rejected(operation.record, operation.fingerprint, failure.error_code, failure.reason, now)
    record.due_at = earliest(record.due_at, operation.due_at)
    record.off_since = (record.off_since or now) if operation.negative else None
    if operation.negative:
        record.due_at = now
        record.fingerprint = None
    if failure.may_have_been_done or operation.in_doubt:
        return _doubtful(record, operation, now)
    _go_by_what_is_there(record, operation)
    if not failure.unsent:
        record.attempted_at, record.attempted_off_at, record.attempted_match = None, None, ()
    if operation.verdict is Verdict.IN_SCOPE:
        record.verdict = came_back(record.verdict)
    return record


def keep_doubt(operation: Operation, outcome: Done | Missing | Failed) -> None:
    """Take note that an operation, or a part of it, may have been done: no later refusal settles that."""
    if isinstance(outcome, Failed) and outcome.may_have_been_done:
        operation.in_doubt = True


def attempted(operation: Operation, now: float) -> Record:
    """Return the record to commit before the operation is sent: nobody knows from then on whether it was done.

    Where nothing more becomes known, the next cycle looks first at what is there.
    """
    record = operation.record.copy()
    record.fingerprint = None
    if operation.negative:
        record.off_since = record.off_since or now
    return _doubtful(record, operation, now)


def _doubtful(record: Record, operation: Operation, now: float) -> Record:
    if operation.negative:
        record.attempted_off_at = now
    elif record.attempted_at is None:
        record.attempted_off_at = None
    record.attempted_at = now
    if operation.verdict is Verdict.IN_SCOPE or record.verdict is Verdict.GONE:
        record.verdict = came_back(record.verdict)
    if operation.word == "create":
        record.attempted_match = operation.match
    elif operation.account is not None:
        record.link = record.link or Link(operation.account.id, "adopted", operation.account.resource, now)
    return _switched_on_by_somebody(record, operation)


def earliest(first: float | None, second: float | None) -> float | None:
    """Return the earlier of two moments, where there are any."""
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)


def is_back(record: Record) -> None:
    """Take note that somebody is in scope, before it is known whether she can be brought to that."""
    record.verdict, record.off_since = came_back(record.verdict), None


def came_back(verdict: Verdict) -> Verdict:
    """Return what is remembered of an entry in scope that could not be brought to that, or is not known to be.

    Who counts as gone is looked at no more when it leaves again; and a grace that was interrupted is over.
    """
    return Verdict.NEW if verdict in LEAVERS else verdict


def looked_at(record: Record, shown: Resource, active: str, hidden: frozenset[str] = diffing.NEVER_SHOWN) -> Record:
    """Return the record, whose last operation's answer is not known, after a look at the account.

    What was on and is off now is taken for disabled by us where that was sent, otherwise for disabled by somebody else;
    what is on is not disabled, whoever had disabled it. `hidden` are the paths that the target never shows.
    """
    link = record.link
    assert link is not None
    was_on, is_on = link.agreed.get(active) is not False, shown.get(active) is not False
    link = as_shown(link, shown, active, hidden)
    if was_on and not is_on:
        not_kept = record.attempted_off_at is None and link.disabled_at is None and link.is_ours_if_off
        because = link.disabled_because if not_kept else ""
        link = replace(link, disabled_at=record.attempted_off_at, disabled_because=because, delete_at=None)
    return replace(record, link=link, attempted_at=None, attempted_off_at=None)


def as_shown(link: Link, shown: Resource, active: str, hidden: frozenset[str] = diffing.NEVER_SHOWN) -> Link:
    """Return the link with what the account shows now as agreed; what is on is not disabled, whoever had done that."""
    kept = {path: value for path, value in link.agreed.items() if path in hidden}
    link = replace(link, agreed={**shown, **kept})
    if shown.get(active) is False:
        return link
    return replace(link, disabled_at=None, disabled_because="", delete_at=None)


def not_shown(record: Record, active: str) -> Record:
    """Return the record, whose last operation's answer is not known, where the account cannot be looked at.

    Whether it is on is not known: who must be off is sent a disable, whatever was sent before.
    """
    link = record.link
    assert link is not None
    agreed = {path: value for path, value in link.agreed.items() if path != active}
    may_be_ours = record.attempted_off_at if record.attempted_off_at is not None else link.disabled_at
    link = replace(link, agreed=agreed, disabled_at=None, disabled_because="", delete_at=None)
    return replace(record, link=link, attempted_off_at=may_be_ours)


def not_sent(operation: Operation, now: float) -> Record:
    """Return the record of an entry whose operation is held, or was given up before anything was done.

    Whatever showed the cause, the next cycle finds it too.
    """
    record = replace(operation.record, fingerprint=None, due_at=now)
    if operation.negative:
        record.off_since = record.off_since or now
    _go_by_what_is_there(record, operation)
    return record


def let_be(operation: Operation, why: str, now: float) -> Record:
    """Return the record of an entry whose operation a person rejected: its account stays as it is."""
    due_at = WHEN_ALL_ARE if operation.verdict is Verdict.GONE else operation.due_at
    record = replace(
        operation.record,
        verdict=operation.verdict,
        why=why,
        fingerprint=operation.fingerprint,
        due_at=due_at,
        escrow=None,
        off_since=(operation.record.off_since or now) if operation.negative else None,
    )
    if record.link is not None:
        record.link = replace(record.link, delete_at=None)
    return _switched_on_by_somebody(record, operation)


def _go_by_what_is_there(record: Record, operation: Operation) -> None:
    """Let the next try go by what a comparison has shown, which may be another value than was agreed."""
    if record.link is not None and operation.account is None:
        record.link = replace(record.link, agreed=_as_shown(operation, record.link))
        _switched_on_by_somebody(record, operation)


def _switched_on_by_somebody(record: Record, operation: Operation) -> Record:
    """Return the record; where the target showed an account as active that we had disabled, it is not any more."""
    link = record.link
    if link is not None and link.disabled_at is not None and operation.word == "disable":
        agreed = _as_shown(operation, link)
        record.link = replace(link, agreed=agreed, disabled_at=None, disabled_because="", delete_at=None)
    return record


def send_only(operation: Operation, some: Sequence[Change]) -> None:
    """Have only some of an operation's changes sent; the rest is tried again, from what the target was seen to hold."""
    link, rest = operation.record.link, [change for change in operation.changes if change not in some]
    if link is not None and operation.account is None:
        operation.record.link = replace(link, agreed=diffing.apply(_undone(rest), link.agreed))
    operation.changes, operation.fingerprint = tuple(some), None


def _as_shown(operation: Operation, link: Link) -> Resource:
    return diffing.apply(_undone(operation.changes), link.agreed)


def _undone(changes: Sequence[Change]) -> list[Change]:
    return [Change(change.path, change.new, change.old) for change in changes]


def rejected(record: Record, fingerprint: bytes | None, error_code: str, reason: str, now: float) -> Record:
    """Return the record of an entry that failed; the link and the verdict stay as they were."""
    waiting, due_at = escrow.after_failure(record.escrow, now, error_code, reason)
    return replace(record, fingerprint=fingerprint, escrow=waiting, due_at=due_at)


def unkept(wanted: Sequence[Change], account: Account, kind: Kind, profile: Profile) -> tuple[str, ...]:
    """Return the paths whose new value the target's own answer does not show."""
    hidden = diffing.never_shown(profile.attributes(kind))
    asked = {change.path: change.new for change in wanted if change.path not in hidden}
    still = diffing.changes(asked, account.resource, lambda path: profile.attribute(kind, path))
    return tuple(change.path for change in still)


def counted(
    link: Link | None, asked: Sequence[Change], missing: Collection[str] | None, kind: Kind, profile: Profile
) -> dict[str, int]:
    """Return how often each path was taken and not kept, after `asked` was sent to an account that had `link`.

    `missing` are the paths that the target does not show as asked, None where it showed nothing. A value that was not
    sent before is counted from the beginning.
    """
    before = link.unkept if link is not None else {}
    if not before and not missing:
        return {}
    counts = dict(before)
    for change in asked:
        times = counts.pop(change.path, 0)
        last = link.agreed.get(change.path) if link is not None else None
        if not diffing.same(last, change.new, profile.attribute(kind, change.path)):
            times = 0
        if missing is not None:
            times = times + 1 if change.path in missing else 0
        if times:
            counts[change.path] = times
    return counts


def numbered(record: Record, changes: Sequence[Change], profile: Profile) -> tuple[Record, str]:
    """Count changes of what may be changed so and so often; return the record, and a warning where few are left."""
    link, said = record.link, []
    if link is None:
        return record, ""
    for change in changes:
        most = profile.attribute(record.kind, change.path).max_changes
        if most is None or change.old is None:
            continue
        times = link.changed.get(change.path, 0) + 1
        link = replace(link, changed={**link.changed, change.path: times})
        if times >= most * NEARLY:
            said.append(f"{change.path} was changed {times} times, and the target allows {most}")
    return (replace(record, link=link) if link is not record.link else record), "; ".join(said)


def compared(link: Link, account: Account, kind: Kind, profile: Profile) -> Link:
    """Return the link after a look at the account itself.

    What it shows counts as agreed, but where it differs from what was agreed: that value was not kept, once at least,
    and is remembered so that it is not sent for ever. What is shown on is off by nobody.
    """
    shown = account.resource
    agreed, counts = dict(shown), dict[str, int]()
    for path in link.agreed.keys() | shown.keys():
        last, attribute = link.agreed.get(path), profile.attribute(kind, path)
        if path in diffing.NEVER_SHOWN or not attribute.shown:
            if path in link.agreed:
                agreed[path] = last
        elif not diffing.same(last, shown.get(path), attribute):
            counts[path] = max(1, link.unkept.get(path, 0))
            if path in link.agreed:
                agreed[path] = last
            elif path in link.unkept:
                del agreed[path]
    link = replace(link, agreed=agreed, unkept=counts)
    if link.disabled_at is None and link.disabled_because and shown.get(profile.active) is not False:
        link.disabled_because = ""
    return link
