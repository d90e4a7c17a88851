"""A joined source announces what its parts announce, and lets them put away what is theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler import config, wiring
from reconciler.errors import NotAnnounced
from reconciler.ports import Announcing, Tidying
from reconciler.runtime.clock import SystemClock
from tests.sources.looking import read
from tests.sources.test_joined import ALL

SOON_SECONDS = 20.0
FILES = """
[sources.people]
type = "joined"
of = ["directory", "hr"]
key = { directory = "number", hr = "id" }
[sources.directory]
type = "file"
users = "directory.jsonl"
groups = "groups.jsonl"
allow_empty = ["groups"]
"""
HR = {
    "file": '[sources.hr]\ntype = "file"\nusers = "hr/*.jsonl"\narchive = "done"\n',
    "sql": '[sources.hr]\ntype = "sql"\nurl = "sqlite:///hr.db"\nusers = "SELECT 1 AS id"\n',
}
DATABASE = '[sources.directory]\ntype = "sql"\nurl = "sqlite:///d.db"\nusers = "SELECT 1 AS id, 1 AS number"\n'


def opened(directory: Path, text: str) -> Announcing:
    path = directory / "config.toml"
    path.write_text(text)
    source = wiring.build_source(config.load(path), "people", SystemClock())
    assert isinstance(source, Announcing)
    return source


def put(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.write_text(text)
    unfinished.replace(path)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    put(tmp_path / "directory.jsonl", '{"id": "a", "number": "1", "mail": null, "title": "", "manager": null}\n')
    put(tmp_path / "groups.jsonl", "")
    put(tmp_path / "hr" / "1.jsonl", '{"id": "1"}\n')
    return tmp_path


async def told(changes: AsyncIterator[None]) -> None:
    await asyncio.wait_for(anext(changes), SOON_SECONDS)


async def test_a_change_in_any_part_is_announced(place: Path) -> None:
    source = opened(place, FILES + HR["file"])
    changes = source.changes()
    await told(changes)
    for name in ("directory.jsonl", "hr/2.jsonl", "directory.jsonl", "hr/3.jsonl"):
        put(place / name, '{"id": "1", "number": "1"}\n')
        await told(changes)
    await changes.aclose()  # type: ignore[attr-defined]  # because it is a generator
    assert len(asyncio.all_tasks()) == 1, "nobody listens any more"


async def test_a_part_that_announces_nothing_does_not_keep_the_other_from_it(place: Path) -> None:
    changes = opened(place, FILES + HR["sql"]).changes()
    await told(changes)
    put(place / "directory.jsonl", '{"id": "1", "number": "1"}\n')
    await told(changes)
    await changes.aclose()  # type: ignore[attr-defined]  # because it is a generator


async def test_where_one_that_announces_cannot_be_heard_its_name_is_told(place: Path) -> None:
    changes = opened(place, FILES + HR["file"].replace("hr/", "away/")).changes()
    with pytest.raises(NotAnnounced, match=r"hr: .*away cannot be watched"):
        while True:
            await told(changes)
    assert len(asyncio.all_tasks()) == 1


async def test_where_no_part_announces_anything_it_is_said(place: Path) -> None:
    text = FILES.replace(FILES[FILES.index("[sources.directory]") :], DATABASE)
    with pytest.raises(NotAnnounced, match="none of its parts announces anything"):
        await told(opened(place, text + HR["sql"]).changes())


async def test_each_part_puts_away_what_a_newer_one_has_replaced(place: Path) -> None:
    put(place / "hr" / "2.jsonl", '{"id": "1", "job_title": "Chief", "colours": [], "chief": null}\n')
    path = place / "config.toml"
    path.write_text(FILES + HR["file"])
    source = wiring.build_source(config.load(path), "people", SystemClock(), copy=place / "copy.db")
    assert isinstance(source, Tidying)
    assert (await read(source, ALL)).ends["user"].part == "user"
    assert await source.settled() == []
    assert [one.name for one in (place / "done").iterdir()] == ["1.jsonl"]
    assert [one.name for one in (place / "hr").iterdir()] == ["2.jsonl"]
    await source.close()
