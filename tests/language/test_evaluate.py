"""`reconciler evaluate` for a person, as well as line by line for a program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner, Result

from reconciler.cli import cli


def run(*arguments: str, attributes: dict[str, Any] | None = None, stdin: str | bytes | None = None) -> Result:
    with TemporaryDirectory() as folder:
        if attributes is not None:
            file = Path(folder) / "her.json"
            file.write_text(json.dumps(attributes), "utf-8")
            arguments = (*arguments, "--attributes", str(file))
        return CliRunner().invoke(cli, ["evaluate", *arguments], input=stdin)


@pytest.mark.parametrize(
    ("expression", "attributes", "answer"),
    [
        ("ToUpper([name])", {"name": "Zoë"}, {"result": "ZOË"}),
        ("[list]", {"list": ["a", 1, True, None]}, {"result": ["a", 1, True, None]}),
        ("IsPresent([name])", {"name": "x"}, {"result": True}),
        ("[name]", {}, {"result": None}),
        ("Redact([name])", {"name": "x"}, {"result": "x", "logged": "[Redact]"}),
        ("IgnoreFlowIfNullOrEmpty([name])", {}, {"flow": "ignored"}),
        ("IgnoreObjectFlow", {}, {"object": "ignored"}),
        ("BitAnd(&HFFFFFFFFFFFFFFFFFFFF, &HFFFFFFFFFFFFFFFFFFFF)", {}, {"result": 2**80 - 1}),
    ],
)
def test_json_prints_one_object(expression: str, attributes: dict[str, Any], answer: dict[str, Any]) -> None:
    result = run(expression, "--json", attributes=attributes)
    assert (json.loads(result.stdout), result.exit_code) == (answer, 0)


def test_a_formula_is_evaluated_with_or_without_its_sign() -> None:
    assert run("PROPER([name])", "--excel", attributes={"name": "ann lee"}).stdout == "Ann Lee\n"
    assert run("=IFERROR(1/0, [name])", attributes={"name": "Ann"}).stdout == "Ann\n"
    result = run("Lefd([name])", "--excel", "--json")
    assert json.loads(result.stdout) == {"error": "unknown function Lefd at character 2 (did you mean LEFT?)"}
    assert run('IIF(MemberOf("Staff"), "in", "out")', "--group", "Staff").stdout == "in\n"


def test_an_evaluation_error_exits_1() -> None:
    result = run('Error("no name")', "--json")
    assert (json.loads(result.stdout), result.exit_code) == ({"error": "no name"}, 1)
    result = run('Error("no name")')
    assert (result.stdout, result.stderr, result.exit_code) == ("", "error: no name\n", 1)


def test_a_syntax_error_exits_2_and_points_at_the_place() -> None:
    result = run('Join(",",\n  Lefd([a], 1))')
    assert (result.stdout, result.exit_code) == ("", 2)
    assert result.stderr.splitlines() == [
        "error: unknown function Lefd at character 13 (did you mean Left?)",
        "    Lefd([a], 1))",
        "    ^",
    ]
    result = run("Lefd([a], 1)", "--json")
    assert json.loads(result.stdout) == {"error": "unknown function Lefd at character 1 (did you mean Left?)"}
    assert result.exit_code == 2


def test_people_read_plain_text() -> None:
    assert run("[a]", attributes={"a": "text"}).stdout == "text\n"
    assert run("[a]", attributes={"a": True}).stdout == "True\n"
    assert run("[a]", attributes={"a": ["x", 1]}).stdout == '["x",1]\n'
    assert run("[a]").stdout == "null\n"
    assert run("IgnoreAttributeFlow").stdout == "(the attribute does not flow)\n"


def test_the_world_is_given_by_options() -> None:
    assert run("Now()", "--now", "2025-08-01T12:00:00Z").stdout == "8/1/2025 12:00:00 PM\n"
    assert run("DefaultDomain()", "--default-domain", "example.com").stdout == "example.com\n"
    assert run('SelectUniqueValue("Ann", "Ann1", "Ann2")', "--taken", "ann", "--taken", "ANN1").stdout == "Ann2\n"
    assert len(run("RandomString(12,1,1,1,1)").stdout) == 13


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("[a]", "--excel", "--trace", "--now", "then"), "now must be a date"),
        (("[a]", "--now", "soon"), "now must be a date"),
        (("[a]", "--attributes", "missing.json"), "missing.json"),
        ((), "Missing argument"),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, says in result.stderr) == (2, True)


@pytest.mark.parametrize(("content", "says"), [("[]", "one JSON object"), ('{"a": "secret', "line 1 is not JSON")])
def test_attributes_that_are_no_object_exit_2(content: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "her.json"
    file.write_text(content, "utf-8")
    result = run("[a]", "--attributes", str(file))
    assert (result.exit_code, says in result.stderr, "secret" in result.stderr) == (2, True, False)


def test_a_stream_answers_each_line_and_survives_the_bad_ones() -> None:
    lines: list[tuple[str | bytes, dict[str, Any] | str]] = [
        ('{"expression": "[a]", "attributes": {"a": [1, true]}}', {"result": [1, True]}),
        ("junk", "this line is not JSON"),
        ("", "this line is not JSON"),
        ("[" * 100_000, "this line is not JSON"),
        (b"\xff", "this line is not JSON"),
        ("[]", 'with an "expression"'),
        ('{"attributes": {}}', 'with an "expression"'),
        ('{"expression": "Nope()"}', "unknown function Nope"),
        ('{"expression": "[a]", "attributes": []}', '"attributes" must be an object'),
        ('{"expression": "[a]", "taken": "x"}', '"taken" must be a list'),
        ('{"expression": "[a]", "default_domain": 1}', '"default_domain" must be a text'),
        ('{"expression": "[a]", "now": "soon"}', "now must be a date"),
        ('{"expression": "[a]", "attributes": null, "now": null}', {"result": "her"}),
        ('{"expression": "CDate([a])", "attributes": {}}', "needs a date"),
        ('{"expression": "Now()", "now": "2025-08-01"}', {"result": "8/1/2025 12:00:00 AM"}),
        ('{"expression": "Now()", "now": 0}', {"result": "1/1/1970 12:00:00 AM"}),
        (
            '{"expression": "SelectUniqueValue([a], [b])", "attributes": {"a": "X", "b": "y"}, "taken": ["x"]}',
            {"result": "y"},
        ),
        ('{"expression": "DefaultDomain()", "default_domain": "example.com"}', {"result": "example.com"}),
        ('{"expression": "Append(\\"é\\", \\"王\\")"}', {"result": "é王"}),
        ('{"expression": "LEN([a])", "excel": true}', {"result": 3}),
        ('{"expression": "=LEN([a])"}', {"result": 3}),
        ('{"expression": "MemberOf(\\"G\\")", "groups": ["G"]}', {"result": True}),
        ('{"expression": "MemberOf(\\"G\\")", "groups": "G"}', '"groups" must be a list'),
        ('{"expression": "Lookup(\\"t\\", \\"k\\")", "tables": {"t": {"k": "v"}}}', {"result": "v"}),
        ('{"expression": "Lookup(\\"t\\", \\"k\\")", "tables": []}', '"tables" must be an object'),
    ]
    fed = b"\n".join(line.encode() if isinstance(line, str) else line for line, _ in lines) + b"\n"
    result = run("-", attributes={"a": "her"}, stdin=fed)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert (len(answers), result.exit_code) == (len(lines), 0)
    for answer, (_, expected) in zip(answers, lines, strict=True):
        if isinstance(expected, str):
            assert list(answer) == ["error"]
            assert expected in answer["error"]
        else:
            assert answer == expected


def test_a_trace_shows_every_part_that_was_evaluated() -> None:
    result = run('IIF([a] = "x", Append(Left([b], 2), "!"), CDate([c]))', "--trace", attributes={"a": "x", "b": "bee"})
    assert result.stdout == "be!\n"
    assert result.stderr.splitlines() == [
        'IIF([a] = "x", Append(Left([b], 2), "!"), CDate([c])) → "be!"',
        '  [a] = "x" → True',
        '    [a] → "x"',
        '  Append(Left([b], 2), "!") → "be!"',
        '    Left([b], 2) → "be"',
        '      [b] → "bee"',
    ]


def test_a_trace_in_json_shows_where_it_failed() -> None:
    result = run("Append(CDate([a]), [b])", "--trace", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [(step["depth"], step["expression"], sorted(step)) for step in answer["trace"]] == [
        (0, "Append(CDate([a]), [b])", ["depth", "error", "expression"]),
        (1, "CDate([a])", ["depth", "error", "expression"]),
        (2, "[a]", ["depth", "expression", "value"]),
    ]


def test_a_trace_shows_the_attribute_that_a_switch_reads() -> None:
    answer = json.loads(run('Switch([a], "d", "k", "v")', "--trace", "--json", attributes={"a": "k"}).stdout)
    assert answer["result"] == "v"
    assert answer["trace"][1] == {"depth": 1, "expression": "[a]", "value": "k"}


def test_a_trace_keeps_what_is_redacted() -> None:
    result = run('Append(Redact([a]), "!")', "--trace", "--json", attributes={"a": "secret"})
    answer = json.loads(result.stdout)
    assert answer["result"] == "secret!"
    assert "secret" not in json.dumps(answer["trace"])


def test_the_installed_program_streams() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "evaluate", "-"],
        input='{"expression": "Not([a])", "attributes": {"a": true}}\n',
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == {"result": "False"}


JOB = """
[sources.staff]
type = "file"
users = "users.jsonl"
[targets.app]
type = "scim"
url = "https://app.example.com/scim"
[tables.cities]
entries = { BE = "Bern" }
[jobs.app]
source = "staff"
target = "app"
scope = "all"
default_domain = "example.com"
[jobs.app.users]
attributes = [
  { to = "userName", expression = 'Join("@", [id], DefaultDomain())', match = 1 },
  { to = "active", expression = "Not([IsSoftDeleted])" },
  { to = "title", from = "jobTitle" },
  { to = "locale", constant = "de" },
  { to = "nickName", expression = 'Lookup("cities", [city])' },
  { to = "profileUrl", expression = "IgnoreAttributeFlow" },
]
"""
ANN = {"id": "ann", "jobTitle": "Head", "city": "BE"}


def job(directory: Path, **attributes: Any) -> str:
    (directory / "config.toml").write_text(JOB, "utf-8")
    (directory / "users.jsonl").write_text(json.dumps({**ANN, **attributes}) + "\n", "utf-8")
    return str(directory / "config.toml")


def test_all_mappings_of_a_job_on_somebody_of_its_source(tmp_path: Path) -> None:
    result = run("--job", "app", "--user", "ann", "-c", job(tmp_path))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        'userName    "ann@example.com"',
        'active      "True"',
        'title       "Head"',
        'locale      "de"',
        'nickName    "Bern"',
        "profileUrl  (the attribute does not flow)",
    ]
    result = run("--job", "app", "--json", "-c", job(tmp_path), attributes={"id": "bob"})
    assert json.loads(result.stdout)["mappings"][:3] == [
        {"to": "userName", "expression": 'Join("@", [id], DefaultDomain())', "result": "bob@example.com"},
        {"to": "active", "expression": "Not([IsSoftDeleted])", "result": "True"},
        {"to": "title", "expression": "[jobTitle]", "result": None},
    ]


def test_an_expression_with_what_a_job_knows(tmp_path: Path) -> None:
    path = job(tmp_path)
    assert run('Lookup("cities", [city])', "--job", "app", "--user", "ann", "-c", path).stdout == "Bern\n"
    result = run("VLOOKUP([city],cities,2)", "--excel", "--job", "app", "-c", path, attributes={"city": "BE"})
    assert result.stdout == "Bern\n"


def test_what_only_a_cycle_knows_of_somebody_is_named(tmp_path: Path) -> None:
    path = job(tmp_path)
    assert run("--job", "app", "--user", "ann", "-c", path).stderr == (
        "note: scope, roles and groups are not judged here: IsSoftDeleted counts as null; "
        "`reconciler provision app ann --dry-run` judges them\n"
    )
    spaced = run("--job", "app", "--user", "ann o", "-c", job(tmp_path, id="ann o")).stderr
    assert "`reconciler provision app 'ann o' --dry-run`" in spaced, "it can be pasted"
    path = job(tmp_path)
    asked = ('IIF(MemberOf("Leads"), [role], "-")', "--job", "app", "--user", "ann", "-c", path)
    assert "role counts as null, MemberOf as false;" in run(*asked).stderr
    assert "MemberOf" not in run(*asked, "--group", "Leads").stderr
    assert run("[jobTitle]", "--job", "app", "--user", "ann", "-c", path).stderr == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--job", "ap"), "there is no job ap"),
        (("--job", "app", "--user", "bob"), "has nobody with this id"),
        (("[a]", "--user", "ann"), "--user goes with --job"),
    ],
)
def test_a_job_or_a_person_that_is_not_there_is_told(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    result = run(*arguments, "-c", job(tmp_path))
    assert result.exit_code != 0
    assert says in result.stderr + str(result.exception)
