"""What is remembered of one entry, and what is written down about it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from reconciler.core.model import Kind, Resource, SourceId, TargetId
from reconciler.core.reasons import Reason


class Verdict(StrEnum):
    """The last thing that was decided about an entry."""

    NEW = "new"
    IN_SCOPE = "in_scope"
    INACTIVE = "inactive"
    ROLE_LOST = "role_lost"
    OUT_OF_SCOPE = "out_of_scope"
    GONE = "gone"
    UNKNOWN = "unknown"


Origin = Literal["created", "adopted", "manual"]

BY_OTHERS = "others"
"""In place of a cause: somebody else disabled the account of a leaver, so it is not ours to enable or to delete."""


@dataclass(slots=True)
class Link:
    """Source id ↔ target id, and the last agreed resource."""

    target_id: TargetId
    origin: Origin
    agreed: Resource
    """What we last wrote or read there, mapped paths only, references as target ids."""
    linked_at: float
    disabled_at: float | None = None
    """When we disabled it; only what we disabled is ever enabled again."""
    disabled_because: str = ""
    """A cause, a verdict, or `BY_OTHERS`: then it is off, its owner has left, and we have not disabled it.

    A cause or verdict without `disabled_at`: we have enabled it since, and the target said yes and showed it off; or a
    comparison showed it on, and it may stay so. It does not count as off, since what was shown may have been late;
    where it is seen off still, it is off by us.
    """
    delete_at: float | None = None
    unkept: dict[str, int] = field(default_factory=dict)
    """Path → how often the target took the value and did not keep it."""
    changed: dict[str, int] = field(default_factory=dict)
    """Path → how often we changed it, of those that the target lets be changed so and so often."""

    @property
    def is_ours_if_off(self) -> bool:
        """Whether it is off by us, if it is off."""
        return self.disabled_at is not None or self.disabled_because not in ("", BY_OTHERS)


@dataclass(slots=True)
class Escrow:
    """A failed operation that waits for its next try (the record's `due_at`)."""

    failures: int
    first_failed_at: float
    error_code: str
    reason: str


@dataclass(slots=True)
class Record:
    """One row per entry and job: the memory that makes the next cycle cheap."""

    kind: Kind
    source_id: SourceId
    row_id: int | None = None
    """None until it was first written. Grows, is never used again."""
    fingerprint: bytes | None = None
    """None: look at the entry again, whatever it says."""
    verdict: Verdict = Verdict.NEW
    why: str = ""
    name: str = ""
    """What a person calls the entry (userName, displayName): for logs and commands."""
    person: str | None = None
    link: Link | None = None
    due_at: float | None = None
    """When the entry must be looked at although it did not change (escrow, grace, delete)."""
    escrow: Escrow | None = None
    attempted_at: float | None = None
    """Something was sent and its answer is not known. Without a link it was a create: ask the target before sending
    another. With one: look at the account before anything else is decided."""
    attempted_match: tuple[tuple[str, str], ...] = ()
    """The matching values, in order of precedence, that an attempted create was sent with."""
    attempted_off_at: float | None = None
    """When, of what was sent and not answered, something was to switch the account off or to delete it."""
    off_since: float | None = None
    """Since when the account should be off, or gone, and is not."""
    claims: TargetId | None = None
    """The account that would be this entry's, or has the name that it needs, if another entry did not hold it."""

    @property
    def key(self) -> tuple[Kind, SourceId]:
        return self.kind, self.source_id

    def copy(self) -> Record:
        """Return a second record of the same values: what `dataclasses.replace` does, at a quarter of the time."""
        return Record(*_values_of(self))


_values_of = attrgetter(*(each.name for each in fields(Record)))

_NO_DETAILS: dict[str, Any] = {}


class Step(NamedTuple):
    """One step of the provisioning log: import, scoping, matching, processing, referenceResolution, export."""

    type: str
    status: Literal["success", "warning", "failure", "skipped"]
    description: str
    details: dict[str, Any] = _NO_DETAILS


Modified = tuple[str, Any, Any]
"""One value that changed: its path, what it was, what it is now. A plain tuple, for a cycle makes millions of them."""


@dataclass(slots=True)
class LogRecord:
    """One record of the provisioning log: per entry and change of verdict."""

    at: float
    kind: Kind
    source_id: SourceId
    name: str
    action: str
    """create, update, delete, disable, stagedDelete, other (Graph's names; adopt and enable are updates)."""
    operation: str
    """Our own, finer word: create, adopt, update, enable, disable, delete, leave, members."""
    status: Literal["success", "failure", "skipped", "warning"]
    target_id: TargetId | None = None
    error_code: Reason | Literal[""] = ""
    reason: str = ""
    steps: tuple[Step, ...] = ()
    modified: tuple[Modified, ...] = ()
    took_ms: int = 0
    counts: str = ""
    """The safeguard that it counts for when it was done; disables and deletes count for `deletions` anyway."""
    approved: bool = False
    """A person allowed it although a safeguard held it: it does not count against the safeguard again."""
    initiated_by: str = ""
    """Who had it done by itself ("on demand by …"); empty: a cycle of the job did it."""
