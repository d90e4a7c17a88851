"""What a restart clears of the state, and what it keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.escrow import OF_AN_OUTAGE
from reconciler.core.records import Escrow, Record
from reconciler.core.restarting import FULL, RESTART, ResetScope
from reconciler.core.standing import Pause, Quarantine, QuarantineReason, Standing
from reconciler.errors import StateError
from reconciler.store.sql import SqlStore
from tests.store.scenes import Work, ids, linked, print_of, sid

QUARANTINE = Quarantine(QuarantineReason.EXCEPTION, "Unauthorized", "refused", "", 1.0, 1.0, 2, 9.0)
STANDING = Standing(
    paused=Pause(1.0, "ann"),
    quarantine=QUARANTINE,
    stopped_at=8.0,
    failing_cycles=3,
    watermark_at=7.0,
    last_full_at=6.0,
)


@pytest.fixture
async def job(work: Work) -> Work:
    """A job with one account in order and one that waits after a failure, in quarantine and paused."""
    waits = linked(
        "waits", "t2", fingerprint=print_of("b"), due_at=900.0, escrow=Escrow(3, 5.0, "Timeout", "no answer")
    )
    await work.commit(linked("well", "t1", fingerprint=print_of("a")), waits)
    await work.close(watermark="w", rules="r")
    await work.store.settle("phone", lambda _: (STANDING, []))
    return work


async def test_an_ordinary_restart_looks_at_everybody_and_keeps_who_has_which_account(job: Work) -> None:
    standing = await job.store.reset("phone", RESTART, 100.0)
    assert standing == replace(
        STANDING,
        quarantine=None,
        stopped_at=None,
        goes_on_since=100.0,
        failing_cycles=0,
        watermark_at=None,
        compare_next=True,
    )
    assert standing.paused is not None, "what a person paused stays paused"
    [notice] = [queued.notice for queued in await job.store.due_notices(1e9, 9)]
    assert (str(notice.kind), notice.facts["how"]) == ("quarantine_left", "a person restarted the job")
    await job.next_cycle()
    assert (job.state.watermark, job.state.completed_rules) == (None, None)
    found = await job.store.records(job.id, "user", ids("well", "waits"))
    assert [r.fingerprint for r in found.values()] == [None, None]
    waits = found[sid("waits")]
    assert (waits.escrow, waits.due_at, waits.link is not None) == (None, 100.0, True)


async def test_waits_end_by_the_code_of_the_failure_and_for_the_cycle_that_runs_alone(job: Work) -> None:
    epoch = job.state.epoch
    await job.next_cycle()
    with pytest.raises(StateError, match="overtaken"):
        await job.store.end_waits(job.id, epoch, OF_AN_OUTAGE, 100.0)
    await job.store.end_waits(job.id, job.state.epoch, {"EntryConflict"}, 100.0)
    kept = (await job.store.records(job.id, "user", ids("waits")))[sid("waits")]
    assert (kept.escrow, kept.due_at) == (Escrow(3, 5.0, "Timeout", "no answer"), 900.0)
    await job.store.end_waits(job.id, job.state.epoch, OF_AN_OUTAGE, 100.0)
    found = await job.store.records(job.id, "user", ids("waits", "well"))
    assert (found[sid("waits")].escrow, found[sid("waits")].due_at) == (None, 100.0)
    assert found[sid("well")].fingerprint == print_of("a")


@pytest.mark.parametrize("scope", list(ResetScope))
async def test_each_scope_clears_its_own_and_no_other(scope: ResetScope, job: Work) -> None:
    standing = await job.store.reset("phone", [scope], 100.0)
    await job.next_cycle()
    found = await job.store.records(job.id, "user", ids("well", "waits"))
    forgets = scope is ResetScope.LINKS
    assert (len(found) == 0) is forgets
    assert (job.state.watermark is None) is (forgets or scope is ResetScope.WATERMARK)
    assert (standing.quarantine is None) is (scope is ResetScope.QUARANTINE)
    assert standing.force_deletes is (scope is ResetScope.FORCE_DELETES)
    if not forgets:
        assert (found[sid("waits")].escrow is None) is (scope is ResetScope.ESCROWS)


async def test_a_cycle_that_began_before_a_restart_writes_nothing_more(work: Work) -> None:
    await work.store.reset("phone", FULL, 5.0)
    with pytest.raises(StateError, match="overtaken"):
        await work.commit(linked("ann", "t1"))


async def test_a_job_that_the_state_does_not_know_can_be_restarted(store: SqlStore) -> None:
    assert await store.reset("new", RESTART, 5.0) == Standing(compare_next=True)


async def test_those_in_escrow_come_with_the_oldest_failure_first(work: Work) -> None:
    def failing(name: str, since: float) -> Record:
        return linked(name, f"t-{name}", due_at=50.0, escrow=Escrow(1, since, "Timeout", "no answer"))

    await work.commit(failing("b", 7.0), failing("a", 3.0), linked("well", "t1"))
    assert [record.source_id for record in await work.store.in_escrow(work.id, 9)] == ["a", "b"]
    assert [record.source_id for record in await work.store.in_escrow(work.id, 1)] == ["a"]
    figures = await work.store.figures("phone")
    assert (figures.escrow, figures.escrow_without_account) == (2, 0)
