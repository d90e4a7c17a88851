"""A file that is replaced is noticed at once, and one of another name is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.errors import NotAnnounced
from reconciler.ports import Announcing
from reconciler.sources.file import FileSource
from reconciler.sources.file_watch import Watched
from tests.sources.test_file import Noon


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    users = tmp_path / "users.jsonl"
    users.write_text('{"id": "1"}\n')
    return Watched(FileSource("staff", users=users, groups=None, clock=Noon()), [users, tmp_path / "changes-*.csv"])


async def next_of(changes: AsyncIterator[None], seconds: float = 10.0) -> None:
    await asyncio.wait_for(anext(changes), seconds)


async def test_a_rename_into_place_is_announced(tmp_path: Path, watched: Watched) -> None:
    assert isinstance(watched, Announcing)
    changes = watched.changes()
    await next_of(changes)
    for name in ("users.jsonl", "changes-1.csv", "users.jsonl"):
        waiting = asyncio.create_task(next_of(changes))
        unfinished = tmp_path / "unfinished"
        unfinished.write_text(f"{name}\n")
        unfinished.replace(tmp_path / name)
        await waiting
    waiting = asyncio.create_task(next_of(changes))
    (tmp_path / "other.csv").write_text("nothing of ours")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "other.csv")
    done, _ = await asyncio.wait({waiting}, timeout=0.5)
    assert not done, "another name is no change"
    link.replace(tmp_path / "users.jsonl")
    await waiting
    await changes.aclose()  # type: ignore[attr-defined]  # because it is a generator


async def test_what_changes_while_listening_begins_is_not_missed(tmp_path: Path, watched: Watched) -> None:
    changes = watched.changes()
    await next_of(changes)
    (tmp_path / "users.jsonl").write_text('{"id": "2"}\n{"id": "3"}\n')
    await next_of(changes)
    await changes.aclose()  # type: ignore[attr-defined]  # because it is a generator


async def test_a_directory_that_is_not_there_is_not_announced(tmp_path: Path) -> None:
    users = tmp_path / "away" / "users.jsonl"
    changes = Watched(FileSource("staff", users=users, groups=None, clock=Noon()), [users]).changes()
    await next_of(changes)
    with pytest.raises(NotAnnounced, match="cannot be watched"):
        await next_of(changes)
