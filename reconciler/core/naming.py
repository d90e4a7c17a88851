"""Finds entries by what people call them: the source id, or an attribute that people are known by."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from reconciler.core.assignments import LOGIN_ATTRIBUTES
from reconciler.core.levelling import spoken
from reconciler.core.model import Attributes, Direct, Kind, ObjectRules, SourceId

NEAREST = 3
_ALIKE = 0.6


class Named(NamedTuple):
    """An entry of the source that somebody may mean."""

    kind: Kind
    id: SourceId
    name: str
    by: str
    """The attribute by which it was found; "id": by its source id."""
    members: Sequence[SourceId] = ()
    """With a group: who is in it."""


def naming_attributes(rules: ObjectRules | None) -> tuple[str, ...]:
    """Return the attributes by which an entry of this kind is found: what matching reads first, then the usual ones."""
    matching = sorted((m for m in rules.mappings if m.match is not None), key=lambda m: m.match or 0) if rules else []
    read = [m.source.attribute for m in matching if isinstance(m.source, Direct)]
    usual = () if rules is not None and rules.kind == "group" else LOGIN_ATTRIBUTES
    return tuple(dict.fromkeys((*read, *usual, "displayName")))


def called(attributes: Attributes, names: Collection[str], by: Iterable[str]) -> tuple[str, str] | None:
    """Return by which of `names` (case-folded) an entry is called, and by which attribute; None: by none of them."""
    for attribute in by:
        value = attributes.get(attribute)
        if isinstance(value, str) and spoken(value) in names:
            return spoken(value), attribute
    return None


def nearest(name: str, known: Iterable[str], so_far: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names that begin like this one, or else are most like it, of a page and of those before."""
    folded = spoken(name)
    by_folded = {spoken(one): one for one in (*so_far, *known)}
    beginning = sorted(one for one in by_folded if one.startswith(folded))[:NEAREST]
    alike = get_close_matches(folded, by_folded, NEAREST, _ALIKE)
    return tuple(by_folded[one] for one in dict.fromkeys((*beginning, *alike)))[:NEAREST]
