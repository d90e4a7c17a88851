"""Passes an account from a leaver to the same person, who came back under a new id or belongs to another job now."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import settling
from reconciler.core.decisions import Operation
from reconciler.core.model import Job
from reconciler.core.outcomes import Account
from reconciler.core.records import Link, Verdict
from reconciler.ports import Clock, Owner, Store
from reconciler.runtime.candidates import Candidate
from reconciler.runtime.course import SHOWN_WITHIN_SECONDS
from reconciler.runtime.journal import Journal
from reconciler.runtime.turns import Hand


class TakingOver:
    """Takes accounts over within one cycle of one job."""

    def __init__(
        self,
        job: Job,
        job_id: int,
        store: Store,
        journal: Journal,
        clock: Clock,
        hand: Hand,
        *,
        active: str,
        takes_over: bool,
    ) -> None:
        """`takes_over`: accounts of leavers of this job may pass to the same person under a new id."""
        self._active = active
        self._job, self._job_id, self._store, self._journal = job, job_id, store, journal
        self._clock, self._hand, self._takes_over = clock, hand, takes_over

    async def take(
        self, candidate: Candidate, account: Account, owner: Owner, negatives: list[Operation]
    ) -> Account | None:
        """Pass an account from a leaver to the same person; None while another job may still act on it.

        The account has an owner whatever becomes of the operation that follows. What was to be done to the leaver is
        taken out of `negatives`. Returned is the account as it is: one that we disabled a moment ago is off, whatever
        the target shows.
        """
        kind, now = candidate.record.kind, self._clock.now()
        if owner.disabled_at is not None and owner.disabled_at > now - SHOWN_WITHIN_SECONDS:
            account = account._replace(resource={**account.resource, self._active: False})
        link = Link(account.id, "adopted", account.resource, now)
        if owner.job != self._job.name:
            if not await self._store.unlink(owner.job, kind, owner.source_id, idle_at=now):
                return None
            # who is inactive here, too, is deleted when the time since then is over
            off = replace(link, disabled_at=owner.disabled_at, disabled_because=owner.disabled_because)
            await self._pass_to(candidate, off)
            return account
        if not self._takes_over or self._hand.leaves_alone((kind, owner.source_id)):
            return None
        with self._hand.holding([(kind, owner.source_id)]):
            await self._take_within(candidate, owner, link, negatives)
        return account

    async def _take_within(self, candidate: Candidate, owner: Owner, link: Link, negatives: list[Operation]) -> None:
        kind = candidate.record.kind
        negatives[:] = [n for n in negatives if n.record.key != (kind, owner.source_id)]
        held = (await self._store.records(self._job_id, kind, [owner.source_id])).get(owner.source_id)
        if held is not None:
            why = "the same person came back under a new id and has the account now"
            gone = replace(held, link=None, verdict=Verdict.GONE, why=why, due_at=None)
            gone.attempted_at = gone.attempted_off_at = None
            await self._journal.entry(gone, touches_groups=True)
            if held.link is not None:
                before = held.link
                link = replace(link, disabled_at=before.disabled_at, disabled_because=before.disabled_because)
        await self._pass_to(candidate, link)

    async def _pass_to(self, candidate: Candidate, link: Link) -> None:
        candidate.record = replace(candidate.record, link=link, verdict=settling.came_back(candidate.record.verdict))
        await self._journal.entry(replace(candidate.record, fingerprint=None), touches_groups=True)
        await self._journal.flush()
