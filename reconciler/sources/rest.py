"""Reads users, groups and memberships of a system that is described as data, over REST."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

from reconciler.core.met import Keys
from reconciler.core.model import Entry, Identity, Kind, SourceId
from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import rest
from reconciler.dialects.rest import Assigned, Description, Entries, KeySecret, Listing, Unreadable
from reconciler.dialects.rest_paging import Walk
from reconciler.net.client import Client
from reconciler.net.statuses import fault_of
from reconciler.ports import (
    Clock,
    Diagnosis,
    EntryPage,
    GroupMembers,
    MembershipPage,
    ReadEnd,
    ReadEvent,
    Request,
    Response,
    Wanted,
    Watermark,
    chunks,
)
from reconciler.sources.rest_joined import Joined
from reconciler.sources.rest_shape import Lacking, Shape, lacking, undescribed
from reconciler.sources.rest_token import Token

PAGE = 1000
FETCHED_ONE_BY_ONE = 25
"""Who asks for more at once has the whole list read."""
_DAY_SECONDS = 86400.0
_OF_THE_WHOLE = frozenset(
    {Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.NOT_FOUND, Fault.NOT_SCIM, Fault.SERVER_ERROR, Fault.THROTTLED}
)
"""What a status says of the system as a whole, where it answers the list of users so."""


class RestSource:
    """One system behind one client. What cannot be read is an incomplete part, never a short one."""

    def __init__(
        self,
        name: str,
        description: Description,
        *,
        type_: str,
        url: str,
        client: Client,
        clock: Clock,
        parameters: Mapping[str, str] | None = None,
        key: KeySecret | None = None,
        overlap_seconds: float = 600.0,
        timeout_seconds: float = 30.0,
        allow_empty: frozenset[str] = frozenset(),
        entries_max: int | None = None,
    ) -> None:
        self._name, self._description, self._url, self._client, self._clock = name, description, url, client, clock
        self._variables = dict(parameters or {})
        self._key, self._overlap_seconds, self._timeout_seconds = key, overlap_seconds, timeout_seconds
        self._allow_empty, self._entries_max = allow_empty, entries_max
        self.identity = Identity(type_, url, description.users.listing.id)

    @property
    def incremental(self) -> bool:
        return self._description.users.since is not None

    async def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        """See `ports.Source.read`."""
        token = self._token(since)
        if wanted.memberships:
            async for event in self._read_memberships(token):
                yield event
        if wanted.users:
            async for event in self._read_entries("user", wanted, token):
                yield event
        if wanted.groups:
            async for event in self._read_entries("group", wanted, token):
                yield event
        yield Watermark(token.text() if self.incremental else None)

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        """See `ports.Source.fetch`."""
        entries = self._entries(kind)
        if entries is None or not ids:
            return {}
        problems = _Problems(self._name, f"{kind}s")
        found: dict[SourceId, Entry | None] = {}
        try:
            async with self._shape(kind, entries, wanted) as (shape, _):
                if entries.one is not None and len(ids) <= FETCHED_ONE_BY_ONE:
                    await self._fetch_each(entries, shape, ids, found, problems)
                else:
                    await self._fetch_many(entries, shape, set(ids), found, problems)
        except Unreadable as unreadable:
            problems.add(unreadable.why)
        if entries.one is None or len(ids) > FETCHED_ONE_BY_ONE:
            found.update({} if problems.found else {one: None for one in ids if one not in found})
        return {one: None if entry is not None and entry.gone else entry for one, entry in found.items()}

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        """Ask for the first page of each list, and look whether it has what is wanted."""
        lines = []
        users, groups = self._description.users, self._description.groups
        listings = [("users", users.listing, undescribed(users, wanted.user_attributes))]
        listings += [(join.name, join.listing, frozenset()) for join in users.joins]
        listings += [("groups", groups.listing, undescribed(groups, wanted.group_attributes))] if groups else []
        listings += [(one.id, one.listing, frozenset()) for one in self._assigned()]
        for step, listing, fields in listings:
            try:
                async with aclosing(self._pages(listing, self._variables, {}, _Problems(self._name, step))) as pages:
                    items: list[dict[str, Any]] = await anext(pages, [])
                names = ", ".join(dict.fromkeys(name for item in items for name in item))
                shown = f"{len(items)} on the first page{f' with {names}' if names else ''}"
                why = lacking(items, fields)
                lines.append(Diagnosis(step, not why, f"{listing.path}: {shown}{f'; {why}' if why else ''}"))
            except Unreadable as unreadable:
                lines.append(Diagnosis(step, False, f"{listing.path}: {unreadable.why}", fault=unreadable.fault))
                break
        return lines

    async def close(self) -> None:
        await self._client.aclose()

    # --- entries -----------------------------------------------------------------------------------------------------

    async def _read_entries(self, kind: Kind, wanted: Wanted, token: Token) -> AsyncGenerator[ReadEvent]:
        problems, delta, began = _Problems(self._name, f"{kind}s"), False, self._clock.monotonic()
        entries = self._entries(kind)
        if entries is None:
            problems.add("the description has none")
        else:
            try:
                async with self._shape(kind, entries, wanted) as (shape, joined):
                    mark = token.marks.get(kind)
                    token.joined[kind] = joined
                    # What hangs on an entry is no change of its own: a department that is renamed changes all in it.
                    tells = entries.since is not None and mark is not None and token.kept_joined(kind)
                    for delta in (True, False) if tells else (False,):
                        try:
                            pages = self._entry_pages(kind, entries, shape, token, delta, problems)
                            async with aclosing(pages):
                                async for page in pages:
                                    yield page
                            break
                        except Lacking:
                            if not delta:
                                raise
                            # Who changed may just have no value there: the list of everybody shows if it is gone.
                    token.ended(kind, self._clock.monotonic() - began)
                    if not delta and not shape.any and f"{kind}s" not in self._allow_empty:
                        problems.add(f'there is nobody (where that is right: allow_empty = ["{kind}s"])')
            except Unreadable as unreadable:
                problems.unreadable(unreadable)
        yield problems.end(kind, delta=delta)

    async def _entry_pages(
        self, kind: Kind, entries: Entries, shape: Shape, token: Token, delta: bool, problems: _Problems
    ) -> AsyncGenerator[EntryPage]:
        waiting: list[Entry] = []
        async with aclosing(self._pages_of(entries, token.marks[kind] if delta else None, problems)) as pages:
            async for page in pages:
                if entries.since is not None:
                    token.note(kind, page, entries.since, self._clock.now() + _DAY_SECONDS)
                waiting += shape.entries(shape.judged(page))
                while len(waiting) >= PAGE:
                    yield EntryPage(kind, waiting[:PAGE])
                    waiting = waiting[PAGE:]
        if waiting:
            yield EntryPage(kind, waiting)

    async def _pages_of(
        self, entries: Entries, mark: float | None, problems: _Problems
    ) -> AsyncGenerator[list[dict[str, Any]]]:
        """Yield pages of all, or of what changed since the mark, each entry once."""
        if mark is None or entries.since is None:
            async for page in self._pages(entries.listing, self._variables, {}, problems):
                yield page
            return
        met = Keys()
        variables = {**self._variables, "since": rest.written(mark - self._overlap_seconds, entries.since.format)}
        for query in entries.since.queries:
            async for page in self._pages(entries.listing, variables, query, problems):
                repeated = set(met.add([rest.id_of(item, entries.listing.id) or "" for item in page]))
                yield [item for position, item in enumerate(page) if position not in repeated]

    @asynccontextmanager
    async def _shape(self, kind: Kind, entries: Entries, wanted: Wanted) -> AsyncGenerator[tuple[Shape, str]]:
        """Give what makes entries, after the lists were read that hang on them, with what tells these from others."""
        names = wanted.user_attributes if kind == "user" else wanted.group_attributes
        with Joined() as joined:
            shape = Shape(kind, entries, names, joined, self._allow_empty)
            for join in shape.joins:
                problems = _Problems(self._name, join.name)
                async for page in self._pages(join.listing, self._variables, {}, problems):
                    keys = [rest.id_of(item, join.by) for item in page]
                    joined.add(
                        join.name, [(key, item) for key, item in zip(keys, page, strict=True) if key is not None]
                    )
                if problems.found:
                    raise Unreadable(next(iter(problems.found)))
            yield shape, await joined.digest()

    async def _one(self, entries: Entries, one: SourceId) -> dict[str, Any] | None:
        assert entries.one is not None
        url = rest.address(self._url, entries.one, {**self._variables, "id": one}, {})
        answer = await self._ask(url)
        if answer.status == 404:
            return None
        item = rest.value_at(rest.parsed(self._usable(answer, url, of_users=False).body), entries.one_item)
        if not isinstance(item, dict) or rest.id_of(item, entries.listing.id) != one:
            raise Unreadable("the answer is not the one that was asked for")
        return item

    async def _fetch_each(
        self,
        entries: Entries,
        shape: Shape,
        ids: Sequence[SourceId],
        found: dict[SourceId, Entry | None],
        problems: _Problems,
    ) -> None:
        nobody = []
        for one in ids:
            item = await self._one(entries, one)
            if item is None:
                nobody.append(one)
            else:
                found[one] = shape.entries([item])[0]
        if nobody and (found or await self._shows_one_who_is_listed(entries, shape, problems)):
            found.update(dict.fromkeys(nobody))

    async def _shows_one_who_is_listed(self, entries: Entries, shape: Shape, problems: _Problems) -> bool:
        """Whether who is listed is found when asked for alone: behind a wrong path everybody would seem to be gone."""
        async with aclosing(self._pages(entries.listing, self._variables, {}, problems)) as pages:
            listed: list[dict[str, Any]] = await anext(pages, [])
        ids = [one for item in listed[:2] if (one := rest.id_of(item, entries.listing.id)) is not None]
        for one in ids:
            if await self._one(entries, SourceId(one)) is not None:
                return True
        return not listed and not problems.found and f"{shape.kind}s" in self._allow_empty

    async def _fetch_many(
        self,
        entries: Entries,
        shape: Shape,
        missing: set[SourceId],
        found: dict[SourceId, Entry | None],
        problems: _Problems,
    ) -> None:
        async for page in self._pages(entries.listing, self._variables, {}, problems):
            asked = [item for item in shape.judged(page) if rest.id_of(item, entries.listing.id) in missing]
            found.update((entry.id, entry) for entry in shape.entries(asked))
        if not shape.any and f"{shape.kind}s" not in self._allow_empty:
            problems.add("there is nobody: of those who are asked for nothing is known")

    # --- memberships -------------------------------------------------------------------------------------------------

    async def _read_memberships(self, token: Token) -> AsyncGenerator[ReadEvent]:
        groups = self._description.groups
        problems = _Problems(self._name, "memberships")
        try:
            for assigned in self._assigned():
                name = rest.filled_in(assigned.id, self._variables)
                members = await self._ids(assigned.listing, self._variables, problems)
                yield MembershipPage([GroupMembers(SourceId(name), name, members)])
                if not members:
                    self._doubt_that_nobody_is_in(name, problems)
            if groups is not None and groups.members is not None:
                async for event in self._read_groups(groups, groups.members, token, problems):
                    yield event
            elif not self._assigned():
                problems.add("the description has neither groups nor a list of those assigned")
        except Unreadable as unreadable:
            problems.unreadable(unreadable)
        yield problems.end("memberships")

    async def _read_groups(
        self, groups: Entries, members: Listing, token: Token, problems: _Problems
    ) -> AsyncGenerator[MembershipPage]:
        """Give the members of each group whose list changed; of the others, that they are there."""
        began = self._clock.monotonic()
        kept, take = token.marks.get("members"), groups.attributes.get("displayName", rest.Take("displayName"))
        until, any_groups, any_members = self._clock.now() + _DAY_SECONDS, False, False
        async for page in self._pages(groups.listing, self._variables, {}, problems):
            any_groups = any_groups or bool(page)
            given = []
            for item in page:
                group_id = rest.id_of(item, groups.listing.id)
                if group_id is None:
                    problems.add(f"a group has no '{groups.listing.id}'")
                    continue
                name = rest.taken(item, take)
                name = name if isinstance(name, str) else ""
                path = groups.members_changed
                changed = rest.moment_of(rest.value_at(item, path), "iso") if path is not None else None
                if changed is not None and changed <= until:
                    token.newest["members"] = max(changed, token.newest.get("members", 0.0))
                if kept is not None and changed is not None and changed < kept - self._overlap_seconds:
                    given.append(GroupMembers(SourceId(group_id), name, (), partial=True, unchanged=True))
                    continue
                ids = await self._ids(members, {**self._variables, "id": group_id}, problems)
                given.append(GroupMembers(SourceId(group_id), name, ids))
            any_members = any_members or any(group.unchanged or group.members for group in given)
            for some in chunks(given, PAGE):
                yield MembershipPage(some)
        if any_groups and not any_members:
            self._doubt_that_nobody_is_in("any group", problems)
        if not any_groups and "groups" not in self._allow_empty:
            problems.add('there is no group (where that is right: allow_empty = ["groups"])')
        token.ended("members", self._clock.monotonic() - began)

    def _doubt_that_nobody_is_in(self, where: str, problems: _Problems) -> None:
        if "members" not in self._allow_empty:
            problems.add(f'nobody is in {where}: may members be read? (where that is right: allow_empty = ["members"])')

    async def _ids(self, listing: Listing, variables: Mapping[str, str], problems: _Problems) -> list[SourceId]:
        ids: dict[SourceId, None] = {}
        async for page in self._pages(listing, variables, {}, problems):
            for item in page:
                one = rest.id_of(item, listing.id)
                if one is None:
                    problems.add(f"a member has no '{listing.id}'")
                else:
                    ids[SourceId(one)] = None
        return list(ids)

    def _assigned(self) -> list[Assigned]:
        return [one for one in self._description.assigned if one.parameter in self._variables]

    # --- lists -------------------------------------------------------------------------------------------------------

    async def _pages(
        self, listing: Listing, variables: Mapping[str, str], query: Mapping[str, str], problems: _Problems
    ) -> AsyncGenerator[list[dict[str, Any]]]:
        """Yield the pages of one list to its end. Raises Unreadable; what else speaks against it goes to `problems`."""
        walk = Walk(self._url, listing, variables, query, entries_max=self._entries_max)
        while walk.url is not None:
            answer = await self._ask(walk.url)
            if walk.refused(answer.status):
                return
            answer = self._usable(answer, walk.url, of_users=listing is self._description.users.listing)
            items = walk.take(answer.body, answer.headers.get("link"))
            for problem in walk.problems:
                problems.add(problem)
            yield items

    async def _ask(self, url: str) -> Response:
        headers = {"Accept": "application/json", **self._description.headers}
        if self._key is not None:
            url, headers, _ = self._key.signed(url, headers)
        outcome = await self._client.call(
            Request("GET", url, headers, deadline_seconds=self._timeout_seconds), idempotent=True
        )
        if isinstance(outcome, Failed):
            raise Unreadable(outcome.reason, replace(outcome, request=_request(url)))
        return outcome

    def _usable(self, answer: Response, url: str, *, of_users: bool) -> Response:
        if answer.status == 200:
            if rest.tells_an_error(answer.body):
                raise Unreadable("the system answered 200 with an error inside")
            return answer
        why = f"the system answered {answer.status}"
        if answer.status == 403:
            why = "the system says 403: the credential has no right to read this"
        if 300 <= answer.status < 400:
            why = f"the system sends us elsewhere ({answer.status}): is the url right?"
        fault = fault_of(answer.status)
        if of_users and fault in _OF_THE_WHOLE:
            raise Unreadable(why, Failed(fault, why, answer.status, request=_request(url)))
        raise Unreadable(why)

    def _entries(self, kind: Kind) -> Entries | None:
        return self._description.users if kind == "user" else self._description.groups

    def _token(self, since: str | None) -> Token:
        return Token.read(since, repr((self.identity, self._description, sorted(self._variables.items()))))


class _Problems:
    """Why the reading of one part is incomplete, each told once."""

    def __init__(self, source: str, part: str) -> None:
        self._where = f"source {source} {part}"
        self.found: dict[str, None] = {}
        self._fault: Failed | None = None

    def add(self, why: str) -> None:
        self.found[f"{self._where}: {why}"] = None

    def unreadable(self, unreadable: Unreadable) -> None:
        self.add(unreadable.why)
        self._fault = self._fault or unreadable.fault

    def end(self, part: Literal["memberships", "user", "group"], *, delta: bool = False) -> ReadEnd:
        return ReadEnd(part, complete=not self.found, problems=tuple(self.found), delta=delta, fault=self._fault)


def _request(url: str) -> str:
    return f"GET {urlsplit(url).path}"
