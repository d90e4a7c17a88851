"""The values of a decision: what it is made from, what it can come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from reconciler.core.mapping import Mapped
from reconciler.core.model import Cause, Change, Kind, Resource, SourceId, TargetId
from reconciler.core.outcomes import Account
from reconciler.core.reasons import Reason
from reconciler.core.records import Record, Verdict
from reconciler.core.scoping import InScope, Leaving, Standing

Word = Literal["create", "adopt", "update", "enable", "disable", "delete"]


@dataclass(frozen=True, slots=True)
class Pending:
    """A reference whose target id is not known yet."""

    path: str
    kind: Kind
    source_id: SourceId


_NO_REFERENCES: Mapping[str, TargetId | list[TargetId]] = {}


class Judged(NamedTuple):
    """One entry as it was judged; a tuple, because a cycle makes one of each entry that it decides on."""

    record: Record
    standing: InScope | Leaving
    mapped: Mapped | None = None
    """None only where nothing was mapped: the entry is gone."""
    references: Mapping[str, TargetId | list[TargetId]] = _NO_REFERENCES
    """Path → the target ids of those whom the entry refers to."""
    pending: tuple[Pending, ...] = ()
    fingerprint: bytes | None = None
    found: Account | None = None
    """What the target shows in a full cycle; without it the last agreed resource counts."""
    parting: Mapped | None = None
    """What the rules write into the account of somebody who leaves, where they do."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is sent; `code` is the reason's name in the provisioning log."""

    why: str
    code: Reason
    verdict: Verdict
    due_at: float | None = None
    """When the entry must be looked at again although nothing changes."""
    leaves_disabled: Cause | None = None
    """The mapping had disabled the account before its owner left: from now on it counts as disabled because of this."""
    off_by_others: bool = False
    """The account of a leaver is off, and it was not us who disabled it."""
    claims: TargetId | None = None
    """The account that another job has for this entry, and that is this job's when that one lets it go."""


@dataclass(slots=True)
class Operation:
    """What will be done to one account, with its why. `record` is the entry's memory as it is before."""

    word: Word
    record: Record
    why: str
    verdict: Verdict
    fingerprint: bytes | None
    changes: tuple[Change, ...] = ()
    resource: Resource = field(default_factory=dict)
    """With create: the whole account."""
    account: Account | None = None
    """With adopt: what the target showed."""
    pending: tuple[Pending, ...] = ()
    match: tuple[tuple[str, str], ...] = ()
    """(path, value) to ask the target with, in order of precedence."""
    cause: Cause | None = None
    redacted: frozenset[str] = frozenset()
    in_doubt: bool = False
    """An earlier try may have done it, or a part of it, whatever a later one came to."""
    due_at: float | None = None
    """When the entry must be looked at again although nothing changes: its leave date, or the delete of an account that
    is off."""
    beside: Leave | None = None
    """With an update of a leaver's account that is off already: what is remembered of it where nothing is sent."""
    approved: bool = False
    """A person allowed it although a safeguard held it."""
    counts: str = ""
    """The safeguard that it counts for when it is done; disables and deletes count anyway."""
    after_disable: bool = False
    """A delete because the account was disabled long enough: not before a look whether it is off."""

    @property
    def negative(self) -> bool:
        return self.word in ("disable", "delete")


@dataclass(frozen=True, slots=True)
class Reject:
    """The entry fails before anything is sent; it is tried again later."""

    error_code: Reason
    why: str


class Ask(NamedTuple):
    """The target must be asked whether it has an account for this entry."""

    match: tuple[tuple[str, str], ...]


Decision = Operation | Leave | Reject | Ask

_VERDICTS = {
    Cause.GONE: Verdict.GONE,
    Cause.INACTIVE: Verdict.INACTIVE,
    Cause.ROLE_LOST: Verdict.ROLE_LOST,
    Cause.OUT_OF_SCOPE: Verdict.OUT_OF_SCOPE,
}
LEAVERS = frozenset(_VERDICTS.values())


def verdict_of(standing: Standing) -> Verdict:
    """Return what is remembered of a standing."""
    match standing:
        case InScope():
            return Verdict.IN_SCOPE
        case Leaving(cause=cause):
            return _VERDICTS[cause]
        case _:
            return Verdict.UNKNOWN
