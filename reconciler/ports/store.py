"""What is asked of the state."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Protocol

from reconciler.core.given import GivenAssignment
from reconciler.core.model import Identity, Kind, SourceId, TargetId
from reconciler.core.notices import Notice, Settle
from reconciler.core.outcomes import Account
from reconciler.core.records import Record
from reconciler.core.restarting import ResetScope
from reconciler.core.safeguards import Safeguard
from reconciler.core.standing import Standing
from reconciler.ports.kept import (
    Attempt,
    Batch,
    Claim,
    Decided,
    Decision,
    Figures,
    HeldOperation,
    Hold,
    JobState,
    LogQuery,
    MatchPairs,
    MemberDelta,
    Owner,
    PendingReference,
    QueuedNotice,
    Seen,
    Statistics,
)
from reconciler.ports.source import GroupMembers


class Store(Protocol):
    """Remembers. One writer, any number of readers. Calls are batches; each write is one transaction."""

    async def open_job(
        self,
        job: str,
        source: Identity,
        target: Identity,
        now: float,
        *,
        cycle_id: str = "",
        asked_by: str = "",
        clock_is_right: bool = False,
    ) -> JobState:
        """Open a cycle: make the job's row where it is new, raise its epoch, empty its scratch tables.

        The log calls the cycle `cycle_id` (made up where it is empty), and says who asked for it. Raises
        IdentityChanged when the job's links belong to another source or target, and ClockBehind where `now` is more
        than a day earlier than the newest cycle of any job, unless that one stands after a leap which `now` stands
        before, or a person says that the clock is right: then what was written by the wrong clock is as of now.
        """
        ...

    async def stage_memberships(
        self, job_id: int, groups: Sequence[GroupMembers], *, additive: bool, look_again: bool = False
    ) -> frozenset[SourceId]:
        """Write memberships; return members whose groups changed. `additive`: nobody is taken out (incomplete read).

        With `additive`, those whom a believable list would take out are returned too. A changed member that is a group
        itself stands for everybody below it: they are returned as well. After a rename all members are.
        A group whose member list is as it was costs no write (a digest is compared). A changed group becomes dirty.
        Names are kept, so that a group can be found by its display name. `look_again` makes those who are returned
        `unsettled` in the same commit: a source that gives just what changed does not show them again.
        """
        ...

    async def stage_assignments(
        self, job_id: int, given: Sequence[GivenAssignment], *, complete: bool
    ) -> frozenset[SourceId]:
        """Remember who is assigned by the source's own word; return whose assignments changed, as members are returned.

        They are made `unsettled` in the same commit: no source shows an entry because of its assignments. Without
        `complete` (incomplete read) nobody's are taken away.
        """
        ...

    async def known_groups(self, job_id: int, groups: Sequence[SourceId]) -> frozenset[SourceId]:
        """Return those of `groups` that are there, as far as is known, so that their members are kept."""
        ...

    async def mixed_groups(self, job_id: int, groups: Sequence[SourceId]) -> frozenset[SourceId]:
        """Return those of `groups` whose staged members are not just the list that was given last: some would leave."""
        ...

    async def drop_groups(
        self, job_id: int, kept: Collection[SourceId], *, look_again: bool = False
    ) -> frozenset[SourceId]:
        """After a complete reading of all groups: take out those not in `kept`; return who was in them.

        `look_again` as with `stage_memberships`.
        """
        ...

    async def forget_groups(self, job_id: int, gone: Collection[SourceId], *, look_again: bool = False) -> None:
        """Take out these groups, of which the source itself says that they are gone; those not known are passed over.

        `look_again` as with `stage_memberships`.
        """
        ...

    async def groups_named(self, job_id: int, names: Sequence[str]) -> Mapping[str, tuple[SourceId, ...]]:
        """Return the ids of staged groups by id or display name (case-insensitive); names without any are left out."""
        ...

    async def memberships(
        self, job_id: int, members: Sequence[SourceId], groups: Sequence[SourceId], *, nested: bool
    ) -> Mapping[SourceId, frozenset[SourceId]]:
        """Return for each of `members` which of `groups` it is in; `nested` follows groups in groups (cycles end)."""
        ...

    async def compare(
        self, job_id: int, kind: Kind, page: Sequence[tuple[SourceId, bytes]], seen: Seen, now: float
    ) -> Mapping[SourceId, Record]:
        """Tell the changed from the unchanged: return records of what is new, changed or due; mark all as seen.

        `page` is (source id, fingerprint). A new one comes back as a fresh Record that has no row yet.
        """
        ...

    async def unseen(self, job_id: int, kind: Kind, seen: Seen, ceiling: int, after: int, limit: int) -> list[Record]:
        """Return records (row id > after, ≤ ceiling, in order) that the reading did not meet and that are not GONE yet.

        Who is GONE already and waits for something (a delete) comes through `due`.
        """
        ...

    async def due(self, job_id: int, kind: Kind, now: float, after: int, limit: int) -> list[Record]:
        """Return records whose due_at has come, in order of row id."""
        ...

    async def unsettled(self, job_id: int, kind: Kind, after: int, limit: int) -> list[Record]:
        """Return records without a fingerprint that are not GONE, in order of row id: look at them again."""
        ...

    async def unsettle_who_names(self, job_id: int, kind: Kind, targets: Collection[TargetId]) -> None:
        """Make `unsettled` whose last agreed resource names one of these: it walks through all who are linked."""
        ...

    async def unsettle_who_names_one_let_go(self, job_id: int, kinds: Sequence[Kind]) -> None:
        """Do that for every account that an entry of the job had, and has no more, since this was asked last.

        Whoever let go of it (a cycle, a run on demand, a person), it was remembered in the same commit.
        """
        ...

    async def meet(self, job_id: int, kind: Kind, ids: Sequence[SourceId], seen: Seen) -> list[SourceId]:
        """Mark entries as seen that the source still has; return those that are not known, or were taken for gone."""
        ...

    async def records(self, job_id: int, kind: Kind, source_ids: Sequence[SourceId]) -> Mapping[SourceId, Record]: ...

    async def links_of(
        self, job_id: int, kind: Kind, source_ids: Sequence[SourceId]
    ) -> Mapping[SourceId, TargetId]: ...

    async def owners(self, target: Identity, kind: Kind, ids: Sequence[TargetId]) -> Mapping[TargetId, Owner]: ...

    async def having(
        self, target: Identity, kind: Kind, names: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], list[TargetId]]:
        """Return the accounts of any job of this target that had these (path, levelled name) when last agreed.

        It walks through all who are linked.
        """
        ...

    async def attempts(self, target: Identity, kind: Kind, matches: Collection[MatchPairs]) -> list[Attempt]:
        """Return the creates of any job of this target that have no answer yet and were sent with these names."""
        ...

    async def claims(self, target: Identity, kind: Kind, ids: Sequence[TargetId]) -> Mapping[TargetId, list[Claim]]:
        """Return who else, of any job of this target, has one of these accounts in scope, oldest first."""
        ...

    async def linked_elsewhere(
        self, job_id: int, kind: Kind, source_ids: Sequence[SourceId]
    ) -> Mapping[SourceId, TargetId]:
        """Return the accounts that other jobs of the same source and target have for these entries."""
        ...

    async def attempted_elsewhere(
        self, job_id: int, kind: Kind, source_ids: Sequence[SourceId]
    ) -> Mapping[SourceId, Attempt]:
        """Return the creates of other jobs of the same source and target for these entries that have no answer yet."""
        ...

    async def pass_link(self, job_id: int, epoch: int, kind: Kind, source_id: SourceId, to: Claim, now: float) -> bool:
        """Give the link of an entry to the one of another job that claims its account; return whether that was done.

        It is not while a cycle of the other job is under way. That job looks at the entry in its next cycle.
        """
        ...

    async def linked_count(self, job_id: int) -> int:
        """Return how many accounts and groups the job manages (linked and not disabled by us)."""
        ...

    async def counted_since(self, job_id: int, safeguard: Safeguard, since: float) -> int:
        """Return how many operations were done since then that count for this safeguard (approved ones excepted)."""
        ...

    async def commit(self, job_id: int, epoch: int, batch: Batch) -> Sequence[tuple[Kind, SourceId]]:
        """Write a batch; return the entries whose link was refused because another entry holds that account."""
        ...

    # the target, listed once
    async def listing_put(
        self, job_id: int, kind: Kind, accounts: Sequence[Account], keys: Sequence[tuple[str, ...]]
    ) -> None:
        """Stage accounts with their match keys ("path=value", normalised)."""
        ...

    async def listing_find(self, job_id: int, kind: Kind, keys: Sequence[str]) -> Mapping[str, tuple[Account, ...]]: ...

    async def listing_get(self, job_id: int, kind: Kind, ids: Sequence[TargetId]) -> Mapping[TargetId, Account]: ...

    async def orphans(self, job_id: int, target: Identity, kind: Kind) -> list[Account]:
        """Return staged accounts that no link of any job holds."""
        ...

    # the spool: operations that wait, in order
    async def spool(self, job_id: int, queue: str, blobs: Sequence[bytes]) -> None: ...

    async def unspool(self, job_id: int, queue: str, limit: int) -> list[bytes]:
        """Take the oldest blobs out of a queue."""
        ...

    # references and members
    async def resolvable(self, job_id: int, after: int, limit: int) -> list[tuple[int, PendingReference, TargetId]]:
        """Return pending references whose wanted entry is linked now, and whose own entry is linked too."""
        ...

    async def dirty_groups(self, job_id: int, after: str, limit: int, now: float = math.inf) -> list[SourceId]:
        """Return linked groups whose membership changed, but not those that wait after a refusal."""
        ...

    async def groups_put_off(self, job_id: int, groups: Sequence[SourceId], now: float) -> set[SourceId]:
        """Return those of these groups whose members wait after a refusal."""
        ...

    async def member_delta(self, job_id: int, group: SourceId) -> MemberDelta:
        """Compare wanted members (in the source, linked, in scope or inactive) with the ledger.

        A member who is UNKNOWN, or kept although out of scope, is neither added nor removed; who is NEW, also because
        her account is not shown any more, is removed only where the source has her in the group no more.
        """
        ...

    async def ledger(self, job_id: int, group: SourceId) -> Mapping[TargetId, SourceId]: ...

    async def somebody(self, user: str) -> list[tuple[str, Identity, Record]]:
        """Return the user entries, with job and source, of whoever has this source id, target id, person or name.

        With each come the entries of the same person, and of the same source id of the same source.
        """
        ...

    async def take_out(self, people: Sequence[tuple[str, Kind, SourceId]], by: str, now: float) -> None:
        """Remember that a person (`by`) took these entries (job, kind, source id) out.

        Whoever opens one of these jobs next looks at them, whatever is under way meanwhile writes down of them.
        """
        ...

    async def let_back(self, people: Sequence[tuple[str, Kind, SourceId]]) -> int:
        """Forget that for these entries in every job of their sources; return how many there were.

        Whoever opens one of these jobs next looks at them.
        """
        ...

    async def who_is_out(self, job: str) -> Mapping[tuple[Kind, SourceId], str]:
        """Return the entries that were taken out by hand in any job of this job's source, and by whom."""
        ...

    async def should_be_off(self, job: str, limit: int) -> tuple[int, list[Record]]:
        """Return how many accounts should be off, or gone, and are not; with those who wait longest."""
        ...

    # holds
    async def hold(
        self,
        job_id: int,
        cycle_id: str,
        now: float,
        why: str,
        operations: Sequence[HeldOperation],
        safeguard: Safeguard = "deletions",
    ) -> str:
        """Replace what this safeguard of the job holds; return the hold's id, a new one if something was added."""
        ...

    async def release(self, job_id: int, safeguard: Safeguard | None = None) -> None:
        """Close the job's open hold of this safeguard, or every one."""
        ...

    async def decide_hold(self, job: str, hold: str | None, decision: Decision, by: str, now: float) -> list[Hold]:
        """Write down a person's word on a hold (None: on every one of the job); return what it was about.

        Nothing is returned, and nothing done, where the job has no open hold of that id. The hold is closed; the next
        cycle goes by the decision. `by` is a name, or the uid that the socket saw.
        """
        ...

    async def decisions(self, job: str | None = None) -> list[Decided]:
        """Return what people approved and was not done yet, and what they rejected and is still wanted."""
        ...

    async def drop_decisions(self, job_id: int, keys: Sequence[tuple[Kind, SourceId, str]]) -> None:
        """Forget what was decided on operations (kind, source id, word) that were done or are not wanted any more."""
        ...

    async def narrow_decision(self, job_id: int, key: tuple[Kind, SourceId, str], about: Sequence[str]) -> None:
        """Let a decision be good for these only, of all that it was about."""
        ...

    # what the target said of itself
    async def remembered(self, target: Identity) -> dict[str, Any] | None: ...

    async def remember(self, target: Identity, facts: dict[str, Any], now: float) -> None: ...  # the others stay

    # the end
    async def close_cycle(
        self,
        job_id: int,
        epoch: int,
        *,
        watermark: str | None,
        rules: str | None,
        summary: dict[str, Any],
        now: float,
        settle: Settle | None = None,
    ) -> None:
        """Write the history; move watermark and completed rules (each only where not None). Empties scratch tables.

        `settle` changes the job's standing in the same commit.
        """
        ...

    async def close_visit(self, job_id: int, epoch: int, now: float) -> None:
        """Close what `open_job` opened for something that was no cycle: no history, and the watermark stays."""
        ...

    # how the jobs stand, and what their people are told
    async def standing(self, job: str) -> Standing: ...

    async def settle(self, job: str, change: Settle) -> Standing:
        """Change a job's standing and queue the notices of it, in one commit; return how it stands now."""
        ...

    async def in_escrow(self, job_id: int, limit: int) -> list[Record]:
        """Return entries whose operation failed and that wait for their next try, oldest failure first."""
        ...

    async def end_waits(self, job_id: int, epoch: int, codes: Collection[str], now: float) -> None:
        """Have what failed with one of these codes tried by this cycle, as if it had not failed before."""
        ...

    async def reset(self, job: str, scopes: Collection[ResetScope], now: float) -> Standing:
        """Clear what a restart of the job clears (`core.restarting`), in one commit; return how it stands then.

        The log, the assignments and a pause are kept. A cycle that is under way can write nothing more afterwards:
        stop it first, and let it end.
        """
        ...

    async def queue(self, told: Sequence[Notice]) -> None:
        """Queue notices to be mailed; one with the key of an earlier one is left out."""
        ...

    async def due_notices(self, now: float, limit: int) -> list[QueuedNotice]: ...

    async def begin_notice(self, notice_id: int, now: float) -> None:
        """Write down that a notice is being handed to the mail server from now on."""
        ...

    async def end_notice(
        self,
        notice_id: int,
        *,
        sent_at: float | None,
        due_at: float | None,
        problem: str,
        recipients: Sequence[str] = (),
    ) -> None:
        """Write down how that ended; without `due_at` it is not tried again, with `recipients` for these only."""
        ...

    async def next_notice_at(self) -> float | None:
        """Return when the next notice is due, None where none waits."""
        ...

    async def set_next_due(self, job: str, at: float | None) -> None: ...

    async def next_due(self, job: str) -> float | None: ...

    # for people
    async def figures(self, job: str) -> Figures: ...

    async def statistics(self, job: str) -> Statistics: ...

    async def prune(self, before: float, now: float, limit: int) -> int:
        """Drop records of the log older than that, about `limit`; return how many: fewer, and nothing is left.

        What a clock that was ahead wrote before an old record is as old as that.
        Then cycles go of which no record is left, but for the last that ended before, and what stood in mails that were
        sent. What is counted (`statistics`) is kept.
        """
        ...

    async def history(self, job: str, limit: int) -> list[dict[str, Any]]: ...

    def log(self, query: LogQuery) -> AsyncIterator[dict[str, Any]]:
        """Yield log rows, oldest first: the fields of LogRecord and job, cycle_id, change_id, source, target."""
        ...

    async def list_links(self, job: str, name: str | None) -> list[Record]: ...

    async def links_after(self, job: str, after: int, limit: int) -> list[Record]:
        """Return linked records in order of row id (row id > after), a page of a list that may be long."""
        ...

    async def link(self, job: str, kind: Kind, source_id: SourceId, target_id: TargetId, now: float) -> None: ...

    async def unlink(self, job: str, kind: Kind, source_id: SourceId, *, idle_at: float | None = None) -> bool:
        """Drop a link; return whether there was one. With `idle_at` (now) not while a cycle of the job is under way."""
        ...

    async def forget(self, job: str) -> None:
        """Drop everything known of a job but its log. Touches no target."""
        ...

    async def rebind(self, job: str, source: Identity, target: Identity, *, keep_links: bool) -> None: ...

    async def held(self, job: str | None = None) -> list[Hold]:
        """Return open holds, the oldest first."""
        ...

    async def close(self) -> None: ...
