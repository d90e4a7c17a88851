"""What the operators of clauses say of one value, which they read as text, truth, whole number or moment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from reconciler.core.model import Clause, Operator
from reconciler.errors import EvaluationError, Problem
from reconciler.language.moments import parse_moment
from reconciler.language.patterns import PatternRefused, PatternTooSlow, compile_pattern

Test = Callable[[Any], bool | None]
"""One value, never null → whether the operator holds of it; None where it cannot read the value."""

UNARY = frozenset({Operator.IS_NULL, Operator.IS_NOT_NULL, Operator.IS_TRUE, Operator.IS_FALSE})
"""These ask without a value."""
NEGATIVE = frozenset({Operator.NOT_EQUALS, Operator.NOT_REGEX_MATCH, Operator.BITS_ABSENT})
"""Of a list these must hold of every value; the others of at least one."""
_NUMERIC = frozenset(
    {Operator.GREATER_THAN, Operator.GREATER_THAN_OR_EQUALS, Operator.BITS_PRESENT, Operator.BITS_ABSENT}
)
_DATES: dict[Operator, Callable[[datetime, datetime], bool]] = {
    Operator.BEFORE: lambda found, wanted: found < wanted,
    Operator.ON_OR_BEFORE: lambda found, wanted: found <= wanted,
    Operator.AFTER: lambda found, wanted: found > wanted,
    Operator.ON_OR_AFTER: lambda found, wanted: found >= wanted,
}
_PATTERNS = frozenset({Operator.REGEX_MATCH, Operator.NOT_REGEX_MATCH})
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")


def problems(clause: Clause, where: str) -> Iterable[Problem]:
    """Return what is wrong with the value of a clause, so that its operator could never say anything."""
    if clause.operator in _NUMERIC and as_integer(clause.value) is None:
        yield Problem(where, f"{clause.attribute} {clause.operator} {clause.value!r}: the value is not a whole number")
    if clause.operator in _DATES and as_moment(clause.value) is None:
        yield Problem(where, f"{clause.attribute} {clause.operator} {clause.value!r}: the value is no date")
    if clause.operator in _PATTERNS:
        try:
            compile_pattern(clause.value)
        except PatternRefused as refused:
            yield Problem(where, f"{clause.attribute} {clause.operator} {clause.value!r}: {refused}")


def make_test(clause: Clause) -> Test:
    """Return what the operator of a clause says of one value, ready to be asked of many."""
    match clause.operator:
        case Operator.EQUALS:
            return _equals(clause.value)
        case Operator.NOT_EQUALS:
            return _opposite(_equals(clause.value))
        case Operator.IS_TRUE:
            return as_boolean
        case Operator.IS_FALSE:
            return _opposite(as_boolean)
        case Operator.REGEX_MATCH:
            return _matches(clause.value)
        case Operator.NOT_REGEX_MATCH:
            return _opposite(_matches(clause.value))
        case Operator.INCLUDES:
            part = clause.value
            return lambda value: None if (text := as_text(value)) is None else part in text
        case Operator.ENDS_WITH:
            end = clause.value
            return lambda value: None if (text := as_text(value)) is None else text.endswith(end)
        case Operator.GREATER_THAN:
            least = _whole(clause.value)
            return lambda value: None if (number := as_integer(value)) is None else number > least
        case Operator.GREATER_THAN_OR_EQUALS:
            least = _whole(clause.value)
            return lambda value: None if (number := as_integer(value)) is None else number >= least
        case Operator.BITS_PRESENT:
            return _has_bits(_whole(clause.value))
        case Operator.BITS_ABSENT:
            return _opposite(_has_bits(_whole(clause.value)))
        case Operator.BEFORE | Operator.ON_OR_BEFORE | Operator.AFTER | Operator.ON_OR_AFTER:
            return _compares(_DATES[clause.operator], clause.value)
        case Operator.IS_NULL:
            return lambda value: False
        case Operator.IS_NOT_NULL:
            return lambda value: True


def is_null(value: object) -> bool:
    """Return whether a value counts as null: None, empty, or a list of nothing else (docs/scope.md)."""
    if value is None or value == "":
        return True
    if isinstance(value, (list, tuple)):
        return all(is_null(item) for item in value)
    return isinstance(value, dict) and not value


def as_text(value: object) -> str | None:
    """Return a simple value as text, numbers without a needless fraction; None for a structure."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return None


def as_boolean(value: object) -> bool | None:
    """Return what a value says as a boolean, whatever its letter case; None where it says neither."""
    if isinstance(value, bool):
        return value
    text = as_text(value)
    return None if text is None else _BOOLEANS.get(text.strip().lower())


def as_integer(value: object) -> int | None:
    """Return a whole number, also one that is written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    text = as_text(value)
    return int(text) if text is not None and _INTEGER.fullmatch(text.strip()) else None


def as_moment(value: object) -> datetime | None:
    """Return the moment that a value stands for, by the rules of CDate; None where it stands for none."""
    text = as_text(value)
    if text is None:
        return None
    try:
        return parse_moment(text)
    except EvaluationError:
        return None


def _compares(holds: Callable[[datetime, datetime], bool], written: str) -> Test:
    wanted = as_moment(written)
    assert wanted is not None, "`problems` tells of it"
    return lambda value: None if (found := as_moment(value)) is None else holds(found, wanted)


def _equals(wanted: str) -> Test:
    lowered = wanted.strip().lower()

    def equals(value: Any) -> bool | None:
        if isinstance(value, str):
            return value == wanted
        if isinstance(value, bool):
            return lowered == ("true" if value else "false")
        text = as_text(value)
        return None if text is None else text == wanted

    return equals


def _matches(pattern: str) -> Test:
    search = compile_pattern(pattern).search

    def matches(value: Any) -> bool | None:
        text = as_text(value)
        if text is None:
            return None
        try:
            return search(text) is not None
        except PatternTooSlow:
            return None

    return matches


def _has_bits(bits: int) -> Test:
    return lambda value: None if (number := as_integer(value)) is None else number & bits == bits


def _opposite(test: Test) -> Test:
    return lambda value: None if (truth := test(value)) is None else not truth


def _whole(text: str) -> int:
    number = as_integer(text)
    assert number is not None, "`problems` tells of it"
    return number
