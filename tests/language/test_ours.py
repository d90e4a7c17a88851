"""What the language has beyond Entra: And, Or, adding, tables, groups, a test by regular expression."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import EvaluationError
from reconciler.language import IGNORE_FLOW, Context, LookupTable, compile_expression
from reconciler.language.functions import TableUse

HER = {"name": "Ann", "five": "5", "hired": "2025-03-31", "left": "2025-04-10T12:00:00Z", "many": ["x1", "y"]}
TABLES = {"regions": LookupTable(("code", "name", "zip"), {"BE": ("BE", "Bern", "3000"), "5": ("5", "five", "")})}


def member_of(group: str, nested: bool) -> bool | None:
    return {"Staff": True, "Guests": nested, "Lost": None}[group]


def of(expression: str, **world: Any) -> Any:
    return compile_expression(expression).evaluate(Context(HER, tables=TABLES, member_of=member_of, **world))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('And([name] = "Ann", [five] > 4)', True),
        ('And([name] = "Ann", [nothing])', False),
        ('And([name] = "Bob", Error("never"))', False),
        ('Or([name] = "Bob", [five] > 4, Error("never"))', True),
        ("Or([nothing], 0)", False),
        ('IIF(Or([name] = "Ann", [name] = "Bob"), "known", "other")', "known"),
        ("Not(And(1, 1))", "False"),
        ("[five] + 1", 6),
        ("[five] - 1.5 + 1", 4.5),
        ("[nothing] + 1", None),
        ("[hired] + 7", "4/7/2025 12:00:00 AM"),
        ("7 + [hired]", "4/7/2025 12:00:00 AM"),
        ("CDate([hired]) - 31", "2/28/2025 12:00:00 AM"),
        ("[left] - [hired]", 10.5),
        ("[hired] - CDate([hired])", 0),
        ('"t" & [five] + 1', "t6"),
        ("IIF([left] - [hired] >= 10, 1, 2)", 1),
        ('Lookup("regions", "BE")', "Bern"),
        ('Lookup("regions", "be")', None),
        ('Lookup("regions", [five])', "five"),
        ('Lookup("regions", 5)', "five"),
        ('Lookup("regions", [nothing], "none")', "none"),
        ('Lookup("regions", "GE", [name])', "Ann"),
        ('Lookup("regions", "BE", , "zip")', "3000"),
        ('MemberOf("Staff")', True),
        ('MemberOf("Guests")', False),
        ('MemberOf("Guests", "true")', True),
        ('IIF(MemberOf("Lost"), "in", "out")', IGNORE_FLOW),
        (r'RegexMatch([name], "^A\\w+$")', True),
        (r'RegexMatch([name], "^a")', False),
        (r'RegexMatch([many], "\\d")', True),
        (r'RegexMatch([nothing], ".*")', False),
    ],
)
def test_what_comes_out(expression: str, expected: Any) -> None:
    found = of(expression)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("[name] + 1", r"join texts with &"),
        ("[hired] + [left]", r"take numbers, or a date and days"),
        ("[hired] + 99999999", "years 1 to 9999"),
        ('Lookup("nowhere", "x")', r"no table nowhere.*\[tables.nowhere\]"),
        ('Lookup("regions", "BE", , "country")', "no column country; it has code, name, zip"),
        ('RegexMatch([name], [name] & "(")', "RegexMatch got a regular expression"),
        ('And([name] & "", 1)', "a condition of And"),
    ],
)
def test_a_failure_says_what_is_wrong_without_the_value(expression: str, says: str) -> None:
    with pytest.raises(EvaluationError, match=says) as raised:
        of(expression)
    assert "Ann" not in str(raised.value)


def test_without_groups_a_membership_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="no groups were given"):
        compile_expression('MemberOf("Staff")').evaluate(Context(HER))


def test_what_it_needs_of_the_world_is_known_before_it_runs() -> None:
    compiled = compile_expression('IIF(MemberOf("A", "true"), Lookup("t", [x], , "c"), MemberOf("B"))')
    assert compiled.groups == {("A", True), ("B", False)}
    assert compiled.tables == {TableUse("t", ("c",), 2)}
    assert compiled.calls == {"IIF", "MemberOf", "Lookup"}
    formula = compile_expression("=XLOOKUP([x],T[k],T[v])&VLOOKUP([x],U,3)")
    assert formula.tables == {TableUse("T", ("k", "v"), 1), TableUse("U", (), 3)}


@pytest.mark.parametrize(
    "inner",
    [
        'Replace({}, "n", , , "nnnnnnnnnnnn", , )',
        "ConvertToBase64({})",
        "ConvertToUTF8Hex({})",
        'Join({0}, Split({0}, "n"), "n")',
    ],
)
def test_rules_within_rules_fill_no_memory(inner: str) -> None:
    expression = "[name]"
    while len(inner.replace("{}", expression).replace("{0}", expression)) < 9_000 and expression.count("(") < 140:
        expression = inner.replace("{}", expression).replace("{0}", expression)
    try:
        assert len(of(expression)) <= 3_000_000
    except EvaluationError as error:
        assert "more than 1,000,000 characters" in str(error)
