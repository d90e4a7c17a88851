"""The configuration: from TOML files to frozen values, with every problem at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.config.adapters import (
    control_of,
    control_settings,
    log_retention_of,
    mail_of,
    metrics_of,
    sources_of,
    state_of,
    targets_of,
    webhooks_of,
)
from reconciler.config.auth_settings import (
    Auth,
    BasicAuth,
    BearerAuth,
    CertificateProof,
    FederatedProof,
    KeyAuth,
    OAuthSettings,
    Proof,
    SecretProof,
)
from reconciler.config.jobs import jobs_of
from reconciler.config.profiles import Described, described_profile, load_profile
from reconciler.config.reading import read
from reconciler.config.report import Report
from reconciler.config.settings import (
    Config,
    ControlSettings,
    FileSourceSettings,
    GraphSourceSettings,
    GraphTargetSettings,
    JoinedSourceSettings,
    LdapSourceSettings,
    MailSettings,
    RestSourceSettings,
    RestTargetSettings,
    ScimSourceSettings,
    ScimTargetSettings,
    SimpleBindSettings,
    SourceSettings,
    SqlSourceSettings,
    TargetSettings,
)
from reconciler.config.shape import Finding, shaped
from reconciler.config.tables import ConfigTable
from reconciler.config.versions import rules_version

__all__ = [
    "Auth",
    "BasicAuth",
    "BearerAuth",
    "CertificateProof",
    "Config",
    "ControlSettings",
    "Described",
    "FederatedProof",
    "FileSourceSettings",
    "GraphSourceSettings",
    "GraphTargetSettings",
    "JoinedSourceSettings",
    "KeyAuth",
    "LdapSourceSettings",
    "MailSettings",
    "OAuthSettings",
    "Proof",
    "RestSourceSettings",
    "RestTargetSettings",
    "ScimSourceSettings",
    "ScimTargetSettings",
    "SecretProof",
    "SimpleBindSettings",
    "SourceSettings",
    "SqlSourceSettings",
    "TargetSettings",
    "described_profile",
    "json_schema",
    "load",
    "load_profile",
    "rules_version",
]


def load(path: Path) -> Config:
    """Return a whole configuration; raises ConfigError with every problem that it has. Reads no secret."""
    document = read(path)
    shape = shaped(ConfigTable, document.tables)
    report = Report(document, shape)
    for position in document.unmatched:
        report.warnings.append(Finding(("include", position), "no file fits this pattern"))
    table = shape.table or ConfigTable()
    state_url, state_password = state_of(table.state, report)
    sources = sources_of(table, report)
    targets, profiles = targets_of(table, report)
    jobs, job_profiles = jobs_of(table, sources, targets, profiles, report)
    config = Config(
        path=path,
        directory=document.directory,
        state_url=state_url,
        state_password=state_password,
        control_socket=control_of(table, report),
        control=control_settings(table),
        metrics=metrics_of(table, report),
        mail=mail_of(table, report),
        webhooks=webhooks_of(table, report),
        log_retention_seconds=log_retention_of(table, report),
        sources=sources,
        targets=targets,
        jobs=jobs,
        profiles=profiles,
        job_profiles=job_profiles,
        warnings=(),
    )
    report.raise_for_problems()
    return replace(config, warnings=report.all_warnings())


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ConfigTable.model_json_schema(),
        "title": "reconciler",
    }
