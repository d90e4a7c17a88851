"""Reads an exported Entra synchronization schema (Microsoft Graph's synchronizationSchema)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from reconciler.core.conditions import compile_condition
from reconciler.core.model import Clause, Operator
from reconciler.errors import ConfigError
from reconciler.migrate.findings import Fault, Findings
from reconciler.migrate.mappings import Definitions, imported_mappings
from reconciler.migrate.reading import Node, parsed
from reconciler.migrate.writing import ImportedJob, ImportedRules, configuration

_SCHEMA = frozenset({"id", "provisioningTaskIdentifier", "version", "directories", "synchronizationRules"})
_DIRECTORY = frozenset(
    {"id", "name", "discoverabilities", "discoveryDateTime", "version", "readOnly", "metadata", "objects"}
)
_OBJECT = frozenset({"name", "supportedApis", "metadata", "attributes"})
_ATTRIBUTE = frozenset(
    {
        "anchor",
        "apiExpressions",
        "caseExact",
        "defaultValue",
        "flowNullValues",
        "metadata",
        "multivalued",
        "mutability",
        "name",
        "required",
        "referencedObjects",
        "type",
    }
)
_RULE = frozenset(
    {
        "editable",
        "id",
        "name",
        "priority",
        "sourceDirectoryName",
        "targetDirectoryName",
        "metadata",
        "groupFilter",
        "containerFilter",
        "objectMappings",
    }
)
_OBJECT_MAPPING = frozenset(
    {"enabled", "flowTypes", "name", "scope", "sourceObjectName", "targetObjectName", "metadata", "attributeMappings"}
)
_CLAUSE = frozenset({"operatorName", "sourceOperandName", "targetOperand", "multivaluedComparisonType"})
_SCOPE = frozenset({"groups", "inputFilterGroups", "categoryFilterGroups"})
_ACTIONS = {"add": "create", "update": "update", "delete": "delete"}
_UNARY = frozenset({Operator.IS_NULL, Operator.IS_NOT_NULL, Operator.IS_TRUE, Operator.IS_FALSE})
_OPERATORS = {operator.value.replace("_", " ").casefold(): operator for operator in Operator}
_ORDINARY = {"EscrowBehavior": "Default", "Disposition": "Normal"}
"""Metadata that says what is so anyway."""


def import_schema(written: bytes, findings: Findings) -> str:
    """Return the configuration that an exported schema stands for; raises Fault where it is none."""
    schema = Node.of("$", parsed(written))
    schema.unknown(_SCHEMA, findings)
    definitions = _definitions(schema, findings)
    jobs: list[ImportedJob] = []
    rules = sorted(schema.children("synchronizationRules", needed=True), key=lambda rule: rule.number("priority"))
    for rule in rules:
        jobs += _jobs(rule, definitions, findings, len(jobs))
    if not jobs:
        raise Fault("$.synchronizationRules", "no object mapping of users or groups is there to be imported")
    task = schema.text("provisioningTaskIdentifier")
    headline = "Imported from an Entra synchronization schema" + (f" ({task})." if task else ".")
    findings.changed(
        "$", 'who is assigned does not stand in a schema: scope = "all" and the filters; write assigned = […] otherwise'
    )
    anchor = definitions.anchor(rules[0].text("sourceDirectoryName"), "User") or "id"
    return configuration(jobs, key=anchor, headline=headline)


def _definitions(schema: Node, findings: Findings) -> Definitions:
    definitions = Definitions()
    for directory in schema.children("directories"):
        directory.unknown(_DIRECTORY, findings)
        name = directory.text("name", needed=True)
        for object_ in directory.children("objects"):
            object_.unknown(_OBJECT, findings)
            object_name = object_.text("name", needed=True)
            for attribute in object_.children("attributes"):
                attribute.unknown(_ATTRIBUTE, findings)
                definitions.add(name, object_name, attribute.text("name", needed=True), attribute)
    return definitions


def _jobs(rule: Node, definitions: Definitions, findings: Findings, before: int) -> Iterator[ImportedJob]:
    """Yield the jobs of a rule: one for its first mappings of users and of groups, one for each further one."""
    rule.unknown(_RULE, findings)
    for key in ("groupFilter", "containerFilter"):
        if rule.held.get(key):
            findings.left_out(rule.at(key), "which containers and groups are read is a matter of the source here")
    source, target = rule.text("sourceDirectoryName") or "directory", rule.text("targetDirectoryName") or "app"
    made: list[ImportedJob] = []
    for mapping in rule.children("objectMappings", needed=True):
        mapping.unknown(_OBJECT_MAPPING, findings)
        kind = _kind(mapping)
        if kind is None:
            named = f"{mapping.text('sourceObjectName')} to {mapping.text('targetObjectName')}"
            findings.left_out(mapping.path, f"neither users nor groups: {named}")
            continue
        if not mapping.truth("enabled", default=True):
            findings.left_out(mapping.at("enabled"), "the object mapping is switched off")
            continue
        if not _disposed(mapping, findings):
            continue
        job = next((job for job in made if getattr(job, kind) is None), None)
        if job is None:
            number = before + len(made) + 1
            name = _name(target) + (f"-{number}" if number > 1 else "")
            job = ImportedJob(name, _name(source), _name(target))
            made.append(job)
            if number > 1:
                findings.changed(mapping.path, f"becomes a job of its own: [jobs.{name}]")
        setattr(job, kind, _object_mapping(mapping, kind, job, definitions, (source, target), findings))
    for job in made:
        if job.users is None:
            # a job has users by the profile unless it says otherwise; an empty list would be refused
            job.users = ImportedRules(["update"], [{"to": "userName", "from": "userPrincipalName", "match": 1}])
            findings.changed(rule.path, f"[jobs.{job.name}] has no mapping of users: it matches them, and creates none")
    yield from made


def _kind(mapping: Node) -> str | None:
    for key in ("targetObjectName", "sourceObjectName"):
        last = re.split(r"[:.]", mapping.text(key))[-1].casefold()
        if last in ("user", "users", "worker", "person"):
            return "users"
        if last in ("group", "groups"):
            return "groups"
    return None


def _disposed(mapping: Node, findings: Findings) -> bool:
    """Return whether the mapping is in force, and report what its metadata says beside the ordinary."""
    in_force = True
    for entry in mapping.children("metadata"):
        key, value = entry.text("key", needed=True), entry.held.get("value")
        said: Any = value
        if isinstance(value, str):
            try:
                said = orjson.loads(value)
            except orjson.JSONDecodeError:
                said = value
        if key == "Disposition" and said in ("Discard", "Escrow"):
            findings.left_out(entry.path, f"the object mapping is not in force: Disposition {said}")
            in_force = False
        elif said != _ORDINARY.get(key, said) or (key not in _ORDINARY and said not in (False, None, "", "false")):
            findings.left_out(entry.path, f"metadata {key} has no counterpart")
    return in_force


def _name(directory: str) -> str:
    """Return a directory's name as a name of the configuration."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", directory).strip("-").lower()
    return name[:56] or "directory"


def _object_mapping(
    mapping: Node,
    kind: str,
    job: ImportedJob,
    definitions: Definitions,
    directories: tuple[str, str],
    findings: Findings,
) -> ImportedRules:
    rules = ImportedRules()
    words = [word.strip().casefold() for word in mapping.text("flowTypes").split(",") if word.strip()]
    for word in words:
        if word not in _ACTIONS:
            findings.left_out(mapping.at("flowTypes"), f"the flow type {word} is not known")
    rules.actions = [action for word, action in _ACTIONS.items() if word in words]
    findings.carried(mapping.at("flowTypes"), f"actions = {rules.actions}")
    source = definitions.of(directories[0], mapping.text("sourceObjectName"))
    target = definitions.of(directories[1], mapping.text("targetObjectName"))
    imported_mappings(mapping, kind, rules, source, target, findings)
    job.needs_domain = job.needs_domain or any("DefaultDomain" in str(m.get("expression")) for m in rules.attributes)
    scope = mapping.child("scope")
    if scope is not None:
        rules.filter = _filter(scope, findings)
    return rules


def _filter(scope: Node, findings: Findings) -> dict[str, Any] | None:
    scope.unknown(_SCOPE, findings)
    parts = []
    for key in ("groups", "inputFilterGroups", "categoryFilterGroups"):
        groups = [found for group in scope.children(key) if (found := _group(group, findings)) is not None]
        if not groups:
            continue
        if key != "groups":
            findings.changed(scope.at(key), "becomes part of the filter: who no longer passes is deprovisioned here")
        parts.append(groups[0] if len(groups) == 1 else {"any": groups})
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"all": parts}


def _group(group: Node, findings: Findings) -> dict[str, Any] | None:
    group.unknown(frozenset({"name", "clauses"}), findings)
    clauses = []
    for clause in group.children("clauses", needed=True):
        clause.unknown(_CLAUSE, findings)
        written = clause.text("operatorName", needed=True)
        operator = _OPERATORS.get(written.replace("_", " ").strip().casefold())
        if operator is None:
            raise Fault(clause.at("operatorName"), f"the operator {written!r} is not known")
        attribute = clause.text("sourceOperandName", needed=True)
        clauses.append(_clause(clause, attribute, operator, findings))
    if not clauses:
        findings.left_out(group.path, "has no clause")
        return None
    return clauses[0] if len(clauses) == 1 else {"all": clauses}


def _clause(clause: Node, attribute: str, operator: Operator, findings: Findings) -> dict[str, Any]:
    if operator in _UNARY:
        findings.carried(clause.path, f"{attribute} {operator}")
        return {"attribute": attribute, "operator": operator.value}
    operand = clause.child("targetOperand")
    values = [] if operand is None else list(operand.items("values"))
    if not values:
        raise Fault(clause.at("targetOperand.values"), f"{operator} needs a value")
    found: list[dict[str, Any]] = []
    for path, value in values:
        if not isinstance(value, str | bool | int | float):
            raise Fault(path, "must be a text")
        try:
            compile_condition(Clause(attribute, operator, str(value)))
        except ConfigError as error:
            raise Fault(path, error.problems[0].problem) from None
        found.append({"attribute": attribute, "operator": operator.value, "value": str(value)})
    if len(found) > 1:
        findings.changed(clause.path, "several values: one of them suffices")
        negative = operator in (Operator.NOT_EQUALS, Operator.NOT_REGEX_MATCH, Operator.BITS_ABSENT)
        return {"all" if negative else "any": found}
    findings.carried(clause.path, f"{attribute} {operator} …")
    return found[0]
