"""Wakes jobs at their time, with APScheduler: one date trigger a job, armed again at the end of each cycle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger


class ApschedulerTicks:
    """The real `Ticks`. A moment in the past wakes at once."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.start()

    def set(self, job: str, at: float, wake: Callable[[], Awaitable[None]]) -> None:
        self._scheduler.add_job(
            wake,
            DateTrigger(datetime.fromtimestamp(at, UTC)),
            id=job,
            replace_existing=True,
            misfire_grace_time=None,
        )

    def cancel(self, job: str) -> None:
        if self._scheduler.get_job(job) is not None:
            self._scheduler.remove_job(job)

    def stop(self) -> None:
        """Wake nobody any more. Does not touch what is running: drain first."""
        self._scheduler.shutdown(wait=False)
