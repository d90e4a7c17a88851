"""Tells what must change so that an account is as wanted, and what is a mere matter of notation."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from reconciler.core.levelling import level
from reconciler.core.model import Change, Resource
from reconciler.core.outcomes import Account
from reconciler.core.profile import TargetAttribute, ValueType
from reconciler.core.records import Link

UNKEPT_MAX = 3
"""How often a value is sent again that the target takes and does not keep."""

NEVER_SHOWN = frozenset({"password"})
"""What no target shows (RFC 7643 §4.1.1, returned "never"): that it is not there says nothing."""

Known = Callable[[str], TargetAttribute] | Mapping[str, TargetAttribute]


def changes(wanted: Resource, agreed: Resource, attribute: Known) -> tuple[Change, ...]:
    """Return the changes that make `agreed` as `wanted`, in order of path.

    A path that `wanted` does not have is left alone; None there means that the target must have no value.
    `attribute` gives what the profile knows of a path.
    """
    found: list[Change] | None = None
    for path, new in wanted.items():
        old = agreed.get(path)
        if new is old or (type(new) is str and type(old) is str and new == old):
            # no other type: [False] == [0] in Python, yet a target tells them apart
            continue
        known = attribute(path) if callable(attribute) else attribute.get(path) or TargetAttribute(path)
        if same(new, old, known):
            continue
        if found is None:
            found = []
        found.append(Change(path, None if is_empty(old) else old, None if is_empty(new) else new))
    if found is None:
        return ()
    return tuple(sorted(found, key=_path_of))


def never_shown(attributes: Mapping[str, TargetAttribute]) -> frozenset[str]:
    """Return the paths whose values the target shows to nobody."""
    return NEVER_SHOWN.union(path for path, attribute in attributes.items() if not attribute.shown)


def as_kept(link: Link, found: Account | None, active: str, hidden: frozenset[str] = NEVER_SHOWN) -> Resource:
    """Return what the account has, as far as it matters: what the target never keeps, or never shows, counts as sent.

    Only a disable that is not kept never counts as done. `hidden` is what `never_shown` gave.
    """
    if found is None:
        return link.agreed
    stubborn = [path for path, times in link.unkept.items() if times >= UNKEPT_MAX and path != active]
    stubborn += [path for path in hidden if path in link.agreed]
    if not stubborn:
        return found.resource
    agreed = {path: value for path, value in found.resource.items() if path not in stubborn}
    return {**agreed, **{path: link.agreed[path] for path in stubborn if path in link.agreed}}


def apply(found: Iterable[Change], resource: Resource) -> Resource:
    """Return the resource with the changes made; `resource` stays as it is."""
    changed = dict(resource)
    for change in found:
        if change.new is None:
            changed.pop(change.path, None)
        else:
            changed[change.path] = change.new
    return changed


def same(a: Any, b: Any, attribute: TargetAttribute) -> bool:
    """Whether two values of an attribute mean the same to the target.

    Null, the empty text and the empty list are all no value. Lists are sets. Texts differ by case or normal form
    alone only where the attribute is case-exact (a reference always is). Numbers, booleans and moments are compared
    by what they say. In complex values `$ref`, nulls and `primary: false` do not count (RFC 7643 §2.4: no primary is
    primary false).
    """
    a_is_empty, b_is_empty = is_empty(a), is_empty(b)
    if a_is_empty or b_is_empty:
        return a_is_empty and b_is_empty
    key = _KEYS[attribute.type]
    exact = attribute.case_exact or attribute.references is not None or attribute.type in _ALWAYS_EXACT
    if isinstance(a, list) or isinstance(b, list):
        a_keys, b_keys = ({key(each, exact) for each in _as_list(value)} for value in (a, b))
        return a_keys == b_keys
    return key(a, exact) == key(b, exact)


def is_empty(value: Any) -> bool:
    """Whether this is no value: null, an empty text, an empty object, or a list of nothing but these."""
    if isinstance(value, list):
        return all(is_empty(each) for each in value)
    return value is None or value == "" or value == {}


def union(old: Any, new: Any, attribute: TargetAttribute) -> list[Any]:
    """Return the values of `old` and then those of `new` that `old` does not have."""
    had = _as_list(old) if not is_empty(old) else []
    return had + [each for each in _as_list(new) if not any(same(each, other, attribute) for other in had)]


def boolean(value: Any) -> bool | None:
    """Return the boolean that a value says ("True", "false", 1, …), None where it says none."""
    if isinstance(value, bool):
        return value
    return _BOOLEANS.get(str(value).strip().lower()) if isinstance(value, (str, int)) else None


def number(value: Any) -> Decimal | None:
    """Return the number that a value says, None where it says none."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        said = Decimal(value.strip() if isinstance(value, str) else str(value))
    except InvalidOperation:
        return None
    return said if said.is_finite() else None


def moment(value: Any) -> datetime | None:
    """Return the moment that an ISO 8601 text says (UTC where it names no offset), None where it says none."""
    if not isinstance(value, str):
        return None
    try:
        said = datetime.fromisoformat(value.strip())
        return (said if said.tzinfo else said.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def text(value: Any) -> str:
    """Return a scalar as text: True as "True", whole numbers without a decimal point."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_ALWAYS_EXACT = (ValueType.REFERENCE, ValueType.BINARY)


def _path_of(change: Change) -> str:
    return change.path


def _as_list(value: Any) -> list[Any]:
    return [each for each in value if not is_empty(each)] if isinstance(value, list) else [value]


def _content_key(value: Any, exact: bool) -> Hashable:
    if isinstance(value, dict):
        return frozenset(
            (name.lower(), _content_key(each, exact))
            for name, each in value.items()
            if not is_empty(each) and name != "$ref" and not (name.lower() == "primary" and boolean(each) is False)
        )
    if isinstance(value, list):
        return ("list", frozenset(_content_key(each, exact) for each in value))
    return text(value) if exact else level(text(value))


def _boolean_key(value: Any, exact: bool) -> Hashable:
    said = boolean(value)
    return _content_key(value, exact) if said is None else said


def _number_key(value: Any, exact: bool) -> Hashable:
    said = number(value)
    return _content_key(value, exact) if said is None else said


def _moment_key(value: Any, exact: bool) -> Hashable:
    said = moment(value)
    return _content_key(value, exact) if said is None else said


_KEYS: dict[ValueType, Callable[[Any, bool], Hashable]] = {
    ValueType.STRING: _content_key,
    ValueType.REFERENCE: _content_key,
    ValueType.BINARY: _content_key,
    ValueType.COMPLEX: _content_key,
    ValueType.BOOLEAN: _boolean_key,
    ValueType.INTEGER: _number_key,
    ValueType.DECIMAL: _number_key,
    ValueType.DATETIME: _moment_key,
}
