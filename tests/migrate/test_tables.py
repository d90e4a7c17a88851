"""Okta's mapping tables, and tables of roles."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from reconciler import config
from reconciler.core.model import AttributeMapping, Constant, Direct
from reconciler.migrate.findings import Fault, Findings
from reconciler.migrate.okta import import_okta
from reconciler.migrate.roles import import_roles
from tests.migrate.test_schema import run

WSOS = "urn:ietf:params:scim:schemas:extension:wsos:2.0:User"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
OKTA = f"""Display name,External name,External namespace,Source,Apply on
User name,userName,{CORE},user.email,create and update
Family name,name.familyName,{CORE},user.lastName,
Slack,accounts.^[type=='slack'].value,{CORE},user.email,
Role,roles.^[primary==true].value,{CORE},'general',create
Phonetic,name.familyNamePhonetic,{WSOS},user.phonetic,
Computed,title,{CORE},String.toUpperCase(user.title),
"""


def test_a_table_of_okta_becomes_a_job(tmp_path: Path) -> None:
    findings = Findings()
    path = tmp_path / "config.toml"
    path.write_text(import_okta(OKTA.encode(), findings, is_json=False), "utf-8")
    rules = config.load(path).jobs["app"].users
    assert rules is not None
    assert rules.mappings[:5] == (
        AttributeMapping("userName", Direct("email"), match=1),
        AttributeMapping("name.familyName", Direct("lastName")),
        AttributeMapping('accounts[type eq "slack"].value', Direct("email")),
        rules.mappings[3],
        AttributeMapping(f"{WSOS}:name.familyNamePhonetic", Direct("phonetic")),
    )
    assert rules.mappings[3].source == Constant("general")
    assert [str(one) for one in findings.found if one.outcome == "left out"] == [
        "left out      line 7: title: String.toUpperCase(user.title): Okta's expressions have no counterpart; write one"
    ]


def test_json_says_the_same() -> None:
    rows = [{"externalName": "userName", "externalNamespace": CORE, "mapping": "user.login"}]
    for written in (rows, {"mappings": rows}):
        result = run(written, "import-okta")
        assert result.exit_code == 0
        assert '{ to = "userName", from = "login", match = 1 }' in result.stdout


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("External name\nuserName\n", "line 1: has none of the columns source"),
        ("External name,Source\n", "holds no mapping"),
        ('External name,Source\n"x', "is no valid CSV"),
    ],
)
def test_what_is_no_table_of_okta_is_refused(written: str, says: str) -> None:
    result = run(written.encode(), "import-okta", ".csv")
    assert (result.exit_code, says in result.stderr, result.stdout) == (2, True, "")
    assert run(b"5", "import-okta").exit_code == 2


ROLES = """role,attribute,operator,value,group
agent,department,equals,Developer,1
agent,jobTitle,starts with,Mgr.,1
agent,,is a member of,Support,2
boss,level,greater than,7,
boss,email,is not empty,,
"""


def test_a_table_of_roles_becomes_conditions() -> None:
    written = import_roles(ROLES.encode(), Findings())
    agent, boss = (tomllib.loads(written)["roles"][name]["when"] for name in ("agent", "boss"))
    assert agent == {
        "any": [
            {
                "all": [
                    {"attribute": "department", "operator": "EQUALS", "value": "Developer"},
                    {"attribute": "jobTitle", "operator": "REGEX MATCH", "value": "^Mgr\\."},
                ]
            },
            {"member_of": "Support"},
        ]
    }
    assert boss == {
        "all": [
            {"attribute": "level", "operator": "Greater_Than", "value": "7"},
            {"attribute": "email", "operator": "IS NOT NULL"},
        ]
    }


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("a,b\n", "line 1: the heading must be"),
        ("role,attribute,operator,value\nx,y,like,z\n", "line 2: the operator 'like' is not known"),
        ("role,attribute,operator,value\nx,y,matches,(\n", "line 2: y REGEX MATCH"),
        ("role,attribute,operator,value\nx,,equals,z\n", "line 2: needs an attribute"),
        ("role,attribute,operator,value\n,y,equals,z\n", "line 2: needs a role"),
        ("role,attribute,operator,value\nx,,member of,\n", "line 2: member of needs the group as value"),
        ("role,attribute,operator,value\n", "has no row"),
        ("role,attribute,operator,value\na,b,=,c,d\n", "line 2: has 5 cells"),
    ],
)
def test_what_is_no_table_of_roles_is_refused(written: str, says: str) -> None:
    with pytest.raises(Fault) as raised:
        import_roles(written.encode(), Findings())
    assert says in str(raised.value)
    assert run(written.encode(), "import-roles", ".csv").exit_code == 2


def test_an_import_is_told_line_by_line() -> None:
    result = run(json.dumps([{"to": "x", "from": "user.y"}]).encode(), "import-okta")
    assert result.stderr.splitlines()[0] == "carried over  $[0]: x ← y"
