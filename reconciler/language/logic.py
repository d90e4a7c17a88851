"""Functions that choose: conditions, presence, look-ups in the expression itself."""

from __future__ import annotations

from reconciler.errors import EvaluationError
from reconciler.language.functions import Argument, Evaluate, Function, Invocation, checked, condition, plain
from reconciler.language.syntax import render
from reconciler.language.tree import Attribute, NotGiven, walk
from reconciler.language.values import (
    IGNORE_FLOW,
    Context,
    Ignored,
    NothingFlows,
    Redacted,
    Value,
    is_empty,
    number,
    text,
    truth,
)


def _iif(invocation: Invocation) -> Evaluate:
    if len(invocation.call.arguments) != 3:
        raise invocation.refuse(
            "needs a condition, a value if true, a value if false", "each may be empty but the first"
        )
    condition, if_true, if_false = [argument.evaluate for argument in invocation.arguments]

    def chosen(context: Context) -> Value:
        holds = condition(context)
        if holds is not True and holds is not False:
            holds = truth(holds, "the condition of IIF")
        return if_true(context) if holds else if_false(context)

    return chosen


def _switch(invocation: Invocation) -> Evaluate:
    source, default, *rest = invocation.arguments
    if len(rest) % 2 and not rest[-1].given:
        rest.pop()
    if not rest or len(rest) % 2:
        raise invocation.refuse(
            "needs a key and a value for each case",
            "Switch(source, default, key1, value1, key2, value2, …); the default may be empty",
        )
    keys, values = rest[0::2], rest[1::2]
    if any(not key.constant for key in keys):
        return _switch_with_computed_keys(source.evaluate, default.evaluate, keys, values)
    cases: dict[str, Argument] = {}
    for key, value in zip(keys, values, strict=True):
        cases.setdefault(text(key.value), value)
    if default.constant and all(value.constant for value in cases.values()):
        table = {key: value.value for key, value in cases.items()}
        return _switch_of_constants(source, table, default.value)
    branches = {key: value.evaluate for key, value in cases.items()}
    find, otherwise = source.evaluate, default.evaluate

    def chosen(context: Context) -> Value:
        key = find(context)
        return branches.get(key if key.__class__ is str else text(key), otherwise)(context)

    return chosen


def _switch_of_constants(source: Argument, table: dict[str, Value], default: Value) -> Evaluate:
    name, find = source.attribute, source.evaluate

    def of_attribute(context: Context) -> Value:
        key = context.attributes.get(name)  # type: ignore[arg-type]  # because it is used only where there is a name
        return table.get(key if key.__class__ is str else text(key), default)

    def of_value(context: Context) -> Value:
        key = find(context)
        return table.get(key if key.__class__ is str else text(key), default)

    return of_value if name is None else of_attribute


def _switch_with_computed_keys(
    source: Evaluate, default: Evaluate, keys: list[Argument], values: list[Argument]
) -> Evaluate:
    cases = [(key.evaluate, value.evaluate) for key, value in zip(keys, values, strict=True)]

    def chosen(context: Context) -> Value:
        wanted = text(source(context))
        for key, value in cases:
            if text(key(context)) == wanted:
                return value(context)
        return default(context)

    return chosen


def each_condition(invocation: Invocation) -> None:
    """Check that every argument can be true or false."""
    for index in range(len(invocation.arguments)):
        condition(index)(invocation)


def _both(invocation: Invocation) -> Evaluate:
    conditions = [argument.evaluate for argument in invocation.arguments if argument.given]

    def all_hold(context: Context) -> bool:
        return all(truth(condition(context), "a condition of And") for condition in conditions)

    return all_hold


def _either(invocation: Invocation) -> Evaluate:
    conditions = [argument.evaluate for argument in invocation.arguments if argument.given]

    def one_holds(context: Context) -> bool:
        return any(truth(condition(context), "a condition of Or") for condition in conditions)

    return one_holds


def _coalesce(invocation: Invocation) -> Evaluate:
    sources = [argument.evaluate for argument in invocation.arguments if not isinstance(argument.node, NotGiven)]

    def first(context: Context) -> Value:
        for source in sources:
            value = source(context)
            if value is not None and value != []:
                return value
        return None

    return first


def _ignore_flow_if_null_or_empty(value: Value) -> Value:
    return IGNORE_FLOW if is_empty(value) else value


def _is_null(value: Value) -> bool:
    return value is None or value == []


def _is_present(value: Value) -> bool:
    return not is_empty(value)


def _is_string(value: Value) -> bool:
    if isinstance(value, list):
        return len(value) == 1 and _is_string(value[0])
    return isinstance(value, str | int | float)


def _not(value: Value) -> str:
    if value.__class__ is str:
        return "False" if value.strip().lower() == "true" else "True"
    if value is True:
        return "False"
    if value is False or value is None:
        return "True"
    if isinstance(value, Ignored):
        raise NothingFlows(value)
    return "True" if number(value) is not None or text(value).strip().lower() != "true" else "False"


def _cbool(value: Value) -> bool:
    return truth(value, "the value of CBool")


def _redact(value: Value) -> Value:
    return value if value is None or isinstance(value, Ignored | Redacted) else Redacted(value)


def _error(invocation: Invocation) -> Evaluate:
    message = invocation.arguments[0]
    # what is computed from a person's attributes stays out of logs, so the rule itself is shown in its place
    tells = any(isinstance(node, Attribute) for node in walk(message.node))

    def failing(context: Context) -> Value:
        raise EvaluationError(render(message.node) if tells else text(message.evaluate(context)))

    return failing


FUNCTIONS = (
    Function("And", ("condition1", "condition..."), checked(_both, each_condition), gives="truth", ours=True),
    Function("CBool", ("expression",), checked(plain(_cbool), condition(0)), gives="truth"),
    Function("Coalesce", ("source...",), _coalesce, passes=lambda _: True),
    Function("Error", ("message",), _error),
    Function(
        "IIF",
        ("condition", "valueIfTrue?", "valueIfFalse?"),
        checked(_iif, condition(0)),
        passes=lambda index: index > 0,
    ),
    Function("IgnoreFlowIfNullOrEmpty", ("expression",), plain(_ignore_flow_if_null_or_empty), passes=lambda _: True),
    Function("IsNothing", ("expression",), plain(_is_null), gives="truth"),
    Function("IsNull", ("expression",), plain(_is_null), gives="truth"),
    Function("IsNullOrEmpty", ("expression",), plain(is_empty), gives="truth"),
    Function("IsPresent", ("expression",), plain(_is_present), gives="truth"),
    Function("IsString", ("expression",), plain(_is_string), gives="truth"),
    Function("Not", ("source",), plain(_not)),
    Function("Or", ("condition1", "condition..."), checked(_either, each_condition), gives="truth", ours=True),
    Function("Redact", ("value",), plain(_redact), passes=lambda _: True),
    Function(
        "Switch",
        ("source", "defaultValue?", "key", "value..."),
        _switch,
        passes=lambda index: index == 1 or (index > 2 and index % 2 == 1),
    ),
)
