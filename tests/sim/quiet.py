"""Which requests a cycle may send that has nothing to do: those for somebody whose name is not to be had."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from tests.servers.engine import Seen


def about_others(
    calls: Collection[Seen], nameless: Mapping[str, str], accounts: Collection[str], holders: Collection[str]
) -> Iterator[str]:
    """Return in words what is not about the `nameless` (id and name of each) nor about these `accounts` of theirs.

    To list everybody is a look-up, too, where there is one to look for; so is to look at the `holders` of their names.
    """
    words = {word.casefold() for one in nameless.items() for word in one}
    others = [one for one in calls if not _is_about(one, words, {*accounts, *(holders if one.method == "GET" else ())})]
    for seen in others:
        lists = seen.method == "GET" and seen.segments == ("Users",) and "filter" not in seen.query
        if not lists or len(others) == len(calls):
            yield f"{seen.method} {seen.path} {seen.query} {seen.body}"


def _is_about(seen: Seen, words: Collection[str], accounts: Collection[str]) -> bool:
    if seen.segments[:1] != ("Users",):
        return False
    named = {str(seen.body.get(name)).casefold() for name in ("externalId", "userName") if isinstance(seen.body, dict)}
    asked = seen.query.get("filter", "").casefold()
    return (
        any(f'"{word}"' in asked for word in words)
        or (len(seen.segments) > 1 and seen.segments[1] in accounts)
        or not named.isdisjoint(words)
    )
