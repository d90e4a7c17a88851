"""Excel's plain maths: rounding, remainders, sums, number systems, bits, chance."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from decimal import Context as DecimalContext
from math import ceil, floor, fsum, prod, sqrt

from reconciler.language import values
from reconciler.language.excel_values import (
    NUMBER,
    ExcelError,
    flat,
    number,
    plain_number,
    power,
    text,
    whole,
    wrong_number,
    wrong_value,
)
from reconciler.language.functions import Evaluate, Function, Invocation, plain
from reconciler.language.generating import dice_of
from reconciler.language.values import Context, Value

_DIGITS_MAX = 15
_BITS_MAX = 2**48
_ROOM = DecimalContext(prec=2 * _DIGITS_MAX)
"""For as many digits before the point as after it."""


def _rounding(function: str, mode: str) -> Callable[[Value, Value], int | float]:
    def rounded(value: Value, digits: Value) -> int | float:
        places = max(-_DIGITS_MAX, min(whole(digits, function), _DIGITS_MAX))
        found = Decimal(str(number(value, function)))
        if abs(found) >= 10**15:
            return plain_number(number(value, function), function)
        return plain_number(float(found.quantize(Decimal(1).scaleb(-places), mode, _ROOM)), function)

    return rounded


def _mod(value: Value, divisor: Value) -> int | float:
    by = number(divisor, "MOD")
    if not by:
        raise ExcelError("#DIV/0!", "MOD by zero")
    return plain_number(number(value, "MOD") % by, "MOD")


def _quotient(value: Value, divisor: Value) -> int | float:
    by = number(divisor, "QUOTIENT")
    if not by:
        raise ExcelError("#DIV/0!", "QUOTIENT by zero")
    return plain_number(float(int(number(value, "QUOTIENT") / by)), "QUOTIENT")


def _towards(function: str, turn: Callable[[float], int]) -> Callable[[Value, Value], int | float]:
    def stepped(value: Value, step: Value) -> int | float:
        by = 1 if step is None else number(step, function)
        return 0 if not by else plain_number(turn(number(value, function) / by) * by, function)

    return stepped


def _root(value: Value) -> int | float:
    found = number(value, "SQRT")
    if found < 0:
        raise wrong_number("SQRT of a negative number")
    return plain_number(sqrt(found), "SQRT")


def _sign(value: Value) -> int:
    found = number(value, "SIGN")
    return (found > 0) - (found < 0)


def _over(function: str, reduce: Callable[[list[int | float]], int | float]) -> Callable[[Invocation], Evaluate]:
    """Build a function of all numbers of its arguments; what is empty, or a text within a list, does not count."""

    def build(invocation: Invocation) -> Evaluate:
        parts = [argument.evaluate for argument in invocation.arguments if argument.given]

        def reduced(context: Context) -> int | float:
            found: list[int | float] = []
            for part in parts:
                value = part(context)
                listed = isinstance(value, list)
                for one in flat([value]):
                    if one is None or one == "":
                        continue
                    read = values.number(one)
                    if read is None and not listed:
                        read = number(one, function)
                    if read is not None:
                        found.append(read)
            return plain_number(reduce(found), function) if found else 0

        return reduced

    return build


def _product(found: list[int | float]) -> int | float:
    return prod([float(one) for one in found])


def _sum(found: list[int | float]) -> int | float:
    return sum(found) if all(isinstance(one, int) for one in found) else fsum(found)


def _bits(function: str, join: Callable[[int, int], int]) -> Callable[[Value, Value], int]:
    def joined(first: Value, second: Value) -> int:
        found = (whole(first, function), whole(second, function))
        if not all(0 <= one < _BITS_MAX for one in found):
            raise wrong_number(f"{function} takes numbers from 0 to 2^48 - 1")
        return join(*found)

    return joined


_SYSTEMS = {"BIN": (2, 10), "OCT": (8, 10), "DEC": (10, 15), "HEX": (16, 10)}
"""Name → base, and how many digits a number may have."""


def _from_system(name: str, written: str, function: str) -> int:
    base, digits = _SYSTEMS[name]
    try:
        found = int(written or "0", base)
    except ValueError:
        raise wrong_number(f"{function} cannot read this number") from None
    if len(written) > digits or (written.startswith(("+", "-")) and name != "DEC") or "_" in written:
        raise wrong_number(f"{function} cannot read this number")
    if name != "DEC" and len(written) == digits and found >= base**digits // 2:
        # the first of ten digits carries the sign
        found -= base**digits
    return found


def _conversion(source: str, target: str) -> Function:
    function = f"{source}2{target}"

    def converted(value: Value, places: Value = None) -> Value:
        found = _from_system(source, text(value).strip(), function)
        if target == "DEC":
            return found
        base, digits = _SYSTEMS[target]
        if not -(base**digits) // 2 <= found < base**digits // 2:
            raise wrong_number(f"{function}: the number has more than {digits} digits")
        written = _in_base(found if found >= 0 else found + base**digits, base)
        width = 0 if places is None else whole(places, function)
        if places is not None and (width > 10 or (found >= 0 and width < len(written))):
            raise wrong_number(f"{function}: the number does not fit into the places")
        return written.rjust(width, "0") if found >= 0 else written

    parameters = ("number",) if target == "DEC" else ("number", "places?")
    return Function(function, parameters, plain(converted), gives=NUMBER if target == "DEC" else "")


def _in_base(found: int, base: int) -> str:
    digits = ""
    while True:
        found, digit = divmod(found, base)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit] + digits
        if not found:
            return digits


def _base(value: Value, radix: Value, least: Value) -> str:
    found, base = whole(value, "BASE"), whole(radix, "BASE")
    width = 0 if least is None else whole(least, "BASE")
    if found < 0 or found > 2**53 or not 2 <= base <= 36 or not 0 <= width <= 255:
        raise wrong_number("BASE takes a number from 0, a base from 2 to 36 and at most 255 digits")
    return _in_base(found, base).rjust(width, "0")


def _decimal(value: Value, radix: Value) -> int:
    base, written = whole(radix, "DECIMAL"), text(value).strip()
    try:
        return int(written[:255] if 2 <= base <= 36 and len(written) <= 255 and "_" not in written else "", base)
    except ValueError:
        raise wrong_number("DECIMAL cannot read this number in this base") from None


def _random(invocation: Invocation) -> Evaluate:
    return lambda context: int(dice_of(context, invocation.call.name).hex(13), 16) / 16**13


def _random_between(invocation: Invocation) -> Evaluate:
    lowest, highest = [argument.evaluate for argument in invocation.arguments]

    def thrown(context: Context) -> int:
        least, most = ceil(number(lowest(context), "RANDBETWEEN")), floor(number(highest(context), "RANDBETWEEN"))
        if least > most or most - least >= 2**53:
            raise wrong_value("RANDBETWEEN needs the lower number first")
        return least + (int(dice_of(context, "RANDBETWEEN").hex(16), 16) * (most - least + 1) >> 64)

    return thrown


FUNCTIONS = (
    Function("ABS", ("number",), plain(lambda value: plain_number(abs(number(value, "ABS")), "ABS")), gives=NUMBER),
    Function("BASE", ("number", "radix", "min_length?"), plain(_base)),
    *[_conversion(source, target) for source in _SYSTEMS for target in _SYSTEMS if source != target],
    Function("BITAND", ("number1", "number2"), plain(_bits("BITAND", lambda one, two: one & two)), gives=NUMBER),
    Function("BITOR", ("number1", "number2"), plain(_bits("BITOR", lambda one, two: one | two)), gives=NUMBER),
    Function("BITXOR", ("number1", "number2"), plain(_bits("BITXOR", lambda one, two: one ^ two)), gives=NUMBER),
    Function("CEILING", ("number", "significance?"), plain(_towards("CEILING", ceil)), gives=NUMBER),
    Function("DECIMAL", ("text", "radix"), plain(_decimal), gives=NUMBER),
    Function("FLOOR", ("number", "significance?"), plain(_towards("FLOOR", floor)), gives=NUMBER),
    Function("INT", ("number",), plain(lambda value: plain_number(floor(number(value, "INT")), "INT")), gives=NUMBER),
    Function("MAX", ("number...",), _over("MAX", max), gives=NUMBER),
    Function("MIN", ("number...",), _over("MIN", min), gives=NUMBER),
    Function("MOD", ("number", "divisor"), plain(_mod), gives=NUMBER),
    Function("POWER", ("number", "power"), plain(power), gives=NUMBER),
    Function("PRODUCT", ("number...",), _over("PRODUCT", _product), gives=NUMBER),
    Function("QUOTIENT", ("number", "divisor"), plain(_quotient), gives=NUMBER),
    Function("RAND", (), _random, volatile=True, gives=NUMBER),
    Function("RANDBETWEEN", ("lowest", "highest"), _random_between, volatile=True, gives=NUMBER),
    Function("ROUND", ("number", "digits?"), plain(_rounding("ROUND", ROUND_HALF_UP)), gives=NUMBER),
    Function("ROUNDDOWN", ("number", "digits?"), plain(_rounding("ROUNDDOWN", ROUND_DOWN)), gives=NUMBER),
    Function("ROUNDUP", ("number", "digits?"), plain(_rounding("ROUNDUP", ROUND_UP)), gives=NUMBER),
    Function("SIGN", ("number",), plain(_sign), gives=NUMBER),
    Function("SQRT", ("number",), plain(_root), gives=NUMBER),
    Function("SUM", ("number...",), _over("SUM", _sum), gives=NUMBER),
    Function("TRUNC", ("number", "digits?"), plain(_rounding("TRUNC", ROUND_DOWN)), gives=NUMBER),
)
