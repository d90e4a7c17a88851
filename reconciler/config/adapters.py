"""Turns the tables around the jobs into settings: state, control, mail, sources, targets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reconciler import vendors
from reconciler.config.addresses import NO_SECRETS_IN_URLS as _NO_SECRETS_IN_URLS
from reconciler.config.addresses import address_at as _address
from reconciler.config.addresses import auth_at
from reconciler.config.addresses import holds_secret as _holds_secret
from reconciler.config.addresses import host_of as _host
from reconciler.config.addresses import split_at as _split
from reconciler.config.auth_settings import Auth
from reconciler.config.file_source import file_source
from reconciler.config.file_table import FileSourceTable
from reconciler.config.graph_settings import graph_source, graph_target
from reconciler.config.graph_tables import GraphSourceTable, GraphTargetTable
from reconciler.config.joined_source import joined_source
from reconciler.config.joined_table import JoinedSourceTable
from reconciler.config.ldap_source import ldap_source
from reconciler.config.ldap_table import LdapSourceTable
from reconciler.config.places import existing_file as _existing
from reconciler.config.places import is_loopback as _is_loopback
from reconciler.config.places import secret_at as _secret
from reconciler.config.profiles import Described, described_profile
from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.rest_source import rest_source
from reconciler.config.rest_table import RestSourceTable
from reconciler.config.rest_target import rest_target
from reconciler.config.rest_target_table import RestTargetTable
from reconciler.config.scim_source import scim_source
from reconciler.config.scim_table import ScimSourceTable
from reconciler.config.settings import (
    ControlSettings,
    GraphTargetSettings,
    MailSettings,
    MetricsSettings,
    ScimTargetSettings,
    SourceSettings,
    TargetSettings,
)
from reconciler.config.shape import nearest
from reconciler.config.sql_source import sql_source
from reconciler.config.sql_table import SqlSourceTable
from reconciler.config.tables import (
    ConfigTable,
    ScimTargetTable,
    SourceTable,
    StateTable,
    TargetTable,
)
from reconciler.config.values import seconds
from reconciler.core.profile import PatchDialect, Profile
from reconciler.errors import ConfigError
from reconciler.secrets import Secret

LOG_KEPT_SECONDS_MIN = 86400.0


def log_retention_of(table: ConfigTable, report: Report) -> float | None:
    """Return how many seconds the provisioning log is kept, long enough for the safeguards to count; None: for ever."""
    if table.log.retention == "never":
        return None
    kept = seconds(table.log.retention)
    longest = max((seconds(job.safeguard_window) for job in table.jobs.values()), default=0.0)
    if kept < max(longest, LOG_KEPT_SECONDS_MIN):
        hint = 'the safeguards count what the log has of the last safeguard_window; "30d" is usual'
        report.problem(("log", "retention"), "is shorter than a day, or than a job's safeguard_window", hint)
    return kept


def state_of(table: StateTable, report: Report) -> tuple[str, Secret | None]:
    """Return the state's URL, with an absolute path where it is a file, and its password."""
    place = ("state", "url")
    password = _secret(table.password, ("state", "password"), report) if table.password else None
    if table.url is None:
        if password is not None:
            report.problem(("state", "password"), "goes with a postgresql:// url")
        kept_in = os.environ.get("STATE_DIRECTORY", "").split(":")[0] or str(report.document.directory)
        return _sqlite(Path(kept_in, "state.db"), place, report), None
    scheme, _, rest = table.url.partition("://")
    if scheme == "sqlite":
        name = rest.removeprefix("/")
        if not rest.startswith("/") or name in ("", ":memory:"):
            report.problem(
                place, "names no file", "for example sqlite:///state.db; a state in memory would be forgotten"
            )
        if password is not None:
            report.problem(("state", "password"), "goes with a postgresql:// url")
        return _sqlite(report.document.directory / name, place, report), None
    if scheme not in ("postgresql", "postgresql+psycopg"):
        report.problem(place, "must begin with sqlite:/// or postgresql://")
    elif _split(table.url, place, report) is not None and _holds_secret(table.url):
        report.problem(place, _NO_SECRETS_IN_URLS, "leave the password out and name its place in [state] password")
    return table.url, password


def control_of(table: ConfigTable, report: Report) -> Path | None:
    """Return the control socket's path; None where neither the configuration nor systemd names one."""
    if table.control.socket is not None:
        return report.document.directory / table.control.socket
    directory = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(directory, "control.sock") if directory else None


def control_settings(table: ConfigTable) -> ControlSettings:
    """Return who may speak to the daemon. Whether there are such people is known where it runs."""
    control = table.control
    operators = None if control.operators is None else tuple(control.operators)
    return ControlSettings(control.group, operators, tuple(control.readers))


def metrics_of(table: ConfigTable, report: Report) -> MetricsSettings | None:
    """Return where metrics are served over TCP; None where nothing says."""
    listen, place = table.metrics.listen, ("metrics", "listen")
    if listen is None:
        return None
    host, _, port = listen.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        report.problem(place, "must be an address and a port", 'for example "127.0.0.1:9464" or "[::1]:9464"')
        return None
    if not table.metrics.remote and not _is_loopback(host):
        report.problem(place, "can be reached by other machines", "127.0.0.1, or remote = true where that is meant")
        return None
    return MetricsSettings(host, int(port))


def webhooks_of(table: ConfigTable, report: Report) -> dict[str, Secret]:
    """Return the secrets of webhooks by job."""
    return {
        name: _secret(job.triggers.webhook, ("jobs", name, "triggers", "webhook"), report)
        for name, job in table.jobs.items()
        if job.triggers.webhook is not None
    }


def mail_of(table: ConfigTable, report: Report) -> MailSettings | None:
    """Return how mails are sent; None where nothing says."""
    mail = table.mail
    if mail is None:
        return None
    password = _secret(mail.password, ("mail", "password"), report) if mail.password else None
    if password is not None and mail.security == "none" and not _is_loopback(mail.host):
        report.warning(("mail", "security"), "the password travels unprotected", 'use "starttls" or "tls"')
    if mail.port == 465 and mail.security == "starttls" and "security" not in mail.model_fields_set:
        report.warning(("mail", "security"), "port 465 speaks TLS from the beginning", 'security = "tls"')
    return MailSettings(
        mail.host,
        mail.port,
        mail.security,
        mail.from_,
        mail.username,
        password,
        to=tuple(mail.to),
        ca_file=_existing(mail.ca_file, ("mail", "ca_file"), report),
        timeout_seconds=seconds(mail.timeout),
    )


def sources_of(table: ConfigTable, report: Report) -> dict[str, SourceSettings]:
    """Return the sources by name."""
    return {name: _source(name, source, report) for name, source in table.sources.items()}


def targets_of(table: ConfigTable, report: Report) -> tuple[dict[str, TargetSettings], dict[str, Profile]]:
    """Return the targets and their profiles, both by the target's name."""
    targets: dict[str, TargetSettings] = {}
    profiles: dict[str, Profile] = {}
    for name, target in table.targets.items():
        place: Place = ("targets", name)
        described = _described(target, place, report)
        profile = described.profile if described is not None else None
        match target:
            case ScimTargetTable():
                if profile is not None and target.patch is not None:
                    profile = replace(profile, patch=PatchDialect(target.patch))
                targets[name] = _scim_target(name, target, profile, report)
            case GraphTargetTable():
                targets[name] = graph_target(name, target, profile, report)
            case RestTargetTable():
                targets[name] = rest_target(name, target, described, report)
        if profile is not None:
            profiles[name] = profile
    _tenants(targets, profiles, report)
    return targets, profiles


def _sqlite(path: Path, place: Place, report: Report) -> str:
    if "?" in str(path) or "#" in str(path):
        report.problem(place, "the file's path must not have ? or # in it")
    return f"sqlite:///{path}"


def _source(name: str, table: SourceTable, report: Report) -> SourceSettings:
    match table:
        case FileSourceTable():
            return file_source(name, table, report)
        case RestSourceTable():
            return rest_source(name, table, report)
        case SqlSourceTable():
            return sql_source(name, table, report)
        case LdapSourceTable():
            return ldap_source(name, table, report)
        case ScimSourceTable():
            return scim_source(name, table, report)
        case GraphSourceTable():
            return graph_source(name, table, report)
        case JoinedSourceTable():
            return joined_source(name, table, report)


def _described(table: TargetTable, place: Place, report: Report) -> Described | None:
    reference = table.profile
    if not vendors.is_path(reference) and reference not in vendors.names():
        report.problem((*place, "profile"), f"unknown profile {reference!r}", nearest(reference, vendors.names()))
        return None
    try:
        described = described_profile(reference, report.document.directory)
    except ConfigError as error:
        report.outside.extend(error.problems)
        return None
    if described.table.protocol != table.type:
        problem = f"the profile {described.profile.name} is not for targets of type {table.type}"
        report.problem((*place, "profile"), problem, f'type = "{described.table.protocol}"')
    if described.table.notice is not None:
        report.warning((*place, "profile"), described.table.notice)
    return described


def _scim_target(name: str, table: ScimTargetTable, profile: Profile | None, report: Report) -> ScimTargetSettings:
    place: Place = ("targets", name)
    limit = table.requests_per_second
    return ScimTargetSettings(
        name=name,
        url=_scim_url(table, profile, place, report),
        profile=profile.name if profile is not None else table.profile,
        auth=_auth(table, place, report),
        concurrency=table.concurrency,
        requests_per_second=limit if limit is not None or profile is None else profile.requests_per_second,
        ca_file=_existing(table.ca_file, (*place, "ca_file"), report),
        client_cert=_existing(table.client_cert, (*place, "client_cert"), report),
        client_key=_existing(table.client_key, (*place, "client_key"), report),
        proxy=None if table.proxy is None else _address(table.proxy, (*place, "proxy"), report),
        timeout_seconds=seconds(table.timeout),
        entries_max=table.max_entries,
        protected=tuple(table.protected),
        patch=None if table.patch is None else PatchDialect(table.patch),
        credential_expires=table.credential_expires,
        tenant=table.tenant,
    )


def _scim_url(table: ScimTargetTable, profile: Profile | None, place: Place, report: Report) -> str:
    url = table.url or (profile.url if profile is not None else None)
    if url is not None:
        return _base_url(url, (*place, "url"), report)
    if report.whole((*place, "url")) and profile is not None:
        report.problem((*place, "url"), "is missing", 'for example "https://app.example.com/scim"')
    return ""


def _tenants(targets: Mapping[str, TargetSettings], profiles: Mapping[str, Profile], report: Report) -> None:
    """Note targets that could not be told apart: one address, whose token chooses the tenant, and no tenant named."""
    seen: dict[tuple[str, str | None], tuple[str, object]] = {}
    for name, target in targets.items():
        if isinstance(target, GraphTargetSettings) or name not in profiles or not profiles[name].tenant_by_token:
            continue
        kept = (target.auth.secret.kind, target.auth.secret.name) if target.auth is not None else None
        other, elsewhere = seen.setdefault((target.url, target.tenant), (name, kept))
        if elsewhere != kept:
            problem = f"has the address of {other} and another token: the accounts of two tenants would be mixed up"
            report.problem(("targets", name, "tenant"), problem, 'name each, for example tenant = "example.com"')


def _auth(table: ScimTargetTable, place: Place, report: Report) -> Auth | None:
    auth, place = table.auth, (*place, "auth")
    if auth is None and report.whole(place) and not _is_loopback(_host(table.url or "")):
        report.warning(place, "nothing is said about authorisation: requests go without any")
    return auth_at(auth, place, report)


def _base_url(url: str, place: Place, report: Report) -> str:
    """Return the URL without a slash at the end of its path, its query kept."""
    parts = _split(url, place, report)
    if parts is None:
        return url
    _address(url, place, report)
    path = parts.path.rstrip("/")
    if path.rpartition("/")[2].lower() in ("users", "groups"):
        report.problem(place, "is the address of users or groups", "leave out its last part")
    return parts._replace(path=path).geturl()
