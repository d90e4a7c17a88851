"""Checks what a request brings, body or query: unknown names, wrong types, anything that is no JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from reconciler.runtime.desk import nearest
from reconciler.runtime.routes import Json, Parameter

TEXT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Wrong:
    problem: str
    hint: str = ""


def checked_body(raw: bytes, known: Mapping[str, Parameter]) -> Json | Wrong:
    """Return the fields of a body; an empty one has none."""
    if not raw.strip():
        given: Any = {}
    else:
        try:
            given = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return Wrong("the body is not JSON", "send an object such as {}, or nothing")
    if not isinstance(given, dict):
        return Wrong("the body is no JSON object", "send an object such as {}, or nothing")
    return _checked(given, known, "the body")


def checked_query(given: Mapping[str, str], known: Mapping[str, Parameter]) -> Json | Wrong:
    """Return the fields of a query. The last of several of one name counts."""
    read: Json = {}
    for name, text in given.items():
        if name in known and known[name].type == "integer":
            if not (text.isascii() and text.isdigit() and len(text) < 20):
                return Wrong(f"{name} must be a whole number")
            read[name] = int(text)
        else:
            read[name] = text
    return _checked(read, known, "the query")


def _checked(given: Json, known: Mapping[str, Parameter], where: str) -> Json | Wrong:
    for name, value in given.items():
        parameter = known.get(name)
        if parameter is None:
            hint = nearest(name, known, "it has") if known else "this takes nothing"
            return Wrong(f"{where} has an unknown field {name[:80]!r}", hint)
        if wrong := _fault(parameter, value):
            return Wrong(f"{name} {wrong}")
    missing = [name for name, parameter in known.items() if parameter.required and name not in given]
    return Wrong(f"{where} lacks {missing[0]}") if missing else given


def _fault(parameter: Parameter, value: Any) -> str:
    """Return what is wrong with a value, empty where nothing is. Never shows it: it may name a person."""
    match parameter.type:
        case "boolean":
            return "" if isinstance(value, bool) else "must be true or false"
        case "integer":
            fits = isinstance(value, int) and not isinstance(value, bool)
            if not fits or not parameter.minimum <= value <= parameter.maximum:
                return f"must be a whole number from {parameter.minimum} to {parameter.maximum}"
            return ""
        case "string":
            return _text_fault(parameter, value)
        case "strings":
            if not isinstance(value, list) or len(value) > TEXT_MAX:
                return f"must be a list of at most {TEXT_MAX} texts"
            return next(filter(None, (_text_fault(parameter, one) for one in value)), "")


def _text_fault(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str) or len(value) > TEXT_MAX:
        return f"must be a text of at most {TEXT_MAX} characters"
    if not value.isprintable():
        return "must have no line breaks or control characters"
    if parameter.choices and value not in parameter.choices:
        return f"must be one of {', '.join(parameter.choices)}"
    return ""
