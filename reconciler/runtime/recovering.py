"""Finds out what became of operations whose answer was lost in an earlier cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.core import diffing, settling, telling
from reconciler.core.model import Kind, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed, Fault, Missing
from reconciler.core.profile import Profile
from reconciler.core.records import Link, Record, Verdict
from reconciler.core.scoping import InScope
from reconciler.ports import Clock, MatchPairs, Store, Target
from reconciler.runtime.asking import ANOTHER_TIME, Asking, Question
from reconciler.runtime.candidates import Candidate
from reconciler.runtime.course import MAY_SHOW_LATER, NOT_SHOWN_YET, SHOWN_WITHIN_SECONDS, Course
from reconciler.runtime.journal import Journal
from reconciler.runtime.rules import KindRules


class Recovering:
    """Asks the target for what was sent to it and never answered."""

    def __init__(
        self,
        profile: Profile,
        store: Store,
        target: Target,
        journal: Journal,
        asking: Mapping[Kind, Asking],
        course: Course,
        clock: Clock,
    ) -> None:
        self._profile, self._store, self._target = profile, store, target
        self._journal, self._asking, self._course, self._clock = journal, asking, course, clock

    async def recover(
        self, rules: KindRules, records: Sequence[Record], *, afresh: bool = False
    ) -> Mapping[SourceId, Failed]:
        """Link those whose create was sent and never answered to what it made; return those of whom it cannot be told.

        They are asked for by what they were made with: since then they may have another name, or have left. Whom the
        search does not show is looked for in the list of all: if it hid her, nothing else would find her again. That
        neither shows her so soon after the create does not say that there is nobody (`MAY_SHOW_LATER`).
        """
        lost = {r.source_id: r for r in records if r.attempted_at is not None and r.link is None}
        if not lost:
            return {}
        if self._course.unasked is not None:
            return dict.fromkeys(lost, self._course.unasked)
        questions = [Question(source_id, record.attempted_match) for source_id, record in lost.items()]
        asking = self._asking[rules.kind]
        answers = await asking.ask(questions, afresh=afresh)
        answers = {**answers, **await asking.look_up_in_list([q for q in questions if answers[q.source_id] == ()])}
        shown = {one: answer for one, answer in answers.items() if answer and not isinstance(answer, Failed)}
        ids = [account.id for answer in shown.values() for account in answer]
        await self._journal.flush()
        # First who is being made, then who was: what gets its owner in between is among the ones or the others.
        latest = await self._latest_attempts(rules.kind, list(lost.values()))
        owners = await self._store.owners(self._target.identity, rules.kind, ids)
        now = self._clock.now()
        untold: dict[SourceId, Failed] = {}
        for source_id, answer in answers.items():
            record = lost[source_id]
            if isinstance(answer, Failed):
                untold[source_id] = answer
                self._course.refused_a_question(answer)
                continue
            free = [account for account in answer if account.id not in owners]
            attempted_at = record.attempted_at or 0.0
            if latest.get(record.attempted_match, 0.0) > attempted_at:
                # Whoever was to get the name later was sent only because nobody had it: this one's was never made.
                free = []
            elif not answer and now - attempted_at < SHOWN_WITHIN_SECONDS:
                untold[source_id] = MAY_SHOW_LATER
                continue
            if len(free) > 1:
                why = f"{len(free)} accounts have the {record.attempted_match[0][0]} that one was made with: which?"
                untold[source_id] = Failed(Fault.CONFLICT, why, code="DuplicateTargetEntries")
                continue
            record.attempted_at, record.attempted_match = None, ()
            if free:
                record.link = Link(free[0].id, "created", free[0].resource, now)
                await self._journal.entry(
                    replace(record, fingerprint=None), telling.made_before(record, now), touches_groups=True
                )
                self._journal.counts["create"] += 1
        return untold

    def gives_up(self, candidate: Candidate, failure: Failed) -> bool:
        """Believe that what the target does not show so soon after its create was never made; False: that must wait.

        So it must for a leaver, as nobody would look again, and where a second one could be made: of a group, or by
        another name than the first. The create stays in doubt until another one is sent: that may be kept back, and she
        may leave.
        """
        record, mapped = candidate.record, candidate.mapped
        if failure is not MAY_SHOW_LATER or not isinstance(candidate.standing, InScope):
            return False
        if self._profile.shows_late(record.kind) or mapped is None or mapped.match_values != record.attempted_match:
            return False
        self._course.in_doubt.add(record.key)  # a refusal of the next create may be by what this one made
        return True

    async def _latest_attempts(self, kind: Kind, records: Sequence[Record]) -> Mapping[MatchPairs, float]:
        """Return when a create with the names of each was last sent whose answer nobody has, for whomever."""
        matches = {record.attempted_match for record in records}
        attempts = await self._store.attempts(self._target.identity, kind, matches) if matches else []
        latest: dict[MatchPairs, float] = {}
        for attempt in attempts:
            latest[attempt.match] = max(attempt.at, latest.get(attempt.match, 0.0))
        return latest

    async def look(self, rules: KindRules, records: Sequence[Record]) -> Mapping[SourceId, Account | Missing | Failed]:
        """Return what the target shows of accounts of which it is not known whether the last operation was done."""
        doubtful = {r.source_id: r.link.target_id for r in records if r.attempted_at is not None and r.link is not None}
        if not doubtful:
            return {}
        if self._course.unasked is not None:
            return dict.fromkeys(doubtful, self._course.unasked)
        shown = await self._asking[rules.kind].look(list(doubtful.values()))
        return {source_id: shown[target_id] for source_id, target_id in doubtful.items()}

    async def shown_now(self, kind: Kind, links: Sequence[Link]) -> Mapping[TargetId, Link]:
        """Return those of these links whose account the target shows, with what it shows now as agreed."""
        if not links or self._course.unasked is not None:
            return {}
        shown = await self._asking[kind].look([link.target_id for link in links])
        hidden, active = diffing.never_shown(self._profile.attributes(kind)), self._profile.active
        found = [(link, shown[link.target_id]) for link in links]
        return {
            link.target_id: settling.as_shown(link, account.resource, active, hidden)
            for link, account in found
            if isinstance(account, Account)
        }

    def seen(
        self, rules: KindRules, record: Record, shown: Account | Missing | Failed, *, leaving: bool
    ) -> Record | Failed:
        """Return the record after the look, or why the entry must wait for another one. No leaver ever waits."""
        match shown:
            case Account(resource=resource):
                log = telling.seen_after_doubt(
                    record, resource, self._profile.active, self._clock.now(), rules.mapper.redacts
                )
                if log is not None:
                    self._journal.log(log)
                hidden = diffing.never_shown(self._profile.attributes(rules.kind))
                return settling.looked_at(record, resource, self._profile.active, hidden)
            case Missing() if not leaving and self._course.made_just_now(record):
                return NOT_SHOWN_YET
            case Missing() if not leaving:
                return replace(record, link=None, verdict=Verdict.NEW, attempted_at=None, attempted_off_at=None)
            case Failed(fault=fault) if not leaving and fault in ANOTHER_TIME:
                return shown
            case _:
                return settling.not_shown(record, self._profile.active)
