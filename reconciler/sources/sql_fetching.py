"""Fetches the rows of some keys from a database."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from reconciler.core.met import Keys
from reconciler.core.model import Entry, SourceId
from reconciler.ports import chunks
from reconciler.sources.sql_part import Part, Problems, need
from reconciler.sources.sql_queries import Query, columns, scalar, streamed

_AT_ONCE = 500


def fetched(
    connection: Connection, part: Part, ids: Sequence[SourceId], *, may_be_empty: bool
) -> dict[SourceId, Entry | None]:
    """Return the entry of each id; None: no row has it, or the row is marked as deleted. Raises Unusable.

    Nothing is known of anybody where the query gives no rows at all, unless that may be.
    """
    found: dict[SourceId, Entry | None] = {}
    if part.sql is None:
        return found
    query, key = Query(part.sql), part.queries.key
    need(columns(connection, query), part.needed)
    sample = scalar(connection, query.first(key))
    if sample is None and not may_be_empty:
        return found
    for some in chunks(ids, _AT_ONCE):
        rows: dict[SourceId, Entry] = {}
        values, as_text = _as_stored(some, sample)
        for given, page in streamed(connection, query.among(key, values, as_text=as_text)):
            entries = part.entries(given, page, Keys(), Problems("", lambda _: None))
            rows.update((entry.id, entry) for entry in entries if not entry.gone)
        found.update({one: rows.get(one) for one in some})
    return found


def _as_stored(ids: Sequence[SourceId], sample: Any) -> tuple[list[Any], bool]:
    """Return ids in the type of the key's column, so that its index can be used; else as text, to be compared so."""
    if isinstance(sample, bool) or not isinstance(sample, str | int | Decimal | UUID):
        return list(ids), True
    if isinstance(sample, str):
        return list(ids), False
    values: list[Any] = []
    for one in ids:
        try:
            # as text, 5.00 would not be the whole number that its id is
            values.append(UUID(one) if isinstance(sample, UUID) else int(one))
        except ValueError:
            continue  # no row can have it
    return values, False
