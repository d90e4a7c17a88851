"""Builds the source that a configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from reconciler import config as configuration
from reconciler.config import (
    Config,
    FileSourceSettings,
    GraphSourceSettings,
    JoinedSourceSettings,
    LdapSourceSettings,
    RestSourceSettings,
    ScimSourceSettings,
    SimpleBindSettings,
    SqlSourceSettings,
)
from reconciler.core.model import Identity
from reconciler.dialects.rest import KeySecret
from reconciler.errors import ConfigError, Problem
from reconciler.net.client import Client, Lanes
from reconciler.ports import Clock, Dice, Source
from reconciler.runtime.clock import SystemDice
from reconciler.sources.file import FileSource
from reconciler.sources.file_change_rows import Columns
from reconciler.sources.file_changes import ChangeFiles
from reconciler.sources.file_rows import Format
from reconciler.sources.file_watch import Watched
from reconciler.sources.joined import JoinedSource
from reconciler.sources.rest import RestSource
from reconciler.sources.scim import ScimSource
from reconciler.sources.sql import SqlSource
from reconciler.sources.sql_part import Queries
from reconciler.wiring.connecting import REAL, Connect
from reconciler.wiring.credentials import reader, signing
from reconciler.wiring.graph import graph_source
from reconciler.wiring.joining import joining_of


def build_source(
    config: Config,
    name: str,
    clock: Clock,
    dice: Dice | None = None,
    lanes: Lanes | None = None,
    connect: Connect = REAL,
    *,
    copy: Path | None = None,
) -> Source:
    """Return the source that a configuration names.

    `copy`: where a joined one keeps what its parts said last, so that it can tell what changed.
    """
    dice, lanes = dice or SystemDice(), lanes or Lanes()
    settings = config.sources[name]
    match settings:
        case FileSourceSettings():
            return _file_source(settings, clock)
        case LdapSourceSettings():
            return _ldap_source(config, settings, clock)
        case SqlSourceSettings():
            return SqlSource(
                name,
                settings.url,
                Queries(
                    settings.users,
                    settings.groups,
                    settings.members,
                    key=settings.key,
                    changed=settings.changed,
                    deleted=settings.deleted,
                    overlap_seconds=settings.overlap_seconds,
                ),
                read_password=None if settings.password is None else reader(settings.password),
                allow_empty=frozenset(settings.allow_empty),
                timeout_seconds=settings.timeout_seconds,
                clock=clock,
            )
        case RestSourceSettings():
            return _rest_source(settings, clock, dice, lanes, connect)
        case ScimSourceSettings():
            return _scim_source(settings, clock, dice, lanes, connect)
        case GraphSourceSettings():
            return graph_source(settings, clock, dice, lanes, connect)
        case JoinedSourceSettings():
            parts = [build_source(config, part, clock, dice, lanes, connect) for part in settings.of]
            return JoinedSource(name, parts, joining_of(settings), copy=copy)
        case _:
            assert_never(settings)


def _file_source(settings: FileSourceSettings, clock: Clock) -> Source:
    form = Format(settings.encoding, settings.delimiter)
    snapshots = None
    if settings.users is not None or settings.groups is not None:
        snapshots = FileSource(
            settings.name,
            users=settings.users,
            groups=settings.groups,
            key=settings.key,
            members=settings.members,
            allow_empty=frozenset(settings.allow_empty),
            max_age_seconds=settings.max_age_seconds,
            form=form,
            archive=settings.archive,
            clock=clock,
        )
    source: FileSource | ChangeFiles | None = snapshots
    if settings.changes is not None:
        assert settings.kept is not None
        columns = Columns(
            settings.key,
            settings.members,
            settings.operation,
            settings.kind,
            settings.sequence,
            end_row=settings.end_row,
        )
        place = str(settings.changes.absolute())
        source = ChangeFiles(
            settings.name,
            changes=settings.changes,
            kept=settings.kept,
            snapshots=snapshots,
            columns=columns,
            form=form,
            archive=settings.archive,
            allow_empty=frozenset(settings.allow_empty),
            identity=snapshots.identity if snapshots is not None else Identity("file", place, settings.key),
        )
    assert source is not None
    named = [place for place in (settings.users, settings.groups, settings.changes) if place is not None]
    return Watched(source, named)


def _rest_source(settings: RestSourceSettings, clock: Clock, dice: Dice, lanes: Lanes, connect: Connect) -> Source:
    assert settings.description is not None
    exchange = connect(ca_file=settings.ca_file, proxy=settings.proxy, connections=1)
    lane = lanes.lane(
        urlsplit(settings.url).netloc,
        f"source {settings.name}",
        concurrency=1,
        requests_per_second=settings.requests_per_second,
    )
    key, auth = None, settings.auth
    if isinstance(auth, configuration.KeyAuth):
        key, auth = KeySecret(auth.place, auth.key_name, reader(auth.secret)), None
    signs = signing(auth, exchange, clock, timeout_seconds=settings.timeout_seconds, scheme=settings.scheme)
    return RestSource(
        settings.name,
        settings.description,
        type_=settings.type,
        url=settings.url,
        client=Client(exchange, clock, dice, lane=lane, auth=signs),
        clock=clock,
        parameters=settings.parameters,
        key=key,
        overlap_seconds=settings.overlap_seconds,
        timeout_seconds=settings.timeout_seconds,
        entries_max=settings.entries_max,
        allow_empty=frozenset(settings.allow_empty),
    )


def _scim_source(settings: ScimSourceSettings, clock: Clock, dice: Dice, lanes: Lanes, connect: Connect) -> Source:
    exchange = connect(
        ca_file=settings.ca_file,
        client_cert=settings.client_cert,
        client_key=settings.client_key,
        proxy=settings.proxy,
        connections=settings.concurrency,
    )
    lane = lanes.lane(
        urlsplit(settings.url).netloc,
        f"source {settings.name}",
        concurrency=settings.concurrency,
        requests_per_second=settings.requests_per_second,
    )
    signs = signing(settings.auth, exchange, clock, timeout_seconds=settings.timeout_seconds)
    return ScimSource(
        settings.name,
        url=settings.url,
        client=Client(exchange, clock, dice, lane=lane, auth=signs),
        clock=clock,
        named=settings.attributes,
        paging=settings.paging,
        page_size=settings.page_size,
        changes=settings.changes,
        sweep=settings.sweep,
        overlap_seconds=settings.overlap_seconds,
        select=settings.select,
        members_from=settings.members_from,
        members_max=settings.members_max,
        allow_empty=frozenset(settings.allow_empty),
        timeout_seconds=settings.timeout_seconds,
        entries_max=settings.entries_max,
    )


def _ldap_source(config: Config, settings: LdapSourceSettings, clock: Clock) -> Source:
    try:
        # Only who reads a directory needs libldap.
        from reconciler.sources.ldap import LdapSource
        from reconciler.sources.ldap_layout import Layout, Place
        from reconciler.sources.ldap_refusals import Address
        from reconciler.sources.ldap_wire import Anonymous, SaslBind, SimpleBind
    except ModuleNotFoundError as error:
        problem = f"python-ldap is not installed ({error.name} is missing)"
        where = f"{config.path.name}: [sources.{settings.name}] type"
        raise ConfigError(Problem(where, problem, "pip install 'reconciler[ldap]'")) from error
    bind: SimpleBind | SaslBind | Anonymous
    match settings.bind:
        case SimpleBindSettings(dn=dn, secret=secret):
            bind = SimpleBind(dn, reader(secret))
        case "anonymous":
            bind = Anonymous()
        case mechanism:
            bind = SaslBind(mechanism)
    return LdapSource(
        settings.name,
        Address(
            settings.url,
            start_tls=settings.start_tls,
            ca_file=settings.ca_file,
            client_cert=settings.client_cert,
            client_key=settings.client_key,
            timeout_seconds=settings.timeout_seconds,
        ),
        bind,
        Layout(
            Place(settings.users_base, settings.users_filter),
            Place(settings.groups_base, settings.groups_filter),
            active_directory=settings.active_directory,
            anchor=settings.anchor,
            group_name=settings.group_name,
            members=settings.members,
            references=settings.references,
            multivalued=settings.multivalued,
            in_chain=settings.nested,
            page_size=settings.page_size,
            allow_empty=frozenset(settings.allow_empty),
        ),
        changes=settings.changes,
        clock=clock,
    )
