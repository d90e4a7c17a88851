"""Decides when a job goes into quarantine, when it is tried again, and when it comes out (docs/quarantine.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reconciler.core import notices
from reconciler.core.notices import Notice
from reconciler.core.outcomes import ERROR_CODES, Failed, Fault
from reconciler.core.standing import Quarantine, QuarantineReason, Standing

FAILURES_MIN = 5_000
"""Fewer failures never put a job into quarantine."""
SHARE = 0.40
FAILURES_MAX = 40_000
TOTAL_MAX = 60_000
"""References that failed count in this limit alone."""

_HOUR, _DAY = 3600.0, 86400.0
WAITS_SECONDS = (6 * _HOUR, 12 * _HOUR, 24 * _HOUR)
"""After the first, second, and every later attempt in vain; the first attempt comes after the normal interval."""
REMINDED_FIRST_SECONDS = _DAY
REMINDED_SECONDS = 7 * _DAY

_FAMILIES: dict[str, str] = {
    ERROR_CODES[Fault.UNREACHABLE]: "reach",
    ERROR_CODES[Fault.INTERRUPTED]: "reach",
    ERROR_CODES[Fault.THROTTLED]: "reach",
    ERROR_CODES[Fault.UNAUTHORIZED]: "credentials",
    ERROR_CODES[Fault.FORBIDDEN]: "credentials",
    ERROR_CODES[Fault.NOT_FOUND]: "scim",
    ERROR_CODES[Fault.NOT_SCIM]: "scim",
}
_FAMILIES_OF_SOURCES = {**_FAMILIES, ERROR_CODES[Fault.SERVER_ERROR]: "reach"}
_BY_STEP = {
    "connection": Fault.UNREACHABLE,
    "answer": Fault.UNREACHABLE,
    "sign-in": Fault.UNAUTHORIZED,
    "permissions": Fault.UNAUTHORIZED,
}
REFUSES_CREATES = "the target does not let us create accounts"
_RULES = {
    "reach": "the target is out of reach",
    "credentials": "the target refuses the credentials",
    "scim": "what answers at the target's address is not SCIM",
}
_RULES_OF_SOURCES = {
    "reach": "the source {} is out of reach",
    "credentials": "the source {} refuses the credentials",
    "scim": "what answers at the address of the source {} is not what was asked for",
}


@dataclass(frozen=True, slots=True)
class Breach:
    """Why a job must not go on as it does."""

    reason: QuarantineReason
    error_code: str
    rule: str
    arithmetic: str = ""
    request: str = ""
    answer: str = ""
    lifted_by_test: bool = False
    """A connection test can show that it is over."""
    source: str = ""
    """The name of the source, where it is the source that cannot be worked with."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What failed and what was done in a cycle."""

    failed: int
    """Entries that failed for the first time; references excepted."""
    done: int
    references: int = 0
    """References (manager, member) that failed."""
    waiting: int = 0
    """All entries that failed and wait for their next try, those of this cycle among them."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job's configuration says of its quarantine."""

    job: str
    interval_seconds: float
    stop_after_seconds: float | None = None
    rules: str = ""
    """The version of the job's rules."""


def by_counts(tally: Tally, *, in_quarantine: bool = False, first: Failed | None = None) -> Breach | None:
    """Return what the counts of a cycle break, None where they break nothing.

    A failure that is known and tried again in vain is no new event: it counts in the limits, not in the share. Of a job
    that is in quarantine already the share is that of all who still wait.
    """
    waiting = max(tally.failed, tally.waiting)
    total = waiting + tally.references
    if waiting > FAILURES_MAX:
        return _counted(
            QuarantineReason.BASE_ESCROW,
            f"more than {FAILURES_MAX} entries failed",
            f"{waiting} failed > {FAILURES_MAX}, references not counted",
            first,
        )
    if total > TOTAL_MAX:
        return _counted(
            QuarantineReason.TOTAL_ESCROW,
            f"more than {TOTAL_MAX} entries and references failed",
            f"{waiting} entries + {tally.references} references = {total} failed > {TOTAL_MAX}",
            first,
        )
    failed = waiting if in_quarantine else tally.failed
    events = failed + tally.done
    if failed >= FAILURES_MIN and failed > SHARE * events:
        return _counted(
            QuarantineReason.ESCROW_PROPORTION,
            f"at least {FAILURES_MIN} entries failed, and more than {SHARE:.0%} of all that were worked on",
            f"{failed} failed of {events} = {failed / events:.1%} > {SHARE:.0%}, references not counted",
            first,
        )
    return None


def by_fault(failure: Failed, *, refuses_creates: bool = False) -> Breach:
    """Return the breach of a target that cannot be worked with at all.

    `refuses_creates`: it answers questions, and does not let us create: no connection test shows when that is over.
    """
    rule = REFUSES_CREATES
    if not refuses_creates:
        rule = _RULES[_FAMILIES.get(failure.error_code, "scim")]
    return Breach(
        QuarantineReason.EXCEPTION,
        failure.error_code,
        rule,
        request=failure.request,
        answer=failure.reason,
        lifted_by_test=not refuses_creates,
    )


def by_source(failure: Failed, source: str) -> Breach:
    """Return the breach of a source that cannot be worked with at all, which a connection test shows to be over."""
    rule = _RULES_OF_SOURCES[_FAMILIES_OF_SOURCES.get(failure.error_code, "scim")].format(source)
    return Breach(
        QuarantineReason.EXCEPTION,
        failure.error_code,
        rule,
        request=failure.request,
        answer=failure.reason,
        lifted_by_test=True,
        source=source,
    )


def by_test(step: str, text: str) -> Breach:
    """Return the breach that a connection test found, by the step that failed and its words."""
    return by_fault(Failed(_BY_STEP.get(step, Fault.NOT_SCIM), text))


def after_cycle(
    terms: Terms, standing: Standing, breach: Breach | None, at: float
) -> tuple[Standing, Sequence[Notice]]:
    """Return how the job stands after a cycle that was gone through, and who is to be told."""
    before = standing.quarantine
    if breach is None:
        return lifted(terms.job, standing, at, how="a cycle succeeded")
    if before is None:
        entered = replace(_entered(breach, at, at, at + terms.interval_seconds), rules=terms.rules)
        told = notices.quarantine_entered(
            terms.job,
            at,
            entered,
            tested_every_seconds=_tested_every(entered, terms),
            stop_after_seconds=terms.stop_after_seconds,
        )
        return replace(standing, quarantine=entered), [told]
    quarantine = before
    if at >= _next_attempt(before, terms, at):
        quarantine = _in_vain(before, at, terms)
    quarantine = replace(quarantine, rules=terms.rules)
    if before.test_passed_at is not None and _same(before, breach):
        # the test says that all is well, and the cycle does not: it is not asked any more
        quarantine = replace(quarantine, test_passed_at=None, lifted_by_test=False)
    standing, changed = _changed(terms, replace(standing, quarantine=quarantine), breach, at)
    standing, told_later = passing_time(terms, standing, at)
    return standing, [*changed, *told_later]


def after_test(terms: Terms, standing: Standing, breach: Breach | None, at: float) -> tuple[Standing, Sequence[Notice]]:
    """Return how the job stands after a connection test. One that passed has a cycle follow, which lifts."""
    if standing.quarantine is None:
        return standing, ()
    if breach is None:
        return replace(standing, quarantine=replace(standing.quarantine, test_passed_at=at)), ()
    standing, changed = _changed(terms, standing, breach, at)
    standing, told_later = passing_time(terms, standing, at)
    return standing, [*changed, *told_later]


def passing_time(terms: Terms, standing: Standing, at: float) -> tuple[Standing, Sequence[Notice]]:
    """Return what time alone makes of a quarantine: the job is stopped, or its people are reminded."""
    quarantine = standing.quarantine
    if quarantine is None or standing.stopped_at is not None:
        return standing, ()
    lasted = at - quarantine.series_began
    if terms.stop_after_seconds is not None and lasted >= terms.stop_after_seconds:
        told = notices.job_stopped(terms.job, at, quarantine, stop_after_seconds=terms.stop_after_seconds)
        return replace(standing, stopped_at=at), [told]
    last = standing.alerted.get(notices.NoticeKind.QUARANTINE_REMINDER, 0.0)
    reminded = last > quarantine.series_began
    if at - (last if reminded else quarantine.series_began) < (
        REMINDED_SECONDS if reminded else REMINDED_FIRST_SECONDS
    ):
        return standing, ()
    told = notices.quarantine_reminder(
        terms.job,
        at,
        quarantine,
        tested_every_seconds=_tested_every(quarantine, terms),
        stop_after_seconds=terms.stop_after_seconds,
    )
    return replace(standing, alerted={**standing.alerted, notices.NoticeKind.QUARANTINE_REMINDER: at}), [told]


def lifted(job: str, standing: Standing, at: float, *, how: str) -> tuple[Standing, Sequence[Notice]]:
    """Return the standing without its quarantine; a job that stopped in it runs again."""
    quarantine = standing.quarantine
    if quarantine is None:
        return replace(standing, stopped_at=None), ()
    told = notices.quarantine_left(job, at, quarantine, how=how)
    alerted = {name: last for name, last in standing.alerted.items() if name != notices.NoticeKind.QUARANTINE_REMINDER}
    return replace(standing, quarantine=None, stopped_at=None, goes_on_since=at, alerted=alerted), [told]


def resumed(standing: Standing, at: float) -> Standing:
    """Return the standing of a job that a person lets go on. Of one that had stopped itself, the time begins anew."""
    quarantine = standing.quarantine
    if standing.stopped_at is not None and quarantine is not None:
        quarantine = replace(quarantine, began=at, series_began=at, series_count=0, next_attempt=at)
    return replace(standing, paused=None, stopped_at=None, quarantine=quarantine, goes_on_since=at)


Turn = Literal["cycle", "test", "rest"]


def turn(standing: Standing, terms: Terms, now: float) -> Turn:
    """Return what a job that is due by itself does: a cycle, a connection test alone, or nothing."""
    if standing.paused is not None or standing.stopped_at is not None:
        return "rest"
    quarantine = standing.quarantine
    if quarantine is None or now >= _next_attempt(quarantine, terms, now) or quarantine.rules != terms.rules:
        return "cycle"
    return "test" if quarantine.lifted_by_test else "rest"


def next_turn(standing: Standing, terms: Terms, began: float, now: float) -> float:
    """Return when a job that began a turn at `began` is to be woken next."""
    usual = max(now, began + terms.interval_seconds)
    quarantine = standing.quarantine
    if quarantine is None or quarantine.lifted_by_test:
        return usual
    moments = [_next_attempt(quarantine, terms, now)]
    if terms.stop_after_seconds is not None:
        moments.append(quarantine.series_began + terms.stop_after_seconds)
    return max(now, min(moments))


def _next_attempt(quarantine: Quarantine, terms: Terms, now: float) -> float:
    """Return when the job is tried next; at once where that was written down by a clock that was ahead of time."""
    longest = max(WAITS_SECONDS[-1], terms.interval_seconds)
    return quarantine.next_attempt if quarantine.next_attempt <= now + longest else now


def _counted(reason: QuarantineReason, rule: str, arithmetic: str, first: Failed | None) -> Breach:
    request, answer = (first.request, first.reason) if first is not None else ("", "")
    return Breach(reason, first.error_code if first is not None else "", rule, arithmetic, request, answer)


def _entered(breach: Breach, began: float, series_began: float, next_attempt: float) -> Quarantine:
    return Quarantine(
        reason=breach.reason,
        error_code=breach.error_code,
        rule=breach.rule,
        arithmetic=breach.arithmetic,
        began=began,
        series_began=series_began,
        series_count=0,
        next_attempt=next_attempt,
        request=breach.request,
        answer=breach.answer,
        lifted_by_test=breach.lifted_by_test,
        source=breach.source,
    )


def _in_vain(quarantine: Quarantine, at: float, terms: Terms) -> Quarantine:
    wait = WAITS_SECONDS[min(quarantine.series_count, len(WAITS_SECONDS) - 1)]
    return replace(
        quarantine,
        began=min(quarantine.began, at),
        series_began=min(quarantine.series_began, at),
        series_count=quarantine.series_count + 1,
        next_attempt=at + max(wait, terms.interval_seconds),
    )


def _changed(terms: Terms, standing: Standing, breach: Breach, at: float) -> tuple[Standing, Sequence[Notice]]:
    """Take in why the job is in quarantine now; the first request and answer of a reason are kept."""
    before = standing.quarantine
    assert before is not None
    if _same(before, breach):
        return replace(standing, quarantine=replace(before, arithmetic=breach.arithmetic)), ()
    quarantine = replace(
        _entered(breach, at, before.series_began, before.next_attempt),
        series_count=before.series_count,
        rules=before.rules,
    )
    told = notices.quarantine_changed(
        terms.job,
        at,
        quarantine,
        before=before,
        tested_every_seconds=_tested_every(quarantine, terms),
        stop_after_seconds=terms.stop_after_seconds,
    )
    return replace(standing, quarantine=quarantine), [told]


def _same(quarantine: Quarantine, breach: Breach) -> bool:
    """Whether it is the same reason: of counts the limit, of faults what an administrator would mend."""
    if breach.reason is not quarantine.reason:
        return False
    return breach.reason is not QuarantineReason.EXCEPTION or breach.rule == quarantine.rule


def _tested_every(quarantine: Quarantine, terms: Terms) -> float | None:
    return terms.interval_seconds if quarantine.lifted_by_test else None
