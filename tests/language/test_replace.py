"""Replace in its five modes, with regular expressions as .NET writes them."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import EvaluationError, ExpressionSyntaxError
from reconciler.language import Context, compile_expression
from reconciler.language.patterns import INPUT_MAX, PatternRefused, compile_pattern

PHONE = r'"\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})"'


def of(expression: str, attributes: dict[str, Any] | None = None) -> Any:
    return compile_expression(expression).evaluate(Context(attributes or {}))


@pytest.mark.parametrize(
    ("expression", "attributes", "expected"),
    [
        # oldValue and replacementValue
        ('Replace([a], "@contoso.com", , ,"", ,)', {"a": "john.doe@contoso.com"}, "john.doe"),
        ('Replace([a], "o", , , "0")', {"a": "foo Oo"}, "f00 O0"),
        ("Replace([a], [b], , , [c], , )", {"a": "x.y.z", "b": ".", "c": "-"}, "x-y-z"),
        ('Replace([a], [b], , , "c", , )', {"a": "x", "b": ""}, "x"),
        ('Replace([a], "x", "", "", "y", "", "")', {"a": "x"}, "y"),
        ('Replace([a], "True", , , "yes", , )', {"a": True}, "yes"),
        ('Replace([a], "$", , , "$1", , )', {"a": "5$"}, "5$1"),
        # oldValue and template
        ('Replace([a],"<username>", , , , , "<username>@contoso.com")', {"a": "jsmith"}, "jsmith@contoso.com"),
        ('Replace([a],"%", , , , , "%-%")', {"a": "x"}, "x-x"),
        # regexPattern and replacementValue
        (f'Replace([a], , {PHONE}, , "${{phoneNumber}}", , )', {"a": "+91 9998887777"}, "9998887777"),
        (f'Replace([a], , {PHONE}, , "${{phoneNumber}}", , )', {"a": "no phone"}, "no phone"),
        (r'Replace([a], , "[()\\s-]+", , "", , )', {"a": "+1 (999) 888-7777"}, "+19998887777"),
        ('Replace([a], , "[a-zA-Z_]*", , "", , )', {"a": "john_doe72"}, "72"),
        (r'Replace([a], , "(\w+) (\w+)", , "$2, $1", , )', {"a": "Ann Lee"}, "Lee, Ann"),
        (r'Replace([a], , "(?<f>\w+) (\w+)", , "$1 ${f} ${x} $9 $$ $&", , )', {"a": "A B"}, "B A ${x} $9 $ A B"),
        ('Replace([a], , "b", , "<$`|$\'|$_>", , )', {"a": "abc"}, "a<a|c|abc>c"),
        ('Replace([a], , "(x)?b", , "[$1]", , )', {"a": "ab"}, "a[]"),
        ('Replace([a], , "x*", , "-", , )', {"a": "abc"}, "-a-b-c-"),
        ('Replace([a], , "a", , [b], , )', {"a": "a", "b": "$1${x}"}, "$1${x}"),
        ('Replace([a], , [p], , "-", , )', {"a": "a1b", "p": r"\d"}, "a-b"),
        # regexPattern, regexGroupName and replacementValue
        (
            r'Replace([a], ,"(?<streetNumber>^\\d*)","streetNumber", "888", , )',
            {"a": "545 Tremont Street"},
            "888 Tremont Street",
        ),
        ('Replace([a], , "(?<Suffix>@(.)*)", "Suffix", "", , )', {"a": "jsmith@contoso.com"}, "jsmith"),
        (r'Replace([a], , "x(?<n>\d)y", "n", "-", , )', {"a": "x1yx2y3"}, "x-yx-y3"),
        (r'Replace([a], , "x(?<n>\d)?y", "n", "-", , )', {"a": "xy x1y"}, "xy x-y"),
        # regexPattern, regexGroupName and replacementAttributeName
        (f'Replace([a], , {PHONE}, "phoneNumber" , , [b], )', {"a": "", "b": "+91 8887779999"}, "8887779999"),
        (f'Replace([a], , {PHONE}, "phoneNumber" , , [b], )', {"a": "own", "b": "+91 8887779999"}, "own"),
        (f'Replace([a], , {PHONE}, "phoneNumber" , , [b], )', {"b": "none"}, None),
        (r'Replace([a], , "\d+", , , [b], )', {"b": "call 112 now"}, "112"),
    ],
)
def test_a_mode_of_replace(expression: str, attributes: dict[str, Any], expected: Any) -> None:
    assert of(expression, attributes) == expected


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("Replace([a])", "do not go together"),
        ('Replace([a], "x")', "do not go together"),
        ('Replace([a], "x", "y", , "z", , )', "do not go together"),
        ('Replace([a], "x", , , "y", , "z")', "do not go together"),
        ('Replace([a], , "x", , , , )', "do not go together"),
        ('Replace([a], , "x", "g", "y", , )', "no group g"),
        ('Replace([a], , "(", , "y", , )', r"a \( without"),
        ('Replace([a], , "x)", , "y", , )', r"a \) without"),
        ('Replace([a], , "[x", , "y", , )', r"a \[ without"),
        ('Replace([a], , "*x", , "y", , )', "repeats nothing"),
        (r'Replace([a], , "x\\", , "y", , )', "single backslash"),
        ('Replace([a], , "(?<a-b>x)", , "y", , )', "not offered"),
        ('Replace([a], , "(?<x>a)(?<x>b)", , "y", , )', "there twice"),
        ('Replace([a], , "[a-z-[aeiou]]", , "y", , )', "not offered"),
        (r'Replace([a], , "\p{IsGreek}", , "y", , )', "not offered"),
    ],
)
def test_a_replace_that_cannot_work_is_refused_before_it_runs(expression: str, says: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match=says):
        compile_expression(expression)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"(?i)ANN|bob", "aNN Bob", ["aNN", "Bob"]),
        (r"a(?i)b|C", "aB c", ["aB", "c"]),
        (r"(?i:A)b", "ab aB", ["ab"]),
        (r"^\p{Lu}\p{Ll}+$", "Élan", ["Élan"]),
        (r"[\p{L}\d]+", "é1-ß", ["é1", "ß"]),
        (r"\P{L}+", "ab12", ["12"]),
        (r"(?<q>['\"])x\k<q>", "'x' 'x\"", ["'x'"]),
        (r"(?<n>a)(b)\1", "abb aba", ["abb"]),
        (r"(?'n'a)\k'n'", "aa", ["aa"]),
        (r"a{2}{", "aa{", ["aa{"]),
        (r"{x}", "{x}", ["{x}"]),
        (r"[[a]", "[a", ["[", "a"]),
        (r"[]a]", "]a", ["]", "a"]),
        (r"[^]a]", "]ab", ["b"]),
        (r"[a&&b||~-]", "&|~-", ["&", "|", "~", "-"]),
        (r"[!--]", "-!", ["-", "!"]),
        (r"x(?#comment)y", "xy", ["xy"]),
        (r"b\z", "ab", ["b"]),
        (r"b\Z", "ab\n", ["b"]),
        (r"(?>a+)b", "aab", ["aab"]),
        (r"(?<=a)b(?!c)", "ab abc", ["b"]),
        (r"(?:[a-z]+,)*x", "ab,cd,x", ["ab,cd,x"]),
    ],
)
def test_a_dotnet_pattern_matches_as_there(pattern: str, text: str, matches: list[str]) -> None:
    assert [found.group() for found in compile_pattern(pattern).compiled.finditer(text)] == matches


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a*)*b",
        r"(\w+\s?)+$",
        "((a+)?)*b",
        "(a{1,100})*b",
        "(.*,)*x",
        "(x|a+)*b",
        "((a+){2})*b",
        "(?:(a+))+b",
    ],
)
def test_a_pattern_that_may_run_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(PatternRefused, match="for ever"):
        compile_pattern(pattern)


def test_a_regular_expression_meets_no_text_beyond_its_bound() -> None:
    expression = compile_expression('Replace([a], , "x", , "y", , )')
    assert expression.evaluate(Context({"a": "x" * INPUT_MAX})) == "y" * INPUT_MAX
    with pytest.raises(EvaluationError, match=f"at most {INPUT_MAX}"):
        expression.evaluate(Context({"a": "x" * (INPUT_MAX + 1)}))
