"""Runs the configurations that the pages of docs/sources show, against servers of the tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from reconciler import config, wiring
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.reading import wanted_by
from reconciler.runtime.report import CycleReport

SOURCES = Path(__file__).parents[2] / "docs" / "sources"
PHONE = "https://phone.example.com/scim"
"""The app of every page; its token is in the file phone-token."""


def shown(page: str) -> list[str]:
    """Return the TOML that a page shows, block by block."""
    return re.findall(r"```toml\n(.*?)```", (SOURCES / f"{page}.md").read_text("utf-8"), re.DOTALL)


def keep(directory: Path, name: str, secret: str) -> None:
    """Write a file that nobody else may read."""
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(secret)


async def first_cycle(
    directory: Path, written: str, here: Mapping[str, str], secrets: Mapping[str, str]
) -> CycleReport:
    """Run the job "phone" of what is written once, after its connections were tested; `here` says what is where."""
    for name, secret in secrets.items():
        keep(directory, name, secret)
    for real, ours in here.items():
        written = written.replace(real, ours)
    path = directory / "page.toml"
    path.write_text(written)
    async with wiring.open_house(config.load(path), write=True) as house, house.world("phone") as world:
        lines = await world.source.test(wanted_by(house.plan("phone")))
        assert all(line.ok for line in lines), lines
        report = await run_cycle(house.plan("phone"), world)
    assert report.problems == []
    return report
