"""An exported synchronization schema becomes a configuration that `check` accepts, or is refused with its place."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import config
from reconciler.cli import cli
from reconciler.core.model import Apply, AttributeMapping, Constant, Direct, FromExpression, Untouched, WhenNull
from reconciler.migrate.findings import Fault, Findings
from reconciler.migrate.schema import import_schema
from tests.migrate.exported import Json, attribute, clause, direct, function, mapping, object_mapping, schema


def run(exported: Any, command: str = "import-schema", suffix: str = ".json") -> Result:
    with TemporaryDirectory() as directory:
        file = Path(directory) / f"file{suffix}"
        file.write_bytes(exported if isinstance(exported, bytes) else json.dumps(exported).encode())
        return CliRunner().invoke(cli, [command, str(file)])


def loaded(exported: Json, directory: Path) -> config.Config:
    findings = Findings()
    path = directory / "config.toml"
    path.write_text(import_schema(json.dumps(exported).encode(), findings), "utf-8")
    return config.load(path)


def test_a_realistic_schema_passes_check_and_loses_nothing(tmp_path: Path) -> None:
    job = loaded(schema(), tmp_path).jobs["customappsso"]
    assert job.users is not None
    assert job.groups is not None
    assert (len(job.users.mappings), len(job.groups.mappings)) == (40, 3)
    assert (job.enabled, job.users.filter is not None, job.groups.filter) == (False, True, None)
    result = run(schema())
    assert result.exit_code == 0
    assert "49 carried over, 3 changed, 0 left out" in result.stderr


def only(*mappings: Json, directory: Path, **definitions: Any) -> tuple[AttributeMapping, ...]:
    exported = schema()
    users = exported["synchronizationRules"][0]["objectMappings"][0]
    users["attributeMappings"] = [direct("userName", "userPrincipalName", matchingPriority=1), *mappings]
    users["scope"] = None
    rules = loaded(exported, directory).jobs["customappsso"].users
    assert rules is not None
    return rules.mappings[1:]


CONSTANT = {"expression": '"a \\"b\\""', "name": "whatever", "type": "Constant", "parameters": []}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (direct("title", "jobTitle"), AttributeMapping("title", Direct("jobTitle"))),
        (mapping("title", CONSTANT), AttributeMapping("title", Constant('a "b"'))),
        (mapping("title", None, defaultValue="x"), AttributeMapping("title", Untouched(), default="x")),
        (
            mapping("title", None, defaultValue="x", flowType="ObjectAddOnly"),
            AttributeMapping("title", Constant("x"), apply=Apply.CREATE),
        ),
        (
            direct("title", "jobTitle", flowType="ObjectAddOnly", defaultValue="-"),
            AttributeMapping("title", Direct("jobTitle"), apply=Apply.CREATE, default="-"),
        ),
        (
            direct("title", "jobTitle", flowType="AttributeAddOnly"),
            AttributeMapping("title", Direct("jobTitle"), apply=Apply.IF_EMPTY),
        ),
        (
            direct("title", "jobTitle", flowType="ValueAddOnly"),
            AttributeMapping("title", Direct("jobTitle"), apply=Apply.ADD_ONLY),
        ),
        (
            direct("title", "jobTitle", flowNullValues=True),
            AttributeMapping("title", Direct("jobTitle"), when_null=WhenNull.CLEAR),
        ),
        (
            direct("externalId", "objectId", matchingPriority=2),
            AttributeMapping("externalId", Direct("objectId"), match=2),
        ),
        (
            direct("externalId", "objectId", matchingPriority=1),
            AttributeMapping("externalId", Direct("objectId"), match=2),
        ),
        (
            function("title", "ToUpper([jobTitle])"),
            AttributeMapping("title", FromExpression("ToUpper([jobTitle])")),
        ),
        (
            mapping("title", {"expression": "", "name": "jobTitle", "type": "Attribute", "parameters": []}),
            AttributeMapping("title", Direct("jobTitle")),
        ),
        (
            # the expression counts, not what stands beside it
            mapping("title", {**attribute("[jobTitle]", "other"), "type": "Function"}),
            AttributeMapping("title", Direct("jobTitle")),
        ),
        (
            direct("accounts.^[type=='slack'].value", "mail"),
            AttributeMapping('accounts[type eq "slack"].value', Direct("mail")),
        ),
    ],
)
def test_one_mapping(written: Json, expected: AttributeMapping, tmp_path: Path) -> None:
    assert only(written, directory=tmp_path) == (expected,)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (function("title", "Foo([a])"), "title: Foo([a]): unknown function Foo"),
        (function("title", "=UPPER([a])"), "title: =UPPER([a])"),
        (mapping("title", None), "title: has neither source nor default"),
        (direct("emails[", "mail"), "emails[: is no attribute path"),
        (direct("userName", "mail"), "userName: cannot stand beside userName"),
        (mapping("title", CONSTANT, matchingPriority=1), "a constant finds no account"),
        ({**direct("title", "a"), "secretKey": 1}, "secretKey: this key is not known"),
    ],
)
def test_what_cannot_be_carried_over_is_told_and_the_rest_goes_on(written: Json, says: str) -> None:
    exported = schema()
    exported["synchronizationRules"][0]["objectMappings"][0]["attributeMappings"].insert(1, written)
    result = run(exported)
    assert (result.exit_code, result.stdout.startswith("# Imported")) == (0, True)
    assert any(line.startswith("left out") and says in line for line in result.stderr.splitlines())


def rule_of(exported: Json) -> Json:
    rule: Json = exported["synchronizationRules"][0]
    return rule


def users_of(exported: Json) -> Json:
    users: Json = rule_of(exported)["objectMappings"][0]
    return users


def set_at(*path: Any, value: Any) -> Callable[[Json], None]:
    def change(exported: Json) -> None:
        held: Any = exported
        for part in path[:-1]:
            held = held[part]
        held[path[-1]] = value

    return change


MAPPINGS = ("synchronizationRules", 0, "objectMappings")
CLAUSES = (*MAPPINGS, 0, "scope", "groups", 0, "clauses")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (set_at("synchronizationRules", value=None), "$.synchronizationRules: is missing"),
        (set_at("synchronizationRules", value={}), "$.synchronizationRules: must be a list"),
        (set_at("synchronizationRules", value=[]), "$.synchronizationRules: no object mapping"),
        (set_at("synchronizationRules", 0, value=5), "$.synchronizationRules[0]: must be an object"),
        (set_at("synchronizationRules", 0, "priority", value="1"), "[0].priority: must be a whole number"),
        (set_at(*MAPPINGS, 0, "enabled", value="yes"), "objectMappings[0].enabled: must be true or false"),
        (set_at(*MAPPINGS, 0, "attributeMappings", value=None), "objectMappings[0].attributeMappings: is missing"),
        (
            set_at(*MAPPINGS, 0, "attributeMappings", 0, "targetAttributeName", value=None),
            "attributeMappings[0].targetAttributeName: is missing",
        ),
        (
            set_at(*MAPPINGS, 0, "attributeMappings", 0, "source", "expression", value=[]),
            "attributeMappings[0].source.expression: must be a text",
        ),
        (set_at(*MAPPINGS, 0, "attributeMappings", 0, "flowType", value="Now"), "the flow type 'Now' is not known"),
        (set_at(*CLAUSES, 0, "operatorName", value="LIKE"), "clauses[0].operatorName: the operator 'LIKE'"),
        (set_at(*CLAUSES, 0, "targetOperand", "values", value=[]), "clauses[0].targetOperand.values: EQUALS needs"),
        (
            set_at(*CLAUSES, 0, value=clause("a", "REGEX MATCH", "(")),
            "clauses[0].targetOperand.values[0]: a REGEX MATCH",
        ),
        (
            set_at(*CLAUSES, 0, value=clause("a", "Greater_Than", "x")),
            "clauses[0].targetOperand.values[0]: a Greater_Than",
        ),
        (
            set_at("directories", 0, "objects", 0, "attributes", 0, "name", value=1),
            "attributes[0].name: must be a text",
        ),
    ],
)
def test_a_bad_schema_is_refused_with_the_path_of_the_fault(change: Callable[[Json], None], says: str) -> None:
    exported = schema()
    change(exported)
    result = run(exported)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert "$." in result.stderr


@pytest.mark.parametrize(
    ("written", "says"), [(b"{", "is not JSON"), (b"[]", "$: must be an object"), (b"", "not JSON")]
)
def test_what_is_no_schema_is_refused(written: bytes, says: str) -> None:
    result = run(written)
    assert (result.exit_code, says in result.stderr) == (2, True)


def test_further_mappings_of_users_are_jobs_of_their_own(tmp_path: Path) -> None:
    exported = schema()
    more = object_mapping("User", "User", [direct("userName", "mail", matchingPriority=1)], None)
    rule_of(exported)["objectMappings"].append(more)
    assert list(loaded(exported, tmp_path).jobs) == ["customappsso", "customappsso-2"]


def test_only_groups_make_a_job_that_creates_no_users(tmp_path: Path) -> None:
    exported = schema()
    rule_of(exported)["objectMappings"].pop(0)
    job = loaded(exported, tmp_path).jobs["customappsso"]
    assert job.users is not None
    assert job.groups is not None
    assert {action.value for action in job.users.actions} == {"update"}


def test_early_filters_become_part_of_the_filter(tmp_path: Path) -> None:
    exported = schema()
    early = {"name": "early", "clauses": [clause("country", "IS NOT NULL")]}
    users_of(exported)["scope"] = {"groups": [], "inputFilterGroups": [early], "categoryFilterGroups": [early]}
    rules = loaded(exported, tmp_path).jobs["customappsso"].users
    assert rules is not None
    assert "deprovisioned here" in run(exported).stderr


def test_a_mapping_that_is_not_in_force_is_left_out() -> None:
    exported = schema()
    rule_of(exported)["objectMappings"][1]["metadata"][1]["value"] = '"Discard"'
    result = run(exported)
    assert result.exit_code == 0
    assert "Disposition Discard" in result.stderr
    assert "[jobs.customappsso.groups]" not in result.stdout


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8) | st.sampled_from(["User", "[a]", "EQUALS"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(held: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(held, dict):
        for key in held:
            found += places(held[key], (*path, key))
    elif isinstance(held, list):
        for index in range(len(held)):
            found += places(held[index], (*path, index))
    return found


PLACES = places(schema())


@settings(deadline=None, max_examples=120)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=3))
def test_any_change_is_imported_or_refused_politely(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    exported = schema()
    for path, value in changes:
        try:
            set_at(*path, value=value)(exported)
        except (TypeError, KeyError, IndexError):
            continue
    try:
        written = import_schema(json.dumps(exported).encode(), Findings())
    except Fault as fault:
        assert fault.where.startswith("$")
        return
    assert tomllib.loads(written)["jobs"]
