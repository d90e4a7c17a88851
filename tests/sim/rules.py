"""The rules of a simulated job: as the TOML that reconciler reads, and as the plain sense that they make."""

from __future__ import annotations

import math
import random  # noqa: TID251  # because these dice are thrown from a seed
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tests.servers.graph_sign_in import CLIENT_ID, TENANT
from tests.sim.town import Row, Town

Leaving = Literal["disable", "delete", "keep"]
SOURCE_HOST, TARGET_HOST, LOGIN_HOST = "hr.example.com", "app.example.com", "login.example.com"
PROTECTED = "root@example.com"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
BROUGHT_BACK = "broughtBack"
"""Of a group that is shown to the checks: who came back into it out of the recycle bin of a tenant."""
MANAGER = f"{ENTERPRISE}:manager"

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
_SCIM_SOURCE = f"""type = "scim"
url = "https://{SOURCE_HOST}/scim/v2"
auth = {{ type = "bearer", token = {{ file = "token" }} }}
concurrency = 1
page_size = 5
attributes = {{ site = "{ENTERPRISE}:division", leaveDate = "nickName" }}
"""
GRAPH_NAMES = {
    "userName": "userPrincipalName",
    "externalId": "employeeId",
    "active": "accountEnabled",
    "displayName": "displayName",
    "title": "jobTitle",
    "nickName": "mailNickname",
}
"""What the attributes of SCIM, in which the checks speak, are called in Microsoft Graph."""
_APPS = {
    "scim": f"""type = "scim"
url = "https://{TARGET_HOST}/scim/v2"
auth = {{ type = "bearer", token = {{ file = "token" }} }}
""",
    "rest": f"""type = "rest"
profile = "described.toml"
url = "https://{TARGET_HOST}/scim/v2"
auth = {{ type = "bearer", token = {{ file = "token" }} }}
""",
    "graph": f"""type = "graph"
tenant = "{TENANT}"
client_id = "{CLIENT_ID}"
client_secret = {{ file = "token" }}
url = "https://{TARGET_HOST}/v1.0"
login_url = "https://{LOGIN_HOST}"
""",
}
_PAGINGS = {"offset": 'parameter = "offset"', "cursor": 'parameter = "after"\nnext = "next"'}


@dataclass(slots=True, kw_only=True)
class JobRules:
    """What is one job's own."""

    name: str
    sites: tuple[str, ...] = ()
    """Whose people it serves; empty: everybody."""
    title: str = "jobTitle"
    """The attribute that the title comes from."""
    interval_minutes: int

    def serves(self, row: Row) -> bool:
        return not self.sites or row["site"] in self.sites


@dataclass(slots=True, kw_only=True)
class Rules:
    """What the jobs of one app go by. Everything but `source` and `target` may change while the daemon runs."""

    source: Literal["file", "rest", "delta", "scim"]
    target: Literal["scim", "rest", "graph"]
    jobs: list[JobRules]
    """The first one brings the groups, too."""
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
    full_days: int
    concurrency: int
    requests_per_second: float | None
    delete_after: str
    disable_after: str
    leave_dates: bool
    nobody_is_right: bool = False
    """A person has said that a source without anybody is to be believed."""
    no_members_are_right: bool = False
    """And that groups without members are, where a source may be hiding them."""

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
        """Whether a person takes part in any job, active or not."""
        return bool(self.serving(row)) and row["department"] != self.barred and self.is_assigned(row["id"], town)

    def serving(self, row: Row) -> list[JobRules]:
        """Return the jobs that a person of this site belongs to."""
        return [job for job in self.jobs if job.serves(row)]

    def only_job(self, row: Row) -> JobRules | None:
        """Return the one job that a person belongs to; None where it is not one."""
        serving = self.serving(row)
        return serving[0] if len(serving) == 1 else None

    def is_active(self, row: Row, now: float) -> bool:
        """Whether the source says so, with the day of leaving where the rules ask for it."""
        return bool(row["accountEnabled"]) and self.leaves_at(row) > now

    def leaves_at(self, row: Row) -> float:
        """Return the moment of the day of leaving; infinity: none is known."""
        ends = row["leaveDate"] if self.leave_dates else None
        return math.inf if ends is None else datetime.fromisoformat(ends).timestamp()

    def should_be_on(self, id_: str, town: Town, now: float) -> bool:
        row = town.people.get(id_)
        return row is not None and self.is_active(row, now) and self.in_scope(row, town)

    def group_in_scope(self, row: Row) -> bool:
        return self.groups and (self.scope == "all" or row["displayName"] in self.assigned)

    # --- as reconciler reads them ---

    def toml(self) -> str:
        """Return the configuration."""
        source = {
            "file": 'type = "file"\nusers = "users.jsonl"\ngroups = "groups.jsonl"\nkey = "id"\n',
            "rest": self._rest(),
            "delta": self._rest(),
            "scim": _SCIM_SOURCE,
        }[self.source]
        rate = "" if self.requests_per_second is None else f"requests_per_second = {self.requests_per_second}"
        return f"""
[state]
url = "sqlite:///state.db"
[sources.staff]
{source}
person = "employeeId"
active = "accountEnabled"
allow_empty = [{self._may_be_empty()}]
[targets.app]
{_APPS[self.target]}
concurrency = {self.concurrency}
protected = ["{PROTECTED}"]
{rate}
{"".join(self._job(job) for job in self.jobs)}
"""

    def _to(self, name: str) -> str:
        """Return what the app calls an attribute of a user."""
        return {**GRAPH_NAMES, MANAGER: "manager"}[name] if self.target == "graph" else name

    def _may_be_empty(self) -> str:
        said = {"users": self.nobody_is_right, "members": self.no_members_are_right and self.source != "file"}
        return ", ".join(f'"{part}"' for part in ("groups", *(part for part, right in said.items() if right)))

    def _job(self, job: JobRules) -> str:
        assigned = ", ".join(f'{{ group = "{name}" }}' for name in self.assigned)
        clauses = []
        if self.barred is not None:
            clauses.append(f'{{ attribute = "department", operator = "NOT EQUALS", value = "{self.barred}" }}')
        if job.sites:
            clauses.append(f'{{ attribute = "site", operator = "REGEX MATCH", value = "^({"|".join(job.sites)})$" }}')
        return f"""
[jobs.{job.name}]
source = "staff"
target = "app"
interval = "{job.interval_minutes}m"
full_interval = "{self.full_days}d"
scope = "{self.scope}"
{f"assigned = [ {assigned} ]" if self.scope == "assigned" else ""}
nested = {str(self.nested and self.scope == "assigned").lower()}
notify = ["it@example.com"]
deletion_share = "{self.deletion_share}%"
deletion_threshold = {self.deletion_threshold}
[jobs.{job.name}.deprovision]
out_of_scope = "{self.out_of_scope}"
gone = "{self.gone}"
disable_after = "{self.disable_after}"
delete_after = "{self.delete_after}"
{'leave_date = { from = "leaveDate" }' if self.leave_dates else ""}
[jobs.{job.name}.users]
attributes = [
  {{ to = "{self._to("userName")}", from = "userPrincipalName", match = 1 }},
  {{ to = "{self._to("externalId")}", from = "id" }},
  {{ to = "{self._to("active")}", expression = "Not([IsSoftDeleted])" }},
  {{ to = "displayName", from = "displayName" }},
  {{ to = "{self._to("title")}", from = "{job.title}" }},
  {f'{{ to = "{self._to(MANAGER)}", from = "manager" }},' if self.manager else ""}
  {'{ to = "mailNickname", from = "id", apply = "create" },' if self.target == "graph" else ""}
]
{f"filter = {{ all = [ {', '.join(clauses)} ] }}" if clauses else ""}
{self._groups(job) if self.groups and job is self.jobs[0] else ""}
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

    def _groups(self, job: JobRules) -> str:
        return f"""
[jobs.{job.name}.groups]
members = "{"exact" if self.exact_members else "owned"}"
hold_deletes = {str(self.hold_group_deletes).lower()}
attributes = [
  {{ to = "displayName", from = "displayName", match = 1 }},
  {{ to = "{"description" if self.target == "graph" else "externalId"}", from = "id" }},
  {{ to = "members", from = "members" }},
]
"""


def chosen(dice: random.Random, kind: random.Random) -> Rules:
    """Return the rules of a seed. `kind` says of what kind source, app and jobs are."""
    source: Literal["file", "rest", "delta", "scim"] = dice.choice(["file", "rest", "delta", "delta"])
    rules = Rules(
        source=source,
        target="scim",
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
        jobs=[JobRules(name="app", interval_minutes=dice.choice([40, 60, 90]))],
        full_days=dice.choice([1, 7, 1000]),
        concurrency=dice.choice([1, 2, 4, 8]),
        requests_per_second=dice.choice([None, None, None, 5.0]),
        delete_after=dice.choice(["30d", "30d", "3h", "never"]),
        disable_after=kind.choice(["0d", "0d", "0d", "1h"]),
        leave_dates=kind.random() < 0.3,
    )
    if kind.random() < 0.25:
        rules.source = "scim"
    if kind.random() < 0.2:
        rules.target = "rest"
    served = kind.choice(_SERVED)
    for name, sites in served.items():
        if name == rules.jobs[0].name:
            rules.jobs[0].sites = sites
        else:
            rules.jobs.append(JobRules(name=name, sites=sites, interval_minutes=kind.choice([60, 90, 120])))
    return rules


def seconds_of(duration: str) -> float | None:
    """Return the seconds of a duration as the rules write it; None: never."""
    return None if duration == "never" else float(duration[:-1]) * {"h": 3600.0, "d": 86400.0}[duration[-1]]


SITES = ("North", "South", "East", "Middle", "Nowhere")
_SERVED: list[dict[str, tuple[str, ...]]] = [
    {"app": ()},
    {"app": ()},
    {"app": ("North", "Middle"), "second": ("South", "East")},
    {"app": ("North", "Middle"), "second": ("South",), "third": ("East",)},
    {"app": ("North", "Middle"), "second": ("South", "East", "Middle")},
]
"""Which job serves which sites. In the last, two jobs have the same people; nobody serves Nowhere."""
