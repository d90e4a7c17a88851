"""Finds out at a cycle's end how the job stands: what was broken, what fails, whether both sides answer."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.core import quarantine
from reconciler.core.alerts import Failures
from reconciler.core.decisions import LEAVERS
from reconciler.core.notices import FailedEntry
from reconciler.core.outcomes import Fault
from reconciler.core.quarantine import Breach, Tally, Terms
from reconciler.core.records import Record
from reconciler.core.standing import QuarantineReason, Standing
from reconciler.ports import Figures, Source, Store, Target
from reconciler.runtime.course import Course
from reconciler.runtime.reading import Reading, wanted_by
from reconciler.runtime.world import Plan, World

NAMED_MAX = 1000
"""Of so many failing entries the digest counts the error codes."""
_PASSING = (Fault.INTERRUPTED, Fault.SERVER_ERROR, Fault.THROTTLED)
OPERATIONS = ("create", "adopt", "update", "enable", "disable", "delete")


def terms_of(plan: Plan) -> Terms:
    job = plan.job
    return Terms(job.name, job.interval_seconds, job.stop_after_seconds, plan.rules_version)


def breach_of(course: Course, counts: Mapping[str, int], figures: Figures, standing: Standing) -> Breach | None:
    """Return what a cycle that has ended breaks; None: nothing."""
    if course.halted:
        return None
    refused = course.stopped or course.unasked
    if refused is not None:
        return quarantine.by_fault(refused)
    if course.forbidden is not None and not counts.get("create"):
        return quarantine.by_fault(course.forbidden, refuses_creates=True)
    before = standing.quarantine
    tally = Tally(
        failed=course.failed_anew,
        done=_done(counts),
        references=course.failed_references,
        waiting=figures.escrow,
    )
    counted = before is not None and before.reason is not QuarantineReason.EXCEPTION
    return quarantine.by_counts(tally, in_quarantine=counted, first=course.first_failure)


async def breach_of_source(world: World, plan: Plan, reading: Reading) -> Breach | None:
    """Return the breach of a source of which nobody could be read. What may have passed is asked for once more."""
    fault = reading.nobody_because
    if fault is None:
        return None
    return (
        await test_source(world.source, plan)
        if fault.fault in _PASSING
        else quarantine.by_source(fault, plan.job.source)
    )


def proves(standing: Standing, counts: Mapping[str, int], figures: Figures, reading: Reading) -> bool | None:
    """Return whether a cycle without a breach shows that a quarantine is over; None: the target must be asked."""
    before = standing.quarantine
    if before is None or before.reason is not QuarantineReason.EXCEPTION or before.test_passed_at is not None:
        return True
    if before.source:
        return reading.nobody_because is None
    if before.rule == quarantine.REFUSES_CREATES:
        return bool(counts.get("create")) or not figures.escrow_without_account
    return True if _done(counts) else None


def at_once(breach: Breach | None) -> bool:
    """Return whether a breach says what is wrong with a side; else it is a count, or none."""
    return breach is not None and breach.reason is QuarantineReason.EXCEPTION


def comes_after_an_outage(standing: Standing) -> bool:
    """Return whether what failed until now may have failed because the target was not there for anybody."""
    before = standing.quarantine
    return before is not None and before.reason is QuarantineReason.EXCEPTION and not before.source


def looks_dead(course: Course, counts: Mapping[str, int]) -> bool:
    """Return whether nothing could be done, by faults that pass: what stands in front of a dead app answers so."""
    first = course.first_failure
    return first is not None and first.fault in _PASSING and not _done(counts)


def _done(counts: Mapping[str, int]) -> int:
    return sum(counts.get(word, 0) for word in OPERATIONS)


async def test_connection(world: World, standing: Standing, plan: Plan) -> Breach | None:
    """Ask the side that a job is in quarantine for the least that shows whether it answers; return what is wrong."""
    if standing.quarantine is not None and standing.quarantine.source:
        return await test_source(world.source, plan)
    return await test_target(world.target)


async def test_target(target: Target) -> Breach | None:
    """Ask the target the least that shows whether it answers; return what is wrong with it."""
    for line in await target.test():
        if not line.ok and not line.partial:
            return quarantine.by_test(line.step, line.text)
    return None


async def test_source(source: Source, plan: Plan) -> Breach | None:
    """Ask the source whether it lets us in; what is wrong with one of its parts does not count, as in a cycle."""
    for line in (await source.test(wanted_by(plan)))[:1]:
        if line.fault is not None:
            return quarantine.by_source(line.fault, plan.job.source)
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
    if record.link is not None and record.verdict in LEAVERS:
        operation = "disable"
    return FailedEntry(
        record.kind, record.source_id, record.name, operation, record.escrow.error_code, record.escrow.reason
    )
