"""Filters and paths by the grammar of RFC 7644 §3.4.2.2 and §3.5.2, compiled to functions."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.servers.quirks import Quirks
from tests.servers.refusals import Refusal, invalid_filter, invalid_path
from tests.servers.schemas import Attribute, ResourceType

Test = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path points: into the core (extension None) or an extension; no attribute: the whole extension."""

    extension: str | None
    attribute: Attribute | None
    part: Attribute | None = None

    def __str__(self) -> str:
        names = [each.name for each in (self.attribute, self.part) if each is not None]
        dotted = ".".join(names)
        return dotted if self.extension is None else f"{self.extension}:{dotted}".rstrip(":")

    @property
    def last(self) -> Attribute:
        found = self.part or self.attribute
        assert found is not None
        return found

    def values(self, resource: Mapping[str, Any]) -> list[Any]:
        """Return what the resource has there: one value for a single attribute, all of a multi-valued one."""
        assert self.attribute is not None
        holder = resource if self.extension is None else resource.get(self.extension) or {}
        found = holder.get(self.attribute.name)
        elements = found if isinstance(found, list) else [] if found is None else [found]
        if self.part is None:
            return elements
        return [each[self.part.name] for each in elements if isinstance(each, dict) and self.part.name in each]


@dataclass(frozen=True, slots=True)
class PatchPath:
    """A path of PATCH: a place, which elements of it (None: all), and what its filter asks them to be equal to."""

    place: Place
    test: Test | None
    equal: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    test: Test
    asks_for: tuple[str, ...]
    """The attributes that it names, and "and" where it is a conjunction."""


def find_place(text: str, resource_type: ResourceType) -> Place | None:
    """Return what `name`, `name.part`, `urn:…:name.part` or an extension's URN points to; None: nothing here."""
    rest, schema, extension = text, resource_type.core, None
    for known in resource_type.schemas():
        if text.lower() == known.urn.lower() and known is not resource_type.core:
            return Place(known.urn, None)
        if text.lower().startswith(known.urn.lower() + ":"):
            rest, schema = text[len(known.urn) + 1 :], known
            extension = None if known is resource_type.core else known.urn
    name, dot, part_name = rest.partition(".")
    attribute = schema.attribute(name)
    if attribute is None:
        return None
    part = attribute.part(part_name) if dot else None
    return None if dot and part is None else Place(extension, attribute, part)


def parse_filter(text: str, resource_type: ResourceType, quirks: Quirks) -> Filter:
    """Return the filter, or refuse with invalidFilter: bad grammar, unknown attribute, a type that does not compare."""
    parser = _Parser(text, quirks)
    test = parser.whole(lambda name: find_place(name, resource_type))
    return Filter(test, tuple(parser.asks_for))


_PATH = re.compile(r'(?P<attribute>[^\[\]"\s]+)(?:\[(?P<filter>.*)\](?:\.(?P<part>[\w$]+))?)?', re.DOTALL)


def parse_path(text: str, resource_type: ResourceType, quirks: Quirks) -> PatchPath:
    """Return the path, or refuse with invalidPath (RFC 7644 §3.5.2, figure 7)."""
    shape = _PATH.fullmatch(text)
    place = find_place(shape["attribute"], resource_type) if shape else None
    if shape is None or place is None:
        raise invalid_path(f"'{text}' is not an attribute of the schema")
    if shape["filter"] is None:
        return PatchPath(place, None, {})
    attribute = place.attribute
    if attribute is None or not attribute.many or place.part is not None:
        raise invalid_path(f"'{text}': a filter belongs to a multi-valued attribute")
    parser = _Parser(shape["filter"], quirks)
    test = parser.whole(lambda name: _part_place(attribute, name))
    part = attribute.part(shape["part"]) if shape["part"] else None
    if shape["part"] and part is None:
        raise invalid_path(f"'{text}' is not an attribute of the schema")
    return PatchPath(Place(place.extension, attribute, part), test, dict(parser.equal))


def _part_place(attribute: Attribute, name: str) -> Place | None:
    part = attribute.part(name)
    return None if part is None else Place(None, part)


_TOKEN = re.compile(r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<mark>[()\[\]])|(?P<word>[^\s()\[\]"]+))')
_ORDERED = {"gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}
_OPERATORS = {"eq", "ne", "co", "sw", "ew", *_ORDERED}

Resolve = Callable[[str], Place | None]


class _Parser:
    """One filter. Collects on its way which attributes are asked for, and the equalities."""

    def __init__(self, text: str, quirks: Quirks) -> None:
        self._text, self._quirks = text, quirks
        self._tokens = _tokens(text)
        self._next = 0
        self.asks_for: list[str] = []
        self.equal: dict[str, Any] = {}

    def whole(self, resolve: Resolve) -> Test:
        test = self._either(resolve)
        if self._peek() is not None:
            raise self._wrong(f"'{self._peek()}' comes after the end")
        return test

    def _either(self, resolve: Resolve) -> Test:
        tests = [self._both(resolve)]
        while self._word("or"):
            tests.append(self._both(resolve))
        return tests[0] if len(tests) == 1 else lambda resource: any(test(resource) for test in tests)

    def _both(self, resolve: Resolve) -> Test:
        tests = [self._one(resolve)]
        while self._word("and"):
            self.asks_for.append("and")
            tests.append(self._one(resolve))
        return tests[0] if len(tests) == 1 else lambda resource: all(test(resource) for test in tests)

    def _one(self, resolve: Resolve) -> Test:
        if self._word("not"):
            inner = self._grouped(resolve)
            return lambda resource: not inner(resource)
        if self._peek() == "(":
            return self._grouped(resolve)
        name = self._take("an attribute")
        place = resolve(self._quirks.filter_confuses.get(name, name))
        if place is None or place.attribute is None:
            raise self._wrong(f"'{name}' is not an attribute of the schema")
        self.asks_for.append(str(place))
        return self._elements(place) if self._peek() == "[" else self._comparison(place)

    def _grouped(self, resolve: Resolve) -> Test:
        self._expect("(")
        test = self._either(resolve)
        self._expect(")")
        return test

    def _elements(self, place: Place) -> Test:
        attribute = place.attribute
        assert attribute is not None
        if not attribute.many or place.part is not None:
            raise self._wrong(f"'{place}' has no elements")
        self._expect("[")
        test = self._either(lambda name: _part_place(attribute, name))
        self._expect("]")
        following = self._peek()
        if following is None or not following.startswith("."):
            return lambda resource: any(test(each) for each in place.values(resource))
        if not self._quirks.understands_entra_filters:
            raise self._wrong(f"'{following}' after a value filter is not in the grammar")
        self._next += 1
        part = _part_place(attribute, following[1:])
        if part is None:
            raise self._wrong(f"'{following}' is not an attribute of the schema")
        compare = self._comparison(part)
        return lambda resource: any(test(each) and compare(each) for each in place.values(resource))

    def _comparison(self, place: Place) -> Test:
        verb = self._take("an operator").lower()
        if verb == "pr":
            return lambda resource: any(value not in ("", None, [], {}) for value in place.values(resource))
        if verb not in _OPERATORS:
            raise self._wrong(f"'{verb}' is not an operator")
        wanted = self._value()
        assert place.attribute is not None
        compared = place.part or place.attribute
        if compared.type == "complex":
            value_part = compared.part("value")
            if value_part is None or place.part is not None:
                raise self._wrong(f"'{place}' is complex: compare one of its parts")
            place, compared = Place(place.extension, place.attribute, value_part), value_part
        if verb == "eq":
            self.equal[compared.name] = wanted
        exact = compared.case_exact or (compared.name == "userName" and self._quirks.filter_case_exact)
        return _compare(place, verb, wanted, compared, exact, self._wrong)

    def _value(self) -> Any:
        token = self._take("a value")
        if self._quirks.filter_without_escapes and token.startswith('"'):
            if '\\"' in token:
                raise self._wrong("unexpected token")
            return token[1:-1]
        try:
            value = json.loads(token)
        except ValueError:
            raise self._wrong(f"{token} is not a JSON value") from None
        if isinstance(value, (dict, list)):
            raise self._wrong(f"{token} is not a simple value")
        return value

    def _peek(self) -> str | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, what: str) -> str:
        token = self._peek()
        if token is None:
            raise self._wrong(f"{what} is missing at the end")
        self._next += 1
        return token

    def _word(self, word: str) -> bool:
        token = self._peek()
        if token is None or token.lower() != word:
            return False
        self._next += 1
        return True

    def _expect(self, mark: str) -> None:
        if self._take(f"'{mark}'") != mark:
            raise self._wrong(f"'{mark}' is missing")

    def _wrong(self, problem: str) -> Refusal:
        return invalid_filter(f"filter '{self._text}': {problem}")


def _tokens(text: str) -> list[str]:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise invalid_filter(f"filter '{text}': a string is not closed")
        tokens.append(found[0].strip() if found["string"] is None else found["string"])
        at = found.end()
    return tokens


def _compare(
    place: Place, verb: str, wanted: Any, compared: Attribute, exact: bool, wrong: Callable[[str], Refusal]
) -> Test:
    if wanted is None:
        if verb not in ("eq", "ne"):
            raise wrong(f"'{verb}' does not compare with null")
        absent = verb == "eq"
        return lambda resource: (not place.values(resource)) is absent
    if compared.type == "boolean":
        if verb not in ("eq", "ne") or not isinstance(wanted, bool):
            raise wrong(f"'{compared.name}' is a boolean: eq or ne, true or false")
        return lambda resource: (wanted in place.values(resource)) is (verb == "eq")
    if not isinstance(wanted, str):
        raise wrong(f"'{compared.name}' is a {compared.type}: the value must be a string")
    if compared.type == "dateTime":
        return _compare_moments(place, verb, wanted, wrong)
    fold: Callable[[str], str] = (lambda text: text) if exact else str.lower
    asked = fold(wanted)
    one = _STRING_TESTS[verb]
    if verb == "ne":
        return lambda resource: any(fold(str(value)) != asked for value in place.values(resource) or [None])
    if place.extension is None and place.part is None and not compared.many:
        name = compared.name  # asked most of all, and of every row
        return lambda resource: (value := resource.get(name)) is not None and one(fold(str(value)), asked)
    return lambda resource: any(one(fold(str(value)), asked) for value in place.values(resource))


_STRING_TESTS: dict[str, Callable[[str, str], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "co": lambda value, asked: asked in value,
    "sw": str.startswith,
    "ew": str.endswith,
    **_ORDERED,
}


def _compare_moments(place: Place, verb: str, wanted: str, wrong: Callable[[str], Refusal]) -> Test:
    tests = {"eq": operator.eq, "ne": operator.ne, **_ORDERED}
    try:
        moment = _moment(wanted)
        test = tests[verb]
    except (ValueError, KeyError):
        raise wrong(f"'{verb} {wanted}' does not compare a dateTime") from None
    return lambda resource: any(test(_moment(value), moment) for value in place.values(resource))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
