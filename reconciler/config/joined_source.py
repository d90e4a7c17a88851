"""Turns the table of a joined source into its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.config.conversion import active_of
from reconciler.config.joined_table import JoinedSourceTable
from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.settings import JoinedSourceSettings
from reconciler.config.shape import nearest


def joined_source(name: str, table: JoinedSourceTable, report: Report) -> JoinedSourceSettings:
    """Return the settings; a part that is not there, or is joined itself, is a problem."""
    place: Place = ("sources", name)
    written = report.written("sources")
    known: Any = written if isinstance(written, Mapping) else {}
    for position, part in enumerate(table.of):
        at: Place = (*place, "of", position)
        if part not in known:
            report.problem(at, f"unknown source {part!r}", nearest(part, known))
        elif part in table.of[:position]:
            report.problem(at, f"{part} is named twice")
        elif isinstance(known[part], Mapping) and known[part].get("type") == "joined":
            report.problem(at, f"{part} is a joined source itself", "name its parts here")
    for part in table.of:
        if part not in table.key:
            report.problem((*place, "key"), f"says nothing of {part}", f'{{ {part} = "employeeNumber", … }}')
    for part in table.key:
        if part not in table.of:
            report.problem((*place, "key", part), f"{part} is not one of the joined", nearest(part, table.of))
    return JoinedSourceSettings(
        name=name,
        of=tuple(table.of),
        keys=tuple(table.key.get(part, "") for part in table.of),
        everywhere=table.exists == "all",
        attributes={
            attribute: tuple(
                origin
                for position, text in enumerate(origins)
                if (origin := _origin(text, attribute, table.of, (*place, "attributes", attribute, position), report))
            )
            for attribute, origins in table.attributes.items()
        },
        references=frozenset(table.references),
        ignore_case=table.ignore_case,
        active=active_of(table.active),
        person=table.person,
    )


def _origin(text: str, attribute: str, of: list[str], place: Place, report: Report) -> tuple[str, str] | None:
    """Return the source and its attribute: "hr.job_title", or "hr" where it is called the same there."""
    for part in sorted(of, key=len, reverse=True):
        if text == part:
            return part, attribute
        if text.startswith(f"{part}.") and len(text) > len(part) + 1:
            return part, text[len(part) + 1 :]
    report.problem(place, "names none of the joined sources", f'for example "{of[0]}.{attribute}"')
    return None
