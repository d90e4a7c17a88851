"""Dialpad's SCIM server as its help pages describe it: licences, offices, suspension, a rate, keys that end.

From the vendor's documents, not from our profile. What they leave open it refuses, so that nothing hangs on a guess.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from tests.servers.engine import Json, Seen
from tests.servers.quirks import Quirks
from tests.servers.refusals import Refusal, invalid_value, mutability
from tests.servers.schemas import ENTERPRISE, ENTERPRISE_SCHEMA, USER_SCHEMA, Attribute, ResourceType
from tests.servers.scim import ScimServer

REQUESTS_A_SECOND = 20
LICENCES = ("Dialpad_Ai Voice", "Dialpad_Support", "Dialpad_Ai Sales")
_EXTRA = ("licenseType", "officeName", "physicalDeliveryOfficeName", "country")
USERS = ResourceType(
    "User",
    "Users",
    USER_SCHEMA,
    {
        ENTERPRISE: replace(
            ENTERPRISE_SCHEMA,
            attributes=(*ENTERPRISE_SCHEMA.attributes, *(Attribute(name) for name in _EXTRA)),
        )
    },
)


@dataclass(slots=True)
class Tenant:
    """One company at Dialpad. `clock` is set by tests that count requests in a second."""

    offices: tuple[str, ...] = ("Main Office", "Lyon")
    licences: int = 10
    bought: int = 0
    """How many licences were bought because none was left."""
    key_has_expired: bool = False
    admin: bool = True
    clock: Callable[[], float] | None = None
    throttled: int = 0
    in_use: dict[str, str] = field(default_factory=dict)
    """userName → licence, of those who are not suspended."""
    _recent: deque[float] = field(default_factory=deque)

    def door(self, seen: Seen) -> None:
        if self.key_has_expired:
            raise Refusal(401, "the API key has expired")
        if not self.admin:
            raise Refusal(403, "the key's owner is no company admin")
        if self.clock is None:
            return
        now = self.clock()
        while self._recent and self._recent[0] <= now - 1.0:
            self._recent.popleft()
        if len(self._recent) >= REQUESTS_A_SECOND:
            self.throttled += 1
            raise Refusal(429, "more than 20 requests in a second")
        self._recent.append(now)

    def judge(self, kind: Literal["User", "Group"], before: Json | None, after: Json) -> None:
        if kind == "Group":
            if before is not None and before["displayName"] != after["displayName"]:
                raise mutability("group renames are not supported")
            return
        if "@" not in after["userName"]:
            raise invalid_value("userName must be an e-mail address")
        names = after.get("name") or {}
        if not names.get("givenName") or not names.get("familyName"):
            raise invalid_value("first and last name are needed")
        extra = after.get(ENTERPRISE) or {}
        licence = extra.get("licenseType", LICENCES[0])
        if licence not in LICENCES:
            raise invalid_value(f"licenseType must be one of {LICENCES}")
        office = extra.get("officeName") or extra.get("physicalDeliveryOfficeName")
        if office is not None and office not in self.offices:
            raise invalid_value("there is no office of exactly this name")
        if before is not None:
            self.in_use.pop(before["userName"], None)
        if after.get("active", True):
            self.in_use[after["userName"]] = licence
            if len(self.in_use) > self.licences:
                self.licences += 1
                self.bought += 1

    def gone(self, kind: Literal["User", "Group"], resource: Json) -> None:
        if kind == "User":
            self.in_use.pop(resource["userName"], None)


class Dialpad(ScimServer):
    """A server on 127.0.0.1 that is Dialpad's for one company."""

    def __init__(self, tenant: Tenant | None = None) -> None:
        self.tenant = tenant or Tenant()
        super().__init__(Quirks(page_max=100), base_path="/scim", user_type=USERS, house=self.tenant)
