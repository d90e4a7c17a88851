"""Asks a SCIM server for its lists, and finds out how far its answers can be trusted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import anyio

from reconciler.core.model import Kind, SourceId
from reconciler.core.outcomes import Failed, Fault, ListEnd
from reconciler.dialects.scim_config import read_config
from reconciler.dialects.scim_listing import PATIENCE, Form, Rows, listed
from reconciler.dialects.scim_wire import Wire
from reconciler.ports import ReadEnd, chunks
from reconciler.sources.scim_shape import declared_by
from reconciler.sources.scim_token import Part

PAGE_MEMBERS = 50
"""So many groups are asked for at once where their members come along."""
_PAGE_GROUPS = 200
"""So many at once where they should not: some servers show members whatever they are asked for."""
_AT_ONCE = 50
_SAYS_NOTHING = (Fault.NOT_FOUND, Fault.UNSUPPORTED, Fault.FORBIDDEN, Fault.INVALID, Fault.NOT_SCIM)
"""Faults of a document about the server that say just that it has none for us."""
_SELECTION_REFUSED = (Fault.INVALID, Fault.UNSUPPORTED, Fault.SERVER_ERROR)
"""Faults with which servers answer that choke on what they are asked for."""
_OF_THE_WHOLE = (
    *(Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.UNREACHABLE, Fault.INTERRUPTED, Fault.THROTTLED),
    *(Fault.SERVER_ERROR, Fault.NOT_FOUND, Fault.NOT_SCIM),
)

Row = dict[str, Any]


class Unreadable(Exception):
    """A list cannot be read on; `why` is a sentence without anybody's values."""

    def __init__(self, why: str, fault: Failed | None = None) -> None:
        self.why, self.fault = why, fault
        super().__init__(why)


class Problems:
    """Why the reading of one part is incomplete, each told once."""

    def __init__(self, source: str, what: str) -> None:
        self._where = f"source {source} {what}"
        self._found: dict[str, None] = {}
        self._fault: Failed | None = None

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, why: str) -> None:
        self._found[f"{self._where}: {why}"] = None

    def take(self, others: Problems) -> None:
        """Let what was found there count here."""
        self._found.update(others._found)

    def ended_by(self, unreadable: Unreadable) -> None:
        self.add(unreadable.why)
        if unreadable.fault is not None and unreadable.fault.fault in _OF_THE_WHOLE:
            self._fault = self._fault or unreadable.fault

    def end(self, part: Part, *, delta: bool = False) -> ReadEnd:
        return ReadEnd(part, not self._found, tuple(self._found), delta=delta, fault=self._fault)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for of each resource, and what of it somebody is expected to have."""

    part: Part
    query: str
    """The parameter `attributes`."""
    missing: Callable[[Sequence[Mapping[str, Any]]], list[str]]
    """Gives the names that no resource of a page has."""


class Server:
    """One SCIM server behind one wire."""

    def __init__(
        self, wire: Wire, *, paging: Literal["auto", "index", "cursor"], page_size: int, selects: bool | None = None
    ) -> None:
        """`selects`: whether the server gives what `attributes` asks for; None: it is found out."""
        self.wire, self._paging, self._page_size, self._selects = wire, paging, page_size, selects
        self.selects: dict[Part, bool] = {}
        """What was found out: by part, whether the server gives what it is asked for, and nothing less."""
        self._asking = anyio.Lock()
        self._config: dict[str, Any] | None = None
        self._forms: dict[Kind, Form] = {}
        self._declared: frozenset[str] | None = None

    async def config(self) -> dict[str, Any]:
        """Return what the server says of itself, asked once; empty where it says nothing. Raises Unreadable."""
        async with self._asking:
            if self._config is None:
                got = await self.wire.read(self.wire.at("/ServiceProviderConfig"), doing="reading its configuration")
                if isinstance(got, Failed) and got.fault not in (*_SAYS_NOTHING, Fault.SERVER_ERROR):
                    raise Unreadable(got.reason, got)
                self._config = read_config({} if isinstance(got, Failed) else got[0])
        return self._config

    async def rows(
        self,
        kind: Kind,
        problems: Problems,
        *,
        doing: str,
        selection: Selection | None = None,
        query: str = "",
        size: int | None = None,
    ) -> AsyncGenerator[list[Row]]:
        """Yield the resources of one list, each once. Raises Unreadable; what else speaks against it is a problem.

        A server that refuses to be asked for just something is asked for everything. Where a whole page lacks
        something, it is read once more without asking for anything: a server that leaves out what it has is one that
        cannot be asked so.
        """
        form = await self._form(kind, size)
        if selection is not None and self.can_select(selection.part) is not False:
            any_rows = False
            try:
                async with aclosing(self._selected(kind, form, doing, selection, query, problems)) as pages:
                    async for rows in pages:
                        any_rows = True
                        yield rows
                return
            except Unreadable as refused:
                kind_of = None if refused.fault is None else refused.fault.fault
                if any_rows or self._selects is not None or kind_of not in _SELECTION_REFUSED:
                    raise
        async with aclosing(self._all(kind, form, doing, query, problems)) as pages:
            async for rows in pages:
                if selection is not None:
                    self.selects[selection.part] = False
                yield rows

    async def _selected(
        self, kind: Kind, form: Form, doing: str, selection: Selection, query: str, problems: Problems
    ) -> AsyncGenerator[list[Row]]:
        selected = "&".join(part for part in (selection.query, query) if part)
        async with aclosing(self._all(kind, form, doing, selected, problems)) as pages:
            async for rows in pages:
                if self.can_select(selection.part) is None and selection.missing(rows):
                    async with aclosing(self._all(kind, form, doing, query, problems)) as whole:
                        first: list[Row] = await anext(whole, [])
                        if len(selection.missing(first)) < len(selection.missing(rows)):
                            self.selects[selection.part] = False
                            yield first
                            async for more in whole:
                                yield more
                            return
                self.selects[selection.part] = True
                yield rows

    def can_select(self, part: Part) -> bool | None:
        """Whether the server gives what `attributes` asks for; None: not known."""
        return self._selects if self._selects is not None else self.selects.get(part)

    async def named(self, kind: Kind, problems: Problems, *names: str) -> AsyncGenerator[list[Row]]:
        """Yield all resources with just their ids and these attributes."""
        query = "attributes=" + ",".join(("id", *names))
        async for rows in self.rows(kind, problems, doing=f"sweeping {kind}s", query=query):
            yield rows

    async def one(self, kind: Kind, source_id: str, query: str = "") -> Row | None:
        """Return one resource; None: the server says that there is none. Raises Unreadable."""
        got = await self.wire.resource(kind, source_id, query, doing=f"reading a {kind}", patience=PATIENCE)
        if isinstance(got, Failed):
            if got.fault is Fault.NOT_FOUND:
                return None
            raise Unreadable(got.reason, got)
        if str(got[0]["id"]) != source_id:
            raise Unreadable(f"reading a {kind}: the server answered with another one")
        return got[0]

    async def several(
        self, kind: Kind, ids: Sequence[SourceId], query: str = ""
    ) -> AsyncGenerator[list[tuple[SourceId, Row | Unreadable | None]]]:
        """Yield resources that are asked for one by one, some at a time; the client bounds how many go at once."""
        for some in chunks(ids, _AT_ONCE):
            found: dict[SourceId, Row | Unreadable | None] = {}

            async def ask(source_id: SourceId, found: dict[SourceId, Row | Unreadable | None] = found) -> None:
                try:
                    found[source_id] = await self.one(kind, source_id, query)
                except Unreadable as unreadable:
                    found[source_id] = unreadable

            async with anyio.create_task_group() as tasks:
                for source_id in some:
                    tasks.start_soon(ask, source_id)
            yield [(source_id, found[source_id]) for source_id in some]

    async def declared(self) -> frozenset[str] | None:
        """Return the attributes that the server's schemas have, in lower case; None where it shows none."""
        if self._declared is None:
            got = await self.wire.read(self.wire.at("/Schemas"), doing="reading its schemas", patience=PATIENCE)
            if isinstance(got, Failed):
                if got.fault not in _SAYS_NOTHING:
                    raise Unreadable(got.reason, got)
                return None
            documents = got[0].get("Resources")
            self._declared = declared_by(documents if isinstance(documents, list) else [])
        return self._declared or None

    async def _form(self, kind: Kind, size: int | None) -> Form:
        size = _PAGE_GROUPS if size is None and kind == "group" else size
        known = self._forms.get(kind)
        if known is None:
            config = await self.config()
            most = [one for one in (config["page_max"], config["filter_max"]) if one]
            by_cursor = self._paging == "cursor" or (self._paging == "auto" and config["cursor"] is True)
            is_sorted = config["sort"] is True and not by_cursor
            known = self._forms[kind] = Form(min([self._page_size, *most]), by_cursor, is_sorted)
        if size is None or known.count is None or known.count <= size:
            return known
        return Form(size, known.by_cursor, known.is_sorted)

    async def _all(
        self, kind: Kind, form: Form, doing: str, query: str, problems: Problems
    ) -> AsyncGenerator[list[Row]]:
        def note(taken: Form) -> None:
            self._forms[kind] = taken

        async with aclosing(listed(self.wire, kind, form, doing=doing, query=query, note=note)) as events:
            async for event in events:
                match event:
                    case Rows(resources=resources):
                        yield resources
                    case ListEnd(complete=complete, why=why):
                        if not complete:
                            problems.add(why)
                    case Failed(reason=reason):
                        raise Unreadable(reason, event)


def filtered(expression: str) -> str:
    """Return the parameter that asks for those of whom this holds."""
    return "filter=" + quote(expression, safe="")
