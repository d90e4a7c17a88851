"""Which tests show which row. `python -m tests.vendors.rows` writes docs/vendors/rows.md."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "vendors" / "rows.md"
_HEAD = """\
# What the vendors' documents ask for

Each row is something that a vendor's set-up guide says a person can do or see; the tests beside it show it. Written by
`python -m tests.vendors.rows`.
"""


@dataclass(frozen=True, slots=True)
class Checklist:
    """One vendor's document, row by row."""

    letter: str
    title: str
    done: bool
    """Every row is shown by a test; a row without one fails the tests."""
    rows: tuple[str, ...]


def checklists() -> tuple[Checklist, ...]:
    """Return what the documents ask for, in order."""
    found = tomllib.loads((HERE / "rows.toml").read_text("utf-8"))
    return tuple(
        Checklist(letter, one["title"], one.get("done", False), tuple(one["rows"])) for letter, one in found.items()
    )


@cache
def shown() -> dict[str, list[str]]:
    """Return the tests that show each row: "E1" → ["tests/vendors/test_dialpad.py::test_…"]."""
    by_row: dict[str, list[str]] = {}
    for file in sorted(HERE.parent.rglob("test_*.py")):
        for row, name in _marked(ast.parse(file.read_text("utf-8"))):
            by_row.setdefault(row, []).append(f"{file.relative_to(HERE.parents[1]).as_posix()}::{name}")
    return by_row


def page() -> str:
    """Return the page that lists every row with its tests."""
    by_row = shown()
    text = _HEAD
    for checklist in checklists():
        state = "" if checklist.done else " (not done yet)"
        text += f"\n## {checklist.letter}: {checklist.title}{state}\n\n"
        text += "| row | what is asked for | shown by |\n|---|---|---|\n"
        for number, asked in enumerate(checklist.rows, start=1):
            tests = ", ".join(f"`{test.partition('::')[2]}`" for test in by_row.get(f"{checklist.letter}{number}", ()))
            text += f"| {checklist.letter}{number} | {asked} | {tests} |\n"
    return text


def _marked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            if (
                isinstance(decorator, ast.Call)
                and ast.unparse(decorator.func) == "pytest.mark.row"
                and isinstance(decorator.args[0], ast.Constant)
            ):
                yield str(decorator.args[0].value), node.name


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
