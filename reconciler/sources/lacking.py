"""Says that a file or a query lacks columns, with the nearest that it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Literal

Place = Literal["file", "files", "query"]


def lacking(missing: Sequence[str], there: Iterable[str], place: Place) -> str:
    """Return what is wrong, to continue a sentence that begins with the name of the place; empty where nothing is."""
    if not missing:
        return ""
    by_folded = {name.casefold(): name for name in there}
    many, it = ("s", "them") if len(missing) > 1 else ("", "it")
    told = ", ".join(f"'{name}'" + _near(name, by_folded, place) for name in missing)
    mend = f"add {it} to the {place}, or take away what reads {it}"
    return f"lacks the column{many} {told}; nothing of it is used ({mend})"


def _near(name: str, by_folded: dict[str, str], place: Place) -> str:
    near = get_close_matches(name.casefold(), by_folded, 1)
    if not near:
        return ""
    quote = ": quote the name" if place == "query" and near[0] == name.casefold() else ""
    return f" (there is '{by_folded[near[0]]}'{quote})"
