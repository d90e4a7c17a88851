"""What the world answers, as values: nothing that is normal raises."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, NamedTuple

from reconciler.core.model import Resource, TargetId
from reconciler.core.reasons import Reason


class Fault(StrEnum):
    """What went wrong, told apart only where we do something different."""

    UNREACHABLE = "unreachable"  # DNS, refused, TLS, proxy: nothing was sent
    INTERRUPTED = "interrupted"  # timeout or cut after sending: it may have been done
    THROTTLED = "throttled"  # 429, or 503 with Retry-After
    UNAUTHORIZED = "unauthorized"  # 401
    FORBIDDEN = "forbidden"  # 403
    NOT_FOUND = "not_found"  # 404 on an id or an endpoint
    CONFLICT = "conflict"  # 409
    PRECONDITION = "precondition"  # 412
    TOO_LARGE = "too_large"  # 413
    INVALID = "invalid"  # 400, 422 and every other 4xx
    NO_TARGET = "no_target"  # 400 with scimType noTarget
    UNSUPPORTED = "unsupported"  # 405 or 501
    SERVER_ERROR = "server_error"  # every other 5xx
    NOT_SCIM = "not_scim"  # an answer that cannot be what was asked for; a redirect


ERROR_CODES: dict[Fault, Reason] = {
    Fault.UNREACHABLE: "WebExceptionProtocolError",
    Fault.INTERRUPTED: "Timeout",
    Fault.THROTTLED: "TooManyRequests",
    Fault.UNAUTHORIZED: "Unauthorized",
    Fault.FORBIDDEN: "InsufficientRights",
    Fault.NOT_FOUND: "InvalidAnchor",
    Fault.CONFLICT: "EntryConflict",
    Fault.PRECONDITION: "PreconditionFailed",
    Fault.TOO_LARGE: "RequestTooLarge",
    Fault.INVALID: "UnprocessableEntity",
    Fault.NO_TARGET: "NoTarget",
    Fault.UNSUPPORTED: "NotImplemented",
    Fault.SERVER_ERROR: "InternalServerError",
    Fault.NOT_SCIM: "SystemForCrossDomainIdentityManagementServiceIncompatible",
}
"""The code that the provisioning log shows for a fault, by Entra's names where it has one."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that did not do what was asked; `reason` is a sentence for an administrator, without secrets."""

    fault: Fault
    reason: str
    status: int | None = None
    wait_seconds: float | None = None
    """What the target asked us to wait (Retry-After)."""
    attribute: str | None = None
    """The attribute that the target named, where it named one."""
    code: Reason | Literal[""] = ""
    """A finer error code than the fault's own."""
    request: str = ""
    """What was sent: method and path, without its query."""
    request_id: str = ""
    """What the target calls the request, where its answer says so: its support finds it by this."""
    timed_out: bool = False
    """The deadline passed without an answer: what was asked may still be under way, and be done later."""
    unsent: bool = False
    """The change itself was not sent: a look before it failed, or the host was known not to answer."""
    repeated: bool = False
    """What was sent before for the same change may have come through: a try without an answer, or a part of it."""

    @property
    def error_code(self) -> Reason:
        if not self.code and self.status == 405:
            return "MethodNotAllowed"
        return self.code or ERROR_CODES[self.fault]

    @property
    def asked_nobody(self) -> bool:
        """Our own secret cannot be used, so nothing was sent and nothing is known of the other side."""
        return self.fault is Fault.UNAUTHORIZED and self.status is None

    @property
    def may_have_been_done(self) -> bool:
        if self.unsent:
            return False
        if self.repeated:
            return True
        if self.fault is Fault.NOT_SCIM:
            return self.status is not None and 200 <= self.status < 300  # it says that it was, in words of its own
        return self.fault in (Fault.INTERRUPTED, Fault.SERVER_ERROR)

    def following(self, before: Failed) -> Failed:
        """Return this failure of what was sent after another one for the same change: its doubt is not settled."""
        return replace(self, unsent=False, repeated=True) if before.repeated else self


class Account(NamedTuple):
    """An account or group as the target shows it: its id and the values at the paths that the job maps."""

    id: TargetId
    resource: Resource


class Done(NamedTuple):
    """The target did it. `account` is what it answered, None where it answered nothing to learn from."""

    account: Account | None = None
    was_there: bool = False
    """A create brought an account back: `account` is what it has by now, of before and of what is wanted."""
    groups: tuple[TargetId, ...] | None = ()
    """The groups that it is in, by what it was before; None: they cannot be told."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that the target returned and that truly have the value asked for (each was checked again)."""

    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """The target says that there is no such id."""


@dataclass(frozen=True, slots=True)
class ListPage:
    accounts: list[Account]
    total: int | None = None
    """How many the target says there are in all, where it says so."""


@dataclass(frozen=True, slots=True)
class ListEnd:
    """The end of a listing. Only when `complete` may absence be believed; `why` says what was short."""

    complete: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class MembersDone:
    """Which member ids are now as asked, and which were refused with what."""

    done: tuple[TargetId, ...] = ()
    refused: dict[TargetId, Failed] = field(default_factory=dict)
