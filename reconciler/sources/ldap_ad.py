"""Reads Active Directory: everything, or what changed since the last time, by one domain controller's account."""

from __future__ import annotations

import re
import uuid
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ldap.controls import RequestControl

from reconciler.core.model import KINDS, Entry, Kind, SourceId
from reconciler.ports import EntryPage, ReadEvent, Wanted, Watermark, chunks
from reconciler.sources import ldap_ber as ber
from reconciler.sources import ldap_dirsync as dirsync
from reconciler.sources import ldap_search as search
from reconciler.sources.ldap_layout import Changes, Layout, tracked
from reconciler.sources.ldap_notify import SHOW_DELETED
from reconciler.sources.ldap_reading import (
    Part,
    Problems,
    Shaping,
    changed_memberships,
    ends,
    fetched,
    memberships,
    read_all,
)
from reconciler.sources.ldap_refusals import Refused
from reconciler.sources.ldap_token import Token
from reconciler.sources.ldap_values import text_of, values_of
from reconciler.sources.ldap_wire import BASE, Raw, Wire

DIRSYNC, USN = "dirsync", "usn"
_CHANGES_MAX = 50_000
_EXTENDED_NAMES = "1.2.840.113556.1.4.529"
_GUID = re.compile(rb"<GUID=([0-9a-fA-F-]{36})>")
_WORDS = "(|(objectClass=user)(objectClass=group))"
"""Of a deleted object little more is left than its class."""
_NOTHING_BUT_THE_ROOT = "(objectClass=domainDNS)"
_OF_OTHERS = frozenset({"memberof", "tokengroups", "directreports", "managedobjects"})
"""Attributes that change without a change of the entry that shows them."""


@dataclass(frozen=True, slots=True)
class _Server:
    """Who answers, and up to where it has counted."""

    root: str
    identity: str
    usn: int


class _ByGuid:
    """Finds the anchors in the names themselves: the directory writes the GUID into each."""

    def __init__(self) -> None:
        form = ber.written(ber.SEQUENCE, ber.number(1))
        self.controls: Sequence[RequestControl] = (RequestControl(_EXTENDED_NAMES, True, form),)

    def ids(self, values: Sequence[bytes]) -> list[SourceId | None] | Refused:
        found: list[SourceId | None] = []
        for value in values:
            guid = _GUID.match(value)
            if guid is None:
                return Refused("the directory names an entry without its GUID")
            found.append(SourceId(str(uuid.UUID(guid[1].decode()))))
        return found


class ActiveDirectory:
    """One domain controller, read from one thread."""

    def __init__(self, wire: Wire, layout: Layout, *, changes: Changes) -> None:
        self._wire, self._layout, self._changes = wire, layout, changes

    def read(self, wanted: Wanted, since: str | None) -> Iterator[ReadEvent]:
        """Yield what `ports.Source.read` promises."""
        self._wire.proves = None
        problems: dict[Part, Problems] = {"memberships": Problems(), "user": Problems(), "group": Problems()}
        shaping = Shaping(self._wire, self._layout, _ByGuid())
        asked = {name.lower() for name in wanted.user_attributes | wanted.group_attributes}
        tells = self._changes != "none" and not asked & _OF_OTHERS and not self._layout.filters_on("group", _OF_OTHERS)
        server = self._wire.open() or (self._server() if tells else None)
        if isinstance(server, Refused):
            for each in problems.values():
                each.refused("the directory", server)
            yield from ends(wanted, problems)
            return
        if server is None:
            yield from read_all(shaping, wanted, problems)
            yield Watermark(None)
            return
        self._wire.proves = partial(self._is_still, server.identity)
        token = None if since is None else Token.read(since)
        question = self._layout.digest(wanted)
        # who comes to fit such a filter, or does no more, has not changed: only the sweep beside a search shows it
        tells_all = self._changes == "auto" and not self._layout.filters_on("user", _OF_OTHERS)
        ways = (DIRSYNC, USN) if tells_all else (USN,)
        if token is not None and token.way in ways and not token.foreign(token.way, server.identity, question):
            done = yield from self._delta(shaping, wanted, server, token, problems)
            if done:
                return
        begun = self._begin(server, question, ways)
        yield from read_all(shaping, wanted, problems)
        yield Watermark(begun.written())

    def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> dict[SourceId, Entry | None]:
        """Return what `ports.Source.fetch` promises."""
        return fetched(Shaping(self._wire, self._layout, _ByGuid()), kind, ids, wanted)

    def _server(self) -> _Server | Refused:
        """Return the controller that answers; its invocationId changes when it is restored."""
        root = self._wire.one("", ["defaultNamingContext", "dsServiceName", "highestCommittedUSN"])
        if not isinstance(root, Raw):
            return root or Refused("the directory does not say what it is")
        context, service, usn = (
            text_of(values[0]) if (values := values_of(root.attributes, name)) else ""
            for name in ("defaultNamingContext", "dsServiceName", "highestCommittedUSN")
        )
        found = self._wire.one(service, ["invocationId"]) if service else None
        if isinstance(found, Refused):
            return found
        invocation = values_of(found.attributes, "invocationId") if found is not None else []
        if not context or not usn.isdigit() or not invocation:
            return Refused("the server does not say which domain controller it is; is this Active Directory?")
        return _Server(context, f"{service} {uuid.UUID(bytes_le=invocation[0])}", int(usn))

    def _is_still(self, identity: str) -> Refused | None:
        """Refuse another controller than the reading was begun with: it may lag behind what the token says is known."""
        server = self._server()
        if isinstance(server, Refused) or server.identity == identity:
            return server if isinstance(server, Refused) else None
        hint = "name one domain controller in url, by its own name"
        return Refused("the connection broke, and another domain controller answers", hint=hint)

    def _begin(self, server: _Server, question: str, ways: Sequence[str]) -> Token:
        """Return the token of now: what changes while everything is read comes again."""
        if DIRSYNC in ways:
            found = dirsync.changes(self._wire, server.root, _NOTHING_BUT_THE_ROOT, ["name"], "", most=_CHANGES_MAX)
            if isinstance(found, dirsync.Changed):
                return Token(DIRSYNC, server.identity, question, {"user": found.cookie})
        return Token(USN, server.identity, question, {"user": str(server.usn)})

    def _delta(
        self, shaping: Shaping, wanted: Wanted, server: _Server, token: Token, problems: dict[Part, Problems]
    ) -> Generator[ReadEvent, None, bool]:
        """Yield what changed, and return whether that could be told; else nothing was yielded."""
        cookie = token.cookies.get("user")
        if not cookie:
            return False
        groups = wanted.groups or wanted.memberships
        kinds: list[Kind] = [kind for kind in KINDS if (wanted.users if kind == "user" else groups)]
        if token.way == DIRSYNC:
            names = ["name", "isDeleted", *tracked(self._layout, wanted, kinds)]
            found = dirsync.changes(self._wire, server.root, _WORDS, names, cookie, most=_CHANGES_MAX)
            if not isinstance(found, dirsync.Changed):
                return False
            changed, following = found.ids, replace(token, cookies={"user": found.cookie})
        else:
            since = self._since(server, cookie)
            if since is None:
                return False
            changed, following = since, replace(token, cookies={"user": str(server.usn)})
        shown: dict[Kind, dict[SourceId, Raw]] = {kind: {} for kind in KINDS}
        for kind in kinds:
            raws = self._raws(shaping, kind, wanted, changed)
            if isinstance(raws, Refused):
                return False
            shown[kind] = raws
        sweep = token.way == USN or not self._shows_deleted(server.root)
        yield from self._changed(shaping, wanted, changed, shown, problems, sweep=sweep)
        yield Watermark(following.written())
        return True

    def _since(self, server: _Server, usn: str) -> frozenset[SourceId] | None:
        """Return who changed since the controller had counted so far; None where that cannot be told."""
        if not usn.isdigit() or int(usn) > server.usn:
            return None
        ids: set[SourceId] = set()
        text = f"(&(uSNChanged>={int(usn) + 1}){_WORDS})"
        deleted = RequestControl(SHOW_DELETED, True, None)
        for answer in self._wire.search(
            *(server.root, text, ["objectGUID"]), controls=[deleted], page_size=self._layout.page_size
        ):
            if isinstance(answer, Refused):
                return None
            for raw in answer:
                ids.update(SourceId(str(uuid.UUID(bytes_le=one))) for one in values_of(raw.attributes, "objectGUID"))
            if len(ids) > _CHANGES_MAX:
                return None
        return frozenset(ids)

    def _shows_deleted(self, root: str) -> bool:
        """Whether we may see deleted objects: who may not is told of no deletion, and not told that he is not."""
        deleted = RequestControl(SHOW_DELETED, True, None)
        for answer in self._wire.search(
            f"CN=Deleted Objects,{root}", "(objectClass=*)", ["objectGUID"], scope=BASE, controls=[deleted]
        ):
            if not isinstance(answer, Refused):
                return bool(values_of(answer[0].attributes, "objectGUID"))
        return False

    def _raws(
        self, shaping: Shaping, kind: Kind, wanted: Wanted, ids: frozenset[SourceId]
    ) -> dict[SourceId, Raw] | Refused:
        """Return those of these ids that are of a kind, where we look for it."""
        layout = self._layout
        place, asked = layout.place(kind), [layout.anchor, *layout.reading(kind, wanted).asked]
        if kind == "group":
            asked += [layout.group_name, *([] if layout.in_chain else [layout.members])]
        found: dict[SourceId, Raw] = {}
        for _, text in layout.with_ids(sorted(ids)):
            for answer in self._wire.search(
                *(place.base, f"(&{place.filter}{text})", asked),
                controls=shaping.resolver.controls,
                page_size=layout.page_size,
            ):
                if isinstance(answer, Refused):
                    return answer
                found.update((id_, raw) for raw in answer if (id_ := layout.id_of(raw)) is not None)
        return found

    def _changed(
        self,
        shaping: Shaping,
        wanted: Wanted,
        changed: frozenset[SourceId],
        shown: dict[Kind, dict[SourceId, Raw]],
        problems: dict[Part, Problems],
        *,
        sweep: bool,
    ) -> Iterator[ReadEvent]:
        gone = sorted(changed - shown["user"].keys() - shown["group"].keys())
        if wanted.memberships:
            whole = self._layout.in_chain
            if whole:
                yield from memberships(shaping, problems["memberships"])
            else:
                yield from changed_memberships(shaping, list(shown["group"].values()), gone, problems["memberships"])
            yield problems["memberships"].end("memberships", delta=not whole)
        asked: dict[Kind, bool] = {"user": wanted.users, "group": wanted.groups}
        for kind in KINDS:
            if not asked[kind]:
                continue
            reading = self._layout.reading(kind, wanted)
            for raws in chunks(list(shown[kind].values()), 1000):
                if entries := shaping.entries(kind, reading, raws, problems[kind]):
                    yield EntryPage(kind, entries)
            for page in chunks(gone, 1000):
                yield EntryPage(kind, [Entry(kind, id_, {}, gone=True) for id_ in page])
            if sweep:
                yield from search.present(self._wire, self._layout, kind, problems[kind])
            yield problems[kind].end(kind, delta=not sweep)
