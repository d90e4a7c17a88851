"""Tells what an HTTP status means for us, before anybody has read the body."""

from __future__ import annotations

from reconciler.core.outcomes import Fault

_BY_STATUS = {
    401: Fault.UNAUTHORIZED,
    403: Fault.FORBIDDEN,
    404: Fault.NOT_FOUND,
    405: Fault.UNSUPPORTED,
    409: Fault.CONFLICT,
    410: Fault.NOT_FOUND,
    412: Fault.PRECONDITION,
    413: Fault.TOO_LARGE,
    429: Fault.THROTTLED,
    501: Fault.UNSUPPORTED,
}


def fault_of(status: int, *, asks_to_wait: bool = False) -> Fault | None:
    """Return the fault that a status stands for, None for 2xx; `asks_to_wait`: the answer has a Retry-After.

    A redirect is NOT_SCIM (it is never followed: the token would travel with it), and so is any status below 200.
    """
    if 200 <= status < 300:
        return None
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if status == 503 and asks_to_wait:
        return Fault.THROTTLED
    if 400 <= status < 500:
        return Fault.INVALID
    if status >= 500:
        return Fault.SERVER_ERROR
    return Fault.NOT_SCIM
