"""Prints JSON for programs, and texts of others for people so that nothing in them steers a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import orjson

_STEERING = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    **{code: f"\\u{code:04x}" for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))},
    **{ord(letter): repr(letter)[1:-1] for letter in "\t\n\r"},
}
"""What begins a line, moves the cursor or turns the direction of text, and how it is shown instead."""


def plain(text: str) -> str:
    """Return a name or an answer of others on one line, with what a terminal would act on spelled out."""
    return text if text.isprintable() else text.translate(_STEERING)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one object a line, at once."""
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


def prints_on_a_terminal() -> bool:
    """Whether stdout is shown to a person, who would see bars and JSON run through each other."""
    return sys.stdout.isatty()
