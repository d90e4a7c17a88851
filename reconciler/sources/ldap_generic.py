"""Reads an ordinary LDAP directory: everything, or where the server can tell, what changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Sequence, Set
from dataclasses import replace

from ldap.controls import RequestControl

from reconciler.core.model import KINDS, Entry, Kind, SourceId
from reconciler.ports import Clock, EntryPage, ReadEnd, ReadEvent, Wanted, Watermark, chunks
from reconciler.sources import ldap_search as search
from reconciler.sources import ldap_sync as sync
from reconciler.sources.ldap_layout import Changes, Layout
from reconciler.sources.ldap_names import Names, canonical, is_below
from reconciler.sources.ldap_reading import Part, Problems, Shaping, changed_memberships, ends, fetched, read_all
from reconciler.sources.ldap_refusals import Refused
from reconciler.sources.ldap_token import Token
from reconciler.sources.ldap_values import text_of, values_of
from reconciler.sources.ldap_wire import Raw, Wire

SYNCREPL, SEARCH = "syncrepl", "search"
_IN_FLIGHT = 200
_CHANGES_MAX = 20_000
"""More than this is read as a whole: a delta is kept in memory."""
_OF_OTHERS = frozenset({"memberof", "ismemberof", "hassubordinates", "numsubordinates", "entrydn"})
"""Attributes that change without a change of the entry that shows them."""


class _ByName:
    """Finds the anchors behind DNs: in the names that a reading has shown, else at the directory itself."""

    controls: Sequence[RequestControl] = ()

    def __init__(self, wire: Wire, layout: Layout, names: Names) -> None:
        self._wire, self._layout, self._names = wire, layout, names
        self._bases = [canonical(layout.place(kind).base) or "" for kind in KINDS]

    def ids(self, values: Sequence[bytes]) -> list[SourceId | None] | Refused:
        dns = list(map(text_of, values))
        ids = self._names.ids(dns)
        missing = [n for n, id_ in enumerate(ids) if id_ is None and self._may_be_ours(dns[n])]
        found: list[tuple[str, SourceId]] = []
        for positions in chunks(missing, _IN_FLIGHT):
            answers = self._wire.several([dns[n] for n in positions], "(objectClass=*)", [self._layout.anchor])
            for n, answer in zip(positions, answers, strict=True):
                if isinstance(answer, Refused):
                    return answer
                if answer is not None and (id_ := self._layout.id_of(answer)) is not None:
                    ids[n] = id_
                    found.append((dns[n], id_))
        self._names.add(found)
        return ids

    def _may_be_ours(self, dn: str) -> bool:
        name = canonical(dn)
        return name is not None and any(is_below(name, base) for base in self._bases)


class GenericDirectory:
    """One directory, read from one thread."""

    def __init__(self, wire: Wire, layout: Layout, *, changes: Changes, clock: Clock) -> None:
        self._wire, self._layout, self._changes, self._clock = wire, layout, changes, clock

    def read(self, wanted: Wanted, since: str | None) -> Iterator[ReadEvent]:
        """Yield what `ports.Source.read` promises."""
        problems: dict[Part, Problems] = {"memberships": Problems(), "user": Problems(), "group": Problems()}
        ended = set[str]()
        try:
            for event in self._read(wanted, since, problems):
                if isinstance(event, ReadEnd):
                    ended.add(event.part)
                yield event
        except sqlite3.Error as error:
            for each in problems.values():
                each.add(f"names cannot be kept ({error}): is there room in the temporary directory?")
            yield from (end for end in ends(wanted, problems) if not isinstance(end, ReadEnd) or end.part not in ended)

    def _read(self, wanted: Wanted, since: str | None, problems: dict[Part, Problems]) -> Iterator[ReadEvent]:
        if refused := self._wire.open():
            for each in problems.values():
                each.refused("the directory", refused)
            yield from ends(wanted, problems)
            return
        kinds = [kind for kind in KINDS if (kind == "user" and wanted.users) or (kind == "group" and _groups(wanted))]
        ways = self._ways(wanted)
        bound = Token("", self._server() if ways else "", self._layout.digest(wanted))
        if ways and since is not None:
            delta = yield from self._delta(wanted, kinds, ways, bound, since, problems)
            if delta:
                return
        yield from self._full(wanted, kinds, ways, bound, problems)

    def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> dict[SourceId, Entry | None]:
        """Return what `ports.Source.fetch` promises."""
        names = Names()
        try:
            return fetched(
                Shaping(self._wire, self._layout, _ByName(self._wire, self._layout, names)), kind, ids, wanted
            )
        except sqlite3.Error:  # there is no room for their names
            return {}
        finally:
            names.close()

    def _ways(self, wanted: Wanted) -> tuple[str, ...]:
        """Return the ways to ask for what changed, the best first; none where attributes change by themselves."""
        asked = {name.lower() for name in wanted.user_attributes | wanted.group_attributes}
        layout = self._layout
        if self._changes == "none" or asked & _OF_OTHERS or layout.filters_on("group", _OF_OTHERS):
            return ()
        # who comes to fit such a filter, or does no more, has not changed: only the sweep beside a search shows it
        swept = layout.filters_on("user", _OF_OTHERS)
        if self._changes == "search" or layout.anchor.lower() != "entryuuid" or swept:
            return (SEARCH,)
        root = self._wire.one("", ["supportedControl"])
        syncs = isinstance(root, Raw) and sync.REQUEST.encode() in values_of(root.attributes, "supportedControl")
        return (SYNCREPL, SEARCH) if syncs else (SEARCH,)

    def _server(self) -> str:
        """Return what tells this server's data from another's: the name and the anchor of where we begin."""
        base = self._layout.users.base
        found = self._wire.one(base, ["entryUUID", "createTimestamp"])
        if not isinstance(found, Raw):
            return canonical(base) or base
        said = [text_of(v) for name in ("entryUUID", "createTimestamp") for v in values_of(found.attributes, name)]
        return " ".join([canonical(base) or base, *said])

    def _full(
        self,
        wanted: Wanted,
        kinds: Sequence[Kind],
        ways: Sequence[str],
        bound: Token,
        problems: dict[Part, Problems],
    ) -> Iterator[ReadEvent]:
        names = Names()
        try:
            token = self._begun(kinds, bound, names, problems) if SYNCREPL in ways else None
            if token is None:
                token = self._swept(wanted, kinds, bound, names, problems, tells=SEARCH in ways)
            shaping = Shaping(self._wire, self._layout, _ByName(self._wire, self._layout, names))
            yield from read_all(shaping, wanted, problems)
            yield Watermark(None if token is None else token.written())
        finally:
            names.close()

    def _begun(self, kinds: Sequence[Kind], bound: Token, names: Names, problems: dict[Part, Problems]) -> Token | None:
        """Take in everybody's names by a first round of synchronisation, and return the token that it gives."""
        cookies: dict[Kind, str] = {}
        known: dict[Kind, int] = {}
        for kind in kinds:
            end, place = sync.Sweep(), self._layout.place(kind)
            for page in sync.sweep(self._wire, place.base, place.filter, end):
                names.add(page)
            if end.cookie is None or end.refused is not None:
                return None
            cookies[kind], known[kind] = end.cookie, end.count
        self._note_nobody(kinds, {kind for kind, count in known.items() if count}, problems)
        return replace(bound, way=SYNCREPL, cookies=cookies, known=known)

    def _swept(
        self,
        wanted: Wanted,
        kinds: Sequence[Kind],
        bound: Token,
        names: Names,
        problems: dict[Part, Problems],
        *,
        tells: bool,
    ) -> Token | None:
        """Take in everybody's names by a search; with `tells` return the token of the latest modification."""
        layout = self._layout
        if not tells and not wanted.memberships and not any(layout.reading(one, wanted).references for one in KINDS):
            return None
        cookies: dict[Kind, str] = {}
        shown: set[Kind] = set()
        until = search.latest_of(self._clock.now())
        for kind in kinds:
            place, latest = layout.place(kind), search.BEGINNING if tells else None
            asked = [layout.anchor, search.MODIFIED]
            for answer in self._wire.search(place.base, place.filter, asked, page_size=layout.page_size):
                if isinstance(answer, Refused):
                    for each in problems.values():
                        each.refused(f"names of {kind}s", answer)
                    return None
                shown.add(kind)
                names.add((raw.dn, id_) for raw in answer if (id_ := layout.id_of(raw)) is not None)
                latest = search.newest(answer, latest, until)
            if latest is not None:
                cookies[kind] = latest
        self._note_nobody(kinds, shown, problems)
        return replace(bound, way=SEARCH, cookies=cookies) if cookies.keys() == set(kinds) else None

    def _note_nobody(self, kinds: Sequence[Kind], shown: Set[Kind], problems: dict[Part, Problems]) -> None:
        """Note that groups cannot be believed where no user is shown: all of their members would be nobody."""
        if "user" in kinds and "user" not in shown:
            problems["memberships"].add(self._layout.nobody("user"))

    def _delta(
        self,
        wanted: Wanted,
        kinds: Sequence[Kind],
        ways: Sequence[str],
        bound: Token,
        since: str,
        problems: dict[Part, Problems],
    ) -> Generator[ReadEvent, None, bool]:
        """Yield what changed, and return whether that could be told; else nothing was yielded."""
        token = Token.read(since)
        if token is None or token.way not in ways or token.foreign(token.way, bound.server, bound.question):
            return False
        rounds: dict[Kind, sync.Round] = {}
        for kind in reversed(kinds):
            if kind not in token.cookies:
                return False
            found = self._round(kind, wanted, token)
            if not isinstance(found, sync.Round):
                return False
            rounds[kind] = found
        yield from self._changed(wanted, rounds, problems, swept=token.way == SEARCH)
        cookies = {kind: rounds[kind].cookie or token.cookies[kind] for kind in kinds}
        yield Watermark(replace(token, cookies=cookies).written())
        return True

    def _round(self, kind: Kind, wanted: Wanted, token: Token) -> sync.Round | sync.NoDelta | Refused:
        asked, cookie = self._asked(kind, wanted), token.cookies[kind]
        if token.way == SEARCH:
            until = search.latest_of(self._clock.now())
            return search.changes(self._wire, self._layout, kind, asked, cookie, until=until, most=_CHANGES_MAX)
        place, known = self._layout.place(kind), token.known.get(kind, 0)
        return sync.changes(self._wire, place.base, place.filter, asked, cookie, known=known, most=_CHANGES_MAX)

    def _asked(self, kind: Kind, wanted: Wanted) -> list[str]:
        asked = [self._layout.anchor, *self._layout.reading(kind, wanted).asked]
        return asked if kind == "user" else [*asked, self._layout.group_name, self._layout.members]

    def _changed(
        self, wanted: Wanted, rounds: dict[Kind, sync.Round], problems: dict[Part, Problems], *, swept: bool
    ) -> Iterator[ReadEvent]:
        names = Names()
        try:
            for of in rounds.values():
                names.add((raw.dn, id_) for id_, raw in of.changed.items())
            shaping = Shaping(self._wire, self._layout, _ByName(self._wire, self._layout, names))
            if wanted.memberships:
                of = rounds["group"]
                yield from changed_memberships(shaping, list(of.changed.values()), of.gone, problems["memberships"])
                yield problems["memberships"].end("memberships", delta=True)
            asked: dict[Kind, bool] = {"user": wanted.users, "group": wanted.groups}
            for kind in KINDS:
                if asked[kind]:
                    yield from _entries(shaping, kind, wanted, rounds[kind], problems[kind])
                    if swept:
                        yield from search.present(self._wire, self._layout, kind, problems[kind])
                    yield problems[kind].end(kind, delta=not swept)
        finally:
            names.close()


def _entries(shaping: Shaping, kind: Kind, wanted: Wanted, of: sync.Round, problems: Problems) -> Iterator[ReadEvent]:
    reading = shaping.layout.reading(kind, wanted)
    for raws in chunks(list(of.changed.values()), 1000):
        if entries := shaping.entries(kind, reading, raws, problems):
            yield EntryPage(kind, entries)
    for gone in chunks(sorted(of.gone), 1000):
        yield EntryPage(kind, [Entry(kind, id_, {}, gone=True) for id_ in gone])


def _groups(wanted: Wanted) -> bool:
    return wanted.groups or wanted.memberships
