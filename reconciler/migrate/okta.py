"""Reads a table of Okta attribute mappings: the app's external name and namespace, and where it comes from."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.core.paths import PathError, canonical, clash
from reconciler.migrate import toml
from reconciler.migrate.findings import Fault, Findings
from reconciler.migrate.reading import Node, parsed
from reconciler.migrate.writing import ImportedJob, ImportedRules, configuration

_NAMES = {
    "to": ("externalname", "external name", "target", "attribute", "app attribute", "to"),
    "namespace": ("externalnamespace", "external namespace", "namespace"),
    "from": ("source", "mapping", "expression", "value", "okta attribute", "user attribute", "from"),
    "apply": ("apply on", "apply", "pushstatus", "apply_on"),
    "required": ("required",),
}
"""What a column says → the names that it goes by, whatever their letter case."""
_CORE = "urn:ietf:params:scim:schemas:core:2.0:"
_SOURCE = re.compile(r"(?:user|appuser|source)\.([A-Za-z_][A-Za-z0-9_]*)")
_LITERAL = re.compile(r"\"([^\"]*)\"|'([^']*)'|(true|false)")
_CREATE_ONLY = frozenset({"create", "create only", "dont_push", "oncreate", "create_only"})


def import_okta(written: bytes, findings: Findings, *, is_json: bool) -> str:
    """Return the configuration that a table of mappings stands for; raises Fault where it is none."""
    rules = ImportedRules(actions=["create", "update", "delete"])
    for where, row in _json_rows(written) if is_json else _csv_rows(written):
        made = _mapping(where, row, findings)
        if made is None:
            rules.comments.append(f"left out: {row.get('to', '')}")
            continue
        other = next((one for one in rules.attributes if _collide(one["to"], made["to"])), None)
        if other is not None:
            findings.left_out(where, f"{made['to']} cannot stand beside {other['to']}, which is mapped already")
            continue
        rules.attributes.append(made)
        findings.carried(where, f"{made['to']} ← {made.get('from', 'a constant')}")
    if not rules.attributes:
        raise Fault("the table", "holds no mapping")
    by_path = {one["to"].casefold(): one for one in rules.attributes}
    name = by_path.get("username")
    if name is None or "from" not in name:
        name = {"to": "userName", "from": "login"}
        rules.attributes = [name, *(one for one in rules.attributes if one["to"].casefold() != "username")]
        findings.changed("userName", "is mapped from login: every account needs a name")
    name["match"] = 1
    if "active" not in by_path:
        rules.attributes.append({"to": "active", "expression": "Not([IsSoftDeleted])"})
        findings.changed("active", "is mapped to who is in scope: Okta deactivates by itself")
    job = ImportedJob("app", "okta", "app", rules)
    headline = "Imported from a table of Okta attribute mappings."
    return configuration([job], key="id", headline=headline, instead=_okta_itself(rules))


def _okta_itself(rules: ImportedRules) -> list[str]:
    """Return the lines of a source that is Okta, with the attributes by the names that the mappings have for them."""
    read = dict.fromkeys(one["from"] for one in rules.attributes if "from" in one)
    return [
        'type = "okta"',
        'url = "https://example.okta.com"',
        'auth = { type = "bearer", token = { env = "OKTA_TOKEN" } }',
        f"attributes = {toml.value({name: f'profile.{name}' for name in read})}",
    ]


def _json_rows(written: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    found = parsed(written)
    if isinstance(found, dict):
        root = Node.of("$", found)
        key = next((key for key in ("mappings", "attributes", "properties") if key in found), "mappings")
        rows = list(root.items(key, needed=True)) if isinstance(found.get(key), list) else [("$", found)]
    elif isinstance(found, list):
        rows = [(f"$[{place}]", row) for place, row in enumerate(found)]
    else:
        raise Fault("$", "must be a list of mappings")
    for where, row in rows:
        node = Node.of(where, row)
        yield where, _named({key: str(value) for key, value in node.held.items() if value is not None}, where)


def _csv_rows(written: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Fault(f"line {written.count(10, 0, error.start) + 1}", "is not UTF-8 text") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heading = [name.strip() for name in next(rows, [])]
        _named(dict.fromkeys(heading, "x"), "line 1")
        for row in rows:
            if any(cell.strip() for cell in row):
                yield f"line {rows.line_num}", _named(dict(zip(heading, row, strict=False)), f"line {rows.line_num}")
    except csv.Error as error:
        raise Fault(f"line {rows.line_num}", f"is no valid CSV: {error}") from None


def _named(row: Mapping[str, str], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in row.items():
        folded = key.strip().casefold()
        name = next((name for name, names in _NAMES.items() if folded in names), None)
        if name is not None:
            found.setdefault(name, value.strip())
    for needed in ("to", "from"):
        if needed not in found:
            raise Fault(where, f"has none of the columns {', '.join(_NAMES[needed])}")
    return found


def _mapping(where: str, row: Mapping[str, str], findings: Findings) -> dict[str, Any] | None:
    namespace, name = row.get("namespace", "").rstrip(":"), row["to"]
    written = name if not namespace or namespace.startswith(_CORE) or name.startswith("urn:") else f"{namespace}:{name}"
    try:
        made: dict[str, Any] = {"to": canonical(written)}
    except PathError as error:
        findings.left_out(where, f"{written} is no attribute path: {error}")
        return None
    source = row["from"]
    if (attribute := _SOURCE.fullmatch(source)) is not None:
        made["from"] = attribute.group(1)
    elif (literal := _LITERAL.fullmatch(source)) is not None:
        made["constant"] = literal.group(1) or literal.group(2) or literal.group(3) or ""
    else:
        said = "comes from nothing" if not source else f"{source}: Okta's expressions have no counterpart; write one"
        findings.left_out(where, f"{made['to']}: {said}")
        return None
    if row.get("apply", "").casefold() in _CREATE_ONLY:
        made["apply"] = "create"
    return made


def _collide(one: str, other: str) -> bool:
    return one.casefold() == other.casefold() or clash(one, other)
