"""The tree of an expression, the same for every dialect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    value: str | int | float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Word:
    """One of the few bare words."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class NotGiven:
    """An empty argument."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Node, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Concatenation:
    parts: tuple[Node, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Operands with an operator between each two, all of one rank, worked off from the left."""

    operators: tuple[str, ...]
    operands: tuple[Node, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str
    left: Node
    right: Node
    start: int
    end: int


Node = Constant | Attribute | Word | NotGiven | Call | Concatenation | Arithmetic | Comparison


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything in it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case Call(arguments=children) | Concatenation(parts=children) | Arithmetic(operands=children):
                waiting.extend(reversed(children))
            case Comparison(left=left, right=right):
                waiting.extend((right, left))
            case Constant() | Attribute() | Word() | NotGiven():
                pass
