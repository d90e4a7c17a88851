"""Asks the target who is already there: few questions one by one, many by listing the target once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import anyio

from reconciler.core.characters import plain
from reconciler.core.levelling import level, spellings
from reconciler.core.model import Kind, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed, Fault, Found, ListEnd, ListPage, Missing
from reconciler.core.profile import Profile
from reconciler.ports import Store, Target
from reconciler.runtime.lanes import each

FEW = 8
"""So many questions are always asked one by one."""
ANOTHER_TIME = (Fault.UNREACHABLE, Fault.INTERRUPTED, Fault.THROTTLED, Fault.UNAUTHORIZED, Fault.SERVER_ERROR)
"""What a question that fails so says nothing of: asked later, it may be answered."""

MatchValues = Sequence[tuple[str, str]]
"""(path, value) in order of precedence."""


class Question(NamedTuple):
    source_id: SourceId
    match: MatchValues


class Asking:
    """What the target has of one kind, asked within one cycle."""

    def __init__(
        self,
        store: Store,
        target: Target,
        job_id: int,
        kind: Kind,
        profile: Profile,
        match_paths: Sequence[str],
        *,
        concurrency: int,
        expect_many: bool,
    ) -> None:
        self._store, self._target, self._job_id, self._kind, self._profile = store, target, job_id, kind, profile
        self._match_paths = tuple(match_paths)
        self._exact: dict[str, bool] = {}
        self._concurrency = concurrency
        self._expect_many = expect_many
        self._listing = anyio.Lock()
        self._shows_nobody = True
        """Whether no list has shown an account so far: that of a run on demand beside the cycle is another one."""
        self._listed: Literal["not yet", "complete", "incomplete", "given up"] = "not yet"
        self._doubted = False
        self._outdated = False
        self._refusal: Failed | None = None
        """Why the target cannot even be listed."""

    @property
    def listed_completely(self) -> bool:
        return self._listed == "complete"

    async def ask(
        self, questions: Sequence[Question], *, afresh: bool = False
    ) -> Mapping[SourceId, tuple[Account, ...] | Failed]:
        """Return for each question the accounts that truly have the first matching value; empty: surely none.

        `afresh` asks the target itself, whatever a list said earlier in this cycle.
        """
        answers: dict[SourceId, tuple[Account, ...] | Failed] = {}
        if afresh:
            await self._ask_each(questions, answers)
            return answers
        if len(questions) > FEW and self._listed == "not yet":
            await self.list_all(len(questions))
        open_questions = list(questions)
        if self._listed in ("complete", "incomplete"):
            open_questions = await self._look_up(questions, answers)
        await self._ask_each(open_questions, answers)
        return answers

    async def look_up_in_list(self, questions: Sequence[Question]) -> Mapping[SourceId, tuple[Account, ...] | Failed]:
        """Return the answers of the list of all accounts, made once in a cycle; empty also where it ends too early."""
        return {question.source_id: await self._from_list(question.match, ()) for question in questions}

    def doubt(self) -> None:
        """Believe no answer "there is none" any more: the target refused a name that it had not shown to anybody."""
        self._doubted = True

    def outdate(self) -> None:
        """Say that the target may hold somebody by now whom its list, if there is one, does not show."""
        self._outdated = True

    async def list_all(self, questions: int | None = None) -> Failed | ListEnd:
        """Take the whole target into the store, unless `questions` cost fewer requests than the rest of the list."""
        first, self._outdated = True, False
        end: Failed | ListEnd = ListEnd(False, "the target's list ended without an end")
        async for event in self._target.listing(self._kind):
            if isinstance(event, ListPage):
                keys = [self._keys(account) for account in event.accounts]
                await self._store.listing_put(self._job_id, self._kind, event.accounts, keys)
                self._shows_nobody = self._shows_nobody and not event.accounts
                if first and questions is not None and self._costs_more(event, questions):
                    self._listed = "given up"
                    return ListEnd(False, "asking one by one costs fewer requests")
                first = False
            else:
                end = event
        self._listed = "complete" if isinstance(end, ListEnd) and end.complete else "incomplete"
        return end

    def _costs_more(self, page: ListPage, questions: int) -> bool:
        if self._expect_many or not page.accounts or page.total is None:
            return False
        return page.total / len(page.accounts) - 1 > questions

    async def listed(self, ids: Sequence[TargetId]) -> Mapping[TargetId, Account]:
        return await self._store.listing_get(self._job_id, self._kind, ids)

    async def look(self, ids: Sequence[TargetId]) -> Mapping[TargetId, Account | Missing | Failed]:
        """Return what the target itself shows of these accounts now."""
        async with self._listing:
            if len(ids) > FEW and self._listed == "not yet":
                await self.list_all(len(ids))
        shown: dict[TargetId, Account | Missing | Failed] = {}
        if self._listed in ("complete", "incomplete"):
            shown.update(await self.listed(ids))

        async def look(target_id: TargetId) -> None:
            shown[target_id] = await self._target.get(self._kind, target_id)

        await each([one for one in ids if one not in shown], look, concurrency=self._concurrency)
        return shown

    def key(self, path: str, value: str) -> str:
        """Return the key under which a value of a matching path is staged: letter case counts only where it must.

        The normal form never does: two accounts that differ in it alone are both found, and then neither is taken.
        """
        exact = self._exact.get(path)
        if exact is None:
            exact = self._exact[path] = self._profile.attribute(self._kind, path).case_exact
        return f"{path}={level(value, exact=exact)}"

    def _keys(self, account: Account) -> tuple[str, ...]:
        return tuple(
            self.key(path, plain(str(account.resource[path])))
            for path in self._match_paths
            if account.resource.get(path) is not None
        )

    async def _look_up(
        self, questions: Sequence[Question], answers: dict[SourceId, tuple[Account, ...] | Failed]
    ) -> list[Question]:
        if self._listed == "complete" and self._shows_nobody:
            answers.update((question.source_id, ()) for question in questions)
            return []
        wanted = [self.key(path, value) for question in questions for path, value in question.match]
        found = await self._store.listing_find(self._job_id, self._kind, wanted)
        unanswered = []
        for question in questions:
            for path, value in question.match:
                accounts = found.get(self.key(path, value))
                if accounts:
                    answers[question.source_id] = accounts
                    break
            else:
                if self._listed == "complete":
                    answers[question.source_id] = ()
                else:
                    unanswered.append(question)
        return unanswered

    async def _ask_each(
        self, questions: Sequence[Question], answers: dict[SourceId, tuple[Account, ...] | Failed]
    ) -> None:
        waiting = list(reversed(questions))

        async def worker() -> None:
            while waiting:
                question = waiting.pop()
                answers[question.source_id] = answer = await self.ask_one(question.match)
                if isinstance(answer, Failed) and refuses_us(answer):
                    for left in waiting:
                        answers[left.source_id] = answer
                    waiting.clear()

        if len(questions) == 1:
            return await worker()
        async with anyio.create_task_group() as group:
            for _ in range(min(self._concurrency, len(questions))):
                group.start_soon(worker)
        return None

    async def ask_one(self, match: MatchValues) -> tuple[Account, ...] | Failed:
        """Ask the target itself, one path after the other; stop at the first that has a match."""
        for path, value in match:
            found: dict[TargetId, Account] = {}
            for spelled in spellings(value):
                answer = await self._target.find(self._kind, path, spelled)
                match answer:
                    case Found(accounts=accounts):
                        found.update((account.id, account) for account in accounts)
                    case Failed(fault=Fault.INVALID | Fault.UNSUPPORTED):
                        return await self._from_list(match, answer)
                    case Failed():
                        return answer
            if found:
                return tuple(found.values())
        return await self._from_list(match, ()) if self._doubted else ()

    async def _from_list(
        self, match: MatchValues, otherwise: tuple[Account, ...] | Failed
    ) -> tuple[Account, ...] | Failed:
        """Look into the list of all accounts, made where there is none yet; `otherwise` is for an incomplete one.

        Whom an earlier list showed, and be it one that was made anew now, is asked for by id: this very cycle may have
        switched the account off, or deleted it, since.
        """
        shown_now = False
        async with self._listing:
            if self._listed in ("not yet", "given up") or self._outdated:
                shown_now = self._listed == "not yet"
                end = await self.list_all()
                self._refusal = end if isinstance(end, Failed) and refuses_us(end) else None
        if self._refusal is not None:
            return self._refusal
        found = await self._store.listing_find(self._job_id, self._kind, [self.key(p, v) for p, v in match])
        for key in (self.key(path, value) for path, value in match):
            accounts = found.get(key, ()) if shown_now else await self._as_it_is_now(key, found.get(key, ()))
            if accounts:
                return accounts
        return () if self._listed == "complete" else otherwise

    async def _as_it_is_now(self, key: str, accounts: Sequence[Account]) -> tuple[Account, ...] | Failed:
        """Return those of these accounts that are there, and have this value, now."""
        still: list[Account] = []
        for account in accounts:
            shown = await self._target.get(self._kind, account.id)
            if isinstance(shown, Failed):
                return shown
            if isinstance(shown, Account) and key in self._keys(shown):
                still.append(shown)
        return tuple(still)


def refuses_us(failure: Failed) -> bool:
    """Whether a failed question means that others would fail too; a finer code says that it is about this one alone."""
    return not failure.code and failure.fault in (
        Fault.UNREACHABLE,
        Fault.UNAUTHORIZED,
        Fault.FORBIDDEN,
        Fault.NOT_FOUND,
        Fault.NOT_SCIM,
    )
