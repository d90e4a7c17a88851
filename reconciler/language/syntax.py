"""From the text of an expression to its tree, back again."""

from __future__ import annotations

import re
from decimal import Decimal

from reconciler.errors import ExpressionSyntaxError
from reconciler.language.cursor import DIGITS_MAX, FOREIGN_QUOTES, Cursor
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

LENGTH_MAX = 10_000
"""Characters in an expression, as Entra has it."""
DEPTH_MAX = 150
"""Calls within calls; deeper than any rule a person can read, well within Python's stack."""

IGNORE_WORDS = ("IgnoreAttributeFlow", "IgnoreObjectFlow")
OPTION_WORDS = ("vbTextCompare", "vbBinaryCompare", "Unicode", "ASCII", "UTF8")
WORDS = IGNORE_WORDS + OPTION_WORDS


def parse(text: str) -> Node:
    """Return the tree of an expression, or raise ExpressionSyntaxError. Never recurses deeper than DEPTH_MAX."""
    if len(text) > LENGTH_MAX:
        raise ExpressionSyntaxError(
            f"the expression has {len(text)} characters, at most {LENGTH_MAX} are allowed", LENGTH_MAX
        )
    parser = _Parser(text)
    node = parser.expression(0)
    parser.end()
    return node


def render(node: Node) -> str:
    """Return a text that parses to the same tree (but for positions)."""
    match node:
        case Constant(value=str() as value):
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case Constant(value=float() as value):
            # without an exponent, which the language does not have, and with its point: it is no whole number
            digits = format(Decimal(repr(value)), "f")
            return digits if "." in digits else f"{digits}.0"
        case Constant(value=value):
            return str(value)
        case Attribute(name=name):
            return f"[{name}]"
        case Word(name=name):
            return name
        case NotGiven():
            return ""
        case Call(name=name, arguments=arguments):
            return f"{name}({', '.join([render(argument) for argument in arguments])})"
        case Concatenation(parts=parts):
            return " & ".join([_grouped(part, Concatenation, Comparison) for part in parts])
        case Arithmetic(operators=operators, operands=operands):
            first, *others = [_grouped(operand, Concatenation, Arithmetic, Comparison) for operand in operands]
            return first + "".join([f" {sign} {other}" for sign, other in zip(operators, others, strict=True)])
        case Comparison(operator=operator, left=left, right=right):
            return f"{_grouped(left, Comparison)} {operator} {_grouped(right, Comparison)}"


def _grouped(node: Node, *kinds: type) -> str:
    return f"({render(node)})" if isinstance(node, kinds) else render(node)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEXADECIMAL = re.compile(r"&[Hh]([0-9A-Fa-f]+)&?")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?|-?\.[0-9]+")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r'\\([\\"])')
_OPERATOR = re.compile(r"<>|>=|<=|=|>|<|&")
_SIGN = re.compile(r"[+-]")


def _joined(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Concatenation(tuple(parts), parts[0].start, parts[-1].end)


def _word(name: str, start: int, end: int) -> Word:
    if name in WORDS:
        return Word(name, start, end)
    hint = f'for a text write "{name}", for an attribute [{name}], for a function {name}(…)'
    raise ExpressionSyntaxError(f"unknown word {name}", start, hint)


class _Parser(Cursor):
    """A cursor over the text. Comparison binds weaker than `&`, `&` weaker than + -; nesting costs four frames."""

    def expression(self, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise ExpressionSyntaxError(
                f"nested more than {DEPTH_MAX} levels deep", self.at, "use Switch with several keys, or two mappings"
            )
        left: Node | None = None
        compares = ""
        parts = [self._sum(depth)]
        while self.skip() and (found := _OPERATOR.match(self.text, self.at)) is not None:
            if found.group() != "&":
                if left is not None:
                    hint = "nest IIF: IIF(a = b, IIF(c = d, …, …), …)"
                    raise ExpressionSyntaxError("a second comparison in a row", self.at, hint)
                left, compares, parts = _joined(parts), found.group(), []
            self.at = found.end()
            if found.group() != "&" and self.skip() and self.text[self.at] in "=<>":
                raise ExpressionSyntaxError("unknown operator", found.start(), "operators are = <> > >= < <=")
            parts.append(self._sum(depth))
        right = _joined(parts)
        return right if left is None else Comparison(compares, left, right, left.start, right.end)

    def end(self) -> None:
        self.skip()
        if self.at == len(self.text):
            return
        rest = self.text[self.at]
        hint = {
            ")": "one closing parenthesis too many",
            ",": "arguments stand within a function's parentheses",
        }.get(rest, "an expression is one function call, attribute, text or number")
        raise ExpressionSyntaxError(f"unexpected {rest!r} after the end of the expression", self.at, hint)

    def _sum(self, depth: int) -> Node:
        operators, operands = [], [self._operand(depth)]
        while self.skip() and (found := _SIGN.match(self.text, self.at)) is not None:
            self.at = found.end()
            operators.append(found.group())
            operands.append(self._operand(depth))
        return (
            operands[0]
            if not operators
            else Arithmetic(tuple(operators), tuple(operands), operands[0].start, operands[-1].end)
        )

    def _operand(self, depth: int) -> Node:
        if not self.skip():
            raise ExpressionSyntaxError(
                "the expression ends where a value is expected", self.at, 'write an attribute [name], a "text", a call'
            )
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
        if character == "&" or character in "-.0123456789":
            return self._number()
        found = _NAME.match(self.text, start)
        if found is not None:
            self.at = found.end()
            if not self.skip() or self.text[self.at] != "(":
                return _word(found.group(), start, found.end())
            arguments = self.arguments(found.group(), depth)
            return Call(found.group(), arguments, start, self.at)
        if character in FOREIGN_QUOTES:
            raise ExpressionSyntaxError(
                f"unexpected {character!r}", start, 'texts stand in straight double quotes: "…"'
            )
        raise ExpressionSyntaxError(
            f"unexpected {character!r}", start, 'a value is expected: an attribute [name], a "text", a number or a call'
        )

    def _string(self) -> Constant:
        start = self.at
        found = _STRING.match(self.text, start)
        if found is None:
            raise ExpressionSyntaxError('the text has no closing "', start, r"a backslash is written \\, a quote \"")
        self.at = found.end()
        inner = found.group(1)
        return Constant(_ESCAPE.sub(r"\1", inner) if "\\" in inner else inner, start, self.at)

    def _number(self) -> Constant:
        start = self.at
        if (hexadecimal := _HEXADECIMAL.match(self.text, start)) is not None:
            value: int | float = int(hexadecimal.group(1), 16)
            self.at = hexadecimal.end()
        elif (decimal := _DECIMAL.match(self.text, start)) is not None:
            digits = decimal.group()
            if len(digits) > DIGITS_MAX:
                raise ExpressionSyntaxError(f"a number of {len(digits)} characters", start, "write it as a text")
            value = float(digits) if "." in digits else int(digits)
            self.at = decimal.end()
        else:
            hint = "numbers are written 12, -3, 1.5 or &HF" if self.text[start] != "&" else "& joins two values"
            raise ExpressionSyntaxError(f"unexpected {self.text[start]!r}", start, hint)
        if _NAME.match(self.text, self.at) is not None:
            raise ExpressionSyntaxError("a number with letters in it", start, 'a text stands in quotes: "1a"')
        return Constant(value, start, self.at)
