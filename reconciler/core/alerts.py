"""Decides what a job's people are told although nothing is wrong with one entry: each occasion once.

An alert is given when its occasion begins, and again only after all was well in between. The digest of failures is
repeated while they last: after a day, then every week.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial

from reconciler.core import notices
from reconciler.core.notices import FailedEntry, Notice, NoticeKind
from reconciler.core.standing import Standing

FAILING_ENTRIES = 10
FAILING_SHARE = 0.20
FAILING_CYCLES = 2
UNJUDGED_CYCLES = 2
LATE_INTERVALS = 3
EXPIRY_DAYS = (30, 7, 1, 0, -1)
"""So many days before a credential ends its job's people are reminded, on its last day, and once it has ended."""

_DAY = 86400.0
_REPEATED_SECONDS = 7 * _DAY


@dataclass(frozen=True, slots=True)
class Failures:
    """What fails in a job when a cycle has ended."""

    waiting: int
    """Entries that failed and wait for their next try."""
    judged: int
    """All entries that the job looks after: those that wait, and those whose account is in order."""
    cycle_id: str = ""
    entries: Sequence[FailedEntry] = ()
    """Those that failed in this cycle; as many as were kept."""

    @property
    def many(self) -> bool:
        return self.waiting >= FAILING_ENTRIES or (self.waiting > 0 and self.waiting >= FAILING_SHARE * self.judged)


def failing(job: str, standing: Standing, failures: Failures, at: float) -> tuple[Standing, Sequence[Notice]]:
    """Count the cycles running in which many entries failed, and give the digest."""
    standing = replace(standing, failing_cycles=standing.failing_cycles + 1 if failures.many else 0)
    standing, due = _repeated(standing, NoticeKind.FAILURES, standing.failing_cycles >= FAILING_CYCLES, at)
    if not due:
        return standing, ()
    codes: dict[str, int] = {}
    for entry in failures.entries:
        codes[entry.error_code] = codes.get(entry.error_code, 0) + 1
    limit = f"at least {FAILING_ENTRIES} entries"
    if failures.waiting < FAILING_ENTRIES:
        limit = f"at least {FAILING_SHARE:.0%} of the entries"
    told = notices.failures(
        job,
        at,
        cycle_id=failures.cycle_id,
        rule=f"{limit} fail, in {standing.failing_cycles} cycles running",
        failed=failures.waiting,
        judged=failures.judged,
        cycles_running=standing.failing_cycles,
        codes=codes,
        entries=_first_of_each_code(failures.entries),
    )
    return standing, [told]


def absence(
    job: str, standing: Standing, *, judged: bool, problems: Sequence[str], at: float
) -> tuple[Standing, Sequence[Notice]]:
    """Count the cycles running that could not say who has left."""
    if judged:
        standing = replace(standing, judged_at=at, unjudged_cycles=0)
    else:
        standing = replace(standing, unjudged_cycles=standing.unjudged_cycles + 1)
    give = partial(
        notices.absence_not_judged,
        job,
        at,
        cycles_running=standing.unjudged_cycles,
        last_judged_at=standing.judged_at,
        problems=problems,
    )
    standing, due = _once(standing, NoticeKind.ABSENCE_NOT_JUDGED, standing.unjudged_cycles >= UNJUDGED_CYCLES, at)
    return standing, [give()] if due else ()


def missing_groups(
    job: str, standing: Standing, groups: Collection[str], at: float
) -> tuple[Standing, Sequence[Notice]]:
    """Say that the rules name groups that the source does not have: all of them, as often as another one is missing."""
    prefix = f"{NoticeKind.GROUPS_MISSING}/"
    missing = {f"{prefix}{group}" for group in groups}
    alerted = {name: last for name, last in standing.alerted.items() if not name.startswith(prefix) or name in missing}
    new = dict.fromkeys(sorted(missing - alerted.keys()), at)
    standing = replace(standing, alerted={**alerted, **new})
    return standing, [notices.groups_missing(job, at, groups=list(groups))] if new else ()


def watermark(
    job: str, standing: Standing, interval_seconds: float, at: float, problems: Sequence[str] = ()
) -> tuple[Standing, Sequence[Notice]]:
    """Say that the watermark stands still although cycles finish.

    A source without one, and a job that rests or is in quarantine, give no alert; that none finishes is another alert.
    """
    moved_at, finished_at = standing.watermark_at, standing.last_finished_at
    if standing.paused is not None or standing.quarantine is not None:
        return standing, ()
    finished_since = moved_at is not None and finished_at is not None and finished_at > moved_at
    old = finished_since and moved_at is not None and at - moved_at > LATE_INTERVALS * interval_seconds
    standing, due = _once(standing, NoticeKind.WATERMARK_OLD, old, at)
    if not due:
        return standing, ()
    told = notices.watermark_old(job, at, interval_seconds=interval_seconds, watermark_at=moved_at, problems=problems)
    return standing, [told]


@dataclass(frozen=True, slots=True)
class Watched:
    """What the daemon knows of a job of which no cycle may have finished for long."""

    since: float
    """When it began to watch the job; then a cycle gets the time to end, however long the daemon was off."""
    running_since: float | None = None
    next_due_at: float | None = None
    problem: str = ""
    """What brought the last cycle down."""


def no_cycle(
    job: str, standing: Standing, interval_seconds: float, watched: Watched, at: float
) -> tuple[Standing, Sequence[Notice]]:
    """Say that no cycle has finished in three intervals. A job that rests, and one in quarantine, give no alert.

    After such a time the three intervals begin anew: its first cycle may have much to do.
    """
    if standing.paused is not None or standing.stopped_at is not None or standing.quarantine is not None:
        return standing, ()
    last = standing.last_finished_at
    counted_from = max(watched.since if last is None else last, standing.goes_on_since or 0.0)
    late = at - counted_from > LATE_INTERVALS * interval_seconds
    late = late and at - watched.since >= interval_seconds
    standing, due = _once(standing, NoticeKind.NO_CYCLE, late, at)
    if not due:
        return standing, ()
    told = notices.no_cycle(
        job,
        at,
        interval_seconds=interval_seconds,
        last_finished_at=last,
        running_since=watched.running_since,
        next_due_at=watched.next_due_at,
        problem=watched.problem,
    )
    return standing, [told]


def expiring(
    job: str, standing: Standing, target: str, expires: date | None, at: float
) -> tuple[Standing, Sequence[Notice]]:
    """Remind of the day on which a target's credential ends; another day begins anew."""
    prefix = f"{NoticeKind.CREDENTIAL_EXPIRING}/"
    this = f"{prefix}{target}/{expires.isoformat()}/" if expires is not None else ""
    others = {name for name in standing.alerted if name.startswith(prefix) and not (this and name.startswith(this))}
    if others:
        alerted = {name: last for name, last in standing.alerted.items() if name not in others}
        standing = replace(standing, alerted=alerted)
    if expires is None:
        return standing, ()
    days_left = (expires - datetime.fromtimestamp(at, UTC).date()).days
    passed = [days for days in EXPIRY_DAYS if days_left <= days]
    if not passed or f"{this}{passed[-1]}" in standing.alerted:
        return standing, ()
    standing = replace(standing, alerted={**standing.alerted, f"{this}{passed[-1]}": at})
    return standing, [notices.credential_expiring(job, at, target=target, expires=expires, days_left=days_left)]


def _once(standing: Standing, occasion: str, holds: bool, at: float) -> tuple[Standing, bool]:
    """Return the standing with the occasion noted or taken out, and whether it begins now."""
    alerted = dict(standing.alerted)
    if holds == (occasion in alerted):
        return standing, False
    if holds:
        alerted[occasion] = at
    else:
        del alerted[occasion]
    return replace(standing, alerted=alerted), holds


def _repeated(standing: Standing, occasion: str, holds: bool, at: float) -> tuple[Standing, bool]:
    """Return whether to tell of an occasion that lasts: when it begins, after a day, every week; never twice a day."""
    standing, _ = _once(standing, f"{occasion}/began", holds, at)
    if not holds:
        return standing, False
    began, last = standing.alerted[f"{occasion}/began"], standing.alerted.get(occasion)
    wait = _DAY
    if last is not None and last >= began + _DAY:
        wait = _REPEATED_SECONDS
    if last is not None and at - last < wait:
        return standing, False
    return replace(standing, alerted={**standing.alerted, occasion: at}), True


def _first_of_each_code(entries: Sequence[FailedEntry]) -> list[FailedEntry]:
    """Return the entries, the first of each code before all others."""
    seen: set[str] = set()
    first: list[FailedEntry] = []
    rest: list[FailedEntry] = []
    for entry in entries:
        (rest if entry.error_code in seen else first).append(entry)
        seen.add(entry.error_code)
    return [*first, *rest]
