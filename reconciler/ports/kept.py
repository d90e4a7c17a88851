"""The values that the store takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from reconciler.core.leaps import Leap
from reconciler.core.model import Identity, Kind, SourceId, TargetId
from reconciler.core.notices import Notice
from reconciler.core.records import LogRecord, Record
from reconciler.core.safeguards import Safeguard

MatchPairs = tuple[tuple[str, str], ...]
"""What an account is to be found by: (path, value) in order of precedence."""


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
    leap: Leap | None = None
    """Why nothing is deleted for a day: the clock is months ahead of the cycle before."""


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
    tried_again_at: float | None = None
    """When an operation of the owner that failed is tried again; None: none waits."""
    linked_at: float = 0.0
    disabled_at: float | None = None
    """When that job disabled the account; None: it did not."""
    disabled_because: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A create, of this or another job, that is under way or of which nobody knows whether it was done."""

    job: str
    source_id: SourceId
    match: MatchPairs
    at: float


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
    """Those in the ledger of whom nobody knows whether the last change was done, or that were not shown since: added
    again where they are wanted."""
    filled: bool = False
    """Whether somebody is certainly in the group at the target: what shows none there may be hiding them."""


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
    left_on: Mapping[str, int] = field(default_factory=dict)
    """Verdict → how many linked accounts of leavers are neither disabled nor meant to be: kept, mostly."""
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
    """What a job has come to, since it first ran; the log's retention takes nothing of it away."""

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
