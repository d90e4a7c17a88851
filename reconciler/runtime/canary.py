"""Keeps a job to the few whom `only` names: nobody else is created, changed or taken out."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.levelling import spoken
from reconciler.core.model import KINDS, Entry, Job, Kind, SourceId
from reconciler.core.naming import called, naming_attributes
from reconciler.core.records import Record


class Canary:
    """Whom one cycle of a job may touch.

    The others are not gone: nothing is looked up, decided or remembered of them, so that whatever changed meanwhile is
    found when `only` is taken away.
    """

    def __init__(self, job: Job) -> None:
        self.names: Sequence[str] = job.only
        self.restricted = bool(job.only)
        self._folded = frozenset(spoken(name) for name in job.only)
        self._by = {kind: _by(job, kind) for kind in KINDS}
        self._met: set[str] = set()
        self.seen: set[tuple[Kind, SourceId]] = set()
        """Who takes part, as far as they were met."""
        self.others = 0
        """How many entries of the source were left alone."""

    def lets(self, entry: Entry) -> bool:
        """Return whether an entry of the source takes part."""
        if not self.restricted:
            return True
        by_id = spoken(entry.id) in self._folded
        met = called(entry.attributes, self._folded, self._by[entry.kind])
        if not by_id and met is None:
            self.others += 1
            return False
        self._met.add(spoken(entry.id) if by_id or met is None else met[0])
        self.seen.add((entry.kind, entry.id))
        return True

    def lets_record(self, record: Record) -> bool:
        """Return whether somebody takes part of whom only the state is at hand: who is gone, above all."""
        if not self.restricted or record.key in self.seen:
            return True
        agreed = record.link.agreed.values() if record.link is not None else ()
        known_as = {spoken(str(record.source_id)), spoken(record.name)}
        known_as |= {spoken(value) for value in agreed if isinstance(value, str)} if record.kind == "user" else set()
        if self._folded.isdisjoint(known_as):
            return False
        self._met |= self._folded & known_as
        self.seen.add(record.key)
        return True

    def lets_member(self, member: SourceId) -> bool:
        """Return whether a member of a group may be added or taken out."""
        return not self.restricted or any((kind, member) in self.seen for kind in KINDS)

    @property
    def problems(self) -> list[str]:
        """Return what a report must say, in sentences."""
        if not self.restricted:
            return []
        missing = [name for name in self.names if spoken(name) not in self._met]
        said = [
            f"only {', '.join(self.names)} take part (only = […] in the job): {self.others} others of the source are"
            " left as they are"
        ]
        return said + [f"only names {name}: the source has nobody called so" for name in missing]


def _by(job: Job, kind: Kind) -> tuple[str, ...]:
    """Return the attributes by which somebody is named: a person's display name may be another's, too."""
    return tuple(name for name in naming_attributes(job.rules(kind)) if kind == "group" or name != "displayName")
