"""The payloads of SCIM 2.0 (RFC 7643, RFC 7644): from resources and changes to bodies.

Nothing here encodes a URL or sends anything. All bodies are plain dicts, ready for JSON.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from reconciler.core import diffing, paths
from reconciler.core.model import Change, Kind, Resource, TargetId
from reconciler.core.paths import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA, Path, PathError
from reconciler.core.profile import PatchDialect, Profile, TargetAttribute
from reconciler.dialects.scim_shown import MEMBERS, id_of_member, members_in

PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
CORE_SCHEMAS: dict[Kind, str] = {"user": USER_SCHEMA, "group": GROUP_SCHEMA}

RemoveForm = Literal["filter", "list"]
"""How members leave: one `members[value eq "id"]` each (RFC 7644 §3.5.2.2), or one operation with a list of them.

By the letter of the RFC the list form empties the whole group: only for targets that are known to read it as meant.
"""


def create_body(kind: Kind, resource: Resource, profile: Profile) -> dict[str, Any]:
    """Return the body of a POST: nested, without nulls, a group without its members.

    `schemas` names the core schema and every extension that is used (in the Entra form of custom extensions none).
    """
    body: dict[str, Any] = {"schemas": [CORE_SCHEMAS[kind]]}
    elements: list[tuple[Path, Any, TargetAttribute | None]] = []
    attribute = (profile.user_attributes if kind == "user" else profile.group_attributes).get
    for text, value in resource.items():
        if diffing.is_empty(value):
            continue
        path = paths.parse(text)
        if path.where:
            elements.append((path, value, attribute(text)))
        elif kind != "group" or text != MEMBERS:
            _write(body, path, value, attribute(text))
            if path.schema is not None:
                _declare(body, path.schema, profile.patch)
    for path, value, known in elements:  # after the whole lists, which would run over them
        _write(body, path, value, known)
        if path.schema is not None:
            _declare(body, path.schema, profile.patch)
    return body


class BodyWriter:
    """Makes the bodies of many POSTs as `create_body` does: what all with the same paths have alike is found once."""

    __slots__ = ("_kind", "_layouts", "_profile")

    def __init__(self, kind: Kind, profile: Profile) -> None:
        self._kind, self._profile = kind, profile
        self._layouts: dict[tuple[str, ...], Build | None] = {}

    def __call__(self, resource: Resource) -> tuple[dict[str, Any], bool]:
        """Return the body, and whether every value of the resource is known to stand in it just as it is."""
        values = tuple(resource.values())
        if not _PLAIN.issuperset(map(type, values)) or "" in values:
            return create_body(self._kind, resource, self._profile), False
        names = tuple(resource)
        try:
            build = self._layouts[names]
        except KeyError:
            if len(self._layouts) >= _LAYOUTS_MAX:
                self._layouts.clear()
            build = self._layouts[names] = self._layout(names)
        if build is None:
            return create_body(self._kind, resource, self._profile), False
        return build(values), True

    def _layout(self, names: tuple[str, ...]) -> Build | None:
        """Make a body of marks, and see where each of them came to stand; None where a value decides on the form."""
        if _one_is_looked_at(list(map(paths.parse, names))):
            return None
        marks = {text: _Mark(f"{_MARK}{index}") for index, text in enumerate(names)}
        try:
            body = create_body(self._kind, marks, self._profile)
        except PathError:
            return None
        return _builder(body) if sum(_marks_in(body)) == len(names) else None


def patch_body(
    kind: Kind, changes: Sequence[Change], profile: Profile, agreed: Resource, *, whole_element: bool = False
) -> dict[str, Any]:
    """Return the body of a PATCH with one operation for each attribute (RFC 7644 §3.5.2).

    A list that only grew is sent as `add` of what is new, any other as `replace`. `whole_element` is the form for a
    target that answered noTarget: values of an element that `agreed` does not know are added with their element
    (`add emails [{"type": "work", "value": …}]`); if `agreed` knows all of them, all are. `Operations` may then be
    empty: what should be removed is not there.
    """
    assert profile.patch is not PatchDialect.PUT, "a target without PATCH gets put_body"
    remaining = diffing.apply(changes, agreed)
    whole = _elements_to_add(changes, agreed) if whole_element else set()
    added: set[Path] = set()
    operations: list[dict[str, Any]] = []
    for change in changes:
        path = paths.parse(change.path)
        element = _element(path)
        if element not in whole:
            operations.append(_operation(change, path, profile.attribute(kind, change.path), profile, remaining))
        elif element is not None and element not in added:
            added.add(element)
            operations.extend(_add_element(kind, element, remaining, profile))
    return {"schemas": [PATCH_SCHEMA], "Operations": operations}


def put_body(kind: Kind, found: Mapping[str, Any], changes: Sequence[Change], profile: Profile) -> dict[str, Any]:
    """Return the body of a PUT: what the target has just shown (`found`, left as it is) with the changes made.

    Everything else that the target showed goes back to it, so a PUT takes nothing away that is not ours.
    """
    body: dict[str, Any] = copy.deepcopy({name: value for name, value in found.items() if name.lower() != "meta"})
    if not isinstance(body.get("schemas"), list):
        body["schemas"] = [CORE_SCHEMAS[kind]]
    for change in changes:
        path = paths.parse(change.path)
        if change.new is None:
            paths.remove(body, path)
        else:
            _write(body, path, change.new, profile.attribute(kind, change.path))
            if path.schema is not None:
                _declare(body, path.schema, profile.patch)
    return body


def members_body(
    profile: Profile,
    *,
    add: Iterable[TargetId] = (),
    remove: Iterable[TargetId] = (),
    form: RemoveForm | None = None,
) -> dict[str, Any]:
    """Return the body of a PATCH that adds members in one operation and removes members in the given form.

    Left out, the form is the dialect's own: "filter" by the RFC, "list" in the Entra legacy form.
    """
    assert profile.patch is not PatchDialect.PUT, "a target without PATCH gets put_members_body"
    legacy = profile.patch is PatchDialect.ENTRA
    adding, removing = _values(add), _values(remove)
    operations: list[dict[str, Any]] = []
    if adding:
        operations.append({"op": "Add" if legacy else "add", "path": MEMBERS, "value": adding})
    verb = "Remove" if legacy else "remove"
    if form == "list" or (form is None and legacy):
        if removing:
            operations.append({"op": verb, "path": MEMBERS, "value": removing})
    else:
        operations += [{"op": verb, "path": str(_member(each["value"]))} for each in removing]
    return {"schemas": [PATCH_SCHEMA], "Operations": operations}


def put_members_body(
    found: Mapping[str, Any], *, add: Iterable[TargetId] = (), remove: Iterable[TargetId] = ()
) -> dict[str, Any]:
    """Return the body of a PUT for a group that the target has just shown with its members (`found`)."""
    body: dict[str, Any] = {name: value for name, value in found.items() if name.lower() not in ("meta", MEMBERS)}
    leaving = set(remove)
    kept = [each for each in members_in(found) if id_of_member(each) not in leaving]
    there = {id_of_member(each) for each in kept}
    body[MEMBERS] = kept + [each for each in _values(add) if each["value"] not in there]
    return body


def filter_query(path: str, value: str, *, dialect: PatchDialect = PatchDialect.RFC) -> str:
    """Return the filter that asks for `path` being `value`, not URL-encoded; the value is a JSON string.

    A path with a filter of its own is asked as `emails[type eq "work" and value eq "…"]` (RFC 7644 §3.4.2.2), in the
    Entra form as `emails[type eq "work"].value eq "…"`.
    """
    parsed = paths.parse(path)
    if parsed.where and dialect is not PatchDialect.ENTRA:
        asked = paths.Equals(".".join(parsed.sub) or "value", value)
        return str(Path(parsed.schema, parsed.attribute, (*parsed.where, asked)))
    return f"{parsed} eq {json.dumps(value, ensure_ascii=False)}"


_PLAIN = frozenset({str, bool, int, float})
_LAYOUTS_MAX = 1000
_MARK = "\0"

Build = Callable[[tuple[Any, ...]], Any]
"""Puts the values of a resource, in its order, into one part of a body."""


class _Mark(str):
    """Stands for the value of one path of a resource."""

    __slots__ = ()

    @property
    def place(self) -> int:
        return int(self.removeprefix(_MARK))


def _one_is_looked_at(written: Sequence[Path]) -> bool:
    """Whether a filter of one of these paths looks at what another one of them, or it itself, writes."""
    looked_at = {(path.whole.lower(), equals.attribute.lower()) for path in written for equals in path.where}
    return any(path.where and (path.whole.lower(), (*path.sub, "value")[0].lower()) in looked_at for path in written)


def _marks_in(part: Any) -> Iterator[int]:
    if isinstance(part, _Mark):
        yield 1
    elif isinstance(part, (dict, list)):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _marks_in(inner)


def _builder(part: dict[str, Any]) -> Build:
    """Compile an object of marks into a function that makes the same object of values."""
    fixed = {name: inner for name, inner in part.items() if not any(_marks_in(inner))}
    plain = {name: inner.place for name, inner in part.items() if isinstance(inner, _Mark)}
    nested = [(name, inner) for name, inner in part.items() if name not in fixed and name not in plain]
    builders = [(name, _list_builder(inner) if isinstance(inner, list) else _builder(inner)) for name, inner in nested]
    places = list(plain.items())

    def build(values: tuple[Any, ...]) -> dict[str, Any]:
        made = fixed.copy()
        for name, index in places:
            made[name] = values[index]
        for name, inner in builders:
            made[name] = inner(values)
        return made

    return build


def _list_builder(part: list[Any]) -> Build:
    builders = [_builder(inner) for inner in part]

    def build(values: tuple[Any, ...]) -> list[Any]:
        return [inner(values) for inner in builders]

    return build


def _write(body: dict[str, Any], path: Path, value: Any, attribute: TargetAttribute | None) -> None:
    paths.write(body, path, _on_wire(value, path, attribute), reference=False)


def _on_wire(value: Any, path: Path, attribute: TargetAttribute | None) -> Any:
    """Give a reference the shape of one: an id stands in `value`."""
    if (attribute is None or attribute.references is None) and not path.is_manager:
        return value
    if path.sub and path.sub[-1].lower() == "value":
        return value
    if isinstance(value, list):
        return [each if isinstance(each, dict) else {"value": each} for each in value]
    return value if isinstance(value, dict) else {"value": value}


def _declare(body: dict[str, Any], schema: str, dialect: PatchDialect) -> None:
    """Name an extension in `schemas`; the Entra form names no extension but the enterprise one."""
    if schema in body["schemas"] or (dialect is PatchDialect.ENTRA and schema != ENTERPRISE_SCHEMA):
        return
    if all(not isinstance(known, str) or known.lower() != schema.lower() for known in body["schemas"]):
        body["schemas"].append(schema)


def _operation(
    change: Change, path: Path, attribute: TargetAttribute, profile: Profile, remaining: Resource
) -> dict[str, Any]:
    legacy = profile.patch is PatchDialect.ENTRA
    if change.new is None:
        target = path if legacy else _removed(path, remaining)
        return {"op": "Remove" if legacy else "remove", "path": str(target)}
    verb = "replace" if change.old is not None else "add"
    value = change.new
    if isinstance(value, list) and isinstance(change.old, list):
        grown = _grown(change.old, value, attribute)
        verb, value = ("replace", value) if grown is None else ("add", grown)
    value = _on_wire(value, path, attribute)
    if legacy:
        verb = verb.capitalize()
        if change.path == profile.active and isinstance(value, bool):
            value = str(value)
        elif isinstance(value, dict) and not isinstance(change.new, dict):
            value = [value]
    return {"op": verb, "path": str(path), "value": value}


def _grown(old: list[Any], new: list[Any], attribute: TargetAttribute) -> list[Any] | None:
    """Return what `new` has beyond `old`, None when something of `old` is gone."""
    if len(diffing.union(new, old, attribute)) > len(new):
        return None
    return diffing.union(old, new, attribute)[len(old) :] or None


def _removed(path: Path, remaining: Resource) -> Path:
    """Return what to remove for a path: the whole element where it has nothing left that we know of."""
    element = _element(path)
    if element is None or path.sub != ("value",):
        return path
    return path if any(_element(paths.parse(other)) == element for other in remaining) else element


# --- elements of multi-valued attributes -------------------------------------------------------------------------


def _element(path: Path) -> Path | None:
    return Path(path.schema, path.attribute, path.where) if path.where else None


def _elements_to_add(changes: Sequence[Change], agreed: Resource) -> set[Path | None]:
    changed = {_element(paths.parse(change.path)) for change in changes} - {None}
    known = {_element(paths.parse(text)) for text, value in agreed.items() if not diffing.is_empty(value)}
    return (changed - known) or changed


def _add_element(kind: Kind, element: Path, remaining: Resource, profile: Profile) -> list[dict[str, Any]]:
    body: dict[str, Any] = {}
    for text, value in remaining.items():
        path = paths.parse(text)
        if _element(path) == element and not diffing.is_empty(value):
            _write(body, path, value, profile.attribute(kind, text))
    if not body:
        return []
    made = paths.read(body, element.whole, reference=False)
    return [{"op": "Add" if profile.patch is PatchDialect.ENTRA else "add", "path": element.whole, "value": made}]


# --- members, reading --------------------------------------------------------------------------------------------


def _member(identifier: str) -> Path:
    return Path(None, MEMBERS, (paths.Equals("value", identifier),))


def _values(ids: Iterable[TargetId]) -> list[dict[str, Any]]:
    return [{"value": identifier} for identifier in dict.fromkeys(ids)]
