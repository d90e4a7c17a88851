"""Makes entries of what a SCIM server shows, and says what of it must be asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from reconciler.core import paths
from reconciler.core.model import PSEUDO_ATTRIBUTES, Entry, Kind, SourceId
from reconciler.core.paths import ENTERPRISE_SCHEMA, PathError, Reader

_NOT_ASKED = PSEUDO_ATTRIBUTES | {"objectId", "id"}
_LOOKED_AT: Mapping[Kind, frozenset[str]] = {
    "user": frozenset({"userName", "userPrincipalName", "displayName", "mail"}),
    "group": frozenset({"displayName"}),
}
"""What rules look at where it is there: how assigned people are found, and what people are called."""

USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "userPrincipalName": ("userName",),
    "accountEnabled": ("active",),
    "givenName": ("name.givenName",),
    "surname": ("name.familyName",),
    "mail": ('emails[type eq "work"].value', "emails[primary eq true].value"),
    "jobTitle": ("title",),
    "employeeType": ("userType",),
    "employeeId": (f"{ENTERPRISE_SCHEMA}:employeeNumber",),
    "department": (f"{ENTERPRISE_SCHEMA}:department",),
    "division": (f"{ENTERPRISE_SCHEMA}:division",),
    "costCenter": (f"{ENTERPRISE_SCHEMA}:costCenter",),
    "companyName": (f"{ENTERPRISE_SCHEMA}:organization",),
    "manager": (f"{ENTERPRISE_SCHEMA}:manager",),
    "telephoneNumber": ('phoneNumbers[type eq "work"].value',),
    "mobile": ('phoneNumbers[type eq "mobile"].value',),
    "facsimileTelephoneNumber": ('phoneNumbers[type eq "fax"].value',),
    "streetAddress": ('addresses[type eq "work"].streetAddress',),
    "city": ('addresses[type eq "work"].locality',),
    "state": ('addresses[type eq "work"].region',),
    "postalCode": ('addresses[type eq "work"].postalCode',),
    "country": ('addresses[type eq "work"].country',),
}
"""Where a user has what most rules call by the names of Entra's directory; the first path with a value counts."""


class NoPath(Exception):
    """An attribute that rules read is no path of SCIM; the text says which."""


class Shape:
    """The entries of one kind: which attributes rules read, and where a resource has them."""

    __slots__ = ("_kind", "_readers", "_wanted", "names")

    def __init__(self, kind: Kind, wanted: Iterable[str], named: Mapping[str, str]) -> None:
        """`named` are further names for paths, before the usual ones. Raises NoPath."""
        self._kind = kind
        asked = frozenset(wanted) - _NOT_ASKED - ({"members"} if kind == "group" else frozenset())
        self._wanted = {name: _places(kind, name, named) for name in sorted(asked)}
        self.names = {**self._wanted, **{name: _places(kind, name, named) for name in sorted(_LOOKED_AT[kind] - asked)}}
        self._readers = [(name, _reader(places)) for name, places in self.names.items()]

    def query(self, *more: str) -> str:
        """Return the parameter that asks for just these attributes (RFC 7644 §3.9)."""
        return projection([*(_asked_as(place) for places in self.names.values() for place in places), *more])

    def missing(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the attributes that rules read and none of these resources has."""
        readers = [(name, read) for name, read in self._readers if name in self._wanted]
        return [name for name, read in readers if not any(read(row) is not None for row in rows)]

    def undeclared(self, names: Iterable[str], declared: frozenset[str]) -> list[str]:
        """Return those whose paths a server's schemas do not have."""
        return [name for name in names if not any(_declared_as(place) in declared for place in self.names[name])]

    def entry(self, row: Mapping[str, Any]) -> Entry:
        """Return the entry of a resource that has an id."""
        source_id = SourceId(str(row["id"]))
        attributes = {name: read(row) for name, read in self._readers}
        attributes["id"] = source_id
        return Entry(self._kind, source_id, attributes)


def projection(names: Iterable[str]) -> str:
    """Return the parameter that asks for these attributes, and no others."""
    return "attributes=" + quote(",".join(dict.fromkeys(names)), safe=",:.$")


def declared_by(documents: Sequence[Any]) -> frozenset[str]:
    """Return the attributes that schemas have (RFC 7643 §7), as paths in lower case."""
    declared: set[str] = set()
    for document in documents:
        if not isinstance(document, dict) or not isinstance(document.get("id"), str):
            continue
        urn = document["id"]
        prefix = "" if urn.lower() in _CORE else f"{urn}:"
        for attribute in _named(document.get("attributes")):
            declared.add(f"{prefix}{attribute['name']}".lower())
            for part in _named(attribute.get("subAttributes")):
                declared.add(f"{prefix}{attribute['name']}.{part['name']}".lower())
    return frozenset(declared)


_CORE = (paths.USER_SCHEMA.lower(), paths.GROUP_SCHEMA.lower())


def _named(attributes: Any) -> list[dict[str, Any]]:
    given = attributes if isinstance(attributes, list) else []
    return [one for one in given if isinstance(one, dict) and isinstance(one.get("name"), str)]


def _places(kind: Kind, name: str, named: Mapping[str, str]) -> tuple[str, ...]:
    if name in named:
        places: tuple[str, ...] = (named[name],)
    else:
        places = USUAL_NAMES.get(name, (name,)) if kind == "user" else (name,)
    try:
        return tuple(map(paths.canonical, places))
    except PathError as error:
        raise NoPath(f"{name} is no attribute of SCIM: {error}") from None


def _asked_as(place: str) -> str:
    """Return what to ask for: an element is chosen by what stands beside its value, so the whole list."""
    path = paths.parse(place)
    return path.whole if path.where or path.is_manager else ".".join((path.whole, *path.sub))


def _declared_as(place: str) -> str:
    path = paths.parse(place)
    return ".".join((path.whole, *path.sub)).lower()


def _reader(places: Sequence[str]) -> Reader:
    readers = [paths.reader(place) for place in places]
    if len(readers) == 1:
        return readers[0]

    def first(row: Mapping[str, Any]) -> Any:
        return next((value for read in readers if (value := read(row)) is not None), None)

    return first
