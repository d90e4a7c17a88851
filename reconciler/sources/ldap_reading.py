"""Reads everything that a directory shows: memberships, users, groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ldap.controls import RequestControl

from reconciler.core.met import Keys
from reconciler.core.model import Entry, Kind, SourceId
from reconciler.core.outcomes import Failed
from reconciler.dialects import ldap_filter
from reconciler.ports import EntryPage, GroupMembers, MembershipPage, ReadEnd, ReadEvent, Wanted, Watermark
from reconciler.sources.ldap_layout import IN_CHAIN, Layout
from reconciler.sources.ldap_refusals import Refused
from reconciler.sources.ldap_values import Reading, ranged, text_of
from reconciler.sources.ldap_wire import BASE, Raw, Wire

PAGE_MEMBERS = 50_000
MEMBERS_MAX = 5_000_000
"""Of one group: they are in memory together."""
GROUPS_PER_PAGE = 100
_PROBLEMS_LISTED = 20
_SHOWN_FOR_AN_ID = 10
"""So many entries with one anchor are not more than a directory of a moment in which somebody is moved."""

Part = Literal["memberships", "user", "group"]


class Resolver(Protocol):
    """Knows which entry a reference names."""

    @property
    def controls(self) -> Sequence[RequestControl]:
        """What a search must carry so that its references can be understood."""
        ...

    def ids(self, values: Sequence[bytes]) -> list[SourceId | None] | Refused:
        """Return the anchor of each; None: it names nobody who is read."""
        ...


@dataclass(slots=True)
class Problems:
    """Why a part is incomplete; an empty one says that it was complete."""

    first: list[str] = field(default_factory=list)
    count: int = 0
    fault: Failed | None = None
    """What stands against the directory as a whole."""

    def add(self, why: str) -> None:
        """Note what is wrong; nothing where `why` is empty."""
        if not why:
            return
        self.count += 1
        if len(self.first) < _PROBLEMS_LISTED:
            self.first.append(why)

    def refused(self, what: str, refused: Refused) -> None:
        del self.first[_PROBLEMS_LISTED - 1 :]  # whatever was wrong with entries, this is why there are no more
        self.add(f"{what}: {refused.why}" + (f"; {refused.hint}" if refused.hint else ""))
        self.fault = self.fault or refused.fault

    def end(self, part: Part, *, delta: bool = False) -> ReadEnd:
        more = self.count - len(self.first)
        listed = (*self.first, f"and {more:,} more") if more else tuple(self.first)
        return ReadEnd(part, complete=not self.count, problems=listed, delta=delta, fault=self.fault)


class Shaping:
    """Makes entries and memberships of what a directory answers."""

    def __init__(self, wire: Wire, layout: Layout, resolver: Resolver) -> None:
        self.wire, self.layout, self.resolver = wire, layout, resolver

    def entries(self, kind: Kind, reading: Reading, raws: Sequence[Raw], problems: Problems) -> list[Entry]:
        """Return the entries of one kind, their references as anchors; what has no anchor is a problem."""
        found: list[tuple[Raw, SourceId]] = []
        for raw in raws:
            id_ = self.layout.id_of(raw)
            if id_ is None:
                problems.add(f"{kind}s: an entry does not show one {self.layout.anchor}; may it be read?")
            else:
                found.append((raw, id_))
        anchors = self._references(reading, [raw for raw, _ in found], problems)
        if anchors is None:
            return []
        entries = []
        for raw, id_ in found:
            try:
                attributes = reading.attributes(raw.attributes)
            except (ValueError, OverflowError):
                problems.add(f"{kind}s: {id_} has a value that its attribute cannot have")
                continue
            if "id" in attributes:
                attributes["id"] = id_
            if "dn" in attributes:
                attributes["dn"] = raw.plain_dn
            for name in reading.references:
                value = attributes[name]
                if isinstance(value, str):
                    attributes[name] = anchors[value]
                elif value is not None:
                    attributes[name] = [anchor for one in value if (anchor := anchors[one]) is not None]
            entries.append(Entry(kind, id_, attributes))
        return entries

    def groups(self, raws: Sequence[Raw], problems: Problems) -> list[GroupMembers]:
        """Return groups with all of their members; one whose members cannot be told is a problem."""
        found = []
        for raw in raws:
            id_ = self.layout.id_of(raw)
            if id_ is None:
                problems.add(f"groups: an entry does not show one {self.layout.anchor}; may it be read?")
                continue
            members = self._chain(raw) if self.layout.in_chain else self._members(raw)
            if isinstance(members, Refused):
                problems.refused(f"members of a group ({id_})", members)
                continue
            name = self._name(raw)
            found.append(GroupMembers(id_, name, list(dict.fromkeys(one for one in members if one is not None))))
        return found

    def _references(
        self, reading: Reading, raws: Sequence[Raw], problems: Problems
    ) -> Mapping[str, SourceId | None] | None:
        """Return the anchor behind each reference of these entries; None where that cannot be told."""
        if not reading.references:
            return {}
        values: dict[bytes, None] = {}
        wanted = {name.lower() for name in reading.references}
        for raw in raws:
            for name, of in raw.attributes.items():
                if name.lower() in wanted:
                    values.update(dict.fromkeys(of))
        ids = self.resolver.ids(list(values))
        if isinstance(ids, Refused):
            problems.refused("whom references name", ids)
            return None
        return {text_of(value): id_ for value, id_ in zip(values, ids, strict=True)}

    def _name(self, raw: Raw) -> str:
        values, _ = ranged(raw.attributes, self.layout.group_name)
        return text_of(values[0]) if values else ""

    def _members(self, raw: Raw) -> list[SourceId | None] | Refused:
        values, at = ranged(raw.attributes, self.layout.members)
        while at is not None:
            asked = f"{self.layout.members};range={at}-*"
            more: list[Raw] | Refused = []
            for answer in self.wire.search(
                raw.plain_dn, "(objectClass=*)", [asked], scope=BASE, controls=self.resolver.controls
            ):
                more = answer
            if isinstance(more, Refused):
                return more
            if not more:
                return Refused("the group went away while its members were read")
            before = at
            further, at = ranged(more[0].attributes, self.layout.members)
            if at is not None and (not further or at <= before):
                return Refused("the directory gives ranges of members that lead nowhere")
            values += further
            if len(values) > MEMBERS_MAX:
                return Refused(f"the group has more than {MEMBERS_MAX:,} members")
        return self.resolver.ids(values)

    def _chain(self, raw: Raw) -> list[SourceId | None] | Refused:
        """Return who is in the group as the directory follows groups in groups itself."""
        users = self.layout.users
        text = ldap_filter.all_of(users.filter, f"(memberOf:{IN_CHAIN}:={ldap_filter.escaped(raw.plain_dn)})")
        found: list[SourceId | None] = []
        for answer in self.wire.search(users.base, text, [self.layout.anchor], page_size=self.layout.page_size):
            if isinstance(answer, Refused):
                return answer
            found += map(self.layout.id_of, answer)
        return found


def read_all(shaping: Shaping, wanted: Wanted, problems: Mapping[Part, Problems]) -> Iterator[ReadEvent]:
    """Yield everything that is wanted, each part closed by its end. `problems` may hold some from before."""
    if wanted.memberships:
        yield from memberships(shaping, problems["memberships"])
        yield problems["memberships"].end("memberships")
    kinds: tuple[tuple[Kind, bool], ...] = (("user", wanted.users), ("group", wanted.groups))
    for kind, asked in kinds:
        if asked:
            yield from _entries(shaping, kind, wanted, problems[kind])
            yield problems[kind].end(kind)


def membership_pages(groups: Iterable[GroupMembers]) -> Iterator[MembershipPage]:
    """Yield groups in pages that are neither too many groups nor too many members."""
    page: list[GroupMembers] = []
    weight = 0
    for group in groups:
        page.append(group)
        weight += len(group.members)
        if len(page) >= 1000 or weight >= PAGE_MEMBERS:
            yield MembershipPage(page)
            page, weight = [], 0
    if page:
        yield MembershipPage(page)


def memberships(shaping: Shaping, problems: Problems) -> Iterator[ReadEvent]:
    """Yield every group with its members."""
    layout, seen, any_shown, any_member = shaping.layout, set[SourceId](), False, False
    asked = [layout.anchor, layout.group_name, *([] if layout.in_chain else [layout.members])]

    def groups() -> Iterator[GroupMembers]:
        nonlocal any_shown, any_member
        for answer in shaping.wire.search(
            *(layout.groups.base, layout.groups.filter, asked),
            controls=shaping.resolver.controls,
            page_size=min(layout.page_size, GROUPS_PER_PAGE),
        ):
            if isinstance(answer, Refused):
                problems.refused("groups", answer)
                return
            any_shown = True
            for group in shaping.groups(answer, problems):
                if group.group_id not in seen:
                    seen.add(group.group_id)
                    any_member = any_member or bool(group.members)
                    yield group
        if not any_shown:
            problems.add(layout.nobody("group"))
        elif seen and not any_member:
            problems.add(layout.no_member())

    yield from membership_pages(groups())


def changed_memberships(
    shaping: Shaping, raws: Sequence[Raw], gone: Iterable[SourceId], problems: Problems
) -> Iterator[MembershipPage]:
    """Yield the groups that changed with all of their members, then those that are gone."""
    groups = shaping.groups(raws, problems)
    if groups and not any(group.members for group in groups):
        _look_for_members(shaping, problems)
    groups += [GroupMembers(id_, "", (), gone=True) for id_ in sorted(gone)]
    yield from membership_pages(groups)


def _look_for_members(shaping: Shaping, problems: Problems) -> None:
    """Note it where no group at all shows a member: those that changed may have theirs."""
    layout = shaping.layout
    text = f"(&{layout.groups.filter}({layout.members}=*))"
    for answer in shaping.wire.search(layout.groups.base, text, [layout.members], page_size=1):
        if isinstance(answer, Refused):
            problems.refused("members", answer)
            return
        if any(ranged(raw.attributes, layout.members)[0] for raw in answer):
            return
        break
    problems.add(layout.no_member())


def _entries(shaping: Shaping, kind: Kind, wanted: Wanted, problems: Problems) -> Iterator[ReadEvent]:
    layout = shaping.layout
    place, reading, keys, any_shown = layout.place(kind), layout.reading(kind, wanted), Keys(), False
    for answer in shaping.wire.search(
        *(place.base, place.filter, [layout.anchor, *reading.asked]),
        controls=shaping.resolver.controls if reading.references else (),
        page_size=layout.page_size,
    ):
        if isinstance(answer, Refused):
            problems.refused(f"{kind}s", answer)
            return
        any_shown = True
        # a directory may give longer pages than were asked for
        for start in range(0, len(answer), 1000):
            entries = shaping.entries(kind, reading, answer[start : start + 1000], problems)
            for position in reversed(keys.add([entry.id for entry in entries])):
                problems.add(f"{kind}s: {entries[position].id} was shown twice")
                del entries[position]
            if entries:
                yield EntryPage(kind, entries)
    if not any_shown:
        problems.add(layout.nobody(kind))


def fetched(shaping: Shaping, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> dict[SourceId, Entry | None]:
    """Return entries by their anchors; None: the directory answered, and has none; left out: it did not answer."""
    layout = shaping.layout
    place, reading = layout.place(kind), layout.reading(kind, wanted)
    found: dict[SourceId, Entry | None] = {}
    for bunch, text in layout.with_ids(dict.fromkeys(ids)):
        problems = Problems()
        entries: list[Entry] = []
        answers = (
            shaping.wire.search(
                *(place.base, f"(&{place.filter}{text})", [layout.anchor, *reading.asked]),
                controls=shaping.resolver.controls,
                page_size=layout.page_size,
            )
            if text
            else ()
        )
        for answer in answers:
            if isinstance(answer, Refused):
                problems.refused(f"{kind}s", answer)
            else:
                entries += shaping.entries(kind, reading, answer, problems)
            if len(entries) > _SHOWN_FOR_AN_ID * len(bunch):
                problems.add(f"{kind}s: many more came than were asked for")
                break
        found.update((entry.id, entry) for entry in entries)
        if not problems.count:
            found.update((id_, None) for id_ in bunch if id_ not in found)
    return {} if found and not any(found.values()) and not _shows_anybody(shaping, kind) else found


def _shows_anybody(shaping: Shaping, kind: Kind) -> bool:
    """Whether there is anybody where they are looked for: who may not read them is told that there are none."""
    layout = shaping.layout
    if f"{kind}s" in layout.allow_empty:
        return True
    place = layout.place(kind)
    for answer in shaping.wire.search(place.base, place.filter, [layout.anchor], page_size=1):
        return not isinstance(answer, Refused)
    return False


def ends(wanted: Wanted, problems: dict[Part, Problems]) -> Iterator[ReadEvent]:
    """Yield the ends of what could not be begun."""
    parts: tuple[tuple[Part, bool], ...] = (
        ("memberships", wanted.memberships),
        ("user", wanted.users),
        ("group", wanted.groups),
    )
    for part, asked in parts:
        if asked:
            yield problems[part].end(part)
    yield Watermark(None)
