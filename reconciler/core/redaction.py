"""Says what the mapping keeps out of every log: what Redact writes, and the attributes that only it reads."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

from reconciler.core.model import AttributeMapping, Direct, FromExpression, ObjectRules
from reconciler.language import Expression, compile_expression

HIDDEN = "[Redact]"
_LONG = 4
"""A shorter value is hidden only where it stands alone: it may be a part of any word."""


def redacted_paths(rules: ObjectRules) -> frozenset[str]:
    """Return the paths whose expression may come to Redact: whatever they have, old or new, is not shown."""
    return frozenset(mapping.to for mapping in rules.mappings if _redacts(mapping))


def hidden_attributes(rules: ObjectRules | None) -> frozenset[str]:
    """Return the source attributes that flow nowhere but through Redact: no reason shows what they hold."""
    if rules is None:
        return frozenset()
    hidden = set[str]().union(*(_reads(mapping) for mapping in rules.mappings if _redacts(mapping)))
    shown = set[str]().union(*(_reads(mapping) for mapping in rules.mappings if not _redacts(mapping)))
    return frozenset(hidden - shown)


def without(text: str, values: Collection[Any]) -> str:
    """Return a text, such as a target's own words, without these values."""
    texts = {said for value in values for said in _said(value)}
    for said in sorted(texts, key=len, reverse=True):
        if len(said) >= _LONG:
            text = text.replace(said, HIDDEN)
        else:
            text = re.sub(rf"(?<!\w){re.escape(said)}(?!\w)", HIDDEN, text)
    return text


def _redacts(mapping: AttributeMapping) -> bool:
    return isinstance(mapping.source, FromExpression) and "Redact" in _expression(mapping.source.text).calls


def _reads(mapping: AttributeMapping) -> frozenset[str]:
    match mapping.source:
        case Direct(attribute=attribute):
            return frozenset({attribute})
        case FromExpression(text=text):
            return _expression(text).reads
        case _:
            return frozenset()


@lru_cache(maxsize=1000)
def _expression(text: str) -> Expression:
    """Return what is known of an expression, which many jobs may have and each cycle asks for several times."""
    return compile_expression(text)


def _said(value: Any) -> Iterator[str]:
    """Yield the texts and numbers in a value; true and false say nothing about anybody."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _said(each)
    elif value not in (None, "") and not isinstance(value, bool):
        yield str(value)
