"""What is special about one system that is read over REST, as values; takes its answers apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode, urljoin, urlsplit

import orjson

from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import halves
from reconciler.errors import ConfigError

SinceFormat = Literal["iso", "seconds", "milliseconds", "date"]
Part = Literal["users", "groups"]
_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_LINK = re.compile(r'<([^<>]*)>((?:[^,"<>]|"[^"]*")*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.I)
_MISSING = object()
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Paging:
    """How a list goes on after its first page."""

    kind: Literal["none", "offset", "page", "cursor", "next", "link"] = "none"
    size_parameter: str | None = None
    size: int = 100
    parameter: str | None = None
    """What says where the page begins: an offset, the page's number, a cursor."""
    first: int = 0
    """The first offset, or the number of the first page."""
    next: str | None = None
    """The path of the next cursor, or of the next page's URL, in the body."""
    total: str | None = None
    """The path of how many there are in all; the reading is complete only when so many came."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One list of the system."""

    path: str
    items: str
    """Where in the body the items are; empty: the body is the list."""
    id: str
    query: Mapping[str, str] = field(default_factory=dict)
    paging: Paging = Paging()
    expects: tuple[str, ...] = ()
    """What every item has, if only as null: one without it is not what was asked for."""
    absent_is_empty: bool = False
    """Whether a body without the list says that nobody is in it."""


@dataclass(frozen=True, slots=True)
class Take:
    """Where an attribute is, and which of several values."""

    path: str
    which: Literal["all", "first", "last", "min", "max"] = "all"


@dataclass(frozen=True, slots=True)
class Join:
    """Another list, read once in a cycle, whose item (or items) with the same value hang on each entry by `name`."""

    name: str
    listing: Listing
    on: str
    """The path in the entry."""
    by: str
    """The path in the other list's items."""
    many: bool = False


@dataclass(frozen=True, slots=True)
class Since:
    """How to ask for what changed."""

    queries: tuple[Mapping[str, str], ...]
    """Each is asked, with {since} in its values."""
    changed: str
    """The path that says when an item last changed."""
    format: SinceFormat = "iso"


@dataclass(frozen=True, slots=True)
class Entries:
    """Users, or groups."""

    listing: Listing
    attributes: Mapping[str, Take] = field(default_factory=dict)
    since: Since | None = None
    joins: tuple[Join, ...] = ()
    one: str | None = None
    """The path of one entry, with {id}."""
    one_item: str = ""
    deleted: str | None = None
    deleted_is: frozenset[str] = frozenset()
    members: Listing | None = None
    """Of groups: the list of one group's members, with {id}."""
    members_changed: str | None = None
    """Of groups: the path that says when the members last changed."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """A list of those who are assigned to something, which rules see as a group of this id and name."""

    id: str
    listing: Listing
    parameter: str
    """The parameter of the source without which there is no such list."""


@dataclass(frozen=True, slots=True)
class Description:
    """How one system is read."""

    name: str
    users: Entries
    groups: Entries | None = None
    assigned: tuple[Assigned, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def entries(self, part: Part) -> Entries | None:
        return self.users if part == "users" else self.groups


class Unreadable(Exception):
    """An answer, or a list of them, is not what was asked for; `why` is a sentence without anybody's values.

    `fault`: the system as a whole cannot be worked with.
    """

    def __init__(self, why: str, fault: Failed | None = None) -> None:
        self.why, self.fault = why, fault
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class KeySecret:
    """A secret that goes with each request in a header, or in the query, of this name."""

    place: Literal["header", "query"]
    name: str
    read: Callable[[], str]

    def signed(self, url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str], str]:
        """Return URL and headers with the secret, and the secret. Raises Unreadable where it is not there."""
        try:
            secret = self.read().strip()
        except ConfigError as error:
            fault = Failed(Fault.UNAUTHORIZED, f"the secret cannot be read: {error}")
            raise Unreadable(fault.reason, fault) from None
        if self.place == "header":
            return url, {**headers, self.name: secret}, secret
        return url + ("&" if "?" in url else "?") + urlencode({self.name: secret}), dict(headers), secret


def value_at(item: Any, path: str) -> Any:
    """Return what stands at a dotted path, None where there is nothing; of a list, the list of what its items have."""
    found = item
    for name in path.split(".") if path else ():
        if isinstance(found, list):
            found = [one[name] for one in found if isinstance(one, Mapping) and one.get(name) is not None]
        elif isinstance(found, Mapping):
            found = found.get(name)
        else:
            return None
    return found


def has(item: Mapping[str, Any], path: str) -> bool:
    """Whether the path is there, if only with null."""
    found: Any = item
    for name in path.split("."):
        found = found.get(name, _MISSING) if isinstance(found, Mapping) else _MISSING
        if found is _MISSING:
            return False
    return True


def taken(item: Any, take: Take) -> Any:
    """Return an attribute's value."""
    value = value_at(item, take.path)
    if take.which == "all" or not isinstance(value, list):
        return value
    texts = [one for one in value if one is not None]
    if not texts:
        return None
    match take.which:
        case "first":
            return texts[0]
        case "last":
            return texts[-1]
        case "min":
            return min(texts, key=str)
        case "max":
            return max(texts, key=str)


def id_of(item: Any, path: str) -> str | None:
    """Return an id: text, or a whole number as text. One that lost a character may look like another."""
    value = value_at(item, path)
    if type(value) is int:
        return str(value)
    is_one = isinstance(value, str) and value and not value.isspace() and halves.NO_CHARACTER not in value
    return value if is_one else None


def items_of(body: bytes, listing: Listing) -> tuple[Any, list[dict[str, Any]]]:
    """Return the body and its items. Raises Unreadable where the body is something else than the list."""
    content = parsed(body)
    items = value_at(content, listing.items) if isinstance(content, dict) or not listing.items else None
    if items is None and listing.absent_is_empty and isinstance(content, dict):
        items = []
    if not isinstance(items, list):
        where = f"has no list at '{listing.items}'" if listing.items else "is no list"
        raise Unreadable(f"the answer {where}: is it an error, or another version of the API?")
    for item in items:
        if not isinstance(item, dict):
            raise Unreadable("an item of the list is no object")
        lacks = [path for path in listing.expects if not has(item, path)]
        if lacks:
            raise Unreadable(f"an item lacks {', '.join(lacks)}: are these fields new, renamed, or not ours to see?")
    return content, items


def parsed(body: bytes) -> Any:
    """Return the body. Raises Unreadable where it is no JSON."""
    try:
        return halves.loads(body)
    except orjson.JSONDecodeError:
        kind = "a web page (a login?)" if body.lstrip()[:1] == b"<" else "no JSON"
        raise Unreadable(f"the answer is {kind}") from None


def tells_an_error(body: bytes) -> bool:
    """Whether an answer that says it succeeded holds an `error`, or `errors`, that is not empty."""
    if b'"error' not in body:
        return False
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(content, dict) and bool(content.get("error") or content.get("errors"))


def total_of(content: Any, paging: Paging) -> int | None:
    """Return how many items there are in all, None where the system never says. Raises Unreadable where it should."""
    if paging.total is None:
        return None
    total = value_at(content, paging.total)
    if type(total) is not int or total < 0:
        raise Unreadable(f"the answer has no number at '{paging.total}'")
    return total


def next_link(header: str | None, base: str) -> str | None:
    """Return the address of rel="next" (RFC 8288), absolute; None where there is none.

    Raises Unreadable where there are links and it cannot be told what they are: that is no end of a list.
    """
    links: list[tuple[str, str]] = _LINK.findall(header or "")
    if header and header.strip() and not links:
        raise Unreadable("the Link header cannot be read")
    for target, parameters in links:
        rel = _REL.search(parameters)
        if rel is None:
            raise Unreadable("the Link header cannot be read: a link has no rel")
        if "next" in (rel[1] or rel[2] or "").lower().split():
            try:
                return urljoin(base, target)
            except ValueError:
                raise Unreadable("the next page is at what is no address") from None
    return None


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses are of one server, and neither signs in as somebody else."""
    try:
        return _origin(one) == _origin(other)
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str | None, int | None, str | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme), parts.username


def address(base: str, path: str, variables: Mapping[str, str], query: Mapping[str, str | int]) -> str:
    """Return the URL of a path below the base, with its variables filled in and encoded."""
    filled = _VARIABLE.sub(lambda found: quote(variables[found[1]], safe=""), path)
    asked = {name: filled_in(str(value), variables) for name, value in query.items()}
    return f"{base.rstrip('/')}{filled}" + (f"?{urlencode(asked, quote_via=quote)}" if asked else "")


def filled_in(text: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), text)


def written(seconds: float, form: SinceFormat) -> str:
    """Return a moment as the system wants it."""
    moment = datetime.fromtimestamp(seconds, UTC)
    match form:
        case "iso":
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case "date":
            return moment.date().isoformat()
        case "seconds":
            return str(int(seconds))
        case "milliseconds":
            return str(int(seconds * 1000))


def moment_of(value: Any, form: SinceFormat) -> float | None:
    """Return a moment of the system in seconds; None where it is none."""
    if isinstance(value, str) and form in ("iso", "date"):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / 1000 if form == "milliseconds" else float(value)
    return None
