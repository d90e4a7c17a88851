"""What a function of the language is: its parameters, and how a call of it becomes a closure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.errors import ExpressionSyntaxError
from reconciler.language.syntax import IGNORE_WORDS, Attribute, Call, Constant, Node, NotGiven, Word
from reconciler.language.values import Context, Value

Evaluate = Callable[[Context], Value]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call: its tree, and the closure that evaluates it."""

    node: Node
    evaluate: Evaluate
    observed: bool = False
    """Whether every evaluation is recorded, so that no short cut may be taken."""

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


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call with its arguments, filled up to all parameters that are not repeated."""

    call: Call
    arguments: Sequence[Argument]

    def refuse(self, problem: str, hint: str = "", at: Argument | None = None) -> ExpressionSyntaxError:
        position = self.call.start if at is None else at.node.start
        return ExpressionSyntaxError(f"{self.call.name}: {problem}", position, hint)


Build = Callable[[Invocation], Evaluate]


def _none_passes(_: int) -> bool:
    return False


@dataclass(frozen=True, slots=True)
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
