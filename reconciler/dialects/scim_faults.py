"""Tells what a SCIM server's answer means when it is not the one that was hoped for.

The status decides. Bodies are read for words only, and tolerantly: they come as HTML, as plain text, empty, in the
form of SCIM 1.1, with `status` as a number or without scimType (RFC 7644 §3.12 would have it otherwise).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import refusals
from reconciler.dialects.refusals import hinted
from reconciler.net.statuses import fault_of

_ERROR = "urn:ietf:params:scim:api:messages:2.0:error"
_NAMES_THE_ATTRIBUTE = (Fault.INVALID, Fault.CONFLICT, Fault.NO_TARGET, Fault.UNSUPPORTED)


def failed(
    status: int,
    body: bytes,
    *,
    doing: str,
    wait_seconds: float | None = None,
    paths: Iterable[str] = (),
    hints: Mapping[str, str] | None = None,
    who: str = "the target",
    location: str = "",
) -> Failed:
    """Return the fault that an answer means; `doing` says what was asked ("creating a user"), `who` answered.

    `paths` are those that the request held: one that the answer names becomes the fault's attribute. `hints` are the
    profile's words for an administrator, by fault; `location` is where a redirect leads.
    """
    content = refusals.object_of(body)
    fault = _fault(status, content, wait_seconds)
    words = _words(body, content)
    attribute = refusals.named(words, paths) if fault in _NAMES_THE_ATTRIBUTE else None
    reason = f"{doing}: {who} answered {status}"
    if 300 <= status < 400:
        reason += refusals.redirected(location)
    elif words:
        reason += f": {words}"
    return Failed(fault, hinted(reason, fault, hints), status, wait_seconds, attribute)


def not_scim(
    status: int, body: bytes, *, doing: str, hints: Mapping[str, str] | None = None, who: str = "the target"
) -> Failed:
    """Return the fault of an answer that says it succeeded and is not what SCIM would answer."""
    words = _words(body, refusals.object_of(body))
    what = "a web page that is not SCIM" if refusals.is_html(body) else "something that is not SCIM"
    if not body.strip():
        what = "nothing at all, which is not SCIM"
    shown = f" ({words})" if words and refusals.is_html(body) else ""
    reason = f"{doing}: {who} answered {status} with {what}{shown}: is the url the SCIM base url?"
    return Failed(Fault.NOT_SCIM, hinted(reason, Fault.NOT_SCIM, hints), status)


def scim_type(body: bytes) -> str:
    """Return the scimType of an error in lower case, "" where there is none."""
    return _scim_type(refusals.object_of(body))


def is_error(body: bytes) -> bool:
    """Whether a body says of itself that it is a SCIM error (RFC 7644 §3.12); a gateway's own does not."""
    return _is_error(refusals.object_of(body))


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


def _words(body: bytes, content: Mapping[str, Any]) -> str:
    """Return the server's own words in one short line, with the scimType."""
    text = refusals.words(body, content)
    kind = content.get("scimType")
    if isinstance(kind, str) and kind:
        text = f"{text} ({kind})" if text else kind
    return refusals.shortened(text)
