"""The filters that the double of Microsoft Graph understands."""

from __future__ import annotations

import re

from tests.servers.graph_rules import KNOWN, Json, bad

_CLAUSE = re.compile(r"(?P<path>[A-Za-z/]+) eq (?P<value>'(?:[^']|'')*'|true|false)")
_ENDS = re.compile(r"endsWith\((?P<path>[A-Za-z]+),\s*(?P<value>'(?:[^']|'')*')\)")
_ANY = re.compile(r"(?P<path>[A-Za-z]+)/any\((?P<v>\w+):(?P=v) eq (?P<value>'(?:[^']|'')*')\)")


def matches(row: Json, text: str, *, counts: bool) -> bool:
    """Whether a row fulfils a $filter; `counts`: $count was asked for, which advanced queries need. Raises Refusal."""
    clauses = re.split(r" or (?=(?:[^']*'[^']*')*[^']*$)", text)
    return any(_matches_clause(row, clause.strip(), counts=counts) for clause in clauses)


def _matches_clause(row: Json, clause: str, *, counts: bool) -> bool:
    for form in (_CLAUSE, _ENDS, _ANY):
        if (found := form.fullmatch(clause)) is not None:
            break
    else:
        raise bad("Invalid filter clause.", "BadRequest")
    name = found["path"].partition("/")[0]
    if name not in KNOWN:
        raise bad(f"Could not find a property named '{name}' on type 'microsoft.graph.user'.", "BadRequest")
    wanted = found["value"]
    if wanted in ("true", "false"):
        return row.get(name) is (wanted == "true")
    wanted = wanted[1:-1].replace("''", "'").lower()
    if form is _ANY:
        return any(str(one).lower() == wanted for one in row.get(name) or [])
    if form is _ENDS:
        if not counts:
            raise bad("Operator 'endsWith' is not supported because the required parameters are missing.")
        return str(row.get(name) or "").lower().endswith(wanted)
    return str(row.get(name) or "").lower() == wanted
