"""The shapes of the double's answers: documents, pages, projections, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from tests.servers.checking import named
from tests.servers.filters import Place, find_place
from tests.servers.quirks import Quirks
from tests.servers.refusals import Refusal, invalid_value
from tests.servers.schemas import LIST_RESPONSE, ResourceType

Json = dict[str, Any]
SCIM_JSON = "application/scim+json"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def json(status: int, document: Json, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, orjson.dumps(document), {"Content-Type": SCIM_JSON, **(headers or {})})


def encoded(segment: str) -> str:
    return quote(segment, safe="")


def refused(refusal: Refusal, quirks: Quirks) -> Answer:
    """Return the error of RFC 7644 §3.12, or what some servers answer in its place."""
    if quirks.html_errors:
        page = f"<!DOCTYPE html><html><body><h1>{refusal.status}</h1><p>Something went wrong.</p></body></html>"
        kind = SCIM_JSON if quirks.html_labelled_scim else "text/html"
        return Answer(refusal.status, page.encode(), {"Content-Type": kind})
    if quirks.empty_errors:
        return Answer(refusal.status, b"")
    if quirks.text_errors:
        return Answer(refusal.status, refusal.detail.encode(), {"Content-Type": "text/plain"})
    document = refusal.document()
    if quirks.integer_error_status:
        document["status"] = refusal.status
    if quirks.errors_without_scim_type:
        document.pop("scimType", None)
    if quirks.not_found_says_invalid_syntax and refusal.status == 404:
        document["scimType"] = "invalidSyntax"
    headers = {"WWW-Authenticate": 'Bearer realm="scim"'} if refusal.status == 401 else {}
    return json(refusal.status, document, headers)


def listing(resources: Sequence[Json]) -> Json:
    return {
        "schemas": [LIST_RESPONSE],
        "totalResults": len(resources),
        "startIndex": 1,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }


def page(shown: list[Json], start: int, matches: int, quirks: Quirks) -> Json:
    document = listing(shown)
    document["startIndex"] = start
    match quirks.wrong_total_results:
        case "missing":
            del document["totalResults"]
        case "page_size":
            document["totalResults"] = len(shown)
        case int(most):
            document["totalResults"] = min(matches, most)
        case None:
            document["totalResults"] = matches
    return document


def service_provider_config(quirks: Quirks) -> Json:
    """Return RFC 7643 §5's document; with `spc_odd` nearly every field is of the wrong type."""
    document: Json = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": "https://example.com/scim",
        "patch": {"supported": not quirks.patch_unsupported},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": quirks.filter_refused is None, "maxResults": quirks.page_max},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": quirks.etag_supported},
        "authenticationSchemes": [
            {"type": "oauthbearertoken", "name": "OAuth bearer token", "description": "RFC 6750"},
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": "/ServiceProviderConfig"},
    }
    if quirks.cursors is not None:
        document["pagination"] = {"cursor": True, "index": quirks.cursors == "beside", "cursorTimeout": 3600}
    if quirks.spc_odd:
        document |= {"bulk": {"supported": False}, "sort": None, "changePassword": False, "etag": "no"}
        document |= {"filter": {"supported": "true", "maxResults": "200"}, "authenticationSchemes": {}}
        del document["meta"]
    return {**document, **quirks.spc_overrides}


def projected(shown: Json, resource_type: ResourceType, query: Mapping[str, str], quirks: Quirks) -> Json:
    """Leave the attributes that the query asks for, RFC 7644 §3.9; id and schemas always stay."""
    asked, left_out = _places(query, "attributes", resource_type), _places(query, "excludedAttributes", resource_type)
    if any(named(str(place), quirks.selection_refused_for) for place in asked):
        raise invalid_value("Cannot read properties of undefined (reading 'includes')")
    if asked:
        asked = [place for place in asked if not named(str(place), quirks.not_selected)]
        kept: Json = {name: shown[name] for name in ("schemas", "id") if name in shown}
        for place in asked:
            _copy(shown, kept, place)
        return kept
    if not quirks.ignores_excluded_attributes:
        for place in left_out:
            _drop(shown, place)
    return shown


def _places(query: Mapping[str, str], parameter: str, resource_type: ResourceType) -> list[Place]:
    names = [name.strip() for name in query.get(parameter, "").split(",") if name.strip()]
    return [place for name in names if (place := find_place(name, resource_type)) is not None]


def _copy(source: Json, kept: Json, place: Place) -> None:
    if place.extension is not None:
        if place.extension not in source:
            return
        if place.attribute is None:
            kept[place.extension] = source[place.extension]
            return
        source, kept = source[place.extension], kept.setdefault(place.extension, {})
    assert place.attribute is not None
    found = source.get(place.attribute.name)
    if found is None:
        return
    if place.part is None:
        kept[place.attribute.name] = found
        return
    part = place.part.name
    if isinstance(found, list):
        rows = kept.setdefault(place.attribute.name, [{} for _ in found])
        for row, each in zip(rows, found, strict=True):
            row.update({part: each[part]} if part in each else {})
    elif part in found:
        kept.setdefault(place.attribute.name, {})[part] = found[part]


def _drop(shown: Json, place: Place) -> None:
    if place.extension is not None and place.attribute is None:
        shown.pop(place.extension, None)
        return
    holder = shown if place.extension is None else shown.get(place.extension) or {}
    if place.attribute is None or place.attribute.returned == "always":
        return
    if place.part is None:
        holder.pop(place.attribute.name, None)
        return
    found = holder.get(place.attribute.name)
    for each in found if isinstance(found, list) else [found] if found else []:
        each.pop(place.part.name, None)
