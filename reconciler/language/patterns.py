"""Regular expressions as .NET writes them: compiled for Python, replacements expanded, runaway ones refused."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

INPUT_MAX = 2_000
"""Characters that a pattern is applied to. Python cannot stop a search, so what it may chew on is bounded."""


class PatternRefused(Exception):
    """A pattern that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    compiled: re.Pattern[str]
    numbers: dict[str, int]
    """From .NET's name or number of a group to Python's number. .NET numbers named groups after the others."""

    def group(self, name: str) -> int | None:
        return self.numbers.get(name)

    def replacement(self, template: str) -> Callable[[re.Match[str]], str]:
        """Return what `template` stands for in a match: $1, ${name}, $&, $$, $`, $' as .NET has them."""
        parts: list[str | int] = []
        at = 0
        for found in _SUBSTITUTION.finditer(template):
            part = self._substitution(found)
            if part is not None:
                parts += [template[at : found.start()], part]
                at = found.end()
        parts.append(template[at:])
        if len(parts) == 1:
            return lambda _: template
        return lambda match: "".join([part if isinstance(part, str) else _part(match, part) for part in parts])

    def _substitution(self, found: re.Match[str]) -> str | int | None:
        """Return a text, Python's number of a group, a negative number for what stands around a match, or None."""
        name = found.group(1) or found.group(2)
        if name is not None:
            return self.numbers.get(name)
        return _AROUND[found.group()]


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Pattern:
    """Return a .NET pattern ready to use, or raise PatternRefused."""
    translation = _Translation(pattern)
    try:
        compiled = re.compile(translation.python())
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternRefused(f"the regular expression cannot be read: {error}") from None
    return Pattern(compiled, translation.numbers)


_SUBSTITUTION = re.compile(r"\$(?:\{(\w+)\}|([0-9]+)|[$&`'_+])")
_BEFORE, _AFTER, _WHOLE, _LAST = -1, -2, -3, -4
_AROUND: dict[str, str | int] = {
    "$$": "$",
    "$&": 0,
    "$`": _BEFORE,
    "$'": _AFTER,
    "$_": _WHOLE,
    "$+": _LAST,
}


def _part(match: re.Match[str], part: int) -> str:
    if part >= 0:
        return match.group(part) or ""
    if part == _BEFORE:
        return match.string[: match.start()]
    if part == _AFTER:
        return match.string[match.end() :]
    return match.string if part == _WHOLE else (match.group(match.re.groups) or "")


@dataclass(slots=True)
class _Open:
    """A group that is not closed yet, and what is needed to tell whether repeating it can run away."""

    closing: str = ")"
    options: str = ""
    """What opened the groups that stand for options set in the middle, such as `(?i:`."""
    mandatory: bool = False
    """Something in this branch must match at least one character once, outside any unbounded repetition."""
    unbounded: bool = False
    runaway: bool = False
    swallows: bool = False
    """It holds `.*`, which takes its own separators."""

    @property
    def end(self) -> str:
        return ")" * self.options.count("(") + self.closing

    def takes(self, inner: _Open, must_match: bool) -> None:
        self.unbounded = self.unbounded or inner.unbounded
        self.swallows = self.swallows or inner.swallows
        self.mandatory = self.mandatory or (must_match and inner.mandatory)

    def branch_ends(self) -> None:
        self.runaway = self.runaway or (self.unbounded and not self.mandatory)
        self.mandatory = self.unbounded = False


@dataclass(slots=True)
class _Translation:
    """One pass over a .NET pattern."""

    pattern: str
    at: int = 0
    out: list[str | tuple[str, str]] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    """The name of each capturing group in order of its opening; None where it has none."""
    stack: list[_Open] = field(default_factory=lambda: [_Open("")])
    closed: _Open | None = None
    """The group that the last atom was, or None where it was a single character."""
    atom: bool = False
    numbers: dict[str, int] = field(default_factory=dict)

    def python(self) -> str:
        while self.at < len(self.pattern):
            self._step()
        if len(self.stack) > 1:
            raise PatternRefused("the regular expression has a ( without its )")
        self._settle()
        self._number_groups()
        tail = self.stack[0].end
        return "".join([part if isinstance(part, str) else self._reference(part) for part in self.out]) + tail

    def _step(self) -> None:
        character = self.pattern[self.at]
        if character == "\\":
            self._settle()
            self._escape(in_class=False)
        elif character == "[":
            self._settle()
            self._class()
        elif character == "(":
            self._settle()
            self._open()
        elif character == ")":
            self._settle()
            self._close()
        elif character == "|":
            self._settle()
            self.stack[-1].branch_ends()
            self._emit(")" * self.stack[-1].options.count("(") + "|" + self.stack[-1].options)
        elif (found := _QUANTIFIER.match(self.pattern, self.at)) is not None:
            self._quantify(found)
        else:
            self._settle()
            self._emit("\\" + character if character == "{" else character)
            self.atom = character not in "^$"

    def _emit(self, part: str | tuple[str, str], length: int = 1) -> None:
        self.out.append(part)
        self.at += length

    def _settle(self) -> None:
        """The last atom has no quantifier: it must match."""
        if self.atom:
            top = self.stack[-1]
            if self.closed is not None:
                top.takes(self.closed, must_match=True)
            else:
                top.mandatory = True
        self.atom, self.closed = False, None

    def _quantify(self, found: re.Match[str]) -> None:
        if not self.atom:
            raise PatternRefused(f"the regular expression repeats nothing at character {self.at + 1}")
        lowest, unbounded = _bounds(found)
        top, closed = self.stack[-1], self.closed
        if unbounded:
            if closed is not None and (closed.runaway or closed.swallows):
                raise PatternRefused(
                    "the regular expression repeats a repetition, which may take for ever; leave out one of the two"
                )
            top.unbounded = True
            top.swallows = top.swallows or self.out[-1] == "."
        elif closed is not None:
            top.takes(closed, must_match=lowest > 0)
        elif lowest > 0:
            top.mandatory = True
        self.atom, self.closed = False, None
        self._emit(found.group(), len(found.group()))

    def _open(self) -> None:
        rest = self.pattern[self.at :]
        if (named := _NAMED.match(rest)) is not None:
            name = named.group(1) or named.group(2)
            if not name.isidentifier() or not name.isascii():
                raise PatternRefused(f"the group name {name} is not offered; use letters, digits and _")
            if name in self.groups:
                raise PatternRefused(f"the group name {name} is there twice")
            self.groups.append(name)
            self._emit(f"(?P<{name}>", named.end())
            self.stack.append(_Open())
        elif (options := _OPTIONS.match(rest)) is not None:
            self._options(options)
        elif rest.startswith("(?#"):
            end = rest.find(")")
            if end < 0:
                raise PatternRefused("the regular expression has a comment without its )")
            self.at += end + 1
        elif (special := _SPECIAL.match(rest)) is not None:
            self._emit(special.group(), special.end())
            self.stack.append(_Open())
        elif rest.startswith("(?"):
            raise PatternRefused(f"the regular expression uses {rest[:4]}… which is not offered")
        else:
            self.groups.append(None)
            self._emit("(")
            self.stack.append(_Open())

    def _options(self, found: re.Match[str]) -> None:
        letters, ending = found.group(1), found.group(2)
        if "n" in letters:
            raise PatternRefused("the option n in the regular expression is not offered")
        on, _, off = letters.partition("-")
        python = f"(?{on}{'-' + off if off else ''}:"
        if ending == ":":
            self._emit(python, found.end())
            self.stack.append(_Open())
        else:
            # .NET lets options stand anywhere, for the rest of their group and its further branches
            self._emit(python, found.end())
            self.stack[-1].options += python

    def _close(self) -> None:
        if len(self.stack) == 1:
            raise PatternRefused("the regular expression has a ) without its (")
        group = self.stack.pop()
        whole_unbounded, whole_mandatory = group.unbounded, group.mandatory
        group.branch_ends()
        group.unbounded, group.mandatory = whole_unbounded, whole_mandatory
        self._emit(group.end)
        self.atom, self.closed = True, group

    def _class(self) -> None:
        found = _CLASS.match(self.pattern, self.at)
        if found is None:
            raise PatternRefused("the regular expression has a [ without its ]")
        end = found.end()
        self._emit("[")
        if self.pattern[self.at] == "^":
            self._emit("^")
        if self.pattern[self.at] == "]":
            self._emit("\\]")
        while self.at < end - 1:
            character = self.pattern[self.at]
            if character == "\\":
                self._escape(in_class=True)
            elif character == "-" and self.pattern[self.at + 1] == "[":
                raise PatternRefused("taking one character class from another is not offered")
            elif character in "[&|~" or self.pattern.startswith("--", self.at):
                # Python warns that these may get a meaning of their own
                self._emit("\\" + character)
            else:
                self._emit(character)
        self._emit("]")
        self.atom = True

    def _escape(self, in_class: bool) -> None:
        rest = self.pattern[self.at :]
        if len(rest) < 2:
            raise PatternRefused("the regular expression ends in a single backslash")
        self.atom = True
        if (category := _CATEGORY.match(rest)) is not None:
            inside = _characters_of(category.group(2))
            if category.group(1) == "p":
                self._emit(inside if in_class else f"[{inside}]", category.end())
            elif in_class:
                raise PatternRefused("\\P within a character class is not offered")
            else:
                self._emit(f"[^{inside}]", category.end())
        elif (reference := _REFERENCE.match(rest)) is not None and not in_class:
            name = reference.group(1) or reference.group(2) or reference.group(3)
            self._emit(("reference", name), reference.end())
        elif rest[1] in _ESCAPES:
            self._emit(_ESCAPES[rest[1]], 2)
        elif rest[1] in "zZAGbB" and not in_class:
            if rest[1] == "G":
                raise PatternRefused("\\G in the regular expression is not offered")
            self._emit({"z": r"\Z", "Z": r"(?=\n?\Z)"}.get(rest[1], rest[:2]), 2)
            self.atom = False
        elif rest[1].isalnum() and rest[1] not in "dDwWsSbtnrfvaxu0":
            raise PatternRefused(f"\\{rest[1]} in the regular expression is not offered")
        else:
            self._emit(rest[:2], 2)

    def _number_groups(self) -> None:
        self.numbers["0"] = 0
        unnamed = [number for number, name in enumerate(self.groups, start=1) if name is None]
        named = [(number, name) for number, name in enumerate(self.groups, start=1) if name is not None]
        for dotnet, number in enumerate(unnamed + [number for number, _ in named], start=1):
            self.numbers[str(dotnet)] = number
        self.numbers.update({name: number for number, name in named})

    def _reference(self, part: tuple[str, str]) -> str:
        number = self.numbers.get(part[1])
        if number is None:
            raise PatternRefused(f"the regular expression refers to group {part[1]}, which it does not have")
        return f"(?:\\{number})"


_QUANTIFIER = re.compile(r"(?:[*+?]|\{([0-9]{1,5})(,?)([0-9]{0,5})\})\??")
_NAMED = re.compile(r"\(\?(?:<(\w+)>|'(\w+)')")
_OPTIONS = re.compile(r"\(\?([imsnx]*(?:-[imsnx]+)?)([):])")
_SPECIAL = re.compile(r"\(\?(?::|=|!|<=|<!|>)")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_CATEGORY = re.compile(r"\\([pP])\{(\w+)\}")
_REFERENCE = re.compile(r"\\(?:k<(\w+)>|k'(\w+)'|([1-9][0-9]?))")
_ESCAPES = {"e": r"\x1b"}


def _bounds(found: re.Match[str]) -> tuple[int, bool]:
    first = found.group()[0]
    if first != "{":
        return (1 if first == "+" else 0), first in "*+"
    lowest, comma, highest = int(found.group(1)), found.group(2), found.group(3)
    # a high bound runs away as well as none
    return lowest, bool(comma) and (not highest or int(highest) > _MANY)


_MANY = 20


@lru_cache(maxsize=32)
def _characters_of(category: str) -> str:
    """Return the inside of a character class with every letter of a Unicode category, such as L or Lu."""
    runs: list[tuple[int, int]] = []
    for code in range(min(sys.maxunicode, 0xFFFF) + 1):
        if unicodedata.category(chr(code)).startswith(category):
            if runs and runs[-1][1] == code - 1:
                runs[-1] = (runs[-1][0], code)
            else:
                runs.append((code, code))
    if not runs or len(category) > 2:
        raise PatternRefused(f"\\p{{{category}}} in the regular expression is not offered")
    return "".join([f"\\u{first:04x}-\\u{last:04x}" if first != last else f"\\u{first:04x}" for first, last in runs])
