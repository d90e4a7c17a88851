"""Reads users, groups and memberships of a system that speaks SCIM 2.0."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from hashlib import blake2b
from typing import Literal

from reconciler.core.met import Keys
from reconciler.core.model import Entry, Identity, Kind, SourceId
from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import rest
from reconciler.dialects.scim_wire import Wire
from reconciler.net.client import Client
from reconciler.ports import (
    Clock,
    Diagnosis,
    EntryPage,
    PresentPage,
    ReadEvent,
    Wanted,
    Watermark,
    chunks,
)
from reconciler.sources.scim_members import Members, changed_since
from reconciler.sources.scim_server import Problems, Row, Selection, Server, Unreadable
from reconciler.sources.scim_shape import NoPath, Shape, projection
from reconciler.sources.scim_token import Mark, MembersFrom, Token, changed_at

PAGE = 1000
_ENDPOINTS: Mapping[Kind, str] = {"user": "/Users", "group": "/Groups"}


class ScimSource:
    """A server behind one client. What cannot be read is an incomplete part, never a short one."""

    def __init__(
        self,
        name: str,
        *,
        url: str,
        client: Client,
        clock: Clock,
        named: Mapping[str, str] | None = None,
        paging: Literal["auto", "index", "cursor"] = "auto",
        page_size: int = 1000,
        changes: Literal["auto", "users", "none"] = "auto",
        sweep: bool = True,
        overlap_seconds: float = 600.0,
        select: Literal["auto", "always", "never"] = "auto",
        members_from: Literal["auto"] | MembersFrom = "auto",
        members_max: int | None = None,
        allow_empty: frozenset[str] = frozenset(),
        timeout_seconds: float = 30.0,
        entries_max: int | None = None,
    ) -> None:
        """`named` are names of rules for paths of the server; the other settings are as in the documentation."""
        self._name, self._client, self._clock = name, client, clock
        self._named, self._changes, self._sweep = dict(named or {}), changes, sweep
        self._overlap_seconds, self._allow_empty = overlap_seconds, allow_empty
        self._members_from, self._members_max = members_from, members_max
        wire = Wire(client, url, timeout_seconds, who="the source", entries_max=entries_max)
        selects = {"auto": None, "always": True, "never": False}[select]
        self._server = Server(wire, paging=paging, page_size=page_size, selects=selects)
        self.identity = Identity("scim", url.partition("?")[0].rstrip("/"), "id")

    @property
    def incremental(self) -> bool:
        return self._changes != "none"

    async def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        """See `ports.Source.read`."""
        token = Token.read(since, self._of(wanted))
        self._server.selects = {**token.selects, **self._server.selects}
        if wanted.memberships:
            async for event in self._read_memberships(token):
                yield event
        for kind, is_wanted in (("user", wanted.users), ("group", wanted.groups)):
            if is_wanted:
                async for event in self._read_entries("group" if kind == "group" else "user", wanted, token):
                    yield event
        token.selects = self._server.selects
        yield Watermark(token.text() if self.incremental else None)

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        """See `ports.Source.fetch`. Asks for each by itself."""
        try:
            shape = self._shape(kind, wanted)
        except NoPath:
            return {}
        whole = "excludedAttributes=members" if kind == "group" else ""
        query = shape.query() if self._server.can_select(kind) else whole
        found: dict[SourceId, Entry | None] = {}
        for asked in (query, whole) if query != whole else (whole,):
            left = [one for one in ids if one not in found]
            async for some in self._server.several(kind, left, asked):
                for source_id, row in some:
                    if not isinstance(row, Unreadable):
                        found[source_id] = None if row is None else shape.entry(row)
        return found

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        """Ask for what the server says of itself, and for one user and one group; look whether all has a path."""
        lines = []
        try:
            config = await self._server.config()
        except Unreadable as unreadable:
            return [Diagnosis("connection", False, unreadable.why, fault=unreadable.fault)]
        for kind in ("user", "group"):
            got = await self._server.wire.rows(
                self._server.wire.url(kind, query="count=1"), doing=f"asking for a {kind}"
            )
            where = _ENDPOINTS[kind]
            if isinstance(got, Failed):
                lines.append(Diagnosis(f"{kind}s", False, got.reason, fault=got if kind == "user" else None))
            elif why := self._without_path(kind, wanted):
                lines.append(Diagnosis(f"{kind}s", False, f"{where}: {why}"))
            else:
                lines.append(Diagnosis(f"{kind}s", True, f"{where}: {got.get('totalResults', 'some')} {kind}s"))
        pages = "cursors" if config["cursor"] else "indexes"
        changes = "not said" if config["filter"] is None else "yes" if config["filter"] else "no: everybody is read"
        lines.append(Diagnosis("server", True, f"pages by {pages}; filters for what changed: {changes}"))
        return lines

    async def close(self) -> None:
        await self._client.aclose()

    # --- entries -----------------------------------------------------------------------------------------------------

    async def _read_entries(self, kind: Kind, wanted: Wanted, token: Token) -> AsyncGenerator[ReadEvent]:
        problems, delta = Problems(self._name, f"{kind}s"), False
        began = self._clock.monotonic()
        try:
            mark = token.marks.get(kind)
            asks = mark is not None and await self._can_be_asked(kind)
            reading = _Reading(kind, self._shape(kind, wanted), Keys() if asks else None, problems)
            if mark is not None and asks:
                async for page in self._changed(reading, mark, token):
                    yield page
                delta = reading.is_trusted
            if not delta:
                async for page in self._everybody(reading, token):
                    yield page
            token.ended(kind, self._clock.monotonic() - began)
            if delta and self._sweep:
                async for present in self._present(reading):
                    yield present
                delta = False
        except NoPath as error:
            problems.add(self._mended(error))
        except Unreadable as unreadable:
            problems.ended_by(unreadable)
        yield problems.end(kind, delta=delta)

    async def _everybody(self, reading: _Reading, token: Token) -> AsyncGenerator[EntryPage]:
        any_rows, kind = False, reading.kind
        pages = self._server.rows(kind, reading.problems, doing=f"listing {kind}s", selection=self._selection(reading))
        async with aclosing(pages):
            async for rows in pages:
                if not any_rows:
                    await self._judge(reading.shape, rows)
                any_rows = True
                token.note(kind, rows, self._clock.now())
                for page in reading.pages(rows):
                    yield page
        if not any_rows and f"{kind}s" not in self._allow_empty:
            reading.problems.add(f'there is nobody (where that is right: allow_empty = ["{kind}s"])')

    async def _judge(self, shape: Shape, rows: Sequence[Row]) -> None:
        """Raise Unreadable where nobody has what rules read, and the server does not even know it."""
        missing = shape.missing(rows)
        declared = await self._server.declared() if missing else None
        if declared is not None and (unknown := shape.undeclared(missing, declared)):
            raise Unreadable(f"nobody has {', '.join(unknown)}, and the server's schemas do not know it")

    async def _changed(self, reading: _Reading, mark: Mark, token: Token) -> AsyncGenerator[EntryPage]:
        """Yield who changed since the mark; where the answer cannot be trusted, `reading` says so."""
        since, kind = mark.at - self._overlap_seconds, reading.kind
        problems = Problems(self._name, f"{kind}s")
        pages = self._server.rows(
            kind,
            problems,
            doing=f"asking for changed {kind}s",
            selection=self._selection(reading) if self._server.can_select(kind) else None,
            query=changed_since(rest.written(since, "iso")),
        )
        try:
            async with aclosing(pages):
                async for rows in pages:
                    if not _are_since(rows, since):
                        return
                    token.note(kind, rows, self._clock.now())
                    for page in reading.pages(rows):
                        yield page
        except Unreadable as unreadable:
            if unreadable.fault is not None and unreadable.fault.fault in (Fault.INVALID, Fault.UNSUPPORTED):
                return  # the server does not filter by time
            raise
        assert reading.met is not None
        reading.is_trusted = mark.newest_id in reading.met or await self._is_gone(kind, mark)
        if reading.is_trusted:
            reading.problems.take(problems)

    async def _is_gone(self, kind: Kind, mark: Mark) -> bool:
        """Whether the one who had changed last is away, and so rightly not among those who changed since before."""
        return await self._server.one(kind, mark.newest_id, projection(["id"])) is None

    async def _present(self, reading: _Reading) -> AsyncGenerator[PresentPage]:
        any_rows, kind = False, reading.kind
        async for rows in self._server.named(kind, reading.problems):
            any_rows = True
            for some in chunks([SourceId(str(row["id"])) for row in rows], PAGE):
                yield PresentPage(kind, some)
        if not any_rows and f"{kind}s" not in self._allow_empty:
            reading.problems.add(f'there is nobody (where that is right: allow_empty = ["{kind}s"])')

    # --- memberships -------------------------------------------------------------------------------------------------

    async def _read_memberships(self, token: Token) -> AsyncGenerator[ReadEvent]:
        problems, delta = Problems(self._name, "memberships"), False
        began = self._clock.monotonic()
        members = self._members(token, problems)
        try:
            mark = token.marks.get("memberships")
            known = token.members_from in ("list", "each")
            if mark is not None and known and self._changes == "auto" and await self._filters("group", mark):
                since = changed_since(rest.written(mark.at - self._overlap_seconds, "iso"))
                delta = not self._sweep
                async for page in members.changed(mark, since, sweep=self._sweep):
                    yield page
            else:
                async for page in members.everybody():
                    yield page
            token.ended("memberships", self._clock.monotonic() - began)
            if not members.any_groups and not delta and "groups" not in self._allow_empty:
                problems.add('there is no group (where that is right: allow_empty = ["groups"])')
        except Unreadable as unreadable:
            problems.ended_by(unreadable)
        yield problems.end("memberships", delta=delta)

    def _members(self, token: Token, problems: Problems) -> Members:
        return Members(
            self._server,
            token,
            problems,
            members_from=self._members_from,
            members_max=self._members_max,
            may_be_none="members" in self._allow_empty,
            now=self._clock.now(),
        )

    async def _filters(self, kind: Kind, mark: Mark) -> bool:
        """Whether the server's answer to what changed can be trusted, by one page of it."""
        if not await self._can_be_asked(kind):
            return False
        since = mark.at - self._overlap_seconds
        ids: set[str] = set()
        pages = self._server.rows(
            kind,
            Problems(self._name, ""),
            doing=f"asking for changed {kind}s",
            query=projection(["id", "meta"]) + "&" + changed_since(rest.written(since, "iso")),
        )
        try:
            async with aclosing(pages):
                async for rows in pages:
                    if not _are_since(rows, since):
                        return False
                    ids.update(str(row["id"]) for row in rows)
        except Unreadable as unreadable:
            if unreadable.fault is not None and unreadable.fault.fault in (Fault.INVALID, Fault.UNSUPPORTED):
                return False
            raise
        return mark.newest_id in ids or await self._is_gone(kind, mark)

    async def _can_be_asked(self, kind: Kind) -> bool:
        if self._changes == "none" or (kind == "group" and self._changes == "users"):
            return False
        return (await self._server.config())["filter"] is not False

    # --- what is asked for -------------------------------------------------------------------------------------------

    def _shape(self, kind: Kind, wanted: Wanted) -> Shape:
        names = wanted.user_attributes if kind == "user" else wanted.group_attributes
        return Shape(kind, names, self._named if kind == "user" else {})

    def _without_path(self, kind: Kind, wanted: Wanted) -> str:
        """Return what of a kind cannot be asked for; empty where all can."""
        try:
            self._shape(kind, wanted)
        except NoPath as error:
            return self._mended(error)
        return ""

    def _mended(self, error: NoPath) -> str:
        return f"{error}: name its path in [sources.{self._name}.attributes]"

    def _selection(self, reading: _Reading) -> Selection:
        return Selection(reading.kind, reading.shape.query("meta"), reading.shape.missing)

    def _of(self, wanted: Wanted) -> str:
        """Return what a watermark belongs to: this server, and what is asked of it."""
        asked = (sorted(wanted.user_attributes), sorted(wanted.group_attributes), sorted(self._named.items()))
        about = repr((self.identity, asked, self._members_from, self._members_max, self._changes))
        return blake2b(about.encode(), digest_size=8).hexdigest()


class _Reading:
    """The entries of one kind on their way."""

    __slots__ = ("is_trusted", "kind", "met", "problems", "shape")

    def __init__(self, kind: Kind, shape: Shape, met: Keys | None, problems: Problems) -> None:
        """`met` remembers who was shown, where two lists may show the same."""
        self.kind, self.shape, self.met, self.problems = kind, shape, met, problems
        self.is_trusted = False
        """Whether what the server gave as changed is all that changed."""

    def pages(self, rows: Sequence[Row]) -> list[EntryPage]:
        """Return entries of those whom nobody had shown before."""
        repeated = set(self.met.add([str(row["id"]) for row in rows])) if self.met is not None else ()
        entries = [self.shape.entry(row) for position, row in enumerate(rows) if position not in repeated]
        return [EntryPage(self.kind, some) for some in chunks(entries, PAGE)]


def _are_since(rows: Sequence[Row], since: float) -> bool:
    """Whether all of these changed then or later: a server that ignores filters shows others too."""
    # A filter is given in milliseconds; some servers compare whole seconds.
    return all((at := changed_at(row)) is not None and at >= since - 1.0 for row in rows)
