"""Excel's functions that choose: logic, validation, look-up."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.errors import EvaluationError
from reconciler.language import values
from reconciler.language.beyond import column_of, constant_name, table_named
from reconciler.language.excel_values import (
    NUMBER,
    TRUTH,
    ExcelError,
    equal,
    flat,
    not_available,
    number,
    text,
    truth,
    whole,
    wrong_value,
)
from reconciler.language.functions import ANY_WORD, Argument, Evaluate, Function, Invocation, TableUse, plain
from reconciler.language.lists import FUNCTIONS as LISTS
from reconciler.language.values import Context, LookupTable, Value, is_empty


def _if(invocation: Invocation) -> Evaluate:
    condition, if_true, if_false = [argument.evaluate for argument in invocation.arguments]
    otherwise = if_false if len(invocation.call.arguments) > 2 else lambda _: False

    def chosen(context: Context) -> Value:
        return if_true(context) if truth(condition(context), "IF") else otherwise(context)

    return chosen


def _ifs(invocation: Invocation) -> Evaluate:
    found = [argument.evaluate for argument in invocation.arguments]
    if len(found) % 2:
        raise invocation.refuse("needs a condition and a value for each case")
    cases = list(zip(found[0::2], found[1::2], strict=True))

    def chosen(context: Context) -> Value:
        for condition, value in cases:
            if truth(condition(context), "IFS"):
                return value(context)
        raise not_available("no condition of IFS is true")

    return chosen


def _switch(invocation: Invocation) -> Evaluate:
    source, *found = [argument.evaluate for argument in invocation.arguments]
    default = found.pop() if len(found) % 2 else None
    cases = list(zip(found[0::2], found[1::2], strict=True))

    def chosen(context: Context) -> Value:
        wanted = source(context)
        for key, value in cases:
            if equal(wanted, key(context)):
                return value(context)
        if default is None:
            raise not_available("SWITCH has no value for this")
        return default(context)

    return chosen


def _choose(invocation: Invocation) -> Evaluate:
    index, *choices = [argument.evaluate for argument in invocation.arguments]

    def chosen(context: Context) -> Value:
        wanted = whole(index(context), "CHOOSE")
        if not 1 <= wanted <= len(choices):
            raise wrong_value(f"the index of CHOOSE goes from 1 to {len(choices)}")
        return choices[wanted - 1](context)

    return chosen


def _xor(invocation: Invocation) -> Evaluate:
    parts = [argument.evaluate for argument in invocation.arguments if argument.given]
    return lambda context: sum(truth(one, "XOR") for one in flat([part(context) for part in parts])) % 2 == 1


def _and(invocation: Invocation) -> Evaluate:
    parts = [argument.evaluate for argument in invocation.arguments if argument.given]
    return lambda context: all(truth(one, "AND") for part in parts for one in flat([part(context)]))


def _or(invocation: Invocation) -> Evaluate:
    parts = [argument.evaluate for argument in invocation.arguments if argument.given]
    return lambda context: any(truth(one, "OR") for part in parts for one in flat([part(context)]))


def _catching(catches: Callable[[EvaluationError], bool]) -> Callable[[Invocation], Evaluate]:
    def build(invocation: Invocation) -> Evaluate:
        value, otherwise = [argument.evaluate for argument in invocation.arguments]

        def caught(context: Context) -> Value:
            try:
                return value(context)
            except EvaluationError as error:
                if not catches(error):
                    raise
                return otherwise(context)

        return caught

    return build


def _is_na(error: EvaluationError) -> bool:
    return isinstance(error, ExcelError) and error.code == "#N/A"


def _tells(
    of_value: Callable[[Value], bool], of_error: Callable[[EvaluationError], bool] = lambda _: False
) -> Callable[[Invocation], Evaluate]:
    def build(invocation: Invocation) -> Evaluate:
        find = invocation.arguments[0].evaluate

        def told(context: Context) -> bool:
            try:
                value = find(context)
            except EvaluationError as error:
                return of_error(error)
            return of_value(value)

        return told

    return build


def _is_number(value: Value) -> bool:
    return not isinstance(value, list) and not is_empty(value) and values.number(value) is not None


def _is_text(value: Value) -> bool:
    return isinstance(value, str) and value != "" and not _is_number(value)


def _n(value: Value) -> int | float:
    return number(value, "N") if isinstance(value, bool | int | float) else 0


def _na() -> Value:
    raise not_available("NA()")


def _parity(odd: bool) -> Callable[[Value], bool]:
    return lambda value: bool(whole(value, "ISODD" if odd else "ISEVEN") % 2) is odd


# --- looking up ------------------------------------------------------------------------------------------------------


def _vlookup(invocation: Invocation) -> Evaluate:
    key, table, column, exact = invocation.arguments
    name = constant_name(invocation, table, "the table")
    if not column.constant or not str(column.value).isdecimal() or int(str(column.value)) < 1:
        raise invocation.refuse("the column must be a number from 1", at=column)
    place = int(str(column.value))
    invocation.noted.tables.add(TableUse(name, (), place))
    find = key.evaluate

    def looked_up(context: Context) -> str:
        if exact.given and truth(exact.evaluate(context), "VLOOKUP"):
            raise wrong_value("VLOOKUP finds exact values only; write FALSE as its last argument")
        rows = table_named(context, name)
        if place > len(rows.columns):
            raise ExcelError("#REF!", f"the table {name} has {len(rows.columns)} columns")
        cell = rows.cell(text(find(context)), place - 1)
        if cell is None:
            raise not_available(f"the table {name} has no such key")
        return cell

    return looked_up


def _xlookup(invocation: Invocation) -> Evaluate:
    key, within, wanted, otherwise = invocation.arguments
    table, key_column = _table_column(invocation, within)
    other, value_column = _table_column(invocation, wanted)
    if table != other:
        raise invocation.refuse("both columns must be of one table", at=wanted)
    invocation.noted.tables.add(TableUse(table, (key_column, value_column), 1))
    find = key.evaluate

    last: tuple[LookupTable, dict[str, str]] | None = None

    def cells(rows: LookupTable) -> dict[str, str]:
        """Return the wanted cell by the cell that is looked for, the first row that has it; made once for a table."""
        nonlocal last
        if last is None or last[0] is not rows:
            by, place = column_of(rows, key_column), column_of(rows, value_column)
            last = (rows, {row[by]: row[place] for row in reversed(list(rows.rows.values()))})
        return last[1]

    def looked_up(context: Context) -> Value:
        cell = cells(table_named(context, table)).get(text(find(context)))
        if cell is not None:
            return cell
        if otherwise.given:
            return otherwise.evaluate(context)
        raise not_available(f"the table {table} has no such value")

    return looked_up


def _table_column(invocation: Invocation, argument: Argument) -> tuple[str, str]:
    table, bracket, column = constant_name(invocation, argument, "a column").partition("[")
    if not bracket or not table or not column.rstrip("]"):
        raise invocation.refuse("needs a column of a table", "write Table[column]", argument)
    return table, column.removesuffix("]")


def _index(value: Value, place: Value) -> Value:
    found = list(flat([value]))
    wanted = whole(place, "INDEX")
    if not 1 <= wanted <= len(found):
        raise ExcelError("#REF!", f"INDEX counts from 1 to {len(found)} here")
    return found[wanted - 1]


def _match(wanted: Value, value: Value, kind: Value) -> int:
    if kind is not None and whole(kind, "MATCH") != 0:
        raise wrong_value("MATCH finds exact values only; write 0 as its last argument")
    for place, one in enumerate(flat([value]), start=1):
        if equal(one, wanted):
            return place
    raise not_available("MATCH did not find the value")


def _counted(value_counts: Callable[[Value], bool]) -> Callable[[Invocation], Evaluate]:
    def build(invocation: Invocation) -> Evaluate:
        parts = [argument.evaluate for argument in invocation.arguments if argument.given]
        return lambda context: sum(value_counts(one) for one in flat([part(context) for part in parts]))

    return build


_UNIQUE = next(function for function in LISTS if function.name == "RemoveDuplicates")

FUNCTIONS = (
    Function("AND", ("logical...",), _and, gives=TRUTH),
    Function("CHOOSE", ("index", "value..."), _choose, passes=lambda index: index > 0),
    Function("COUNT", ("value...",), _counted(_is_number), gives=NUMBER),
    Function("COUNTA", ("value...",), _counted(lambda value: not is_empty(value)), gives=NUMBER),
    Function("FALSE", (), plain(lambda: False), gives=TRUTH),
    Function("IF", ("condition", "value_if_true?", "value_if_false?"), _if, passes=lambda index: index > 0),
    Function("IFERROR", ("value?", "value_if_error?"), _catching(lambda _: True), passes=lambda _: True),
    Function("IFNA", ("value?", "value_if_na?"), _catching(_is_na), passes=lambda _: True),
    Function("IFS", ("condition", "value..."), _ifs, passes=lambda index: index % 2 == 1),
    Function("INDEX", ("values", "position"), plain(_index)),
    Function("ISBLANK", ("value",), _tells(is_empty), gives=TRUTH),
    Function("ISERR", ("value",), _tells(lambda _: False, lambda error: not _is_na(error)), gives=TRUTH),
    Function("ISERROR", ("value",), _tells(lambda _: False, lambda _: True), gives=TRUTH),
    Function("ISEVEN", ("number",), plain(_parity(odd=False)), gives=TRUTH),
    Function("ISLOGICAL", ("value",), _tells(lambda value: isinstance(value, bool)), gives=TRUTH),
    Function("ISNA", ("value",), _tells(lambda _: False, _is_na), gives=TRUTH),
    Function("ISNONTEXT", ("value",), _tells(lambda value: not _is_text(value), lambda _: True), gives=TRUTH),
    Function("ISNUMBER", ("value",), _tells(_is_number), gives=TRUTH),
    Function("ISODD", ("number",), plain(_parity(odd=True)), gives=TRUTH),
    Function("ISTEXT", ("value",), _tells(_is_text), gives=TRUTH),
    Function("MATCH", ("value", "values", "match_type?"), plain(_match), gives=NUMBER),
    Function("N", ("value",), plain(_n), gives=NUMBER),
    Function("NA", (), plain(_na)),
    Function("NOT", ("logical",), plain(lambda value: not truth(value, "NOT")), gives=TRUTH),
    Function("OR", ("logical...",), _or, gives=TRUTH),
    Function("SWITCH", ("expression", "value1", "result1_or_default..."), _switch),
    Function("T", ("value",), plain(lambda value: value if _is_text(value) else "")),
    Function("TRUE", (), plain(lambda: True), gives=TRUTH),
    Function("UNIQUE", ("values",), _UNIQUE.build, gives="list"),
    Function("VLOOKUP", ("key", "table", "column", "range_lookup?"), _vlookup, words={1: ANY_WORD}),
    Function(
        "XLOOKUP",
        ("value", "lookup_column", "return_column", "if_not_found?"),
        _xlookup,
        words={1: ANY_WORD, 2: ANY_WORD},
    ),
    Function("XOR", ("logical...",), _xor, gives=TRUTH),
)
