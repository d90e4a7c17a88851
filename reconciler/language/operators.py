"""What the operators do: & joins, + - add, = <> > >= < <= compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from reconciler.errors import EvaluationError
from reconciler.language.functions import Evaluate
from reconciler.language.moments import is_date_text, parse_moment, print_moment
from reconciler.language.values import Context, Ignored, NothingFlows, Value, number, single, text, text_or_none


def concatenation(parts: Sequence[Evaluate]) -> Evaluate:
    """Join texts; null counts as "" unless every part is null, which gives null (as `&` in Visual Basic)."""

    def joined(context: Context) -> Value:
        found = []
        for part in parts:
            value = text_or_none(part(context))
            if value is not None:
                found.append(value)
        return "".join(found) if found else None

    return joined


def addition(operators: Sequence[str], operands: Sequence[Evaluate]) -> Evaluate:
    """Add or subtract numbers, days to or from a date, a date from a date; null with anything is null."""
    first, *others = operands
    signed = [(1 if operator == "+" else -1, other) for operator, other in zip(operators, others, strict=True)]

    def total(context: Context) -> Value:
        found = first(context)
        for sign, other in signed:
            found = added(found, other(context), sign, print_moment)
        return found

    return total


def added(left: Value, right: Value, sign: int, print_date: Callable[[datetime], str]) -> Value:
    """Return left + sign × right. A date and a number give a date, two dates the days between them."""
    first, second = number(left), number(right)
    if first is not None and second is not None:
        return first + sign * second
    before, after = text(left), text(right)
    if before == "" or after == "":
        return None
    if first is None and is_date_text(before):
        if second is not None:
            return print_date(_days_later(parse_moment(before), sign * second))
        if sign < 0 and is_date_text(after):
            days = (parse_moment(before) - parse_moment(after)) / timedelta(days=1)
            return int(days) if days.is_integer() else round(days, 6)
    if first is not None and sign > 0 and is_date_text(after):
        return print_date(_days_later(parse_moment(after), first))
    raise EvaluationError("+ and - take numbers, or a date and days; join texts with &")


def _days_later(moment: datetime, days: float) -> datetime:
    try:
        return moment + timedelta(days=days)
    except OverflowError:
        raise EvaluationError("a date leaves the years 1 to 9999") from None


def comparison(operator: str, left: Evaluate, right: Evaluate) -> Evaluate:
    match operator:
        case "=":
            return _equality(left, right)
        case "<>":
            return lambda context: not equal(left(context), right(context))
        case _:
            holds = _ORDERS[operator]
            return lambda context: _ordered(holds, left(context), right(context))


def _equality(left: Evaluate, right: Evaluate) -> Evaluate:
    def same(context: Context) -> bool:
        one, other = left(context), right(context)
        if one.__class__ is str and other.__class__ is str:
            return bool(one == other)
        return equal(one, other)

    return same


def equal(left: Value, right: Value) -> bool:
    """Return whether two values are the same: case-sensitive as texts, true = "True", null = ""."""
    if left.__class__ is str and right.__class__ is str:
        return bool(left == right)
    left, right = single(left), single(right)
    for value in (left, right):
        if isinstance(value, Ignored):
            raise NothingFlows(value)
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    return text(left) == text(right)


def _ordered(holds: Callable[[Any, Any], bool], left: Value, right: Value) -> bool:
    """Compare as numbers, else as dates, else as texts character by character. Nothing is above or below null."""
    first, second = number(left), number(right)
    if first is not None and second is not None:
        return holds(first, second)
    before, after = text(left), text(right)
    if before == "" or after == "":
        return False
    if is_date_text(before) and is_date_text(after):
        return holds(parse_moment(before), parse_moment(after))
    return holds(before, after)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
}
