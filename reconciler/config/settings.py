"""What a configuration says, as frozen values that wiring hands to adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reconciler.config.auth_settings import Auth, Proof, RestAuth
from reconciler.core.model import ActiveRule, Job
from reconciler.core.profile import PatchDialect, Profile
from reconciler.dialects.rest import Description
from reconciler.dialects.rest_operations import Api
from reconciler.errors import Problem
from reconciler.secrets import Secret

if TYPE_CHECKING:
    from sqlalchemy import URL


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Who may speak to the daemon: users by name or number, groups as `group:it` or `group:1000`."""

    group: str | None = None
    """The group that the socket is given to; None: the daemon's own."""
    operators: tuple[str, ...] | None = None
    """None: the socket's group."""
    readers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where metrics and health are served over TCP."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The server that takes our mails."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    username: str | None = None
    password: Secret | None = None
    to: tuple[str, ...] = ()
    """Who gets the mails of jobs that name nobody."""
    ca_file: Path | None = None
    timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class FileSourceSettings:
    """A source that is files. A file that is not named (None) is not read."""

    name: str
    users: Path | None
    groups: Path | None
    key: str = "id"
    """The column of both files that is the anchor."""
    members: str = "members"
    """The groups' column that lists source ids."""
    allow_empty: frozenset[Literal["users", "groups"]] = frozenset()
    max_age_seconds: float | None = None
    encoding: str | None = None
    delimiter: str | None = None
    changes: Path | None = None
    """The change files; the last name may be a pattern, as in `users` and `groups`."""
    operation: str = "operation"
    kind: str = "kind"
    sequence: str | None = None
    end_row: bool = False
    kept: Path | None = None
    """Where what change files say is kept; None without change files."""
    archive: Path | None = None
    active: ActiveRule | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class SimpleBindSettings:
    dn: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class LdapSourceSettings:
    """A source that is a directory. Bases and filters are as they are asked for."""

    name: str
    url: str
    start_tls: bool
    ca_file: Path | None
    client_cert: Path | None
    client_key: Path | None
    bind: SimpleBindSettings | Literal["EXTERNAL", "GSSAPI", "anonymous"]
    active_directory: bool
    users_base: str
    users_filter: str
    groups_base: str
    groups_filter: str
    anchor: str
    group_name: str
    members: str
    nested: bool
    references: frozenset[str]
    """In lower case, as `multivalued`."""
    multivalued: frozenset[str]
    changes: Literal["auto", "search", "none"]
    page_size: int
    timeout_seconds: float
    allow_empty: frozenset[Literal["users", "groups", "members"]] = frozenset()
    active: ActiveRule | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class SqlSourceSettings:
    """A source that is a database. A query that is not given (None) is not asked."""

    name: str
    url: URL
    """Without a password."""
    users: str | None
    groups: str | None = None
    members: str | None = None
    key: str = "id"
    changed: str | None = None
    """The column that says when a row last changed."""
    deleted: str | None = None
    """The column that marks rows as deleted."""
    overlap_seconds: float = 600.0
    timeout_seconds: float = 60.0
    allow_empty: frozenset[Literal["users", "groups", "members"]] = frozenset()
    password: Secret | None = None
    active: ActiveRule | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class RestSourceSettings:
    """A source that is read over REST by a description."""

    name: str
    type: str
    url: str
    description: Description | None
    """None where it cannot be used, which is a problem of the configuration."""
    auth: RestAuth | None
    scheme: str = "Bearer"
    parameters: Mapping[str, str] = field(default_factory=dict)
    overlap_seconds: float = 600.0
    allow_empty: frozenset[str] = frozenset()
    requests_per_second: float | None = None
    timeout_seconds: float = 30.0
    entries_max: int | None = None
    """More entries than this in one list, and it is taken for one without an end; None: `dialects.length` says."""
    ca_file: Path | None = None
    proxy: str | None = None
    active: ActiveRule | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class ScimSourceSettings:
    """A source that speaks SCIM 2.0. `url` has no slash at its end."""

    name: str
    url: str
    auth: Auth | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Names of users' attributes for rules, and their paths."""
    changes: Literal["auto", "users", "none"] = "auto"
    sweep: bool = True
    overlap_seconds: float = 600.0
    paging: Literal["auto", "index", "cursor"] = "auto"
    page_size: int = 1000
    select: Literal["auto", "always", "never"] = "auto"
    members_from: Literal["auto", "list", "each", "users"] = "auto"
    members_max: int | None = None
    allow_empty: frozenset[Literal["users", "groups", "members"]] = frozenset()
    concurrency: int = 4
    requests_per_second: float | None = None
    timeout_seconds: float = 30.0
    entries_max: int | None = None
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    proxy: str | None = None
    active: ActiveRule | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class GraphSourceSettings:
    """A source that is a tenant behind Microsoft Graph. Neither URL has a slash at its end."""

    name: str
    url: str
    tenant: str
    login_url: str
    client_id: str
    proof: Proof
    allow_empty: frozenset[Literal["users", "groups"]] = frozenset()
    requests_per_second: float | None = None
    timeout_seconds: float = 30.0
    entries_max: int | None = None
    ca_file: Path | None = None
    proxy: str | None = None
    active: ActiveRule | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class JoinedSourceSettings:
    """A source that joins others. The first of them decides who exists."""

    name: str
    of: tuple[str, ...]
    keys: tuple[str, ...]
    """The attribute of each that is the same for one human."""
    everywhere: bool
    """Only who is in all of them exists."""
    attributes: Mapping[str, tuple[tuple[str, str], ...]]
    """Where an attribute comes from, as (source, its attribute), the best first."""
    references: frozenset[str]
    ignore_case: bool
    active: ActiveRule | None = None
    person: str | None = None


SourceSettings = (
    FileSourceSettings
    | LdapSourceSettings
    | SqlSourceSettings
    | RestSourceSettings
    | ScimSourceSettings
    | GraphSourceSettings
    | JoinedSourceSettings
)


@dataclass(frozen=True, slots=True)
class ScimTargetSettings:
    """A target that speaks SCIM 2.0. `url` has no slash at its end; its query, if any, is kept."""

    name: str
    url: str
    profile: str
    """The profile's name, for people; the profile itself is `Config.profiles[name]`."""
    auth: Auth | None = None
    concurrency: int = 16
    requests_per_second: float | None = None
    """The target's own limit, else the profile's."""
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    proxy: str | None = None
    timeout_seconds: float = 20.0
    entries_max: int | None = None
    protected: tuple[str, ...] = ()
    patch: PatchDialect | None = None
    """Overrides the profile's PATCH dialect (it already stands in `Config.profiles`)."""
    credential_expires: date | None = None
    tenant: str | None = None
    """Whose accounts the credential leads to, where the address does not say it."""


@dataclass(frozen=True, slots=True)
class GraphTargetSettings:
    """A tenant that is reached by Microsoft Graph. Neither URL has a slash at its end."""

    name: str
    url: str
    tenant: str
    login_url: str
    client_id: str
    proof: Proof
    profile: str
    concurrency: int = 40
    requests_per_second: float | None = None
    ca_file: Path | None = None
    proxy: str | None = None
    timeout_seconds: float = 20.0
    entries_max: int | None = None
    protected: tuple[str, ...] = ()
    credential_expires: date | None = None


@dataclass(frozen=True, slots=True)
class RestTargetSettings:
    """An app with a REST API. `url` has no slash at its end."""

    name: str
    url: str
    profile: str
    api: Api | None
    """How it is read and written; None where the profile cannot be used, which is a problem of the configuration."""
    auth: RestAuth | None = None
    scheme: str = "Bearer"
    parameters: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 4
    requests_per_second: float | None = None
    ca_file: Path | None = None
    proxy: str | None = None
    timeout_seconds: float = 20.0
    entries_max: int | None = None
    protected: tuple[str, ...] = ()
    credential_expires: date | None = None
    tenant: str | None = None


TargetSettings = ScimTargetSettings | GraphTargetSettings | RestTargetSettings


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration that can be used."""

    path: Path
    directory: Path
    """Absolute; paths in the configuration are relative to it."""
    state_url: str
    """sqlite:///… with an absolute path, or postgresql://… without its password."""
    state_password: Secret | None
    control_socket: Path | None
    control: ControlSettings
    metrics: MetricsSettings | None
    """None: on the control socket only."""
    mail: MailSettings | None
    sources: Mapping[str, SourceSettings]
    targets: Mapping[str, TargetSettings]
    jobs: Mapping[str, Job]
    profiles: Mapping[str, Profile]
    """By the name of the target."""
    job_profiles: Mapping[str, Profile]
    """By the name of the job: the target's, with the attributes that the job defines itself."""
    webhooks: Mapping[str, Secret] = field(default_factory=dict)
    """The secrets of webhooks, by job."""
    log_retention_seconds: float | None = 30 * 86400.0
    """How long the provisioning log is kept; None: for ever."""
    warnings: tuple[Problem, ...] = ()
