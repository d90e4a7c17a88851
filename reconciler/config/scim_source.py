"""Turns the table of a source that speaks SCIM into settings."""

from __future__ import annotations

from reconciler.config.addresses import address_at, auth_at, host_of
from reconciler.config.conversion import active_of
from reconciler.config.places import existing_file, is_loopback
from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.scim_table import ScimSourceTable
from reconciler.config.settings import ScimSourceSettings
from reconciler.config.values import seconds
from reconciler.core import paths
from reconciler.core.model import ActiveRule
from reconciler.core.paths import PathError


def scim_source(name: str, table: ScimSourceTable, report: Report) -> ScimSourceSettings:
    """Return the settings."""
    place: Place = ("sources", name)
    for attribute, path in table.attributes.items():
        try:
            paths.parse(path)
        except PathError as error:
            report.problem((*place, "attributes", attribute), f"is no path of SCIM: {error}")
    if table.url.rstrip("/").endswith(("/Users", "/Groups")):
        report.problem((*place, "url"), "is that of a list", "the base URL, without /Users")
    if (
        table.auth is None
        and table.client_cert is None
        and report.whole((*place, "auth"))
        and not is_loopback(host_of(table.url))
    ):
        report.warning((*place, "auth"), "nothing is said about authorisation: requests go without any")
    return ScimSourceSettings(
        name=name,
        url=address_at(table.url.rstrip("/"), (*place, "url"), report),
        auth=auth_at(table.auth, (*place, "auth"), report),
        attributes=dict(table.attributes),
        changes=table.changes,
        sweep=table.sweep,
        overlap_seconds=seconds(table.overlap),
        paging=table.paging,
        page_size=table.page_size,
        select=table.select,
        members_from=table.members_from,
        members_max=table.members_max,
        allow_empty=frozenset(table.allow_empty),
        concurrency=table.concurrency,
        requests_per_second=table.requests_per_second,
        timeout_seconds=seconds(table.timeout),
        entries_max=table.max_entries,
        ca_file=existing_file(table.ca_file, (*place, "ca_file"), report),
        client_cert=existing_file(table.client_cert, (*place, "client_cert"), report),
        client_key=existing_file(table.client_key, (*place, "client_key"), report),
        proxy=None if table.proxy is None else address_at(table.proxy, (*place, "proxy"), report),
        active=active_of(table.active) or ActiveRule("active"),
        person=table.person,
    )
