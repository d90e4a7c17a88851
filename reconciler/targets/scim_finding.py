"""Asks a SCIM target for the accounts that have a value, and believes only what it can check.

Servers ignore filters, look into another attribute, repeat rows, or refuse what they do not know. So every row is read
again here, and where rows came that nobody asked for, "there is none" is not concluded from a part of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from reconciler.core import paths
from reconciler.core.levelling import level
from reconciler.core.model import Kind, TargetId
from reconciler.core.outcomes import Account, Failed, Fault, Found
from reconciler.core.paths import Reader
from reconciler.core.profile import PatchDialect, Profile
from reconciler.core.reasons import Reason
from reconciler.dialects import scim, scim_shown
from reconciler.dialects.scim_wire import ENDPOINTS, Wire

_STRANGERS_MAX = 10
"""So many rows that do not fit are a server that ignores the filter and may have more pages of them."""
_PAGES_MAX = 10
"""Many accounts of one value are a conflict already: how many there are does not matter then."""
_ODD: Reason = "UnusableAnswer"
"""The code where SCIM answered, and nothing can be made of what it says of this one value."""
_REFUSES_FILTERS = (Fault.INVALID, Fault.UNSUPPORTED)


class Finding:
    """Answers questions about one target. Remembers, while it lives, what the target cannot be asked."""

    __slots__ = ("_dialects", "_profile", "_readers", "_refusals", "_wire")

    def __init__(self, wire: Wire, profile: Profile, readers: Mapping[Kind, tuple[tuple[str, Reader], ...]]) -> None:
        self._wire, self._profile, self._readers = wire, profile, readers
        self._refusals: dict[tuple[Kind, str], Failed] = {}
        self._dialects: dict[str, PatchDialect] = {}
        """The form of the filter that worked for a path, where it was not the first."""

    async def find(self, kind: Kind, path: str, value: str) -> Found | Failed:
        """Return the accounts whose `path` is `value`, each once. UNSUPPORTED: the target must be listed instead."""
        if not self._profile.can_filter:
            return Failed(Fault.UNSUPPORTED, f"the profile says that {ENDPOINTS[kind]} cannot be filtered")
        if kind == "user" and self._profile.filters and path not in self._profile.filters:
            return Failed(Fault.UNSUPPORTED, f"the profile says that /Users cannot be asked by {path}")
        known = self._refusals.get((kind, path))
        if known is not None:
            return known
        doing = f"asking for a {kind} by {path}"
        refusal: Failed | None = None
        for dialect in self._forms(path):
            text = scim.filter_query(path, value, dialect=dialect)
            listed = await self._answer(filter_url(self._wire, kind, text), doing)
            if not isinstance(listed, Failed):
                self._dialects[path] = dialect
                return self._checked(kind, path, value, listed, doing)
            refusal = refusal or listed
            if not self._refuses_filters(listed):
                return listed
        assert refusal is not None
        unsupported = replace(refusal, fault=Fault.UNSUPPORTED)
        if json.dumps(value, ensure_ascii=False) != f'"{value}"':
            return unsupported  # it may be the escapes that the target cannot read: others are asked for as before
        return self._unsupported(kind, path, unsupported)

    async def _answer(self, url: str, doing: str) -> dict[str, Any] | Failed:
        """Return the whole answer: where a page shows fewer rows than there are, the next ones belong to it."""
        listed = await self._wire.rows(url, doing=doing)
        for _ in range(_PAGES_MAX):
            if isinstance(listed, Failed):
                return listed
            rows, total = listed.get("Resources") or [], listed.get("totalResults")
            if not rows or not isinstance(total, int) or total <= len(rows) or len(rows) >= _STRANGERS_MAX:
                return listed
            more = await self._wire.rows(f"{url}&startIndex={len(rows) + 1}", doing=doing)
            if isinstance(more, Failed):
                return more
            added = more.get("Resources") or []
            if not added:
                return listed
            listed = {**listed, "Resources": [*rows, *added]}
        return listed

    def _forms(self, path: str) -> Iterator[PatchDialect]:
        """Give the forms of the filter to try: for a path with a filter of its own there are two."""
        known = self._dialects.get(path)
        if known is not None:
            yield known
            return
        yield self._profile.patch
        if "[" in path:
            yield PatchDialect.RFC if self._profile.patch is PatchDialect.ENTRA else PatchDialect.ENTRA

    @staticmethod
    def _refuses_filters(refusal: Failed) -> bool:
        """Whether another form, or a list, may answer; a 404 here may be a server's way to say "none" or "no filter".

        Where the url is wrong, the list says so.
        """
        return refusal.fault in _REFUSES_FILTERS or refusal.fault is Fault.NOT_FOUND

    def _checked(self, kind: Kind, path: str, value: str, listed: Mapping[str, Any], doing: str) -> Found | Failed:
        rows = listed.get("Resources") or []
        is_asked = _matcher(kind, path, value, self._profile)
        accounts: dict[TargetId, Account] = {}
        strangers = 0
        for row in rows:
            if not is_asked(row):
                strangers += 1
                continue
            target_id, resource = scim_shown.extract(row, self._readers[kind])
            if target_id is None:
                return Failed(Fault.NOT_SCIM, f"{doing}: the target shows an account without an id", code=_ODD)
            accounts[target_id] = Account(target_id, resource)
        total = listed.get("totalResults")
        if strangers and (total != len(rows) or strangers >= _STRANGERS_MAX):
            reason = f"{doing}: the target answers with others too, a filter does not choose there"
            return self._unsupported(kind, path, Failed(Fault.UNSUPPORTED, reason, 200))
        if not rows and isinstance(total, int) and total > 0:
            reason = f"{doing}: the target says that there are {total} and shows none"
            return Failed(Fault.NOT_SCIM, reason, code=_ODD)
        return Found(tuple(accounts.values()))

    def _unsupported(self, kind: Kind, path: str, refusal: Failed) -> Failed:
        if refusal.status != 404:
            self._refusals[kind, path] = refusal
        return refusal


def filter_url(wire: Wire, kind: Kind, filter_text: str) -> str:
    """Return the URL that asks for what a filter describes; groups come without their members."""
    leaving_out = "excludedAttributes=members&" if kind == "group" else ""
    return wire.url(kind, query=f"{leaving_out}filter={quote(filter_text, safe='')}")


def _matcher(kind: Kind, path: str, value: str, profile: Profile) -> Callable[[Any], bool]:
    """Return what tells whether a row has the value that was asked for."""
    exact = profile.attribute(kind, path).case_exact
    wanted = level(value, exact=exact)
    read = paths.reader(path)

    def says(found: Any) -> bool:
        if isinstance(found, list):
            return any(says(each) for each in found)
        if isinstance(found, Mapping):
            return says(found.get("value"))
        if isinstance(found, bool) or not isinstance(found, (str, int, float)):
            return False
        return level(str(found), exact=exact) == wanted

    return lambda row: isinstance(row, dict) and says(read(row))
