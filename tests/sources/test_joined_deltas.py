"""A joined source of which the first part tells what changed, and says of the rest just that it is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from reconciler.core.model import Entry, Identity, Kind, SourceId
from reconciler.ports import (
    Diagnosis,
    EntryPage,
    GroupMembers,
    MembershipPage,
    PresentPage,
    ReadEnd,
    ReadEvent,
    Wanted,
    Watermark,
)
from reconciler.sources.joined import JoinedSource
from reconciler.sources.joined_merging import Joining
from tests.sources.looking import look

ALL = Wanted(frozenset({"id", "mail"}), frozenset({"displayName"}), groups=True, memberships=True)


class Tells:
    """People and groups, each with the number of its last change: a delta names the others by their ids alone."""

    incremental = True

    def __init__(self, name: str) -> None:
        self.identity = Identity("scim", name, "id")
        self.number = 0
        self.people: dict[SourceId, int] = {}
        self.teams: dict[SourceId, tuple[int, Sequence[SourceId]]] = {}
        self.is_asked_in_vain = False
        """Whether those who are asked for by their ids cannot be read."""

    def hire(self, who: str) -> None:
        self.number += 1
        self.people[SourceId(who)] = self.number

    def found(self, team: str, *members: str) -> None:
        self.number += 1
        self.teams[SourceId(team)] = (self.number, [SourceId(one) for one in members])

    async def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        after = -1 if since is None else int(since)
        if wanted.memberships:
            told = [GroupMembers(one, one, who) for one, (at, who) in self.teams.items() if at > after]
            rest = [one for one, (at, _) in self.teams.items() if at <= after]
            yield MembershipPage([*told, *(GroupMembers(one, one, (), partial=True, unchanged=True) for one in rest)])
            yield ReadEnd("memberships", complete=True)
        kinds: tuple[tuple[Kind, Mapping[SourceId, int], bool], ...] = (
            ("user", self.people, True),
            ("group", {one: at for one, (at, _) in self.teams.items()}, wanted.groups),
        )
        for kind, there, asked in kinds:
            if not asked:
                continue
            if changed := [self._entry(kind, one) for one, at in there.items() if at > after]:
                yield EntryPage(kind, changed)
            if since is not None:
                yield PresentPage(kind, list(there))
            yield ReadEnd(kind, complete=True)
        yield Watermark(str(self.number))

    def _entry(self, kind: Kind, one: SourceId) -> Entry:
        return Entry(kind, one, {"id": one, "mail": f"{one}@x.test", "displayName": one})

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        there = self.people if kind == "user" else self.teams
        return {} if self.is_asked_in_vain else {one: self._entry(kind, one) if one in there else None for one in ids}

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        return []

    async def close(self) -> None:
        pass


class Scene:
    """Two of them, and the copy of what they said."""

    wanted = ALL

    def __init__(self, place: Path) -> None:
        self.place, self.directory, self.hr = place, Tells("directory"), Tells("hr")

    def hire(self, who: str) -> None:
        self.directory.hire(who)
        self.hr.hire(who)

    def open(self) -> JoinedSource:
        joining = Joining(("directory", "hr"), ("id", "id"), {})
        return JoinedSource("people", [self.directory, self.hr], joining, copy=self.place / "joined.db")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_a_group_that_was_hidden_for_a_while_comes_back_with_its_members(scene: Scene) -> None:
    for who in ("ann", "bob"):
        scene.hire(who)
    scene.directory.found("crew", "ann", "bob")
    scene.directory.found("club", "ann")
    seen = await look(scene)
    hidden = scene.directory.teams.pop(SourceId("crew"))
    seen = await look(scene, seen.token)
    scene.directory.teams[SourceId("crew")] = hidden
    seen = await look(scene, seen.token)
    assert seen.complete
    assert list(seen.members[SourceId("crew")].members) == ["ann", "bob"]


async def test_who_comes_and_cannot_be_read_is_no_part_of_a_complete_reading(scene: Scene) -> None:
    scene.hire("ann")
    scene.directory.found("crew", "ann")
    before = await look(scene)
    hidden = scene.directory.people.pop(SourceId("ann"))
    scene.hire("bob")
    before = await look(scene, before.token)
    scene.directory.people[SourceId("ann")] = hidden
    scene.directory.is_asked_in_vain = True
    seen = await look(scene, before.token)
    assert not seen.ends["user"].complete
    assert seen.ends["user"].problems == ("1 users who have come or are back could not be read",)
    scene.directory.is_asked_in_vain = False
    seen = await look(scene, seen.token)
    assert seen.complete and not seen.users[SourceId("ann")].gone
