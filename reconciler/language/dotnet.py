"""Rewrites a regular expression of .NET for the `regex` package; tells how much searching with it may cost."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

STEPS_MAX = 1_000_000
"""A search that surely takes no more steps than these needs no clock beside it."""


class PatternRefused(Exception):
    """A pattern that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Translated:
    text: str
    numbers: dict[str, int]
    """From .NET's name or number of a group to its number here. .NET numbers named groups after the others."""
    quick_length: int
    """Up to so many characters a search surely takes no more than STEPS_MAX steps; -1: of none can that be said."""


def translate(pattern: str) -> Translated:
    """Return a .NET pattern in the syntax of the `regex` package, or raise PatternRefused."""
    translation = _Translation(pattern)
    return Translated(translation.whole(), translation.numbers, translation.cost.quick_length)


@dataclass(slots=True)
class _Cost:
    """An upper bound of the steps of a backtracking search: choices × lengthⁿ, n the unbounded repetitions."""

    choices: int = 1
    repetitions: int = 0
    unknown: bool = False

    def repeats(self, found: re.Match[str], *, group: bool) -> None:
        least, most = _bounds(found)
        if group and (least, most) not in ((0, 1), (1, 1)):
            # what a group matches may be cut into turns in ever so many ways
            self.unknown = True
        elif most is None:
            self.repetitions += 1
        else:
            self.choices *= max(1, most - least + 1)

    @property
    def quick_length(self) -> int:
        if self.unknown or self.choices > STEPS_MAX:
            return -1
        # one more: a search begins anew at each character
        return int((STEPS_MAX / self.choices) ** (1 / (self.repetitions + 1)))


@dataclass(slots=True)
class _Open:
    """A group that is not closed yet."""

    closing: str = ")"
    options: str = ""
    """What opened the groups that stand for options set in the middle, such as `(?i:`."""

    @property
    def end(self) -> str:
        return ")" * self.options.count("(") + self.closing


@dataclass(slots=True)
class _Translation:
    """One pass over a .NET pattern."""

    pattern: str
    at: int = 0
    out: list[str | tuple[str, str, str]] = field(default_factory=list)
    """What is written, and (before, name, after) for a reference whose number is known only at the end."""
    groups: list[str | None] = field(default_factory=list)
    """The name of each capturing group in order of its opening; None where it has none."""
    stack: list[_Open] = field(default_factory=lambda: [_Open("")])
    atom: str = ""
    """What a quantifier here would repeat: "", "character" or "group"."""
    numbers: dict[str, int] = field(default_factory=dict)
    cost: _Cost = field(default_factory=_Cost)

    def whole(self) -> str:
        while self.at < len(self.pattern):
            self._step()
        if len(self.stack) > 1:
            raise PatternRefused("the regular expression has a ( without its )")
        self._number_groups()
        written = [part if isinstance(part, str) else self._reference(*part) for part in self.out]
        return "".join(written) + self.stack[0].end

    def _step(self) -> None:
        character = self.pattern[self.at]
        if character == "\\":
            self._escape()
        elif character == "[":
            self._class()
        elif character == "(":
            self.atom = ""
            self._open()
        elif character == ")":
            self._close()
        elif character == "|":
            self.cost.choices *= 2
            self.atom = ""
            self._emit(")" * self.stack[-1].options.count("(") + "|" + self.stack[-1].options)
        elif (found := _QUANTIFIER.match(self.pattern, self.at)) is not None:
            self._quantify(found)
        else:
            self._emit("\\" + character if character in "{}" else character)
            self.atom = "" if character in "^$" else "character"

    def _emit(self, part: str | tuple[str, str, str], length: int = 1) -> None:
        self.out.append(part)
        self.at += length

    def _quantify(self, found: re.Match[str]) -> None:
        if not self.atom:
            raise PatternRefused(f"the regular expression repeats nothing at character {self.at + 1}")
        least, most = _bounds(found)
        if most is not None and most < least:
            raise PatternRefused(f"the regular expression repeats from {least} to {most} times")
        self.cost.repeats(found, group=self.atom == "group")
        self.atom = ""
        self._emit(found.group(), len(found.group()))
        if _QUANTIFIER.match(self.pattern, self.at) is not None:
            # here `a++` would be possessive, in .NET it is an error
            raise PatternRefused(f"the regular expression repeats a repetition at character {self.at + 1}")

    def _open(self) -> None:
        rest = self.pattern[self.at :]
        if (named := _NAMED.match(rest)) is not None:
            name = named.group(1) or named.group(2)
            if not name.isidentifier() or not name.isascii():
                raise PatternRefused(f"the group name {name} is not offered; use letters, digits and _")
            if name not in self.groups:
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
        elif (condition := _CONDITION.match(rest)) is not None:
            self.cost.choices *= 2
            self._emit(("(?(", condition.group(1), ")"), condition.end())
            self.stack.append(_Open())
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
        opening = f"(?{on}{'-' + off if off else ''}:"
        self._emit(opening, found.end())
        if ending == ":":
            self.stack.append(_Open())
        else:
            # .NET lets options stand anywhere, for the rest of their group and its further branches
            self.stack[-1].options += opening

    def _close(self) -> None:
        if len(self.stack) == 1:
            raise PatternRefused("the regular expression has a ) without its (")
        self._emit(self.stack.pop().end)
        self.atom = "group"

    def _class(self) -> None:
        self._emit(self._class_body(), 0)
        self.atom = "character"

    def _class_body(self) -> str:
        """Return a character class and step over it; what is subtracted from it becomes a look ahead."""
        start = self.at
        written = ["["]
        self.at += 1
        if self._next() == "^":
            written.append("^")
            self.at += 1
        if self._next() == "]":
            written.append("\\]")
            self.at += 1
        while (character := self._next()) != "]":
            if not character:
                raise PatternRefused(f"the regular expression has a [ without its ] at character {start + 1}")
            if character == "-" and self.pattern[self.at + 1 : self.at + 2] == "[":
                self.at += 1
                subtracted = self._class_body()
                if self._next() != "]":
                    raise PatternRefused("a character class that is taken from another stands at its end")
                self.at += 1
                return f"(?:(?!{subtracted}){''.join(written)}])"
            written.append(self._class_item())
            if self._next() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("", "]", "["):
                self.at += 1
                written.append(f"-{self._class_item()}")
        self.at += 1
        return "".join([*written, "]"])

    def _class_item(self) -> str:
        character = self._next()
        if character == "\\":
            part, length = self._class_escape(self.pattern[self.at :])
            self.at += length
            return part
        self.at += 1
        # these could get a meaning of their own
        return "\\" + character if character in "[&|~-^" else character

    def _next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _class_escape(self, rest: str) -> tuple[str, int]:
        """Return an escape within a class as it is written here, and how long it was."""
        if (category := _CATEGORY.match(rest)) is not None:
            return _category(category), category.end()
        if len(rest) < 2:
            raise PatternRefused("the regular expression ends in a single backslash")
        letter = rest[1]
        if letter in _PLAIN_ESCAPES:
            return _PLAIN_ESCAPES[letter], 2
        if letter == "b":
            return r"\x08", 2
        if (coded := _CODED.match(rest)) is not None:
            return coded.group(), coded.end()
        if letter.isalnum() and letter not in "dDwWsStnrfv0":
            raise PatternRefused(f"\\{letter} in the regular expression is not offered")
        return rest[:2], 2

    def _escape(self) -> None:
        rest = self.pattern[self.at :]
        if len(rest) < 2:
            raise PatternRefused("the regular expression ends in a single backslash")
        if (reference := _REFERENCE.match(rest)) is not None:
            name = reference.group(1) or reference.group(2) or reference.group(3)
            # what it repeats is as long as it likes
            self.cost.unknown = True
            self._emit(("(?:\\", name, ")"), reference.end())
        elif rest[1] in _ANCHORS:
            self._emit(_ANCHORS[rest[1]], 2)
            self.atom = ""
            return
        else:
            self._emit(*self._class_escape(rest))
        self.atom = "character"

    def _number_groups(self) -> None:
        self.numbers["0"] = 0
        unnamed = [number for number, name in enumerate(self.groups, start=1) if name is None]
        named = [(number, name) for number, name in enumerate(self.groups, start=1) if name is not None]
        for dotnet, number in enumerate(unnamed + [number for number, _ in named], start=1):
            self.numbers[str(dotnet)] = number
        self.numbers.update({name: number for number, name in named})

    def _reference(self, before: str, name: str, after: str) -> str:
        number = self.numbers.get(name)
        if number is None:
            raise PatternRefused(f"the regular expression refers to group {name}, which it does not have")
        return f"{before}{number}{after}"


_QUANTIFIER = re.compile(r"(?:[*+?]|\{([0-9]{1,5})(,?)([0-9]{0,5})\})\??")
_NAMED = re.compile(r"\(\?(?:<(\w+)>|'(\w+)')")
_OPTIONS = re.compile(r"\(\?([imsnx]*(?:-[imsnx]+)?)([):])")
_CONDITION = re.compile(r"\(\?\((\w+)\)")
_SPECIAL = re.compile(r"\(\?(?::|=|!|<=|<!|>)")
_CATEGORY = re.compile(r"\\([pP])\{([\w-]+)\}")
_REFERENCE = re.compile(r"\\(?:k<(\w+)>|k'(\w+)'|([1-9][0-9]?))")
_CODED = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})")
_PLAIN_ESCAPES = {"e": r"\x1b", "a": r"\x07"}
_ANCHORS = {"z": r"\Z", "Z": r"(?=\n?\Z)", "A": r"\A", "G": r"\G", "b": r"\b", "B": r"\B"}
_BLOCKS = {"Greek": "Greek_and_Coptic", "CombiningMarksforSymbols": "CombiningDiacriticalMarksforSymbols"}


def _bounds(found: re.Match[str]) -> tuple[int, int | None]:
    """Return how often a quantifier repeats at least and at most; None: without bound."""
    first = found.group()[0]
    if first != "{":
        return (1 if first == "+" else 0), (1 if first == "?" else None)
    least, comma, most = int(found.group(1)), found.group(2), found.group(3)
    return least, int(most) if most else None if comma else least


def _category(found: re.Match[str]) -> str:
    """Return a Unicode category, or a block, which .NET begins with Is."""
    name = found.group(2)
    if name.startswith("Is"):
        name = "In" + _BLOCKS.get(name[2:], name[2:])
    elif len(name) > 2:
        raise PatternRefused(f"\\{found.group(1)}{{{name}}} in the regular expression is not offered")
    return f"\\{found.group(1)}{{{name}}}"
