"""From the text of an Excel formula to the same tree that every expression has, back again."""

from __future__ import annotations

import re

from reconciler.errors import ExpressionSyntaxError
from reconciler.language.cursor import COLUMN, DIGITS_MAX, FOREIGN_QUOTES, Cursor
from reconciler.language.syntax import IGNORE_WORDS, LENGTH_MAX
from reconciler.language.tree import (
    Arithmetic,
    Attribute,
    Call,
    Comparison,
    Concatenation,
    Constant,
    Node,
    NotGiven,
    Word,
)

DEPTH_MAX = 64
"""Levels of nesting, as Excel has it."""


def parse(text: str) -> Node:
    """Return the tree of a formula, or raise ExpressionSyntaxError. `x%` becomes `x / 100`, `-x` becomes `0 - x`."""
    if len(text) > LENGTH_MAX:
        raise ExpressionSyntaxError(f"the formula has {len(text)} characters, at most {LENGTH_MAX} are allowed", 0)
    parser = _Parser(text)
    node = parser.formula()
    parser.end()
    return node


def render(node: Node) -> str:
    """Return a formula that parses to the same tree (but for positions)."""
    return "=" + _written(node)


def _written(node: Node) -> str:
    match node:
        case Constant(value=str() as value):
            return '"' + value.replace('"', '""') + '"'
        case Constant(value=value):
            return str(value).upper()  # 1E-07
        case Attribute(name=name):
            return f"[{name}]"
        case Word(name=name):
            return name
        case NotGiven():
            return ""
        case Call(name=name, arguments=arguments):
            return f"{name}({', '.join([_written(argument) for argument in arguments])})"
        case Concatenation(parts=parts):
            return " & ".join([_grouped(part) for part in parts])
        case Arithmetic(operators=operators, operands=operands):
            first, *others = [_grouped(operand) for operand in operands]
            return first + "".join([f" {sign} {other}" for sign, other in zip(operators, others, strict=True)])
        case Comparison(operator=operator, left=left, right=right):
            return f"{_grouped(left)} {operator} {_grouped(right)}"


def _grouped(node: Node) -> str:
    if isinstance(node, Concatenation | Arithmetic | Comparison):
        return f"({_written(node)})"
    return _written(node)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_STRING = re.compile(r'"((?:[^"]|"")*)"')
_COMPARISON = re.compile(r"<>|>=|<=|=|>|<")
_RANKS = (("+", "-"), ("*", "/"), ("^",))
_VALUE_HINT = 'write an attribute [name], a "text", a number or a function'


def _unexpected(start: int, character: str) -> ExpressionSyntaxError:
    hints = {
        "{": "lists in braces are not offered; name an attribute with several values",
        "#": "an error value is written NA()",
        "$": "there are no cells here: attributes are written [name]",
        ";": "arguments are separated by commas",
    }
    hint = 'texts stand in straight double quotes: "…"' if character in FOREIGN_QUOTES else _VALUE_HINT
    return ExpressionSyntaxError(f"unexpected {character!r}", start, hints.get(character, hint))


class _Parser(Cursor):
    """A cursor over the formula. Every step inwards counts one level, so the stack is bounded."""

    def formula(self) -> Node:
        self.skip()
        assert self.text[self.at] == "=", "the caller saw it"
        self.at += 1
        return self.expression(0)

    def end(self) -> None:
        if self.skip():
            hints = {
                ")": "one closing parenthesis too many",
                ",": "arguments stand within a function's parentheses",
                ";": "arguments are separated by commas",
            }
            found = self.text[self.at]
            raise ExpressionSyntaxError(
                f"unexpected {found!r} after the end of the formula",
                self.at,
                hints.get(found, "an operator is missing"),
            )

    def expression(self, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise ExpressionSyntaxError(
                f"nested more than {DEPTH_MAX} levels deep", self.at, "use IFS, SWITCH or two mappings"
            )
        left = self._concatenation(depth)
        if not self.skip() or (found := _COMPARISON.match(self.text, self.at)) is None:
            return left
        self.at = found.end()
        if self.skip() and self.text[self.at] in "=<>":
            raise ExpressionSyntaxError("unknown operator", found.start(), "operators are = <> > >= < <=")
        right = self._concatenation(depth)
        if self.skip() and _COMPARISON.match(self.text, self.at) is not None:
            raise ExpressionSyntaxError("a second comparison in a row", self.at, "join comparisons with AND(…, …)")
        return Comparison(found.group(), left, right, left.start, right.end)

    def _concatenation(self, depth: int) -> Node:
        parts = [self._ranked(0, depth)]
        while self.skip() and self.text[self.at] == "&":
            self.at += 1
            parts.append(self._ranked(0, depth))
        return parts[0] if len(parts) == 1 else Concatenation(tuple(parts), parts[0].start, parts[-1].end)

    def _ranked(self, rank: int, depth: int) -> Node:
        if rank == len(_RANKS):
            return self._signed(depth)
        operators, operands = [], [self._ranked(rank + 1, depth)]
        while self.skip() and self.text[self.at] in _RANKS[rank]:
            operators.append(self.text[self.at])
            self.at += 1
            operands.append(self._ranked(rank + 1, depth))
        if not operators:
            return operands[0]
        return Arithmetic(tuple(operators), tuple(operands), operands[0].start, operands[-1].end)

    def _signed(self, depth: int) -> Node:
        start, negative = self.at, False
        while self.skip() and self.text[self.at] in "+-":
            negative ^= self.text[self.at] == "-"
            self.at += 1
        node = self._operand(depth)
        while self.skip() and self.text[self.at] == "%":
            self.at += 1
            hundred = Constant(100, self.at, self.at)
            if isinstance(node, Arithmetic) and node.operators[-1] == "/":
                node = Arithmetic((*node.operators, "/"), (*node.operands, hundred), node.start, self.at)
            else:
                node = Arithmetic(("/",), (node, hundred), node.start, self.at)
        if not negative:
            return node
        if isinstance(node, Constant) and not isinstance(node.value, str):
            return Constant(-node.value, start, node.end)
        return Arithmetic(("-",), (Constant(0, start, start), node), start, node.end)

    def _operand(self, depth: int) -> Node:
        if not self.skip():
            raise ExpressionSyntaxError("the formula ends where a value is expected", self.at, _VALUE_HINT)
        start, character = self.at, self.text[self.at]
        if character == '"':
            return self._string()
        if character == "[":
            return self.attribute()
        if character == "(":
            self.at += 1
            inner = self.expression(depth + 1)
            self.close("(", start)
            return inner
        if character in ".0123456789":
            return self._number()
        found = _NAME.match(self.text, start)
        if found is not None:
            return self._named(found, depth)
        raise _unexpected(start, character)

    def _named(self, found: re.Match[str], depth: int) -> Node:
        name, start = found.group(), found.start()
        self.at = found.end()
        column = COLUMN.match(self.text, self.at)
        if column is not None:
            self.at = column.end()
            return Word(f"{name}[{column.group(1).strip()}]", start, self.at)
        if self.skip() and self.text[self.at] == "(":
            arguments = self.arguments(name, depth)
            return Call(name, arguments, start, self.at)
        if name.upper() in ("TRUE", "FALSE"):
            return Call(name.upper(), (), start, found.end())
        ignored = next((word for word in IGNORE_WORDS if word.upper() == name.upper()), None)
        self.at = found.end()
        return Word(ignored or name, start, found.end())

    def _string(self) -> Constant:
        found = _STRING.match(self.text, self.at)
        if found is None:
            raise ExpressionSyntaxError('the text has no closing "', self.at, 'a quote in a text is doubled: ""')
        start, self.at = self.at, found.end()
        return Constant(found.group(1).replace('""', '"'), start, self.at)

    def _number(self) -> Constant:
        start = self.at
        found = _NUMBER.match(self.text, start)
        if found is None:
            raise ExpressionSyntaxError(f"unexpected {self.text[start]!r}", start, "numbers are written 12, 1.5, 2E3")
        self.at = found.end()
        if _NAME.match(self.text, self.at) is not None:
            raise ExpressionSyntaxError("a number with letters in it", start, 'a text stands in quotes: "1a"')
        digits = found.group()
        if len(digits) > DIGITS_MAX:
            raise ExpressionSyntaxError(f"a number of {len(digits)} characters", start, "write it as a text")
        if digits.isdigit():
            return Constant(int(digits), start, self.at)
        value = float(digits)
        if value == float("inf"):
            raise ExpressionSyntaxError("a number that is too large", start, "write it as a text")
        return Constant(value, start, self.at)
