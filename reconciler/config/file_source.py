"""Turns the table of a source that is files into settings."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from reconciler.config.conversion import active_of
from reconciler.config.file_table import FileSourceTable
from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.settings import FileSourceSettings
from reconciler.config.values import seconds

FILE_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv")
_PACKED = ".gz"


def file_source(name: str, table: FileSourceTable, report: Report) -> FileSourceSettings:
    """Return the settings."""
    place: Place = ("sources", name)
    if table.encoding is not None and not _is_of_text(table.encoding):
        report.problem((*place, "encoding"), "is no encoding that is known", 'for example "cp1252" or "utf-16"')
    directory = report.document.directory
    kept = None
    if table.changes is not None:
        beside = os.environ.get("STATE_DIRECTORY", "").split(":")[0] or str(directory)
        kept = Path(beside, f"{name}.kept.db") if table.kept is None else directory / table.kept
    return FileSourceSettings(
        name=name,
        users=_rows_file(table.users, (*place, "users"), report),
        groups=_rows_file(table.groups, (*place, "groups"), report),
        key=table.key,
        members=table.members,
        allow_empty=frozenset(table.allow_empty),
        max_age_seconds=None if table.max_age is None else seconds(table.max_age),
        encoding=table.encoding,
        delimiter=table.delimiter,
        changes=_rows_file(table.changes, (*place, "changes"), report),
        operation=table.operation,
        kind=table.kind,
        sequence=table.sequence,
        end_row=table.end_row,
        kept=kept,
        archive=None if table.archive is None else directory / table.archive,
        active=active_of(table.active),
        person=table.person,
    )


def _rows_file(name: str | None, place: Place, report: Report) -> Path | None:
    if name is None:
        return None
    path = report.document.directory / name
    inner = Path(path.stem) if path.suffix.lower() == _PACKED else path
    if inner.suffix.lower() not in FILE_SUFFIXES:
        report.problem(place, "the file's suffix says nothing of its format", f"one of {', '.join(FILE_SUFFIXES)}")
    if any(wild in str(Path(name).parent) for wild in "*?["):
        report.problem(place, "only the last name of a path can be a pattern")
    return path


def _is_of_text(encoding: str) -> bool:
    try:
        "".encode(encoding)
    except (LookupError, UnicodeError):
        return False
    return codecs.lookup(encoding).name != "idna"
