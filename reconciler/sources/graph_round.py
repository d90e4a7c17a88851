"""Reads one round of a delta query to its end, from a link that was kept or from the beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from reconciler.dialects import graph_reading
from reconciler.dialects.graph_paging import elsewhere
from reconciler.dialects.halves import NO_CHARACTER
from reconciler.ports.source import Part
from reconciler.sources.graph_spool import Spool
from reconciler.sources.graph_wire import GraphWire, StartOver, Unreadable, rows_of

Shorten = Callable[[dict[str, Any]], Any]
"""Makes of a row what is kept of it, or None."""


@dataclass(slots=True)
class Token:
    """The watermark: for each part the question that was asked, and the link that goes on from there."""

    tenant: str
    links: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None, tenant: str) -> Token:
        """Return what was kept; nothing of another tenant, and nothing of what cannot be read."""
        try:
            kept = orjson.loads(text) if text is not None else None
        except orjson.JSONDecodeError:
            kept = None
        found = cls(tenant)
        if isinstance(kept, dict) and kept.get("of") == tenant and isinstance(kept.get("links"), dict):
            for part, one in kept["links"].items():
                if isinstance(one, list) and len(one) == 2 and all(isinstance(text, str) for text in one):
                    found.links[part] = (one[0], one[1])
        return found

    def link(self, part: Part, question: str) -> str | None:
        """Return the link that goes on with this question; None where another one was asked."""
        asked, link = self.links.get(part, ("", ""))
        return link if asked == _digest(question) else None

    def keep(self, part: Part, question: str, link: str) -> None:
        if len(link) <= graph_reading.LINK_CHARACTERS_MAX:
            self.links[part] = (_digest(question), link)

    def text(self) -> str:
        return orjson.dumps({"of": self.tenant, "links": self.links}, option=orjson.OPT_SORT_KEYS).decode()


@dataclass(slots=True)
class Round:
    """A round that was read to its end. `delta`: it says what changed, not what there is."""

    spool: Spool
    delta: bool
    link: str

    def by_id(self) -> Iterator[dict[str, list[Any]]]:
        """Yield what was said, by id: everything that was said of an entry comes together, in order."""
        for records in self.spool.parts():
            found: dict[str, list[Any]] = {}
            for record in records:
                id_, *said = orjson.loads(record)
                found.setdefault(id_, []).append(said[0])
            yield found


class Rounds:
    """Reads rounds."""

    def __init__(self, wire: GraphWire) -> None:
        self._wire = wire

    async def read(self, spool: Spool, first: str, link: str | None, shorten: Shorten, *, doing: str) -> Round:
        """Read a round into a spool. A link that is too old has everything read anew, once.

        Raises Unreadable, where anything of the round is.
        """
        way, delta, begun_anew = self._wire.way(link or first), link is not None, False
        while way.path is not None:
            try:
                content = await self._wire.get(way.path, doing=doing)
            except StartOver:
                if begun_anew or (way.path == first and not delta):
                    raise Unreadable(f"{doing}: Graph says again and again that everything must be read anew") from None
                spool.clear()
                way, delta, begun_anew = self._wire.way(first), False, True
                continue
            rows = rows_of(content, doing=doing)
            for row in rows:
                id_ = row.get("id")
                if not isinstance(id_, str) or not id_ or NO_CHARACTER in id_:
                    raise Unreadable(f"{doing}: a row has no id")
                spool.put(id_, orjson.dumps([id_, shorten(row)]))
            astray = way.go_on(content, len(rows))
            if astray is not None:
                raise Unreadable(f"{doing}: {astray.reason}")
        if way.problems:
            raise Unreadable(f"{doing}: {next(iter(way.problems))}")
        return Round(spool, delta, self._end(content, doing))

    def _end(self, content: Mapping[str, Any], doing: str) -> str:
        """Return what the next round begins with: the path of the link on the last page."""
        link = content.get("@odata.deltaLink")
        if link is None:
            raise Unreadable(f"{doing}: a page says neither how it goes on nor that it is the last one")
        path = graph_reading.path_of(link, self._wire.url)
        if path is None:
            raise Unreadable(f"{doing}: {elsewhere(self._wire.url)}")
        return path


def _digest(question: str) -> str:
    return blake2b(question.encode(), digest_size=8).hexdigest()
