"""The cursor that both dialects of the language are read with: white space, parentheses, arguments, attributes."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from reconciler.errors import ExpressionSyntaxError
from reconciler.language.tree import Attribute, Node, NotGiven

FOREIGN_QUOTES = "“”„«»'‘’"
"""What a word processor makes of quotes, and what other languages have."""
DIGITS_MAX = 300
COLUMN = re.compile(r"\[([^\[\]]*)\]")
_SPACE = re.compile(r"\s*")


class Cursor(ABC):
    """A place in a text that moves on as it is read. Every step inwards counts one level, so the stack is bounded."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @abstractmethod
    def expression(self, depth: int) -> Node:
        """Read a whole expression; raises ExpressionSyntaxError."""

    def skip(self) -> bool:
        """Step over white space; return whether anything is left."""
        found = _SPACE.match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        return self.at < len(self.text)

    def arguments(self, name: str, depth: int) -> tuple[Node, ...]:
        """Read what stands in the parentheses of a call."""
        opened = self.at
        self.at += 1
        arguments: list[Node] = []
        while True:
            if self.skip() and self.text[self.at] in ",)":
                arguments.append(NotGiven(self.at, self.at))
            else:
                arguments.append(self.expression(depth + 1))
            if not self.skip() or self.text[self.at] != ",":
                break
            self.at += 1
        self.close(name, opened)
        return () if len(arguments) == 1 and isinstance(arguments[0], NotGiven) else tuple(arguments)

    def close(self, what: str, opened: int) -> None:
        """Step over the parenthesis that closes the one of `what`, "(" where it is nobody's."""
        if not self.skip():
            where = f"the parenthesis of {what}" if what != "(" else "the parenthesis"
            raise ExpressionSyntaxError(f"{where} is never closed", opened, "add a )")
        if self.text[self.at] != ")":
            found = self.text[self.at]
            hint = "arguments are separated by commas" if found == ";" else "expected , or ) here"
            raise ExpressionSyntaxError(f"unexpected {found!r}", self.at, hint)
        self.at += 1

    def attribute(self) -> Attribute:
        """Read `[name]`."""
        found = COLUMN.match(self.text, self.at)
        if found is None:
            raise ExpressionSyntaxError("the attribute has no closing ]", self.at, "attributes are written [name]")
        start, self.at = self.at, found.end()
        name = found.group(1).strip()
        if not name:
            raise ExpressionSyntaxError("an attribute without a name", start, "attributes are written [name]")
        return Attribute(name, start, self.at)
