"""Says how the parts of a joined source belong together."""

from __future__ import annotations

from reconciler.config import JoinedSourceSettings
from reconciler.sources.joined_merging import Joining, Origin


def joining_of(settings: JoinedSourceSettings) -> Joining:
    """Return the rules that a configuration names."""
    return Joining(
        settings.of,
        settings.keys,
        {
            attribute: tuple(Origin(settings.of.index(part), name) for part, name in origins)
            for attribute, origins in settings.attributes.items()
        },
        references=settings.references,
        ignore_case=settings.ignore_case,
        everywhere=settings.everywhere,
    )
