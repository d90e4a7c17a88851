"""Paces requests so that a target's rate limit is never met."""

from __future__ import annotations


class Pace:
    """Gives each request its moment: so many a second, evenly, after at most `burst` at once.

    In any stretch of t seconds at most `burst` + t × requests_per_second requests get their moment. With None there is
    no limit, only the pauses that the target asks for. Waiting is the caller's: nothing sleeps here.
    """

    __slots__ = ("_free_at", "_paused_until", "_seconds_each", "_slack_seconds")

    def __init__(self, requests_per_second: float | None, burst: int = 1) -> None:
        assert requests_per_second is None or requests_per_second > 0
        assert burst >= 1
        self._seconds_each = 0.0 if requests_per_second is None else 1.0 / requests_per_second
        self._slack_seconds = (burst - 1) * self._seconds_each
        self._free_at = float("-inf")
        """When the next request would be due if requests came evenly; it may lie behind the clock by the slack."""
        self._paused_until = float("-inf")

    def reserve(self, now_monotonic: float) -> float:
        """Take the next moment; return the seconds to wait for it, 0 for now."""
        starts_at = max(now_monotonic, self._paused_until)
        self._free_at = max(self._free_at, starts_at - self._slack_seconds)
        moment = max(self._free_at, starts_at)
        self._free_at += self._seconds_each
        return moment - now_monotonic

    def pause(self, now_monotonic: float, seconds: float) -> None:
        """Give out no moment within the next `seconds`: the target asked everybody to wait. Never shortens a pause."""
        self._paused_until = max(self._paused_until, now_monotonic + seconds)
