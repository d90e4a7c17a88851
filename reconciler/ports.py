"""Where the house ends: what is asked of the world, as Protocols, and the values that cross.

An adapter stands behind each of them. The simulator replaces all of them at once.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from reconciler.core.model import Change, Entry, Identity, Kind, Resource, SourceId, TargetId
from reconciler.core.notices import Notice, Settle
from reconciler.core.outcomes import Account, Done, Failed, Found, ListEnd, ListPage, MembersDone, Missing
from reconciler.core.records import LogRecord, Record
from reconciler.core.restarting import ResetScope
from reconciler.core.safeguards import Safeguard
from reconciler.core.standing import Standing

# --- time and chance ---------------------------------------------------------------------------------------------


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class Dice(Protocol):
    def uniform(self, low: float, high: float) -> float: ...

    def hex(self, digits: int) -> str:
        """Return an identifier of so many hexadecimal digits."""
        ...


class Ticks(Protocol):
    """Wakes the schedule: one moment per job, replaced when it is set again."""

    def set(self, job: str, at: float, wake: Callable[[], Awaitable[None]]) -> None: ...

    def cancel(self, job: str) -> None: ...

    def stop(self) -> None: ...


# --- the wire ----------------------------------------------------------------------------------------------------


_NO_HEADERS: Mapping[str, str] = {}


class Request(NamedTuple):
    """One HTTP request. `url` is absolute and encoded; `body` is sent as it is."""

    method: str
    url: str
    headers: Mapping[str, str] = _NO_HEADERS
    body: bytes | None = None
    deadline_seconds: float = 60.0


class Response(NamedTuple):
    """One HTTP answer. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange(Protocol):
    """One request, one answer: no retry, no redirect, no decision. The simulator stands here."""

    async def __call__(self, request: Request) -> Response | Failed:
        """Return the answer, or Failed with UNREACHABLE (nothing was sent) or INTERRUPTED (it may have been done)."""
        ...


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of a connection test."""

    step: str
    ok: bool
    text: str
    hint: str = ""


# --- the source --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job needs of a source: the attributes that its rules read, and whether groups and members matter."""

    user_attributes: frozenset[str]
    group_attributes: frozenset[str]
    users: bool = True
    groups: bool = False
    """Group entries are to be read (the job provisions groups)."""
    memberships: bool = False
    """Memberships are to be read (the job provisions groups, or scope or roles ask who is in a group)."""


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """The members of one group: the whole list, or with `partial` just these additions and removals."""

    group_id: SourceId
    name: str
    members: Sequence[SourceId]
    removed: Sequence[SourceId] = ()
    partial: bool = False
    gone: bool = False
    """The source itself says that there is no such group any more; nothing else is said then."""


@dataclass(frozen=True, slots=True)
class MembershipPage:
    groups: Sequence[GroupMembers]


@dataclass(frozen=True, slots=True)
class EntryPage:
    """At most 1,000 entries of one kind, full entries, no id twice in one reading."""

    kind: Kind
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class PresentPage:
    """Ids that the source has now, without their entries: a sweep beside what changed tells who is not there any more.

    Who is named here and is not known yet, or was taken for gone, is fetched.
    """

    kind: Kind
    ids: Sequence[SourceId]


@dataclass(frozen=True, slots=True)
class ReadEnd:
    """Nothing more comes of this part. Only when `complete` may absence be believed, and never of a `delta`.

    `problems` name place and cause, one sentence each ("users.csv line 17: …").
    """

    part: Literal["memberships", "user", "group"]
    complete: bool
    problems: tuple[str, ...] = ()
    delta: bool = False
    """Just what changed was given: whom it does not name is as before. A delta with a whole sweep of ids is none."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """The last thing that a reading gives: the token for the next one, None where the source has none."""

    token: str | None


ReadEvent = MembershipPage | EntryPage | PresentPage | ReadEnd | Watermark


class Source(Protocol):
    """Reads what should be."""

    @property
    def identity(self) -> Identity: ...

    @property
    def incremental(self) -> bool:
        """Whether the source can give just what changed since a watermark."""
        ...

    def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        """Yield memberships, then users, then groups, each part closed by ReadEnd; at last the Watermark.

        A part that `wanted` does not name is left out altogether. What cannot be read becomes ReadEnd(complete=False,
        problems), never an exception and never silence. A part is judged as a whole before its entries are given
        where that is cheap: an unusable part gives no entries.

        With `since` the source gives what changed, and tombstones (Entry.gone), part by part as ReadEnd.delta says. A
        token that it cannot go by (too old, of another server, of another query) makes it read everything instead.
        """
        ...

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        """Return full entries for ids; None: the source is sure that there is none; left out: not known."""
        ...

    async def test(self) -> list[Diagnosis]: ...

    async def close(self) -> None: ...


# --- the target --------------------------------------------------------------------------------------------------


class Target(Protocol):
    """Reads what is, sends one operation. Retries, rate limit, dialect and profile are behind it."""

    @property
    def identity(self) -> Identity: ...

    @property
    def requests(self) -> Mapping[str, int]:
        """How many requests were sent, by method, since the target was opened."""
        ...

    async def find(self, kind: Kind, path: str, value: str) -> Found | Failed:
        """Ask for accounts whose `path` is `value`. Every returned row has been checked again."""
        ...

    def listing(self, kind: Kind) -> AsyncIterator[ListPage | ListEnd | Failed]:
        """Yield the whole target in pages; the last event is ListEnd or Failed."""
        ...

    async def get(self, kind: Kind, target_id: TargetId) -> Account | Missing | Failed: ...

    async def create(self, kind: Kind, resource: Resource) -> Done | Failed:
        """Create. Done always has an account: where the answer has no id, the target was asked again."""
        ...

    async def update(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], agreed: Resource
    ) -> Done | Failed:
        """Send exactly these changes. `agreed` is what the target last had, for the forms that need the whole."""
        ...

    async def delete(self, kind: Kind, target_id: TargetId) -> Done | Missing | Failed: ...

    async def change_members(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId]
    ) -> MembersDone | Failed:
        """Add, then remove, in batches; never more per request than the profile allows, halved where refused."""
        ...

    async def members(self, group: TargetId) -> frozenset[TargetId] | Missing | Failed:
        """Return who is in the group at the target, for members = "exact" and for --full."""
        ...

    async def test(self) -> list[Diagnosis]: ...

    async def close(self) -> None: ...


# --- the store ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JobState:
    """What is remembered of a job when a cycle opens."""

    job_id: int
    epoch: int
    """Fencing: grows by one with each opened cycle; a write with an older one is refused (StateError)."""
    fingerprint_key: bytes
    watermark: str | None
    completed_rules: str | None
    """The version of the rules under which a cycle last completed; None: never."""
    ceiling: int
    """The highest row id when the cycle opened: what is younger cannot have been missed by the reading."""


class Seen:
    """Which rows a reading has met: a bitmap over row ids (1 MB for eight million rows)."""

    __slots__ = ("_bits",)

    def __init__(self, ceiling: int) -> None:
        self._bits = bytearray(ceiling // 8 + 1)

    def add(self, row_id: int) -> bool:
        """Mark the row; return whether it was marked before. Rows above the ceiling are ignored."""
        byte, bit = row_id >> 3, 1 << (row_id & 7)
        if byte >= len(self._bits):
            return False
        if self._bits[byte] & bit:
            return True
        self._bits[byte] |= bit
        return False

    def __contains__(self, row_id: int) -> bool:
        byte = row_id >> 3
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << (row_id & 7)))


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds an account of the target: a link of this or another job."""

    job: str
    kind: Kind
    source_id: SourceId
    verdict: str
    person: str | None
    source: Identity


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry in scope of a job whose account another entry holds."""

    job: str
    kind: Kind
    source_id: SourceId
    target_id: TargetId
    person: str | None
    source: Identity


@dataclass(frozen=True, slots=True)
class PendingReference:
    """A reference that waits until what it points to has a target id."""

    kind: Kind
    source_id: SourceId
    path: str
    wanted_kind: Kind
    wanted_id: SourceId


@dataclass(frozen=True, slots=True)
class MemberDelta:
    """What a group's membership at the target lacks or has too much, by the ledger."""

    add: tuple[tuple[SourceId, TargetId], ...]
    remove: tuple[tuple[SourceId, TargetId], ...]
    unresolved: tuple[SourceId, ...]
    """Members in the source that are not linked or not in scope: left out, and looked at again when they are."""
    in_doubt: frozenset[TargetId] = frozenset()
    """Those in the ledger of whom nobody knows whether the last change was done: added again where they are wanted."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit writes, all or nothing."""

    records: Sequence[Record] = ()
    """Upserted whole by (job, kind, source id); row_id is filled in on the objects given."""
    log: Sequence[LogRecord] = ()
    pending_add: Sequence[PendingReference] = ()
    pending_drop: Sequence[tuple[Kind, SourceId]] = ()
    """Entries all of whose pending references are dropped (before pending_add)."""
    pending_done: Sequence[int] = ()
    """Rows of pending references (as `resolvable` numbers them) that are settled."""
    members_added: Sequence[tuple[SourceId, SourceId, TargetId]] = ()
    """(group source id, member source id, member target id), into the ledger."""
    members_removed: Sequence[tuple[SourceId, TargetId]] = ()
    """(group source id, member target id), out of the ledger."""
    members_in_doubt: Sequence[tuple[SourceId, SourceId, TargetId]] = ()
    """As members_added, which comes after it: about to be added or removed, and from now on nobody knows whether."""
    groups_settled: Sequence[SourceId] = ()
    """Groups whose membership is now as wanted: no longer dirty."""
    groups_refused: Sequence[tuple[SourceId, float]] = ()
    """(group, now): groups some of whose members were refused; they stay dirty, and are tried again after some time."""
    touched: Sequence[SourceId] = ()
    """Entries whose link or scope changed: the groups they are members of become dirty in the same commit."""
    forget: Sequence[tuple[Kind, SourceId]] = ()
    """Records to drop altogether."""


Decision = Literal["approved", "rejected"]


class HeldOperation(NamedTuple):
    """One operation that waits for a person's word."""

    kind: Kind
    source_id: SourceId
    name: str
    operation: str
    """disable, delete, enable, create, rename (a matching attribute changes), or members (removals from the group)."""
    why: str
    verdict: str = ""
    """The verdict on the entry (`core.records.Verdict`) that the operation follows from."""
    about: tuple[str, ...] = ()
    """With members: the target ids that would be taken out. With rename: the new values. A decision covers no other."""
    since: float = 0.0
    """Since when it is held; the store fills it in."""

    @property
    def key(self) -> tuple[Kind, SourceId, str]:
        return self.kind, self.source_id, self.operation


@dataclass(frozen=True, slots=True)
class Hold:
    """What one safeguard of a job holds back until a person allows it."""

    job: str
    id: str
    """The same as long as nothing is added to it."""
    safeguard: Safeguard
    since: float
    why: str
    operations: tuple[HeldOperation, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """A person's word on an operation that was held.

    Approved: kept until it was done, or is wanted no more. Rejected: kept until it is wanted no more; till then it is
    not proposed again.
    """

    job: str
    operation: HeldOperation
    decision: Decision
    by: str
    at: float
    hold: str


@dataclass(frozen=True, slots=True)
class QueuedNotice:
    """A notice that waits to be mailed."""

    id: int
    notice: Notice
    attempts: int
    begun_at: float | None
    """It was being handed over when the process ended: whether it was taken is not known."""
    recipients: tuple[str, ...] = ()
    """Who does not have it yet, where others have; empty: everybody."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted of a job for people who look at it."""

    managed: int = 0
    """Accounts and groups that are linked, and not disabled by us."""
    escrow: int = 0
    """Entries whose operation failed, waiting for their next try."""
    escrow_without_account: int = 0
    """Of those, who has no account yet."""
    escrow_since: float | None = None
    """When the one that waits longest first failed."""
    should_be_off: int = 0
    """Accounts that should be off, or gone, and are not."""
    should_be_off_since: float | None = None
    """Since when the one that waits longest should be."""
    pending_references: int = 0
    mails_waiting: int = 0
    mails_given_up: int = 0
    """Mails that could not be sent and are not tried again."""
    mail_problem: str = ""
    """What stood against the newest of the mails that are not sent."""
    watermark: bool = False
    """Whether the source gave a token for what changed since."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a job has come to, since it first ran (entra-behaviour 11); the log's retention takes nothing of it away."""

    managed: Mapping[Kind, int]
    """Users and groups that are linked, and not disabled by us."""
    provisioned: Mapping[Kind, int]
    """Users and groups that were created or adopted to date: it never falls."""
    done: Mapping[str, int]
    """Operation → how often it was done."""
    failed: Mapping[str, int]
    """Operation → how often it failed; "leave": before anything was sent."""
    skipped: int
    """How often the log has that somebody was left alone."""
    last_cycle: Mapping[str, Any] | None
    """The report of the last cycle, with `ended_at`."""
    steady_first_at: float | None
    """When a cycle first ended with nothing left to do."""
    steady_last_at: float | None


@dataclass(frozen=True, slots=True)
class LogQuery:
    job: str | None = None
    user: str | None = None
    """Matches source id, target id or name exactly, or the beginning of the name."""
    action: str | None = None
    status: str | None = None
    since: float | None = None
    limit: int | None = None


class Store(Protocol):
    """Remembers. One writer, any number of readers. Calls are batches; each write is one transaction."""

    async def open_job(
        self, job: str, source: Identity, target: Identity, now: float, *, cycle_id: str = "", asked_by: str = ""
    ) -> JobState:
        """Open a cycle: make the job's row where it is new, raise its epoch, empty its scratch tables.

        The log calls the cycle `cycle_id` (made up where it is empty), and says who asked for it. Raises
        IdentityChanged when the job's links belong to another source or target.
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

    async def meet(self, job_id: int, kind: Kind, ids: Sequence[SourceId], seen: Seen) -> list[SourceId]:
        """Mark entries as seen that the source still has; return those that are not known, or were taken for gone."""
        ...

    async def records(self, job_id: int, kind: Kind, source_ids: Sequence[SourceId]) -> Mapping[SourceId, Record]: ...

    async def links_of(
        self, job_id: int, kind: Kind, source_ids: Sequence[SourceId]
    ) -> Mapping[SourceId, TargetId]: ...

    async def owners(self, target: Identity, kind: Kind, ids: Sequence[TargetId]) -> Mapping[TargetId, Owner]: ...

    async def claims(self, target: Identity, kind: Kind, ids: Sequence[TargetId]) -> Mapping[TargetId, list[Claim]]:
        """Return who else, of any job of this target, has one of these accounts in scope, oldest first."""
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
    ) -> int:
        """Stage accounts with their match keys ("path=value", normalised); return how many ids were new."""
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

    async def pending_count(self, job_id: int) -> int: ...

    async def touch_groups_of(self, job_id: int, members: Sequence[SourceId]) -> None:
        """Mark the groups that these entries are members of (in the source or by the ledger) as dirty."""
        ...

    async def dirty_groups(self, job_id: int, after: str, limit: int, now: float = math.inf) -> list[SourceId]:
        """Return linked groups whose membership changed, but not those that wait after a refusal."""
        ...

    async def member_delta(self, job_id: int, group: SourceId) -> MemberDelta:
        """Compare wanted members (in the source, linked, in scope or inactive) with the ledger.

        A member whose record is linked and UNKNOWN, or kept although out of scope, is neither added nor removed.
        """
        ...

    async def ledger(self, job_id: int, group: SourceId) -> Mapping[TargetId, SourceId]: ...

    async def somebody(self, user: str) -> list[tuple[str, Record]]:
        """Return the user entries, of all jobs, of whoever has this source id, target id, person or name.

        With each come the entries of the same person, and of the same source id of the same source.
        """
        ...

    async def take_out(self, people: Sequence[tuple[str, Kind, SourceId]], by: str, now: float) -> None:
        """Remember that a person (`by`) took these entries (job, kind, source id) out; they are due at once."""
        ...

    async def let_back(self, people: Sequence[tuple[str, Kind, SourceId]], now: float) -> int:
        """Forget that for these entries; return how many there were."""
        ...

    async def who_is_out(self, job: str) -> Mapping[tuple[Kind, SourceId], str]:
        """Return the entries of a job that were taken out by hand, and by whom."""
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

    async def remember(self, target: Identity, facts: dict[str, Any], now: float) -> None: ...

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

    async def prune(self, before: float, limit: int) -> int:
        """Drop records of the log older than that, at most `limit`; return how many: fewer, and nothing is left.

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


# --- mails -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A mail, or a recipient of it, that the mail server did not take; `problem` is a sentence for an administrator."""

    problem: str
    lasting: bool = False
    """The same mail would be refused again."""
    of_server: bool = False
    """It has nothing to do with this mail: every other would fare as it did."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The mail server has the mail, and answers for it."""

    answer: str
    refused: Mapping[str, NotTaken]
    """Recipients that it would not take it for."""


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The whole text was sent, and the mail server did not answer in time: it may have the mail."""

    problem: str


class Notifier(Protocol):
    """Makes a mail of a notice, hands it to the mail server: once, without a retry."""

    async def hand_over(
        self, notice: Notice, recipients: Sequence[str], begin: Callable[[], Awaitable[None]]
    ) -> Taken | NotTaken | InDoubt:
        """Hand it over. `begin` is awaited when all that is left is to send the text: nothing was taken before it."""
        ...


class Progress(Protocol):
    """Shows long work to a person; says nothing where nobody looks."""

    def advance(self, part: str, done: int, total: int | None = None) -> None: ...

    def follow(self, counts: Mapping[str, int]) -> None:
        """Take the cycle's own counts of what was done, by word: they go on growing while it runs."""
        ...


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Cut a sequence into runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
