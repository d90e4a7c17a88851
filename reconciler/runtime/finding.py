"""Finds in the source, and among the links, whom a person means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.core.levelling import spoken
from reconciler.core.model import KINDS, Job, Kind, SourceId
from reconciler.core.naming import Named, called, naming_attributes, nearest
from reconciler.ports import EntryPage, MembershipPage, ReadEnd, ReadEvent, Source, Store, Wanted


@dataclass(frozen=True, slots=True)
class NotOne:
    """A name that is not that of just one entry."""

    name: str
    found: tuple[Named, ...] = ()
    """Several entries have it."""
    nearest: tuple[str, ...] = ()
    """None has it; these are like it."""
    unread: tuple[str, ...] = ()
    """None has it, of what could be read: the source was not read whole, for these reasons."""

    def __str__(self) -> str:
        if self.found:
            several = ", ".join(f"{one.kind} {one.id} ({one.name}, by {one.by})" for one in self.found)
            return f"{self.name} is not one: {several}; name one by its source id"
        if self.unread:
            return f"nobody called {self.name} was found, but the source could not be read whole: {self.unread[0]}"
        near = f"; did you mean {', '.join(self.nearest)}?" if self.nearest else ""
        return f"the source has no user or group called {self.name}{near}"


async def find(
    source: Source, store: Store, job: Job, wanted: Wanted, names: Sequence[str]
) -> tuple[list[Named], list[NotOne]]:
    """Return the entries of these names in their order, and the names that are not those of one entry.

    A source id goes before every other name. Who is not in the source any more is found by the link.
    """
    search = _Search(job, tuple(dict.fromkeys(names)))
    users = await source.fetch("user", [SourceId(name) for name in search.names], wanted) if wanted.users else {}
    for entry in users.values():
        if entry is not None:
            search.by_id(Named("user", entry.id, _display(entry.attributes), "id"))
    await search.read(source, wanted)
    for name in search.missing:
        search.linked(name, [(one.kind, one.source_id, one.name) for one in await store.list_links(job.name, name)])
    if search.missing:
        await search.read(source, wanted, look_for_nearest=True)
    return search.result()


class _Search:
    """What a reading has shown of some names."""

    def __init__(self, job: Job, names: Sequence[str]) -> None:
        self.names = names
        self.found: dict[str, list[Named]] = {name: [] for name in names}
        self._exact: set[str] = set()
        self._folded: dict[str, list[str]] = {}
        for name in names:
            self._folded.setdefault(spoken(name), []).append(name)
        self._by: Mapping[Kind, Sequence[str]] = {kind: naming_attributes(job.rules(kind)) for kind in KINDS}
        self._nearest: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
        self._problems: list[str] = []

    def by_id(self, one: Named) -> None:
        """Take an entry that a name is the source id of; whatever else has the name is not meant."""
        if one.id not in self._exact:
            self._exact.add(one.id)
            self.found[one.id] = []
        self.found[one.id].append(one)

    @property
    def missing(self) -> list[str]:
        return [name for name in self.names if not self.found[name]]

    async def read(self, source: Source, wanted: Wanted, *, look_for_nearest: bool = False) -> None:
        """Look through groups and users where a name is no user's id; or for names that are like those of nobody."""
        if len(self._exact) == len(self.names):
            return
        async for event in source.read(replace(wanted, groups=False, memberships=True, once=True), None):
            if look_for_nearest:
                self._note_near(event)
                continue
            match event:
                case MembershipPage(groups=groups):
                    for group in groups:
                        self._group(Named("group", group.group_id, group.name, "displayName", group.members))
                case EntryPage(entries=entries):
                    for entry in entries:
                        if (met := called(entry.attributes, self._folded, self._by["user"])) is not None:
                            self._met(met[0], Named("user", entry.id, _display(entry.attributes), met[1]))
                case ReadEnd(part="user" | "group", complete=False, problems=problems):
                    self._problems += problems
                case _:
                    pass

    def _group(self, group: Named) -> None:
        if group.id in self.found:
            self.by_id(group._replace(by="id"))
        else:
            self._met(spoken(group.name), group)

    def _met(self, folded: str, one: Named) -> None:
        for name in self._folded.get(folded, ()):
            if name not in self._exact:
                self.found[name].append(one)

    def _note_near(self, event: ReadEvent) -> None:
        known: list[str] = []
        match event:
            case MembershipPage(groups=groups):
                known = [group.name for group in groups]
            case EntryPage(entries=entries):
                known = [str(entry.attributes.get(self._by["user"][0]) or entry.id) for entry in entries]
            case _:
                return
        for name in self.missing:
            self._nearest[name] = nearest(name, known, self._nearest[name])

    def linked(self, name: str, links: Sequence[tuple[Kind, SourceId, str]]) -> None:
        """Take those whom the state knows by this name: who is gone from the source, too, may have an account."""
        for kind, source_id, known_as in links:
            if name == source_id or spoken(known_as) == spoken(name):
                self.found[name].append(Named(kind, source_id, known_as, "link"))

    def result(self) -> tuple[list[Named], list[NotOne]]:
        named, problems = [], []
        for name in self.names:
            if len(self.found[name]) == 1:
                named.append(self.found[name][0])
            elif self.found[name]:
                problems.append(NotOne(name, tuple(self.found[name])))
            else:
                problems.append(NotOne(name, nearest=self._nearest[name], unread=tuple(self._problems)))
        return list({(one.kind, one.id): one for one in named}.values()), problems


def _display(attributes: Mapping[str, object]) -> str:
    value = attributes.get("displayName")
    return value if isinstance(value, str) else ""
