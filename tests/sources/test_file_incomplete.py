"""What the file source says of files that are not whole, and what it still gives of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.ports import EntryPage, MembershipPage, ReadEnd, ReadEvent, Wanted
from reconciler.sources.file import FileSource
from reconciler.sources.file_page import NOT_UTF_8

MAIL = Wanted(frozenset({"mail"}), frozenset())
UNUSED_WITHOUT_IT = "nothing of it is used (add it to the file, or take away what reads it)"
UNUSED_WITHOUT_THEM = "nothing of it is used (add them to the file, or take away what reads them)"
MEMBERSHIPS = Wanted(frozenset(), frozenset(), users=False, memberships=True)


class Noon:
    """A clock that stands still."""

    def now(self) -> float:
        return 1_760_000_000.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("reading a file waits for nothing")


def staff(path: Path, allow_empty: frozenset[str] = frozenset()) -> FileSource:
    return FileSource("staff", users=path, groups=None, allow_empty=allow_empty, clock=Noon())


async def read_users(path: Path, allow_empty: frozenset[str] = frozenset()) -> tuple[list[str], ReadEnd]:
    return await given(staff(path, allow_empty).read(MAIL, None))


async def given(events: AsyncIterator[ReadEvent]) -> tuple[list[str], ReadEnd]:
    ids: list[str] = []
    ends: list[ReadEnd] = []
    async for event in events:
        if isinstance(event, EntryPage):
            ids += [entry.id for entry in event.entries]
        elif isinstance(event, MembershipPage):
            ids += [group.group_id for group in event.groups]
        elif isinstance(event, ReadEnd):
            ends.append(event)
    (end,) = ends
    return ids, end


@pytest.mark.parametrize(
    ("name", "content", "ids", "problem"),
    [
        ("u.jsonl", b"", [], 'u.jsonl: has no rows (where that is right: allow_empty = ["users"])'),
        ("u.jsonl", b"\n \n", [], 'u.jsonl: has no rows (where that is right: allow_empty = ["users"])'),
        ("u.json", b"", [], "u.json: is empty; an empty list is written []"),
        ("u.json", b"[ ]", [], 'u.json: has no rows (where that is right: allow_empty = ["users"])'),
        ("u.csv", b"", [], "u.csv: has no header line"),
        ("u.csv", b"id,mail\n", [], 'u.csv: has no rows (where that is right: allow_empty = ["users"])'),
        ("u.xlsx", b"PK", [], "u.xlsx: has none of the endings .jsonl .json .csv .tsv"),
        ("u.csv", '"id",mail\n1,a\n'.encode("utf-16"), [], 'u.csv: is UTF-16; encoding = "utf-16" reads it'),
        ("u.csv", b"id,mail\n1,a\n  ,b\n", ["1"], "u.csv line 3: has neither text nor a whole number as 'id'"),
        (
            "u.jsonl",
            b'{"id":"1","mail":"a"}\n{"id":" "}\n',
            ["1"],
            "u.jsonl line 2: has neither text nor a whole number as 'id'",
        ),
        # cut short
        (
            "u.jsonl",
            b'{"id":"1","mail":"a"}\n{"id":"2","ma',
            ["1"],
            "u.jsonl line 2: the file is cut short: is not valid JSON at character 14",
        ),
        (
            "u.json",
            b'[{"id":"1","mail":"a"},{"id":"2"',
            ["1"],
            "u.json: is cut short: the list is not closed after entry 1",
        ),
        ("u.json", b'[{"id":"1","mail":"a"},', ["1"], "u.json: is cut short: the list is not closed after entry 1"),
        ("u.json", b'{"value":[{"id":"1","mail":"a"}]', ["1"], "u.json: is not valid JSON around its list"),
        ("u.csv", b"id,mail\n1,a\n2", ["1"], "u.csv line 3: has 1 cells, the header has 2"),
        (
            "u.csv",
            b'id,mail\n1,a\n2,"b\n3,c\n',
            ["1"],
            "u.csv line 3: has a quote that is not closed up to the end of the file, line 4",
        ),
        # one bad row
        (
            "u.jsonl",
            b'{"id":"1","mail":"a"}\n{oops}\n{"id":"3"}\n',
            ["1", "3"],
            "u.jsonl line 2: is not valid JSON at character 2",
        ),
        ("u.jsonl", b'{"id":"1","mail":"a"}\n["2"]\n{"id":"3"}\n', ["1", "3"], "u.jsonl line 2: is not a JSON object"),
        ("u.jsonl", b'{"id":"1","mail":"a"}\n{"id":"\xff"}\n{"id":"3"}\n', ["1", "3"], f"u.jsonl line 2: {NOT_UTF_8}"),
        (
            "u.json",
            b'[{"id":"1","mail":"a"},{oops},{"id":"3"}]',
            ["1", "3"],
            "u.json entry 2: is not valid JSON at character 2",
        ),
        ("u.json", b'[{"id":"1","mail":"a"},2,{"id":"3"}]', ["1", "3"], "u.json entry 2: is not a JSON object"),
        ("u.json", b'[{"id":"1","mail":"\xff"},{"id":"3","mail":null}]', ["3"], f"u.json entry 1: {NOT_UTF_8}"),
        ("u.json", b'[{"id":"1","mail":"a"},]', ["1"], "u.json entry 2: is not valid JSON at character 1"),
        ("u.csv", b"id,mail\n1,a\n2,b,c\n3,d\n", ["1", "3"], "u.csv line 3: has 3 cells, the header has 2"),
        ("u.csv", b"id,mail\n1,a\n2,\xff\n3,d\n", ["1", "3"], f"u.csv line 3: {NOT_UTF_8}"),
        (
            "u.csv",
            b'id,mail\n1,"a\nb"\n2,"b"c\n3,d\n',
            ["1", "3"],
            "u.csv line 4: has a quote in the wrong place or one that is not closed, found in line 4",
        ),
        # keys
        ("u.jsonl", b'{"id":"1","mail":"a"}\n{"mail":"b"}\n', ["1"], "u.jsonl line 2: has no 'id'"),
        ("u.jsonl", b'{"id":"1","mail":"a"}\n{"id":null}\n', ["1"], "u.jsonl line 2: has no 'id'"),
        ("u.csv", b"id,mail\n1,a\n,b\n", ["1"], "u.csv line 3: has no 'id'"),
        (
            "u.jsonl",
            b'{"id":"1","mail":"a"}\n{"id":true}\n',
            ["1"],
            "u.jsonl line 2: has neither text nor a whole number as 'id'",
        ),
        (
            "u.jsonl",
            b'{"id":"1","mail":"a"}\n{"id":"2"}\n\n{"id":1}\n',
            ["1", "2"],
            "u.jsonl line 4: has the 'id' of a row before it; the first is used",
        ),
        ("u.csv", b"id,mail\n1,a\n1,b\n", ["1"], "u.csv line 3: has the 'id' of a row before it; the first is used"),
        # a frame that is not the whole answer
        (
            "u.json",
            b'{"value":[{"id":"1","mail":"a"}],"@odata.nextLink":"https://x"}',
            ["1"],
            "u.json: is one page of several: it names an @odata.nextLink",
        ),
        (
            "u.json",
            b'{"a":[{"id":"1","mail":"a"}],"b":[{"id":"2"}]}',
            ["1"],
            "u.json: holds several lists; one is read",
        ),
        # unusable: nothing is given
        ("u.json", b'{"error":"try again"}', [], "u.json: holds no JSON list"),
        ("u.csv", b"id,Mail\n1,a\n", [], f"u.csv: lacks the column 'mail' (there is 'Mail'); {UNUSED_WITHOUT_IT}"),
        ("u.tsv", b"id\temail\n1\ta\n", [], f"u.tsv: lacks the column 'mail' (there is 'email'); {UNUSED_WITHOUT_IT}"),
        ("u.csv", b"mail\na\n", [], f"u.csv: lacks the column 'id'; {UNUSED_WITHOUT_IT}"),
        ("u.csv", b"id,mail,mail\n1,a,b\n", [], "u.csv: has the column 'mail' twice"),
        ("u.jsonl", b'{"id":"1"}\n{"id":"2"}\n', [], f"u.jsonl: lacks the column 'mail'; {UNUSED_WITHOUT_IT}"),
        ("u.json", b'[{"x":1}]', [], f"u.json: lacks the columns 'id', 'mail'; {UNUSED_WITHOUT_THEM}"),
    ],
)
async def test_what_is_wrong_is_named_by_file_and_place(
    tmp_path: Path, name: str, content: bytes, ids: list[str], problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert await read_users(path) == (ids, ReadEnd("user", complete=False, problems=(problem,)))
    (line,) = await staff(path).test(MAIL)
    told = f"{path}: {len(ids)} users can be used"
    assert (line.ok, line.text.startswith(told), line.text.endswith(f". {problem}")) == (False, True, True), line


@pytest.mark.parametrize(("name", "content"), [("u.jsonl", ""), ("u.json", "[]"), ("u.csv", "id,mail\n")])
async def test_an_empty_file_that_may_be_empty_is_complete(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert await read_users(path, frozenset({"users"})) == ([], ReadEnd("user", complete=True))
    assert (await staff(path, frozenset({"users"})).test(MAIL))[0].ok
    assert not (await read_users(path, frozenset({"groups"})))[1].complete


async def test_an_attribute_that_one_late_row_has_is_a_column(tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    path.write_text("".join(f'{{"id":"{n}"}}\n' for n in range(30_000)) + '{"id":"last","mail":"a"}\n')
    ids, end = await read_users(path)
    assert (len(ids), end.complete) == (30_001, True)
    assert (await staff(path).test(MAIL))[0].ok


async def test_a_file_that_is_not_there_or_no_file_is_a_problem_and_no_exception(tmp_path: Path) -> None:
    directory, fifo, loop = tmp_path / "d.csv", tmp_path / "f.csv", tmp_path / "l.csv"
    directory.mkdir()
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    disk_error = tmp_path / "e.jsonl"
    disk_error.symlink_to("/proc/self/mem")  # opens as an ordinary file; the first read gives an input/output error
    said = [(await read_users(path))[1].problems for path in (tmp_path / "no.csv", directory, fifo, loop, disk_error)]
    assert said == [
        ("no.csv: there is no such file",),
        ("d.csv: is a directory, not a file",),
        ("f.csv: is not an ordinary file",),
        ("l.csv: cannot be opened: Too many levels of symbolic links",),
        ("e.jsonl: cannot be read: Input/output error",),
    ]


async def test_a_file_that_we_may_not_read_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text("id,mail\n1,a\n")
    path.chmod(0)
    with nobody_special():
        ids, end = await read_users(path)
    assert (ids, end.problems) == ([], ("u.csv: cannot be opened: Permission denied",))


@contextmanager
def nobody_special() -> Iterator[None]:
    """Lay down root's right to read everything, where the tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


async def test_an_old_file_is_incomplete_but_what_it_says_is_given(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text("id,mail\n1,a\n")
    source = FileSource("staff", users=path, groups=None, max_age_seconds=3 * 86400, clock=Noon())
    os.utime(path, (Noon().now() - 2 * 86400,) * 2)
    assert await given(source.read(MAIL, None)) == (["1"], ReadEnd("user", complete=True))
    os.utime(path, (Noon().now() - 4 * 86400,) * 2)
    ids, end = await given(source.read(MAIL, None))
    assert ids == ["1"]
    assert end == ReadEnd("user", False, ("u.csv: was last written 4.0 days ago, max_age is 3.0 days",))


@pytest.mark.parametrize("how", ["replaced", "written to", "removed"])
async def test_a_file_that_changes_while_it_is_read_is_incomplete(tmp_path: Path, how: str) -> None:
    path = tmp_path / "u.jsonl"
    path.write_text("".join(f'{{"id":"{n}","mail":"a"}}\n' for n in range(5000)))
    events = FileSource("staff", users=path, groups=None, clock=Noon()).read(MAIL, None)
    assert isinstance(await anext(events), EntryPage)
    if how == "replaced":
        (tmp_path / "new").write_bytes(path.read_bytes())
        (tmp_path / "new").replace(path)
    elif how == "written to":
        with path.open("a") as file:
            file.write('{"id":"new","mail":"a"}\n')
    else:
        path.unlink()
    _, end = await given(events)
    why = (
        "cannot be read: No such file or directory"
        if how == "removed"
        else "was replaced or written to while it was read"
    )
    assert end == ReadEnd("user", complete=False, problems=(f"u.jsonl: {why}",))


async def test_many_problems_are_counted_and_twenty_are_told(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text("id,mail\n" + "x\n" * 1500 + "1,a\n")
    ids, end = await read_users(path)
    assert ids == ["1"]
    assert len(end.problems) == 21
    assert end.problems[-1] == "and 1,480 more"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("g.jsonl", '{"id":"1","members":["a"]}\n{"id":"2","members":"a"}', "line 2: 'members' is not a list of ids"),
        ("g.jsonl", '{"id":"1","members":["a"]}\n{"id":"2"}', "line 2: 'members' is not a list of ids"),
        ("g.jsonl", '{"id":"1","members":["a"]}\n{"id":"2","members":null}', "line 2: 'members' is not a list of ids"),
        ("g.json", '[{"id":"1","members":["a"]},{"id":"2","members":[{}]}]', "entry 2: 'members' is not a list of ids"),
        ("g.csv", 'id,members\n1,a\n2,"[""a"""\n', "line 3: 'members' is not a list of ids"),
    ],
)
async def test_a_group_whose_members_cannot_be_read_is_unknown_and_not_empty(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    ids, end = await given(FileSource("staff", users=None, groups=path, clock=Noon()).read(MEMBERSHIPS, None))
    assert (ids, end) == (["1"], ReadEnd("memberships", complete=False, problems=(f"{name} {problem}",)))


async def test_a_group_file_without_members_gives_no_memberships(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text("id,displayName\n1,APP-Phone\n")
    ids, end = await given(FileSource("staff", users=None, groups=path, clock=Noon()).read(MEMBERSHIPS, None))
    assert (ids, end.problems) == ([], (f"g.csv: lacks the column 'members'; {UNUSED_WITHOUT_IT}",))


async def test_a_part_without_a_file_is_unknown(tmp_path: Path) -> None:
    source = FileSource("staff", users=tmp_path / "u.csv", groups=None, clock=Noon())
    assert await given(source.read(MEMBERSHIPS, None)) == (
        [],
        ReadEnd("memberships", complete=False, problems=("source 'staff' names no groups file",)),
    )


async def test_no_problem_quotes_the_value_of_an_attribute(tmp_path: Path) -> None:
    for name, content in {
        "u.jsonl": '{"id":"1","mail":"secret"}\n{"id":"secret" "x"}\n"secret"\n{"id":["secret"]}\n{"id":"1"}\n',
        "u.csv": 'id,mail\nsecret\n1,"secret"x\n1,secret\n1,secret\n',
    }.items():
        path = tmp_path / name
        path.write_text(content)
        _, end = await read_users(path)
        assert end.problems
        assert "secret" not in "".join(end.problems)
