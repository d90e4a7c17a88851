"""Asks any directory what changed by searching for when entries were modified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from reconciler.core.model import Kind, SourceId
from reconciler.ports import PresentPage, ReadEvent
from reconciler.sources.ldap_layout import Layout
from reconciler.sources.ldap_reading import Problems
from reconciler.sources.ldap_refusals import Refused
from reconciler.sources.ldap_sync import NoDelta, Round
from reconciler.sources.ldap_values import text_of, values_of
from reconciler.sources.ldap_wire import Raw, Wire

MODIFIED = "modifyTimestamp"
BEGINNING = "19700101000000Z"
_FORM = "%Y%m%d%H%M%SZ"
_FUTURE = timedelta(days=1)
_OVERLAP = timedelta(minutes=10)
"""Servers that write to each other have clocks of their own; who is shown once more has not changed for us."""


def latest_of(now: float) -> str:
    """Return up to when a modification is believed: one from the future would hide all others until then."""
    return (datetime.fromtimestamp(now, UTC) + _FUTURE).strftime(_FORM)


def newest(raws: Iterable[Raw], before: str | None, until: str) -> str | None:
    """Return the latest modification of these and before, none after `until`; None where one does not show any."""
    for raw in raws:
        shown = [text_of(value) for value in values_of(raw.attributes, MODIFIED)]
        if not shown or before is None or _moment(shown[0]) is None:
            return None
        if shown[0] <= until:
            before = max(before, shown[0])
    return before


def changes(
    wire: Wire, layout: Layout, kind: Kind, asked: list[str], since: str, *, until: str, most: int
) -> Round | NoDelta | Refused:
    """Return what was modified since; who is gone it cannot know."""
    moment = _moment(since)
    if moment is None or since > until:
        return NoDelta("the token is no moment, or one that is still to come")
    begin = max(moment - _OVERLAP, datetime(1970, 1, 1, tzinfo=UTC))
    place = layout.place(kind)
    text = f"(&{place.filter}({MODIFIED}>={begin.strftime(_FORM)}))"
    found, latest = Round(), since
    for answer in wire.search(place.base, text, [*asked, MODIFIED], page_size=layout.page_size):
        if isinstance(answer, Refused):
            return answer
        reached = newest(answer, latest, until)
        if reached is None:
            return NoDelta(f"an entry shows no {MODIFIED}")
        latest = reached
        for raw in answer:
            id_ = layout.id_of(raw)
            if id_ is None:
                return NoDelta(f"an entry shows no {layout.anchor}")
            found.changed[id_] = raw
        if len(found.changed) > most:
            return NoDelta("too much changed")
    found.cookie = latest
    return found


def present(wire: Wire, layout: Layout, kind: Kind, problems: Problems) -> Iterator[ReadEvent]:
    """Yield who is there now: who is not named any more is gone."""
    place, any_shown = layout.place(kind), False
    for answer in wire.search(place.base, place.filter, [layout.anchor], page_size=layout.page_size):
        if isinstance(answer, Refused):
            problems.refused(f"{kind}s", answer)
            return
        any_shown = True
        ids: list[SourceId | None] = [layout.id_of(raw) for raw in answer]
        if None in ids:
            problems.add(f"{kind}s: an entry does not show one {layout.anchor}; may it be read?")
        yield PresentPage(kind, [id_ for id_ in ids if id_ is not None])
    if not any_shown:
        problems.add(layout.nobody(kind))


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
