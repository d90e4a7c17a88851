"""Turns the attribute mappings of an exported schema into mappings of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.core.paths import PathError, canonical, clash
from reconciler.errors import ExpressionSyntaxError
from reconciler.language import compile_expression
from reconciler.language.syntax import parse
from reconciler.language.tree import Attribute, Constant
from reconciler.migrate.findings import Fault, Findings
from reconciler.migrate.reading import Node
from reconciler.migrate.writing import ImportedRules

_MAPPING = frozenset(
    {
        "defaultValue",
        "exportMissingReferences",
        "flowBehavior",
        "flowNullValues",
        "flowType",
        "matchingPriority",
        "targetAttributeName",
        "source",
    }
)
_SOURCE = frozenset({"expression", "name", "type", "parameters"})
_APPLY = {
    "Always": None,
    "ObjectAddOnly": "create",
    "AttributeAddOnly": "if_empty",
    "MultiValueAddOnly": "add_only",
    "ValueAddOnly": "add_only",
}


@dataclass(slots=True)
class Definitions:
    """What the schema's directories say of their attributes."""

    found: dict[tuple[str, str], dict[str, Node]] = field(default_factory=dict)

    def add(self, directory: str, object_name: str, attribute: str, node: Node) -> None:
        self.found.setdefault((directory, object_name), {})[attribute] = node

    def of(self, directory: str, object_name: str) -> Mapping[str, Node]:
        return self.found.get((directory, object_name), {})

    def anchor(self, directory: str, object_name: str) -> str:
        """Return the attribute that never changes, "" where none is named."""
        return next((name for name, node in self.of(directory, object_name).items() if node.truth("anchor")), "")


def imported_mappings(
    mapping: Node,
    kind: str,
    rules: ImportedRules,
    source: Mapping[str, Node],
    target: Mapping[str, Node],
    findings: Findings,
) -> None:
    """Add every attribute mapping that can be carried over; what cannot stands in the report, and as a comment."""
    for node in mapping.children("attributeMappings", needed=True):
        made = _mapping(node, source, target, rules, findings)
        if made is None:
            continue
        other = next((one for one in rules.attributes if _collide(one["to"], made["to"])), None)
        if other is not None:
            _leave_out(node, made["to"], f"cannot stand beside {other['to']}, which is mapped already", rules, findings)
            continue
        rules.attributes.append(made)
        findings.carried(node.path, f"{made['to']} ← {_said(made)}")
    _ensure_matching(mapping, kind, rules, findings)
    _drop_second_precedences(mapping, rules, findings)


def _mapping(
    node: Node, source: Mapping[str, Node], target: Mapping[str, Node], rules: ImportedRules, findings: Findings
) -> dict[str, Any] | None:
    node.unknown(_MAPPING, findings)
    written = node.text("targetAttributeName", needed=True)
    try:
        path = canonical(written)
    except PathError as error:
        _leave_out(node, written, f"is no attribute path: {error}", rules, findings)
        return None
    made: dict[str, Any] = {"to": path}
    if path != written:
        findings.changed(node.at("targetAttributeName"), f"is written {path}")
    value = node.child("source")
    default = node.held.get("defaultValue")
    if isinstance(default, dict | list):
        raise Fault(node.at("defaultValue"), "must be a text")
    if value is not None:
        try:
            made |= _source(value, findings)
        except ExpressionSyntaxError as error:
            _leave_out(node, path, f"{value.text('expression')}: {error}", rules, findings)
            return None
    if default not in (None, ""):
        if "constant" in made:
            findings.left_out(node.at("defaultValue"), "a constant needs no default")
        elif path.lower() == "members" or _is_reference(target.get(written)):
            findings.left_out(node.at("defaultValue"), "a reference has no default")
        else:
            made["default"] = default
    if len(made) == 1:
        _leave_out(node, path, "has neither source nor default", rules, findings)
        return None
    _flow(node, made, source, findings)
    _target_facts(node, written, target, findings)
    return made


def _source(value: Node, findings: Findings) -> dict[str, Any]:
    """Return from, constant or expression: what `expression` says, whatever the parts say."""
    value.unknown(_SOURCE, findings)
    for _, parameter in value.items("parameters"):
        if not isinstance(parameter, dict):
            raise Fault(value.at("parameters"), "must hold objects")
    expression = value.text("expression")
    if not expression.strip():
        expression = _from_parts(value)
        findings.changed(value.path, "has no expression: it is taken from name and type")
    if expression.lstrip().startswith("="):
        raise ExpressionSyntaxError("unexpected '='", 0)
    match parse(expression):
        case Attribute(name=name):
            return {"from": name}
        case Constant(value=constant):
            return {"constant": constant}
        case _:
            compile_expression(expression)
            return {"expression": expression.strip()}


def _from_parts(value: Node) -> str:
    name = value.text("name", needed=True)
    match value.text("type"):
        case "Attribute":
            return f"[{name}]"
        case "Constant":
            escaped = name.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case _:
            raise Fault(value.at("expression"), "is missing")


def _flow(node: Node, made: dict[str, Any], source: Mapping[str, Node], findings: Findings) -> None:
    flow = node.text("flowType") or "Always"
    if flow not in _APPLY:
        raise Fault(node.at("flowType"), f"the flow type {flow!r} is not known")
    apply = _APPLY[flow]
    alone = made.keys() == {"to", "default"}
    if alone and apply == "create":
        # a default that is written once, when the account is made, is a constant of that moment
        made["constant"] = made.pop("default")
        findings.changed(node.path, "its default is written on creation only: a constant with apply = create")
    if apply is not None and not (alone and apply != "create"):
        made["apply"] = apply
    if node.text("flowBehavior") == "FlowAlways":
        findings.changed(node.at("flowBehavior"), "FlowAlways: a value is sent when it differs, not each time")
    if node.truth("exportMissingReferences"):
        findings.changed(node.at("exportMissingReferences"), "a reference is sent once its account is there")
    priority = node.number("matchingPriority")
    if priority > 0:
        if "from" in made or "expression" in made:
            made["match"] = priority
        else:
            findings.left_out(node.at("matchingPriority"), "a constant finds no account")
    definition = source.get(made.get("from", ""))
    if node.truth("flowNullValues") and (definition is None or definition.truth("flowNullValues", default=True)):
        made["null"] = "clear"


def _target_facts(node: Node, written: str, target: Mapping[str, Node], findings: Findings) -> None:
    """Report what the target's definition says and only a profile can."""
    definition = target.get(written)
    if definition is None:
        return
    said = []
    if definition.truth("caseExact"):
        said.append("case_exact = true")
    if definition.truth("multivalued") and written.lower() != "members":
        said.append("multivalued = true")
    if definition.truth("required") and written.lower() not in ("username", "displayname"):
        said.append("required = true")
    kind = definition.text("type")
    if kind and kind not in ("String", "Reference") and written.lower() != "active":
        said.append(f'type = "{kind}"')
    if said:
        findings.changed(definition.path, f"{written} is known to a profile as {{ {', '.join(said)} }}")


def _is_reference(definition: Node | None) -> bool:
    return definition is not None and definition.text("type") == "Reference"


def _leave_out(node: Node, path: str, why: str, rules: ImportedRules, findings: Findings) -> None:
    findings.left_out(node.path, f"{path}: {why}")
    rules.comments.append(f"left out: {path}: {why}")


def _collide(one: str, other: str) -> bool:
    return one.casefold() == other.casefold() or clash(one, other)


def _said(made: Mapping[str, Any]) -> str:
    for word in ("from", "expression", "constant"):
        if word in made:
            return f"{word} {made[word]}" if word != "constant" else "a constant"
    return "its default, where the app has none"


def _ensure_matching(mapping: Node, kind: str, rules: ImportedRules, findings: Findings) -> None:
    if any("match" in one for one in rules.attributes):
        return
    wanted = "userName" if kind == "users" else "displayName"
    for one in rules.attributes:
        if one["to"] == wanted and ("from" in one or "expression" in one):
            one["match"] = 1
            findings.changed(mapping.at("attributeMappings"), f"nothing is matched: accounts are found by {wanted}")
            return
    findings.left_out(mapping.at("attributeMappings"), f"nothing is matched, and {wanted} is not mapped: add a match")


def _drop_second_precedences(mapping: Node, rules: ImportedRules, findings: Findings) -> None:
    seen: set[int] = set()
    for one in rules.attributes:
        number = one.get("match")
        if number is None:
            continue
        while number in seen:
            number += 1
        if number != one["match"]:
            findings.changed(mapping.at("attributeMappings"), f"{one['to']}: its matching precedence becomes {number}")
        one["match"] = number
        seen.add(number)
