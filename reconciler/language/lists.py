"""Functions on values that are several: joining, splitting, counting, choosing."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.errors import EvaluationError
from reconciler.language.functions import Evaluate, Function, Invocation, checked, plain, whole_number
from reconciler.language.values import Context, Ignored, NothingFlows, Value, bounded, integer, is_empty, text
from reconciler.language.wording import COMPARE_WORDS, lower


def values_of(value: Value) -> list[Value]:
    """Return the values of a list, of one value, of nothing."""
    if isinstance(value, list):
        return value
    if isinstance(value, Ignored):
        raise NothingFlows(value)
    return [] if value is None else [value]


def _join(invocation: Invocation) -> Evaluate:
    separator = invocation.arguments[0]
    sources = [argument.evaluate for argument in invocation.arguments[1:] if argument.given]
    constant = text(separator.value) if separator.constant else None
    find = separator.evaluate

    def joined(context: Context) -> Value:
        found: list[str] = []
        for source in sources:
            value = source(context)
            if value.__class__ is str:
                if value:
                    found.append(value)
            elif value is not None:
                found.extend(_texts(value))
        if not found:
            return None
        between = constant if constant is not None else text(find(context))
        if between:
            bounded(len(between) * len(found), "Join")
        return between.join(found)

    return joined


def _texts(value: Value) -> Iterator[str]:
    for one in values_of(value):
        read = text(one)
        if read:
            yield read


def _split(source: Value, delimiter: Value) -> Value:
    if source is None:
        return None
    between = text(delimiter) or None
    found: list[str] = []
    for value in values_of(source):
        whole = text(value)
        if whole:
            found.extend([part.strip() for part in whole.split(between)])
    return found


def _count(value: Value) -> int:
    return 0 if is_empty(value) else len(values_of(value))


def _item(value: Value, index: Value) -> Value:
    found = values_of(value)
    wanted = integer(index, "index of Item")
    if not found:
        return None
    if not 1 <= wanted <= len(found):
        raise EvaluationError(f"index {wanted} of Item is outside a list of {len(found)}; the first value has index 1")
    return found[wanted - 1]


def _contains(value: Value, wanted: Value, compare: Value) -> int:
    part = text(wanted)
    without_case = compare == "vbTextCompare"
    for index, one in enumerate(values_of(value), start=1):
        whole = text(one)
        if (lower(part) in lower(whole)) if without_case else (part in whole):
            return index
    return 0


def _remove_duplicates(value: Value) -> Value:
    if value is None:
        return None
    found: list[Value] = []
    seen: set[str] = set()
    for one in values_of(value):
        key = one if isinstance(one, str) else repr(one)
        if key not in seen:
            seen.add(key)
            found.append(one)
    return found


FUNCTIONS = (
    Function(
        "Contains",
        ("attribute", "search", "compareType?"),
        plain(_contains),
        words={2: COMPARE_WORDS},
        gives="number",
    ),
    Function("Count", ("attribute",), plain(_count), gives="number"),
    Function("Item", ("attribute", "index"), checked(plain(_item), whole_number(1, 1))),
    Function("Join", ("separator", "source..."), _join),
    Function("RemoveDuplicates", ("attribute",), plain(_remove_duplicates), gives="list"),
    Function("Split", ("source", "delimiter?"), plain(_split), gives="list"),
)
