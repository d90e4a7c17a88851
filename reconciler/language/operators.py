"""Joining with `&` as well as comparing with = <> > >= < <=."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reconciler.language.functions import Evaluate
from reconciler.language.moments import is_date_text, parse_moment
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


def comparison(operator: str, left: Evaluate, right: Evaluate) -> Evaluate:
    match operator:
        case "=":
            return lambda context: equal(left(context), right(context))
        case "<>":
            return lambda context: not equal(left(context), right(context))
        case _:
            holds = _ORDERS[operator]
            return lambda context: _ordered(holds, left(context), right(context))


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
