"""Makes one entry of what several sources say of a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from reconciler.core.model import PSEUDO_ATTRIBUTES, Entry, SourceId
from reconciler.ports import Wanted
from reconciler.sources.joined_copy import Copy, Found

NAMED_MAX = 5
"""Of so many entries that share a key the ids are named."""
_OF_THE_FIRST = PSEUDO_ATTRIBUTES | {"id", "objectId"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value may come from."""

    side: int
    attribute: str


@dataclass(frozen=True, slots=True)
class Joining:
    """How sources are joined. The first decides who exists."""

    names: tuple[str, ...]
    keys: tuple[str, ...]
    """The attribute of each that is the same for one human in all."""
    attributes: Mapping[str, tuple[Origin, ...]]
    """Where a value comes from, the best first; an attribute that is not named is the first source's."""
    references: frozenset[str] = frozenset()
    """The attributes that hold ids of people."""
    ignore_case: bool = False
    everywhere: bool = False
    """Only who is in each of the sources exists."""

    def origins(self, attribute: str) -> tuple[Origin, ...]:
        if attribute in _OF_THE_FIRST:
            return (Origin(0, attribute),)
        return self.attributes.get(attribute, (Origin(0, attribute),))

    def wanted_of(self, side: int, wanted: Wanted) -> Wanted:
        """Return what is asked of one of the sources: of the others than the first, users alone."""
        asked = {
            origin.attribute for name in wanted.user_attributes for origin in self.origins(name) if origin.side == side
        }
        asked.add(self.keys[side])
        if side == 0:
            return replace(wanted, user_attributes=frozenset(asked), users=True)
        return Wanted(frozenset(asked), frozenset())

    def described(self) -> str:
        """Return the keys and rules in a form that is the same for the same rules."""
        said = {**asdict(self), "references": sorted(self.references)}
        return orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()


def key_of(joining: Joining, side: int, entry: Entry) -> str | None:
    """Return the key of an entry, None where it has none or several."""
    name = joining.keys[side]
    value = entry.attributes.get(name)
    if value is None and name == "id":
        value = entry.id
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    if value is None or isinstance(value, dict | list):
        return None
    text = str(value).strip()
    return (text.casefold() if joining.ignore_case else text) or None


def names_in(joining: Joining, side: int, attributes: Mapping[str, Any]) -> list[str]:
    """Return the ids of other entries of the same source that an entry refers to."""
    names: list[str] = []
    for reference in joining.references:
        for origin in joining.origins(reference):
            if origin.side == side:
                names += _ids(attributes.get(origin.attribute))
    return names


class Merger:
    """Joins pages of the first source's entries with what the others say."""

    def __init__(self, copy: Copy, joining: Joining, trusted: Sequence[bool], wanted: Wanted) -> None:
        """`trusted`: of each source, whether it was read to its end, so that who is not there is absent."""
        self._copy, self._joining, self._trusted = copy, joining, trusted
        self._origins = {name: joining.origins(name) for name in wanted.user_attributes}
        self.withheld: list[SourceId] = []
        """Who is there and not known well enough to be shown."""
        self.doubled: set[SourceId] = set()
        """Those of them whose key another one has, too."""
        self.missing: list[SourceId] = []
        """Who does not exist, because a source lacks her."""
        self._unknown = 0
        self._doubles: dict[int, list[str]] = {}
        self._doubles_count: dict[int, int] = {}
        self._told: set[tuple[int, str]] = set()

    def taken_withheld(self) -> list[SourceId]:
        """Return whom the pages so far withheld, once."""
        withheld, self.withheld = self.withheld, []
        return withheld

    def merged(self, rows: Sequence[tuple[SourceId, str | None, bytes]]) -> list[Entry]:
        """Return the entries of a page, without those who do not exist or are not known well enough."""
        joining, sides = self._joining, range(1, len(self._joining.names))
        keys = list({key for _, key, _ in rows if key is not None})
        firsts = self._copy.with_keys(0, keys)
        partners = {side: self._copy.with_keys(side, keys) for side in sides}
        known: list[tuple[SourceId, list[Mapping[str, Any] | None]]] = []
        for id_, key, body in rows:
            if key is not None and firsts[key].id != id_:
                self._double(0, key, [id_])
                self.withheld.append(id_)
                self.doubled.add(id_)
                continue
            found = {side: partners[side].get(key) if key is not None else None for side in sides}
            lacking = [side for side in sides if found[side] is None]
            if any(not self._trusted[side] for side in lacking):
                self._unknown += 1
                self.withheld.append(id_)
                continue
            if lacking and joining.everywhere:
                self.missing.append(id_)
                continue
            for side, one in found.items():
                if one is not None and one.entries > 1 and key is not None:
                    self._double(side, key, [], one)
            said = [
                orjson.loads(body),
                *(None if (f := found[side]) is None else orjson.loads(f.body) for side in sides),
            ]
            known.append((id_, said))
        return self._entries(known)

    def problems(self) -> list[str]:
        """Return in sentences what was found on the way: keys that several entries share, and people not known."""
        said = []
        for side, ids in sorted(self._doubles.items()):
            count, name, key = self._doubles_count[side], self._joining.names[side], self._joining.keys[side]
            what = (
                f"left as they are: {', '.join(ids)}{' …' if count > len(ids) else ''}"
                if side == 0
                else f"the one with the lowest id is used: {', '.join(ids)}{' …' if count > len(ids) else ''}"
            )
            said.append(f"{name}: {count} with a {key} that another one has, too; {what}")
        if self._unknown:
            lacking = [name for name, good in zip(self._joining.names, self._trusted, strict=True) if not good]
            said.append(f"{self._unknown} people are left as they are: not all of {', '.join(lacking)} could be read")
        return said

    def _double(self, side: int, key: str, ids: Sequence[str], found: Found | None = None) -> None:
        if side and (side, key) in self._told:
            return
        self._told.add((side, key))
        self._doubles_count[side] = self._doubles_count.get(side, 0) + 1
        listed = self._doubles.setdefault(side, [])
        if len(listed) < NAMED_MAX:
            listed += ids or ([found.id] if found is not None else [])

    def _entries(self, known: Sequence[tuple[SourceId, list[Mapping[str, Any] | None]]]) -> list[Entry]:
        translated = self._translations(said for _, said in known)
        entries = []
        for id_, said in known:
            attributes: dict[str, Any] = {}
            for name, origins in self._origins.items():
                value: Any = None
                for origin in origins:
                    of = said[origin.side]
                    value = None if of is None else of.get(origin.attribute)
                    if value not in (None, "", []):
                        if origin.side and name in self._joining.references:
                            value = _renamed(value, translated[origin.side])
                        break
                attributes[name] = value
            if _UNKNOWN in attributes.values() or any(
                isinstance(value, list) and _UNKNOWN in value for value in attributes.values()
            ):
                self._unknown += 1
                self.withheld.append(id_)
                continue
            entries.append(Entry("user", id_, attributes))
        return entries

    def _translations(self, all_said: Iterable[list[Mapping[str, Any] | None]]) -> dict[int, Mapping[str, Any]]:
        """Return for each other source what the first one calls the people whom its entries refer to."""
        asked: dict[int, set[str]] = {side: set() for side in range(1, len(self._joining.names))}
        for said in all_said:
            for side, ids in asked.items():
                if (of := said[side]) is not None:
                    ids.update(names_in(self._joining, side, of))
        found: dict[int, Mapping[str, Any]] = {}
        for side, ids in asked.items():
            names: dict[str, Any] = dict(self._copy.in_first(side, sorted(ids))) if ids else {}
            if not (self._trusted[0] and self._trusted[side]):
                names = {**dict.fromkeys(ids, _UNKNOWN), **names}
            found[side] = names
        return found


_UNKNOWN = object()


def _ids(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(one) for one in values if one not in (None, "")]


def _renamed(value: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [names[str(one)] for one in value if str(one) in names]
    return names.get(str(value))
