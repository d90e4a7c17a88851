"""Hands queued notices to the mail server, until it has them or they are too old.

A notice is written down as begun when all that is left is to send its text. One that is found begun was perhaps taken
when the process was killed: it is not sent again, but a mail of its own says so (docs/decisions, mails).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from reconciler import logs
from reconciler.core import notices
from reconciler.core.notices import Notice, NoticeKind
from reconciler.errors import ReconcilerError
from reconciler.ports import Clock, InDoubt, Notifier, NotTaken, QueuedNotice, Store, Taken

ROUND = 100
"""So many notices are looked at together."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 60.0, 4 * 3600.0
"""A notice waits as long again as it has waited already, within these: 1, 2, 4, 8 … minutes."""
GIVE_UP_SECONDS = 5 * 86400.0
LOOK_SECONDS = 300.0
"""The state is looked at so often even if nobody says that there is something."""


@dataclass(frozen=True, slots=True)
class Post:
    """How mails leave the house, and to whom."""

    notifier: Notifier | None = None
    """None: no mail server is configured."""
    by_job: Mapping[str, Sequence[str]] = field(default_factory=dict)
    otherwise: Sequence[str] = ()
    """Who gets the mails of a job that names nobody."""

    def recipients(self, job: str) -> Sequence[str]:
        return self.by_job.get(job) or self.otherwise


@dataclass(frozen=True, slots=True)
class _End:
    sent_at: float | None
    due_at: float | None
    problem: str
    recipients: tuple[str, ...] = ()


class Postman:
    """One at a time, beside the cycles: nothing waits for a mail server but the mails."""

    def __init__(self, store: Store, clock: Clock, post: Post) -> None:
        self._store, self._clock, self._post = store, clock, post
        self._called = anyio.Event()
        self._hurry = False
        self._unwritten: dict[int, _End] = {}
        """What became of notices where the state could not be written."""
        self._log = logs.get()

    def wake(self) -> None:
        """Say that there may be something to send."""
        self._called.set()

    def take_over(self, post: Post) -> None:
        """Go by a changed configuration from now on, and try again at once what waits."""
        self._post, self._hurry = post, True
        self.wake()

    async def run(self) -> None:
        """Send what is due, whenever something is; never returns."""
        while True:
            self._called = called = anyio.Event()
            next_at = await self.round()
            wait = LOOK_SECONDS if next_at is None else min(LOOK_SECONDS, max(0.0, next_at - self._clock.now()))
            with anyio.move_on_after(wait):
                await called.wait()

    async def send_within(self, seconds: float) -> None:
        """Send what is due now, for so long at most; what is left stays in the queue."""
        with anyio.move_on_after(seconds) as limit:
            await self.round()
        if limit.cancelled_caught:
            self._log.warning("mail.left_in_queue", problem=f"the mail server took longer than {seconds:g} s")

    async def round(self) -> float | None:
        """Try once each notice that is due; return when to try again, None where nothing waits.

        Where the mail server fares ill as such, the others are not tried.
        """
        try:
            await self._write_ends()
            hurry, self._hurry = self._hurry, False
            now = self._clock.now()
            for queued in await self._store.due_notices(float("inf") if hurry else now, ROUND):
                again_at = await self._deliver(queued)
                if again_at is not None:
                    return again_at
            return await self._store.next_notice_at()
        except ReconcilerError as error:
            self._log.error("mail.state_not_usable", problem=str(error))
            return self._clock.now() + FIRST_WAIT_SECONDS

    async def _deliver(self, queued: QueuedNotice) -> float | None:
        """Deal with one notice; return when to go on where the mail server takes nothing at all."""
        notice = queued.notice
        recipients = queued.recipients or tuple(self._post.recipients(notice.job))
        if queued.begun_at is not None:
            await self._end(
                queued.id, await self._doubted(notice, "the process was ended while the mail server took it")
            )
            return None
        if self._post.notifier is None or not recipients:
            self._tell_nobody(notice)
            await self._end(queued.id, _End(None, None, "nobody is to be told by mail"))
            return None
        with anyio.CancelScope() as scope:

            async def begin() -> None:
                # from here on nobody can say whether it was taken, until the server has answered
                scope.shield = True
                await self._store.begin_notice(queued.id, self._clock.now())

            outcome = await self._post.notifier.hand_over(notice, recipients, begin)
            match outcome:
                case Taken():
                    end = self._taken(notice, recipients, outcome)
                case NotTaken():
                    end = self._not_taken(notice, queued.recipients, outcome)
                case InDoubt():
                    end = await self._doubted(notice, outcome.problem)
            await self._end(queued.id, end)
            if isinstance(outcome, NotTaken) and outcome.of_server:
                return end.due_at or self._clock.now() + FIRST_WAIT_SECONDS
        return None

    def _taken(self, notice: Notice, recipients: Sequence[str], taken: Taken) -> _End:
        n_reached = len(recipients) - len(taken.refused)
        self._log.info("mail.sent", job=notice.job, kind=notice.kind, recipients=n_reached, answer=taken.answer)
        waiting = tuple(one for one, refusal in taken.refused.items() if not refusal.lasting)
        for refusal in taken.refused.values():
            self._log.warning(
                "mail.recipient_refused",
                job=notice.job,
                kind=notice.kind,
                problem=refusal.problem,
                tried_again=not refusal.lasting,
            )
        problem = "; ".join(refusal.problem for refusal in taken.refused.values())
        if not waiting:
            return _End(self._clock.now(), None, problem)
        return self._again(notice, NotTaken(problem), waiting)

    def _not_taken(self, notice: Notice, recipients: tuple[str, ...], refused: NotTaken) -> _End:
        if not refused.lasting:
            return self._again(notice, refused, recipients)
        self._log.error("mail.given_up", job=notice.job, kind=notice.kind, problem=refused.problem)
        return _End(None, None, refused.problem)

    def _again(self, notice: Notice, refused: NotTaken, recipients: tuple[str, ...]) -> _End:
        now = self._clock.now()
        waited = now - notice.at
        said = {"job": notice.job, "kind": notice.kind, "problem": refused.problem}
        if waited >= GIVE_UP_SECONDS:
            self._log.error("mail.given_up", **said, waited_seconds=round(waited))
            return _End(None, None, refused.problem)
        wait = min(LONGEST_WAIT_SECONDS, max(FIRST_WAIT_SECONDS, waited))
        self._log.warning("mail.waits", **said, again_in_seconds=round(wait))
        return _End(None, now + wait, refused.problem, recipients)

    async def _doubted(self, notice: Notice, problem: str) -> _End:
        """Do not send again what was perhaps taken; say so in a mail of its own, and where that was one, in the log."""
        self._log.warning("mail.doubtful", job=notice.job, kind=notice.kind, problem=problem)
        if notice.kind is not NoticeKind.DOUBTFUL:
            await self._store.queue([notices.doubtful(notice, self._clock.now())])
        return _End(None, None, problem)

    def _tell_nobody(self, notice: Notice) -> None:
        self._log.warning(
            "notice.not_mailed",
            job=notice.job,
            kind=notice.kind,
            key=notice.key,
            problem="no [mail] is configured" if self._post.notifier is None else "the job has nobody in notify",
            read=f"docs/mails/{notice.kind}.md",
        )

    async def _end(self, notice_id: int, end: _End) -> None:
        self._unwritten[notice_id] = end
        await self._write_ends()

    async def _write_ends(self) -> None:
        for notice_id, end in list(self._unwritten.items()):
            await self._store.end_notice(
                notice_id, sent_at=end.sent_at, due_at=end.due_at, problem=end.problem, recipients=end.recipients
            )
            del self._unwritten[notice_id]
