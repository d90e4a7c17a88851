"""How values read in an Excel formula: as text, as number, as truth, as date; what its errors are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from math import isfinite

from reconciler.errors import EvaluationError
from reconciler.language import values
from reconciler.language.functions import Evaluate, Gives
from reconciler.language.moments import is_date_text, parse_moment, print_iso
from reconciler.language.values import Context, Ignored, NothingFlows, Value


class ExcelError(EvaluationError):
    """An error value, such as #N/A. It ends the evaluation unless IFERROR or its like catches it."""

    def __init__(self, code: str, problem: str) -> None:
        self.code = code
        super().__init__(f"{code} {problem}")


def wrong_value(problem: str) -> ExcelError:
    return ExcelError("#VALUE!", problem)


def not_available(problem: str) -> ExcelError:
    return ExcelError("#N/A", problem)


def wrong_number(problem: str) -> ExcelError:
    return ExcelError("#NUM!", problem)


def text(value: Value) -> str:
    """Return how a value reads: nothing is "", true is TRUE."""
    if value.__class__ is str:
        return value
    value = values.single(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return values.text(value)


def number(value: Value, function: str) -> int | float:
    """Return a number, also from its text; nothing is 0, true is 1."""
    if value.__class__ is int:
        return value
    value = values.single(value)
    if value is None or value == "":
        return 0
    if isinstance(value, bool):
        return int(value)
    found = values.number(value)
    if found is None:
        raise wrong_value(f"{function} needs a number")
    return found


def whole(value: Value, function: str) -> int:
    """Return a number without its fraction."""
    return int(number(value, function))


def truth(value: Value, function: str) -> bool:
    """Return whether a value is true: TRUE, a number that is not 0. Nothing is false."""
    if value is True or value is False:
        return value
    try:
        return values.truth(value, "")
    except EvaluationError:
        raise wrong_value(f"{function} needs something that is true or false") from None


def date(value: Value, function: str) -> datetime:
    """Return the moment that a text stands for."""
    written = text(value)
    if not written:
        raise wrong_value(f"{function} needs a date and got none")
    try:
        return parse_moment(written)
    except EvaluationError as error:
        raise wrong_value(f"{function}: {error}") from None


def print_date(moment: datetime) -> str:
    """Return yyyy-MM-dd, with the time only where there is one."""
    if moment.hour or moment.minute or moment.second or moment.microsecond:
        return print_iso(moment)
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02}"


def flat(found: Sequence[Value]) -> Iterator[Value]:
    """Yield every single value, those of lists one by one."""
    for value in found:
        if isinstance(value, list):
            yield from flat(value)
        else:
            if isinstance(value, Ignored):
                raise NothingFlows(value)
            yield value


def plain_number(found: int | float, function: str) -> int | float:
    """Return a number as it shall be shown: whole ones without a fraction, none that is not one."""
    if isinstance(found, int):
        return found if abs(found) < _EXACT_MAX else plain_number(_as_float(found, function), function)
    if not isfinite(found):
        raise wrong_number(f"{function} leaves the numbers")
    # as Excel, which shows 15 digits: 0.1 + 0.2 is 0.3
    rounded = float(f"{found:.15g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < _EXACT_MAX else rounded


_EXACT_MAX = 10**15


def _as_float(found: int, function: str) -> float:
    try:
        return float(found)
    except OverflowError:
        raise wrong_number(f"{function} leaves the numbers") from None


def concatenation(parts: Sequence[Evaluate]) -> Evaluate:
    """Join texts; nothing is ""."""
    return lambda context: "".join([text(part(context)) for part in parts])


def equal(left: Value, right: Value) -> bool:
    """Return whether two values are the same, whatever their letter case; nothing equals "" and 0."""
    left, right = values.single(left), values.single(right)
    for value in (left, right):
        if isinstance(value, Ignored):
            raise NothingFlows(value)
    if isinstance(left, bool) or isinstance(right, bool):
        return text(left).upper() == text(right).upper()
    if (left is None and _is_number(right)) or (right is None and _is_number(left)):
        return not left and not right
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    return text(left).casefold() == text(right).casefold()


def comparison(operator: str, left: Evaluate, right: Evaluate) -> Evaluate:
    match operator:
        case "=":
            return lambda context: equal(left(context), right(context))
        case "<>":
            return lambda context: not equal(left(context), right(context))
        case _:
            holds = _ORDERS[operator]
            return lambda context: holds(_order(left(context), right(context)))


_ORDERS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def _order(left: Value, right: Value) -> int:
    """Return below 0, 0 or above 0: as numbers, else as dates, else as texts. Nothing is 0 beside a number."""
    first, second = (0 if value is None else values.number(value) for value in (left, right))
    if first is not None and second is not None and not (left is None and right is None):
        return (first > second) - (first < second)
    before, after = text(left), text(right)
    if is_date_text(before) and is_date_text(after):
        earlier, later = parse_moment(before), parse_moment(after)
        return (earlier > later) - (earlier < later)
    before, after = before.casefold(), after.casefold()
    return (before > after) - (before < after)


def arithmetic(operators: Sequence[str], operands: Sequence[Evaluate]) -> Evaluate:
    """Add, subtract, multiply, divide, raise; a date and a number give a date, two dates the days between them."""
    first, *others = operands
    steps = [(_CALCULATIONS[operator], other) for operator, other in zip(operators, others, strict=True)]

    def calculated(context: Context) -> Value:
        found = first(context)
        for calculate, other in steps:
            found = calculate(found, other(context))
        return found

    return calculated


def _sum(left: Value, right: Value, sign: int) -> Value:
    left, right = values.single(left), values.single(right)
    dated = [isinstance(value, str) and is_date_text(value) for value in (left, right)]
    try:
        if dated == [True, True] and sign < 0:
            days = (parse_moment(left) - parse_moment(right)) / timedelta(days=1)
            return plain_number(days, "-")
        if dated == [True, False]:
            return print_date(parse_moment(left) + timedelta(days=sign * number(right, "+")))
        if dated == [False, True] and sign > 0:
            return print_date(parse_moment(right) + timedelta(days=number(left, "+")))
    except OverflowError:
        raise wrong_number("a date leaves the years 1 to 9999") from None
    return plain_number(number(left, "+") + sign * number(right, "+"), "+")


def _quotient(left: Value, right: Value) -> int | float:
    divisor = number(right, "/")
    if not divisor:
        raise ExcelError("#DIV/0!", "division by zero")
    return plain_number(number(left, "/") / divisor, "/")


def power(left: Value, right: Value) -> int | float:
    try:
        found = float(number(left, "^")) ** float(number(right, "^"))
    except (OverflowError, ZeroDivisionError):
        raise wrong_number("a power leaves the numbers") from None
    if isinstance(found, complex):
        raise wrong_number("a root of a negative number")
    return plain_number(found, "^")


_CALCULATIONS: dict[str, Callable[[Value, Value], Value]] = {
    "+": lambda left, right: _sum(left, right, 1),
    "-": lambda left, right: _sum(left, right, -1),
    "*": lambda left, right: plain_number(number(left, "*") * number(right, "*"), "*"),
    "/": _quotient,
    "^": power,
}


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


NUMBER: Gives = "number"
TRUTH: Gives = "truth"
