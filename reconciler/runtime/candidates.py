"""Gathers what a decision on an entry is made from: its references, what the target shows of its account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.core import settling
from reconciler.core.assignments import Memberships
from reconciler.core.decisions import Judged, Pending
from reconciler.core.mapping import Mapped
from reconciler.core.model import Entry, Kind, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed, Missing
from reconciler.core.profile import Profile
from reconciler.core.records import Record, Verdict
from reconciler.core.scoping import InScope, Leaving
from reconciler.ports import Store, Target
from reconciler.runtime.asking import Asking
from reconciler.runtime.course import Course
from reconciler.runtime.rules import KindRules


@dataclass(slots=True)
class Candidate:
    """One entry on its way through the page."""

    entry: Entry
    record: Record
    standing: InScope | Leaving
    fingerprint: bytes | None
    """None: it must be looked at again in the next cycle, whatever it says."""
    memberships: Memberships
    mapped: Mapped | None = None
    references: dict[str, Any] = field(default_factory=dict)
    pending: tuple[Pending, ...] = ()
    found: Account | None = None
    parting: Mapped | None = None
    until: float | None = None
    """When the standing must be looked at again although nothing changes: the leave date."""

    @property
    def judged(self) -> Judged:
        return Judged(
            self.record,
            self.standing,
            self.mapped,
            self.references,
            self.pending,
            self.fingerprint,
            self.found,
            self.parting,
        )


class Gathering:
    """Completes the candidates of a page before they are decided on."""

    def __init__(
        self,
        profile: Profile,
        job_id: int,
        store: Store,
        target: Target,
        asking: Mapping[Kind, Asking],
        course: Course,
    ) -> None:
        self._profile, self._job_id, self._store, self._target = profile, job_id, store, target
        self._looked_at = self._unseen = 0
        self._asking, self._course = asking, course

    async def resolve_references(self, candidates: Sequence[Candidate]) -> None:
        """Put target ids where the source says who; what has none yet is pending."""
        wanted: dict[Kind, set[SourceId]] = {}
        flows: dict[SourceId, Mapping[str, tuple[Kind, str | list[str]]]] = {}
        for candidate in candidates:
            if candidate.mapped is not None and candidate.mapped.references:
                link = candidate.record.link
                mapped = candidate.mapped
                flows[candidate.entry.id] = mapped.references_on_update(link.agreed) if link else mapped.references
                for kind, ids in flows[candidate.entry.id].values():
                    wanted.setdefault(kind, set()).update(_ids(ids))
        known: dict[Kind, Mapping[SourceId, TargetId]] = {}
        for kind, sources in wanted.items():
            known[kind] = await self._store.links_of(self._job_id, kind, sorted(sources))
        for candidate in candidates:
            pending = []
            for path, (kind, value) in flows.get(candidate.entry.id, {}).items():
                there = [known[kind][source_id] for source_id in _ids(value) if source_id in known[kind]]
                if isinstance(value, list):
                    candidate.references[path] = there
                elif there:
                    candidate.references[path] = there[0]
                pending += [Pending(path, kind, one) for one in _ids(value) if one not in known[kind]]
            candidate.pending = tuple(pending)
            self._course.pointed_at.update((p.kind, p.source_id) for p in pending)

    @property
    def compared(self) -> bool:
        """Whether the target showed most of what it was to be compared with; one that it never shows is no matter."""
        return self._unseen * 2 <= self._looked_at

    async def compare_with_target(self, rules: KindRules, candidates: Sequence[Candidate]) -> None:
        """Take what the target shows instead of what was agreed; an account that is surely not there has no link.

        Of one that was made just now a target may say so although it is there.
        """
        asking = self._asking[rules.kind]
        linked = [c for c in candidates if c.record.link is not None]
        listed = await asking.listed([c.record.link.target_id for c in linked if c.record.link is not None])
        self._looked_at += len(linked)
        for candidate in linked:
            link = candidate.record.link
            assert link is not None
            candidate.found = listed.get(link.target_id)
            if candidate.found is not None:
                candidate.record.link = settling.compared(link, candidate.found, rules.kind, self._profile)
                continue
            if self._course.unasked is not None:
                continue
            answer = await self._target.get(rules.kind, link.target_id)
            match answer:
                case Account():
                    candidate.found = answer
                    candidate.record.link = settling.compared(link, answer, rules.kind, self._profile)
                case Missing() if self._course.made_just_now(candidate.record):
                    self._unseen += 1
                case Missing():
                    candidate.record = replace(candidate.record, link=None, verdict=Verdict.NEW)
                case Failed():
                    self._unseen += 1


def _ids(value: str | list[str]) -> list[SourceId]:
    return [SourceId(one) for one in (value if isinstance(value, list) else [value])]
