"""Turns the table of a directory into its settings."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal
from urllib.parse import urlsplit

from reconciler.config.conversion import active_of
from reconciler.config.ldap_table import BindTable, LdapSourceTable, SimpleBindTable
from reconciler.config.places import existing_file, is_loopback, secret_at
from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.settings import LdapSourceSettings, SimpleBindSettings
from reconciler.config.values import seconds

_MECHANISMS: dict[Literal["external", "gssapi", "anonymous"], Literal["EXTERNAL", "GSSAPI", "anonymous"]] = {
    "external": "EXTERNAL",
    "gssapi": "GSSAPI",
    "anonymous": "anonymous",
}
_USERS = "(objectClass=inetOrgPerson)"
_GROUPS = "(objectClass=groupOfNames)"
_USERS_OF_AD = "(&(objectCategory=person)(objectClass=user))"
_GROUPS_OF_AD = "(objectClass=group)"


def ldap_source(name: str, table: LdapSourceTable, report: Report) -> LdapSourceSettings:
    """Return the settings; what cannot be used, and a way that is not protected, is a problem."""
    place: Place = ("sources", name)
    if find_spec("ldap") is None:
        report.warning((*place, "type"), "python-ldap is not installed", "pip install 'reconciler[ldap]'")
    _look_at_url(table, (*place, "url"), report)
    directory = table.directory == "active_directory"
    return LdapSourceSettings(
        name=name,
        url=table.url.rstrip("/"),
        start_tls=table.start_tls,
        ca_file=existing_file(table.ca_file, (*place, "ca_file"), report),
        client_cert=existing_file(table.client_cert, (*place, "client_cert"), report),
        client_key=existing_file(table.client_key, (*place, "client_key"), report),
        bind=_bind(table.bind, (*place, "bind"), report),
        active_directory=directory,
        users_base=table.users_base or table.base,
        users_filter=table.users or (_USERS_OF_AD if directory else _USERS),
        groups_base=table.groups_base or table.base,
        groups_filter=table.groups or (_GROUPS_OF_AD if directory else _GROUPS),
        anchor=table.anchor or ("objectGUID" if directory else "entryUUID"),
        group_name=table.group_name,
        members=table.members,
        nested=table.nested,
        references=frozenset(one.lower() for one in table.references),
        multivalued=frozenset(one.lower() for one in table.multivalued),
        changes=table.changes,
        page_size=table.page_size,
        timeout_seconds=seconds(table.timeout),
        allow_empty=frozenset(table.allow_empty),
        active=active_of(table.active),
        person=table.person,
    )


def _bind(
    table: BindTable, place: Place, report: Report
) -> SimpleBindSettings | Literal["EXTERNAL", "GSSAPI", "anonymous"]:
    if isinstance(table, SimpleBindTable):
        return SimpleBindSettings(table.dn, secret_at(table.password, (*place, "password"), report))
    return _MECHANISMS[table.type]


def _look_at_url(table: LdapSourceTable, place: Place, report: Report) -> None:
    try:
        parts = urlsplit(table.url)
        _ = parts.port
    except ValueError:
        report.problem(place, "is no address of a directory", "for example ldaps://directory.example.com")
        return
    if parts.query or parts.fragment or parts.username is not None or parts.path not in ("", "/"):
        report.problem(place, "must have a host and a port, and nothing more", "base, filter and bind are keys")
    elif not parts.netloc:
        report.problem(place, "names no host", "for example ldaps://directory.example.com")
    elif parts.scheme == "ldap" and not table.start_tls and not is_loopback(parts.hostname or ""):
        hint = "ldaps://, or start_tls = true"
        report.problem(place, "people's data and the password would travel unprotected", hint)
