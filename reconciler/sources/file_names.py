"""Finds the files that a pattern means, in the order of their names."""

from __future__ import annotations

import os
import re
from pathlib import Path

_WILD = re.compile(r"[*?\[]")
_NUMBERS = re.compile(r"([0-9]+)")


def is_pattern(path: Path) -> bool:
    """Return whether the last name of a path stands for several files."""
    return _WILD.search(path.name) is not None


def meant(path: Path) -> list[Path]:
    """Return the files that a path means and that are there, numbers in their names in the order of numbers."""
    if not is_pattern(path):
        return [path] if path.exists() else []
    # Who writes a file under another name first often puts a dot before it.
    hidden = path.name.startswith(".")
    return sorted((one for one in path.parent.glob(path.name) if hidden or one.name[0] != "."), key=in_order)


def there_now(path: Path) -> list[Path]:
    """Return what `meant` does; raises OSError where the directory cannot be looked into, which is no empty one."""
    with os.scandir(path.parent):
        return meant(path)


def newest(path: Path) -> Path:
    """Return the last of the files that a path means; the path itself where none is there."""
    found = meant(path) if is_pattern(path) else []
    return found[-1] if found else path


def in_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return what files of one directory are sorted by."""
    parts = _NUMBERS.split(path.name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts], path.name
