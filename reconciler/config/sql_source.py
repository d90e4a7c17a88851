"""Turns the table of a database into its settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.config.conversion import active_of
from reconciler.config.places import look_for, secret_at
from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.settings import SqlSourceSettings
from reconciler.config.sql_table import SqlSourceTable
from reconciler.config.values import seconds

if TYPE_CHECKING:
    from sqlalchemy import URL

_QUERY = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:select|with|values|table)\b", re.I | re.S)
_TEXTS_AND_COMMENTS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.S)
_SECRET = re.compile(r"[?&](?:password|passwd|sslpassword|token)=", re.I)


def sql_source(name: str, table: SqlSourceTable, report: Report) -> SqlSourceSettings:
    """Return the settings; a secret in the URL, and what is no query, is a problem."""
    place: Place = ("sources", name)
    for part in ("users", "groups", "members"):
        if (sql := getattr(table, part)) is not None:
            _query(sql, (*place, part), report)
    return SqlSourceSettings(
        name=name,
        url=_database(table.url, (*place, "url"), report),
        users=None if table.users is None else _one(table.users),
        groups=None if table.groups is None else _one(table.groups),
        members=None if table.members is None else _one(table.members),
        key=table.key,
        changed=table.changed,
        deleted=table.deleted,
        overlap_seconds=seconds(table.overlap),
        timeout_seconds=seconds(table.timeout),
        allow_empty=frozenset(table.allow_empty),
        password=None if table.password is None else secret_at(table.password, (*place, "password"), report),
        active=active_of(table.active),
        person=table.person,
    )


def _query(sql: str, place: Place, report: Report) -> None:
    """Look at a query as far as that can be done without its database."""
    if not _QUERY.match(sql):
        report.problem(place, "is no query", "it begins with SELECT or WITH: a source is only read")
    elif ";" in _TEXTS_AND_COMMENTS.sub("", _one(sql)):
        report.problem(place, "is more than one statement", "one query, without a semicolon within it")


def _one(sql: str) -> str:
    return sql.strip().rstrip(";").rstrip()


def _database(url: str, place: Place, report: Report) -> URL:
    """Return the URL, with an absolute path where it is a file."""
    # Loaded here: it takes a fifth of what a check without a database takes.
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        report.problem(place, "is no address of a database", "for example postgresql+psycopg://reader@host/name")
        return URL.create("sqlite")
    if parsed.password is not None or _SECRET.search(url):
        report.problem(
            place, "a secret must not stand in an address", "leave the password out and name its place in password"
        )
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            report.problem(place, "names no file", "for example sqlite:///hr.db")
            return parsed
        path = report.document.directory / parsed.database
        look_for(path, place, report)
        return parsed.set(database=str(path))
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("mysql", "mariadb"):
        return parsed.set(drivername=f"{parsed.drivername}+pymysql")
    return parsed
