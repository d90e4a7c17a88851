"""Brings a source value into the type of the target attribute that takes it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from reconciler.core.diffing import boolean, is_empty, moment, number, text
from reconciler.core.profile import TargetAttribute, ValueType
from reconciler.core.reasons import Reason

Cast = Callable[[Any], Any]

_DIGITS_OF_64_BITS = 18
INVALID_VALUE: Reason = "InvalidValue"
ONLY_ONE_VALUE: Reason = "SchemaPropertyCanOnlyAcceptValue"


class Unfit(Exception):
    """The attribute cannot take the value. Its text tells why, without the value."""

    def __init__(self, error_code: Reason, reason: str) -> None:
        self.error_code, self.reason = error_code, reason
        super().__init__(reason)


def is_plain(attribute: TargetAttribute) -> bool:
    """Whether every text that is not empty is a value of this attribute just as it is."""
    return attribute.type is ValueType.STRING and not attribute.multivalued and not attribute.allowed


def caster(attribute: TargetAttribute) -> Cast:
    """Compile a function that gives a value in the attribute's type, None for no value, or raises Unfit."""
    one: Cast = text if attribute.references is not None else _CASTS[attribute.type]
    if attribute.references is not None or attribute.type is not ValueType.COMPLEX:
        one = _not_an_object(one)
    if attribute.allowed:
        one = _among(one, attribute)
    return _many(one) if attribute.multivalued else _single(one)


def _many(one: Cast) -> Cast:
    def cast(value: Any) -> Any:
        given = value if isinstance(value, list) else [value]
        return [one(each) for each in given if not is_empty(each)] or None

    return cast


def _single(one: Cast) -> Cast:
    def cast(value: Any) -> Any:
        if isinstance(value, list):
            given = [each for each in value if not is_empty(each)]
            if len(given) > 1:
                raise Unfit(
                    ONLY_ONE_VALUE,
                    f"the target's attribute takes one value and the source has {len(given)};"
                    " choose one with Item or combine them with Join",
                )
            if not given:
                return None
            value = given[0]
        return None if is_empty(value) else one(value)

    return cast


def _not_an_object(one: Cast) -> Cast:
    def cast(value: Any) -> Any:
        if isinstance(value, dict):
            raise Unfit(ONLY_ONE_VALUE, "the target's attribute takes a plain value and the source has an object")
        return one(value)

    return cast


def _among(one: Cast, attribute: TargetAttribute) -> Cast:
    spelled = {value if attribute.case_exact else value.casefold(): value for value in attribute.allowed}
    names = ", ".join(attribute.allowed)

    def cast(value: Any) -> Any:
        value = one(value)
        said = text(value)
        found = spelled.get(said if attribute.case_exact else said.casefold())
        if found is None:
            raise Unfit(INVALID_VALUE, f"the target allows only {names}; map the source's value to one of these")
        return found if isinstance(value, str) else value

    return cast


def _boolean(value: Any) -> bool:
    said = boolean(value)
    if said is None:
        raise Unfit(INVALID_VALUE, 'the target\'s attribute is a Boolean; the mapping must give "True" or "False"')
    return said


def _integer(value: Any) -> int:
    said = number(value)
    if said is not None and not -(2**63) <= said < 2**63:
        raise Unfit(INVALID_VALUE, "the target's attribute is an Integer; the source's value does not fit into 64 bits")
    if said is None or said != said.to_integral_value():
        raise Unfit(INVALID_VALUE, "the target's attribute is an Integer; the source's value is no whole number")
    return int(said)


def _decimal(value: Any) -> int | float:
    said = number(value)
    if said is None:
        raise Unfit(INVALID_VALUE, "the target's attribute is a Decimal; the source's value is no number")
    if not math.isfinite(float(said)):
        raise Unfit(INVALID_VALUE, "the target's attribute is a Decimal; the source's value is too large for one")
    whole = said.adjusted() < _DIGITS_OF_64_BITS and said == said.to_integral_value()
    return int(said) if whole else float(said)


def _datetime(value: Any) -> str:
    """Keep ISO 8601 as it is; write what CDate prints (3/16/2020 7:00:00 AM, in UTC) as ISO 8601."""
    if moment(value) is not None:
        return str(value).strip()
    if isinstance(value, str) and (printed := _PRINTED.fullmatch(value.strip())):
        month, day, year, hour, minute, second = (int(part) for part in printed.group(1, 2, 3, 4, 5, 6))
        hour = hour % 12 + (12 if printed[7].upper() == "PM" else 0)
        try:
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC).isoformat().replace("+00:00", "Z")
        except ValueError:
            pass
    raise Unfit(
        INVALID_VALUE,
        "the target's attribute is a DateTime; bring the source's value into ISO 8601 with FormatDateTime",
    )


def _as_it_is(value: Any) -> Any:
    return value


_PRINTED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d\d):(\d\d) ([AP]M)", re.IGNORECASE | re.ASCII)
_CASTS: dict[ValueType, Cast] = {
    ValueType.STRING: text,
    ValueType.BINARY: text,
    ValueType.REFERENCE: text,
    ValueType.BOOLEAN: _boolean,
    ValueType.INTEGER: _integer,
    ValueType.DECIMAL: _decimal,
    ValueType.DATETIME: _datetime,
    ValueType.COMPLEX: _as_it_is,
}
