"""Passes accounts on to the other jobs that have them in scope, before they are taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.core import settling, telling
from reconciler.core.decisions import Leave, Operation
from reconciler.core.model import KINDS, Cause, Identity, Kind
from reconciler.ports import Claim, JobState, Store, chunks
from reconciler.runtime.beside import Answer
from reconciler.runtime.journal import Journal
from reconciler.runtime.recovering import Recovering

PAGE = 1000
_OF_THE_SOURCE = (Cause.GONE, Cause.INACTIVE)


async def let_go(
    negatives: Sequence[Operation],
    job: str,
    state: JobState,
    source: Identity,
    target: Identity,
    store: Store,
    journal: Journal,
    recovering: Recovering,
    now: float,
) -> list[Operation]:
    """Return the operations whose account is still this job's and nobody else's to keep.

    Who is in scope of another job of this target keeps the account: the link passes to that job, which brings it to
    its own rules, from what the account shows now: that job has compared it with nothing yet. An account that another
    job took over since the plan was made is left to it.
    """
    await journal.flush()
    gone: set[int] = set()
    for kind in KINDS:
        linked = [(o, o.record.link.target_id) for o in negatives if o.record.kind == kind and o.record.link]
        for page in chunks(linked, PAGE):
            owners = await store.owners(target, kind, [target_id for _, target_id in page])
            claims = await store.claims(target, kind, [target_id for _, target_id in page])
            passing: list[tuple[Operation, Claim]] = []
            for operation, target_id in page:
                owner = owners.get(target_id)
                if owner is None or (owner.job, owner.source_id) != (job, operation.record.source_id):
                    gone.add(id(operation))
                elif (heir := _heir(operation, claims.get(target_id, ()), job, source)) is not None:
                    gone.add(id(operation))
                    passing.append((operation, heir))
            await _write_what_is_shown(kind, [operation for operation, _ in passing], recovering, journal)
            for operation, heir in passing:
                await _pass(operation, heir, state, store, journal, now)
    return [operation for operation in negatives if id(operation) not in gone]


async def leave_to(negatives: Sequence[Operation], said: Answer, journal: Journal, now: float) -> list[Operation]:
    """Return the operations on the accounts that no other job wants; who is wanted is looked at in every cycle again.

    The account stays as it is until the other job takes it over in a cycle of its own, or wants it no longer. Of whom
    the source says something else by now the next cycle decides: an operation that was right as she was read, had no
    other job had her, and is not right as she is, was perhaps right at no moment.
    """
    left = []
    for operation in negatives:
        record = operation.record
        if record.key in said.overtaken:
            await journal.entry(replace(record, fingerprint=None))
            continue
        if (why := said.wanted.get(record.key)) is None:
            left.append(operation)
            continue
        decision = Leave(f"{operation.why}; {why}", "OwnedByOtherJob", operation.verdict)
        journal.counts["skip"] += 1
        kept = settling.left(record, decision, None, now)
        log = telling.skipped(kept, decision, now) if record.why != decision.why else None
        await journal.entry(kept, log, touches_groups=record.verdict is not decision.verdict)
    return left


def _heir(operation: Operation, claims: Sequence[Claim], job: str, source: Identity) -> Claim | None:
    """Return the claim of the same human; none counts where it is the source itself that says who leaves."""
    record = operation.record
    for claim in claims:
        same_entry = claim.source == source and claim.source_id == record.source_id
        same_person = record.person is not None and claim.person == record.person
        leaves_both = same_entry and operation.cause in _OF_THE_SOURCE
        if claim.job != job and operation.cause is not None and not leaves_both and (same_entry or same_person):
            return claim
    return None


async def _write_what_is_shown(
    kind: Kind, operations: Sequence[Operation], recovering: Recovering, journal: Journal
) -> None:
    """Write down what the accounts show now: it passes on with them."""
    shown = await recovering.shown_now(kind, [o.record.link for o in operations if o.record.link is not None])
    for operation in operations:
        link = operation.record.link
        if link is not None and link.target_id in shown:
            operation.record = replace(operation.record, link=shown[link.target_id], fingerprint=None)
            await journal.entry(operation.record)
    await journal.flush()


async def _pass(operation: Operation, heir: Claim, state: JobState, store: Store, journal: Journal, now: float) -> None:
    record = operation.record
    if not await store.pass_link(state.job_id, state.epoch, record.kind, record.source_id, heir, now):
        # a cycle of that job is under way: the account stays as it is until the next one here
        await journal.entry(replace(record, fingerprint=None, due_at=now))
        return
    why = f"{operation.why}; the account passes to job {heir.job}, which has {heir.source_id} in scope"
    left = Leave(why, "OwnedByOtherJob", operation.verdict)
    passed = replace(record, link=None, verdict=operation.verdict, why=why, fingerprint=operation.fingerprint)
    passed.escrow = passed.due_at = passed.attempted_at = passed.attempted_off_at = None
    journal.counts["skip"] += 1
    await journal.entry(passed, telling.skipped(record, left, now), pending=(), touches_groups=True)
