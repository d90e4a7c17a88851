"""Turns the tables of tenants that Microsoft Graph reaches into settings."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal
from urllib.parse import urlsplit

from reconciler.config.addresses import address_at
from reconciler.config.auth_settings import CertificateProof, FederatedProof, Proof, SecretProof
from reconciler.config.conversion import active_of
from reconciler.config.graph_tables import GraphSourceTable, GraphTargetTable, TenantTable
from reconciler.config.places import existing_file, secret_at
from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.settings import GraphSourceSettings, GraphTargetSettings
from reconciler.config.values import seconds
from reconciler.core.profile import Profile


def graph_source(name: str, table: GraphSourceTable, report: Report) -> GraphSourceSettings:
    """Return the settings of a tenant that is read."""
    place: Place = ("sources", name)
    return GraphSourceSettings(
        name=name,
        url=_base(table, "url", place, report),
        tenant=table.tenant,
        login_url=_base(table, "login_url", place, report),
        client_id=table.client_id,
        proof=_proof(table, place, report),
        allow_empty=frozenset(table.allow_empty),
        requests_per_second=table.requests_per_second,
        timeout_seconds=seconds(table.timeout),
        entries_max=table.max_entries,
        ca_file=existing_file(table.ca_file, (*place, "ca_file"), report),
        proxy=None if table.proxy is None else address_at(table.proxy, (*place, "proxy"), report),
        active=active_of(table.active),
        person=table.person,
    )


def graph_target(name: str, table: GraphTargetTable, profile: Profile | None, report: Report) -> GraphTargetSettings:
    """Return the settings of a tenant that is written."""
    place: Place = ("targets", name)
    limit = table.requests_per_second
    return GraphTargetSettings(
        name=name,
        url=_base(table, "url", place, report),
        tenant=table.tenant,
        login_url=_base(table, "login_url", place, report),
        client_id=table.client_id,
        proof=_proof(table, place, report),
        profile=profile.name if profile is not None else table.profile,
        concurrency=table.concurrency,
        requests_per_second=limit if limit is not None or profile is None else profile.requests_per_second,
        ca_file=existing_file(table.ca_file, (*place, "ca_file"), report),
        proxy=None if table.proxy is None else address_at(table.proxy, (*place, "proxy"), report),
        timeout_seconds=seconds(table.timeout),
        entries_max=table.max_entries,
        protected=tuple(table.protected),
        credential_expires=table.credential_expires,
    )


def _base(table: TenantTable, key: Literal["url", "login_url"], place: Place, report: Report) -> str:
    """Return an address without a slash at its end; that of Graph has its version."""
    written: str = getattr(table, key)
    url = address_at(written, (*place, key), report).rstrip("/")
    last = urlsplit(url).path.rpartition("/")[2].lower()
    if last in ("users", "groups"):
        report.problem((*place, key), "is the address of users or groups", "leave out its last part")
    return url


def _proof(table: TenantTable, place: Place, report: Report) -> Proof:
    if table.client_secret is not None:
        return SecretProof(secret_at(table.client_secret, (*place, "client_secret"), report))
    if table.certificate is not None:
        if find_spec("cryptography") is None:
            hint = "pip install 'reconciler[certificate]'"
            report.warning((*place, "certificate"), "cryptography is not installed", hint)
        return CertificateProof(secret_at(table.certificate, (*place, "certificate"), report))
    at: Place = (*place, "federated_token_file")
    path = existing_file(table.federated_token_file, at, report)
    assert path is not None
    return FederatedProof(path, report.where(at))
