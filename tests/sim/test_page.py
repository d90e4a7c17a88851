"""The page about correctness names opinions, weather, deeds and tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.sim import hands
from tests.sim.opinions import OPINIONS
from tests.sim.weather import ANYWHERE, AT_THE_APP

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "correctness.md").read_text("utf-8")


def test_every_test_that_is_named_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE))
    assert len(named) > 60
    missing = [f"{place}::{name}" for place, name in sorted(named) if f"def {name}(" not in (ROOT / place).read_text()]
    assert missing == []


def test_everything_that_the_simulation_is_said_to_have_it_has() -> None:
    has = {*OPINIONS, *ANYWHERE, *AT_THE_APP, *vars(hands)}
    rows = [row for row in PAGE.splitlines() if re.match(r"\| .* \| sim", row)]
    said = {name for row in rows for name in re.findall(r"`([a-z0-9_ ]+)`", row)}
    assert len(said) > 50
    assert said - has == set()
