"""The rules of a simulated job: as the TOML that reconciler reads, and as the plain sense that they make."""

from __future__ import annotations

import random  # noqa: TID251  # because these dice are thrown from a seed
from dataclasses import dataclass
from typing import Literal

from tests.sim.town import Row, Town

Leaving = Literal["disable", "delete", "keep"]
SOURCE_HOST, TARGET_HOST = "hr.example.com", "app.example.com"
PROTECTED = "root@example.com"
MANAGER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"

DESCRIPTION = """
name = "HR"
[paging]
kind = "{paging}"
size_parameter = "limit"
size = 5
{further}
total = "total"
[users]
path = "/people"
items = "items"
id = "id"
one = "/people/{{id}}"
expects = ["id", "userPrincipalName"]
deleted = {{ from = "status", is = ["deleted"] }}
{since}
[groups]
path = "/groups"
items = "items"
id = "id"
one = "/groups/{{id}}"
{since}
deleted = {{ from = "status", is = ["deleted"] }}
[groups.members]
path = "/groups/{{id}}/members"
items = "items"
id = "id"
changed = "membersChanged"
"""
_PAGINGS = {"offset": 'parameter = "offset"', "cursor": 'parameter = "after"\nnext = "next"'}


@dataclass(slots=True, kw_only=True)
class Rules:
    """What one job goes by. Everything but `source` may change while the daemon runs."""

    source: Literal["file", "rest", "delta"]
    paging: Literal["offset", "cursor"]
    scope: Literal["all", "assigned"]
    assigned: list[str]
    """Display names of groups."""
    nested: bool
    barred: str | None
    """A department that the filter keeps out."""
    out_of_scope: Leaving
    gone: Leaving
    manager: bool
    groups: bool
    exact_members: bool
    hold_group_deletes: bool
    deletion_share: int
    deletion_threshold: int
    interval_minutes: int
    full_days: int
    concurrency: int
    requests_per_second: float | None
    delete_after: str
    title: str = "jobTitle"
    """The attribute that the title comes from."""

    # --- what they mean ---

    def is_assigned(self, id_: str, town: Town) -> bool:
        if self.scope == "all":
            return True
        named = [group for group in town.groups.values() if group["displayName"] in self.assigned]
        seen: set[str] = set()
        while named:
            group = named.pop()
            if group["id"] in seen:
                continue
            seen.add(group["id"])
            if id_ in group["members"]:
                return True
            if self.nested:
                named += [town.groups[member] for member in group["members"] if member in town.groups]
        return False

    def in_scope(self, row: Row, town: Town) -> bool:
        """Whether a person takes part, active or not."""
        return row["department"] != self.barred and self.is_assigned(row["id"], town)

    def should_be_on(self, id_: str, town: Town) -> bool:
        row = town.people.get(id_)
        return row is not None and bool(row["accountEnabled"]) and self.in_scope(row, town)

    def group_in_scope(self, row: Row) -> bool:
        return self.groups and (self.scope == "all" or row["displayName"] in self.assigned)

    # --- as reconciler reads them ---

    def toml(self) -> str:
        """Return the configuration."""
        source = {
            "file": 'type = "file"\nusers = "users.jsonl"\ngroups = "groups.jsonl"\nkey = "id"\n',
            "rest": self._rest(),
            "delta": self._rest(),
        }[self.source]
        rate = "" if self.requests_per_second is None else f"requests_per_second = {self.requests_per_second}"
        assigned = ", ".join(f'{{ group = "{name}" }}' for name in self.assigned)
        bar = ""
        if self.barred is not None:
            clause = f'{{ attribute = "department", operator = "NOT EQUALS", value = "{self.barred}" }}'
            bar = f"filter = {{ all = [ {clause} ] }}"
        return f"""
[state]
url = "sqlite:///state.db"
[sources.staff]
{source}
person = "employeeId"
active = "accountEnabled"
allow_empty = ["groups"]
[targets.app]
type = "scim"
url = "https://{TARGET_HOST}/scim/v2"
auth = {{ type = "bearer", token = {{ file = "token" }} }}
concurrency = {self.concurrency}
protected = ["{PROTECTED}"]
{rate}
[jobs.app]
source = "staff"
target = "app"
interval = "{self.interval_minutes}m"
full_interval = "{self.full_days}d"
scope = "{self.scope}"
{f"assigned = [ {assigned} ]" if self.scope == "assigned" else ""}
nested = {str(self.nested and self.scope == "assigned").lower()}
notify = ["it@example.com"]
deletion_share = "{self.deletion_share}%"
deletion_threshold = {self.deletion_threshold}
[jobs.app.deprovision]
out_of_scope = "{self.out_of_scope}"
gone = "{self.gone}"
delete_after = "{self.delete_after}"
[jobs.app.users]
attributes = [
  {{ to = "userName", from = "userPrincipalName", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "active", expression = "Not([IsSoftDeleted])" }},
  {{ to = "displayName", from = "displayName" }},
  {{ to = "title", from = "{self.title}" }},
  {f'{{ to = "{MANAGER}", from = "manager" }},' if self.manager else ""}
]
{bar}
{self._groups() if self.groups else ""}
"""

    def description(self) -> str:
        """Return the description of the source, where it is a REST API."""
        since = 'changed = "changed"\nsince = [{ changedSince = "{since}" }]' if self.source == "delta" else ""
        return DESCRIPTION.format(paging=self.paging, further=_PAGINGS[self.paging], since=since)

    def _rest(self) -> str:
        return f"""type = "rest"
description = "hr.toml"
url = "https://{SOURCE_HOST}/api"
auth = {{ type = "bearer", token = {{ file = "token" }} }}
"""

    def _groups(self) -> str:
        return f"""
[jobs.app.groups]
members = "{"exact" if self.exact_members else "owned"}"
hold_deletes = {str(self.hold_group_deletes).lower()}
attributes = [
  {{ to = "displayName", from = "displayName", match = 1 }},
  {{ to = "externalId", from = "id" }},
  {{ to = "members", from = "members" }},
]
"""


def chosen(dice: random.Random) -> Rules:
    """Return the rules of a seed."""
    return Rules(
        source=dice.choice(["file", "rest", "delta", "delta"]),
        paging=dice.choice(["offset", "cursor"]),
        scope=dice.choice(["all", "assigned"]),
        assigned=["Staff"],
        nested=dice.random() < 0.4,
        barred=dice.choice([None, "Alumni"]),
        out_of_scope=dice.choice(["disable", "disable", "delete", "keep"]),
        gone=dice.choice(["disable", "disable", "delete"]),
        manager=dice.random() < 0.5,
        groups=dice.random() < 0.5,
        exact_members=dice.random() < 0.3,
        hold_group_deletes=dice.random() < 0.3,
        deletion_share=dice.choice([10, 25, 100]),
        deletion_threshold=dice.choice([500, 500, 3]),
        interval_minutes=dice.choice([40, 60, 90]),
        full_days=dice.choice([1, 7, 1000]),
        concurrency=dice.choice([1, 2, 4, 8]),
        requests_per_second=dice.choice([None, None, None, 5.0]),
        delete_after=dice.choice(["30d", "30d", "3h", "never"]),
    )
