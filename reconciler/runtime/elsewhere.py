"""Knows of the accounts that other jobs of the same source and target have made, or are making, for its entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.core import settling
from reconciler.core.decisions import Leave, Operation
from reconciler.core.model import Identity, Kind, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed, Missing
from reconciler.core.records import Verdict
from reconciler.ports import Clock, Store, Target
from reconciler.runtime.asking import Asking, Question
from reconciler.runtime.course import SHOWN_WITHIN_SECONDS
from reconciler.runtime.journal import Journal
from reconciler.runtime.taken_names import LIVING
from reconciler.runtime.turns import Key, Making, Way

Answers = Mapping[SourceId, tuple[Account, ...] | Failed]


class Elsewhere:
    """Keeps one job from making a second account for an entry that another has made one for."""

    def __init__(
        self,
        job: str,
        job_id: int,
        source: Identity,
        store: Store,
        target: Target,
        journal: Journal,
        clock: Clock,
        making: Making,
    ) -> None:
        self._job, self._job_id, self._store = job, job_id, store
        self._target, self._journal, self._clock, self._making = target, journal, clock, making
        self._way: Way = (source, target.identity)
        self._being_made: list[Key] = []
        self._not_shown: set[Key] = set()
        """Whose account another job has, and the target does not show."""

    async def known(self, asking: Asking, kind: Kind, questions: Sequence[Question], answers: Answers) -> Answers:
        """Return the answers for those who have an account through another job, or may have, which no name found.

        Their names have changed since that job gave them to the account: a second one would be made, or somebody
        else's taken over who has the name now.
        """
        linked = await self._store.linked_elsewhere(self._job_id, kind, list(answers)) if answers else {}
        found: dict[SourceId, tuple[Account, ...] | Failed] = {}
        for source_id, target_id in linked.items():
            shown = answers[source_id]
            if isinstance(shown, Failed) or any(account.id == target_id for account in shown):
                continue
            answer = await self._target.get(kind, target_id)
            if isinstance(answer, Missing):
                self._not_shown.add((kind, source_id))
            else:
                found[source_id] = answer if isinstance(answer, Failed) else (answer,)
        names = {one.source_id: tuple(one.match) for one in questions}
        unlinked = [one for one in names if one not in found and not isinstance(answers[one], Failed)]
        sent = await self._store.attempted_elsewhere(self._job_id, kind, unlinked) if unlinked else {}
        for source_id, attempt in sent.items():
            if attempt.match != names[source_id] and (made := await asking.ask_one(attempt.match)):
                found[source_id] = made
        return found

    async def made_by_nobody_else(self, positives: Sequence[Operation]) -> list[Operation]:
        """Return the operations without creates for those whose account another job makes, or has made.

        That job may have begun after the target was asked; and what it made without an answer may not show yet. The
        next cycle looks at them again.
        """
        creates = [operation for operation in positives if operation.word == "create"]
        keys = [operation.record.key for operation in creates]
        elsewhere = self._making.begin(self._way, keys, self._job)
        self._being_made += [key for key in keys if key not in elsewhere]
        for kind in {kind: None for kind, _ in keys}:
            ids = [source_id for its, source_id in keys if its == kind]
            linked = await self._still_linked(kind, await self._store.linked_elsewhere(self._job_id, kind, ids))
            sent = await self._store.attempted_elsewhere(self._job_id, kind, ids)
            shown_since = self._clock.now() - SHOWN_WITHIN_SECONDS
            not_shown = [attempt.source_id for attempt in sent.values() if attempt.at > shown_since]
            elsewhere |= {(kind, source_id) for source_id in (*linked, *not_shown)}
        if not elsewhere:
            return list(positives)
        for operation in creates:
            if operation.record.key in elsewhere:
                why = f"{operation.why}; another job of the app makes the account"
                decision = Leave(why, "OwnedByOtherJob", operation.verdict)
                self._journal.counts["skip"] += 1
                await self._journal.entry(settling.left(operation.record, decision, None, self._clock.now()))
        return [o for o in positives if o.word != "create" or o.record.key not in elsewhere]

    async def _still_linked(self, kind: Kind, linked: Mapping[SourceId, TargetId]) -> Mapping[SourceId, TargetId]:
        """Return the links without those that another job has of a leaver to an account that is not there any more.

        They are dropped: else that job would leave the account to this one, and this one would wait for that job.
        """
        gone = {source_id: target_id for source_id, target_id in linked.items() if (kind, source_id) in self._not_shown}
        owners = await self._store.owners(self._target.identity, kind, list(gone.values())) if gone else {}
        now, kept = self._clock.now(), dict(linked)
        for source_id, target_id in gone.items():
            owner = owners.get(target_id)
            if owner is not None and (
                Verdict(owner.verdict) in LIVING
                or owner.linked_at > now - SHOWN_WITHIN_SECONDS
                or not await self._store.unlink(owner.job, kind, owner.source_id, idle_at=now)
            ):
                continue
            del kept[source_id]
        return kept

    def end(self) -> None:
        """Let other jobs make accounts again: what became of those of this cycle is written down."""
        self._making.end(self._way, self._being_made)
        self._being_made = []
