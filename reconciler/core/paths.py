"""Reads, writes and spells the paths of a target's attributes, as RFC 7644 §3.10 has them.

A path is `userName`, `name.givenName`, `emails[type eq "work"].value`, or any of these below the URN of an extension
(`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager`). The notation
`accounts.^[type=='slack'].value` is read as `accounts[type eq "slack"].value`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_SCHEMA = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

Literal = str | bool | int | float
Reader = Callable[[Mapping[str, Any]], Any]


class PathError(ValueError):
    """A text is no path, or two paths cannot stand in one body. `position` counts characters from 0."""

    def __init__(self, problem: str, position: int = 0) -> None:
        self.problem, self.position = problem, position
        super().__init__(f"{problem} (at character {position + 1})")


@dataclass(frozen=True, slots=True)
class Equals:
    """One condition of a value filter: the sub-attribute has this value. The literal's type is kept."""

    attribute: str
    value: Literal

    def __str__(self) -> str:
        return f"{self.attribute} eq {json.dumps(self.value, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class Path:
    """A path, taken apart. `schema` is the URN of an extension, None for core attributes."""

    schema: str | None
    attribute: str
    where: tuple[Equals, ...] = ()
    """All of these choose one element of a multi-valued attribute; empty: the attribute as a whole."""
    sub: tuple[str, ...] = ()

    @property
    def whole(self) -> str:
        """The path of the attribute without filter and sub-attributes."""
        return f"{self.schema}:{self.attribute}" if self.schema else self.attribute

    @property
    def is_manager(self) -> bool:
        """Whether this is the enterprise extension's manager, the one complex reference of RFC 7643 §4.3."""
        return self.schema == ENTERPRISE_SCHEMA and not self.sub and self.attribute.lower() == "manager"

    def __str__(self) -> str:
        where = f"[{' and '.join(map(str, self.where))}]" if self.where else ""
        return f"{self.whole}{where}{''.join(f'.{name}' for name in self.sub)}"


def canonical(text: str) -> str:
    """Return the one spelling of a path under which it stands in a Resource. Raises PathError."""
    return str(parse(text))


@lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """Take a path apart; raises PathError, and nothing else, where the text is no path."""
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    if start >= end:
        raise PathError("the path is empty")
    schema, position = _schema(text, start, end)
    attribute, position = _name(text, position)
    where: tuple[Equals, ...] = ()
    if filtered := _FILTER_OPENS.match(text, position):
        where, position = _conditions(text, filtered.end())
    sub: list[str] = []
    while position < end:
        if text[position] == "[":
            raise PathError("a filter can only follow the attribute itself", position)
        if text[position] != ".":
            raise PathError(f"unexpected {text[position]!r}", position)
        name, position = _name(text, position + 1)
        sub.append(name)
    return Path(schema, attribute, where, tuple(sub))


def read(resource: Mapping[str, Any], path: str | Path, *, reference: bool | None = None) -> Any:
    """Return the value at a path of a SCIM resource, None where it has none. For many resources compile a `reader`."""
    return reader(path if isinstance(path, str) else str(path), reference=reference)(resource)


@lru_cache(maxsize=4096)
def reader(text: str, *, reference: bool | None = None) -> Reader:
    """Compile a path into a function from a resource (SCIM JSON) to its value there, or None.

    Null and an empty list are None. Names are found whatever their case (RFC 7643 §2.1), an exact hit first.
    `reference` makes `{"value": id}`, a list of one such and a plain id all read as the id; left out, it is so for
    the enterprise extension's manager. Raises PathError.
    """
    path = parse(text)
    get = _attribute_reader(path)
    if path.where:
        get = _element_reader(get, path.where)
    for name in path.sub:
        get = _sub_reader(get, name)
    if path.is_manager if reference is None else reference:
        return _reference_reader(get)
    return get


def write(body: dict[str, Any], path: str | Path, value: Any, *, reference: bool | None = None) -> None:
    """Put a value into a nested body where the path says; elements that the filter chooses are made where missing.

    `value` itself is never changed by later writes. `reference` writes an id as `{"value": id}`; left out, it is so
    for the enterprise extension's manager. Raises PathError when the body already has something else in the way.
    """
    path = parse(path) if isinstance(path, str) else path
    if (path.is_manager if reference is None else reference) and not isinstance(value, (dict, list)):
        value = {"value": value}
    holder = body if path.schema is None else _object_in(body, path.schema, path)
    names = (path.attribute, *path.sub)
    if path.where:
        holder = _element_in(holder, path)
        if not path.sub:
            for name, part in (value if isinstance(value, dict) else {"value": value}).items():
                holder[_spelled(holder, name)] = _copied(part)
            return
        names = path.sub
    for name in names[:-1]:
        holder = _object_in(holder, name, path)
    holder[_spelled(holder, names[-1])] = _copied(value)


def remove(body: dict[str, Any], path: str | Path) -> None:
    """Take the value at a path out of a nested body, with what is left empty by it.

    An element that the filter chooses goes as a whole when its `value` goes: without it, it says nothing.
    """
    path = parse(path) if isinstance(path, str) else path
    holder: Any = body if path.schema is None else body.get(_spelled(body, path.schema))
    if not isinstance(holder, dict):
        return
    if not path.where:
        _remove_below(holder, (path.attribute, *path.sub))
    else:
        name = _spelled(holder, path.attribute)
        elements = holder.get(name)
        if not isinstance(elements, list):
            return
        kept = [each for each in elements if not (isinstance(each, dict) and _is_chosen(each, path.where))]
        if path.sub and path.sub != ("value",):
            kept = elements
            for element in elements:
                if isinstance(element, dict) and _is_chosen(element, path.where):
                    _remove_below(element, path.sub)
        holder[name] = kept
        if not kept:
            del holder[name]
    if path.schema is not None and not holder:
        del body[_spelled(body, path.schema)]


def clash(first: str, second: str) -> bool:
    """Whether two canonical paths cannot both be mapped: the same, or one an attribute and one a part of it."""
    a, b = parse(first), parse(second)
    if a.whole.lower() != b.whole.lower():
        return False
    if a.where != b.where:
        return not (a.where and b.where)
    a_sub, b_sub = [name.lower() for name in a.sub], [name.lower() for name in b.sub]
    shorter = min(len(a_sub), len(b_sub))
    return a_sub[:shorter] == b_sub[:shorter]


# --- parsing -----------------------------------------------------------------------------------------------------

_KNOWN_SCHEMAS = {schema.lower(): schema for schema in (USER_SCHEMA, GROUP_SCHEMA, ENTERPRISE_SCHEMA)}
_CORE_SCHEMAS = (USER_SCHEMA, GROUP_SCHEMA)
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_URN = re.compile(r"urn:[^\s\"'\[\]:]+(?::[^\s\"'\[\]:]+)*", re.IGNORECASE)
_VERSION_AT_END = re.compile(r":[0-9]+(\.[0-9]+)*\Z")
_FILTER_OPENS = re.compile(r"(?:\.\^)?\[\s*")
_EQUALS = re.compile(r"\s+eq\s+|\s*==\s*", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+|\s*&&\s*", re.IGNORECASE)
_FILTER_CLOSES = re.compile(r"\s*\]")
_LITERAL = re.compile(
    r"""(?P<json>"(?:[^"\\]|\\.)*")|'(?P<single>[^'\\]*)'|(?P<bool>true|false)\b|(?P<number>-?[0-9]{1,15}(?:\.[0-9]{1,15})?(?:e[+-]?[0-9]{1,3})?)\b""",
    re.IGNORECASE,
)


def _schema(text: str, start: int, end: int) -> tuple[str | None, int]:
    """Split the URN off: it ends at the last colon before any filter, so the dots of its version stay in it."""
    if text[start : start + 4].lower() != "urn:":
        return None, start
    bracket = text.find("[", start, end)
    colon = text.rfind(":", start, end if bracket < 0 else bracket)
    urn = text[start:colon]
    if not _URN.fullmatch(urn):
        raise PathError("an extension is named as urn:…:attribute", start)
    attribute = _NAME.match(text, colon + 1)
    whole_text = text[start:end].lower()
    if whole_text in _KNOWN_SCHEMAS or (
        attribute and attribute.group() in ("User", "Group") and _VERSION_AT_END.search(urn)
    ):
        raise PathError("names a schema and no attribute of it; write urn:…:attribute", colon + 1)
    urn = _KNOWN_SCHEMAS.get(urn.lower(), urn)
    return (None if urn in _CORE_SCHEMAS else urn), colon + 1


def _name(text: str, position: int) -> tuple[str, int]:
    found = _NAME.match(text, position)
    if found is None:
        raise PathError("an attribute name is missing", position)
    return found.group(), found.end()


def _conditions(text: str, position: int) -> tuple[tuple[Equals, ...], int]:
    conditions: list[Equals] = []
    while True:
        name, position = _name(text, position)
        operator = _EQUALS.match(text, position)
        if operator is None:
            raise PathError('a filter in a path compares with eq, as in [type eq "work"]', position)
        value, position = _literal(text, operator.end())
        conditions.append(Equals(name, value))
        if closed := _FILTER_CLOSES.match(text, position):
            return tuple(conditions), closed.end()
        more = _AND.match(text, position)
        if more is None:
            raise PathError("the filter is not closed by ]", position)
        position = more.end()


def _literal(text: str, position: int) -> tuple[Literal, int]:
    found = _LITERAL.match(text, position)
    if found is None:
        raise PathError('a filter compares with a "text" in quotes, true, false or a number', position)
    if found["bool"]:
        return found["bool"].lower() == "true", found.end()
    if found["single"] is not None:
        return _sound(found["single"], position), found.end()
    try:
        value = json.loads(found.group())
    except ValueError:
        raise PathError("the text in the filter is not a JSON string or number", position) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise PathError("the number in the filter is too large", position)
    return (_sound(value, position) if isinstance(value, str) else value), found.end()


def _sound(value: str, position: int) -> str:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise PathError("the text in the filter holds half a character", position)
    return value


# --- reading -----------------------------------------------------------------------------------------------------


def _attribute_reader(path: Path) -> Reader:
    attribute, folded = path.attribute, path.attribute.lower()

    def core(resource: Mapping[str, Any]) -> Any:
        value = resource[attribute] if attribute in resource else _whatever_case(resource, folded)
        return None if value == [] else value

    if path.schema is None:
        return core
    schema, schema_folded = path.schema, path.schema.lower()

    def extension(resource: Mapping[str, Any]) -> Any:
        part = resource[schema] if schema in resource else _whatever_case(resource, schema_folded)
        return core(part) if isinstance(part, (dict, Mapping)) else None

    return extension


def _sub_reader(get: Reader, name: str) -> Reader:
    folded = name.lower()

    def one(value: Mapping[str, Any]) -> Any:
        found = value[name] if name in value else _whatever_case(value, folded)
        return None if found == [] else found

    def sub(resource: Mapping[str, Any]) -> Any:
        value = get(resource)
        if value is None:
            return None
        if isinstance(value, (dict, Mapping)):
            return one(value)
        if isinstance(value, list):
            found = (one(element) for element in value if isinstance(element, Mapping))
            return [each for each in found if each is not None] or None
        return None

    return sub


def _element_reader(get: Reader, where: tuple[Equals, ...]) -> Reader:
    conditions = tuple((equals.attribute, equals.attribute.lower(), _comparison(equals.value)) for equals in where)

    def element(resource: Mapping[str, Any]) -> Any:
        value = get(resource)
        if value is None:
            return None
        for candidate in value if isinstance(value, list) else (value,):
            if not isinstance(candidate, (dict, Mapping)):
                continue
            for name, folded, is_equal in conditions:
                if not is_equal(candidate[name] if name in candidate else _whatever_case(candidate, folded)):
                    break
            else:
                return candidate
        return None

    return element


def _reference_reader(get: Reader) -> Reader:
    def identifier(resource: Mapping[str, Any]) -> Any:
        value = get(resource)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, Mapping):
            value = value["value"] if "value" in value else _whatever_case(value, "value")
        return None if value == "" else value

    return identifier


def _whatever_case(values: Mapping[str, Any], folded: str) -> Any:
    length = len(folded)
    for name in values:
        if len(name) == length and name.lower() == folded:
            return values[name]
    return None


@lru_cache(maxsize=4096, typed=True)
def _comparison(expected: Literal) -> Callable[[Any], bool]:
    """Compare as servers do: texts whatever their case, and the word "True" is the boolean true."""
    if isinstance(expected, (str, bool)):
        folded = str(expected).lower()
        return lambda found: found == expected or (isinstance(found, (str, bool)) and str(found).lower() == folded)
    return lambda found: found == expected and not isinstance(found, bool)


# --- writing -----------------------------------------------------------------------------------------------------


def _object_in(holder: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    inner = holder.setdefault(_spelled(holder, name), {})
    if not isinstance(inner, dict):
        raise PathError(f"{path} cannot be written: {name} has a value of its own already")
    return inner


def _element_in(holder: dict[str, Any], path: Path) -> dict[str, Any]:
    elements = holder.setdefault(_spelled(holder, path.attribute), [])
    if not isinstance(elements, list):
        raise PathError(f"{path} cannot be written: {path.attribute} has a value of its own already")
    for element in elements:
        if isinstance(element, dict) and _is_chosen(element, path.where):
            return element
    made: dict[str, Any] = {equals.attribute: equals.value for equals in path.where}
    elements.append(made)
    return made


def _remove_below(holder: dict[str, Any], names: tuple[str, ...]) -> None:
    name = _spelled(holder, names[0])
    if len(names) == 1:
        holder.pop(name, None)
        return
    inner = holder.get(name)
    if isinstance(inner, dict):
        _remove_below(inner, names[1:])
        if not inner:
            del holder[name]


def _spelled(holder: dict[str, Any], name: str) -> str:
    """Return the name as the body already spells it (names are alike whatever their case), else as it is."""
    if name in holder:
        return name
    length = len(name)
    for known in holder:
        if len(known) == length and known.lower() == name.lower():
            return known
    return name


def _is_chosen(element: dict[str, Any], where: tuple[Equals, ...]) -> bool:
    return all(_comparison(equals.value)(element.get(_spelled(element, equals.attribute))) for equals in where)


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied(each) for each in value]
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in value.items()}
    return value
