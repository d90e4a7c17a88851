"""What is asked of a source, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from reconciler.core.given import GivenAssignment
from reconciler.core.model import Entry, Identity, Kind, SourceId
from reconciler.core.outcomes import Failed
from reconciler.ports.exchange import Diagnosis

Part = Literal["assignments", "memberships", "user", "group"]


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
    app: str | None = None
    """The app whose assignments are to be read, by the id that the source has for it; None: none are."""
    once: bool = False
    """It is only looked through: a source keeps nothing for a later reading because of it, nor forgets anything."""


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """The members of one group: the whole list, or with `partial` just these additions and removals."""

    group_id: SourceId
    name: str
    members: Sequence[SourceId]
    removed: Sequence[SourceId] = ()
    partial: bool = False
    unchanged: bool = False
    """Partial, and empty: the group is there with the members that it had, whoever they are."""
    gone: bool = False
    """The source itself says that there is no such group any more; nothing else is said then."""


@dataclass(frozen=True, slots=True)
class AssignmentPage:
    """Some of those who are assigned to the app: all of its pages together are all of them, whatever changed."""

    assignments: Sequence[GivenAssignment]


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

    part: Part
    complete: bool
    problems: tuple[str, ...] = ()
    delta: bool = False
    """Just what changed was given: whom it does not name is as before. A delta with a whole sweep of ids is none."""
    fault: Failed | None = None
    """Why the source as a whole could not be worked with, where that ended the part (`complete` is False then).

    It refused our credentials (UNAUTHORIZED, FORBIDDEN), was out of reach (UNREACHABLE, INTERRUPTED, THROTTLED,
    SERVER_ERROR), or is something else than was said (NOT_FOUND, NOT_SCIM). Where nobody at all could be read because
    of it, the job goes into quarantine, and until that is over the source's connection is tested at the normal
    interval. `reason` and `request` are shown to people, `problems` say it too. What is wrong with one list, one query
    or one row is no fault: an incomplete part is enough.
    """


@dataclass(frozen=True, slots=True)
class Watermark:
    """The last thing that a reading gives: the token for the next one, None where the source has none."""

    token: str | None


ReadEvent = AssignmentPage | MembershipPage | EntryPage | PresentPage | ReadEnd | Watermark


class Source(Protocol):
    """Reads what should be."""

    @property
    def identity(self) -> Identity: ...

    @property
    def incremental(self) -> bool:
        """Whether the source can give just what changed since a watermark."""
        ...

    def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        """Yield assignments, memberships, users, groups, in this order, each closed by ReadEnd; last the Watermark.

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

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        """Sign in, and look at each part: one line each, and nothing that costs a server more than a page.

        The first line says whether the source as a whole can be worked with, and with its `fault` why it cannot; the
        others are about parts. What a reading of what is wanted would find to be lacking is told, in the same words,
        where that can be known without one.
        """
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Announcing(Protocol):
    """A source that says by itself when something changed, so that nobody has to wait for the next cycle."""

    def changes(self) -> AsyncIterator[None]:
        """Yield once when listening has begun, and again whenever users, groups or members may have changed.

        What changes after the first is not missed, and it comes as soon as the listening allows: whoever listens waits
        a little for more before a job runs, so nothing is gathered here. What changed and whether a job reads it is
        not said: the job's next reading finds out. Ends only by an error: raises NotAnnounced with the reason where
        nothing is announced (any more); who listens tries again later. It is closed like any other iterator, and lets
        go of all that it opened then. May run while the same source is being read.
        """
        ...


@runtime_checkable
class Tidying(Protocol):
    """A source that has something to put away once what it gave is safe."""

    async def settled(self) -> list[str]:
        """Hear that a cycle which read all of it well was committed; return in sentences what could not be put away.

        Never heard of a plan or a rehearsal. What is put away has been given to every job, or is kept for it.
        """
        ...


@runtime_checkable
class Withholding(Protocol):
    """A source that has entries which it does not show, because it cannot tell who they are: they stay as they are."""

    async def withheld(self, kind: Kind, ids: Sequence[SourceId]) -> Set[SourceId]:
        """Return those of ids which `fetch` leaves out for this reason alone: nothing of them failed to be read."""
        ...


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Cut a sequence into runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
