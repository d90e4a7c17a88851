"""One name that was cut in the middle of a character does not make a whole page unreadable."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from reconciler.dialects.halves import loads


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (rb'{"a": "Ann \ud83d"}', {"a": "Ann �"}),
        (rb'["\uDE00x", "\ud83d\ud83d\ude00"]', ["�x", "�\U0001f600"]),
        (rb'["\\ud83d", "\ud83d"]', ["\\ud83d", "�"]),
        (rb'["\\\ud83d", "\"\ud83d\n"]', ["\\�", '"�\n']),
        (b'["\\ud83d\\ude00"]', ["\U0001f600"]),
    ],
)
def test_half_a_character_is_shown_as_one_that_is_missing(text: bytes, read: Any) -> None:
    assert loads(text) == read


@pytest.mark.parametrize("text", [b"", b"<html>", rb'["\ud83d"', rb'["\ud8"]', b'["\xff"]', rb'["\\ud83d]'])
def test_what_is_no_json_stays_none(text: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        loads(text)
