"""What no state can keep is left out of an entry, wherever it stands; everything else stays."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from reconciler.core.characters import is_odd, levelled, plain
from reconciler.core.model import Entry, SourceId

FINE = {"name": "Ann", "tags": ["a", 1, None, True, 2.5], "manager": {"id": "7"}, "written out": "\\u0000"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("An\0n", "Ann"),
        ("\0", ""),
        ("half \ud83d", "half "),
        ("whole \U0001f600", "whole \U0001f600"),
        (["a", "b\0", {"c\0": "\udc00d"}], ["a", "b", {"c": "d"}]),
        (12345678901234567890123, "12345678901234567890123"),
        (-(2**63), -(2**63)),
        (True, True),
    ],
)
def test_a_value_is_kept_without_what_cannot_be(value: Any, kept: Any) -> None:
    entry, changed = levelled(Entry("user", SourceId("1"), {**FINE, "odd": value}))
    assert entry.attributes == {**FINE, "odd": kept}
    assert changed == ([] if value == kept else ["odd"])
    assert orjson.loads(orjson.dumps(entry.attributes)) == entry.attributes


@pytest.mark.parametrize(
    ("text", "odd"),
    [("", False), ("Ann", False), ("Zoë \U0001f600", False), ("An\0n", True), ("é\ud83d", True), ("\udc00", True)],
)
def test_a_text_that_cannot_be_kept_as_it_is_is_known(text: str, odd: bool) -> None:
    assert is_odd(text) is odd
    assert (plain(text) == text) is not odd
