"""Tables that rules look values up in, and what `check` says of expressions that need something of the world."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import config
from reconciler.errors import ConfigError
from reconciler.language import LookupTable

CONFIG = """
[sources.staff]
type = "file"
users = "users.jsonl"
groups = "groups.jsonl"
[targets.app]
type = "scim"
url = "https://app.example.com/scim"
{tables}
[jobs.app]
source = "staff"
target = "app"
scope = "all"
{job}
[jobs.app.users]
attributes = [
  {{ to = "userName", from = "userPrincipalName", match = 1 }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {mapping}
]
"""


def load(directory: Path, mapping: str, *, tables: str = "", job: str = "") -> config.Config:
    path = directory / "config.toml"
    path.write_text(CONFIG.format(mapping=mapping, tables=tables, job=job), "utf-8")
    return config.load(path)


def title(expression: str, more: str = "") -> str:
    return f"{{ to = \"title\", expression = '''{expression}'''{more} }},"


def table_of(directory: Path, name: str, content: str, more: str = "") -> LookupTable:
    (directory / name).write_text(content, "utf-8")
    tables = f'[tables.t]\nfile = "{name}"\n{more}'
    rules = load(directory, title('Lookup("t", [a])'), tables=tables).jobs["app"].users
    assert rules is not None
    return rules.tables["t"]


@pytest.mark.parametrize(
    ("name", "content", "more", "expected"),
    [
        (
            "t.csv",
            "\ufeffcode,name\nBE,Bern\n\n ZH , Zürich \n",
            "",
            (("code", "name"), {"BE": ("BE", "Bern"), "ZH": ("ZH", "Zürich")}),
        ),
        ("t.csv", 'a,b,c\n"x,y",2,3\n', 'key = "c"', (("c", "a", "b"), {"3": ("3", "x,y", "2")})),
        ("t.tsv", "a\tb\n1\t2\n", "", (("a", "b"), {"1": ("1", "2")})),
        ("t.toml", 'BE = "Bern"\nn = 5\n', "", (("key", "value"), {"BE": ("BE", "Bern"), "n": ("n", "5")})),
        (
            "t.toml",
            '[BE]\nname = "Bern"\n[ZH]\nname = "Zürich"\nzip = 8000\n',
            "",
            (("key", "name", "zip"), {"BE": ("BE", "Bern", ""), "ZH": ("ZH", "Zürich", "8000")}),
        ),
    ],
)
def test_what_a_table_holds(
    tmp_path: Path, name: str, content: str, more: str, expected: tuple[object, object]
) -> None:
    found = table_of(tmp_path, name, content, more)
    assert (found.columns, found.rows) == expected


def test_entries_stand_in_the_configuration_and_only_used_tables_belong_to_the_rules(tmp_path: Path) -> None:
    tables = '[tables]\nt = { entries = { BE = "Bern", five = 5 } }\nother = { entries = {} }'
    rules = load(tmp_path, title('Lookup("t", [a])'), tables=tables).jobs["app"].users
    assert rules is not None
    assert dict(rules.tables) == {"t": LookupTable(("key", "value"), {"BE": ("BE", "Bern"), "five": ("five", "5")})}


def test_another_content_is_another_version_of_the_rules(tmp_path: Path) -> None:
    def version(value: str) -> str:
        loaded = load(tmp_path, title('Lookup("t", [a])'), tables=f'[tables.t]\nentries = {{ BE = "{value}" }}')
        return config.rules_version(loaded.jobs["app"], loaded.profiles["app"])

    assert version("Bern") == version("Bern") != version("Berne")


@pytest.mark.parametrize(
    ("name", "content", "more", "says"),
    [
        ("t.csv", "code\nBE\n", "", "t.csv line 1: the heading must name two columns"),
        ("t.csv", "a,a\n", "", "each once"),
        ("t.csv", "a,b\n1\n", "", "t.csv line 2: has 1 cells where the heading has 2"),
        ("t.csv", "a,b\n1,2\n1,3\n", "", "t.csv line 3: has a key that stands further up already: column a"),
        ("t.csv", "a,b\n", 'key = "c"', "has no column c (columns: a, b)"),
        ("t.csv", 'a,b\n"1,2\n', "", "is no valid CSV"),
        ("t.csv", "a,b\n", "", "t.csv: has no rows"),
        ("t.toml", "", "", "t.toml: has no rows"),
        ("t.toml", f"a = {'[' * 9999}", "", "t.toml: is no valid TOML"),
        ("t.toml", "a = \n", "", "t.toml: is no valid TOML"),
        ("t.toml", "a = [1]\n", "", "holds more than"),
        ("t.txt", "a,b\n", "", "tables are .csv, .tsv or .toml"),
        ("t.toml", 'a = "b"\n', 'key = "c"', "key goes with a .csv or .tsv file"),
        ("t.csv", "a,b\n", "entries = {}", "exactly one of file, entries"),
    ],
)
def test_a_table_that_is_none_says_where(tmp_path: Path, name: str, content: str, more: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        table_of(tmp_path, name, content, more)
    assert says in str(raised.value)


def test_a_table_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, title('Lookup("t", [a], , "name")'), tables='[tables.t]\nfile = "no.csv"')
    assert [str(problem) for problem in raised.value.problems] == [
        f"{tmp_path / 'no.csv'}: cannot be read: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (title('Lookup("city", [a])'), "unknown table 'city' (did you mean 'cities'?)"),
        (title('Lookup("cities", [a], , "nam")'), "no column 'nam' (did you mean 'name'?)"),
        (title("=VLOOKUP([a], cities, 3)"), "the table cities has 2 columns, not 3"),
        (title("DefaultDomain()"), 'write default_domain = "example.com" in the job'),
        ('{ to = "nickName", match = 2, expression = "SelectUniqueValue([a], [b])" },', "finds no account"),
    ],
)
def test_what_an_expression_needs_is_missed_by_check(tmp_path: Path, mapping: str, says: str) -> None:
    (tmp_path / "cities.csv").write_text("code,name\nBE,Bern\n", "utf-8")
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, mapping, tables='[tables.cities]\nfile = "cities.csv"')
    assert says in str(raised.value)


def test_a_membership_in_the_mapping_of_groups_is_a_problem(tmp_path: Path) -> None:
    groups = """[jobs.app.groups]
attributes = [ { to = "displayName", from = "displayName", match = 1 }, { to = "members", from = "members" },
               { to = "externalId", expression = 'IIF(MemberOf("A"), "x", "y")' } ]"""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(mapping="", tables="", job="") + groups, "utf-8")
    with pytest.raises(ConfigError, match="MemberOf is about users"):
        config.load(path)


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (title("Guid()"), "Guid gives another value each time"),
        (title("RandomString(8, 1, 1, 1, 1)"), "RandomString gives another value each time"),
        (title("=RANDBETWEEN(1, 6)"), "RANDBETWEEN gives another value"),
        (title("=TODAY()"), "reads the time"),
        (title('IIF(DateDiff("d", Now(), [a]) > 0, 1, 2)'), "reads the time"),
        (title("Guid()", ', apply = "create"'), ""),
        (title("Now()", ', apply = "create"'), ""),
        (title("[a]"), ""),
    ],
)
def test_what_is_another_value_each_time_is_warned_of(tmp_path: Path, mapping: str, says: str) -> None:
    warnings = [str(one) for one in load(tmp_path, mapping).warnings if one.where.endswith(".expression")]
    assert [says in warning for warning in warnings] == ([True] if says else [])
