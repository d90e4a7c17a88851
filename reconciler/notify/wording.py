"""Says moments, spans and numbers as the mails do, wraps their text."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

WIDTH = 76
LONGEST_TEXT = 500
"""A target's answer may be a whole page of HTML: so much of a text is shown."""

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))
_TURNING = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\u200e", "\u200f", "\u061c"}
"""Characters that make text run the other way: with them a name could show as another."""


def clean(facts: Any) -> Any:
    """Return facts whose texts are one line each, without control characters, of bounded length."""
    match facts:
        case str():
            return one_line(facts)
        case Mapping():
            return {one_line(str(name)): clean(value) for name, value in facts.items()}
        case list() | tuple():
            return [clean(value) for value in facts]
        case _:
            return facts


def one_line(text: str) -> str:
    """Return the text on one line, without what a terminal, a header or a reader could take for something else."""
    visible = "".join(map(_visible, text[: 4 * LONGEST_TEXT]))
    line = " ".join(visible.split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def span(seconds: float) -> str:
    """Return how long that is: the largest unit, and the next one where the first is small."""
    seconds = max(0.0, seconds)
    for position, (unit, length) in enumerate(_UNITS):
        whole, rest = divmod(round(seconds), length)
        if whole:
            next_unit, next_length = (*_UNITS, ("second", 1))[position + 1]
            smaller = rest // next_length
            more = f" {counted(smaller, next_unit)}" if whole < 4 and smaller and unit != "minute" else ""
            return counted(whole, unit) + more
    return counted(round(seconds), "second")


def interval(seconds: float) -> str:
    """Return what follows "every": "40 minutes", "hour"."""
    return span(seconds).removeprefix("1 ")


def number(n: int) -> str:
    return f"{n:,}"


def counted(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")


def nth(n: int) -> str:
    if n % 100 in (11, 12, 13):
        return f"{n}th"
    return f"{n}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th') }"


def fill(text: str, first: str = "", further: str = "") -> str:
    """Wrap a paragraph; a word that is too long for a line stays whole."""
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def fill_row(name: str, value: str) -> str:
    return fill(f"{name} {value}", "  ", "    ")


def fill_item(text: str) -> str:
    return fill(text, "* ", "  ")


def fill_under(text: str) -> str:
    return fill(text, " " * 8, " " * 8)


def squeeze(text: str) -> str:
    """Return the text with one empty line where templates left several."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


FILTERS: Mapping[str, Callable[..., str]] = {
    "moment": moment,
    "span": span,
    "interval": interval,
    "n": number,
    "counted": counted,
    "times": times,
    "nth": nth,
    "fill": fill,
    "fill_row": fill_row,
    "fill_item": fill_item,
    "fill_under": fill_under,
}


def _visible(character: str) -> str:
    if character in _TURNING:
        return ""
    match unicodedata.category(character):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cs":
            return "\ufffd"
        case _:
            return character
