"""Cuts off what takes too long, with one timer for all that is under way.

A timer for each request, as aiohttp and asyncio.timeout set one, costs as much as a sixth of the request itself.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadlines:
    """The deadlines of all that runs side by side on one loop. Nothing stays behind once nothing runs."""

    __slots__ = ("_running", "_timer")

    def __init__(self) -> None:
        self._running: set[_Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> _Deadline:
        """Return a context: what is not done in time is cancelled, and the context raises TimeoutError."""
        return _Deadline(self, seconds)

    def begin(self, deadline: _Deadline) -> None:
        self._running.add(deadline)
        if self._timer is None or deadline.at < self._timer.when():
            self._ring_at(deadline.at)

    def end(self, deadline: _Deadline) -> None:
        self._running.discard(deadline)
        if not self._running and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(moment, self._ring, moment)

    def _ring(self, moment: float) -> None:
        """Cut off what had until this moment; a loop may ring a trifle early, so its clock is not asked."""
        self._timer = None
        for deadline in [one for one in self._running if one.at <= moment]:
            self._running.discard(deadline)
            deadline.cut_off()
        if self._running:
            self._ring_at(min(one.at for one in self._running))


class _Deadline:
    """One deadline, of the task that enters it; a cancellation from elsewhere goes through as it is."""

    __slots__ = ("_all", "_cancelled_before", "_passed", "_seconds", "_task", "at")

    at: float
    """Of the loop's clock."""
    _task: asyncio.Task[object]
    _cancelled_before: int

    def __init__(self, all_: Deadlines, seconds: float) -> None:
        self._all, self._seconds, self._passed = all_, seconds, False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "a deadline is that of a task"
        self._task, self._cancelled_before = task, task.cancelling()
        self.at = task.get_loop().time() + self._seconds
        self._all.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.end(self)
        if self._passed and self._task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def cut_off(self) -> None:
        self._passed = True
        self._task.cancel()
