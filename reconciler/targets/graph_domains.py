"""Knows which domains are the tenant's own, and refuses names in others before they are sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio

from reconciler.core.model import Kind
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.profile import Profile
from reconciler.dialects.graph import Call
from reconciler.targets.graph_wire import Wire, rows_of


class Domains:
    """The verified domains of a tenant, asked for once."""

    __slots__ = ("_asking", "_checked", "_known", "_wire")

    def __init__(self, wire: Wire, profile: Profile) -> None:
        self._wire = wire
        self._checked = frozenset(path for path, known in profile.user_attributes.items() if known.own_domain)
        self._known: frozenset[str] | Failed | None = None
        self._asking = anyio.Lock()

    async def verified(self) -> frozenset[str] | Failed:
        """Return the verified domains in lower case."""
        if isinstance(self._known, frozenset):
            return self._known  # without a turn: whoever asks side by side stays side by side
        async with self._asking:
            if not self._is_settled:
                self._known = await self._ask()
            return self._known or frozenset()

    async def refusal(self, kind: Kind, values: Iterable[tuple[str, Any]], doing: str) -> Failed | None:
        """Return why these values cannot be written: one of them names a domain that is not the tenant's.

        Where the domains may not be read, Graph itself is left to say so.
        """
        if kind != "user":
            return None
        named = [(path, value) for path, value in values if path in self._checked and isinstance(value, str)]
        if not named:
            return None
        known = await self.verified()
        if isinstance(known, Failed):
            return None if known.fault is Fault.FORBIDDEN else known
        for path, value in named:
            domain = value.rpartition("@")[2].lower()
            if domain not in known:
                shown = ", ".join(sorted(known))
                reason = f"{doing}: domain not in tenant: {path} is in {domain}; the tenant has {shown}"
                return Failed(Fault.INVALID, reason, attribute=path, code="DomainNotInTenant")
        return None

    @property
    def _is_settled(self) -> bool:
        """Whether another question would be answered alike: they are known, or may not be known."""
        known = self._known
        return isinstance(known, frozenset) or (known is not None and known.fault is Fault.FORBIDDEN)

    async def _ask(self) -> frozenset[str] | Failed:
        call = Call("GET", "/organization?$select=id,verifiedDomains")
        content = await self._wire.read(call, doing="reading the tenant's domains")
        if isinstance(content, Failed):
            return content
        domains: set[str] = set()
        for organization in rows_of(content):
            verified = organization.get("verifiedDomains")
            for one in verified if isinstance(verified, list) else []:
                name = one.get("name") if isinstance(one, dict) else None
                if isinstance(name, str):
                    domains.add(name.lower())
        if not domains:
            return Failed(Fault.NOT_SCIM, "reading the tenant's domains: Graph shows none")
        return frozenset(domains)
