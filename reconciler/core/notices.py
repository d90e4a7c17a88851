"""What a job's people are told of by mail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from reconciler.core.standing import Quarantine, Standing


class NoticeKind(StrEnum):
    QUARANTINE_ENTERED = "quarantine_entered"
    QUARANTINE_CHANGED = "quarantine_changed"
    QUARANTINE_REMINDER = "quarantine_reminder"
    QUARANTINE_LEFT = "quarantine_left"
    JOB_STOPPED = "job_stopped"
    HELD = "held"
    FAILURES = "failures"
    """A digest of what failed."""
    NO_CYCLE = "no_cycle"
    """No cycle has finished in three intervals."""
    WATERMARK_OLD = "watermark_old"
    ABSENCE_NOT_JUDGED = "absence_not_judged"
    """Two cycles running could not say who has left, because a reading was not whole."""
    GROUPS_MISSING = "groups_missing"
    """The rules name groups that the source does not have."""
    NOT_OFF = "not_off"
    """Somebody who should be switched off is not, for so long that a person should know."""
    CREDENTIAL_EXPIRING = "credential_expiring"
    DOUBTFUL = "doubtful"
    """The process was ended while the mail server took a mail: nobody knows whether it has it."""
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Notice:
    """One mail to be, without its words: the templates of `notify` make them of `facts`."""

    kind: NoticeKind
    job: str
    at: float
    key: str
    """What it is about, once: a second notice with this key is never queued."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON values. No secret, and of a person only what the provisioning log shows anyway."""


Settle = Callable[[Standing], tuple[Standing, Sequence[Notice]]]
"""Changes a job's standing, and says who is to be told what. Pure: it runs inside a transaction."""


def both(first: Settle, second: Settle) -> Settle:
    """Return what changes a standing by the first, then by the second, and tells what both do."""

    def settle(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
        standing, told = first(standing)
        standing, more = second(standing)
        return standing, (*told, *more)

    return settle


LISTED_MAX = 20
"""So many entries are named in a mail; the rest is counted, and a command shows them all."""


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """An operation that a safeguard holds back."""

    kind: str
    id: str
    name: str
    operation: str
    why: str


@dataclass(frozen=True, slots=True)
class FailedEntry:
    """An entry whose operation failed."""

    kind: str
    id: str
    name: str
    operation: str
    error_code: str
    reason: str


@dataclass(frozen=True, slots=True)
class StillOn:
    """Somebody who should be switched off in the app, and is not."""

    id: str
    name: str
    why: str
    """What stands against it: held, escrow, incomplete, quarantine, grace; a sentence."""
    since: float


def quarantine_entered(
    job: str,
    at: float,
    quarantine: Quarantine,
    *,
    tested_every_seconds: float | None = None,
    stop_after_seconds: float | None = None,
) -> Notice:
    """Return the notice that a job went into quarantine: one for each time that it does.

    `tested_every_seconds`: a cheap connection test runs so often, and lifts it. `stop_after_seconds`: after so long the
    job is stopped; None: never.
    """
    facts = _quarantined(quarantine, tested_every_seconds, stop_after_seconds)
    return _notice(NoticeKind.QUARANTINE_ENTERED, job, at, facts, quarantine.series_began)


def quarantine_changed(
    job: str,
    at: float,
    quarantine: Quarantine,
    *,
    before: Quarantine,
    tested_every_seconds: float | None = None,
    stop_after_seconds: float | None = None,
) -> Notice:
    """Return the notice that a job is in quarantine for another reason now than `before`."""
    facts = _quarantined(quarantine, tested_every_seconds, stop_after_seconds)
    facts["before"] = {"reason": before.reason, "error_code": before.error_code, "rule": before.rule}
    return _notice(NoticeKind.QUARANTINE_CHANGED, job, at, facts, quarantine.series_began, quarantine.began)


def quarantine_reminder(
    job: str,
    at: float,
    quarantine: Quarantine,
    *,
    tested_every_seconds: float | None = None,
    stop_after_seconds: float | None = None,
) -> Notice:
    """Return the notice that a job is in quarantine still. How often is the caller's affair."""
    facts = _quarantined(quarantine, tested_every_seconds, stop_after_seconds)
    return _notice(NoticeKind.QUARANTINE_REMINDER, job, at, facts, at)


def quarantine_left(job: str, at: float, quarantine: Quarantine, *, how: str) -> Notice:
    """Return the notice that a quarantine is over; `how`: a sentence without its full stop ("a cycle succeeded")."""
    return _notice(
        NoticeKind.QUARANTINE_LEFT,
        job,
        at,
        {**_quarantined(quarantine, None, None), "how": how},
        quarantine.series_began,
    )


def job_stopped(job: str, at: float, quarantine: Quarantine, *, stop_after_seconds: float) -> Notice:
    """Return the notice that a job was in quarantine for so long that it runs no more until a person restarts it."""
    facts = _quarantined(quarantine, None, stop_after_seconds)
    return _notice(NoticeKind.JOB_STOPPED, job, at, facts, quarantine.series_began)


def held(
    job: str, at: float, *, hold_id: str, since: float, arithmetic: str, operations: Sequence[HeldEntry], total: int = 0
) -> Notice:
    """Return the notice of a hold, one for each `hold_id`.

    `arithmetic`: the safeguard's line. `total`: how many operations are held, where `operations` are not all of them.
    """
    counts: dict[str, int] = {}
    for operation in operations:
        counts[operation.operation] = counts.get(operation.operation, 0) + 1
    facts = {
        "hold": hold_id,
        "since": since,
        "arithmetic": arithmetic,
        "total": max(total, len(operations)),
        "counts": counts,
        "operations": [asdict(operation) for operation in operations[:LISTED_MAX]],
    }
    return _notice(NoticeKind.HELD, job, at, facts, hold_id, since)


def failures(
    job: str,
    at: float,
    *,
    cycle_id: str,
    rule: str,
    failed: int,
    judged: int,
    cycles_running: int,
    codes: Mapping[str, int],
    entries: Sequence[FailedEntry],
) -> Notice:
    """Return the digest of what failed: `failed` of `judged` entries wait for their next try, for so many cycles.

    `rule`: why a person is told, a sentence without its full stop ("at least 10 entries failed in two cycles running").
    `codes`: error code → how many in the last cycle. `entries`: some of them, the first of each code first.
    """
    facts = {
        "cycle_id": cycle_id,
        "rule": rule,
        "failed": failed,
        "judged": judged,
        "cycles_running": cycles_running,
        "codes": dict(sorted(codes.items(), key=lambda code: (-code[1], code[0]))),
        "entries": [asdict(entry) for entry in entries[:LISTED_MAX]],
    }
    return _notice(NoticeKind.FAILURES, job, at, facts, at)


def no_cycle(
    job: str,
    at: float,
    *,
    interval_seconds: float,
    last_finished_at: float | None,
    running_since: float | None = None,
    next_due_at: float | None = None,
    problem: str = "",
) -> Notice:
    """Return the notice that no cycle has finished in three intervals.

    `running_since`: one is under way since then. `problem`: what brought the last one down, where that is known.
    """
    facts = {
        "interval_seconds": interval_seconds,
        "last_finished_at": last_finished_at,
        "running_since": running_since,
        "next_due_at": next_due_at,
        "problem": problem,
    }
    return _notice(NoticeKind.NO_CYCLE, job, at, facts, at)


def watermark_old(
    job: str, at: float, *, interval_seconds: float, watermark_at: float | None, problems: Sequence[str] = ()
) -> Notice:
    """Return the notice that the watermark has not moved in three intervals, although cycles finish."""
    facts = {
        "interval_seconds": interval_seconds,
        "watermark_at": watermark_at,
        "problems": list(problems[:LISTED_MAX]),
    }
    return _notice(NoticeKind.WATERMARK_OLD, job, at, facts, at)


def absence_not_judged(
    job: str, at: float, *, cycles_running: int, last_judged_at: float | None, problems: Sequence[str] = ()
) -> Notice:
    """Return the notice that so many cycles running could not say who has left. `problems`: why, file and line."""
    facts = {
        "cycles_running": cycles_running,
        "last_judged_at": last_judged_at,
        "problems": list(problems[:LISTED_MAX]),
        "n_problems": len(problems),
    }
    return _notice(NoticeKind.ABSENCE_NOT_JUDGED, job, at, facts, at)


def groups_missing(job: str, at: float, *, groups: Sequence[str]) -> Notice:
    """Return the notice that the rules name these groups, and the source has none of that name."""
    facts = {"groups": sorted(groups)[:LISTED_MAX], "n_groups": len(groups)}
    return _notice(NoticeKind.GROUPS_MISSING, job, at, facts, at)


def not_off(job: str, at: float, *, people: Sequence[StillOn], total: int = 0) -> Notice:
    """Return the notice that people should be switched off and are not. `total`: where `people` are not all of them."""
    oldest_first = sorted(people, key=lambda person: (person.since, person.id))
    facts = {
        "total": max(total, len(people)),
        "oldest_since": oldest_first[0].since if oldest_first else at,
        "people": [asdict(person) for person in oldest_first[:LISTED_MAX]],
    }
    return _notice(NoticeKind.NOT_OFF, job, at, facts, at)


def credential_expiring(job: str, at: float, *, target: str, expires: date, days_left: int) -> Notice:
    """Return the notice that a target's credential ends; one for each date and number of days left (negative: over)."""
    facts = {"target": target, "expires": expires.isoformat(), "days_left": days_left}
    return _notice(NoticeKind.CREDENTIAL_EXPIRING, job, at, facts, target, expires.isoformat(), days_left)


def doubtful(about: Notice, at: float) -> Notice:
    """Return the notice that nobody knows whether the mail server took the mail of another one."""
    facts = {"kind": about.kind, "queued_at": about.at}
    return Notice(NoticeKind.DOUBTFUL, about.job, at, f"{about.key}/{NoticeKind.DOUBTFUL}", facts)


def trial(job: str, at: float) -> Notice:
    """Return a mail that says that mails arrive. `job` may be empty."""
    return _notice(NoticeKind.TEST, job, at, {}, at)


def _quarantined(
    quarantine: Quarantine, tested_every_seconds: float | None, stop_after_seconds: float | None
) -> dict[str, Any]:
    return {
        **asdict(quarantine),
        "tested_every_seconds": tested_every_seconds,
        "stop_after_seconds": stop_after_seconds,
    }


def _notice(kind: NoticeKind, job: str, at: float, facts: Mapping[str, Any], *about: object) -> Notice:
    return Notice(kind, job, at, "/".join((job, kind, *map(str, about))), facts)
