"""Writes down what happened, a thousand records or a quarter of a second at a time, as fast as the disk takes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import anyio

from reconciler.core.model import KINDS, Identity, Kind, SourceId, TargetId
from reconciler.core.records import LogRecord, Record
from reconciler.ports import Batch, Clock, Owner, PendingReference, Store

RECORDS_MAX = 1000
BEHIND_MAX = 4
"""While one batch is being written, so many times as much is collected before anybody waits for the disk."""
FLUSH_SECONDS = 0.25


class Journal:
    """Collects records and log records of one cycle and commits them in batches, in the order they came."""

    def __init__(self, store: Store, job_id: int, epoch: int, clock: Clock, *, initiated_by: str = "") -> None:
        """`initiated_by` stands in each log record; empty: the job's cycle."""
        self._initiated_by = initiated_by
        self.told: set[tuple[Kind, SourceId]] = set()
        """Where it is initiated by somebody: the entries that were logged."""
        self._store, self._job_id, self._epoch, self._clock = store, job_id, epoch, clock
        self._writing = anyio.Lock()
        self._empty()
        self.counts: Counter[str] = Counter()
        self.refused: list[tuple[Kind, SourceId]] = []
        """Entries whose link the store refused: another entry holds that account."""

    def _empty(self) -> None:
        self._records: list[Record] = []
        self._log: list[LogRecord] = []
        self._pending_add: list[PendingReference] = []
        self._pending_drop: list[tuple[Kind, SourceId]] = []
        self._pending_done: list[int] = []
        self._members_added: list[tuple[SourceId, SourceId, TargetId]] = []
        self._members_removed: list[tuple[SourceId, TargetId]] = []
        self._members_in_doubt: list[tuple[SourceId, SourceId, TargetId]] = []
        self._groups_settled: list[SourceId] = []
        self._groups_refused: list[tuple[SourceId, float]] = []
        self._touched: list[SourceId] = []

    async def entry(
        self,
        record: Record,
        log: LogRecord | None = None,
        *,
        pending: Sequence[PendingReference] | None = None,
        pending_done: Sequence[int] = (),
        touches_groups: bool = False,
    ) -> None:
        """Write down one entry. `pending` (also empty) replaces the references that it waits for."""
        self._records.append(record)
        if log is not None:
            self._log.append(log)
        if pending is not None:
            self._pending_drop.append((record.kind, record.source_id))
            self._pending_add.extend(pending)
        self._pending_done.extend(pending_done)
        if touches_groups:
            self._touched.append(record.source_id)
        if self._is_much(len(self._records)):
            await self.flush()

    async def entries(self, records: Sequence[Record]) -> None:
        """Write down many entries of which nothing else is to be said."""
        self._records.extend(records)
        if self._is_much(len(self._records)):
            await self.flush()

    async def members(
        self,
        group: SourceId,
        log: Sequence[LogRecord],
        added: Sequence[tuple[SourceId, TargetId]],
        removed: Sequence[TargetId],
        *,
        settled: bool,
        refused: bool = False,
    ) -> None:
        """Write down what became of one group's members."""
        self._log.extend(log)
        self._members_added.extend((group, source_id, target_id) for source_id, target_id in added)
        self._members_removed.extend((group, target_id) for target_id in removed)
        if settled:
            self._groups_settled.append(group)
        if refused:
            self._groups_refused.append((group, self._clock.now()))
        if self._is_much(len(self._members_added) + len(self._members_removed)):
            await self.flush()

    async def doubt_members(self, group: SourceId, members: Sequence[tuple[SourceId, TargetId]]) -> None:
        """Write down that these are about to be added or removed; it is in the store after the next flush."""
        self._members_in_doubt.extend((group, source_id, target_id) for source_id, target_id in members)
        if self._is_much(len(self._members_in_doubt)):
            await self.flush()

    def log(self, record: LogRecord) -> None:
        self._log.append(record)

    def _is_much(self, collected: int) -> bool:
        return collected >= RECORDS_MAX * (BEHIND_MAX if self._writing.locked() else 1)

    async def flush(self) -> None:
        """Commit what has been collected. Raises StateError where the state cannot be written."""
        async with self._writing:
            members = self._members_added or self._members_removed or self._members_in_doubt
            if not (self._records or self._log or members or self._groups_settled):
                return  # a group that was refused is in the log
            for told in self._log if self._initiated_by else ():
                told.initiated_by = self._initiated_by
                self.told.add((told.kind, told.source_id))
            batch = Batch(
                records=self._records,
                log=self._log,
                pending_add=self._pending_add,
                pending_drop=self._pending_drop,
                pending_done=self._pending_done,
                members_added=self._members_added,
                members_removed=self._members_removed,
                members_in_doubt=self._members_in_doubt,
                groups_settled=self._groups_settled,
                groups_refused=self._groups_refused,
                touched=self._touched,
            )
            self._empty()
            refused = await self._store.commit(self._job_id, self._epoch, batch)
            self.refused.extend(refused)
            if refused:
                waiting = await self._looked_at_again({one.key: one for one in batch.records if one.key in refused})
                await self._store.commit(self._job_id, self._epoch, Batch(records=waiting))

    async def _looked_at_again(self, refused: Mapping[tuple[Kind, SourceId], Record]) -> list[Record]:
        """Return what is known of those whose link was refused, to be looked at in the next cycle.

        Else nothing would be known of them, or of what has changed, when the watermark has passed.
        """
        known: dict[tuple[Kind, SourceId], Record] = {}
        for kind in KINDS:
            found = await self._store.records(self._job_id, kind, [id_ for its, id_ in refused if its == kind])
            known.update({(kind, id_): record for id_, record in found.items()})
        new = [
            replace(one, link=None, claims=one.link.target_id)
            for key, one in refused.items()
            if key not in known and one.link is not None
        ]
        now = self._clock.now()
        return [replace(one, fingerprint=None, due_at=now) for one in (*known.values(), *new)]

    async def owner(self, target: Identity, kind: Kind, account: TargetId) -> Owner | None:
        """Return who has an account, of all that is written down by now."""
        await self.flush()
        return (await self._store.owners(target, kind, [account])).get(account)

    async def having(
        self, target: Identity, kind: Kind, names: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], Sequence[TargetId]]:
        """Return which linked accounts have these (path, name), of all that is written down by now."""
        await self.flush()
        return await self._store.having(target, kind, names)

    async def keep_flushing(self) -> None:
        """Commit at intervals, so that a kill loses at most a quarter of a second of knowledge."""
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            await self.flush()
