"""Reads a job's list of assignments from its CSV file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from reconciler.core.model import AssignedGroup, AssignedUser, AssignmentRule
from reconciler.errors import Problem

COLUMNS = ("kind", "principal", "role")


def read_assignments(path: Path, label: str) -> tuple[tuple[AssignmentRule, ...], list[Problem]]:
    """Return the assignments of a file (kind,principal,role) and what is wrong with it, by line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return (), [Problem(label, f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        return (), [Problem(f"{label} line {error.object.count(10, 0, error.start) + 1}", "is not UTF-8 text")]
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: dict[AssignmentRule, None] = {}
    problems: list[Problem] = []
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        if header not in ([*COLUMNS], [*COLUMNS[:2]]):
            return (), [Problem(f"{label} line 1", f"the heading must be {','.join(COLUMNS)}")]
        for row in rows:
            judged = _assignment([cell.strip() for cell in row], len(header))
            if isinstance(judged, str):
                problems.append(Problem(f"{label} line {rows.line_num}", judged))
            elif judged is not None:
                found[judged] = None
    except csv.Error as error:
        problems.append(Problem(f"{label} line {rows.line_num}", f"is no valid CSV: {error}"))
    return tuple(found), problems


def _assignment(row: list[str], columns: int) -> AssignmentRule | str | None:
    """Return the assignment of a row, what is wrong with it, or None for an empty line."""
    if not any(row):
        return None
    if len(row) > columns:
        return f"has {len(row)} cells where the heading has {columns}"
    kind, principal, role = (*row, "", "", "")[:3]
    if not principal:
        return "names no principal"
    match kind.lower():
        case "user":
            return AssignedUser(principal, role or None)
        case "group":
            return AssignedGroup(principal, role or None)
        case _:
            return "kind must be user or group"
