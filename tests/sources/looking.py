"""One reading of a source: what it gave, held against what every reading promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.core.given import GivenAssignment
from reconciler.core.model import Entry, Kind, SourceId
from reconciler.ports import (
    AssignmentPage,
    EntryPage,
    GroupMembers,
    MembershipPage,
    PresentPage,
    ReadEnd,
    Source,
    Wanted,
    Watermark,
)


class Opened(Protocol):
    """What can be looked at as often as a test likes."""

    @property
    def wanted(self) -> Wanted: ...

    def open(self) -> Source:
        """Return the source as a fresh process opens it."""
        ...


@dataclass(slots=True)
class Seen:
    """What one reading gave."""

    users: dict[SourceId, Entry] = field(default_factory=dict)
    groups: dict[SourceId, Entry] = field(default_factory=dict)
    members: dict[SourceId, GroupMembers] = field(default_factory=dict)
    assignments: list[GivenAssignment] = field(default_factory=list)
    present: set[SourceId] = field(default_factory=set)
    ends: dict[str, ReadEnd] = field(default_factory=dict)
    token: str | None = None
    order: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return bool(self.ends) and all(end.complete for end in self.ends.values())

    @property
    def is_delta(self) -> bool:
        return any(end.delta for end in self.ends.values())

    def left(self, kind: Kind, before: Seen) -> set[SourceId]:
        """Return who is gone by this reading, of those whom an earlier one had shown."""
        if kind not in self.ends:
            return set()
        now = self.users if kind == "user" else self.groups
        told = {id_ for id_, entry in now.items() if entry.gone}
        if not self.ends[kind].complete or self.ends[kind].delta:
            return told
        had = before.users if kind == "user" else before.groups
        return told | (had.keys() - now.keys() - self.present)


async def read(source: Source, wanted: Wanted, since: str | None = None) -> Seen:
    """Read it all, and hold it against what every reading promises."""
    seen = Seen()
    async for event in source.read(wanted, since):
        assert seen.token is None and "watermark" not in seen.order, "nothing comes after the watermark"
        match event:
            case AssignmentPage(assignments=assignments):
                assert "assignments" not in seen.ends
                seen.assignments += assignments
            case MembershipPage(groups=groups):
                assert "memberships" not in seen.ends
                for group in groups:
                    assert group.partial or group.group_id not in seen.members
                    seen.members[group.group_id] = group
            case EntryPage(kind=kind, entries=entries):
                assert kind not in seen.ends and 0 < len(entries) <= 1000
                shown = seen.users if kind == "user" else seen.groups
                for entry in entries:
                    assert entry.kind == kind and entry.id not in shown, "no id twice"
                    shown[entry.id] = entry
            case PresentPage(kind=kind, ids=ids):
                assert kind not in seen.ends
                seen.present.update(ids)
            case ReadEnd(part=part):
                seen.ends[part] = event
                seen.order.append(part)
            case Watermark(token=token):
                seen.token = token
                seen.order.append("watermark")
    expected = [
        ("assignments", wanted.app is not None),
        ("memberships", wanted.memberships),
        ("user", wanted.users),
        ("group", wanted.groups),
    ]
    assert seen.order == [*(part for part, asked in expected if asked), "watermark"]
    return seen


@asynccontextmanager
async def opened(scene: Opened) -> AsyncIterator[Source]:
    source = scene.open()
    try:
        yield source
    finally:
        await source.close()


async def look(scene: Opened, since: str | None = None) -> Seen:
    """Read as a fresh process does."""
    async with opened(scene) as source:
        return await read(source, scene.wanted, since)
