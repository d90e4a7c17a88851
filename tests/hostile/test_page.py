"""The threat model names tests; each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = NAMED.findall((ROOT / "docs" / "security.md").read_text())
    assert len(named) > 25
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_every_hostile_test_is_named_in_the_threat_model() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    ours = {
        f"tests/hostile/{path.name}::{name}"
        for path in Path(__file__).parent.glob("test_*.py")
        if path.name != Path(__file__).name
        for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert {name for name in ours if name not in page} == {
        "tests/hostile/test_tls.py::test_the_same_authority_signs_a_peer_that_is_trusted",
        "tests/hostile/test_ldap_tls.py::test_the_same_authority_signs_a_directory_that_is_trusted",
    }
