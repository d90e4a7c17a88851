"""Finds out at a cycle's end how the job stands: what was broken, what fails, whether the target answers."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.core import quarantine
from reconciler.core.alerts import Failures
from reconciler.core.notices import FailedEntry
from reconciler.core.outcomes import Fault
from reconciler.core.quarantine import Breach, Tally, Terms
from reconciler.core.records import Record
from reconciler.core.settling import came_back
from reconciler.core.standing import QuarantineReason, Standing
from reconciler.ports import Figures, Store, Target
from reconciler.runtime.apply import Applier
from reconciler.runtime.world import Plan

NAMED_MAX = 1000
"""Of so many failing entries the digest counts the error codes."""
_PASSING = (Fault.INTERRUPTED, Fault.SERVER_ERROR, Fault.THROTTLED)
OPERATIONS = ("create", "adopt", "update", "enable", "disable", "delete")


def terms_of(plan: Plan) -> Terms:
    job = plan.job
    return Terms(job.name, job.interval_seconds, job.stop_after_seconds, plan.rules_version)


def breach_of(applier: Applier, counts: Mapping[str, int], figures: Figures, standing: Standing) -> Breach | None:
    """Return what a cycle that has ended breaks; None: nothing."""
    if applier.halted:
        return None
    refused = applier.stopped or applier.unasked
    if refused is not None:
        return quarantine.by_fault(refused)
    if applier.forbidden is not None and not counts.get("create"):
        return quarantine.by_fault(applier.forbidden, refuses_creates=True)
    before = standing.quarantine
    tally = Tally(
        failed=applier.failed_anew,
        done=_done(counts),
        references=applier.failed_references,
        waiting=figures.escrow,
    )
    counted = before is not None and before.reason is not QuarantineReason.EXCEPTION
    return quarantine.by_counts(tally, in_quarantine=counted, first=applier.first_failure)


def proves(standing: Standing, counts: Mapping[str, int], figures: Figures) -> bool | None:
    """Return whether a cycle without a breach shows that a quarantine is over; None: the target must be asked."""
    before = standing.quarantine
    if before is None or before.reason is not QuarantineReason.EXCEPTION or before.test_passed_at is not None:
        return True
    if before.rule == quarantine.REFUSES_CREATES:
        return bool(counts.get("create")) or not figures.escrow_without_account
    return True if _done(counts) else None


def looks_dead(applier: Applier, counts: Mapping[str, int]) -> bool:
    """Return whether nothing could be done, by faults that pass: what stands in front of a dead app answers so."""
    first = applier.first_failure
    return first is not None and first.fault in _PASSING and not _done(counts)


def _done(counts: Mapping[str, int]) -> int:
    return sum(counts.get(word, 0) for word in OPERATIONS)


async def test_connection(target: Target) -> Breach | None:
    """Ask the target the least that shows whether it answers; return what is wrong with it."""
    for line in await target.test():
        if not line.ok:
            return quarantine.by_test(line.step, line.text)
    return None


async def failures_of(store: Store, job_id: int, cycle_id: str, figures: Figures) -> Failures:
    """Return what fails in a job; who it is, is looked up only where a person may be told."""
    judged = figures.managed + figures.escrow_without_account
    failures = Failures(figures.escrow, judged, cycle_id)
    if not failures.many:
        return failures
    failing = await store.in_escrow(job_id, NAMED_MAX)
    return Failures(figures.escrow, judged, cycle_id, [_failed(record) for record in failing])


def _failed(record: Record) -> FailedEntry:
    assert record.escrow is not None
    operation = "create" if record.link is None else "update"
    if record.link is not None and came_back(record.verdict) is not record.verdict:
        operation = "disable"
    return FailedEntry(
        record.kind, record.source_id, record.name, operation, record.escrow.error_code, record.escrow.reason
    )
