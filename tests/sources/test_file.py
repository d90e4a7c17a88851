"""What the file source gives of whole files, in each format."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from reconciler.core.model import Entry, Identity, SourceId
from reconciler.ports import EntryPage, GroupMembers, MembershipPage, ReadEnd, ReadEvent, Wanted, Watermark
from reconciler.sources.file import FileSource

USERS = Wanted(frozenset({"mail", "department"}), frozenset())
EVERYTHING = Wanted(frozenset({"mail"}), frozenset({"displayName"}), groups=True, memberships=True)


class Noon:
    """A clock that stands still."""

    def now(self) -> float:
        return 1_760_000_000.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("reading a file waits for nothing")


def source(*, users: Path | None = None, groups: Path | None = None, key: str = "id") -> FileSource:
    return FileSource("staff", users=users, groups=groups, key=key, clock=Noon())


async def all_of(events: AsyncIterator[ReadEvent]) -> list[ReadEvent]:
    return [event async for event in events]


def entries(events: list[ReadEvent]) -> list[Entry]:
    return [entry for event in events if isinstance(event, EntryPage) for entry in event.entries]


def end(events: list[ReadEvent], part: str = "user") -> ReadEnd:
    (found,) = [event for event in events if isinstance(event, ReadEnd) and event.part == part]
    return found


def memberships(events: list[ReadEvent]) -> list[GroupMembers]:
    return [group for event in events if isinstance(event, MembershipPage) for group in event.groups]


NAMES = ["Ann", "Seán O'Brien", "Zoë", "Zoe\u0308", "山田 太郎", "👩🏽‍💻 Kim", "محمد", 'Ünal; "Bey", Dr.', "a\nb"]


async def test_names_in_any_script_come_through_every_format_unharmed(tmp_path: Path) -> None:
    rows = [{"id": f"p{n}", "name": name} for n, name in enumerate(NAMES)]
    (tmp_path / "u.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    (tmp_path / "escaped.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "u.json").write_bytes(orjson.dumps(rows))
    (tmp_path / "pretty.json").write_text(json.dumps({"value": rows, "count": len(rows)}, indent=2))
    quoted = [(row["id"], '"' + row["name"].replace('"', '""') + '"') for row in rows]
    (tmp_path / "u.csv").write_bytes(("id,name\r\n" + "".join(f"{i},{n}\r\n" for i, n in quoted)).encode())
    (tmp_path / "sweden.csv").write_bytes(("id;name\n" + "".join(f"{i};{n}\n" for i, n in quoted)).encode("utf-8-sig"))
    (tmp_path / "u.tsv").write_bytes(("id\tname\n" + "".join(f"{i}\t{n}\n" for i, n in quoted)).encode("utf-8-sig"))
    for name in ("u.jsonl", "escaped.jsonl", "u.json", "pretty.json", "u.csv", "sweden.csv", "u.tsv"):
        path = tmp_path / name
        events = await all_of(source(users=path).read(Wanted(frozenset({"name"}), frozenset()), None))
        assert [entry.attributes for entry in entries(events)] == rows, path
        assert end(events) == ReadEnd("user", complete=True), path


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
async def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"u{suffix}"
    text = '{"id":"1"}' if suffix == ".jsonl" else '[{"id":"1"}]'
    path.write_bytes(text.encode("utf-8-sig"))
    events = await all_of(source(users=path).read(Wanted(frozenset(), frozenset()), None))
    assert [entry.id for entry in entries(events)] == ["1"]
    assert end(events).complete


async def test_values_keep_their_types_and_a_number_as_key_becomes_text(tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    row = {"id": 17, "mail": None, "active": False, "level": 2.5, "phones": ["1", "2"], "department": {"name": "x"}}
    path.write_bytes(orjson.dumps(row))
    events = await all_of(source(users=path).read(USERS, None))
    assert entries(events) == [Entry("user", SourceId("17"), row)]
    assert end(events).complete


async def test_an_empty_cell_is_null_and_everything_else_in_a_cell_is_text(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text('id,mail,department,active,phones,\n007,,"",true,1;2,\n\n')
    events = await all_of(source(users=path).read(USERS, None))
    (entry,) = entries(events)
    assert entry.id == "007"
    assert entry.attributes == {"id": "007", "mail": None, "department": None, "active": "true", "phones": "1;2"}
    assert end(events).complete


async def test_memberships_come_first_then_users_then_groups_then_the_watermark(tmp_path: Path) -> None:
    users, groups = tmp_path / "users.jsonl", tmp_path / "groups.json"
    users.write_text('{"id":"a","mail":"a@x"}\n{"id":"b","mail":null}\n')
    groups.write_text('[{"id":"g1","displayName":"APP-Phone","members":["a","b","a",7]},{"id":"g2","members":[]}]')
    events = await all_of(source(users=users, groups=groups).read(EVERYTHING, None))
    assert events == [
        MembershipPage(
            [
                GroupMembers(SourceId("g1"), "APP-Phone", [SourceId("a"), SourceId("b"), SourceId("7")]),
                GroupMembers(SourceId("g2"), "", []),
            ]
        ),
        ReadEnd("memberships", complete=True),
        EntryPage(
            "user",
            [
                Entry("user", SourceId("a"), {"id": "a", "mail": "a@x"}),
                Entry("user", SourceId("b"), {"id": "b", "mail": None}),
            ],
        ),
        ReadEnd("user", complete=True),
        EntryPage(
            "group",
            [
                Entry("group", SourceId("g1"), {"id": "g1", "displayName": "APP-Phone"}),
                Entry("group", SourceId("g2"), {"id": "g2"}),
            ],
        ),
        ReadEnd("group", complete=True),
        Watermark(None),
    ]


async def test_a_part_that_nobody_wants_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    path.write_text('{"id":"a"}\n')
    events = await all_of(source(users=path).read(Wanted(frozenset(), frozenset(), users=False), None))
    assert events == [Watermark(None)]


async def test_a_group_entry_has_its_members_only_where_a_rule_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "g.jsonl"
    path.write_text('{"id":"g","members":["a"]}\n')
    wanted = Wanted(frozenset(), frozenset({"members"}), users=False, groups=True)
    (entry,) = entries(await all_of(source(groups=path).read(wanted, None)))
    assert entry.attributes == {"id": "g", "members": ["a"]}


@pytest.mark.parametrize(
    ("cell", "members"),
    [
        ("a;b ; c;", ["a", "b", "c"]),
        ("a|b", ["a", "b"]),
        ("auth0|1;auth0|2", ["auth0|1", "auth0|2"]),
        ('"[""auth0|1"",2]"', ["auth0|1", "2"]),
        ("a", ["a"]),
        ("", []),
        ("[]", []),
    ],
)
async def test_members_in_a_cell(tmp_path: Path, cell: str, members: list[str]) -> None:
    path = tmp_path / "g.csv"
    path.write_text(f"id,members,displayName\ng,{cell},G\n")
    events = await all_of(source(groups=path).read(EVERYTHING, None))
    assert memberships(events) == [GroupMembers(SourceId("g"), "G", [SourceId(member) for member in members])]
    assert end(events, "memberships").complete


async def test_entries_come_in_full_pages_of_a_thousand(tmp_path: Path) -> None:
    for suffix, text in {
        ".jsonl": "".join(f'{{"id":"{n}"}}\n' for n in range(2500)),
        ".json": "[" + ",".join(f'{{"id":"{n}"}}' for n in range(2500)) + "]",
        ".csv": "id\n" + "".join(f"{n}\n" for n in range(2500)),
    }.items():
        path = tmp_path / f"u{suffix}"
        path.write_text(text)
        events = await all_of(source(users=path).read(Wanted(frozenset(), frozenset()), None))
        assert [len(event.entries) for event in events if isinstance(event, EntryPage)] == [1000, 1000, 500]
        assert [entry.id for entry in entries(events)] == [str(n) for n in range(2500)]


async def test_a_page_of_memberships_is_bounded_by_members_too(tmp_path: Path) -> None:
    path = tmp_path / "g.jsonl"
    many = [f"p{n}" for n in range(30_000)]
    path.write_bytes(b"".join(orjson.dumps({"id": f"g{n}", "members": many}) + b"\n" for n in range(5)))
    events = await all_of(source(groups=path).read(Wanted(frozenset(), frozenset(), False, memberships=True), None))
    assert [len(event.groups) for event in events if isinstance(event, MembershipPage)] == [2, 2, 1]
    assert end(events, "memberships").complete


async def test_a_list_of_large_nested_entries_is_cut_where_they_end(tmp_path: Path) -> None:
    rows = [{"id": f"g{n}", "x": [{"a": '}, {]\\"'}, {}], "members": ["m"] * 40_000, "y": {"z": []}} for n in range(6)]
    path = tmp_path / "g.json"
    path.write_text(json.dumps({"comment": "] [", "meta": {"v": 1}, "value": rows, "more": {"n": 1}}, indent=1))
    wanted = Wanted(frozenset(), frozenset({"members"}), users=False, groups=True)
    events = await all_of(source(groups=path).read(wanted, None))
    assert [entry.attributes for entry in entries(events)] == rows
    assert end(events, "group").complete


async def test_pseudo_attributes_are_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text("id,mail\n1,a@x\n")
    wanted = Wanted(frozenset({"mail", "IsSoftDeleted", "appRoleAssignments", "objectId"}), frozenset())
    assert end(await all_of(source(users=path).read(wanted, None))).complete


async def test_fetching_gives_full_entries_and_is_sure_of_those_a_whole_file_lacks(tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    path.write_text('{"id":"a","mail":"a@x","department":"S"}\n{"id":"b","mail":"b@x","department":"S"}\n')
    found = await source(users=path).fetch("user", [SourceId("b"), SourceId("z")], USERS)
    assert found == {
        "b": Entry("user", SourceId("b"), {"id": "b", "mail": "b@x", "department": "S"}),
        "z": None,
    }
    with path.open("a") as file:
        file.write("{")
    assert "z" not in await source(users=path).fetch("user", [SourceId("b"), SourceId("z")], USERS)
    assert await source(users=tmp_path / "no.jsonl").fetch("user", [SourceId("b")], USERS) == {}


async def test_the_connection_test_counts_rows_and_names_columns(tmp_path: Path) -> None:
    users, groups = tmp_path / "users.csv", tmp_path / "groups.jsonl"
    users.write_text("id,mail\n1,a@x\n2,b@x\n")
    well, badly = await source(users=users, groups=groups).test(EVERYTHING)
    assert (well.step, well.ok, well.text) == ("users file", True, f"{users}: 2 users with id, mail")
    assert not badly.ok
    assert "groups.jsonl: there is no such file" in badly.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("groups.csv", "id,displayName\ncrew,Crew\n"),
        ("groups.jsonl", '{"id":"crew","displayName":"Crew"}\n'),
        ("groups.json", '[{"id":"crew","displayName":"Crew"}]'),
    ],
)
async def test_the_connection_test_asks_a_file_for_what_the_job_reads(tmp_path: Path, name: str, content: str) -> None:
    groups = tmp_path / name
    groups.write_text(content)
    (line,) = await source(groups=groups).test(USERS)
    assert (line.ok, line.text) == (True, f"{groups}: 1 groups with id, displayName")
    titles = Wanted(frozenset(), frozenset({"title"}), groups=True, memberships=True)
    (line,) = await source(groups=groups).test(titles)
    assert not line.ok
    assert f"{name}: lacks the columns 'members', 'title'; nothing of it is used" in line.text


def test_the_identity_is_the_place_and_the_key(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    assert source(users=path, key="employeeId").identity == Identity("file", str(path), "employeeId")
    assert source(groups=tmp_path / "x" / ".." / "u.csv").identity == Identity("file", str(path), "id")
    path.symlink_to(tmp_path / "export-of-monday.csv")
    assert source(users=path).identity == Identity("file", str(path), "id")
    assert not source(users=path).incremental
