"""The file source holds a step of a file, never the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from reconciler.core.met import Keys
from tests.sources.weighing import weighed

READ_AND_WEIGH = """
import asyncio, sys
from pathlib import Path
from reconciler.ports import EntryPage, ReadEnd, Wanted
from reconciler.core.model import Identity
from reconciler.sources.file import FileSource
from reconciler.sources.file_change_rows import Columns
from reconciler.sources.file_changes import ChangeFiles
from reconciler.sources.file_rows import Format

class Clock:
    def now(self): return 0.0
    def monotonic(self): return 0.0
    async def sleep(self, seconds): ...

async def read(path):
    entries = 0
    form = Format("cp1252" if ".cp1252." in path.name else None)
    if path.name.startswith("changes"):
        source = ChangeFiles(
            "staff", changes=path, kept=path.with_name("kept.db"), snapshots=None, columns=Columns(), form=form,
            archive=None, allow_empty=frozenset(), identity=Identity("file", str(path), "id"))
    else:
        source = FileSource("staff", users=path, groups=None, form=form, clock=Clock())
    async for event in source.read(Wanted(frozenset({"mail"}), frozenset()), None):
        if isinstance(event, EntryPage):
            entries += len(event.entries)
        elif isinstance(event, ReadEnd):
            assert event.complete, event
    return entries

entries = asyncio.run(read(Path(sys.argv[1])))
print(entries)
"""


NAMES = ["users.jsonl", "users.csv", "users.json", "users.jsonl.gz", "users.cp1252.csv", "changes.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    peaks = {}
    for rows in (50_000, 200_000):
        path = tmp_path / name
        (tmp_path / "kept.db").unlink(missing_ok=True)
        written = "".join(text(name, rows)).encode("cp1252" if ".cp1252." in name else "utf-8")
        path.write_bytes(gzip.compress(written, 1) if name.endswith(".gz") else written)
        read, peaks[rows] = weighed(READ_AND_WEIGH, path)
        assert read == rows
    assert peaks[200_000] <= 1.3 * peaks[50_000]


def text(name: str, rows: int) -> list[str]:
    if name == "changes.csv":
        return ["operation,id,mail\n", *(f"upsert,p{n:07},person{n}@example.com\n" for n in range(rows))]
    if name.endswith(".csv"):
        cells = "Zoë,O'Brien,Sales,Manager,København,DK,true,2020-01-01"
        return ["id,mail,a,b,c,d,e,f,g,h\n", *(f"p{n:07},person{n}@example.com,{cells}\n" for n in range(rows))]
    values = '"givenName":"Zoë","surname":"O\'Brien","department":"Sales","accountEnabled":true,"city":"København"'
    objects = [f'{{"id":"p{n:07}","mail":"person{n}@example.com",{values}}}' for n in range(rows)]
    if name.startswith("users.jsonl"):
        return [f"{one}\n" for one in objects]
    return ["[", ",\n".join(objects), "]"]


def test_keys_finds_every_id_again_and_no_other() -> None:
    keys = Keys()
    first = [f"id-{n}" for n in range(60_000)]
    assert keys.add(first) == []
    assert keys.add([f"id-{n}" for n in range(60_000, 90_000)]) == []
    assert keys.add(["new", "id-0", "other", "id-59999", "new"]) == [1, 3, 4]
    assert keys.add(first) == list(range(60_000))
