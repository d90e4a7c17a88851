"""Writes the configuration that a first job begins with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reconciler import vendors
from reconciler.config import Described
from reconciler.config.conversion import mapping_of
from reconciler.config.job_tables import Condition, DeprovisionTable
from reconciler.config.profiles import ProfileTable
from reconciler.core.model import Apply, AttributeMapping, Constant, Direct, FromExpression, Untouched, WhenNull
from reconciler.core.profile import Profile
from reconciler.migrate.toml import value as inline

_TEXT = """\
# A first job for reconciler. Fill in what is marked with "<--", then run:
{commands}
# and when you agree with the plan, set enabled = true.

[control]
socket = "control.sock"               # where status, pause, trigger … find the daemon; with systemd leave it out

# [mail]                              # how mails are sent to those whom notify names
# host = "smtp.example.com"
# from = "reconciler@example.com"

[sources.staff]
{source}

[targets.{app}]
{target}
# credential_expires = 2027-01-31     # the token's last day, where it has one: a mail reminds
protected = []                        # accounts of the app that are never touched: ["admin@example.com"]

{roles}[jobs.{app}]
source = "staff"
target = "{app}"
enabled = false                       # <-- true, once the plan is what you want
interval = {interval}
{scope}
# only = ["ann@example.com"]          # begin with a single test user: nobody else is touched
notify = {notify}{told}
require_test = true                   # the first cycle begins only when the connection test passes
{threshold} # more disables and deletes than this wait for your word
deletion_share = "10%"

{deprovision}

[jobs.{app}.users]
actions = ["create", "update", "delete"]
attributes = [{columns}
{users}{optional}]
"""

_FILE = """\
type = "file"
users = "users.jsonl"                 # <-- .jsonl, .json, .csv or .tsv; paths are relative to this file
groups = "groups.jsonl"               # <-- leave it out where there are no groups
key = "id"                            # what is unique and never changes
active = "accountEnabled"             # who is not active leaves; or { from = "status", is = ["Active"] }"""

_COLUMNS = "                        # each from is a column of the file: take away what yours does not have"

_DESCRIBED = """\
type = {reference}
auth = {{ type = {auth}, token = {{ env = "STAFF_TOKEN" }} }}   # or {{ file = "…" }}, {{ credential = "…" }}"""

_ASSIGNED = """\
scope = "assigned"                    # all | assigned | roles
assigned = [ {{ group = {group} }} ]   {mark}who gets the app: {{ group = "…" }}, {{ user = "…" }}"""

_ROLES = """\
scope = "roles"                       # all | assigned | roles: who has one of these, below
roles = [{names}]"""

_ROLE = """\
{heading} # <-- who has it; any, all, not and member_of nest, and any job may use it
when = {when}

"""

_SETS = """\
{heading} # each: disable | delete | keep | set
{said}"""

_DISABLES = """\
{heading} # each: disable | delete | keep
inactive = "disable"
out_of_scope = "disable"
gone = "disable"
delete_after = "30d"                  # or "never"\
"""

_DELETES = """\
{heading} # each: delete | keep; the app cannot disable accounts
inactive = "delete"
out_of_scope = "delete"
role_lost = "delete"                  # "keep": a change of role deprovisions nobody
gone = "delete"
disable_after = "0d"                  # how long a delete waits
{confirm}\
"""

_REST = """\
type = "rest"
profile = {profile}
{url}
{auth}"""

_BASIC = """\
auth = {{ type = "basic", username = "…", password = {{ env = "{variable}_TOKEN" }} }}   # <-- or {{ file = "…" }}"""

_BEARER = """\
auth = {{ type = "bearer", token = {{ env = "{variable}_TOKEN" }} }}   # or {{ file = "…" }}, {{ credential = "…" }}"""

_SCIM = """\
type = "scim"
profile = {profile}
{url}
{auth}"""

_GRAPH = """\
type = "graph"
profile = {profile}
tenant = {tenant}
client_id = {client_id}
client_secret = {{ env = "{variable}_SECRET" }}   # or {{ file = "…" }}, {{ credential = "…" }}"""

_NO_ID = "00000000-0000-0000-0000-000000000000"

_GROUPS = """
# Groups are provisioned too where this table stands.
# [jobs.{app}.groups]
# attributes = [
{groups}# ]
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person says of a first job; None: a gap, marked in the file."""

    url: str | None = None
    tenant: str | None = None
    client_id: str | None = None
    group: str | None = None
    notify: str | None = None


def first_job(described: Described, reference: str, answers: Answers) -> str:
    """Return a commented configuration with one job, not enabled, for an app of this profile."""
    profile = described.profile
    app = re.sub(r"[^a-z0-9_-]+", "-", profile.name.lower()).strip("-") or "app"
    if app == "scim":
        app = "app"
    variable = re.sub(r"[^A-Z0-9]", "_", app.upper())
    target = {"graph": _GRAPH, "rest": _REST, "scim": _SCIM}[described.table.protocol].format(
        profile=toml(reference),
        url=_url_line(profile, answers),
        tenant=_answered(answers.tenant, "example.onmicrosoft.com", "the tenant's id, or one of its domains"),
        client_id=_answered(answers.client_id, _NO_ID, "the app registration's Application (client) ID"),
        variable=variable,
        auth=(_BASIC if described.table.auth == "basic" else _BEARER).format(variable=variable),
    )
    text = _TEXT.format(
        app=app,
        source=_source(described),
        target=target,
        interval=toml(described.table.first_job.interval),
        commands="\n".join(_commands(app)),
        roles=_roles(described),
        scope=_scope(described, answers, app),
        threshold=f"{f'deletion_threshold = {described.table.first_job.deletion_threshold}':37}",
        deprovision=_deprovision(app, described),
        notify=toml([answers.notify] if answers.notify else []),
        told="" if answers.notify else f"{'':27}# <-- who gets the mails about the job; needs [mail]",
        columns=_COLUMNS if described.table.first_job.source is None else "",
        users="".join(f"  {line}\n" for line in mapping_lines(profile.user_mappings)),
        optional=_optional(described.table),
    )
    text = text.replace("\n\n[control]", f"\n{_about(described)}\n[control]", 1)
    if profile.group_mappings:
        groups = "".join(f"#   {line}\n" for line in mapping_lines(profile.group_mappings))
        text += _GROUPS.format(app=app, groups=groups)
    return text


def _source(described: Described) -> str:
    """Return where people come from: a file, or the described system that the profile names.

    Attributes that optional mappings read and that the description does not have are gaps, written as comments.
    """
    reference = described.table.first_job.source
    if reference is None:
        return _FILE
    tables = vendors.source_tables(reference)
    text = _DESCRIBED.format(reference=toml(reference), auth=toml(tables["auth"][0]))
    sources = [mapping_of(one.mapping).source for one in described.table.optional]
    read = [source.attribute for source in sources if isinstance(source, Direct)]
    unknown = [name for name in read if name not in tables["users"]["attributes"]]
    if unknown:
        text += (
            f"\n# [sources.staff.attributes]{'':10}# what optional mappings below read, by the names that it has there"
        )
        text += "".join(f'\n# {name} = "…"' for name in unknown)
    return text


def _commands(app: str) -> Iterable[str]:
    typed = {
        "check": "says everything that is wrong here",
        f"test {app}": "tries the connection on both sides",
        f"plan {app}": "shows what a cycle would do, and changes nothing",
    }
    width = max(map(len, typed))
    return [f"#   reconciler {words:{width}}   {what}" for words, what in typed.items()]


def _roles(described: Described) -> str:
    roles = described.table.first_job.roles
    return "".join(_ROLE.format(heading=f"{f'[roles.{name}]':37}", when=_when(when)) for name, when in roles.items())


def _when(condition: Condition) -> str:
    """Return a condition as TOML, each part of a list on a line of its own."""
    said: dict[str, Any] = condition.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for word in ("all", "any"):
        if word in said:
            return f"{{ {word} = [\n{''.join(f'  {inline(part)},{chr(10)}' for part in said[word])}] }}"
    return inline(said)


def _scope(described: Described, answers: Answers, app: str) -> str:
    first = described.table.first_job
    scope = first.scope
    if scope == "roles":
        return _ROLES.format(names=", ".join(map(toml, first.roles)))
    if scope != "assigned":
        return f"{f'scope = {toml(scope)}':37} # all | assigned | roles"
    mark = "# <-- " if answers.group is None else "# "
    return _ASSIGNED.format(group=toml(answers.group or f"APP-{app.capitalize()}"), mark=mark)


def _deprovision(app: str, described: Described) -> str:
    profile, own = described.profile, described.table.first_job.deprovision
    heading = f"{f'[jobs.{app}.deprovision]':37}"
    if own is not None:
        return _SETS.format(heading=heading, said=_said(own))
    if profile.can_disable:
        return _DISABLES.format(heading=heading)
    words = profile.confirm_delete
    confirm = (
        "" if words is None else f"# confirm_delete = {toml(words)}   # <-- yes? without this line nobody is deleted"
    )
    return _DELETES.format(heading=heading, confirm=confirm).rstrip("\n")


def _said(table: DeprovisionTable) -> str:
    said = table.model_dump(exclude_unset=True, exclude={"set_"})
    lines = [f"{key} = {toml(value)}" for key, value in said.items()]
    if table.set_:
        written = mapping_lines(mapping_of(one) for one in table.set_)
        lines += ["set = [", *(f"  {line}" for line in written), "]"]
    return "\n".join(lines)


def _about(described: Described) -> str:
    """Return what is to be known before the first cycle, as comments."""
    table = described.table
    lines = [f"status: {table.status}" if table.status else ""]
    lines += [f"needed: {one}" for one in table.prerequisites]
    lines += [f"a create {one}" if not one.startswith(("a ", "single ")) else one for one in table.side_effects]
    lines += [f"{link.title}: {link.url}" for link in table.links]
    said = "".join(f"#   {line}\n" for line in lines if line)
    return f"#\n# {described.title}:\n{said}" if said else ""


def _optional(table: ProfileTable) -> str:
    text = ""
    for one in table.optional:
        (line,) = mapping_lines([mapping_of(one.mapping)])
        text += f"  # {one.why}:\n  # {line}\n"
    return text


def _url_line(profile: Profile, answers: Answers) -> str:
    if answers.url is not None:
        return f"url = {toml(answers.url)}"
    if profile.url is not None:
        return f"url = {toml(profile.url)}"
    return 'url = "https://app.example.com/scim"  # <-- the base URL, without /Users'


def _answered(answer: str | None, example: str, what: str) -> str:
    """Return a value as TOML, or an example of one with a mark."""
    return toml(answer) if answer is not None else f"{toml(example)}   # <-- {what}"


def toml(value: Any) -> str:
    """Return a simple value, or a list of such, as TOML writes it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str) and '"' in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def mapping_lines(mappings: Iterable[AttributeMapping]) -> Iterable[str]:
    """Yield mappings as a job writes them."""
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
