"""What a step of reading a file gives: rows, where they stand, what was wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
NOT_UTF_8 = 'is not UTF-8 (encoding = "cp1252" reads what Windows wrote)'


@dataclass(frozen=True, slots=True)
class RowPage:
    """The rows of one step, `places` their line or entry number, counted from 1."""

    rows: Sequence[Row] = ()
    places: Sequence[int] = ()
    faults: Sequence[tuple[int, str]] = ()
    """Place and what is wrong there, continuing a sentence that begins with the place; 0: the file as a whole."""
    columns: tuple[str, ...] = ()
    """The columns that a header names."""
    unusable: str = ""
    """Why nothing of this file can be used; continues a sentence that begins with its name."""
