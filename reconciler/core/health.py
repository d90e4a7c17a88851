"""What the end of a cycle, and time alone, make of how a job stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from reconciler.core import alerts, quarantine
from reconciler.core.alerts import Failures, Watched
from reconciler.core.notices import Notice, NoticeKind, Settle
from reconciler.core.quarantine import Breach, Terms
from reconciler.core.standing import Standing

SET_BACK_SECONDS = 3600.0
"""So little a clock may be set back after a comparison without another one: that of a large company takes long."""


@dataclass(frozen=True, slots=True)
class CycleEnd:
    """What a cycle came to, as far as it matters for how the job stands."""

    at: float
    good: bool
    """Both sides answered, and everything was read."""
    compared: bool = False
    """Everything was compared with the target."""
    judged: bool | None = None
    """Whether absence could be judged; None: the cycle did not come so far."""
    watermark: bool = False
    """The source gave a token for what changed since."""
    halted: bool = False
    """A person stopped it."""
    breach: Breach | None = None
    proves: bool = True
    """It showed that what a quarantine was for is over, unless there is a breach."""
    failures: Failures = field(default_factory=lambda: Failures(0, 0))
    problems: Sequence[str] = ()
    missing_groups: Collection[str] = ()
    """Names of the rules that a source which was read whole has no group for."""
    target: str = ""
    expires: date | None = None
    """The last day of the target's credential."""


def compares(standing: Standing, full_interval_seconds: float, now: float) -> bool:
    """Return whether the next cycle compares everything with the target.

    Also where the last comparison is still to come: what a clock that was ahead wrote down as due is mended by one.
    """
    last = standing.last_full_at
    return standing.compare_next or (last is not None and not -SET_BACK_SECONDS <= now - last < full_interval_seconds)


def after_cycle(terms: Terms, end: CycleEnd) -> Settle:
    """Return how a job stands after a cycle, and who is to be told what."""
    return lambda standing: _in_turn(standing, [*_ended(terms, end)])


def as_time_passes(terms: Terms, target: str, expires: date | None, watched: Watched, at: float) -> Settle:
    """Return how a job stands that no cycle changes: what is late, what is to be said again, what ends soon."""
    return lambda standing: _in_turn(
        standing,
        [
            lambda s: quarantine.passing_time(terms, s, at),
            lambda s: alerts.no_cycle(terms.job, s, terms.interval_seconds, watched, at),
            lambda s: alerts.watermark(terms.job, s, terms.interval_seconds, at),
            lambda s: alerts.expiring(terms.job, s, target, expires, at),
        ],
    )


def _ended(terms: Terms, end: CycleEnd) -> Sequence[Settle]:
    if end.halted:
        return ()

    def finished(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
        alerted = {name: last for name, last in standing.alerted.items() if name != NoticeKind.NO_CYCLE}
        standing = replace(standing, last_finished_at=end.at, alerted=alerted)
        if end.good:
            standing = replace(standing, last_success_at=end.at)
        if end.good:
            standing = replace(standing, watermark_at=end.at if end.watermark else None)
        if standing.last_full_at is None or (end.good and end.compared):
            standing = replace(standing, last_full_at=end.at, compare_next=standing.compare_next and not end.compared)
        return standing, ()

    def weighed(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
        if end.breach is None and not end.proves:
            return quarantine.passing_time(terms, standing, end.at)
        return quarantine.after_cycle(terms, standing, end.breach, end.at)

    def failures(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
        if standing.quarantine is not None:
            return standing, ()
        return alerts.failing(terms.job, standing, end.failures, end.at)

    def absence(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
        if end.judged is None:
            return standing, ()
        return alerts.absence(terms.job, standing, judged=end.judged, problems=end.problems, at=end.at)

    def groups(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
        if not end.judged:
            return standing, ()
        return alerts.missing_groups(terms.job, standing, end.missing_groups, end.at)

    def watermark(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
        return alerts.watermark(terms.job, standing, terms.interval_seconds, end.at, end.problems)

    def credential(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
        return alerts.expiring(terms.job, standing, end.target, end.expires, end.at)

    return finished, weighed, failures, absence, groups, watermark, credential


def _in_turn(
    standing: Standing, changes: Sequence[Callable[[Standing], tuple[Standing, Sequence[Notice]]]]
) -> tuple[Standing, Sequence[Notice]]:
    told: list[Notice] = []
    for change in changes:
        standing, more = change(standing)
        told += more
    return standing, told
