"""SightCall's SCIM server as its pages describe it: users, groups, a profile, accounts that sign-in makes.

From the vendor's documents, not from our profile. What they leave open it refuses, so that nothing hangs on a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.servers.engine import Json, Seen
from tests.servers.refusals import invalid_value
from tests.servers.schemas import ENTERPRISE, ENTERPRISE_SCHEMA, USER_SCHEMA, Attribute, ResourceType, Schema
from tests.servers.scim import ScimServer

SIGHTCALL = "urn:ietf:params:scim:schemas:extension:sightcall:2.0:User"
PROFILES = ("standard", "recording", "multiparty")
USERS = ResourceType(
    "User",
    "Users",
    USER_SCHEMA,
    {ENTERPRISE: ENTERPRISE_SCHEMA, SIGHTCALL: Schema(SIGHTCALL, "SightCall", (Attribute("profile"),))},
)


@dataclass(slots=True)
class Tenant:
    """One tenant at SightCall."""

    def door(self, seen: Seen) -> None:
        """Nothing is known that it would refuse."""

    def judge(self, kind: Literal["User", "Group"], before: Json | None, after: Json) -> None:
        if kind == "User" and (after.get(SIGHTCALL) or {}).get("profile", "standard") not in PROFILES:
            raise invalid_value(f"profile must be one of {PROFILES}")

    def gone(self, kind: Literal["User", "Group"], resource: Json) -> None:
        """Nothing follows."""


class SightCall(ScimServer):
    """A server on 127.0.0.1 that is SightCall's for one tenant."""

    def __init__(self) -> None:
        super().__init__(base_path="/api/v3/scim", user_type=USERS, house=Tenant())

    def profile(self, user_name: str) -> str:
        """Return what somebody may do: standard where nobody said anything else."""
        extension: dict[str, str] = self.user(user_name).get(SIGHTCALL) or {}
        return extension.get("profile", "standard")

    def signs_in(self, user_name: str) -> str:
        """Make the account of somebody who signs in for the first time, as single sign-on does; return its id."""
        return self.put("user", userName=user_name, active=True)
