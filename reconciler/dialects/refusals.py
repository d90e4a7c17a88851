"""Reads what a server says in words when it refuses, in one short line without credentials.

Bodies come as JSON of many shapes, as HTML, as plain text, or empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

_BODY_BYTES_READ = 64 * 1024
_WORDS_MAX = 300
_CREDENTIAL = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_SPACES = re.compile(r"[\s\x00-\x1f\x7f]+")
_REQUEST_IDS = ("x-request-id", "request-id", "x-correlation-id", "x-amzn-requestid", "x-trace-id")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:=/+-]{1,100}")
DETAIL_NAMES = ("detail", "message", "error_description", "description", "error", "title")
"""Where the words usually are."""


def hinted(reason: str, fault: str, hints: Mapping[str, str] | None) -> str:
    """Return the reason with what the profile says about this fault."""
    hint = (hints or {}).get(fault)
    return f"{reason} ({hint})" if hint else reason


def request_id(headers: Mapping[str, str]) -> str:
    """Return what a server calls a request in the headers of its answer, empty where it says nothing usable."""
    named = next((headers[name] for name in _REQUEST_IDS if name in headers), "")
    return named if _REQUEST_ID.fullmatch(named) else ""


def object_of(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object of an answer that refuses, empty where it is something else."""
    if len(body) > _BODY_BYTES_READ:
        return {}
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(content, list) and content:
        content = content[0]
    if not isinstance(content, dict):
        return {}
    errors = content.get("Errors") or content.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return {**errors[0], **content}
    return content


def words(body: bytes, content: Mapping[str, Any], names: Iterable[str] = DETAIL_NAMES) -> str:
    """Return the server's own words: the first of `names` (dotted paths) that its JSON has as text, or its text."""
    if not content:
        text = body[:_BODY_BYTES_READ].decode("utf-8", "replace")
        if is_html(body):
            title = _TITLE.search(text)
            text = title.group(1) if title and title.group(1).strip() else _TAG.sub(" ", text)
        return shortened(text)
    for name in names:
        value: Any = content
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value.strip():
            return value
    return ""


def shortened(text: str) -> str:
    """Return the words in one short line, credentials masked."""
    text = _CREDENTIAL.sub(r"\1 ***", _SPACES.sub(" ", text).strip())
    return text if len(text) <= _WORDS_MAX else text[: _WORDS_MAX - 1] + "…"


def redirected(location: str) -> str:
    """Return how a redirect is told; of where it leads no more than host and path, since a query may hold a secret."""
    try:
        to = urlsplit(location)
    except ValueError:
        return redirected("")
    place = shortened(urlunsplit((to.scheme, to.netloc.rpartition("@")[2], to.path, "", "")))
    return f", a redirect{' to ' * bool(place)}{place}, which is never followed: put the final url into the config"


def is_html(body: bytes) -> bool:
    start = body[:512].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in start


def named(words: str, paths: Iterable[str]) -> str | None:
    """Return the path that the words name: written out, or by its last name; the longest one that fits."""
    folded = words.lower()
    found: list[tuple[int, str]] = []
    for path in paths:
        for name in (path, _last_name(path), _whole(path)):
            if name and re.search(rf"(?<![\w.]){re.escape(name.lower())}(?!\w)", folded):
                found.append((len(name), path))
                break
    return max(found)[1] if found else None


def _last_name(path: str) -> str:
    """Return `familyName` of `name.familyName`; `value` alone would say nothing."""
    name = re.split(r"[.:\]]", path)[-1]
    return "" if name in ("value", "type", "primary", "display", "") else name


def _whole(path: str) -> str:
    """Return `emails` of `emails[type eq "work"].value`."""
    head = path.split("[", 1)[0]
    return head.rsplit(":", 1)[-1].split(".", 1)[0]
