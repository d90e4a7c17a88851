"""ACALL's SCIM server as its set-up pages describe it: one address for every tenant, roles, phonetic names.

From the vendor's documents, not from our profile. What they leave open it refuses, so that nothing hangs on a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from tests.servers.answers import Answer
from tests.servers.engine import Engine, Json, Seen
from tests.servers.quirks import Quirks
from tests.servers.refusals import Refusal, invalid_value
from tests.servers.schemas import USER_SCHEMA, Attribute, ResourceType, Schema
from tests.servers.scim import ScimServer

WSOS = "urn:ietf:params:scim:schemas:extension:wsos:2.0:User"
_PHONETIC = ("familyNamePhonetic", "givenNamePhonetic", "additionalInformation")
_DOCUMENTED = (
    *("schemas", "id", "externalId", "meta", "userName", "name", "displayName", "active", "roles", "phoneNumbers"),
)
"""Of the core schema; the set-up pages say that every other mapping is to be taken away."""
USERS = ResourceType(
    "User",
    "Users",
    replace(
        USER_SCHEMA,
        attributes=(
            *(known for known in USER_SCHEMA.attributes if known.name in _DOCUMENTED),
            Attribute("accounts", "complex", many=True, parts=(Attribute("value"), Attribute("type"))),
        ),
    ),
    {WSOS: Schema(WSOS, "WSOS", (Attribute("name", "complex", parts=tuple(Attribute(part) for part in _PHONETIC)),))},
)


@dataclass(slots=True)
class Workplace:
    """One tenant at ACALL."""

    plan: Literal["basic", "standard"] = "standard"
    below: dict[str, str] = field(default_factory=dict)
    """Group id → the group above it, as an administrator arranged them in ACALL by hand."""
    groups_lost: list[str] = field(default_factory=list)
    """The names of groups that went because the one above them was deleted."""
    engine: Engine | None = None

    def door(self, seen: Seen) -> None:
        if "//" in seen.raw_path:
            raise Refusal(404, "there is nothing at this address")
        if self.plan == "basic":
            raise Refusal(403, "user provisioning is not part of this plan")

    def judge(self, kind: Literal["User", "Group"], before: Json | None, after: Json) -> None:
        if kind == "Group":
            return
        if "@" not in after["userName"]:
            raise invalid_value("userName must be an e-mail address")
        names = after.get("name") or {}
        if not names.get("familyName") or not names.get("givenName"):
            raise invalid_value("familyName and givenName are mandatory")
        accounts = after.get("accounts") or []
        if any(each.get("type") not in ("slack", "google") or "@" not in each.get("value", "") for each in accounts):
            raise invalid_value("accounts are e-mail addresses of type slack or google")
        if len({each["type"] for each in accounts}) != len(accounts):
            raise invalid_value("one account of each type")
        if any(each.get("value") not in ("admin", "general") for each in after.get("roles") or []):
            raise invalid_value("a role is admin or general")

    def gone(self, kind: Literal["User", "Group"], resource: Json) -> None:
        if kind == "Group" and self.engine is not None:
            for child in [child for child, above in self.below.items() if above == resource["id"]]:
                lost = self.engine.groups.pop(child, None)
                if lost is not None:
                    self.groups_lost.append(lost["displayName"])
                    self.gone("Group", lost)


class Acall(ScimServer):
    """A server on 127.0.0.1 that is ACALL's, for as many tenants as have a token."""

    def __init__(self, *, primary_is_text: bool = False) -> None:
        self.workplace = Workplace()
        quirks = Quirks(filter_refused_for=("externalId", "emails", "displayName"))
        super().__init__(
            quirks, base_path="/scim", user_type=_with_text(USERS) if primary_is_text else USERS, house=self.workplace
        )
        self.workplace.engine = self._engine
        self._others: dict[str, Engine] = {}

    def another_tenant(self, token: str) -> Engine:
        """Return the users and groups of a further tenant, which this token leads to."""
        return self._others.setdefault(
            token, Engine(self.quirks, token, self.url, self._moment, user_type=USERS, house=Workplace())
        )

    def _done(self, seen: Seen) -> Answer:
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        return self._others.get(token, self._engine).handle(seen)


def _with_text(users: ResourceType) -> ResourceType:
    """Return the type whose roles say `"primary": "true"`, as a newer page of ACALL's has it."""

    def part(known: Attribute) -> Attribute:
        return replace(known, type="string") if known.name == "primary" else known

    attributes = tuple(
        replace(known, parts=tuple(part(one) for one in known.parts)) if known.name == "roles" else known
        for known in users.core.attributes
    )
    return replace(users, core=replace(users.core, attributes=attributes))
