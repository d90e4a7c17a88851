"""From a file that is renamed into place to the request at the app, with a daemon in between that was told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cycles.company import Company
from tests.daemon.process import Daemon
from tests.servers.scim import ScimServer


@pytest.fixture
async def app() -> AsyncIterator[ScimServer]:
    async with ScimServer() as running:
        yield running


async def test_a_new_export_and_a_change_file_are_read_at_once(tmp_path: Path, app: ScimServer) -> None:
    company = Company(tmp_path, app)
    company.job += '\ninterval = "12h"\ntriggers = { announced = true, debounce = "0.1s" }'
    company.tables = '[control]\nsocket = "control.sock"\n'
    company.source_lines = 'changes = "inbox/*.jsonl"\narchive = "done"\n'
    (tmp_path / "inbox").mkdir()
    company.people("ann", "bob")
    company.write()
    async with Daemon(tmp_path) as daemon:
        await daemon.event("source.heard", source="staff")
        await daemon.event("cycle.finished", kind="initial")
        company.person("cleo")
        company.write()
        await daemon.event("cycle.finished", create=1)
        unfinished = tmp_path / "inbox" / "1.new"
        unfinished.write_text('{"operation": "delete", "id": "bob"}\n')
        unfinished.rename(tmp_path / "inbox" / "1.jsonl")
        await daemon.event("cycle.finished", disable=1)
        assert app.user("bob@example.com")["active"] is False
        assert await daemon.stop() == 0
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["1.jsonl"]


async def test_a_part_of_a_joined_source_is_read_at_once(tmp_path: Path, app: ScimServer) -> None:
    company = Company(tmp_path, app)
    company.job += '\ninterval = "12h"\ntriggers = { announced = true, debounce = "0.1s" }'
    titles = tmp_path / "hr.csv"
    hr = '[sources.hr]\ntype = "file"\nusers = "hr.csv"\n'
    company.tables = f'[control]\nsocket = "control.sock"\n[sources.files]\n{company._files()}\n{hr}'
    company.source = """
type = "joined"
of = ["files", "hr"]
key = { files = "employeeId", hr = "id" }
attributes = { jobTitle = ["hr.title", "files"] }
active = "accountEnabled"
"""
    company.people("ann", "bob")
    titles.write_text("id,title\nE-ann,Clerk\n")
    company.write()
    async with Daemon(tmp_path) as daemon:
        await daemon.event("source.heard", source="staff")
        await daemon.event("cycle.finished", kind="initial")
        unfinished = tmp_path / "unfinished"
        unfinished.write_text("id,title\nE-ann,Chief\n")
        unfinished.replace(titles)
        await daemon.event("cycle.finished", update=1)
        assert app.user("ann@example.com")["title"] == "Chief"
        del company.users["bob"]
        company.write()
        await daemon.event("cycle.finished", disable=1)
        assert await daemon.stop() == 0
