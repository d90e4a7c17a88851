"""What a SCIM target shows, read: ids, resources in our types, members (RFC 7643)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.core import diffing, paths
from reconciler.core.model import Kind, Resource, TargetId
from reconciler.core.outcomes import Account
from reconciler.core.paths import Reader
from reconciler.core.profile import Profile, TargetAttribute, ValueType
from reconciler.dialects import identifiers

MEMBERS = "members"
_read_members = paths.reader(MEMBERS)
_read_value = paths.reader("value")


def readers(kind: Kind, mapped: Iterable[str], profile: Profile) -> tuple[tuple[str, Reader], ...]:
    """Compile what `extract` needs: for each mapped path a reader that gives booleans as such and references as ids."""
    return tuple((path, _reader(path, profile.attribute(kind, path))) for path in mapped)


def extract(shown: Any, by: Iterable[tuple[str, Reader]]) -> tuple[TargetId | None, Resource]:
    """Return the id and the flat resource of what the target showed; None and nothing where it showed no resource.

    An id that is a number is given as text. A path without a value is left out.
    """
    if not isinstance(shown, dict):
        return None, {}
    resource: Resource = {}
    for path, read in by:
        value = read(shown)
        if value is not None:
            resource[path] = value
    return _id_in(shown), resource


def shows(shown: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether what the target showed has all that was sent, in the same places and spelled the same."""
    get = shown.get
    for name, sent in body.items():  # noqa: SIM110  # because all() would make a generator for each of a million users
        if get(name) != sent:
            return False
    return True


def account_made(shown: Mapping[str, Any], resource: Resource, by: Sequence[tuple[str, Reader]]) -> Account | None:
    """Return the account of an answer that shows all of `resource`, None where it has no id.

    Only what was not sent is still read.
    """
    identifier = _id_in(shown)
    if identifier is None:
        return None
    if len(resource) < len(by):
        for path, read in by:
            if path not in resource and (value := read(shown)) is not None:
                resource = {**resource, path: value}
    return Account(identifier, resource)


def member_ids(shown: Any) -> frozenset[TargetId]:
    """Return the ids of the members that the target showed with a group; what has no id is left out."""
    if not isinstance(shown, dict):
        return frozenset()
    return frozenset(TargetId(found) for each in members_in(shown) if (found := id_of_member(each)))


def members_in(shown: Mapping[str, Any]) -> list[Any]:
    """Return the members that the target showed with a group, as it writes them."""
    members = _read_members(shown)
    if isinstance(members, dict):
        return [members]  # some write a list of one without the list
    return members if isinstance(members, list) else []


def id_of_member(member: Any) -> str | None:
    """Return the id of a member, however the target writes members; None where it has none."""
    value = _read_value(member) if isinstance(member, dict) else member
    return str(value) if isinstance(value, (str, int)) and value != "" else None


def _id_in(shown: Mapping[str, Any]) -> TargetId | None:
    identifier = identifiers.id_in(shown.get("id"))
    return None if identifier is None else TargetId(identifier)


def _reader(text: str, attribute: TargetAttribute) -> Reader:
    path = paths.parse(text)
    is_reference = attribute.references is not None or path.is_manager
    if attribute.type is ValueType.BOOLEAN and not attribute.multivalued:
        return _boolean_reader(paths.reader(text))
    if is_reference and attribute.multivalued:
        return _ids_reader(paths.reader(text, reference=False))
    return paths.reader(text, reference=is_reference)


def _boolean_reader(read: Reader) -> Reader:
    def said(shown: Mapping[str, Any]) -> Any:
        value = read(shown)
        found = diffing.boolean(value)
        return value if found is None else found

    return said


def _ids_reader(read: Reader) -> Reader:
    def ids(shown: Mapping[str, Any]) -> Any:
        value = read(shown)
        given = value if isinstance(value, list) else [value]
        return [found for each in given if (found := id_of_member(each)) is not None] or None

    return ids
