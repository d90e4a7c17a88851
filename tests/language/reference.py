"""Writes the tables of functions in the page of the language: python -m tests.language.reference."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

from reconciler.language.catalogue import FUNCTIONS as ENTRA_FUNCTIONS
from reconciler.language.excel import FUNCTIONS as EXCEL_FUNCTIONS
from reconciler.language.functions import Function

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "expressions.md"
BEGIN, END = "<!-- functions -->", "<!-- end of functions -->"


def with_tables(page: str) -> str:
    """Return the page with the tables of every function between its marks. Raises KeyError for an unknown function."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "\n".join(_lines())
    return f"{before}{BEGIN}\n\n{lines}\n{END}{after}" if END in rest else page


def _sections() -> list[dict[str, Any]]:
    sections: list[dict[str, Any]] = tomllib.loads((DOCS / "functions.toml").read_text("utf-8"))["section"]
    return sections


def _lines() -> Iterator[str]:
    for section in _sections():
        functions = EXCEL_FUNCTIONS if section["dialect"] == "excel" else ENTRA_FUNCTIONS
        with_null = any(row["null"] for row in section["rows"])
        yield f"### {section['title']}"
        yield ""
        yield from _paragraph(section.get("before", ""))
        yield f"| function | gives |{' null |' if with_null else ''}"
        yield f"|---|---|{'---|' if with_null else ''}"
        for row in section["rows"]:
            signatures = ", ".join([f"`{functions[name].signature}`" for name in row["names"]])
            ours = " *(ours)*" if any(_is_ours(functions[name]) for name in row["names"]) else ""
            yield f"| {signatures}{ours} | {row['gives']} |" + (f" {row['null']} |" if with_null else "")
        yield ""
        yield from _paragraph(section.get("after", ""))


def _paragraph(text: str) -> Iterator[str]:
    if text:
        yield from wrap(text, 120, break_long_words=False, break_on_hyphens=False)
        yield ""


def _is_ours(function: Function) -> bool:
    return function.ours


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
