"""Shows a profile to people, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.commands.first_job import mapping_lines
from reconciler.config import Described
from reconciler.config.conversion import mapping_of
from reconciler.core.profile import TargetAttribute, ValueType

_CANNOT = {
    "can_filter": "does not answer filters",
    "can_rename_groups": "does not rename groups",
    "can_adopt_groups": "does not let groups be taken over",
    "can_delete_groups": "does not delete groups",
    "can_disable": "does not disable accounts",
    "can_delete": "does not delete accounts",
}


def profile_lines(described: Described) -> Iterator[str]:
    """Yield what a profile says: what decides, what is needed, and why it is believed."""
    profile, table = described.profile, described.table
    yield f"{described.title} ({profile.name})" + (f", {table.status}" if table.status else "")
    rate = f", {profile.requests_per_second:g} requests a second" if profile.requests_per_second else ""
    yield f"  {table.protocol} at {profile.url or 'an address of its own'}, {table.auth} authorisation{rate}"
    members = f"{profile.members_per_request} members at once"
    yield f"  changes: {profile.patch.value}; pages of {profile.page_size}; {members}"
    for name, said in _CANNOT.items():
        if not getattr(profile, name):
            yield f"  {said}"
    if profile.shows_groups_late:
        yield "  may not show a new group for a while"
    if profile.filters:
        yield f"  can be asked by {', '.join(profile.filters)}"
    if profile.excluded_roles:
        yield f"  assignments that count for nothing: {', '.join(profile.excluded_roles)}"
    if profile.creation_threshold is not None:
        yield f"  more than {profile.creation_threshold} new accounts in a day wait for a person"
    yield from _listed("Needed", table.prerequisites)
    yield from _listed("Side effects", table.side_effects)
    yield from _listed("Required", _required(profile.user_attributes))
    yield from _listed("Values", _values(profile.user_attributes))
    yield from _listed("Mappings of users", tuple(mapping_lines(profile.user_mappings)))
    yield from _listed("Mappings of groups", tuple(mapping_lines(profile.group_mappings)))
    optional = [f"{next(iter(mapping_lines([mapping_of(one.mapping)])))}  {one.why}" for one in table.optional]
    yield from _listed("Optional mappings", optional)
    yield from _listed("Where a test fails", [f"{fault}: {hint}" for fault, hint in profile.hints.items()])
    yield from _listed("Pages", [f"{link.title}: {link.url}" for link in table.links])
    yield from _listed("Evidence", [f"[{one.tier}] {one.fact} ({one.source})" for one in table.evidence])


def _required(attributes: Mapping[str, TargetAttribute]) -> list[str]:
    return [path for path, attribute in attributes.items() if attribute.required]


def _values(attributes: Mapping[str, TargetAttribute]) -> list[str]:
    return [
        f"{path}: {', '.join(attribute.allowed)}"
        for path, attribute in attributes.items()
        if attribute.allowed and attribute.type is ValueType.STRING
    ]


def _listed(heading: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{heading}:"
        for line in lines:
            yield f"  {line}"
