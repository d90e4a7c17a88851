"""The page about the configuration says everything that there is."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from reconciler import config
from reconciler.config.profiles import ProfileTable
from reconciler.config.rest_table import DescriptionTable
from reconciler.core.model import Operator

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
SECTIONS = {
    "ConfigTable": "## Top level",
    "SecretPlace": "## Secrets",
    "StateTable": "## state",
    "LogTable": "## log",
    "ControlTable": "## control",
    "MetricsTable": "## metrics",
    "MailTable": "## mail",
    "FileSourceTable": "## sources",
    "SqlSourceTable": "### A database",
    "RestSourceTable": "### A system with a REST API",
    "KeyTable": "### A system with a REST API",
    "TakeTable": "#### Descriptions",
    "PagingTable": "#### Descriptions",
    "ListTable": "#### Descriptions",
    "JoinTable": "#### Descriptions",
    "MembersTable": "#### Descriptions",
    "DeletedTable": "#### Descriptions",
    "EntriesTable": "#### Descriptions",
    "AssignedListTable": "#### Descriptions",
    "DescriptionTable": "#### Descriptions",
    "ScimSourceTable": "### A system that speaks SCIM",
    "JoinedSourceTable": "### Several sources as one",
    "LdapSourceTable": "### A directory",
    "SimpleBindTable": "### A directory",
    "OtherBindTable": "### A directory",
    "GraphSourceTable": "### A tenant of Microsoft Graph",
    "ActiveTable": "## sources",
    "ScimTargetTable": "## targets",
    "GraphTargetTable": "## targets",
    "RestTargetTable": "## targets",
    "BearerTable": "## targets",
    "BasicTable": "## targets",
    "OAuthTable": "## targets",
    "RoleTable": "## roles",
    "LookupTableTable": "## tables",
    "Condition": "## Conditions",
    "JobTable": "## jobs",
    "AssignedTable": "## jobs",
    "TriggersTable": "### jobs.X.triggers",
    "DeprovisionTable": "### jobs.X.deprovision",
    "LeaveDateTable": "### jobs.X.deprovision",
    "TimezoneTable": "### jobs.X.deprovision",
    "UsersTable": "### jobs.X.users and jobs.X.groups",
    "GroupsTable": "### jobs.X.users and jobs.X.groups",
    "MappingTable": "### jobs.X.users and jobs.X.groups",
    "ProfileTable": "## Profiles",
    "KindTable": "## Profiles",
    "LinkTable": "## Profiles",
    "EvidenceTable": "## Profiles",
    "OptionalTable": "## Profiles",
    "FirstJobTable": "## Profiles",
    "AttributeTable": "## Profiles",
    **dict.fromkeys(
        ("RestTable", "CollectionTable", "GroupCollectionTable", "OperationTable", "FindTable", "MeaningTable"),
        "### Apps with a REST API",
    ),
    "MemberListTable": "### Apps with a REST API",
    "ActiveShownTable": "### Apps with a REST API",
}


def section(heading: str) -> str:
    return re.split(r"^##+ ", PAGE.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@cache
def tables() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, schema in (
        ("ConfigTable", config.json_schema()),
        ("ProfileTable", ProfileTable.model_json_schema()),
        ("DescriptionTable", DescriptionTable.model_json_schema()),
    ):
        for table, described in {name: schema, **schema["$defs"]}.items():
            if "properties" in described:
                found[table] = list(described["properties"])
    return found


@pytest.mark.parametrize("table", tables())
def test_every_key_is_explained(table: str) -> None:
    text = section(SECTIONS[table])
    assert [key for key in tables()[table] if f"`{key}`" not in text] == []


@pytest.mark.parametrize("page", sorted((Path(__file__).parents[2] / "docs" / "sources").glob("*.md")), ids=str)
def test_the_page_of_each_source_has_a_configuration_permissions_and_what_it_cannot_see(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "```toml\n[state]" in text
    for heading in ("Permissions", "What it cannot see"):
        [said] = re.findall(rf"^## {heading}.*\n\n(.+)", text, re.MULTILINE)
        assert said


def test_every_operator_is_explained() -> None:
    assert [operator for operator in Operator if f"`{operator}`" not in section("## Conditions")] == []


def test_every_default_of_the_tables_is_the_one_that_is_written() -> None:
    schema = config.json_schema()
    wrong = []
    for table, described in schema["$defs"].items():
        for key, node in described.get("properties", {}).items():
            default = node.get("default")
            if default is None or table == "Condition":
                continue
            shown = str(default).lower() if isinstance(default, bool | int) else f'"{default}"'
            rows = [
                line for line in section(SECTIONS[table]).splitlines() if line.startswith("|") and f"`{key}`" in line
            ]
            if not any(f"`{shown}`" in row for row in rows):
                wrong.append((table, key, shown))
    assert wrong == []
