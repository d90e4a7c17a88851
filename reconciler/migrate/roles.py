"""Reads a table of roles: role, attribute, operator, value, and the group of clauses that a row belongs to."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from reconciler.core.conditions import compile_condition
from reconciler.core.model import Clause, Operator
from reconciler.errors import ConfigError
from reconciler.migrate import writing
from reconciler.migrate.findings import Fault, Findings

COLUMNS = ("role", "attribute", "operator", "value", "group")
_WORDS: dict[str, Operator] = {
    "equals": Operator.EQUALS,
    "=": Operator.EQUALS,
    "is": Operator.EQUALS,
    "not equals": Operator.NOT_EQUALS,
    "does not equal": Operator.NOT_EQUALS,
    "<>": Operator.NOT_EQUALS,
    "!=": Operator.NOT_EQUALS,
    "contains": Operator.INCLUDES,
    "includes": Operator.INCLUDES,
    "ends with": Operator.ENDS_WITH,
    ">": Operator.GREATER_THAN,
    "greater than": Operator.GREATER_THAN,
    ">=": Operator.GREATER_THAN_OR_EQUALS,
    "is empty": Operator.IS_NULL,
    "is null": Operator.IS_NULL,
    "is not empty": Operator.IS_NOT_NULL,
    "is not null": Operator.IS_NOT_NULL,
    "is true": Operator.IS_TRUE,
    "is false": Operator.IS_FALSE,
    "matches": Operator.REGEX_MATCH,
    "regex match": Operator.REGEX_MATCH,
    "does not match": Operator.NOT_REGEX_MATCH,
    "not regex match": Operator.NOT_REGEX_MATCH,
}
_UNARY = (Operator.IS_NULL, Operator.IS_NOT_NULL, Operator.IS_TRUE, Operator.IS_FALSE)


def import_roles(written: bytes, findings: Findings) -> str:
    """Return [roles.*] tables; raises Fault. Rows of one group must all hold; of several groups one suffices."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for line, row in _rows(written):
        role, attribute, operator, value, group = row
        clause = _clause(line, attribute, operator, value, findings)
        found.setdefault(role, {}).setdefault(group, []).append(clause)
    if not found:
        raise Fault("line 1", "the table has no row")
    return writing.roles({role: _condition(groups) for role, groups in found.items()})


def _condition(groups: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    parts = [clauses[0] if len(clauses) == 1 else {"all": clauses} for clauses in groups.values()]
    return parts[0] if len(parts) == 1 else {"any": parts}


def _rows(written: bytes) -> list[tuple[str, list[str]]]:
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Fault(f"line {written.count(10, 0, error.start) + 1}", "is not UTF-8 text") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: list[tuple[str, list[str]]] = []
    try:
        heading = [name.strip().casefold() for name in next(rows, [])]
        if heading not in ([*COLUMNS], [*COLUMNS[:4]]):
            raise Fault("line 1", f"the heading must be {','.join(COLUMNS)}; group may be left out")
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells):
                found.append((f"line {rows.line_num}", _whole(cells, len(heading), rows.line_num)))
    except csv.Error as error:
        raise Fault(f"line {rows.line_num}", f"is no valid CSV: {error}") from None
    return found


def _whole(cells: Sequence[str], columns: int, line: int) -> list[str]:
    if len(cells) > columns:
        raise Fault(f"line {line}", f"has {len(cells)} cells where the heading has {columns}")
    row = [*cells, "", "", "", "", ""][:5]
    if not row[0]:
        raise Fault(f"line {line}", "needs a role")
    return row


def _clause(line: str, attribute: str, written: str, value: str, findings: Findings) -> dict[str, Any]:
    word = written.replace("_", " ").casefold()
    if word in ("is a member of", "member of"):
        if not value:
            raise Fault(line, f"{written} needs the group as value")
        findings.carried(line, f"member of {value}")
        return {"member_of": value}
    if not attribute:
        raise Fault(line, "needs an attribute")
    if word in ("starts with", "begins with"):
        # nothing begins with a text here but a regular expression
        pattern = "^" + "".join(["\\" + letter if letter in "\\.^$|()[]{}*+?" else letter for letter in value])
        findings.changed(line, f"{attribute} {written} becomes {Operator.REGEX_MATCH}")
        return {"attribute": attribute, "operator": Operator.REGEX_MATCH.value, "value": pattern}
    known = _WORDS.get(word)
    if known is None:
        raise Fault(line, f"the operator {written!r} is not known")
    operator = known
    if operator in _UNARY:
        findings.carried(line, f"{attribute} {operator}")
        return {"attribute": attribute, "operator": operator.value}
    try:
        compile_condition(Clause(attribute, operator, value))
    except ConfigError as error:
        raise Fault(line, error.problems[0].problem) from None
    findings.carried(line, f"{attribute} {operator} …")
    return {"attribute": attribute, "operator": operator.value, "value": value}
