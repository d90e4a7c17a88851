"""Tells what a SCIM server's answer means when it is not the one that was hoped for.

The status decides. Bodies are read for words only, and tolerantly: they come as HTML, as plain text, empty, in the
form of SCIM 1.1, with `status` as a number or without scimType (RFC 7644 §3.12 would have it otherwise).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from reconciler.core.outcomes import Failed, Fault
from reconciler.net.statuses import fault_of

_ERROR = "urn:ietf:params:scim:api:messages:2.0:error"
_BODY_BYTES_READ = 64 * 1024
_WORDS_MAX = 300
_CREDENTIAL = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_SPACES = re.compile(r"[\s\x00-\x1f\x7f]+")
_DETAIL_NAMES = ("detail", "message", "error_description", "description", "error", "title")
_NAMES_THE_ATTRIBUTE = (Fault.INVALID, Fault.CONFLICT, Fault.NO_TARGET, Fault.UNSUPPORTED)


def failed(
    status: int,
    body: bytes,
    *,
    doing: str,
    wait_seconds: float | None = None,
    paths: Iterable[str] = (),
    hints: Mapping[str, str] | None = None,
) -> Failed:
    """Return the fault that an answer means; `doing` says what was asked ("creating a user").

    `paths` are those that the request held: one that the answer names becomes the fault's attribute. `hints` are the
    profile's words for an administrator, by fault.
    """
    content = _object(body)
    fault = _fault(status, content, wait_seconds)
    words = _words(body, content)
    attribute = _named(words, paths) if fault in _NAMES_THE_ATTRIBUTE else None
    reason = f"{doing}: the target answered {status}"
    if 300 <= status < 400:
        reason += ", a redirect, which is never followed: put the final url into the config"
    elif words:
        reason += f": {words}"
    return Failed(fault, hinted(reason, fault, hints), status, wait_seconds, attribute)


def not_scim(status: int, body: bytes, *, doing: str, hints: Mapping[str, str] | None = None) -> Failed:
    """Return the fault of an answer that says it succeeded and is not what SCIM would answer."""
    words = _words(body, _object(body))
    what = "a web page" if _is_html(body) else "nothing" if not body.strip() else "something"
    shown = f" ({words})" if words and _is_html(body) else ""
    reason = f"{doing}: the target answered {status} with {what} that is not SCIM{shown}: is the url the SCIM base url?"
    return Failed(Fault.NOT_SCIM, hinted(reason, Fault.NOT_SCIM, hints), status)


def hinted(reason: str, fault: Fault, hints: Mapping[str, str] | None) -> str:
    """Return the reason with what the profile says about this fault."""
    hint = (hints or {}).get(fault.value)
    return f"{reason} ({hint})" if hint else reason


def scim_type(body: bytes) -> str:
    """Return the scimType of an error in lower case, "" where there is none."""
    return _scim_type(_object(body))


def is_error(body: bytes) -> bool:
    """Whether a body says of itself that it is a SCIM error (RFC 7644 §3.12); a gateway's own does not."""
    return _is_error(_object(body))


def hidden_error(content: Mapping[str, Any]) -> int | None:
    """Return the status of a SCIM error that came under a status of success; None: the content is no error."""
    if not _is_error(content):
        return None
    status = content.get("status")
    if isinstance(status, str) and status.isascii() and status.isdigit():
        status = int(status)
    return status if isinstance(status, int) and 400 <= status < 600 else 500


def _is_error(content: Mapping[str, Any]) -> bool:
    schemas = content.get("schemas")
    if not isinstance(schemas, list):
        return False
    for urn in schemas:  # noqa: SIM110  # because all answers pass here, and any() would make a generator for each
        if isinstance(urn, str) and urn.lower() == _ERROR:
            return True
    return False


def _fault(status: int, content: Mapping[str, Any], wait_seconds: float | None) -> Fault:
    fault = fault_of(status, asks_to_wait=wait_seconds is not None)
    if fault is None:
        return Fault.NOT_SCIM
    if fault is Fault.INVALID:
        match _scim_type(content):
            case "notarget":
                return Fault.NO_TARGET
            case "uniqueness":
                return Fault.CONFLICT
            case "toomany" if status == 413:
                return Fault.TOO_LARGE
    return fault


def _scim_type(content: Mapping[str, Any]) -> str:
    value = content.get("scimType")
    return value.lower() if isinstance(value, str) else ""


def _object(body: bytes) -> Mapping[str, Any]:
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


def _words(body: bytes, content: Mapping[str, Any]) -> str:
    """Return the server's own words in one short line, credentials masked."""
    text = ""
    if content:
        for name in _DETAIL_NAMES:
            value = content.get(name)
            if isinstance(value, dict):
                value = value.get("message")
            if isinstance(value, str) and value.strip():
                text = value
                break
        kind = content.get("scimType")
        if isinstance(kind, str) and kind:
            text = f"{text} ({kind})" if text else kind
    else:
        text = body[:_BODY_BYTES_READ].decode("utf-8", "replace")
        if _is_html(body):
            title = _TITLE.search(text)
            text = title.group(1) if title and title.group(1).strip() else _TAG.sub(" ", text)
    text = _CREDENTIAL.sub(r"\1 ***", _SPACES.sub(" ", text).strip())
    return text if len(text) <= _WORDS_MAX else text[: _WORDS_MAX - 1] + "…"


def _is_html(body: bytes) -> bool:
    start = body[:512].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in start


def _named(words: str, paths: Iterable[str]) -> str | None:
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
