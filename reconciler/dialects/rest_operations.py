"""What is special about one app that is written over REST, as values; makes its requests and reads its answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from reconciler.core import diffing, paths
from reconciler.core.levelling import level
from reconciler.core.mapping import MEMBERS
from reconciler.core.model import Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Failed, Fault
from reconciler.core.paths import Reader
from reconciler.core.profile import Profile, TargetAttribute, ValueType
from reconciler.dialects import refusals, rest
from reconciler.dialects.identifiers import names_one
from reconciler.dialects.rest import Listing
from reconciler.net.statuses import fault_of

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Quoting = Literal["none", "json", "odata"]
Readers = Sequence[tuple[str, Reader]]
ALL = "{*}"
"""Stands in the template of a body for everything that is sent."""
_MEMBER = "{member}"
_ONE_VARIABLE = re.compile(r"\{([^{}]+)\}")
_MISSING = object()
_NAMES_THE_ATTRIBUTE = (Fault.INVALID, Fault.CONFLICT, Fault.UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class Operation:
    """One request, as a template: {id}, {value}, {member} and parameters are filled in."""

    method: Method
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    """A template of JSON; None: there is no body."""
    item: str = ""
    """Where in the body of the answer the resource is; empty: the body is the resource."""
    repeatable: bool = False
    """Doing it twice is the same as doing it once."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """How the app is asked by one attribute, with {value}: for a list, or for one resource (404: there is none)."""

    ask: Listing | Operation
    quoting: Quoting = "none"


@dataclass(frozen=True, slots=True)
class Collection:
    """Users, or groups, and what can be done with them. An operation that is None does not exist."""

    listing: Listing
    get: Operation
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    """By the path of the attribute."""
    create: Operation | None = None
    update: Operation | None = None
    disable: Operation | None = None
    enable: Operation | None = None
    delete: Operation | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """Attribute → where the app has it, of those that it calls otherwise."""
    reads: Mapping[str, str] = field(default_factory=dict)
    """Attribute → where the app shows it, of those that it takes elsewhere."""
    active_is: frozenset[str] = frozenset()
    """The values that mean active, where the app shows no boolean."""
    whole: bool = False
    """Whether an update replaces the resource, so that it is read, changed and sent as a whole."""
    leaves_out: tuple[str, ...] = ()
    """What a whole resource is sent without."""
    empty: Any = None
    """What is sent where there is no value any more."""
    numeric_ids: bool = False
    """Whether ids are numbers in bodies."""
    members: Listing | None = None
    add_member: Operation | None = None
    remove_member: Operation | None = None

    def place(self, path: str) -> str:
        """Return where the app takes an attribute."""
        return self.names.get(path, path)

    def shown_at(self, path: str) -> str:
        """Return where the app shows an attribute."""
        return self.reads.get(path) or self.place(path)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status means where it is not what HTTP says; `says` is looked for in the app's own words."""

    status: int
    fault: Fault
    says: re.Pattern[str] | None = None
    method: Method | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """How one app is read and written."""

    users: Collection
    groups: Collection | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = refusals.DETAIL_NAMES
    """Where in a refusal the app's own words are, first first."""
    meanings: tuple[Meaning, ...] = ()
    probe: str | None = None
    """What is asked first to test the connection."""
    reset_header: str | None = None
    """Where the app says when its limit ends, if not in Retry-After."""

    def collection(self, kind: Kind) -> Collection | None:
        return self.users if kind == "user" else self.groups


# --- reading -----------------------------------------------------------------------------------------------------


def readers(kind: Kind, mapped: Iterable[str], collection: Collection, profile: Profile) -> Readers:
    """Compile what `account` needs: for each mapped attribute that the app shows, what reads it."""
    return tuple(
        (path, _reader(path, profile.attribute(kind, path), collection, profile.active))
        for path in mapped
        if path != MEMBERS and profile.attribute(kind, path).shown
    )


def account(item: Any, collection: Collection, by: Readers) -> Account | None:
    """Return what an item shows; None where it has no id."""
    if not isinstance(item, dict):
        return None
    identifier = rest.id_of(item, collection.listing.id)
    if identifier is None or not names_one(identifier):
        return None
    resource: Resource = {}
    for path, read in by:
        value = read(item)
        if value is not None:
            resource[path] = value
    return Account(TargetId(identifier), resource)


def has(found: Account, path: str, value: str, attribute: TargetAttribute) -> bool:
    """Whether an account truly has the value that was asked for."""
    held = found.resource.get(path)
    shown = [diffing.text(one) for one in (held if isinstance(held, list) else [held]) if one is not None]
    exact = attribute.case_exact
    return level(value, exact=exact) in [level(one, exact=exact) for one in shown]


def quoted(value: str, quoting: Quoting) -> str:
    """Return a value as a filter of the app wants it."""
    match quoting:
        case "none":
            return value
        case "json":
            return orjson.dumps(value).decode()
        case "odata":
            return "'" + value.replace("'", "''") + "'"


# --- writing -----------------------------------------------------------------------------------------------------


def document(
    kind: Kind,
    values: Iterable[tuple[str, Any]],
    collection: Collection,
    profile: Profile,
    base: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the values where the app takes them, in `base` where there is one.

    A value of None goes away from a base, and is what the app takes for empty elsewhere. Raises PathError.
    """
    made: dict[str, Any] = {} if base is None else base
    for path, value in values:
        if path == MEMBERS:
            continue
        place = collection.place(path)
        if value is None and base is not None:
            paths.remove(made, place)
            continue
        sent = collection.empty if value is None else _on_wire(value, profile.attribute(kind, path), collection)
        paths.write(made, place, sent, reference=False)
    return made


def touches_an_element(changed: Iterable[str], collection: Collection) -> bool:
    """Whether a change is of one element of a list, which can only be sent with the others."""
    return any(paths.parse(collection.place(path)).where for path in changed)


def touched_of(changed: Iterable[str], collection: Collection, whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a whole resource the attributes that these are parts of, null where they are gone."""
    names = {parsed.schema or parsed.attribute for parsed in (paths.parse(collection.place(path)) for path in changed)}
    return {name: whole.get(name) for name in names}


def body_of(operation: Operation, values: Mapping[str, Any], sent: Mapping[str, Any]) -> bytes | None:
    """Return the body of a request: its template with `values` by name and what is `sent` filled in."""
    if operation.body is None:
        return None
    filled = _filled(operation.body, values, sent)
    return orjson.dumps({} if filled is _MISSING else filled)


def takes_several(operation: Operation) -> bool:
    """Whether one request may be about several members: they stand in its body and not in its path."""
    return _MEMBER not in operation.path and _MEMBER in str(operation.body)


# --- refusals ----------------------------------------------------------------------------------------------------


def failed(
    status: int,
    body: bytes,
    *,
    doing: str,
    method: str,
    api: Api,
    wait_seconds: float | None = None,
    attributes: Iterable[str] = (),
    hints: Mapping[str, str] | None = None,
    location: str = "",
) -> Failed | None:
    """Return the fault that an answer means, None where it is none.

    `doing` says what was asked; of `attributes`, which the request held, one may be named by the answer. `location`
    is where a redirect leads.
    """
    content = refusals.object_of(body)
    words = ""
    if status >= 300 or any(meaning.status == status for meaning in api.meanings):
        words = refusals.shortened(refusals.words(body, content, api.words))
    fault = _meant(status, words, method, api) or fault_of(status, asks_to_wait=wait_seconds is not None)
    if fault is None:
        return None
    named = refusals.named(words, attributes) if fault in _NAMES_THE_ATTRIBUTE else None
    reason = f"{doing}: the app answered {status}"
    if 300 <= status < 400:
        reason += refusals.redirected(location)
    elif words:
        reason += f": {words}"
    return Failed(fault, refusals.hinted(reason, fault, hints), status, wait_seconds, named)


def unreadable(why: str, *, doing: str, status: int | None = None, hints: Mapping[str, str] | None = None) -> Failed:
    """Return the fault of an answer that says it succeeded and is not what was asked for."""
    return Failed(Fault.NOT_SCIM, refusals.hinted(f"{doing}: {why}", Fault.NOT_SCIM, hints), status)


def _meant(status: int, words: str, method: str, api: Api) -> Fault | None:
    for meaning in api.meanings:
        fits = meaning.status == status and meaning.method in (None, method)
        if fits and (meaning.says is None or meaning.says.search(words)):
            return meaning.fault
    return None


# --- parts -------------------------------------------------------------------------------------------------------


def _reader(path: str, attribute: TargetAttribute, collection: Collection, active: str) -> Reader:
    read = paths.reader(collection.shown_at(path), reference=False)
    if path == active and collection.active_is:
        return _said(read, lambda value: None if value is None else diffing.text(value) in collection.active_is)
    if attribute.references is not None:
        return _said(read, _ids)
    if attribute.type is ValueType.BOOLEAN and not attribute.multivalued:
        return _said(read, lambda value: value if diffing.boolean(value) is None else diffing.boolean(value))
    return read


def _said(read: Reader, meaning: Callable[[Any], Any]) -> Reader:
    return lambda item: meaning(read(item))


def _ids(value: Any) -> Any:
    """Return the id that a reference holds: itself, or what stands in it as id or value."""
    if isinstance(value, list):
        return [found for one in value if (found := _ids(one)) is not None] or None
    if isinstance(value, Mapping):
        return rest.id_of(value, "id") or rest.id_of(value, "value")
    return rest.id_of({"id": value}, "id")


def _on_wire(value: Any, attribute: TargetAttribute, collection: Collection) -> Any:
    if attribute.references is None or not collection.numeric_ids:
        return value
    if isinstance(value, list):
        return [_on_wire(one, attribute, collection) for one in value]
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _filled(template: Any, values: Mapping[str, Any], sent: Mapping[str, Any]) -> Any:
    """Return a template filled in; what has nothing to be filled in with is left out."""
    match template:
        case str():
            return _text(template, values, sent)
        case dict():
            made: dict[str, Any] = {**sent} if template.get("*") == ALL else {}
            for name, part in template.items():
                value = _filled(part, values, sent) if name != "*" else _MISSING
                if value is not _MISSING:
                    made[name] = value
            return made
        case [one] if _is_of_one_member(one) and isinstance(values.get("members"), list):
            return [_filled(one, {**values, "member": member}, sent) for member in values["members"]]
        case list():
            return [value for part in template if (value := _filled(part, values, sent)) is not _MISSING]
        case _:
            return template


def _is_of_one_member(part: Any) -> bool:
    """Whether a template names one member, in no list of its own."""
    if isinstance(part, dict):
        return any(map(_is_of_one_member, part.values()))
    return isinstance(part, str) and _MEMBER in part


def _text(template: str, values: Mapping[str, Any], sent: Mapping[str, Any]) -> Any:
    if template == ALL:
        return dict(sent)
    whole = _ONE_VARIABLE.fullmatch(template)
    if whole is not None:
        if whole[1] in values:
            return values[whole[1]]
        found = rest.value_at(sent, whole[1])
        return _MISSING if found is None else found
    return _ONE_VARIABLE.sub(lambda found: str(values.get(found[1], found[0])), template)
