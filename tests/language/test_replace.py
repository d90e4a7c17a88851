"""Replace in its five modes, with regular expressions as .NET writes them."""

from __future__ import annotations

from contextlib import suppress
from json import dumps
from time import monotonic
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import EvaluationError, ExpressionSyntaxError
from reconciler.language import Context, compile_expression
from reconciler.language.dotnet import STEPS_MAX
from reconciler.language.patterns import PatternRefused, PatternTooSlow, compile_pattern

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
        ('Replace([a], , "x++", , "y", , )', "repeats a repetition"),
        ('Replace([a], , "x{3,2}", , "y", , )', "from 3 to 2"),
        (r'Replace([a], , "\p{IsNowhere}", , "y", , )', "cannot be read"),
        (r'Replace([a], , "\p{Letter}", , "y", , )', "not offered"),
        (r'Replace([a], , "\m", , "y", , )', "not offered"),
        (r'Replace([a], , "x\1", , "y", , )', "group 1, which it does not have"),
        ('Replace([a], , "(?R)", , "y", , )', "not offered"),
        ('Replace([a], , "(?n)(a)", , "y", , )', "not offered"),
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
        (r"[a-z-[aeiou]]+", "abcde", ["bcd"]),
        (r"[\w-[\d_-[5]]]+", "a5_1b", ["a5", "b"]),
        (r"\p{IsGreek}+", "abγδ", ["γδ"]),
        (r"[\P{L}]+", "ab12", ["12"]),
        (r"(?<=a+)b", "aab", ["b"]),
        (r"(?<x>a)|(?<x>b)", "ab", ["a", "b"]),
        (r"(?<x>a)?(?(x)b|c)", "abc", ["ab", "c"]),
        (r"\x41\u0042\e?", "AB", ["AB"]),
        (r"(\w+\s?)+$", "two words", ["two words"]),
        (r"a{e<=3}", "a{e<=3}", ["a{e<=3}"]),
        (r"[[:alpha:]]", "a:", []),
        (r"[a-]+", "a-b", ["a-"]),
        (r"[^-a]+", "b-a", ["b"]),
        (r"[+--]+", "+,-.", ["+,-"]),
    ],
)
def test_a_dotnet_pattern_matches_as_there(pattern: str, text: str, matches: list[str]) -> None:
    assert [found.group() for found in compile_pattern(pattern).compiled.finditer(text)] == matches


HOSTILE = [
    ("(a|aa)+$", "a" * 60 + "!"),
    ("(a|b|ab)*c", "ab" * 60),
    (r"^(\w+\s?)*$", "word " * 40 + "!"),
    ("(a+)+b", "a" * 5_000),
    (r"(.*,)*(.*;)*(.*:)*x", ",;:" * 2_000),
    (r"(?<x>a*)*\k<x>b", "a" * 400),
    (r"(a?){80}a{80}!", "a" * 80),
    ("a?" * 60 + "a" * 60 + "!", "a" * 60),
    (r"\w*\w*\w*\w*\w*!", "a" * 5_000),
]


@pytest.mark.parametrize(("pattern", "text"), HOSTILE)
def test_a_pattern_that_could_run_for_ever_ends_within_a_second(pattern: str, text: str) -> None:
    expression = compile_expression(f'Replace([a], , {dumps(pattern)}, , "", , )')
    start = monotonic()
    try:
        expression.evaluate(Context({"a": text}))
    except EvaluationError as error:
        assert "was stopped after" in str(error)
        assert text not in str(error)
    assert monotonic() - start < 1.0


def test_a_pattern_that_was_too_slow_gets_less_time_each_time() -> None:
    pattern = compile_pattern("(a|aa)+c|never")
    told = []
    for _ in range(3):
        with pytest.raises(PatternTooSlow) as raised:
            pattern.search("a" * 80)
        told.append(str(raised.value).split(" after ")[1].split(" ")[0])
    assert told == ["0.1", "0.05", "0.025"]
    assert str(raised.value) == (
        "the regular expression was stopped after 0.025 seconds; write it so that there is one way only to match,"
        " without repetitions of repetitions"
    )
    assert pattern.search("aac") is not None


def test_a_long_text_is_searched_whole() -> None:
    expression = compile_expression('Replace([a], , "x", , "y", , )')
    assert expression.evaluate(Context({"a": "x" * 200_000})) == "y" * 200_000


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from("ab(|)[]{}?*+\\.^$-<>:=!x1,knpzPL"), max_size=24), st.text("ab1-", max_size=200))
def test_any_pattern_is_refused_or_ends(pattern: str, text: str) -> None:
    start = monotonic()
    with suppress(PatternRefused, PatternTooSlow):
        compile_pattern(pattern).search(text)
    assert monotonic() - start < 1.0


@pytest.mark.parametrize(
    ("expression", "length"),
    [
        ('Replace([a], , "x", , "y{}", , )', 9_999),
        ('Replace([a], , "(x)", , "$1$1y{}", , )', 9_999),
    ],
)
def test_what_is_put_in_is_counted_and_may_be_no_longer_than_a_text(expression: str, length: int) -> None:
    whole = compile_expression(expression.format("z" * 97))
    assert len(whole.evaluate(Context({"a": "x" * 9_000}))) > 800_000
    with pytest.raises(EvaluationError, match="more than 1,000,000 characters"):
        whole.evaluate(Context({"a": "x" * 11_000}))


@pytest.mark.parametrize(
    ("expression", "attributes", "expected"),
    [
        ('Replace([a], , "(?<n>n+)(?<m>m)?", [g], , [b], )', {"a": None, "g": "n", "b": "annm"}, "nn"),
        ('Replace([a], , "(?<n>n+)(?<m>m)?", [g], , [b], )', {"a": None, "g": "m", "b": "annm"}, "m"),
        ('Replace([a], , [p], "n", , [b], )', {"a": "", "p": "x(?<n>n+)", "b": "xnn"}, "nn"),
        ('Replace([a], , "x(?<n>n+)", [g], "-", , )', {"a": "axnny", "g": "n"}, "ax-y"),
        ('Replace([a], , "x(?<n>n+)", "0", "-", , )', {"a": "axnny"}, "a-y"),
        ('Replace([a], , "n", , "-", , )', {"a": 5}, "5"),
        ('Replace([a], , "5", , "-", , )', {"a": 5}, "-"),
        ('Replace([a], "ab", , , [b], , )', {"a": "x" * 1_999, "b": "y" * 1_001}, "x" * 1_999),
        ('Replace([a], "ab", , , , , [b])', {"a": "x" * 1_001, "b": "y" * 1_999}, "y" * 1_999),
    ],
)
def test_groups_that_are_named_by_an_attribute_and_texts_of_the_last_length(
    expression: str, attributes: dict[str, Any], expected: str
) -> None:
    assert of(expression, attributes) == expected


@pytest.mark.parametrize(
    ("pattern", "choices", "repetitions"),
    [
        ("ann", 1, 0),
        ("an?", 2, 0),
        ("a{2,4}n{3}", 3, 0),
        ("a{0,9}n{0,9}", 100, 0),
        ("a*", 1, 1),
        ("a+n{2,}", 1, 2),
        ("(an)?[ab]?", 4, 0),
        ("an|na|aa", 4, 0),
        ("(a)?(?(1)b|c)", 8, 0),
        ("a*|n", 2, 1),
        ("(an){1}", 1, 0),
    ],
)
def test_how_long_a_text_needs_no_clock(pattern: str, choices: int, repetitions: int) -> None:
    assert compile_pattern(pattern).quick_length == int((STEPS_MAX / choices) ** (1 / (repetitions + 1)))


@pytest.mark.parametrize("pattern", ["(an)*", "(an)+", "(an){2}", "(a|n){0,2}", "a{0,99}" * 9])
def test_what_may_take_ever_so_long_needs_a_clock_always(pattern: str) -> None:
    assert compile_pattern(pattern).quick_length == -1
