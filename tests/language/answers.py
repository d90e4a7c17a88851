"""Writes down what each function answers to odd arguments: python -m tests.language.answers.

Calls that other tests show to be right are taken, and each of their arguments is put in turn for values that a source
may well hold. So a word of an error that changes, or an edge that moves, is a line of the file that is another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.errors import EvaluationError, ExpressionSyntaxError
from reconciler.language import Context, compile_expression, excel_syntax, syntax
from reconciler.language.catalogue import FUNCTIONS as ENTRA_FUNCTIONS
from reconciler.language.excel import FUNCTIONS as EXCEL_FUNCTIONS
from reconciler.language.tree import Call, walk
from tests.language.odd import sections
from tests.language.test_examples import EXAMPLES
from tests.language.test_excel import NOW, TABLES, WORKED, Counting
from tests.language.test_functions import NULL_RULES, ORDINARY

PAGE = Path(__file__).parent / "answers.txt"
MARK = "§"
"""Stands for the argument that is varied."""
FURTHER = (
    'And([yes], "true")',
    'Error("no " & [name])',
    "Guid()",
    'Lookup("Regions", "BE")',
    'Lookup("Regions", "ZH", "none", "zip")',
    'MemberOf("Staff")',
    'MemberOf("Staff", "nested")',
    'Or([blank], "no")',
    "RandomString(12, 2, 2, 2, 2)",
    'RandomString(8, 1, 1, 1, 1, "abc")',
    'RegexMatch([city], "^z", "i")',
    'UtcDateTime("2026-03-01T10:00:00", "Europe/Stockholm")',
)
"""Calls of functions of which the others have none."""
CALLS_MAX = 2
"""So many calls of one function are varied."""
HER: Mapping[str, Any] = {
    "nothing": None,
    "blank": "",
    "text": "Ann-Marie O'Neil",
    "truth": True,
    "list": ["b", "a", "b"],
    "day": "2025-03-31T22:15:07+02:00",
    "half": 2.5,
    "least": -1,
    "most": 10**15,
    "number": "5",
    "name": "Ann Lee",
    "yes": True,
    "no": False,
    "everything": "".join(map(chr, range(33, 127))),
    "city": "ZÜRICH",
    "torn": "(",
    "object": {"a": 1},
}
ODD = (
    "[nothing]",
    '""',
    "[text]",
    "[truth]",
    "[list]",
    "[day]",
    "[half]",
    "[least]",
    "[most]",
    "0",
    "1",
    '"2"',
    "[no]",
)
COMPUTED = ("Now()", "Len([text])", "IsPresent([text])", 'Split([text], " ")')
"""Calls in Entra's language that give a date, a number, a truth, a list: what an argument must be is known before."""


def functions() -> list[tuple[str, str]]:
    """The functions, each as dialect and name; and what whole expressions are about."""
    of_entra, of_excel = [("entra", name) for name in ENTRA_FUNCTIONS], [("excel", name) for name in EXCEL_FUNCTIONS]
    return [*of_entra, *of_excel, *(("whole", name) for name in sections())]


def answers(dialect: str, name: str) -> list[str]:
    """Return a line for each answer of a call: what is written, what may stand for the mark, what it comes to."""
    if dialect == "whole":
        return [f"{text} -> {answer(text, {})}" for text in sections()[name]]
    lines: dict[str, None] = {}
    for text, others, attributes in _varied(dialect, name):
        by_answer: dict[str, list[str]] = {}
        for one in others:
            by_answer.setdefault(answer(text.replace(MARK, one), attributes), []).append(one)
        for found, ones in by_answer.items():
            which = "" if MARK not in text else " | anything" if len(ones) == len(others) else f" | {' '.join(ones)}"
            lines[f"{text}{which} -> {found}"] = None
    return list(lines)


def answer(text: str, attributes: Mapping[str, Any]) -> str:
    """Return what an expression comes to, or the words of its error."""
    try:
        context = Context(
            {**attributes, **HER},
            now=NOW,
            default_domain="example.com",
            dice=Counting(),
            tables=TABLES,
            member_of=lambda group, nested: group == "Staff" and not nested,
        )
        return repr(compile_expression(text).evaluate(context))
    except ExpressionSyntaxError as error:
        return f"refused: {error}"
    except EvaluationError as error:
        return f"fails: {error}"


def written() -> Iterator[str]:
    for dialect, name in functions():
        yield f"# {dialect} {name}"
        yield from answers(dialect, name)
        yield ""


def read() -> dict[tuple[str, str], list[str]]:
    """Return the lines of the file, by function."""
    found: dict[tuple[str, str], list[str]] = {}
    for block in PAGE.read_text("utf-8").split("\n\n"):
        head, *lines = block.strip().split("\n")
        dialect, _, name = head.removeprefix("# ").partition(" ")
        found[dialect, name] = lines
    return found


def _varied(dialect: str, name: str) -> Iterator[tuple[str, Sequence[str], Mapping[str, Any]]]:
    """Yield each call with a mark in place of an argument, what is put there, and the attributes of the entry."""
    parse, render = (excel_syntax.parse, excel_syntax.render) if dialect == "excel" else (syntax.parse, syntax.render)
    mark = parse("=[mark]" if dialect == "excel" else "[mark]")
    others = ODD if dialect == "excel" else (*ODD, *COMPUTED)
    for text, attributes in _known(dialect, name):
        call = next(one for one in walk(parse(text)) if isinstance(one, Call) and one.name.upper() == name.upper())
        given = call.arguments
        calls = [call, replace(call, arguments=given[:-1]), replace(call, arguments=(*given, mark))]
        calls += [replace(call, arguments=(*given[:i], mark, *given[i + 1 :])) for i in range(len(given))]
        for one in calls:
            written = render(one).replace("[mark]", MARK)
            yield written, others if MARK in written else [""], attributes


def _known(dialect: str, name: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
    if dialect == "excel":
        return [(text, {}) for text, _ in WORKED[name]][:CALLS_MAX]
    entra: list[tuple[str, Mapping[str, Any]]] = [(text, attributes) for text, attributes, _ in EXAMPLES]
    entra += [(text, {}) for text, _ in (*ORDINARY, *NULL_RULES)] + [(text, {}) for text in FURTHER]
    return [one for one in entra if re.search(rf"\b{name}\(", one[0])][:CALLS_MAX]


def main() -> None:
    """Rewrite the file."""
    PAGE.write_text("\n".join(written()), "utf-8")


if __name__ == "__main__":
    main()
