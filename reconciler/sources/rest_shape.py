"""Makes entries of the items of a system with a REST API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from reconciler.core.model import PSEUDO_ATTRIBUTES, Entry, Kind, SourceId
from reconciler.dialects import rest
from reconciler.dialects.rest import Entries, Unreadable
from reconciler.sources.rest_joined import Joined

_NOT_FIELDS = PSEUDO_ATTRIBUTES | {"objectId"}
_TRIED = {"userPrincipalName", "userName", "mail", "displayName"}
"""What rules look at where it is there."""


class Lacking(Unreadable):
    """A page has nothing of what rules read and nobody described. Nothing of the list was given yet."""


def undescribed(entries: Entries, wanted: frozenset[str]) -> frozenset[str]:
    """Return the attributes that nobody described: fields of this name, which the first page must have."""
    return wanted - _NOT_FIELDS - {"id"} - entries.attributes.keys()


def lacking(page: Sequence[Mapping[str, Any]], fields: Set[str]) -> str:
    """Return why a list cannot be used whose first page this is; empty where it can."""
    missing = sorted(name for name in fields if not any(rest.has(item, name) for item in page))
    return f"there is no {', '.join(missing)}: describe it in [sources.X.attributes]" if page and missing else ""


class Shape:
    """What attributes are taken from where. `joined` holds the lists of `joins` when the first entry is made."""

    __slots__ = ("_allow_empty", "_entries", "_joined", "_open", "any", "joins", "kind", "takes")

    def __init__(
        self, kind: Kind, entries: Entries, wanted: frozenset[str], joined: Joined, allow_empty: Set[str]
    ) -> None:
        """`allow_empty`: the names of joined lists that may have nothing in them."""
        self.kind, self._entries, self._joined, self._allow_empty = kind, entries, joined, allow_empty
        names, described = wanted - _NOT_FIELDS, {"id": rest.Take(entries.listing.id), **entries.attributes}
        self._open = undescribed(entries, wanted)
        self.takes = {name: described.get(name, rest.Take(name)) for name in names | (_TRIED & described.keys())}
        used = {take.path.split(".")[0] for take in self.takes.values()}
        self.joins = [join for join in entries.joins if join.name in used]
        self.any = False

    def judged(self, page: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the page. Raises Lacking where the first lacks what rules read and nobody described."""
        if page and not self.any:
            if why := lacking(page, self._open):
                raise Lacking(why)
            self.any = True
        return page

    def entries(self, items: Sequence[Mapping[str, Any]]) -> list[Entry]:
        """Return an entry for each item, with what hangs on it. Raises Unreadable where a list has nothing for anybody.

        What rules read of it would seem to be empty for everybody, as where a right was taken away.
        """
        hung: list[dict[str, Any]] = [{} for _ in items]
        for join in self.joins:
            keys = [rest.id_of(item, join.on) for item in items]
            # by their own id nobody says that there is something for them: an optional list may well be empty
            says = join.on != self._entries.listing.id and any(keys)
            if says and join.name not in self._joined.filled | self._allow_empty:
                hint = f'where that is right: allow_empty = ["{join.name}"]'
                raise Unreadable(f"{join.name}: there is none, though {self.kind}s have something there ({hint})")
            found = self._joined.among(join.name, {key for key in keys if key is not None})
            for on_it, key in zip(hung, keys, strict=True):
                its = found.get(key, []) if key is not None else []
                # of several, where there is to be one, the last counts
                on_it[join.name] = its if join.many else its[-1] if its else None
        return [self._entry({**item, **on_it} if on_it else item) for item, on_it in zip(items, hung, strict=True)]

    def _entry(self, item: Mapping[str, Any]) -> Entry:
        source_id = rest.id_of(item, self._entries.listing.id)
        assert source_id is not None
        attributes = {name: rest.taken(item, take) for name, take in self.takes.items()}
        gone = False
        if self._entries.deleted is not None:
            gone = str(rest.value_at(item, self._entries.deleted)) in self._entries.deleted_is
        return Entry(self.kind, SourceId(source_id), attributes, gone=gone)
