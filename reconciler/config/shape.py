"""Judges the shape of a document against its tables: what is wrong, where, and what was meant.

pydantic finds the faults; the words are ours, made of place and type only, since what was written may be a secret.
What is faulty is then left out and the rest judged again, so that one mistake hides no other.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reconciler.config.reading import Place
from reconciler.config.values import Table

_T = TypeVar("_T", bound=Table)

_ROUNDS_MAX = 40
_TEXT_BY_TYPE = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "date_type": "must be a date such as 2027-01-31",
    "too_short": "must not be empty",
    "recursion_loop": "is nested too deeply",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or doubtful, at a place of a document."""

    place: Place
    problem: str
    hint: str = ""
    excerpt: str = ""


@dataclass(slots=True)
class Shape(Generic[_T]):
    """What of a document is sound, and what is not."""

    table: _T | None = None
    """None: nothing of it can be used."""
    findings: list[Finding] = field(default_factory=list)
    left_out: set[Place] = field(default_factory=set)
    _kept: dict[Place, list[int]] = field(default_factory=dict)

    def written(self, place: Place) -> Place:
        """Return where something of `table` stands in the document: list positions count what was left out."""
        found: Place = ()
        for part in place:
            kept = self._kept.get(found) if isinstance(part, int) else None
            found += (kept[part] if kept is not None and isinstance(part, int) else part,)
        return found

    def whole(self, place: Place) -> bool:
        """Whether nothing at or below this place of the document was left out, so that absence can be judged."""
        return not any(gone[: len(place)] == place or place[: len(gone)] == gone for gone in self.left_out)


def shaped(model: type[_T], written: Mapping[str, Any]) -> Shape[_T]:
    """Return what is sound of a document and a finding for each fault of its shape."""
    shape: Shape[_T] = Shape()
    data: Any = copy.deepcopy(dict(written))
    consequential: set[Place] = set()
    for number in range(_ROUNDS_MAX):
        try:
            shape.table = model.model_validate(data)
            return shape
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
        doomed: set[Place] = set()
        for fault in faults:
            place = _place(fault, data)
            finding = _finding(model, fault, place, data)
            at = shape.written(place)
            if number == 0 or not _follows(at, consequential):
                shape.findings.append(replace(finding, place=shape.written(finding.place)))
            bad = place[:-1] if fault["type"] == "missing" else place
            doomed.add(bad)
            shape.left_out.add(shape.written(bad))
            if fault["type"] != "extra_forbidden":
                consequential.add(shape.written(bad))
        if () in doomed:
            return shape
        _leave_out(data, doomed, shape)
    return shape


def nearest(meant: object, known: Iterable[str]) -> str:
    """Return a hint: the known name that is nearest to what was meant, or else all of them."""
    names = sorted(set(known))
    if isinstance(meant, str):
        by_folded = {name.casefold(): name for name in names}
        close = difflib.get_close_matches(meant.casefold(), by_folded, n=1, cutoff=0.6)
        if close:
            return f"did you mean {by_folded[close[0]]!r}?"
    return f"known: {', '.join(names)}" if names else ""


def at(data: Any, place: Sequence[str | int]) -> Any:
    """Return what stands at a place, None where nothing does."""
    for part in place:
        if not _has(data, part):
            return None
        data = data[part]
    return data


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, Mapping) and part in data


def _place(fault: ErrorDetails, data: Any) -> Place:
    """Return pydantic's location without what is no part of the document: the names of a union's branches."""
    place: Place = ()
    location = fault["loc"]
    for position, part in enumerate(location):
        if _has(data, part):
            data = data[part]
        elif fault["type"] != "missing" or position != len(location) - 1:
            continue
        place += (part,)
    return place


def _finding(model: type[Table], fault: ErrorDetails, place: Place, data: Any) -> Finding:
    context = fault.get("ctx", {})
    match fault["type"]:
        case "refused":
            return Finding(place, context["problem"], context["hint"], context["excerpt"])
        case "extra_forbidden":
            return Finding(place, "unknown key", nearest(place[-1], _known_keys(model, place[:-1], data)))
        case "union_tag_invalid" | "union_tag_not_found":
            types = _known_types(model, place, data)
            written = at(data, (*place, "type"))
            problem = "is missing" if written is None else "unknown type"
            return Finding((*place, "type"), problem, nearest(written, types))
        case "literal_error" | "enum":
            known = [name for name in context["expected"].replace("' or '", "', '").strip("'").split("', '") if name]
            hint = nearest(at(data, place), known)
            return Finding(place, f"must be one of {', '.join(known)}", "" if hint.startswith("known") else hint)
        case "string_type":
            examples = [example for node in _nodes(model, place, data) for example in node.get("examples", ())]
            return Finding(place, "must be a string", f'for example "{examples[0]}"' if examples else "")
        case "list_type":
            return Finding(place, "must be a list", "in brackets: [ … ]")
        case "greater_than_equal":
            return Finding(place, f"must be at least {context['ge']}")
        case "less_than_equal":
            return Finding(place, f"must be at most {context['le']}")
        case "greater_than":
            return Finding(place, f"must be more than {context['gt']:g}")
        case known_type:
            return Finding(place, _TEXT_BY_TYPE.get(known_type, f"cannot be used ({known_type})"))


def _follows(place: Place, consequential: set[Place]) -> bool:
    """Whether a fault may be there only because something beside or within it was left out."""
    return any(
        gone[:-1] in (place, place[:-1]) or gone[: len(place)] == place or place[: len(gone)] == gone
        for gone in consequential
    )


def _leave_out(data: Any, doomed: set[Place], shape: Shape[_T]) -> None:
    positions: dict[Place, list[int]] = {}
    for place in sorted(doomed, key=len, reverse=True):
        holder = at(data, place[:-1])
        if isinstance(holder, dict):
            holder.pop(place[-1], None)
        elif isinstance(holder, list) and isinstance(place[-1], int):
            positions.setdefault(place[:-1], []).append(place[-1])
    # Deeper lists first: a position in an outer list must still be right while inner ones are looked up.
    for place in sorted(positions, key=len, reverse=True):
        holder = at(data, place)
        if holder is None:
            continue  # what it stands in was left out itself
        known_as = shape.written(place)
        kept = shape._kept.get(known_as, list(range(len(holder))))
        gone = set(positions[place])
        shape._kept[known_as] = [kept[position] for position in range(len(holder)) if position not in gone]
        holder[:] = [item for position, item in enumerate(holder) if position not in gone]


# --- what the tables know ----------------------------------------------------------------------------------------


def _known_keys(model: type[Table], place: Place, data: Any) -> set[str]:
    return {name for node in _nodes(model, place, data) for name in node.get("properties", ())}


def _known_types(model: type[Table], place: Place, data: Any) -> set[str]:
    return {
        name
        for node in _nodes(model, place, data, any_type=True)
        for name in _types(node.get("properties", {}).get("type", {}))
    }


def _nodes(model: type[Table], place: Place, data: Any, *, any_type: bool = False) -> list[dict[str, Any]]:
    """Return the nodes of the JSON Schema that describe a place, of a union those of the written type."""
    schema = model.model_json_schema()
    nodes = _branches(schema, schema, data, any_type=any_type and not place)
    for depth, part in enumerate(place, start=1):
        data = at(data, (part,))
        steps = [step for node in nodes if (step := _step(node, part)) is not None]
        last = any_type and depth == len(place)
        nodes = [branch for step in steps for branch in _branches(schema, step, data, any_type=last)]
    return nodes


def _step(node: dict[str, Any], part: str | int) -> dict[str, Any] | None:
    if isinstance(part, int):
        found = node.get("items")
    else:
        found = node.get("properties", {}).get(part, node.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def _branches(schema: dict[str, Any], node: dict[str, Any], data: Any, *, any_type: bool) -> list[dict[str, Any]]:
    if "$ref" in node:
        return _branches(schema, schema["$defs"][node["$ref"].rpartition("/")[2]], data, any_type=any_type)
    for union in ("anyOf", "oneOf", "allOf"):
        if union in node:
            return [branch for inner in node[union] for branch in _branches(schema, inner, data, any_type=any_type)]
    types = _types(node.get("properties", {}).get("type", {}))
    written = data.get("type") if isinstance(data, Mapping) else None
    return [node] if any_type or not types or written in types else []


def _types(node: dict[str, Any]) -> list[str]:
    return [node["const"]] if "const" in node else list(node.get("enum", ()))
