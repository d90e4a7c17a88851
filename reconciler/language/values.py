"""What an expression works on: values, the context that it is evaluated in, how a value reads as text or number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from math import isfinite
from typing import Any, Protocol

from reconciler.errors import EvaluationError

Value = Any
"""str, bool, int, float, None, a list or dict of these, an `Ignored` or a `Redacted`."""


class Ignored(Enum):
    """What an expression answers when nothing shall flow."""

    FLOW = "flow"
    OBJECT = "object"


IGNORE_FLOW = Ignored.FLOW
"""The attribute is left as it is in the target."""
IGNORE_OBJECT = Ignored.OBJECT
"""The whole entry is not created."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A value that goes to the target as it is, and to the provisioning log as `logged`."""

    value: Value

    @property
    def logged(self) -> str:
        return "[Redact]"

    def __repr__(self) -> str:
        return "Redacted([Redact])"


class Dice(Protocol):
    """Where random values come from; fit for passwords."""

    def hex(self, digits: int) -> str:
        """Return an identifier of so many hexadecimal digits."""
        ...


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A table of the configuration: rows of texts, found by the text in the key column."""

    columns: tuple[str, ...]
    """The names of the columns, the key column first."""
    rows: Mapping[str, tuple[str, ...]]
    """Key → the whole row, the key first."""

    def cell(self, key: str, column: int) -> str | None:
        row = self.rows.get(key)
        return None if row is None else row[column]


_NO_TABLES: Mapping[str, LookupTable] = {}


class Context:
    """One entry in the world that its expressions see. Cheap: one is made for each entry."""

    __slots__ = ("attributes", "default_domain", "dice", "member_of", "now", "tables", "taken")

    def __init__(
        self,
        attributes: Mapping[str, Any],
        now: Callable[[], datetime] | datetime | None = None,
        taken: Callable[[str], bool] | None = None,
        default_domain: str | None = None,
        dice: Dice | None = None,
        tables: Mapping[str, LookupTable] = _NO_TABLES,
        member_of: Callable[[str, bool], bool | None] | None = None,
    ) -> None:
        """`member_of` says of a group whether the entry is in it (True: also through groups within); None: unknown."""
        self.attributes = attributes
        self.now = now
        self.taken = taken
        self.default_domain = default_domain
        self.dice = dice
        self.tables = tables
        self.member_of = member_of


@dataclass(frozen=True, slots=True)
class Choice:
    """What SelectUniqueValue answers where the target has yet to be asked: what it offers, best first, at least one."""

    values: tuple[Any, ...]
    problem: str = ""
    """Why there is no further value; empty: the rules have no more."""


def ask_later(value: str) -> bool:
    """Stand in for what the target says: SelectUniqueValue answers with a Choice instead of a value."""
    raise AssertionError("nobody asks this")


class NothingFlows(Exception):
    """An `Ignored` came where a value is needed: the whole expression answers it. Never leaves `evaluate`."""

    def __init__(self, ignored: Ignored) -> None:
        self.ignored = ignored
        super().__init__()


def single(value: Value) -> Value:
    """Return the one value of a list of one, None for an empty list, and what is no list as it is."""
    if isinstance(value, list):
        if not value:
            return None
        if len(value) > 1:
            raise EvaluationError(
                f"one value is needed where the attribute has {len(value)}; choose with Item or combine with Join"
            )
        return single(value[0])
    return value


def text(value: Value) -> str:
    """Return how a value reads: null is "", true is "True", 3.0 is "3"."""
    if value.__class__ is str:
        return value
    if value is None:
        return ""
    if value is True:
        return "True"
    if value is False:
        return "False"
    return _rare_text(value)


def text_or_none(value: Value) -> str | None:
    """Return how a value reads, or None for null."""
    if value.__class__ is str:
        return value
    value = single(value)
    return None if value is None else text(value)


def is_empty(value: Value) -> bool:
    """Return whether a value is null, an empty string or an empty list."""
    if isinstance(value, Redacted):
        return is_empty(value.value)
    return value is None or value == "" or value == []


def integer(value: Value, what: str) -> int:
    """Return a whole number, also from its text; `what` names the argument in the error."""
    if value.__class__ is int:
        return value
    found = number(value)
    if found is None or (isinstance(found, float) and not found.is_integer()):
        raise EvaluationError(f"{what} must be a whole number")
    return int(found)


def number(value: Value) -> int | float | None:
    """Return a number, also from its text, or None where the value is none."""
    value = single(value)
    if isinstance(value, Ignored):
        raise NothingFlows(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if isfinite(value) else None
    if isinstance(value, str):
        stripped = value.strip()
        if not _NUMBER_CHARACTERS.issuperset(stripped) or len(stripped) > _NUMBER_LENGTH_MAX:
            return None
        try:
            return int(stripped)
        except ValueError:
            pass
        try:
            found = float(stripped)
        except ValueError:
            return None
        return found if isfinite(found) else None
    return None


def truth(value: Value, what: str) -> bool:
    """Return whether a value is true: True, "true" in any case, a number that is not 0. Null and "" are false."""
    if value is True or value is False:
        return value
    value = single(value)
    if value is None or value is False or value == "":
        return False
    if value is True:
        return True
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "false"):
            return word == "true"
    found = number(value)
    if found is None:
        raise EvaluationError(f"{what} is neither true nor false nor a number; compare it with something")
    return found != 0


TEXT_MAX = 1_000_000
"""Characters of a text that a function may make: rules within rules could otherwise fill any memory."""


def bounded(length: int, function: str) -> None:
    """Refuse to make a text of so many characters."""
    if length > TEXT_MAX:
        raise EvaluationError(f"{function} would make a text of more than {TEXT_MAX:,} characters")


_NUMBER_CHARACTERS = frozenset("0123456789.+-")
_NUMBER_LENGTH_MAX = 400


def _rare_text(value: Value) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, list):
        return text(single(value))
    if isinstance(value, Ignored):
        raise NothingFlows(value)
    if isinstance(value, Redacted):
        return text(value.value)
    raise EvaluationError(f"a text is needed where the attribute holds {_SHAPES.get(type(value), 'something else')}")


_SHAPES: dict[type, str] = {dict: "an object with sub-attributes", bytes: "binary data"}
