"""Reads a ServiceProviderConfig (RFC 7643 §5, RFC 9865 §4) field by field.

A missing or odd field costs that field only, and is named. What comes out is a plain dict that can be remembered as
JSON: `patch`, `filter`, `etag`, `sort`, `bulk`, `index`, `cursor` (true, false or None for not said), `filter_max` and
`page_max` (integers or None), and `odd`, the fields that could not be understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FEATURES = ("patch", "filter", "etag", "sort", "bulk")
_BOOLEANS = {"true": True, "false": False}


def read_config(content: Any) -> dict[str, Any]:
    """Return what the target says of itself; never raises, whatever `content` is."""
    odd: list[str] = []
    whole = content if isinstance(content, Mapping) else {}
    if whole is not content:
        odd.append("the whole answer")
    config: dict[str, Any] = {name: _flag(_part(whole, name, odd), "supported", name, odd) for name in _FEATURES}
    pagination = _part(whole, "pagination", odd)
    config["index"] = _flag(pagination, "index", "pagination", odd)
    config["cursor"] = _flag(pagination, "cursor", "pagination", odd)
    config["filter_max"] = _count(_part(whole, "filter", []), "maxResults", "filter", odd)
    config["page_max"] = _count(pagination, "maxPageSize", "pagination", odd)
    config["odd"] = odd
    return config


def _part(whole: Mapping[str, Any], name: str, odd: list[str]) -> Mapping[str, Any]:
    part = _get(whole, name)
    if isinstance(part, Mapping):
        return part
    if isinstance(part, bool):
        return {"supported": part}
    if part is not None:
        odd.append(name)
    return {}


def _flag(part: Mapping[str, Any], name: str, of: str, odd: list[str]) -> bool | None:
    value = _get(part, name)
    if isinstance(value, str):
        value = _BOOLEANS.get(value.strip().lower(), value)
    if value is None or isinstance(value, bool):
        return value
    odd.append(f"{of}.{name}")
    return None


def _count(part: Mapping[str, Any], name: str, of: str, odd: list[str]) -> int | None:
    value = _get(part, name)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        odd.append(f"{of}.{name}")
        return None
    return value or None


def _get(part: Mapping[str, Any], name: str) -> Any:
    """Find a name whatever its case (RFC 7643 §2.1)."""
    if name in part:
        return part[name]
    folded = name.lower()
    return next((value for key, value in part.items() if key.lower() == folded), None)
