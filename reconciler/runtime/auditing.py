"""Holds what a full reading shows against what the source would have told of changes by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from reconciler.core.model import KINDS, Kind, SourceId
from reconciler.core.records import Record
from reconciler.ports import AssignmentPage, EntryPage, MembershipPage, PresentPage, ReadEnd, Source, Wanted

NOTED_MAX = 10_000
"""Of more surprises than these nothing is said one by one: so many are no oversight."""
_NAMED = 5


class Audit:
    """Collects who turned out to be other than the last cycle left them, in a cycle that reads everything."""

    def __init__(self) -> None:
        self._changed: set[tuple[Kind, SourceId]] = set()
        self._came_or_left: set[tuple[Kind, SourceId]] = set()
        self._moved: set[SourceId] = set()

    def shown(self, kind: Kind, records: Mapping[SourceId, Record], prints: Sequence[tuple[SourceId, bytes]]) -> None:
        """Take note of what a page holds; `records` are those that are new, changed or due."""
        for source_id, print_ in prints:
            record = records.get(source_id)
            if record is None:
                continue
            if record.row_id is None:
                self._note(self._came_or_left, kind, source_id)
            elif record.fingerprint is not None and record.fingerprint != print_:
                self._note(self._changed, kind, source_id)

    def unseen(self, record: Record) -> None:
        """Take note of one whom the reading did not show."""
        self._note(self._came_or_left, record.kind, record.source_id)

    def moved(self, members: Collection[SourceId]) -> None:
        """Take note of members whose groups changed."""
        if len(self._moved) < NOTED_MAX:
            self._moved.update(members)

    async def missed(self, source: Source, wanted: Wanted, since: str) -> list[str]:
        """Ask the source what it would have told since the last cycle; return what that leaves out, in a sentence."""
        surprises = self._changed | self._came_or_left
        if not surprises:
            return []
        told: set[tuple[Kind, SourceId]] = set()
        swept, tells = set[Kind](), False
        async for event in source.read(wanted, since):
            match event:
                case AssignmentPage():
                    told.update(("user", one) for one in self._moved)
                case MembershipPage(groups=groups):
                    told.update(("group", group.group_id) for group in groups)
                    # a list shows who is in it, not who was; who moved at all is known
                    told.update(("user", member) for member in self._moved)
                case EntryPage(kind=kind, entries=entries):
                    told.update((kind, entry.id) for entry in entries)
                case PresentPage(kind=kind):
                    swept.add(kind)
                case ReadEnd(complete=False):
                    return []
                case ReadEnd(delta=True):
                    tells = True
                case _:
                    pass
        for kind in swept:
            told.update(one for one in self._came_or_left if one[0] == kind)
        missed = sorted(surprises - told) if tells or swept else []
        if not missed:
            return []
        counts = [f"{n} {kind}s" for kind in KINDS if (n := sum(one == kind for one, _ in missed))]
        named = ", ".join(source_id for _, source_id in missed[:_NAMED]) + (", …" if len(missed) > _NAMED else "")
        at_least = "at least " if len(surprises) >= NOTED_MAX else ""
        return [f"what the source tells of changes had left out {at_least}{' and '.join(counts)} ({named})"]

    def _note(self, where: set[tuple[Kind, SourceId]], kind: Kind, source_id: SourceId) -> None:
        if len(where) < NOTED_MAX:
            where.add((kind, source_id))
