"""Prints JSON for programs: one object a line, on stdout, at once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import orjson


def print_json(value: Mapping[str, Any]) -> None:
    """Print one object."""
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


def prints_on_a_terminal() -> bool:
    """Whether stdout is shown to a person, who would see bars and JSON run through each other."""
    return sys.stdout.isatty()
