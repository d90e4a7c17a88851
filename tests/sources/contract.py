"""What every source keeps, whatever stands behind it: one suite for all of them.

A module of tests makes a `Scene` of its source, gives it by a fixture named `scene`, and takes the suite over:

    class TestOurs(SourceContract):
        pass

A source without a token takes `SnapshotContract` instead. One that knows no teams takes `PeopleContract`, or with a
token `ChangesOfPeopleContract`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from reconciler.core.model import SourceId
from reconciler.ports import Source, Wanted
from tests.sources.looking import Seen, look, opened, read

__all__ = ["Seen", "look", "opened", "read"]

NAMES = ("Zoë Ångström", "李小龍", "Ελένη", "O'Neill, Ann (x) *", "\N{FAMILY}\N{ZERO WIDTH JOINER}")


class Scene(Protocol):
    """A few people and teams behind a source. What is done here is what the administrators of that system do."""

    @property
    def wanted(self) -> Wanted:
        """Everything: users, groups, memberships, and the attributes below."""
        ...

    @property
    def text(self) -> str:
        """The attribute of users that `hire` and `change` set."""
        ...

    @property
    def several(self) -> str | None:
        """The attribute of users that holds a list of texts; None: the source has no such attributes."""
        ...

    @property
    def reference(self) -> str:
        """The attribute of users that names another one."""
        ...

    @property
    def repeats(self) -> bool:
        """Whether a delta may show once more what was shown before."""
        ...

    def open(self) -> Source:
        """Return the source as a fresh process opens it."""
        ...

    def id_of(self, who: str) -> SourceId:
        """Return the anchor of a person or team that is there, or was."""
        ...

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None: ...

    async def change(self, who: str, *, text: str) -> None: ...

    async def dismiss(self, who: str) -> None:
        """Delete somebody."""
        ...

    async def found(self, team: str, *members: str) -> None:
        """Make a team; do nothing where the source knows none."""
        ...

    async def enter(self, team: str, who: str) -> None: ...

    async def quit(self, team: str, who: str) -> None: ...

    async def disband(self, team: str) -> None: ...

    async def foreign_tokens(self, token: str) -> Sequence[str]:
        """Return tokens that are not good here: of another server, of another question, broken ones."""
        ...

    async def fail_midway(self) -> None:
        """Have the next reading fail after something of it was given, or whole where that cannot be."""
        ...


class PeopleContract:
    """What holds of every source, also of one without teams."""

    async def test_a_full_reading_shows_everybody(self, scene: Scene) -> None:
        await scene.hire("ann", text="Engineer")
        await scene.hire("bob", text="Chief")
        await scene.found("crew", "ann", "bob")
        seen = await look(scene)
        assert seen.complete and not seen.is_delta
        texts = {id_: entry.attributes[scene.text] for id_, entry in seen.users.items()}
        assert texts == {scene.id_of("ann"): "Engineer", scene.id_of("bob"): "Chief"}

    async def test_reading_twice_shows_the_same(self, scene: Scene) -> None:
        await scene.hire("ann", text="Engineer", several=("b", "a", "c"))
        await scene.found("crew", "ann")
        first, second = await look(scene), await look(scene)
        assert (first.users, first.groups, first.members) == (second.users, second.groups, second.members)

    @pytest.mark.parametrize("name", NAMES)
    async def test_letters_of_every_script_arrive_as_they_are(self, scene: Scene, name: str) -> None:
        await scene.hire("ann", text=name)
        await scene.found("crew", "ann")
        assert (await look(scene)).users[scene.id_of("ann")].attributes[scene.text] == name

    async def test_several_values_are_a_list(self, scene: Scene) -> None:
        assert scene.several is not None, "a source without lists has a test of its own here: what becomes of them"
        await scene.hire("ann", text="x", several=("red", "green"))
        await scene.found("crew", "ann")
        assert sorted((await look(scene)).users[scene.id_of("ann")].attributes[scene.several]) == ["green", "red"]

    async def test_a_reference_is_the_anchor_of_whom_it_names(self, scene: Scene) -> None:
        await scene.hire("boss", text="x")
        await scene.hire("ann", text="x", boss="boss")
        await scene.found("crew", "ann")
        users = (await look(scene)).users
        named = users[scene.id_of("ann")].attributes[scene.reference]
        assert str(named) == scene.id_of("boss"), "as text, where the source has numbers"
        assert users[scene.id_of("boss")].attributes[scene.reference] is None

    async def test_what_is_not_wanted_is_left_out(self, scene: Scene) -> None:
        await scene.hire("ann", text="x")
        await scene.found("crew", "ann")
        async with opened(scene) as source:
            seen = await read(source, Wanted(scene.wanted.user_attributes, frozenset()))
        assert seen.complete and seen.users.keys() == {scene.id_of("ann")}
        assert not seen.groups and not seen.members

    async def test_fetch_tells_who_is_there_and_who_is_surely_not(self, scene: Scene) -> None:
        await scene.hire("ann", text="Engineer")
        await scene.hire("bob", text="x")
        await scene.found("crew", "ann")
        await scene.dismiss("bob")
        nobody = SourceId("nobody")
        async with opened(scene) as source:
            whole = await read(source, scene.wanted)
            ids = [scene.id_of("ann"), scene.id_of("bob"), nobody]
            found = await source.fetch("user", ids, scene.wanted)
            assert await source.fetch("user", [], scene.wanted) == {}
        assert found == {ids[0]: whole.users[ids[0]], ids[1]: None, nobody: None}

    async def test_a_reading_that_fails_midway_makes_nobody_a_leaver(self, scene: Scene) -> None:
        await scene.hire("ann", text="x")
        await scene.hire("bob", text="x")
        await scene.found("crew", "ann", "bob")
        before = await look(scene)
        await scene.fail_midway()
        seen = await look(scene)
        assert not seen.complete
        assert seen.left("user", before) == seen.left("group", before) == set()
        assert any(end.problems for end in seen.ends.values()), "it says why"

    async def test_who_stops_listening_leaves_nothing_behind(self, scene: Scene) -> None:
        await scene.hire("ann", text="x")
        await scene.found("crew", "ann")
        async with opened(scene) as source:
            async for _ in source.read(scene.wanted, None):
                break
            assert (await read(source, scene.wanted)).complete

    async def test_the_connection_test_is_satisfied(self, scene: Scene) -> None:
        await scene.hire("ann", text="x")
        await scene.found("crew", "ann")
        async with opened(scene) as source:
            lines = await source.test(scene.wanted)
        assert lines and all(line.ok for line in lines), lines


class SnapshotContract(PeopleContract):
    """What holds of every source that knows who is in which team."""

    async def test_a_full_reading_shows_teams_with_their_members(self, scene: Scene) -> None:
        await scene.hire("ann", text="Engineer")
        await scene.hire("bob", text="Chief")
        await scene.found("crew", "ann", "bob")
        seen = await look(scene)
        assert seen.complete and seen.groups.keys() == {scene.id_of("crew")}
        assert set(seen.members[scene.id_of("crew")].members) == {scene.id_of("ann"), scene.id_of("bob")}
        async with opened(scene) as source:
            assert await source.fetch("group", [scene.id_of("crew")], scene.wanted) == seen.groups


class ChangesOfPeopleContract(PeopleContract):
    """What holds of every source that gives a token for what changed since, also of one without teams."""

    async def test_without_a_change_a_delta_shows_nobody(self, scene: Scene) -> None:
        before = await self._begin(scene)
        seen = await look(scene, before.token)
        assert seen.complete and not self._news(scene, seen, before) and not seen.left("user", before)
        assert scene.repeats or not (seen.groups or seen.members)
        again = await look(scene, seen.token)
        assert again.complete and not self._news(scene, again, before), "the second round has a token to go by, too"
        assert again.token is not None

    async def test_a_delta_shows_joiners_and_changes_whole(self, scene: Scene) -> None:
        before = await self._begin(scene)
        await scene.change("ann", text="Chief")
        await scene.hire("dan", text="New", boss="ann")
        seen = await look(scene, before.token)
        assert seen.complete
        assert self._news(scene, seen, before) == {scene.id_of("ann"), scene.id_of("dan")}
        whole = await look(scene)
        assert all(seen.users[id_] == whole.users[id_] for id_ in seen.users), "full entries, not just what changed"

    async def test_a_change_is_shown_until_the_token_moves(self, scene: Scene) -> None:
        before = await self._begin(scene)
        await scene.change("ann", text="Chief")
        first, again = await look(scene, before.token), await look(scene, before.token)
        assert self._news(scene, first, before) == self._news(scene, again, before) == {scene.id_of("ann")}
        assert not self._news(scene, await look(scene, first.token), first)

    async def test_who_was_deleted_is_gone(self, scene: Scene) -> None:
        before = await self._begin(scene)
        await scene.dismiss("ann")
        seen = await look(scene, before.token)
        assert seen.complete
        assert seen.left("user", before) == {scene.id_of("ann")}
        said_again = {scene.id_of("ann")} if scene.repeats else set()
        assert (await look(scene, seen.token)).left("user", seen) <= said_again

    async def test_who_appears_again_is_shown(self, scene: Scene) -> None:
        before = await self._begin(scene)
        await scene.dismiss("ann")
        gone = await look(scene, before.token)
        await scene.hire("ann", text="Back")
        seen = await look(scene, gone.token)
        assert seen.users[scene.id_of("ann")].attributes[scene.text] == "Back"
        assert not seen.users[scene.id_of("ann")].gone

    async def test_a_token_that_is_not_good_here_has_everybody_read_and_nobody_gone(self, scene: Scene) -> None:
        before = await self._begin(scene)
        assert before.token is not None
        tokens = await scene.foreign_tokens(before.token)
        assert tokens
        for token in tokens:
            seen = await look(scene, token)
            assert seen.complete and not seen.is_delta, token
            assert seen.users == before.users
            assert seen.left("user", before) == seen.left("group", before) == set()
            assert seen.token is not None

    async def test_a_failure_while_changes_are_read_keeps_the_token_where_it_was(self, scene: Scene) -> None:
        before = await self._begin(scene)
        await scene.change("ann", text="Chief")
        await scene.change("bob", text="Chief")
        await scene.fail_midway()
        seen = await look(scene, before.token)
        assert not seen.complete
        assert seen.left("user", before) == seen.left("group", before) == set()

    def _news(self, scene: Scene, seen: Seen, before: Seen) -> set[SourceId]:
        """Return who is shown; where a source may repeat itself, who is shown otherwise than before."""
        return {id_ for id_, entry in seen.users.items() if not scene.repeats or before.users.get(id_) != entry}

    async def _begin(self, scene: Scene) -> Seen:
        """Return what a full reading of three people and their crew gives."""
        await scene.hire("ann", text="Engineer")
        await scene.hire("bob", text="x")
        await scene.hire("cleo", text="x")
        await scene.found("crew", "ann", "bob")
        seen = await look(scene)
        assert seen.complete and seen.token is not None
        return seen


class SourceContract(ChangesOfPeopleContract, SnapshotContract):
    """What holds of every source that gives a token for what changed since."""

    async def test_who_left_a_team_is_shown_by_the_team(self, scene: Scene) -> None:
        before = await self._begin(scene)
        await scene.quit("crew", "ann")
        await scene.enter("crew", "cleo")
        seen = await look(scene, before.token)
        crew = seen.members[scene.id_of("crew")]
        if crew.partial:
            assert (set(crew.members), set(crew.removed)) == ({scene.id_of("cleo")}, {scene.id_of("ann")})
        else:
            assert set(crew.members) == {scene.id_of("bob"), scene.id_of("cleo")}

    async def test_a_team_that_was_disbanded_is_gone(self, scene: Scene) -> None:
        before = await self._begin(scene)
        await scene.disband("crew")
        seen = await look(scene, before.token)
        assert seen.left("group", before) == {scene.id_of("crew")}
        if seen.ends["group"].delta:
            assert seen.members[scene.id_of("crew")].gone
