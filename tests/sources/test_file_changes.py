"""Change files keep the contract of every source; each counts once, in order, and whole or not at all."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from reconciler.core.model import Entry, Identity, SourceId
from reconciler.ports import Wanted
from reconciler.sources.file import FileSource
from reconciler.sources.file_archive import archived
from reconciler.sources.file_change_rows import Columns
from reconciler.sources.file_changes import ChangeFiles
from reconciler.sources.file_rows import PLAIN
from tests.sources.contract import Seen, SourceContract, look, opened, read
from tests.sources.test_file import Noon

WANTED = Wanted(
    frozenset({"title", "manager", "colours"}),
    frozenset({"displayName"}),
    users=True,
    groups=True,
    memberships=True,
)


class Scene:
    """A few people and teams whose changes come in files, beside snapshots from before anybody was there."""

    wanted = WANTED
    text = "title"
    several = "colours"
    reference = "manager"
    repeats = False

    def __init__(self, directory: Path, *, snapshots: bool = True, columns: Columns | None = None) -> None:
        self.directory, self.columns = directory, columns or Columns()
        self._snapshots = snapshots
        self._number = 0
        self._teams: dict[str, list[str]] = {}
        for name in ("users.json", "groups.json"):
            (directory / name).write_text("[]")
        (directory / "in").mkdir()

    def open(self) -> ChangeFiles:
        users, groups = self.directory / "users.json", self.directory / "groups.json"
        nobody = frozenset({"users", "groups"})
        snapshots = FileSource("staff", users=users, groups=groups, allow_empty=nobody, clock=Noon())
        return ChangeFiles(
            "staff",
            changes=self.directory / "in" / "*.jsonl",
            kept=self.directory / "kept.db",
            snapshots=snapshots if self._snapshots else None,
            columns=self.columns,
            form=PLAIN,
            archive=self.directory / "archive",
            allow_empty=nobody,
            identity=Identity("file", str(users), "id"),
        )

    def id_of(self, who: str) -> SourceId:
        return SourceId(who)

    def write(self, *rows: dict[str, Any], name: str = "") -> Path:
        self._number += 1
        path = self.directory / "in" / (name or f"{self._number}.jsonl")
        unfinished = path.with_suffix(".new")
        unfinished.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        unfinished.replace(path)
        return path

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None:
        self.write(person(who, title=text, manager=boss, colours=list(several)))

    async def change(self, who: str, *, text: str) -> None:
        self.write(person(who, title=text))

    async def dismiss(self, who: str) -> None:
        self.write({"operation": "delete", "id": who})

    async def found(self, team: str, *members: str) -> None:
        self._teams[team] = list(members)
        row = {"operation": "upsert", "kind": "group", "id": team, "displayName": team, "members": list(members)}
        self.write(row)

    async def enter(self, team: str, who: str) -> None:
        await self.found(team, *self._teams[team], who)

    async def quit(self, team: str, who: str) -> None:
        await self.found(team, *[member for member in self._teams[team] if member != who])

    async def disband(self, team: str) -> None:
        self.write({"operation": "delete", "kind": "group", "id": team})

    async def foreign_tokens(self, token: str) -> Sequence[str]:
        of, change = orjson.loads(token)
        later, other = orjson.dumps([of, change + 1]), orjson.dumps(["another", change])
        return ("", "cookie", "[]", "{}", later.decode(), other.decode())

    async def fail_midway(self) -> None:
        (self.directory / "in" / "9999.jsonl").write_bytes(b'{"operation": "delete", "id": "ann"}\n{"operat')


def opened_on(changes: Path, snapshots: FileSource | None = None) -> ChangeFiles:
    return ChangeFiles(
        "staff",
        changes=changes,
        kept=changes.with_name("kept.db"),
        snapshots=snapshots,
        columns=Columns(),
        form=PLAIN,
        archive=None,
        allow_empty=frozenset(),
        identity=Identity("file", str(changes), "id"),
    )


def person(who: str, **attributes: Any) -> dict[str, Any]:
    return {"operation": "upsert", "id": who, "title": "x", "manager": None, "colours": [], **attributes}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


class TestChangeFiles(SourceContract):
    pass


async def titles(scene: Scene) -> dict[str, str]:
    return {id_: entry.attributes["title"] for id_, entry in (await look(scene)).users.items()}


async def test_rows_count_in_their_order_and_files_in_that_of_their_numbers(scene: Scene) -> None:
    scene.write(person("ann", title="3"), name="c10.jsonl")
    scene.write(
        person("ann", title="1"),
        {"operation": "delete", "id": "ann"},
        person("ann", title="2"),
        person("bob"),
        name="c9.jsonl",
    )
    scene.write({"operation": "delete", "id": "bob"}, {"operation": "delete", "id": "nobody"}, name="c11.jsonl")
    assert await titles(scene) == {"ann": "3"}


async def test_a_file_counts_once_and_every_job_sees_it(scene: Scene) -> None:
    scene.write(person("ann", title="1"))
    first, other = await look(scene), await look(scene)
    path = scene.write(person("ann", title="2"))
    assert (await look(scene, first.token)).users.keys() == {"ann"}
    scene.write(person("ann", title="3"), name="9.jsonl")
    assert (await look(scene, other.token)).users[SourceId("ann")].attributes["title"] == "3"
    os.utime(path, (1, 1))  # touched, not written
    assert await titles(scene) == {"ann": "3"}
    path.write_bytes(orjson.dumps(person("ann", title="4")) + b"\n")  # the same name, another content
    assert await titles(scene) == {"ann": "4"}


HALF: dict[str, bytes] = {
    "cut in a row": orjson.dumps(person("ann", title="new")) + b'\n{"operation": "del',
    "cut after a row": orjson.dumps(person("ann", title="new")),
    "empty": b"",
    "an unknown operation": orjson.dumps(person("ann", title="new")) + b'\n{"operation": "merge", "id": "bob"}\n',
    "no operation": b'{"id": "bob"}\n',
    "no key": orjson.dumps(person("ann", title="new")) + b'\n{"operation": "delete"}\n',
    "an unknown kind": b'{"operation": "delete", "id": "ann", "kind": "robot"}\n',
    "a group without members": b'{"operation": "upsert", "kind": "group", "id": "crew"}\n',
    "no JSON": orjson.dumps(person("ann", title="new")) + b"\nid;name\n",
}


@pytest.mark.parametrize("case", HALF)
async def test_a_file_that_is_not_whole_is_not_believed_nor_is_what_comes_after_it(scene: Scene, case: str) -> None:
    scene.write(person("ann", title="1"), person("bob"))
    before = await look(scene)
    broken = scene.directory / "in" / "2.jsonl"
    broken.write_bytes(HALF[case])
    scene.write(person("bob", title="later"), name="3.jsonl")
    seen = await look(scene, before.token)
    assert not seen.complete and not seen.users
    assert any(problem.startswith("source staff: 2.jsonl: ") for problem in seen.ends["user"].problems)
    broken.write_bytes(orjson.dumps(person("ann", title="2")) + b"\n")
    seen = await look(scene, before.token)
    assert seen.complete
    assert {id_: entry.attributes["title"] for id_, entry in seen.users.items()} == {"ann": "2", "bob": "later"}


async def test_a_file_under_a_name_with_a_dot_before_it_is_not_there_yet(scene: Scene) -> None:
    scene.write(person("ann"))
    (scene.directory / "in" / ".2.jsonl").write_bytes(b'{"operation": "delete", "id": "ann"}\n{"oper')
    assert await titles(scene) == {"ann": "x"}


async def test_numbered_changes_count_once_whatever_the_files_are_called(tmp_path: Path) -> None:
    scene = Scene(tmp_path, columns=Columns(sequence="seq"))
    scene.write(person("ann", title="1", seq=1), person("ann", title="2", seq="2"))
    assert await titles(scene) == {"ann": "2"}
    scene.write(person("ann", title="1", seq=1), person("bob", seq=2), person("cleo", seq=3), name="resent.jsonl")
    assert await titles(scene) == {"ann": "2", "cleo": "x"}
    scene.write(person("dan", seq=5), person("eve", seq=4), name="z.jsonl")
    seen = await look(scene)
    assert not seen.complete and "its 'seq' is not larger than the one before" in seen.ends["user"].problems[0]


def told(seen: Seen) -> list[str]:
    return [problem for end in seen.ends.values() for problem in end.problems]


async def test_rows_that_come_with_lower_numbers_than_others_are_told_once_to_every_job(tmp_path: Path) -> None:
    scene = Scene(tmp_path, columns=Columns(sequence="seq"))
    scene.write(person("ann", seq=1), person("bob", seq=2), name="1.jsonl")
    scene.write(person("cleo", seq=7), name="3.jsonl")
    first, other = await look(scene), await look(scene)
    scene.write({"operation": "delete", "id": "bob", "seq": 3}, person("dan", seq=4), name="2.jsonl")
    scene.write(person("ann", seq=1), person("cleo", seq=7), person("eve", seq=8), name="resent.jsonl")
    for before in (first, other):
        seen = await look(scene, before.token)
        [why] = told(seen)
        assert seen.complete, "it says nothing of whom it does not name"
        assert why.startswith("source staff: 2.jsonl came late: 2 of its rows have numbers up to 7 that no file")
        assert not told(await look(scene, seen.token))
    assert (await look(scene)).users.keys() == {"ann", "bob", "cleo", "eve"}


async def test_a_file_that_undoes_what_one_of_a_higher_name_said_is_told(scene: Scene) -> None:
    scene.write(person("ann"), person("bob"), name="1.jsonl")
    scene.write({"operation": "delete", "id": "bob"}, name="3.jsonl")
    before = await look(scene)
    scene.write(person("ann", title="2"), person("dan"), name="2a.jsonl")
    seen = await look(scene, before.token)
    assert (seen.complete, told(seen)) == (True, []), "nobody else had spoken of them"
    scene.write(person("bob", title="2"), name="2b.jsonl")
    late = await look(scene, seen.token)
    assert late.complete and late.users.keys() == {"bob"}
    [why] = told(late)
    assert why.startswith("source staff: 2b.jsonl came late: it counts now, although 3.jsonl had said something")
    assert not told(await look(scene, late.token))


async def test_a_file_may_have_to_say_that_it_has_ended(tmp_path: Path) -> None:
    scene = Scene(tmp_path, columns=Columns(end_row=True))
    path = scene.write(person("ann"))
    assert "it is not finished" in (await look(scene)).ends["user"].problems[0]
    path.unlink()
    scene.write(person("ann"), {"operation": "end"})
    assert await titles(scene) == {"ann": "x"}
    scene.write(person("bob"), {"operation": "end"}, person("cleo"))
    assert "comes after the row that ends the file" in (await look(scene)).ends["user"].problems[0]


async def test_a_snapshot_starts_over_and_changes_go_on_from_it(scene: Scene) -> None:
    scene.write(person("ann", title="1"), person("bob"))
    before = await look(scene)
    rows = [{key: value for key, value in person(who).items() if key != "operation"} for who in ("ann", "cleo")]
    (scene.directory / "users.json").write_bytes(orjson.dumps(rows))
    seen = await look(scene, before.token)
    assert seen.complete and seen.users[SourceId("bob")].gone
    assert await titles(scene) == {"ann": "x", "cleo": "x"}
    scene.write(person("ann", title="2"))
    assert await titles(scene) == {"ann": "2", "cleo": "x"}
    (scene.directory / "users.json").write_bytes(orjson.dumps(rows[:1])[:-1])
    cut = await look(scene, before.token)
    assert not cut.complete and "cleo" in cut.users and not cut.users[SourceId("cleo")].gone
    assert any("users.json" in problem for problem in cut.ends["user"].problems)


@pytest.mark.parametrize("numbered", [False, True])
async def test_a_snapshot_that_is_read_again_does_not_undo_what_is_newer(tmp_path: Path, numbered: bool) -> None:
    """A snapshot with a broken row is read in each cycle, the change files after it once."""
    columns = Columns(sequence="n") if numbered else Columns()
    scene, n = Scene(tmp_path, columns=columns), iter(range(9))
    rows = [{key: value for key, value in person(who).items() if key != "operation"} for who in ("ann", "bob")]
    (tmp_path / "users.json").write_bytes(orjson.dumps([*rows, {"id": None}]))
    first = {**person("ann", title="2"), "n": next(n)}
    scene.write(first, {"operation": "delete", "id": "bob", "n": next(n)})
    scene.write({**person("cleo"), "n": next(n)}, {**person("ann", title="3"), "n": next(n)})
    if numbered:
        scene.write(first)
    for _ in range(3):
        seen = await look(scene)
        assert not seen.ends["user"].complete
        assert {one: entry.attributes["title"] for one, entry in seen.users.items()} == {"ann": "3", "cleo": "x"}
    (tmp_path / "users.json").write_bytes(orjson.dumps(rows))
    os.utime(tmp_path / "users.json", (1, 1))
    assert await titles(scene) == {"ann": "3", "cleo": "x"}, "it has become whole, and is as old as it was"


async def test_a_snapshot_that_was_applied_may_be_too_old_later(tmp_path: Path) -> None:
    users = tmp_path / "users.json"
    users.write_bytes(orjson.dumps([person("ann")]))
    os.utime(users, (Noon().now() - 1800, Noon().now() - 1800))
    seen = []
    for max_age_seconds in (3600.0, 900.0):
        snapshots = FileSource("staff", users=users, groups=None, max_age_seconds=max_age_seconds, clock=Noon())
        source = opened_on(tmp_path / "*.jsonl", snapshots)
        seen.append(await read(source, Wanted(frozenset({"title"}), frozenset())))
        await source.close()
    assert [one.complete for one in seen] == [True, False]
    assert "users.json: was last written" in seen[1].ends["user"].problems[0]


async def test_without_a_snapshot_absence_says_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path, snapshots=False)
    scene.write(person("ann"), person("bob"))
    before: Seen = await look(scene)
    (tmp_path / "kept.db").unlink()
    scene.write(person("ann", title="2"))
    for path in (tmp_path / "in").glob("1.jsonl"):
        path.unlink()
    seen = await look(scene, before.token)
    assert seen.complete and seen.is_delta and seen.left("user", before) == set()
    scene.write({"operation": "delete", "id": "ann"})
    for _ in range(2):
        seen = await look(scene)
        assert seen.left("user", before) == {"ann"}, "also who reads everybody is told who is gone"


async def test_who_was_never_heard_of_is_not_known_to_be_gone(tmp_path: Path) -> None:
    """Where what was kept is lost, people whose time has come are looked for there: all of them would be gone."""
    scene = Scene(tmp_path, snapshots=False)
    for who in ("ann", "bob"):
        await scene.hire(who)
    await scene.dismiss("bob")
    asked = [SourceId(who) for who in ("ann", "bob", "cleo")]
    assert {id_: entry is None for id_, entry in (await fetched(scene, asked)).items()} == {"ann": False, "bob": True}
    (tmp_path / "kept.db").unlink()
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    await scene.hire("dora")
    assert await fetched(scene, asked) == {}


async def test_a_snapshot_that_cannot_be_read_says_of_nobody_that_they_are_gone(scene: Scene) -> None:
    (scene.directory / "users.json").write_text('[{"id": "ann"')
    await scene.hire("bob")
    assert not (await look(scene)).ends["user"].complete
    assert (await fetched(scene, [SourceId("cleo")])) == {}
    (scene.directory / "users.json").write_bytes(orjson.dumps([person("ann")]))
    assert (await fetched(scene, [SourceId("cleo")])) == {SourceId("cleo"): None}


async def fetched(scene: Scene, ids: Sequence[SourceId]) -> Mapping[SourceId, Entry | None]:
    source = scene.open()
    try:
        await read(source, WANTED)
        return await source.fetch("user", ids, WANTED)
    finally:
        await source.close()


@pytest.mark.parametrize("what", ["it is not there", "it is something else"])
async def test_a_directory_of_changes_that_is_gone_is_not_one_without_news(scene: Scene, what: str) -> None:
    """A file system that is not mounted any more: nobody would leave, and nobody would hear of it."""
    await scene.hire("ann")
    before = await look(scene)
    (scene.directory / "in").rename(scene.directory / "elsewhere")
    if what == "it is something else":
        (scene.directory / "in").write_text("")
    for token in (None, before.token):
        seen = await look(scene, token)
        assert not any(end.complete for end in seen.ends.values())
        assert f"{scene.directory / 'in'}" in seen.ends["user"].problems[0]
    async with opened(scene) as source:
        assert [line.step for line in await source.test(WANTED) if not line.ok] == ["change file"]


async def test_a_csv_of_changes_that_lost_a_column_empties_nobody(tmp_path: Path) -> None:
    header = "operation,kind,id,title,manager,colours,displayName,members\n"
    (tmp_path / "1.csv").write_text(header + "upsert,,ann,Chief,,,,\nupsert,group,crew,,,,Crew,ann;bob\n")
    source = opened_on(tmp_path / "*.csv")
    seen = await read(source, WANTED)
    assert seen.complete and seen.members[SourceId("crew")].members == ["ann", "bob"]
    (tmp_path / "2.csv").write_text("operation,kind,id,manager\nupsert,,ann,bob\n")
    seen = await read(source, WANTED)
    assert (
        "lacks the columns colours, displayName, members, title, which were there so far"
        in (seen.ends["user"].problems[0])
    )
    assert seen.users[SourceId("ann")].attributes["title"] == "Chief"
    other = await read(source, Wanted(frozenset({"department"}), frozenset()))
    assert (
        not other.users and "what is kept of the users lacks the column 'department'" in other.ends["user"].problems[-1]
    )
    await source.close()


async def test_the_connection_test_says_of_change_files_what_a_reading_would(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_bytes(orjson.dumps([person("ann")]))
    source = opened_on(
        tmp_path / "*.jsonl", FileSource("staff", users=tmp_path / "users.json", groups=None, clock=Noon())
    )
    titles, departments = (Wanted(frozenset({name}), frozenset()) for name in ("title", "department"))

    async def both_say(said: str) -> None:
        """Test before reading, which takes the files in."""
        told = [line.text for line in await source.test(departments) if not line.ok]
        problems = (await read(source, departments)).ends["user"].problems
        assert len(told) == 1 and said in told[0] and said in problems[0], (told, problems)

    await both_say("users.json: lacks the column 'department'; nothing of it is used")
    assert all(line.ok for line in await source.test(titles))
    assert (await read(source, titles)).complete
    await both_say(
        "what is kept of the users lacks the column 'department'; nothing of it is used (add it to the files"
    )
    (tmp_path / "1.jsonl").write_bytes(orjson.dumps(person("bob", department="Sales")) + b"\n")
    assert all(line.ok for line in await source.test(departments)), "a file that waits brings it"
    assert (await read(source, departments)).complete
    assert all(line.ok for line in await source.test(departments)), "what was applied holds, the snapshot too"
    await source.close()


async def test_the_connection_test_does_not_ask_of_an_applied_file_what_came_later(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("operation,kind,id,title\nupsert,,ann,Chief\n")
    source, wanted = opened_on(tmp_path / "*.csv"), Wanted(frozenset({"title"}), frozenset())
    assert (await read(source, wanted)).complete
    (tmp_path / "2.csv").write_text("operation,kind,id,title,city\nupsert,,ann,Chief,Rome\n")
    for _ in range(2):
        assert all(line.ok for line in await source.test(wanted))
        assert (await read(source, wanted)).complete
    await source.close()


async def test_what_was_applied_is_put_away_and_nothing_is_lost_where_names_collide(scene: Scene) -> None:
    archive = scene.directory / "archive"
    for title in ("1", "2", "3"):
        scene.write(person("ann", title=title), name="c.jsonl")
        await look(scene)
        source = scene.open()
        assert await source.settled() == []
        await source.close()
        assert not (scene.directory / "in" / "c.jsonl").exists()
    kept = {path.name: orjson.loads(path.read_bytes())["title"] for path in archive.iterdir()}
    assert kept == {"c.jsonl": "1", "c.jsonl.1": "2", "c.jsonl.2": "3"}
    waiting = scene.write(person("ann", title="4"))
    source = scene.open()
    assert await source.settled() == [] and waiting.exists(), "what nobody has read stays"
    await source.close()
    assert await titles(scene) == {"ann": "4"}


async def test_an_archive_that_cannot_take_a_file_leaves_it_where_it_is(scene: Scene) -> None:
    path = scene.write(person("ann"))
    await look(scene)
    (scene.directory / "archive").write_text("a file where the directory should be")
    source = scene.open()
    (problem,) = await source.settled()
    await source.close()
    assert problem.startswith("source staff: 1.jsonl could not be moved to ") and path.exists()
    assert await titles(scene) == {"ann": "x"}


def test_a_file_goes_to_an_archive_on_another_disk(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm") / f"archive-{os.getpid()}"  # because it is another file system
    path = tmp_path / "c.jsonl"
    try:
        for content in ("1", "2"):
            path.write_text(content)
            assert archived(path, elsewhere) == []
        assert {one.name: one.read_text() for one in elsewhere.iterdir()} == {"c.jsonl": "1", "c.jsonl.1": "2"}
    finally:
        for one in elsewhere.iterdir():
            one.unlink()
        elsewhere.rmdir()


async def test_a_place_that_cannot_be_written_is_said_and_makes_nobody_a_leaver(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (tmp_path / "kept.db").mkdir()
    seen = await look(scene)
    assert not seen.complete and "kept.db, where what the change files say is kept" in seen.ends["user"].problems[0]
    source = scene.open()
    assert not (await source.test(WANTED))[0].ok
    assert await source.fetch("user", [SourceId("ann")], WANTED) == {}
    await source.close()


async def test_a_packed_file_of_changes_counts_only_when_all_of_it_is_there(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(orjson.dumps(person(f"p{n}")) + b"\n" for n in range(2000)))
    source = opened_on(tmp_path / "*.gz")
    wanted = Wanted(frozenset({"title"}), frozenset())
    for content, whole in ((packed[:-100], False), (packed, True)):
        (tmp_path / "1.jsonl.gz").write_bytes(content)
        seen = await read(source, wanted)
        assert (seen.complete, len(seen.users)) == (whole, 2000 if whole else 0)
    await source.close()
