"""What a function of the language is: its parameters, and how a call of it becomes a closure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from reconciler.errors import EvaluationError, ExpressionSyntaxError
from reconciler.language.moments import parse_moment
from reconciler.language.syntax import IGNORE_WORDS
from reconciler.language.tree import Attribute, Call, Constant, Node, NotGiven, Word
from reconciler.language.values import Context, Value, number, truth

Evaluate = Callable[[Context], Value]

Gives = Literal["", "truth", "number", "date", "list"]
"""What kind of value something has; "": any, or a text."""
_SAID: dict[Gives, str] = {"truth": "true or false", "number": "a number", "date": "a date", "list": "a list"}

ANY_WORD = ("*",)
"""Stands for every bare word, as the name of something in the configuration."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call: its tree, and the closure that evaluates it."""

    node: Node
    evaluate: Evaluate
    observed: bool = False
    """Whether every evaluation is recorded, so that no short cut may be taken."""
    gives: Gives = ""
    """What kind of value it surely has."""

    @property
    def given(self) -> bool:
        return not isinstance(self.node, NotGiven)

    @property
    def constant(self) -> bool:
        """Whether the value is known now: a text, a number, a bare word as its name, or an empty argument."""
        return isinstance(self.node, Constant | NotGiven) or (
            isinstance(self.node, Word) and self.node.name not in IGNORE_WORDS
        )

    @property
    def value(self) -> str | int | float | None:
        """The value of a constant argument; None for every other."""
        match self.node:
            case Constant(value=value):
                return value
            case Word(name=name):
                return name
            case _:
                return None

    @property
    def attribute(self) -> str | None:
        """The name, where the argument is nothing but an attribute that nobody watches."""
        return self.node.name if isinstance(self.node, Attribute) and not self.observed else None


class TableUse(NamedTuple):
    """A look-up table that an expression uses."""

    table: str
    columns: tuple[str, ...]
    """The columns that it names."""
    width: int
    """How many columns it needs at least."""


@dataclass(slots=True)
class Noted:
    """What an expression needs of the world, as its calls tell while they are built."""

    groups: set[tuple[str, bool]] = field(default_factory=set)
    tables: set[TableUse] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call with its arguments, filled up to all parameters that are not repeated."""

    call: Call
    arguments: Sequence[Argument]
    noted: Noted = field(default_factory=Noted)

    def refuse(self, problem: str, hint: str = "", at: Argument | None = None) -> ExpressionSyntaxError:
        position = self.call.start if at is None else at.node.start
        return ExpressionSyntaxError(f"{self.call.name}: {problem}", position, hint)


Build = Callable[[Invocation], Evaluate]


def _none_passes(_: int) -> bool:
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """One function. A parameter ending in `?` may be left out; a last one ending in `...` may be repeated."""

    name: str
    parameters: tuple[str, ...]
    build: Build
    passes: Callable[[int], bool] = _none_passes
    """Which arguments come out as they went in, so that Redact and IgnoreAttributeFlow keep their meaning there."""
    words: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """The bare words that an argument may be."""
    volatile: bool = False
    gives: Gives = ""
    ours: bool = False
    """Whether Entra does not have it."""

    @property
    def repeats(self) -> bool:
        return bool(self.parameters) and self.parameters[-1].endswith("...")

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


def plain(function: Callable[..., Value]) -> Build:
    """Build calls of a function that needs the values of its arguments and nothing else."""

    def build(invocation: Invocation) -> Evaluate:
        match [argument.evaluate for argument in invocation.arguments]:
            case []:
                return lambda _: function()
            case [first]:
                return lambda context: function(first(context))
            case [first, second]:
                return lambda context: function(first(context), second(context))
            case [first, second, third]:
                return lambda context: function(first(context), second(context), third(context))
            case many:
                return lambda context: function(*[evaluate(context) for evaluate in many])

    return build


def checked(build: Build, *checks: Callable[[Invocation], None]) -> Build:
    """Build after each check has let the call pass."""

    def build_checked(invocation: Invocation) -> Evaluate:
        for check in checks:
            check(invocation)
        return build(invocation)

    return build_checked


def whole_number(index: int, lowest: int | None = None) -> Callable[[Invocation], None]:
    """Return a check that a constant argument is a whole number, quoted or not, and not below `lowest`."""

    def check(invocation: Invocation) -> None:
        argument = invocation.arguments[index]
        _refuse_kinds(invocation, index, "a whole number", ("truth", "date", "list"))
        if not argument.constant or not argument.given:
            return
        try:
            found = int(str(argument.value).strip())
        except ValueError:
            raise invocation.refuse(f"argument {index + 1} must be a whole number", at=argument) from None
        if lowest is not None and found < lowest:
            raise invocation.refuse(
                f"argument {index + 1} must be at least {lowest}", "positions count from 1", argument
            )

    return check


def any_number(index: int) -> Callable[[Invocation], None]:
    """Return a check that an argument can be a number, quoted or not."""

    def check(invocation: Invocation) -> None:
        argument = invocation.arguments[index]
        _refuse_kinds(invocation, index, "a number", ("truth", "date", "list"))
        if isinstance(argument.value, str) and number(argument.value) is None:
            raise invocation.refuse(f"argument {index + 1} must be a number", at=argument)

    return check


def date(index: int) -> Callable[[Invocation], None]:
    """Return a check that an argument can be a date."""

    def check(invocation: Invocation) -> None:
        argument = invocation.arguments[index]
        _refuse_kinds(invocation, index, "a date", ("truth", "number", "list"))
        if isinstance(argument.value, str):
            try:
                parse_moment(argument.value)
            except EvaluationError as error:
                raise invocation.refuse(f"argument {index + 1} must be a date: {error}", at=argument) from None

    return check


def condition(index: int) -> Callable[[Invocation], None]:
    """Return a check that an argument can be true or false."""

    def check(invocation: Invocation) -> None:
        argument = invocation.arguments[index]
        _refuse_kinds(invocation, index, "a condition", ("date", "list"))
        if isinstance(argument.value, str):
            try:
                truth(argument.value, "a condition")
            except EvaluationError:
                problem = f"argument {index + 1} must be a condition"
                raise invocation.refuse(problem, 'compare something, such as [a] = "b"', argument) from None

    return check


def _refuse_kinds(invocation: Invocation, index: int, needed: str, kinds: tuple[Gives, ...]) -> None:
    argument = invocation.arguments[index]
    if argument.gives in kinds:
        problem = f"argument {index + 1} must be {needed}, and this is {_SAID[argument.gives]}"
        raise invocation.refuse(problem, at=argument)
