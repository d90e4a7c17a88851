"""Walks through the pages of one list of Microsoft Graph, to its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.core.met import Keys
from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import graph_reading
from reconciler.dialects.length import Length

NEXT = "@odata.nextLink"


class Way:
    """What is asked next of a list. Nobody is believed to be absent while there are `problems`."""

    __slots__ = ("_came", "_ids", "_length", "_links", "_root", "_told", "path", "problems")

    def __init__(self, root: str, first: str, *, told: int | None = None, entries_max: int | None = None) -> None:
        """`told` is how many Graph says there are."""
        self._root, self._told, self._length = root, told, Length(entries_max)
        self._ids, self._links, self._came = Keys(), Keys(), 0
        self._links.add([first])
        self.path: str | None = first
        """What is to be asked next, below the root; None: the list has ended."""
        self.problems: dict[str, None] = {}
        """What speaks against the list being whole."""

    def take(self, content: Mapping[str, Any]) -> list[dict[str, Any]] | Failed:
        """Return the rows of the page at `path`, each once, and go on to the next."""
        rows = content.get("value")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            return Failed(Fault.NOT_SCIM, "a page is not what Graph would answer")
        repeated = set(self._ids.add([str(row.get("id")) for row in rows]))
        fresh = [row for position, row in enumerate(rows) if position not in repeated]
        if repeated:
            self.problems["somebody came twice: the list moved while it was read"] = None
        self._came += len(fresh)
        return self.go_on(content, len(fresh)) or fresh

    def go_on(self, content: Mapping[str, Any], entries: int) -> Failed | None:
        """Go on to the page after one with so many new entries; return why that cannot be asked for."""
        link, self.path = content.get(NEXT), None
        if link is None:
            if self._told is not None and self._came < self._told:
                self.problems[f"{self._came} came of {self._told} that there are"] = None
            return None
        path = graph_reading.path_of(link, self._root)
        if path is None:
            return Failed(Fault.NOT_SCIM, elsewhere(self._root))
        if self._links.add([path]):
            return Failed(Fault.NOT_SCIM, "a page came twice: the list has no end")
        too_long = self._length.grew(entries, self._told)
        if too_long:
            self.problems[too_long] = None
        else:
            self.path = path
        return None


def elsewhere(root: str) -> str:
    """Say why a link is not followed."""
    return f"a link leads to another place than {root}: our token does not go there"
