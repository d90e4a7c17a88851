"""Keeps what the machine's clock said, so that a wrong one is found out."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select, update

from reconciler.core.leaps import Leap, is_behind, leaps, told
from reconciler.errors import ClockBehind
from reconciler.store.tables import cycles, entries, installation

_NEWEST = select(cycles.c.opened_at, cycles.c.closed_at).order_by(cycles.c.id.desc()).limit(1)
_LEAP = select(installation.c.leapt_from, installation.c.leapt_to)
_SET_LEAP = update(installation).values(leapt_from=bindparam("before"), leapt_to=bindparam("after"))
_WRITTEN_BY_THE_CLOCK = ("attempted_at", "linked_at", "off_since", "escrow_first_failed_at")


def leap_by(connection: Connection, now: float, *, clock_is_right: bool) -> Leap | None:
    """Return the leap after which nothing is deleted at this moment. Raises ClockBehind for a time that is over."""
    row = connection.execute(_NEWEST).one_or_none()
    if row is None:
        return None
    newest = max(row.opened_at, row.closed_at or row.opened_at)
    before, after = connection.execute(_LEAP).one()
    leap = Leap(before, after) if before is not None else None
    if is_behind(now, newest):
        if not clock_is_right and (leap is None or not leap.was_wrong(now)):
            raise ClockBehind(
                f"the machine's clock says {told(now)}, and the newest cycle was at {told(newest)}: by such a clock"
                " nothing is done, as whoever is disabled now would be deleted at once when it is right again. Set the"
                " clock. If it is right now, and was wrong then: stop the daemon, and run `reconciler cycle JOB"
                " --clock-is-right` once"
            )
        _set_right(connection, now)
        connection.execute(_SET_LEAP, {"before": None, "after": None})
        return None
    if leaps(now, newest):
        if clock_is_right:
            return None
        leap = Leap(newest, now)
        connection.execute(_SET_LEAP, {"before": newest, "after": now})
    return leap if leap is not None and leap.stays_deletes(now) else None


def _set_right(connection: Connection, now: float) -> None:
    """Let what was written by a clock that was ahead be of this moment: it would wait for years."""
    c = entries.c
    connection.execute(update(entries).where(c.disabled_at > now).values(disabled_at=now, due_at=now))
    for name in _WRITTEN_BY_THE_CLOCK:
        connection.execute(update(entries).where(c[name] > now).values({name: now}))
