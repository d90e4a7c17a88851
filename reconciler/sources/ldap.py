"""Reads users, groups and memberships from a directory, in one thread that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from reconciler.core.model import Entry, Identity, Kind, SourceId
from reconciler.errors import NotAnnounced
from reconciler.ports import Clock, Diagnosis, ReadEvent, Wanted
from reconciler.sources import ldap_notify as notify
from reconciler.sources import ldap_sync as sync
from reconciler.sources.ldap_ad import ActiveDirectory
from reconciler.sources.ldap_generic import GenericDirectory
from reconciler.sources.ldap_layout import Changes, Layout
from reconciler.sources.ldap_refusals import Address, Refused
from reconciler.sources.ldap_wire import Bind, Wire

_T = TypeVar("_T")


class Directory(Protocol):
    """A directory as it is read from one thread; what it promises is what `ports.Source` promises."""

    def read(self, wanted: Wanted, since: str | None) -> Iterator[ReadEvent]: ...

    def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> dict[SourceId, Entry | None]: ...


class LdapSource:
    """A directory that speaks LDAP."""

    def __init__(
        self, name: str, address: Address, bind: Bind, layout: Layout, *, changes: Changes = "auto", clock: Clock
    ) -> None:
        """`changes`: how the directory is asked for what changed; "none": everything is read always."""
        self._wire = Wire(address, bind, passes_over_references=layout.active_directory)
        self._address, self._bind, self._layout, self._changes = address, bind, layout, changes
        self._directory: Directory = (
            ActiveDirectory(self._wire, layout, changes=changes)
            if layout.active_directory
            else GenericDirectory(self._wire, layout, changes=changes, clock=clock)
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"ldap-{name}")
        bases = dict.fromkeys((layout.users.base, layout.groups.base))
        self.identity = Identity("ldap", f"{address.url} {' '.join(bases)}", layout.anchor)

    @property
    def incremental(self) -> bool:
        return self._changes != "none"

    async def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        """See `ports.Source.read`. The directory is asked for the next page when somebody wants it."""
        events = self._directory.read(wanted, since)
        try:
            while (event := await self._in_thread(lambda: next(events, None))) is not None:
                yield event
        finally:
            self._thread.submit(_closed, events)

    async def changes(self) -> AsyncGenerator[None, None]:
        """See `ports.Announcing.changes`. Listens on a connection and in a thread of its own."""
        layout, where = self._layout, self.identity.place
        wire = Wire(self._address, self._bind)
        places = [(place.base, place.filter) for place in (layout.users, layout.groups)]
        thread = ThreadPoolExecutor(1, thread_name_prefix="ldap-listening")
        heard = notify.listen(wire) if layout.active_directory else sync.listen(wire, places)
        loop = asyncio.get_running_loop()
        try:
            while (said := await loop.run_in_executor(thread, next, heard, None)) is not None:
                if isinstance(said, Refused):
                    raise NotAnnounced(f"{where}: {said.why}" + (f" ({said.hint})" if said.hint else ""))
                if said:
                    yield
        finally:
            wire.stop()
            thread.submit(wire.close)
            thread.shutdown(wait=False)

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        """See `ports.Source.fetch`."""
        return await self._in_thread(lambda: self._directory.fetch(kind, ids, wanted))

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        """Sign in, and look at the first users and groups."""
        return await self._in_thread(self._test)

    async def close(self) -> None:
        """Sign out. What is being waited for ends within a second or two."""
        self._wire.stop()
        try:
            await self._in_thread(self._wire.close)
        finally:
            self._thread.shutdown(wait=False)

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _test(self) -> list[Diagnosis]:
        if refused := self._wire.open():
            return [Diagnosis("sign in", False, refused.why, refused.hint, refused.fault)]
        kinds: tuple[Kind, Kind] = ("user", "group")
        return [Diagnosis("sign in", True, f"{self.identity.place}"), *map(self._looked_at, kinds)]

    def _looked_at(self, kind: Kind) -> Diagnosis:
        layout, place = self._layout, self._layout.place(kind)
        step = f"{kind}s"
        for answer in self._wire.search(place.base, place.filter, [layout.anchor], page_size=layout.page_size):
            if isinstance(answer, Refused):
                return Diagnosis(step, False, f"{place.base}: {answer.why}", answer.hint)
            without = sum(layout.id_of(raw) is None for raw in answer)
            if without:
                hint = "it must be readable, and have one value: ask for the right to read it, or name another anchor"
                return Diagnosis(step, False, f"{place.base}: {without} of {len(answer)} show no {layout.anchor}", hint)
            more = "at least " if len(answer) >= layout.page_size else ""
            return Diagnosis(step, True, f"{place.base}: {more}{len(answer):,} {kind}s")
        hint = "does the filter fit, and may the user see them?"
        return Diagnosis(step, kind == "group", f"{place.base}: none fits {place.filter}", hint)


def _closed(events: Iterator[ReadEvent]) -> None:
    close = getattr(events, "close", None)
    if close is not None:
        close()
