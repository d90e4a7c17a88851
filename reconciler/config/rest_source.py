"""Turns the table of a source over REST, and the description that it names, into settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from reconciler import vendors
from reconciler.config.addresses import address_at, auth_at, host_of
from reconciler.config.auth_settings import KeyAuth, RestAuth
from reconciler.config.auth_tables import KeyTable
from reconciler.config.conversion import active_of
from reconciler.config.places import existing_file, is_loopback, secret_at
from reconciler.config.reading import Place, spelled
from reconciler.config.report import Report
from reconciler.config.rest_table import (
    DescriptionTable,
    EntriesTable,
    ListTable,
    PagingTable,
    RestSourceTable,
    TakeTable,
)
from reconciler.config.settings import RestSourceSettings
from reconciler.config.shape import shaped
from reconciler.config.values import seconds
from reconciler.dialects import rest
from reconciler.errors import ConfigError, Problem

SHIPPED = tuple(one for one in get_args(RestSourceTable.model_fields["type"].annotation) if one != "rest")


def rest_source(name: str, table: RestSourceTable, report: Report) -> RestSourceSettings:
    """Return the settings; a description that cannot be used is a problem of its own file."""
    place: Place = ("sources", name)
    reference = table.description or table.type
    described = _described(reference, shipped=table.description is None, report=report)
    url = table.url or (described.url if described is not None else None)
    if url is None:
        if described is not None:
            report.problem((*place, "url"), "is missing", "the address of the system")
        url = "https://unknown.invalid"
    for one in table.parameters:
        if described is not None and one not in described.parameters:
            hint = f"known: {', '.join(described.parameters) or 'none'}"
            report.problem((*place, "parameters", one), "the description has no such parameter", hint)
    lists = ["users", "groups", "members"]
    for part in (described.users, described.groups) if described is not None else ():
        lists += part.joins if part is not None else ()
    for number, one in enumerate(table.allow_empty):
        if described is not None and one not in lists:
            report.problem((*place, "allow_empty", number), f"must be one of {', '.join(dict.fromkeys(lists))}")
    if described is not None and table.auth is not None and described.auth and table.auth.type not in described.auth:
        kinds = ", ".join(described.auth)
        report.problem((*place, "auth", "type"), f"{described.name} does not take it", f"one of {kinds}")
    limit = table.requests_per_second or (described.requests_per_second if described is not None else None)
    return RestSourceSettings(
        name=name,
        type=table.type,
        url=address_at(url.rstrip("/"), (*place, "url"), report),
        description=_description(described, table) if described is not None else None,
        auth=_auth(table, url, (*place, "auth"), report),
        scheme=described.scheme if described is not None else "Bearer",
        parameters=dict(table.parameters),
        overlap_seconds=seconds(table.overlap),
        allow_empty=frozenset(table.allow_empty),
        requests_per_second=limit,
        timeout_seconds=seconds(table.timeout),
        entries_max=table.max_entries,
        ca_file=existing_file(table.ca_file, (*place, "ca_file"), report),
        proxy=None if table.proxy is None else address_at(table.proxy, (*place, "proxy"), report),
        active=active_of(table.active or (described.active if described is not None else None)),
        person=table.person,
    )


def _described(reference: str, *, shipped: bool, report: Report) -> DescriptionTable | None:
    directory = report.document.directory
    label = f"the description {reference}" if shipped else str(directory / reference)
    try:
        tables = vendors.source_tables(reference) if shipped else vendors.source_tables(directory / reference)
    except ConfigError as error:
        report.outside.extend(error.problems)
        return None
    shape = shaped(DescriptionTable, tables)
    report.outside.extend(
        Problem(f"{label}: {spelled(found.place)}", found.problem, found.hint) for found in shape.findings
    )
    return None if shape.findings else shape.table


def _auth(table: RestSourceTable, url: str, place: Place, report: Report) -> RestAuth | None:
    if isinstance(table.auth, KeyTable):
        return KeyAuth(table.auth.type, table.auth.name, secret_at(table.auth.key, (*place, "key"), report))
    if table.auth is None and report.whole(place) and not is_loopback(host_of(url)):
        report.warning(place, "nothing is said about authorisation: requests go without any")
    return auth_at(table.auth, place, report)


def _description(described: DescriptionTable, table: RestSourceTable) -> rest.Description:
    more = {name: _take(take) for name, take in table.attributes.items()}
    # Where the description says {fields}, the system gives only what is asked for.
    fields = "".join(f",{one}" for one in dict.fromkeys(take.path.split(".")[0] for take in more.values()))
    paging = paging_of(described.paging)
    return rest.Description(
        name=described.name,
        users=_entries(described.users, paging, more, fields),
        groups=None if described.groups is None else _entries(described.groups, paging, {}, ""),
        assigned=tuple(
            rest.Assigned(one.group, listing_of(one, paging, ""), one.parameter) for one in described.assigned
        ),
        headers=dict(described.headers),
    )


def _entries(table: EntriesTable, paging: rest.Paging, more: Mapping[str, rest.Take], fields: str) -> rest.Entries:
    since = None
    if table.changed is not None:
        since = rest.Since(tuple(dict(query) for query in table.since), table.changed, table.format)
    return rest.Entries(
        listing=listing_of(table, paging, fields),
        attributes={**{name: _take(take) for name, take in table.attributes.items()}, **more},
        since=since,
        joins=tuple(
            rest.Join(name, listing_of(join, paging, ""), join.on, join.by, join.many)
            for name, join in table.joins.items()
        ),
        one=table.one,
        one_item=table.one_item,
        deleted=None if table.deleted is None else table.deleted.from_,
        deleted_is=frozenset() if table.deleted is None else frozenset(table.deleted.is_),
        members=None if table.members is None else listing_of(table.members, paging, ""),
        members_changed=None if table.members is None else table.members.changed,
    )


def listing_of(table: ListTable, paging: rest.Paging, fields: str) -> rest.Listing:
    """Return a list; where it says {fields}, the system gives these too."""
    return rest.Listing(
        path=table.path,
        items=table.items,
        id=table.id,
        query={name: value.replace("{fields}", fields) for name, value in table.query.items()},
        paging=paging if table.paging is None else paging_of(table.paging),
        expects=tuple(table.expects),
    )


def paging_of(table: PagingTable) -> rest.Paging:
    """Return how lists go on."""
    return rest.Paging(
        table.kind, table.size_parameter, table.size, table.parameter, table.first, table.next, table.total
    )


def _take(table: TakeTable) -> rest.Take:
    return rest.Take(table.path, table.which)
