"""Files as spreadsheets and old systems write them: other encodings, packed, semicolons, a first line for Excel."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from reconciler.ports import Wanted
from reconciler.sources.file import FileSource
from reconciler.sources.file_rows import Format
from tests.sources.test_file import Noon, all_of, end, entries

WANTED = Wanted(frozenset({"name", "pay"}), frozenset())
ROWS = [("p1", "Zoë Ångström", "1.234,50"), ("p2", "Müller; Åsa\n(Süd)", "0,5"), ("007", "O'Neill", "")]
CSV = "id;name;pay\r\n" + "".join(f'{i};"{n}";{p}\r\n' for i, n, p in ROWS)


def source(path: Path, encoding: str | None = None, delimiter: str | None = None) -> FileSource:
    return FileSource("staff", users=path, groups=None, form=Format(encoding, delimiter), clock=Noon())


FORMS: dict[str, tuple[str, bytes, str | None]] = {
    "semicolons": ("u.csv", CSV.encode(), None),
    "a byte order mark": ("u.csv", CSV.encode("utf-8-sig"), None),
    "sep": ("u.csv", ("sep=;\r\n" + CSV).encode(), None),
    "sep after a mark": ("u.csv", ("sep=;\r\n" + CSV).encode("utf-8-sig"), None),
    "sep in quotes": ("u.csv", ('"sep=;"\n' + CSV).encode(), None),
    "Windows": ("u.csv", CSV.encode("cp1252"), "cp1252"),
    "Latin 1": ("u.csv", CSV.encode("latin-1"), "iso-8859-1"),
    "UTF-16": ("u.csv", CSV.encode("utf-16"), "utf-16"),
    "UTF-16, big end first": ("u.csv", CSV.encode("utf-16-be"), "utf-16-be"),
    "UTF-16, named and marked": ("u.csv", b"\xff\xfe" + CSV.encode("utf-16-le"), "utf-16-le"),
    "packed": ("u.csv.gz", gzip.compress(CSV.encode()), None),
    "packed twice over": ("u.csv.gz", gzip.compress(CSV[:30].encode()) + gzip.compress(CSV[30:].encode()), None),
    "packed from Windows": ("U.CSV.GZ", gzip.compress(CSV.encode("cp1252")), "windows-1252"),
    "tabs from Excel": ("u.tsv", CSV.replace(";Åsa", "Åsa").replace(";", "\t").encode("utf-16"), "utf-16"),
}


@pytest.mark.parametrize("form", FORMS)
async def test_cells_arrive_as_they_are_written(tmp_path: Path, form: str) -> None:
    name, content, encoding = FORMS[form]
    path = tmp_path / name
    path.write_bytes(content)
    events = await all_of(source(path, encoding).read(WANTED, None))
    assert end(events).problems == ()
    given = [tuple(entry.attributes.values()) for entry in entries(events)]
    separator = "\t" if name == "u.tsv" else ";"
    expected = [(i, n.replace(";", separator), p or None) for i, n, p in ROWS]
    assert given == expected


async def test_json_lines_may_be_packed_and_in_another_encoding(tmp_path: Path) -> None:
    text = "".join(f'{{"id": "{i}", "name": "Zoë", "pay": "1"}}\n' for i in range(3000))
    for name, content, encoding in (
        ("u.jsonl.gz", gzip.compress(text.encode()), None),
        ("w.jsonl", text.encode("utf-16"), "utf-16"),
        ("w.json", ("[" + text.strip().replace("\n", ",") + "]").encode("cp1252"), "cp1252"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        events = await all_of(source(path, encoding).read(WANTED, None))
        assert (end(events).complete, len(entries(events))) == (True, 3000), name
        assert {entry.attributes["name"] for entry in entries(events)} == {"Zoë"}


PACKED = gzip.compress("".join(f"p{n};x;{n}\n" for n in range(50_000)).encode())
WRONG: dict[str, tuple[str, bytes, str | None, str]] = {
    "a byte that is nothing": (
        "u.csv",
        b"id;name;pay\np1;\x81;1\np2;ok;2\n",
        "cp1252",
        "u.csv line 2: has bytes that are not cp1252",
    ),
    "a byte that is nothing, after sep": (
        "u.csv",
        b"sep=;\nid;name;pay\np0;\xe5;1\np1;\x8d;1\n",
        "cp1252",
        "u.csv line 4: has bytes that are not cp1252",
    ),
    "half a character": (
        "u.csv",
        "id;name;pay\np1;a;1\n".encode("utf-16-le") + b"\x00",
        "utf-16-le",
        "has bytes that are not utf-16-le",
    ),
    "another encoding": (
        "u.csv",
        CSV.encode("cp1252"),
        None,
        'u.csv line 2: is not UTF-8 (encoding = "cp1252" reads what Windows wrote)',
    ),
    "UTF-16 that is not said": ("u.csv", CSV.encode("utf-16"), None, 'u.csv: is UTF-16; encoding = "utf-16" reads it'),
    "UTF-8 that is not said": ("u.csv", CSV.encode("utf-8-sig"), "cp1252", "begins as UTF-8 does, and encoding says"),
    "UTF-16 without a mark": ("u.csv", CSV.encode("utf-16-le"), "utf-16", "has no byte order mark"),
    "cut short": ("u.csv.gz", gzip.compress(b"id;name;pay\n") + PACKED[: len(PACKED) // 2], None, "is cut short"),
    "damaged": ("u.csv.gz", gzip.compress(b"id;name;pay\n") + b"x" * 40, None, "holds damaged gzip data"),
    "a wrong sum": ("u.csv.gz", gzip.compress(CSV.encode())[:-8] + b"00000000", None, "holds damaged gzip data"),
    "not packed at all": ("u.csv.gz", CSV.encode(), None, "holds damaged gzip data"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_cannot_be_read_is_named_and_makes_nobody_a_leaver(tmp_path: Path, case: str) -> None:
    name, content, encoding, said = WRONG[case]
    path = tmp_path / name
    path.write_bytes(content)
    events = await all_of(source(path, encoding).read(WANTED, None))
    assert not end(events).complete
    assert any(said in problem for problem in end(events).problems), end(events).problems
    given = [entry.id for entry in entries(events)]
    assert "p1" not in given or case in ("cut short", "half a character", "damaged")


async def test_a_comma_in_the_header_is_no_delimiter_where_another_is_said(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text("id|name|pay\n1|a, b|2,5\n")
    events = await all_of(source(path, delimiter="|").read(WANTED, None))
    assert [entry.attributes for entry in entries(events)] == [{"id": "1", "name": "a, b", "pay": "2,5"}]


async def test_of_dated_exports_the_newest_is_read(tmp_path: Path) -> None:
    for number in (9, 10, 2):
        (tmp_path / f"users-{number}.csv").write_text(f"id,name,pay\np{number},x,1\n")
    one = source(tmp_path / "users-*.csv")
    events = await all_of(one.read(WANTED, None))
    assert [entry.id for entry in entries(events)] == ["p10"]
    nobody = await all_of(source(tmp_path / "people-*.csv").read(WANTED, None))
    assert end(nobody).problems == ("people-*.csv: there is no such file",)


async def test_exports_that_a_newer_one_replaced_are_put_away(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        (tmp_path / f"users-{number}.csv").write_text("id,name,pay\np1,x,1\n")
    pattern, archive = tmp_path / "users-*.csv", tmp_path / "done"
    one = FileSource("staff", users=pattern, groups=pattern, archive=archive, clock=Noon())
    assert await one.settled() == []
    assert names_in(archive) == ["users-1.csv", "users-2.csv"]
    assert names_in(tmp_path) == ["done", "users-10.csv"]
    assert await source(pattern).settled() == [], "without an archive nothing is moved"


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())
