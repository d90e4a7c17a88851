"""Judges a job's attribute mappings together, and against what the profile knows of the app."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.config.conversion import mapping_of
from reconciler.config.job_tables import MappingTable, UsersTable
from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.shape import nearest
from reconciler.core.model import Apply, AttributeMapping, Constant, Direct, FromExpression, Kind
from reconciler.core.paths import clash, parse
from reconciler.core.profile import Profile, TargetAttribute, ValueType
from reconciler.language import Expression, LookupTable, compile_expression


def judged_mappings(
    kind: Kind, table: UsersTable, profile: Profile, place: Place, report: Report
) -> tuple[AttributeMapping, ...]:
    """Return the mappings of a job's users or groups, the profile's where the job has none of its own."""
    if table.attributes is None:
        mappings = profile.user_mappings if kind == "user" else profile.group_mappings
        if not mappings and report.whole(place):
            report.problem((*place, "attributes"), "is missing", "the profile has no mappings of its own")
        return mappings
    at: Place = (*place, "attributes")
    known = profile.user_attributes if kind == "user" else profile.group_attributes
    mappings = tuple(_respelled(mapping_of(mapping), known) for mapping in table.attributes)
    for position, mapping in enumerate(mappings):
        _judge_alone(mapping, kind, profile, (*at, position), report)
    _judge_clashes(mappings, at, report)
    _judge_matching(mappings, at, report)
    if report.whole(at):
        _judge_missing(mappings, kind, table, known, at, report)
    return mappings


def judged_parting(
    table: Sequence[MappingTable], *, of_gone: bool, profile: Profile, at: Place, report: Report
) -> tuple[AttributeMapping, ...]:
    """Return what `set` writes into the accounts of leavers; `of_gone`: also of whom the source has nothing."""
    mappings = tuple(_respelled(mapping_of(mapping), profile.user_attributes) for mapping in table)
    for position, mapping in enumerate(mappings):
        _judge_alone(mapping, "user", profile, (*at, position), report)
        if not of_gone:
            continue
        reads = isinstance(mapping.source, Direct)
        if isinstance(mapping.source, FromExpression):
            reads = bool(compile_expression(mapping.source.text).reads)
        if reads:
            problem = 'reads the source, which has nothing of those who are gone: gone = "set" takes constants'
            report.problem((*at, position), problem)
    _judge_clashes(mappings, at, report)
    return mappings


def _respelled(mapping: AttributeMapping, known: Mapping[str, TargetAttribute]) -> AttributeMapping:
    """Return the mapping with its path as the profile spells it: names are the same whatever their case."""
    if mapping.to in known:
        return mapping
    folded = mapping.to.casefold()
    return next((replace(mapping, to=path) for path in known if path.casefold() == folded), mapping)


def _judge_alone(mapping: AttributeMapping, kind: Kind, profile: Profile, place: Place, report: Report) -> None:
    known = profile.user_attributes if kind == "user" else profile.group_attributes
    attribute = profile.attribute(kind, mapping.to)
    whole = known.get(parse(mapping.to).whole, attribute)
    if attribute.read_only or whole.read_only:
        report.problem((*place, "to"), f"only the app sets {whole.path}", "leave this mapping out")
        return
    if whole.type is ValueType.REFERENCE and mapping.to != whole.path:
        report.problem((*place, "to"), "is a part of a reference", f"map to {whole.path} itself")
    if isinstance(mapping.source, Constant):
        _judge_value(mapping.source.value, attribute, (*place, "constant"), report)
    if mapping.default is not None:
        _judge_value(mapping.default, attribute, (*place, "default"), report)
    _judge_expression(mapping, kind, (*place, "expression"), report)
    if mapping.match is not None:
        _judge_match(mapping, attribute, (*place, "match"), report)
    if mapping.to not in known and "[" not in mapping.to:
        _doubt_spelling(mapping.to, known, (*place, "to"), report)


def used_tables(
    mappings: Sequence[AttributeMapping], lookups: Mapping[str, LookupTable], at: Place, report: Report
) -> dict[str, LookupTable]:
    """Return the look-up tables that expressions use; a table or column that is not there is a problem."""
    used: dict[str, LookupTable] = {}
    for position, expression in _expressions(mappings):
        for table, columns, width in sorted(expression.tables):
            place: Place = (*at, position, "expression")
            found = lookups.get(table)
            if found is None:
                report.problem(place, f"unknown table {table!r}", nearest(table, lookups) or f"write [tables.{table}]")
                continue
            used[table] = found
            if not found.rows:
                continue  # what is wrong with the file is said of the file
            for column in columns:
                if column not in found.columns:
                    report.problem(place, f"the table {table} has no column {column!r}", nearest(column, found.columns))
            if width > len(found.columns):
                report.problem(place, f"the table {table} has {len(found.columns)} columns, not {width}")
    return used


def used_domain(mappings: Sequence[AttributeMapping], domain: str | None, at: Place, report: Report) -> str | None:
    """Return the default domain where an expression needs it; without one that is a problem."""
    for position, expression in _expressions(mappings):
        if "DefaultDomain" in expression.calls:
            if domain is None:
                problem = "DefaultDomain() has no value: the job has no default_domain"
                report.problem(
                    (*at, position, "expression"), problem, 'write default_domain = "example.com" in the job'
                )
            return domain
    return None


def _expressions(mappings: Sequence[AttributeMapping]) -> Iterator[tuple[int, Expression]]:
    for position, mapping in enumerate(mappings):
        if isinstance(mapping.source, FromExpression):
            yield position, compile_expression(mapping.source.text)


def _judge_expression(mapping: AttributeMapping, kind: Kind, place: Place, report: Report) -> None:
    if not isinstance(mapping.source, FromExpression):
        return
    expression = compile_expression(mapping.source.text)
    if kind == "group" and expression.groups:
        report.problem(place, "MemberOf is about users, and this is a group")
    if mapping.match is not None and "SelectUniqueValue" in expression.calls:
        problem = "a value that is chosen because nobody has it finds no account"
        report.problem(place, problem, "match on another attribute")
    if mapping.apply is Apply.CREATE:
        return
    thrown = sorted(expression.calls & {"Guid", "RandomString", "RAND", "RANDBETWEEN"})
    if thrown and "SelectUniqueValue" not in expression.calls:
        problem = f"{thrown[0]} gives another value each time: every account is changed in every cycle"
        report.warning(place, problem, 'apply = "create" writes it once')
    elif expression.calls & {"Now", "NOW", "TODAY"}:
        problem = "reads the time: everybody is evaluated in every cycle, and updated when the value is another"
        report.warning(place, problem, 'apply = "create" evaluates it once')


def _judge_match(mapping: AttributeMapping, attribute: TargetAttribute, place: Place, report: Report) -> None:
    if isinstance(mapping.source, FromExpression) and compile_expression(mapping.source.text).volatile:
        problem = "an expression that has another value each time finds no account again"
        report.problem(place, problem, "match on what does not change")
    if attribute.multivalued or attribute.type in (ValueType.REFERENCE, ValueType.COMPLEX):
        report.problem(place, "only an attribute with one simple value can be matched")


def _doubt_spelling(path: str, known: Mapping[str, TargetAttribute], place: Place, report: Report) -> None:
    """Warn of a name that is almost that of an attribute which the profile knows in the same schema."""
    schema, _, name = path.rpartition(":")
    alike = {one.rpartition(":")[2]: one for one in known if one.rpartition(":")[0] == schema and "[" not in one}
    close = difflib.get_close_matches(name, alike, n=1, cutoff=0.8)
    if close:
        report.warning(place, "the profile does not know this attribute", f"did you mean {alike[close[0]]!r}?")


def _judge_value(value: Any, attribute: TargetAttribute, place: Place, report: Report) -> None:
    """Note a constant that the attribute's type cannot take."""
    if isinstance(value, list) and not attribute.multivalued:
        report.problem(place, f"{attribute.path} takes one value, not a list")
        return
    fits = _FITS.get(attribute.type)
    values = value if isinstance(value, list) else [value]
    if fits is not None and not all(map(fits, values)):
        report.problem(place, f"{attribute.path} takes {_TAKES[attribute.type]}")
    elif attribute.allowed and not all(str(one) in attribute.allowed for one in values):
        report.problem(place, f"{attribute.path} does not take this value", f"known: {', '.join(attribute.allowed)}")


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


def _is_integer(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().removeprefix("-").isdecimal()
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float) and not isinstance(value, bool)


_FITS = {
    ValueType.BOOLEAN: _is_boolean,
    ValueType.INTEGER: _is_integer,
    ValueType.DECIMAL: _is_number,
    ValueType.COMPLEX: lambda value: False,
}
_TAKES = {
    ValueType.BOOLEAN: "true or false",
    ValueType.INTEGER: "a whole number",
    ValueType.DECIMAL: "a number",
    ValueType.COMPLEX: "no simple value: map to a part of it",
}


def _judge_clashes(mappings: tuple[AttributeMapping, ...], at: Place, report: Report) -> None:
    for position, mapping in enumerate(mappings):
        for earlier, other in enumerate(mappings[:position]):
            if mapping.to.casefold() == other.to.casefold():
                report.problem((*at, position, "to"), f"is mapped twice, first in {_nth(at, earlier, report)}")
                break
            if clash(mapping.to, other.to):
                problem = f"cannot be written together with {other.to} of {_nth(at, earlier, report)}"
                report.problem((*at, position, "to"), problem, "map to the whole or to its parts")
                break


def _judge_matching(mappings: tuple[AttributeMapping, ...], at: Place, report: Report) -> None:
    first: dict[int, int] = {}
    for position, mapping in enumerate(mappings):
        if mapping.match is None:
            continue
        if mapping.match in first:
            problem = f"has the same precedence as {_nth(at, first[mapping.match], report)}"
            report.problem((*at, position, "match"), problem, "give each its own number; the lowest is asked first")
        first.setdefault(mapping.match, position)


def _judge_missing(
    mappings: tuple[AttributeMapping, ...],
    kind: Kind,
    table: UsersTable,
    known: Mapping[str, TargetAttribute],
    at: Place,
    report: Report,
) -> None:
    mapped = {mapping.to for mapping in mappings}
    if not any(mapping.match is not None for mapping in mappings):
        report.problem(at, "no attribute is matched: existing accounts cannot be found", "add match = 1 to one of them")
    for path, attribute in known.items():
        needed = "create" in table.actions or (kind == "group" and path == "displayName")
        if attribute.required and needed and path not in mapped:
            report.problem(at, f"nothing is mapped to {path}, which the app requires")


def _nth(at: Place, position: int, report: Report) -> str:
    written = report.shape.written((*at, position))
    return f"{written[-2]}[{written[-1]}]"
