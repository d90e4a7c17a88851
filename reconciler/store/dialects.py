"""What SQLite and PostgreSQL say differently: lists of values, upserts, statements for many rows.

Everything else in this folder is SQLAlchemy Core that both understand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import chain, islice
from typing import Any, Literal

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Insert,
    Integer,
    Table,
    Text,
    TypeDecorator,
    bindparam,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement, Join, TableValuedAlias, UpdateBase
from sqlalchemy.types import TypeEngine


class _Values(TypeDecorator[Sequence[Any]]):
    """A list as one parameter: JSON text for SQLite, an array for PostgreSQL."""

    impl = Text
    cache_ok = True

    def __init__(self, of: Literal["text", "integer"]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.ARRAY(Text() if self.of == "text" else BigInteger()))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        assert value is not None
        return list(value) if dialect.name == "postgresql" else orjson.dumps(list(value)).decode()


class _Given(FunctionElement[Any]):
    """A table (key, value) of the values of one parameter; keys count from 0."""

    name = "given"
    inherit_cache = True


@compiles(_Given, "sqlite")
def _given_sqlite(element: _Given, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_Given, "postgresql")
def _given_postgresql(element: _Given, compiler: SQLCompiler, **kw: Any) -> str:
    values = compiler.process(element.clauses, **kw)
    # What is put in is the mark of a bound parameter.
    return f"(SELECT value, position - 1 AS key FROM unnest({values}) WITH ORDINALITY AS u (value, position))"  # noqa: S608


def given(name: str = "given", of: Literal["text", "integer"] = "text") -> TableValuedAlias:
    """Return a table with the columns key and value, made of the list that is bound to `name`.

    One parameter whatever the length, so the statement is compiled and prepared once; joined to an index it is also
    faster than IN with a thousand parameters.
    """
    value: Column[Any] = Column("value", Text() if of == "text" else BigInteger())
    return _Given(bindparam(name, type_=_Values(of))).table_valued(Column("key", Integer), value, name=name)


class _InTurn(Join):
    """A join whose left side is walked through, with a look-up on the right for each row."""

    inherit_cache = True


@compiles(_InTurn)
def _in_turn(element: _InTurn, compiler: SQLCompiler, **kw: Any) -> str:
    return _joined(element, "JOIN", compiler, **kw)


@compiles(_InTurn, "sqlite")
def _in_turn_sqlite(element: _InTurn, compiler: SQLCompiler, **kw: Any) -> str:
    return _joined(element, "CROSS JOIN", compiler, **kw)


def _joined(element: _InTurn, word: str, compiler: SQLCompiler, asfrom: bool = False, **kw: Any) -> str:
    assert element.onclause is not None
    left, right = (compiler.process(side, asfrom=True, **kw) for side in (element.left, element.right))
    return f"{left} {word} {right} ON {compiler.process(element.onclause, **kw)}"


def in_turn(left: FromClause, right: FromClause, on: ColumnElement[bool]) -> Join:
    """Join so that SQLite looks up each row of `left` in an index of `right`.

    It knows nothing of how many rows a table has or a list holds, and would as soon walk through every entry of a job
    and search the list for each.
    """
    return _InTurn(left, right, on)


@cache
def upsert(dialect: str, table: Table, keys: tuple[str, ...], values: tuple[str, ...]) -> Insert:
    """Return an insert that overwrites `values` where a row with these keys exists; no values: it stays."""
    if dialect == "postgresql":
        for_postgresql = postgresql.insert(table)
        if not values:
            return for_postgresql.on_conflict_do_nothing(index_elements=keys)
        overwritten = {name: for_postgresql.excluded[name] for name in values}
        return for_postgresql.on_conflict_do_update(index_elements=keys, set_=overwritten)
    for_sqlite = sqlite.insert(table)
    if not values:
        return for_sqlite.on_conflict_do_nothing(index_elements=keys)
    overwritten = {name: for_sqlite.excluded[name] for name in values}
    return for_sqlite.on_conflict_do_update(index_elements=keys, set_=overwritten)


def put_many(
    connection: Connection,
    table: Table,
    keys: tuple[str, ...],
    values: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    by: tuple[str, ...] | None = None,
) -> None:
    """Insert rows (keys, then values), overwriting `values` where there is a row with these keys (those in `by`)."""
    execute_many(connection, upsert(connection.dialect.name, table, by or keys, values), (*keys, *values), rows)


def execute_many(
    connection: Connection, statement: UpdateBase, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Run a statement for many rows of plain tuples whose fields are `names`.

    The tuples go to the driver as they are: a dict for each row and a look at each value cost as much as SQLite itself.
    """
    if not rows:
        return
    dialect = connection.dialect
    text = _text(statement, names, dialect)
    if dialect.name != "sqlite":
        connection.exec_driver_sql(text, list(rows))
        return
    columns, words = _columns(rows)
    if (parts := _PARTS_OF_AN_INSERT.fullmatch(text)) is not None:
        _in_blocks(connection, parts[1], parts[2], columns, words, len(rows))
    else:
        connection.exec_driver_sql(_with_words(text, words), list(zip(*columns, strict=True)))


_BLOCKS = (256, 64, 16, 4, 1)
"""How many rows one statement takes. Python's driver lets go of the interpreter, and waits for it, once a statement:
with a statement a row a commit takes several times as long beside a busy event loop. Few sizes, so that each is
prepared once; not larger, for what is prepared is kept and grows with its rows."""

_PARTS_OF_AN_INSERT = re.compile(r"(INSERT INTO .* VALUES )\(\?(?:, \?)*\)(.*)", re.DOTALL)


def _in_blocks(
    connection: Connection, before: str, after: str, columns: list[Iterable[Any]], words: tuple[str, ...], count: int
) -> None:
    """Run a statement that takes many rows, between `before` and `after`."""
    values = chain.from_iterable(zip(*columns, strict=True))
    each = words.count(_BOUND)
    for size in _BLOCKS:
        for _ in range(count // size):
            block = tuple(islice(values, size * each))
            connection.exec_driver_sql(_block(before, words, after, size), block)
        count %= size


@lru_cache(maxsize=256)
def _block(before: str, words: tuple[str, ...], after: str, size: int) -> str:
    row = f"({', '.join(words)})"
    return f"{before}{', '.join([row] * size)}{after}"


_BOUND = "?"
_SAME_FOR_ALL = {None: "NULL", True: "TRUE", False: "FALSE"}


def _columns(rows: Sequence[tuple[Any, ...]]) -> tuple[list[Iterable[Any]], tuple[str, ...]]:
    """Return the columns that are bound, and for each column the word that stands for it in the statement."""
    columns, words = [], []
    for column in zip(*rows, strict=True):
        bound, word = _for_sqlite(column)
        words.append(word)
        if word == _BOUND:
            columns.append(bound)
    return columns, tuple(words)


def _for_sqlite(column: tuple[Any, ...]) -> tuple[Iterable[Any], str]:
    """Return a column as it is bound, and the word that stands for it in the statement.

    Python's driver asks around how to adapt each None, each boolean and each bytes, which takes longer than to write
    them: those that all rows have alike go into the statement, and bytes go as bytearrays, about which it does not ask.
    """
    types = set(map(type, column))
    if types == {bytes}:
        return map(bytearray, column), _BOUND
    if types <= _CONSTANTS and len(values := set(column)) == 1:
        return column, _SAME_FOR_ALL[values.pop()]
    return column, _BOUND


_CONSTANTS = {type(None), bool}


@lru_cache(maxsize=1024)
def _with_words(text: str, words: tuple[str, ...]) -> str:
    parts = text.split(_BOUND)
    assert len(parts) == len(words) + 1, "a statement holds no question marks but those of its parameters"
    return "".join(chain.from_iterable(zip(parts, (*words, ""), strict=True)))


@lru_cache(maxsize=256)
def _text(statement: UpdateBase, names: tuple[str, ...], dialect: Dialect) -> str:
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    assert isinstance(compiled, SQLCompiler)
    assert compiled.positiontup == list(names), f"bound in the order {compiled.positiontup}"
    return str(compiled)
