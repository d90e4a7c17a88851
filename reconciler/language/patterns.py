"""Regular expressions as .NET writes them, each search bounded in time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import regex

from reconciler.language.dotnet import PatternRefused, translate

__all__ = ["SECONDS_MAX", "Match", "Pattern", "PatternRefused", "PatternTooSlow", "compile_pattern"]

SECONDS_MAX = 0.1
"""How long one search may take. A pattern that needs longer gets half of it the next time, down to _SECONDS_MIN."""
_SECONDS_MIN = 0.005

Match = regex.Match[str]


class PatternTooSlow(Exception):
    """A search that did not end in time; the text says why and never what was searched."""


@dataclass(slots=True)
class Pattern:
    compiled: regex.Pattern[str]
    numbers: dict[str, int]
    """From .NET's name or number of a group to ours."""
    quick_length: int
    """Up to so many characters no search can take long, and no clock is needed."""
    seconds: float = SECONDS_MAX

    def group(self, name: str) -> int | None:
        return self.numbers.get(name)

    def search(self, text: str) -> Match | None:
        """Return the first match; raises PatternTooSlow."""
        if len(text) <= self.quick_length:
            return self.compiled.search(text)
        try:
            return self.compiled.search(text, timeout=self.seconds)
        except TimeoutError:
            raise self._too_slow() from None

    def sub(self, replacement: str | Callable[[Match], str], text: str) -> str:
        """Return the text with every match replaced, by a literal text or by what a function says of it.

        Raises PatternTooSlow."""
        if isinstance(replacement, str) and "\\" in replacement:
            literal = replacement
            return self.sub(lambda _: literal, text)
        if len(text) <= self.quick_length:
            return self.compiled.sub(replacement, text)
        try:
            return self.compiled.sub(replacement, text, timeout=self.seconds)
        except TimeoutError:
            raise self._too_slow() from None

    def replacement(self, template: str) -> str | Callable[[Match], str]:
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
            return template
        pieces = [part for part in parts if part != ""]
        if len(pieces) == 1 and isinstance(number := pieces[0], int) and number >= 0:
            return lambda match: match.group(number) or ""
        return lambda match: "".join([part if isinstance(part, str) else _part(match, part) for part in pieces])

    def _substitution(self, found: re.Match[str]) -> str | int | None:
        """Return a text, our number of a group, a negative number for what stands around a match, or None."""
        name = found.group(1) or found.group(2)
        if name is not None:
            return self.numbers.get(name)
        return _AROUND[found.group()]

    def _too_slow(self) -> PatternTooSlow:
        allowed, self.seconds = self.seconds, max(self.seconds / 2, _SECONDS_MIN)
        return PatternTooSlow(
            f"the regular expression was stopped after {allowed:g} seconds; "
            "write it so that there is one way only to match, without repetitions of repetitions"
        )


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Pattern:
    """Return a .NET pattern ready to use, or raise PatternRefused."""
    translated = translate(pattern)
    try:
        compiled = regex.compile(translated.text, regex.VERSION0)
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        raise PatternRefused(f"the regular expression cannot be read: {error}") from None
    return Pattern(compiled, translated.numbers, translated.quick_length)


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


def _part(match: Match, part: int) -> str:
    if part >= 0:
        return match.group(part) or ""
    if part == _BEFORE:
        return match.string[: match.start()]
    if part == _AFTER:
        return match.string[match.end() :]
    return match.string if part == _WHOLE else (match.group(match.re.groups) or "")
