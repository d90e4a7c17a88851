"""Which requests a cycle may send that has nothing to do: those for somebody whose name is not to be had."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reconciler.ports import Request
from tests.sim.app import seen_of


def about_others(
    requests: Collection[Request], nameless: Mapping[str, str], accounts: Collection[str]
) -> Iterator[str]:
    """Return in words what is not about the `nameless` (id and name of each) nor about these `accounts`."""
    words = {word.casefold() for one in nameless.items() for word in one}
    for request in requests:
        seen = seen_of(request, 0.0)
        if seen.segments[:1] == ("Users",) and (
            any(f'"{word}"' in seen.query.get("filter", "").casefold() for word in words)
            or (len(seen.segments) > 1 and seen.segments[1] in accounts)
            or (isinstance(seen.body, dict) and not words.isdisjoint(_said(seen.body)))
        ):
            continue
        yield f"{request.method} {seen.path} {seen.query} {seen.body}"


def _said(body: Mapping[str, Any]) -> set[str]:
    return {str(body.get(name)).casefold() for name in ("externalId", "userName")}
