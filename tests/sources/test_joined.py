"""Sources that are joined: the contract of every source, and what joining alone brings."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from reconciler.core.model import SourceId
from reconciler.ports import Source, Wanted
from reconciler.runtime.clock import SystemClock
from reconciler.sources.file import FileSource
from reconciler.sources.joined import JoinedSource
from reconciler.sources.joined_merging import Joining, Origin
from tests.sources.contract import Seen, SourceContract, look, opened, read

JOINING = Joining(
    ("directory", "hr"),
    ("number", "id"),
    {
        "title": (Origin(1, "job_title"), Origin(0, "title")),
        "colours": (Origin(1, "colours"),),
        "manager": (Origin(1, "chief"), Origin(0, "manager")),
    },
    references=frozenset({"manager"}),
)
ALL = Wanted(
    frozenset({"id", "mail", "title", "colours", "manager"}), frozenset({"displayName"}), groups=True, memberships=True
)


class Files:
    """A directory and an HR system, both exporting files; who is hired is in both, under ids of their own."""

    wanted = ALL
    repeats = False
    text, several, reference = "title", "colours", "manager"

    def __init__(self, place: Path) -> None:
        self.place = place
        self.joining = JOINING
        self.directory: dict[str, dict[str, Any]] = {}
        self.hr: dict[str, dict[str, Any]] = {}
        self.teams: dict[str, dict[str, Any]] = {}
        self.breaks = ""
        self._numbers: dict[str, int] = {}
        self.kept: Path | None = place / "joined-app.db"

    def open(self) -> Source:
        self.write()
        clock = SystemClock()
        empty = frozenset({"users", "groups"})
        parts = [
            FileSource(
                *("directory",),
                users=self.place / "directory.jsonl",
                groups=self.place / "teams.jsonl",
                clock=clock,
                allow_empty=empty,
            ),
            FileSource("hr", users=self.place / "hr.jsonl", groups=None, clock=clock, allow_empty=empty),
        ]
        return JoinedSource("people", parts, self.joining, copy=self.kept)

    def write(self) -> None:
        for name, rows in (("directory", self.directory), ("hr", self.hr), ("teams", self.teams)):
            text = b"".join(orjson.dumps(row) + b"\n" for row in rows.values())
            (self.place / f"{name}.jsonl").write_bytes(text + (b"{broken\n" if self.breaks == name else b""))

    def number(self, who: str) -> str:
        return f"N{self._numbers.setdefault(who, len(self._numbers) + 1):04}"

    def id_of(self, who: str) -> SourceId:
        return SourceId(f"dir-{who}")

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None:
        number = self.number(who)
        self.directory[who] = {
            "id": self.id_of(who),
            "number": number,
            "mail": f"{who}@x.test",
            "title": "",
            "manager": None,
        }
        chief = None if boss is None else self.number(boss)
        self.hr[who] = {"id": number, "job_title": text, "colours": list(several), "chief": chief}

    async def change(self, who: str, *, text: str) -> None:
        self.hr[who]["job_title"] = text

    async def dismiss(self, who: str) -> None:
        del self.directory[who]

    async def found(self, team: str, *members: str) -> None:
        ids = [self.id_of(one) for one in members]
        self.teams[team] = {"id": self.id_of(team), "displayName": team, "members": ids}

    async def enter(self, team: str, who: str) -> None:
        self.teams[team]["members"].append(self.id_of(who))

    async def quit(self, team: str, who: str) -> None:
        self.teams[team]["members"].remove(self.id_of(who))

    async def disband(self, team: str) -> None:
        del self.teams[team]

    async def foreign_tokens(self, token: str) -> Sequence[str]:
        instance, _, turn = token.rpartition(":")
        return ["", "x", "0" * 32 + f":{turn}", f"{instance}:{int(turn) + 7}", f"{instance}:-1", f"{instance}:"]

    async def fail_midway(self) -> None:
        self.breaks = "directory"


@pytest.fixture
def scene(tmp_path: Path) -> Files:
    return Files(tmp_path)


class TestJoined(SourceContract):
    """Two files: nothing in them says what changed, and joined they tell."""


class BreaksInHr(Files):
    async def fail_midway(self) -> None:
        self.breaks = "hr"


class TestJoinedWithABrokenSecond(SourceContract):
    @pytest.fixture
    def scene(self, tmp_path: Path) -> Files:
        return BreaksInHr(tmp_path)


def person(seen: Seen, scene: Files, who: str) -> dict[str, Any]:
    return dict(seen.users[scene.id_of(who)].attributes)


# --- precedence --------------------------------------------------------------------------------------------------


async def test_a_value_comes_from_the_first_that_has_one(scene: Files) -> None:
    await scene.hire("ann", text="Chief")
    await scene.hire("bob", text="")
    scene.directory["ann"]["title"] = scene.directory["bob"]["title"] = "Of the directory"
    await scene.found("crew", "ann")
    seen = await look(scene)
    assert person(seen, scene, "ann")["title"] == "Chief"
    assert person(seen, scene, "bob")["title"] == "Of the directory"
    assert person(seen, scene, "ann")["mail"] == "ann@x.test", "what nobody names is the first one's"


async def test_a_reference_of_the_second_names_people_as_the_first_does(scene: Files) -> None:
    await scene.hire("ann", boss="boss")
    await scene.hire("boss", text="x")
    await scene.hire("bob", boss="nobody at all")
    await scene.found("crew", "ann")
    seen = await look(scene)
    assert person(seen, scene, "ann")["manager"] == scene.id_of("boss")
    assert person(seen, scene, "bob")["manager"] is None


async def test_a_manager_who_comes_later_is_then_found(scene: Files) -> None:
    await scene.hire("ann", boss="boss")
    await scene.hire("boss", text="x")
    await scene.found("crew", "ann")
    later = scene.directory.pop("boss")
    first = await look(scene)
    assert person(first, scene, "ann")["manager"] is None
    scene.directory["boss"] = later
    seen = await look(scene, first.token)
    assert person(seen, scene, "ann")["manager"] == scene.id_of("boss")


# --- who exists --------------------------------------------------------------------------------------------------


async def test_who_is_in_the_second_alone_does_not_exist(scene: Files) -> None:
    await scene.hire("ann", text="x")
    await scene.hire("bob", text="x")
    await scene.found("crew", "ann")
    del scene.directory["bob"]
    seen = await look(scene)
    assert seen.complete
    assert seen.users.keys() == {scene.id_of("ann")}


async def test_who_is_in_the_first_alone_exists_without_what_the_second_would_say(scene: Files) -> None:
    await scene.hire("ann", text="x")
    await scene.found("crew", "ann")
    del scene.hr["ann"]
    scene.directory["ann"]["title"] = "Guest"
    seen = await look(scene)
    assert seen.complete
    assert person(seen, scene, "ann")["title"] == "Guest"


async def test_with_exists_all_nobody_exists_who_is_not_in_both(scene: Files) -> None:
    scene.joining = replace(JOINING, everywhere=True)
    await scene.hire("ann", text="x")
    await scene.hire("bob", text="x")
    await scene.found("crew", "ann")
    before = await look(scene)
    del scene.hr["bob"]
    seen = await look(scene, before.token)
    assert seen.complete
    assert seen.left("user", before) == {scene.id_of("bob")}
    assert (await look(scene)).users.keys() == {scene.id_of("ann")}
    async with opened(scene) as source:
        assert (await source.fetch("user", [scene.id_of("bob")], ALL)) == {scene.id_of("bob"): None}


async def test_who_has_no_key_is_in_no_other_source(scene: Files) -> None:
    await scene.hire("ann", text="x")
    await scene.hire("bot", text="x")
    await scene.found("crew", "ann")
    scene.directory["bot"]["number"] = "  "
    seen = await look(scene)
    assert seen.complete
    assert person(seen, scene, "bot")["title"] == ""


@pytest.mark.parametrize(("ignore_case", "title"), [(False, ""), (True, "Chief")])
async def test_letter_case_of_keys(scene: Files, ignore_case: bool, title: str) -> None:
    scene.joining = replace(JOINING, ignore_case=ignore_case)
    await scene.hire("ann", text="Chief")
    await scene.found("crew", "ann")
    scene.directory["ann"]["number"] = scene.number("ann").lower()
    assert person(await look(scene), scene, "ann")["title"] == title


# --- unknown is never absent -------------------------------------------------------------------------------------


async def test_nobody_leaves_because_the_second_could_not_be_read(scene: Files) -> None:
    scene.joining = replace(JOINING, everywhere=True)
    for who in ("ann", "bob"):
        await scene.hire(who, text="Chief")
    await scene.found("crew", "ann")
    before = await look(scene)
    scene.hr.clear()
    scene.breaks = "hr"
    seen = await look(scene, before.token)
    assert not seen.ends["user"].complete
    assert any("hr: " in problem for problem in seen.ends["user"].problems)
    assert not seen.left("user", before)


async def test_what_the_second_said_last_goes_on_to_count_while_it_cannot_be_read(scene: Files) -> None:
    await scene.hire("ann", text="Chief")
    await scene.found("crew", "ann")
    before = await look(scene)
    scene.breaks = "hr"
    scene.hr.clear()
    scene.directory["ann"]["mail"] = "new@x.test"
    seen = await look(scene, before.token)
    assert not seen.complete
    assert (person(seen, scene, "ann")["mail"], person(seen, scene, "ann")["title"]) == ("new@x.test", "Chief")


async def test_a_joiner_whom_the_second_could_not_be_asked_about_waits(scene: Files) -> None:
    await scene.hire("ann", text="Chief")
    await scene.found("crew", "ann")
    before = await look(scene)
    await scene.hire("dan", text="New")
    scene.breaks, dan = "hr", scene.hr.pop("dan")
    waits = await look(scene, before.token)
    assert not waits.complete
    assert scene.id_of("dan") not in waits.users
    async with opened(scene) as source:
        assert scene.id_of("dan") not in await source.fetch("user", [scene.id_of("dan")], ALL)
    scene.breaks, scene.hr["dan"] = "", dan
    seen = await look(scene, before.token)
    assert seen.complete
    assert person(seen, scene, "dan")["title"] == "New"


async def test_somebody_whom_the_second_lacks_is_known_when_it_was_read_again(scene: Files) -> None:
    await scene.hire("ann", text="x")
    await scene.found("crew", "ann")
    before = await look(scene)
    await scene.hire("guest", text="x")
    del scene.hr["guest"]
    scene.breaks = "hr"
    assert scene.id_of("guest") not in (await look(scene, before.token)).users
    scene.breaks = ""
    assert scene.id_of("guest") in (await look(scene, before.token)).users


# --- duplicates --------------------------------------------------------------------------------------------------


async def test_a_key_that_two_of_the_second_have_is_told_and_the_lowest_id_counts(scene: Files) -> None:
    scene.joining = replace(JOINING, keys=("number", "number"))
    await scene.hire("ann", text="x")
    await scene.found("crew", "ann")
    number = scene.number("ann")
    scene.hr = {
        "b": {"id": "b", "number": number, "job_title": "Second", "colours": [], "chief": None},
        "a": {"id": "a", "number": number, "job_title": "First", "colours": [], "chief": None},
    }
    seen = await look(scene)
    assert person(seen, scene, "ann")["title"] == "First"
    assert seen.complete
    assert seen.ends["user"].problems == (
        "hr: 1 with a number that another one has, too; the one with the lowest id is used: a",
    )
    assert number not in str(seen.ends["user"].problems)


async def test_a_key_that_two_of_the_first_have_leaves_the_second_of_them_as_she_is(scene: Files) -> None:
    await scene.hire("ann", text="Chief")
    await scene.hire("bob", text="Clerk")
    await scene.found("crew", "ann")
    before = await look(scene)
    scene.directory["bob"]["number"] = scene.number("ann")
    for seen in (await look(scene, before.token), await look(scene)):
        assert scene.id_of("bob") not in seen.users
        assert seen.complete
        assert not seen.left("user", before), "nobody leaves because of it"
        assert seen.ends["user"].problems == (
            "directory: 1 with a number that another one has, too; left as they are: dir-bob",
        )
    last = await look(scene)
    scene.directory["bob"]["number"] = scene.number("bob")
    assert person(await look(scene, last.token), scene, "bob")["title"] == "Clerk"


# --- what changed ------------------------------------------------------------------------------------------------


async def test_a_change_in_either_reads_the_joined_entry_again(scene: Files) -> None:
    for who in ("ann", "bob", "cleo"):
        await scene.hire(who, text="x")
    await scene.found("crew", "ann")
    before = await look(scene)
    scene.directory["ann"]["mail"] = "new@x.test"
    scene.hr["bob"]["job_title"] = "Chief"
    seen = await look(scene, before.token)
    assert seen.users.keys() == {scene.id_of("ann"), scene.id_of("bob")}
    assert seen.is_delta
    assert not seen.members
    whole = await look(scene)
    assert all(seen.users[id_] == whole.users[id_] for id_ in seen.users)


async def test_a_person_who_changes_her_number_is_somebody_elses_record(scene: Files) -> None:
    await scene.hire("ann", text="Chief")
    await scene.hire("bob", text="Clerk")
    await scene.found("crew", "ann")
    before = await look(scene)
    scene.directory["ann"]["number"], scene.directory["bob"]["number"] = scene.number("bob"), scene.number("ann")
    seen = await look(scene, before.token)
    assert (person(seen, scene, "ann")["title"], person(seen, scene, "bob")["title"]) == ("Clerk", "Chief")


async def test_who_leaves_the_second_loses_what_it_said(scene: Files) -> None:
    await scene.hire("ann", text="Chief")
    await scene.hire("bob", text="Clerk")
    await scene.found("crew", "ann")
    before = await look(scene)
    del scene.hr["ann"]
    seen = await look(scene, before.token)
    assert seen.users.keys() == {scene.id_of("ann")}
    assert person(seen, scene, "ann")["title"] == ""


async def test_a_reading_that_nobody_kept_is_shown_again(scene: Files) -> None:
    """The cycle fails, or the process dies, after the parts were read: their news come once more."""
    await scene.hire("ann", text="x")
    await scene.hire("bob", text="x")
    await scene.found("crew", "ann")
    before = await look(scene)
    await scene.change("ann", text="Chief")
    await scene.enter("crew", "bob")
    await scene.dismiss("bob")
    await look(scene, before.token)
    again = await look(scene, before.token)
    assert person(again, scene, "ann")["title"] == "Chief"
    assert set(again.members[scene.id_of("crew")].members) == {scene.id_of("ann"), scene.id_of("bob")}
    assert again.left("user", before) == {scene.id_of("bob")}


async def test_another_definition_has_everybody_read(scene: Files) -> None:
    await scene.hire("ann", text="x")
    await scene.found("crew", "ann")
    before = await look(scene)
    fewer = {name: origins for name, origins in JOINING.attributes.items() if name != "title"}
    scene.joining = replace(JOINING, attributes=fewer)
    seen = await look(scene, before.token)
    assert seen.complete and not seen.is_delta
    assert person(seen, scene, "ann")["title"] == ""


async def test_a_copy_that_is_gone_or_no_copy_has_everybody_read(scene: Files) -> None:
    await scene.hire("ann", text="x")
    await scene.found("crew", "ann")
    assert scene.kept is not None
    token = (await look(scene)).token
    scene.kept.write_bytes(b"this is no database, and was one")
    seen = await look(scene, token)
    assert seen.complete and not seen.is_delta and seen.token != token
    scene.kept.unlink()
    assert not (await look(scene, seen.token)).is_delta


async def test_a_copy_that_another_process_uses_is_left_alone(scene: Files) -> None:
    await scene.hire("ann", text="x")
    await scene.found("crew", "ann")
    first = await look(scene)
    async with opened(scene) as reading:
        await read(reading, ALL, first.token)
        beside = await look(scene, first.token)
    assert beside.complete and not beside.is_delta and beside.token is None
    assert (await look(scene, first.token)).is_delta, "and what it holds is as it was"


async def test_the_copy_is_nobody_elses_to_read(scene: Files) -> None:
    await scene.hire("ann", text="x")
    await scene.found("crew", "ann")
    await look(scene)
    assert scene.kept is not None
    assert scene.kept.stat().st_mode & 0o077 == 0


async def test_without_a_place_for_a_copy_everything_is_read_each_time(scene: Files) -> None:
    scene.kept = None
    await scene.hire("ann", text="x")
    await scene.found("crew", "ann")
    seen = await look(scene)
    assert seen.complete and seen.token is None
    async with opened(scene) as source:
        assert not source.incremental
        found = await source.fetch("user", [scene.id_of("ann"), SourceId("nobody")], ALL)
    assert found == {scene.id_of("ann"): seen.users[scene.id_of("ann")], SourceId("nobody"): None}


async def test_a_fetch_in_a_fresh_process_asks_the_parts_again(scene: Files) -> None:
    await scene.hire("ann", text="x")
    await scene.found("crew", "ann")
    before = await look(scene)
    await scene.change("ann", text="Chief")
    async with opened(scene) as source:
        found = await source.fetch("user", [scene.id_of("ann")], ALL)
    entry = found[scene.id_of("ann")]
    assert entry is not None
    assert entry.attributes["title"] == "Chief"
    assert person(await look(scene, before.token), scene, "ann")["title"] == "Chief", "and it is told all the same"


async def test_the_copy_holds_no_more_than_what_is_asked_for(scene: Files) -> None:
    await scene.hire("ann", text="x")
    await scene.found("crew", "ann")
    scene.hr["ann"]["salary"] = "a secret of hers"
    await look(scene)
    assert scene.kept is not None
    with sqlite3.connect(scene.kept) as copy:
        assert "secret" not in str(copy.execute("SELECT body FROM rows").fetchall())
    copy.close()


async def test_the_connection_test_names_the_part(scene: Files) -> None:
    await scene.hire("ann", text="x")
    scene.breaks = "hr"
    async with opened(scene) as source:
        lines = await source.test(ALL)
    assert [(line.step, line.ok) for line in lines] == [
        ("directory: users file", True),
        ("directory: groups file", True),
        ("hr: users file", False),
    ]


async def test_the_connection_test_asks_each_part_for_what_comes_from_it(scene: Files) -> None:
    await scene.hire("ann", text="x")
    del scene.hr["ann"]["job_title"]
    async with opened(scene) as source:
        (line,) = [line for line in await source.test(ALL) if not line.ok]
        assert all(line.ok for line in await source.test(Wanted(frozenset({"mail", "colours"}), frozenset())))
    assert line.step == "hr: users file" and "hr.jsonl: lacks the column 'job_title'" in line.text
