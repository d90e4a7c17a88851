"""The grammar: what parses, what does not, where the error is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import EvaluationError, ExpressionSyntaxError
from reconciler.language import Context, Ignored, compile_expression, excel_syntax
from reconciler.language.catalogue import FUNCTIONS
from reconciler.language.excel import FUNCTIONS as EXCEL_FUNCTIONS
from reconciler.language.excel_syntax import DEPTH_MAX as EXCEL_DEPTH_MAX
from reconciler.language.syntax import DEPTH_MAX, LENGTH_MAX, WORDS, parse, render
from reconciler.language.tree import walk


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("Left ( [a] ,1 )", "Left([a], 1)"),
        ('\n\tLeft(\n[a],\r\n "1"\t)\n', 'Left([a], "1")'),
        ("[ urn:x:2.0:User.dept ]", "[urn:x:2.0:User.dept]"),
        ("[extension_0a1b_Cost Centre]", "[extension_0a1b_Cost Centre]"),
        (r'"a \"b\" \\ \d \+"', r'"a \"b\" \\ \\d \\+"'),
        ('"two\nlines"', '"two\nlines"'),
        ("&HF", "15"),
        ("&hF7", "247"),
        ("-12", "-12"),
        (".5", "0.5"),
        ("42568.75", "42568.75"),
        ('[a]&"b"&[c]', '[a] & "b" & [c]'),
        ("[a] & &H10", "[a] & 16"),
        ("CBool(([a]))", "CBool([a])"),
        ('CBool([a]&"x"<>[b])', 'CBool([a] & "x" <> [b])'),
        ("f(a(), b( ), , )", None),
        ("Now()", "Now()"),
        ('Join( ",",[a],,[b], )', 'Join(",", [a], , [b], )'),
        ('Join( ",",[a],,[b],)', 'Join(",", [a], , [b], )'),
        ("IIF([a] = ([b] = [c]), 1, 2)", "IIF([a] = ([b] = [c]), 1, 2)"),
        ("IgnoreAttributeFlow", "IgnoreAttributeFlow"),
        ("[a]+1-2&[b]", "[a] + 1 - 2 & [b]"),
        ("[a] -3", "[a] - 3"),
        ("[a] - -3", "[a] - -3"),
        ("[a] - ([b] - [c])", "[a] - ([b] - [c])"),
        ("IIF(CDate([a]) - 7 < Now(), 1, 2)", "IIF(CDate([a]) - 7 < Now(), 1, 2)"),
        ("0.00000015", "0.00000015"),
        ("-.00000015", "-0.00000015"),
        ("10000000000000000.0", "10000000000000000.0"),
        ("100000000000000000000.5", "100000000000000000000.0"),
        ("7.50", "7.5"),
        ("[a]&([b]&[c])", "[a] & ([b] & [c])"),
        ("([a]&[b])&[c]", "([a] & [b]) & [c]"),
        ("([a]=[b])&[c]", "([a] = [b]) & [c]"),
        ("[a]&([b]+1)", "[a] & [b] + 1"),
        ("([a]&[b])+1", "([a] & [b]) + 1"),
        ("1+([a]&[b])", "1 + ([a] & [b])"),
        ("([a]=[b])-1", "([a] = [b]) - 1"),
        ("1-([a]<[b])", "1 - ([a] < [b])"),
        ("([a]-1)-2", "([a] - 1) - 2"),
        ("([a]&[b])=([c]&1)", "[a] & [b] = [c] & 1"),
        ("([a]=[b])=[c]", "([a] = [b]) = [c]"),
        ("[a]=([b]<>[c])", "[a] = ([b] <> [c])"),
        ("([a]+1)>=([b]-1)", "[a] + 1 >= [b] - 1"),
    ],
)
def test_what_parses(text: str, same_as: str | None) -> None:
    rendered = render(parse(text))
    assert [_shape(node) for node in walk(parse(rendered))] == [_shape(node) for node in walk(parse(text))]
    if same_as is not None:
        assert rendered == same_as


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "ends where a value is expected"),
        ("   ", 3, "ends where a value is expected"),
        ("Left([a], 1", 4, "never closed"),
        ("Left([a], 1))", 12, "after the end"),
        ("[a], [b]", 3, "after the end"),
        ("[a] * [b]", 4, "after the end"),
        ("[a] +", 5, "ends where a value"),
        ("[a] [b]", 4, "after the end"),
        ('Left("abc, 1)', 5, "no closing"),
        ("Left([abc, 1)", 5, "no closing ]"),
        ("Left([], 1)", 5, "without a name"),
        ("Left([a] [b], 1)", 9, "expected , or )"),
        ("Left(“a”, 1)", 5, "straight double quotes"),
        ("Left('a', 1)", 5, "straight double quotes"),
        ("Left(abc, 1)", 5, "unknown word abc"),
        ("True", 0, 'for a text write "True"'),
        ("Left([a], 1x)", 10, "number with letters"),
        ("Left([a], -)", 10, "unexpected '-'"),
        ("Left([a], &)", 10, "unexpected '&'"),
        ("IIF([a] == [b], 1, 2)", 8, "unknown operator"),
        ("IIF([a] = [b] = [c], 1, 2)", 14, "second comparison"),
        ("IIF([a] =, 1, 2)", 9, "unexpected ','"),
        ("left([a], 1)", 0, "case-sensitive: write Left"),
        ('Join(",", Lef([a], 1))', 10, "did you mean Left"),
        ("Xyzzy([a])", 0, "unknown function Xyzzy"),
        ("Left([a])", 8, "Left needs numChars"),
        ("Left(, 1)", 5, "Left needs string"),
        ("Left([a], 1, 2)", 13, "at most 2 arguments"),
        ("Now([a])", 4, "takes no arguments"),
        ("Trim([a], [b])", 10, "at most 1 argument,"),
        ('Left([a], "x")', 10, "whole number"),
        ("Item([a], 0)", 10, "at least 1"),
        ("IIF([a], 1)", 0, "needs a condition"),
        ('Switch([a], "d")', 15, "needs key"),
        ('Switch([a], "d", "k", "v", "k2")', 0, "a key and a value for each case"),
        ('Join(",")', 8, "needs source"),
        ("UTF8", 0, "no meaning here"),
        ("Append(vbTextCompare, [a])", 7, "no meaning here"),
        ('InStr([a], "b", 1, UTF8)', 19, "no meaning here"),
        ('ConvertFromBase64([a], "UTF7")', 23, "unknown encoding"),
        ("SingleAppRoleAssignment([roles])", 24, "nothing else"),
        ("SelectUniqueValue([a])", 21, "needs rule"),
        ("SelectUniqueValue([a], )", 0, "at least two rules"),
        ("ToLower(SelectUniqueValue([a], [b]))", 8, "outermost"),
        ('ToLower([a], "?")', 13, "culture"),
        ("RandomString(300,1,1,1,1)", 0, "from 1 to 256"),
        ("RandomString(3,1,1,1,1)", 0, "more together"),
        ("Left([a], IsPresent([b]))", 10, "must be a whole number, and this is true or false"),
        ("Mid([a], Now(), 1)", 9, "this is a date"),
        ("Item([a], Split([b]))", 10, "this is a list"),
        ('DateAdd("d", "soon", [a])', 13, "must be a number"),
        ('DateAdd("d", 1, "soon")', 16, "must be a date"),
        ('DateDiff("d", Now(), Len([a]))', 21, "this is a number"),
        ("CDate(Count([a]))", 6, "this is a number"),
        ('IIF("yes", 1, 2)', 4, "must be a condition"),
        ('And([a] = "x", "y")', 15, "must be a condition"),
        ("And([a])", 7, "needs condition"),
        ('Lookup([a], "x")', 7, "must be a name in quotes"),
        ('Lookup("t", [a], , [b])', 19, "must be a name in quotes"),
        ("MemberOf([a])", 9, "must be a name in quotes"),
        ('RegexMatch([a], "(")', 16, "a ( without"),
    ],
)
def test_what_does_not_parse_says_where_and_why(text: str, position: int, says: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as raised:
        compile_expression(text)
    assert says in str(raised.value)
    assert raised.value.position == position


def test_an_expression_has_at_most_10000_characters() -> None:
    longest = '"' + "x" * (LENGTH_MAX - 2) + '"'
    assert compile_expression(longest).evaluate(Context({})) == "x" * (LENGTH_MAX - 2)
    for text, what in ((longest + " ", "expression"), ("=" + longest, "formula")):
        with pytest.raises(ExpressionSyntaxError) as raised:
            compile_expression(text)
        assert f"the {what} has 10001 characters, at most 10000 are allowed" in str(raised.value)


@pytest.mark.parametrize("opening", ["(", "Trim(", 'Join("",', "IIF([a]=(", "((Trim((("])
def test_deep_nesting_is_an_error_not_a_crash(opening: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match="nested more than"):
        compile_expression(opening * (LENGTH_MAX // len(opening)))


@pytest.mark.parametrize("levels", [1, DEPTH_MAX])
def test_an_allowed_nesting_is_parsed_and_evaluated(levels: int) -> None:
    expression = 'IIF([a]="x","found",' * levels + '"end"' + ")" * levels
    assert compile_expression(expression).evaluate(Context({"a": "y"})) == "end"
    assert compile_expression("Trim(" * levels + "[a]" + ")" * levels).evaluate(Context({"a": " y "})) == "y"


def test_two_expressions_of_the_same_text_are_equal() -> None:
    assert compile_expression("[a]") == compile_expression("[a]")
    assert hash(compile_expression("[a]")) == hash(compile_expression("[a]"))


PIECES = st.sampled_from(
    [
        *FUNCTIONS,
        *EXCEL_FUNCTIONS,
        *WORDS,
        *'()[],"\\&=<>+-*/^%. \n',
        "<>",
        ">=",
        "&HF",
        "1",
        "-2.5",
        '"x"',
        "[a]",
        '"(a|b)*"',
        '"(?<g>x"',
        "é",
    ]
)


@given(
    st.text(max_size=60)
    | st.lists(PIECES, max_size=25).map("".join)
    | st.lists(PIECES, max_size=25).map(lambda pieces: "=" + "".join(pieces))
)
def test_no_text_raises_anything_but_a_syntax_error(text: str) -> None:
    try:
        expression = compile_expression(text)
    except ExpressionSyntaxError as error:
        assert 0 <= error.position <= max(len(text), 0)
        return
    assert expression.text == text


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="[]"), min_size=1, max_size=8).filter(
    lambda name: bool(name.strip()) and name == name.strip()
)
LEAVES = (
    NAMES.map("[{}]".format)
    | st.text(max_size=10).map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
    | st.integers(-(10**20), 10**20).map(str)
    | st.decimals(-(10**6), 10**6, places=3).map(str)
    | st.sampled_from(WORDS)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(st.sampled_from(["f", "Join"]), st.lists(inner | st.just(""), max_size=4)).map(
            lambda call: f"{call[0]}({', '.join(call[1])})"
        )
        | st.lists(inner.map("({})".format), min_size=2, max_size=3).map(" & ".join)
        | st.lists(inner.map("({})".format), min_size=2, max_size=3).map(" - ".join)
        | st.tuples(inner, st.sampled_from(["=", "<>", "<="]), inner).map(lambda it: f"({it[0]}) {it[1]} ({it[2]})")
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("formula", "same_as"),
    [
        (' = if( [a]="x" , 1,"b ""q""") ', '=if([a] = "x", 1, "b ""q""")'),
        ("=-[a]^2%", "=(0 - [a]) ^ (2 / 100)"),
        ("=1+2*3-4/2", "=1 + (2 * 3) - (4 / 2)"),
        ("=(1+2)*3", "=(1 + 2) * 3"),
        ("=--1", "=1"),
        ("=.5e1", "=5.0"),
        ("=1.5e-7", "=1.5E-07"),
        ("=1E300", "=1E+300"),
        ("=-0.25", "=-0.25"),
        ("=[a]%%", "=[a] / 100 / 100"),
        ("=([a]*2)%", "=([a] * 2) / 100"),
        ("=([a]&[b])&[c]", "=([a] & [b]) & [c]"),
        ("=[a]&[b]&[c]", "=[a] & [b] & [c]"),
        ("=([a]=[b])<>([c]+1)", "=([a] = [b]) <> ([c] + 1)"),
        ("=([a]-[b])-[c]", "=([a] - [b]) - [c]"),
        ("=[a]^([b]&1)", "=[a] ^ ([b] & 1)"),
        ('=[a]&"x"&1=true', '=([a] & "x" & 1) = TRUE()'),
        ("=XLOOKUP([a],T[k],T[v w])", "=XLOOKUP([a], T[k], T[v w])"),
        ("=If(,,)", "=If(, , )"),
        ("=ignoreattributeflow", "=IgnoreAttributeFlow"),
    ],
)
def test_what_parses_as_a_formula(formula: str, same_as: str) -> None:
    tree = excel_syntax.parse(formula)
    assert excel_syntax.render(tree) == same_as
    assert [_shape(node) for node in walk(excel_syntax.parse(same_as))] == [_shape(node) for node in walk(tree)]
    assert excel_syntax.render(excel_syntax.parse(same_as)) == same_as


@pytest.mark.parametrize(
    ("formula", "position", "says"),
    [
        ("=", 1, "ends where a value"),
        ("=IF(1;2;3)", 5, "separated by commas"),
        ("={1,2}", 1, "braces are not offered"),
        ("=$A$1", 1, "there are no cells"),
        ("=A1", 1, "no meaning here"),
        ("=1=2=3", 4, "AND("),
        ("=1==2", 2, "unknown operator"),
        ("=“a”", 1, "straight double quotes"),
        ('="a', 1, "doubled"),
        ("=LEFT([a)", 6, "no closing ]"),
        ("=LEFT([a]", 5, "never closed"),
        ("=[a] [b]", 5, "an operator is missing"),
        ("=1x", 1, "number with letters"),
        ("=1E999", 1, "too large"),
        ("=Lefd([a])", 1, "did you mean LEFT"),
        ("=AVERAGE([a])", 1, "statistics are left out"),
        ("=PMT(1,2,3)", 1, "finance is left out"),
        ("=SIN(1)", 1, "trigonometry"),
        ("=INDIRECT([a])", 1, "no cells here"),
        ("=MID([a],1)", 10, "MID needs num_chars"),
        ("=LEFT([a],1,2)", 12, "at most 2 arguments"),
        ("=IFS([a])", 8, "needs value"),
        ("=IFS([a],1,2)", 1, "a value for each case"),
        ("=VLOOKUP([a],[b],2)", 13, "name in quotes"),
        ("=VLOOKUP([a],T,[b])", 15, "number from 1"),
        ("=XLOOKUP([a],T,T[b])", 13, "Table[column]"),
        ("=XLOOKUP([a],T[a],U[b])", 18, "one table"),
        ('=REGEXTEST([a],"(")', 15, "a ( without"),
        ("=UPPER(SELECTUNIQUEVALUE([a],[b]))", 7, "outermost"),
        ("=SINGLEAPPROLEASSIGNMENT([b])", 25, "nothing else"),
    ],
)
def test_what_is_no_formula_says_where_and_why(formula: str, position: int, says: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as raised:
        compile_expression(formula)
    assert says in str(raised.value)
    assert raised.value.position == position


@pytest.mark.parametrize("opening", ["(", "TRIM(", "-(", "1&(1+(2*(3^(", "IF(1=(", "%"])
def test_deep_nesting_of_a_formula_is_an_error_not_a_crash(opening: str) -> None:
    with pytest.raises(ExpressionSyntaxError):
        compile_expression("=" + opening * (9_990 // len(opening)))


def test_the_deepest_formula_is_compiled_and_evaluated() -> None:
    level = '1 & 1 + 2 * 3 ^ -IF([a] = "x", 0, '
    formula = compile_expression("=" + level * EXCEL_DEPTH_MAX + "1" + ")" * EXCEL_DEPTH_MAX)
    assert formula.evaluate(Context({"a": "x"})) == "13"
    assert str(formula.evaluate(Context({"a": "y"}))).startswith("1")


@pytest.mark.parametrize("operator", ["+", "-", "&", "*", "/"])
def test_a_long_chain_is_compiled_and_evaluated(operator: str) -> None:
    chain = operator.join(["[a]"] * 2_400)
    for text in (f"={chain}", chain if operator in "+-&" else "[a]"):
        compile_expression(text).evaluate(Context({"a": 1}))


FORMULAS = st.recursive(
    NAMES.map("[{}]".format)
    | st.text(max_size=10).map(lambda text: '"' + text.replace('"', '""') + '"')
    | st.integers(0, 10**20).map(str)
    | st.decimals(0, 10**6, places=3).map(str)
    | st.sampled_from(["TRUE", "Table", "T[col]", "IgnoreObjectFlow"]),
    lambda inner: (
        st.tuples(st.sampled_from(["F", "If"]), st.lists(inner | st.just(""), max_size=4)).map(
            lambda call: f"{call[0]}({', '.join(call[1])})"
        )
        | st.tuples(st.sampled_from(["&", "+", "-", "*", "/", "^"]), st.lists(inner, min_size=2, max_size=3)).map(
            lambda it: f"({it[0].join(it[1])})"
        )
        | st.tuples(inner, st.sampled_from(["=", "<>", "<="]), inner).map(lambda it: f"(({it[0]}){it[1]}({it[2]}))")
        | inner.map("-({})".format)
        | inner.map("({})%".format)
    ),
    max_leaves=10,
)


@given(FORMULAS)
def test_rendering_and_parsing_of_formulas_are_inverse(text: str) -> None:
    tree = excel_syntax.parse("=" + text)
    again = excel_syntax.parse(excel_syntax.render(tree))
    assert [_shape(node) for node in walk(again)] == [_shape(node) for node in walk(tree)]


@given(TREES)
def test_rendering_and_parsing_are_inverse(text: str) -> None:
    tree = parse(text)
    again = parse(render(tree))
    assert [_shape(node) for node in walk(again)] == [_shape(node) for node in walk(tree)]


def _shape(node: Any) -> tuple[Any, ...]:
    return (type(node), *[getattr(node, name, None) for name in ("value", "name", "operator", "operators")])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
ROLES = ["[appRoleAssignments]"]
LETTERS = ["[a]", "[b]", "[c]", "[d]", "[e]", "[f]"]
CALLS = [
    f"{function.name}({', '.join(ROLES if 'AppRole' in function.name else LETTERS[: len(function.parameters)])})"
    for function in FUNCTIONS.values()
    if function.name not in ("Replace", "FormatDateTime", "RandomString", "Lookup", "MemberOf")
] + [
    "Replace([a], [b], , , [c], , )",
    "Replace([a], , [b], , [c], , )",
    "Replace([a], , [b], [c], [d], , )",
    "Replace([a], , [b], [c], , [d], )",
    "Replace([a], [b], , , , , [c])",
    "FormatDateTime([a], [b], [c], [d])",
    "RandomString([a], [b], [c], [d], [e])",
    "IIF([a] < [b], [a] & [b], [a] = [b])",
    "[a] + [b] - [c]",
    'Lookup("t", [a], [b])',
    "=[a] + [b] * [c] - [d] / [e] ^ [f]",
    "=[a] & [b] = [c]",
    "=IF([a] < [b], [c], -[d]%)",
]
FORMULA_CALLS = [
    f"={function.name}({', '.join(LETTERS[: len(function.parameters)])})"
    for function in EXCEL_FUNCTIONS.values()
    if function.name not in ("VLOOKUP", "XLOOKUP")
]


@given(st.sampled_from(CALLS + FORMULA_CALLS), st.lists(VALUES, min_size=6, max_size=6), VALUES)
def test_no_value_raises_anything_but_an_evaluation_error(call: str, values: list[Any], roles: Any) -> None:
    context = Context({**dict(zip("abcdef", values, strict=True)), "appRoleAssignments": roles})
    try:
        found = compile_expression(call).evaluate(context)
    except EvaluationError:
        return
    assert found is None or isinstance(found, str | bool | int | float | list | dict | Ignored) or "Redact" in call
