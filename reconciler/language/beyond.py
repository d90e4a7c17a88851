"""Functions that look beyond the entry: at the tables of the configuration, at who is in a group."""

from __future__ import annotations

from reconciler.errors import EvaluationError
from reconciler.language.functions import ANY_WORD, Argument, Evaluate, Function, Invocation, TableUse
from reconciler.language.values import IGNORE_FLOW, Context, LookupTable, NothingFlows, Value, text, text_or_none, truth


def table_named(context: Context, name: str) -> LookupTable:
    """Return a table of the configuration; raises EvaluationError."""
    found = context.tables.get(name)
    if found is None:
        raise EvaluationError(f"there is no table {name}; tables are written in the configuration: [tables.{name}]")
    return found


def column_of(table: LookupTable, name: str) -> int:
    """Return the place of a column; raises EvaluationError."""
    if name not in table.columns:
        raise EvaluationError(f"the table has no column {name}; it has {', '.join(table.columns)}")
    return table.columns.index(name)


def constant_name(invocation: Invocation, argument: Argument, what: str) -> str:
    """Return a name that must be known before anything is evaluated."""
    if not argument.constant or not argument.given:
        raise invocation.refuse(f"{what} must be a name in quotes, not computed", at=argument)
    return text(argument.value)


def _lookup(invocation: Invocation) -> Evaluate:
    table, key, default, column = invocation.arguments
    name = constant_name(invocation, table, "the table")
    column_name = constant_name(invocation, column, "the column") if column.given else None
    invocation.noted.tables.add(TableUse(name, () if column_name is None else (column_name,), 2))
    find, otherwise = key.evaluate, default.evaluate

    def looked_up(context: Context) -> Value:
        rows = table_named(context, name)
        place = 1 if column_name is None else column_of(rows, column_name)
        wanted = text_or_none(find(context))
        cell = None if wanted is None else rows.cell(wanted, place)
        return otherwise(context) if cell is None else cell

    return looked_up


def _member_of(invocation: Invocation) -> Evaluate:
    group, nested = invocation.arguments
    name = constant_name(invocation, group, "the group")
    within = nested.given and truth(constant_name(invocation, nested, "nested"), "nested of MemberOf")
    invocation.noted.groups.add((name, within))

    def member(context: Context) -> bool:
        if context.member_of is None:
            raise EvaluationError("MemberOf has no answer here: no groups were given")
        known = context.member_of(name, within)
        if known is None:
            # nobody is taken for out of a group that could not be read: the target keeps what it has
            raise NothingFlows(IGNORE_FLOW)
        return known

    return member


FUNCTIONS = (
    Function(
        "Lookup",
        ("table", "key", "default?", "column?"),
        _lookup,
        passes=lambda index: index == 2,
        words={0: ANY_WORD},
        ours=True,
    ),
    Function("MemberOf", ("group", "nested?"), _member_of, gives="truth", ours=True),
)
