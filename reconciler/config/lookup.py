"""Reads the tables that rules look values up in."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.tables import LookupTableTable
from reconciler.errors import Problem
from reconciler.language import LookupTable

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def lookup_tables_of(tables: Mapping[str, LookupTableTable], report: Report) -> dict[str, LookupTable]:
    """Return the tables by name; what is wrong with their files goes to the report."""
    return {name: _table(table, ("tables", name), report) for name, table in tables.items()}


def _table(table: LookupTableTable, place: Place, report: Report) -> LookupTable:
    if table.entries is not None:
        return _of_entries(table.entries)
    assert table.file is not None  # one of the two, judged with the table
    path, label = report.document.file(table.file)
    try:
        written = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        report.outside.append(Problem(label, f"cannot be read: {error.strerror}"))
        return LookupTable(("key", "value"), {})
    except UnicodeDecodeError as error:
        line = error.object.count(10, 0, error.start) + 1
        report.outside.append(Problem(f"{label} line {line}", "is not UTF-8 text"))
        return LookupTable(("key", "value"), {})
    try:
        found = _of_toml(written, label) if path.suffix == ".toml" else _of_rows(written, path, label, table.key)
        if not found.rows:  # every look-up would find nothing: a file that is still being written, rather
            raise _Unusable(label, "has no rows")
        return found
    except _Unusable as unusable:
        report.outside.append(unusable.problem)
        return LookupTable(("key", "value"), {})


class _Unusable(Exception):
    """A file that is no table. Never leaves this module."""

    def __init__(self, where: str, problem: str, hint: str = "") -> None:
        self.problem = Problem(where, problem, hint)
        super().__init__(problem)


def _of_entries(entries: Mapping[str, Any]) -> LookupTable:
    return LookupTable(("key", "value"), {key: (key, _text(value)) for key, value in entries.items()})


def _of_toml(written: str, label: str) -> LookupTable:
    """Return the table of `key = "value"`, or of `[key]` with `column = "value"`."""
    try:
        found = tomllib.loads(written)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _Unusable(label, f"is no valid TOML: {error}") from None
    rows = {key: value if isinstance(value, dict) else {"value": value} for key, value in found.items()}
    columns = tuple(dict.fromkeys(column for row in rows.values() for column in row))
    for key, row in rows.items():
        if any(isinstance(cell, dict | list) for cell in row.values()):
            raise _Unusable(label, f"{key} holds more than texts, numbers and booleans")
    return LookupTable(
        ("key", *columns), {key: (key, *[_text(row.get(one, "")) for one in columns]) for key, row in rows.items()}
    )


def _of_rows(written: str, path: Path, label: str, key: str | None) -> LookupTable:
    delimiter = _DELIMITERS.get(path.suffix.lower())
    if delimiter is None:
        raise _Unusable(label, "is of no kind that can be read", "tables are .csv, .tsv or .toml")
    rows = csv.reader(io.StringIO(written, newline=""), delimiter=delimiter, strict=True)
    try:
        heading = [name.strip() for name in next(rows, [])]
        place = _key_column(heading, key, label)
        columns = (heading[place], *heading[:place], *heading[place + 1 :])
        found: dict[str, tuple[str, ...]] = {}
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            where = f"{label} line {rows.line_num}"
            if len(cells) != len(heading):
                raise _Unusable(where, f"has {len(cells)} cells where the heading has {len(heading)}")
            if cells[place] in found:
                raise _Unusable(where, f"has a key that stands further up already: column {heading[place]}")
            found[cells[place]] = (cells[place], *cells[:place], *cells[place + 1 :])
    except csv.Error as error:
        raise _Unusable(f"{label} line {rows.line_num}", f"is no valid CSV: {error}") from None
    return LookupTable(columns, found)


def _key_column(heading: Sequence[str], key: str | None, label: str) -> int:
    if len(heading) < 2 or not all(heading) or len(set(heading)) < len(heading):
        raise _Unusable(f"{label} line 1", "the heading must name two columns at least, each once")
    if key is None:
        return 0
    if key not in heading:
        raise _Unusable(f"{label} line 1", f"has no column {key}", f"columns: {', '.join(heading)}")
    return heading.index(key)


def _text(value: Any) -> str:
    return str(value)
