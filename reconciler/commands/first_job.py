"""Writes the configuration that a first job begins with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from reconciler.core.model import (
    Apply,
    AttributeMapping,
    Constant,
    Direct,
    FromExpression,
    Profile,
    Untouched,
    WhenNull,
)

_TEXT = """\
# A first job for reconciler. Fill in what is marked with "<--", then run:
#   reconciler check        says everything that is wrong here
#   reconciler test {app}     tries the connection on both sides
#   reconciler plan {app}     shows what a cycle would do, and changes nothing
# and when you agree with the plan, set enabled = true.

[sources.staff]
type = "file"
users = "users.jsonl"                 # <-- .jsonl, .json, .csv or .tsv; paths are relative to this file
groups = "groups.jsonl"               # <-- leave it out where there are no groups
key = "id"                            # what is unique and never changes
active = "accountEnabled"             # who is not active is disabled; or {{ from = "status", is = ["Active"] }}

[targets.{app}]
type = "scim"
profile = {profile}
url = "https://app.example.com/scim"  # <-- the base URL, without /Users
auth = {{ type = "bearer", token = {{ env = "{variable}" }} }}   # or {{ file = "…" }}, {{ credential = "…" }}
protected = []                        # accounts of the app that are never touched: ["admin@example.com"]

[jobs.{app}]
source = "staff"
target = "{app}"
enabled = false                       # <-- true, once the plan is what you want
interval = "40m"
scope = "assigned"                    # all | assigned | roles
assigned = [ {{ group = "{group}" }} ]   # <-- who gets the app: {{ group = "…" }}, {{ user = "…" }}
deletion_threshold = 500              # more disables and deletes than this wait for your word
deletion_share = "10%"

[jobs.{app}.deprovision]              # each: disable | delete | keep
inactive = "disable"
out_of_scope = "disable"
gone = "disable"
delete_after = "30d"                  # or "never"

[jobs.{app}.users]
actions = ["create", "update", "delete"]
attributes = [
{users}]
"""

_GROUPS = """
# Groups are provisioned too where this table stands.
# [jobs.{app}.groups]
# attributes = [
{groups}# ]
"""


def first_job(profile: Profile, reference: str) -> str:
    """Return a commented configuration with one job, not enabled, for an app of this profile."""
    app = re.sub(r"[^a-z0-9_-]+", "-", profile.name.lower()).strip("-") or "app"
    if app == "scim":
        app = "app"
    text = _TEXT.format(
        app=app,
        profile=toml(reference),
        variable=re.sub(r"[^A-Z0-9]", "_", f"{app.upper()}_TOKEN"),
        group=f"APP-{app.capitalize()}",
        users="".join(f"  {line}\n" for line in _lines(profile.user_mappings)),
    )
    if profile.group_mappings:
        groups = "".join(f"#   {line}\n" for line in _lines(profile.group_mappings))
        text += _GROUPS.format(app=app, groups=groups)
    return text


def toml(value: Any) -> str:
    """Return a simple value, or a list of such, as TOML writes it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str) and '"' in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _lines(mappings: Iterable[AttributeMapping]) -> Iterable[str]:
    for mapping in mappings:
        pairs: list[tuple[str, Any]] = [("to", mapping.to)]
        match mapping.source:
            case Direct(attribute):
                pairs.append(("from", attribute))
            case Constant(value):
                pairs.append(("constant", value))
            case FromExpression(text):
                pairs.append(("expression", text))
            case Untouched():
                pass
        if mapping.match is not None:
            pairs.append(("match", mapping.match))
        if mapping.apply is not Apply.ALWAYS:
            pairs.append(("apply", mapping.apply.value))
        if mapping.when_null is not WhenNull.KEEP:
            pairs.append(("null", mapping.when_null.value))
        if mapping.default is not None:
            pairs.append(("default", mapping.default))
        yield f"{{ {', '.join(f'{key} = {toml(value)}' for key, value in pairs)} }},"
