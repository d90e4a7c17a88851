"""Turns what a profile says of an app with a REST API, and the table of a target that goes by it, into settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.config.addresses import address_at, auth_at, host_of
from reconciler.config.auth_settings import KeyAuth, RestAuth
from reconciler.config.auth_tables import KeyTable
from reconciler.config.places import existing_file, is_loopback, secret_at
from reconciler.config.profiles import Described
from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.rest_source import listing_of, paging_of
from reconciler.config.rest_target_table import (
    CollectionTable,
    FindTable,
    GroupCollectionTable,
    MemberListTable,
    OperationTable,
    RestTable,
    RestTargetTable,
)
from reconciler.config.settings import RestTargetSettings
from reconciler.config.values import seconds
from reconciler.core.outcomes import Fault
from reconciler.dialects.refusals import DETAIL_NAMES
from reconciler.dialects.rest import Listing, Paging
from reconciler.dialects.rest_operations import ALL, Api, Collection, Lookup, Meaning, Method, Operation


def rest_target(name: str, table: RestTargetTable, described: Described | None, report: Report) -> RestTargetSettings:
    """Return the settings; `described` is the profile that the target goes by, None where it cannot be used."""
    place: Place = ("targets", name)
    profile = described.profile if described is not None else None
    api = described.table.rest if described is not None else None
    url = table.url or (profile.url if profile is not None else None)
    if url is None and report.whole((*place, "url")) and described is not None:
        report.problem((*place, "url"), "is missing", "the address of the app")
    if api is not None:
        _parameters(table.parameters, api, place, report)
    return RestTargetSettings(
        name=name,
        url=address_at(url.rstrip("/"), (*place, "url"), report) if url is not None else "",
        profile=profile.name if profile is not None else table.profile,
        api=api_of(api, profile.active) if api is not None and profile is not None else None,
        auth=_auth(table, url or "", (*place, "auth"), report),
        scheme=api.scheme if api is not None else "Bearer",
        parameters=dict(table.parameters),
        concurrency=table.concurrency,
        requests_per_second=table.requests_per_second or (profile.requests_per_second if profile is not None else None),
        timeout_seconds=seconds(table.timeout),
        entries_max=table.max_entries,
        ca_file=existing_file(table.ca_file, (*place, "ca_file"), report),
        proxy=None if table.proxy is None else address_at(table.proxy, (*place, "proxy"), report),
        protected=tuple(table.protected),
        tenant=table.tenant,
        credential_expires=table.credential_expires,
    )


def api_of(table: RestTable, active: str) -> Api:
    """Return how the app is read and written; `active` is the attribute that says who can use an account."""
    paging = paging_of(table.paging)
    return Api(
        users=_collection(table.users, paging, active),
        groups=None if table.groups is None else _collection(table.groups, paging, active),
        headers=dict(table.headers),
        words=tuple(table.words) or DETAIL_NAMES,
        meanings=tuple(
            Meaning(one.status, Fault(one.is_), None if one.says is None else re.compile(one.says, re.I), one.method)
            for one in table.meanings
        ),
        probe=table.probe,
        reset_header=None if table.reset_header is None else table.reset_header.lower(),
    )


def _parameters(given: Mapping[str, str], api: RestTable, place: Place, report: Report) -> None:
    for one in given:
        if one not in api.parameters:
            hint = f"known: {', '.join(api.parameters) or 'none'}"
            report.problem((*place, "parameters", one), "the profile has no such parameter", hint)
    for one in api.parameters:
        if one not in given:
            report.problem((*place, "parameters"), f"{one} is missing", "the profile leaves it open")


def _auth(table: RestTargetTable, url: str, place: Place, report: Report) -> RestAuth | None:
    if isinstance(table.auth, KeyTable):
        return KeyAuth(table.auth.type, table.auth.name, secret_at(table.auth.key, (*place, "key"), report))
    if table.auth is None and report.whole(place) and not is_loopback(host_of(url)):
        report.warning(place, "nothing is said about authorisation: requests go without any")
    return auth_at(table.auth, place, report)


def _collection(table: CollectionTable, paging: Paging, active: str) -> Collection:
    of_group = table if isinstance(table, GroupCollectionTable) else None
    reads = {str(path): str(place) for path, place in table.reads.items()}
    if table.active is not None:
        reads[active] = table.active.from_
    return Collection(
        listing=listing_of(table, paging, ""),
        get=_operation(table.get, "GET"),
        lookups={lookup.by: _lookup(lookup, paging) for lookup in table.find},
        create=_optional(table.create, "POST", ALL),
        update=_optional(table.update, "PUT" if table.sends == "whole" else "PATCH", ALL),
        disable=_optional(table.disable, "POST"),
        enable=_optional(table.enable, "POST"),
        delete=_optional(table.delete, "DELETE"),
        names=dict(table.names),
        reads=reads,
        active_is=frozenset() if table.active is None else frozenset(table.active.is_),
        whole=table.sends == "whole",
        leaves_out=tuple(table.leaves_out),
        empty=None if table.empty == "null" else "",
        numeric_ids=table.numeric_ids,
        members=None if of_group is None or of_group.members is None else _members(of_group.members, paging),
        add_member=None if of_group is None else _optional(of_group.add_member, "POST"),
        remove_member=None if of_group is None else _optional(of_group.remove_member, "DELETE"),
    )


def _members(table: MemberListTable, paging: Paging) -> Listing:
    return replace(listing_of(table, paging, ""), absent_is_empty=table.absent_is_empty)


def _lookup(table: FindTable, paging: Paging) -> Lookup:
    if table.one:
        return Lookup(Operation("GET", table.path, dict(table.query), item=table.items), table.quoting)
    return Lookup(listing_of(table, paging, ""), table.quoting)


def _optional(table: OperationTable | None, method: Method, body: Any = None) -> Operation | None:
    return None if table is None else _operation(table, method, body)


def _operation(table: OperationTable, method: Method, body: Any = None) -> Operation:
    return Operation(
        method=table.method or method,
        path=table.path,
        query=dict(table.query),
        body=body if table.body is None else table.body,
        item=table.item,
        repeatable=table.repeatable,
    )
