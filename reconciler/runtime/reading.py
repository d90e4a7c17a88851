"""Takes what the source gives in one cycle, page by page, to the decision."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from reconciler.core.assignments import nobody_assigned
from reconciler.core.met import Keys
from reconciler.core.model import KINDS, Entry, Kind, SourceId, TargetId
from reconciler.core.outcomes import Failed
from reconciler.core.records import Record, Verdict
from reconciler.core.singly import AssignedSingly
from reconciler.ports import (
    AssignmentPage,
    EntryPage,
    JobState,
    MembershipPage,
    PresentPage,
    ReadEnd,
    ReadEvent,
    Seen,
    Wanted,
    Watermark,
    Withholding,
    chunks,
)
from reconciler.runtime.auditing import Audit
from reconciler.runtime.beside import Beside
from reconciler.runtime.canary import Canary
from reconciler.runtime.course import Course
from reconciler.runtime.deciding import NO_MEMBERSHIPS, Deciding
from reconciler.runtime.fitting import Fitting
from reconciler.runtime.journal import Journal
from reconciler.runtime.rules import Fingerprint, KindRules, compiled, wanted_of
from reconciler.runtime.staging import Staging
from reconciler.runtime.world import Plan, World

PAGE = 1000
LOOKED_AT_APART = 1000
"""More entries than so many that must be looked at although they did not change: everybody is read instead."""


def wanted_by(plan: Plan) -> Wanted:
    """Return what the cycles of a job ask of its source."""
    return Beside(plan.job, plan.beside).with_groups(wanted_of(compiled(plan.job, plan.profile)))


@dataclass(frozen=True, slots=True)
class Gone:
    """What the source said of one who is gone."""

    why: str
    purged: bool = False


@dataclass(slots=True)
class Reading:
    """What the source gave in this cycle."""

    seen: dict[Kind, Seen]
    """Which rows the reading has met."""
    users: int = 0
    groups: int = 0
    complete: dict[str, bool] = field(default_factory=dict)
    delta: dict[str, bool] = field(default_factory=dict)
    """By part: whether just what changed was given, so that absence says nothing."""
    gone: dict[tuple[Kind, SourceId], Gone] = field(default_factory=dict)
    """Of whom the source itself said that they are gone."""
    looked_at: dict[Kind, float] = field(default_factory=dict)
    """After a delta: when those who were gone and whose time had come were asked for once more."""
    problems: list[str] = field(default_factory=list)
    watermark: str | None = None
    in_source: list[SourceId] = field(default_factory=list)
    """In a full cycle: the groups that the source showed."""
    unknown_groups: set[SourceId] = field(default_factory=set)
    """Groups that the rules name and the source does not show any more: not known, so not gone."""
    missing_groups: tuple[str, ...] = ()
    """The names that the rules give to these, and to groups that were never there."""
    ended: bool = False
    fault: Failed | None = None
    """Why the source could not be worked with, as the first part that ended by it says."""

    @property
    def nobody_because(self) -> Failed | None:
        """Why nobody at all could be read; None: somebody was, or it is not the source as a whole that is at fault."""
        read = self.users or self.groups or any(self.complete.get(kind, False) for kind in KINDS)
        return None if read else self.fault

    @property
    def all_complete(self) -> bool:
        return self.ended and all(self.complete.values())


class Reader:
    """Reads the source: memberships first, then entries, and has each page decided on as it comes."""

    def __init__(
        self,
        plan: Plan,
        world: World,
        state: JobState,
        rules: Mapping[Kind, KindRules],
        journal: Journal,
        course: Course,
        deciding: Deciding,
        canary: Canary,
        beside: Beside,
        *,
        full: bool,
    ) -> None:
        self._source, self._store, self._clock, self._progress = world.source, world.store, world.clock, world.progress
        self._job, self._state, self._rules, self._full = plan.job, state, rules, full
        self._journal, self._course, self._deciding, self._canary = journal, course, deciding, canary
        self._singly, self._beside = AssignedSingly(plan.job), beside
        self.reading = Reading({kind: Seen(state.ceiling) for kind in KINDS})
        known = full and self._source.incremental and state.completed_rules == plan.rules_version
        self.audit = Audit() if known and state.watermark is not None and not canary.restricted else None
        """In a cycle that reads everything although the source tells what changed."""
        self._fitting = Fitting(self.reading.problems)
        self.staging = Staging(
            *(world.store, state.job_id, rules, self._fitting, self._singly, self.audit, self.reading.problems),
            incremental=self._source.incremental,
        )
        self._left_behind: set[TargetId] = set()
        """Accounts of those who are gone: a directory clears what named them, and does not show that it did."""
        self._shown = {kind: Keys() for kind in KINDS}
        """Whom a delta has shown, or everything that a source gave instead of one."""
        self._fingerprint: dict[Kind, Fingerprint] = {
            kind: rules_of.fingerprinter(state.fingerprint_key, plan.rules_version) for kind, rules_of in rules.items()
        }

    @property
    def problems(self) -> list[str]:
        """What a report must say of what was read, and of whom the rules let take part, in sentences."""
        nobody = nobody_assigned(self._job, self.staging.named.given)
        unsure = self._deciding.unsure.problems
        return [*self._canary.problems, *self.reading.problems, *nobody, *self._singly.problems, *unsure]

    async def read(self, *, initial: bool) -> None:
        """Take what the source gives, part by part, and decide on each page as it comes."""
        since = self._state.watermark if self._source.incremental and not initial else None
        # what reads Now() changes by itself, and `only` keeps no record of the others: a delta would not show them
        if self._canary.restricted or any(rules.mapper.volatile for rules in self._rules.values()):
            since = None
        if since is not None and await self._many_wait():
            since = None
        if not await self._take_all(since):
            self.reading.problems.clear()
            self.reading.fault = None
            await self._take_all(None)
        if self._canary.restricted:
            self.reading.watermark = None

    async def _take_all(self, since: str | None) -> bool:
        """Read from here; return False, before any entry was taken, where everything must be read.

        So where very many wait to be looked at, and where who is in a group that is back would not be said.
        """
        unknown: dict[Kind, list[SourceId]] = {kind: [] for kind in KINDS}
        async with aclosing(_events(self._source.read(self._wanted(), since))) as events:
            async for event in events:
                match event:
                    case AssignmentPage() | MembershipPage():
                        await self.staging.take(event)
                    case ReadEnd(part=part, complete=complete, problems=problems, delta=delta, fault=fault):
                        complete = complete and part not in self._fitting.short
                        self.reading.complete[part], self.reading.delta[part] = complete, delta
                        self.reading.fault = self.reading.fault or fault
                        self.reading.problems += problems
                        if part == "assignments":
                            await self.staging.end_assignments(complete=complete)
                        if part == "memberships":
                            await self._end_memberships(complete=complete, delta=delta)
                            if since is not None and complete and (self.staging.is_back or await self._many_wait()):
                                return False
                    case EntryPage(kind=kind, entries=entries):
                        entries = self._fitting.entries(kind, entries)
                        if since is not None:
                            self._shown[kind].add([entry.id for entry in entries])
                        await self._page(self._rules[kind], entries)
                    case PresentPage(kind=kind, ids=ids):
                        ids = self._fitting.ids(kind, ids)
                        unknown[kind] += await self._store.meet(self._state.job_id, kind, ids, self.reading.seen[kind])
                    case Watermark(token=token):
                        self.reading.watermark = token
                if self._course.stopped is not None:
                    return True
        if since is not None:
            for kind, rules in self._rules.items():
                if rules.references and self._left_behind:
                    await self._store.unsettle_who_names(self._state.job_id, kind, self._left_behind)
                if self.reading.complete.get(kind, False):
                    await self._look_again(rules, unknown[kind])
                    await self._look_for_who_is_back(rules)
        self.reading.ended = self._course.stopped is None
        return True

    async def say_what_was_missed(self) -> None:
        """After a reading of everything: add to the problems what the source would not have told by itself."""
        since = self._state.watermark
        if self.audit is not None and since is not None and self.reading.all_complete:
            self.reading.problems += await self.audit.missed(self._source, self._wanted(), since)

    async def _many_wait(self) -> bool:
        """Whether more entries must be looked at, although they did not change, than are fetched one by one."""
        count = 0
        for kind in self._rules:
            rows = await self._store.unsettled(self._state.job_id, kind, 0, LOOKED_AT_APART + 1)
            rows += await self._store.due(self._state.job_id, kind, self._clock.now(), 0, LOOKED_AT_APART + 1)
            count += len({row.source_id for row in rows})
        return count > LOOKED_AT_APART

    async def _look_again(self, rules: KindRules, unknown: Sequence[SourceId]) -> None:
        """Fetch those whom a delta does not show and who must be looked at all the same, and decide on them.

        They are those whose time has come, whose groups changed, of whom something is not known or held; and `unknown`,
        who are in the source although nothing is known of them.
        """
        await self._journal.flush()
        ids = dict.fromkeys([*unknown, *await self._waiting(rules.kind)])
        for page in chunks([one for one in ids if one not in self._shown[rules.kind]], PAGE):
            if self._course.stopped is not None:
                return
            records = await self._store.records(self._state.job_id, rules.kind, page)
            await self._take_again(rules, page, records)

    async def _look_for_who_is_back(self, rules: KindRules) -> None:
        """Fetch those who are gone and whose time has come: a source that hid them may not say that they are back.

        Who is not shown, or cannot be asked for, is gone as before.
        """
        kind, after = rules.kind, 0
        self.reading.looked_at[kind] = now = self._clock.now()
        while page := await self._store.due(self._state.job_id, kind, now, after, PAGE):
            if self._course.stopped is not None:
                return
            after = page[-1].row_id or 0
            gone = {
                row.source_id: row
                for row in page
                if row.verdict is Verdict.GONE and row.link is not None and row.source_id not in self._shown[kind]
            }
            entries = await self._source.fetch(kind, list(gone), self._wanted()) if gone else {}
            back = [entry for entry in entries.values() if entry is not None and not (entry.gone or entry.purged)]
            self._see(kind, back, gone)
            await self._decide_again(rules, back, gone)

    def _see(self, kind: Kind, present: Sequence[Entry], records: Mapping[SourceId, Record]) -> None:
        """Take note that these are in the source."""
        for entry in present:
            record = records.get(entry.id)
            if record is not None and record.row_id is not None:
                self.reading.seen[kind].add(record.row_id)

    async def _waiting(self, kind: Kind) -> list[SourceId]:
        job_id = self._state.job_id
        rows: list[Record] = []
        after = 0
        while page := await self._store.unsettled(job_id, kind, after, PAGE):
            rows += page
            after = page[-1].row_id or 0
        after = 0
        while page := await self._store.due(job_id, kind, self._clock.now(), after, PAGE):
            rows += [row for row in page if row.verdict is not Verdict.GONE]
            after = page[-1].row_id or 0
        ids = [row.source_id for row in rows]
        held = [one for hold in await self._store.held(self._job.name) for one in hold.operations]
        held += [one.operation for one in await self._store.decisions(self._job.name)]
        return ids + [one.source_id for one in held if one.kind == kind and one.operation != "members"]

    async def _take_again(self, rules: KindRules, ids: Sequence[SourceId], records: Mapping[SourceId, Record]) -> None:
        entries = await self._source.fetch(rules.kind, ids, self._wanted())
        present = [entry for entry in entries.values() if entry is not None]
        self._see(rules.kind, present, records)
        left_out = [one for one in ids if one not in entries]
        if left_out and isinstance(self._source, Withholding):
            kept = await self._source.withheld(rules.kind, left_out)
            self._see(rules.kind, [Entry(rules.kind, one, {}) for one in kept], records)
            left_out = [one for one in left_out if one not in kept]
        for one in ids:
            if one in entries and entries[one] is None and one in records:
                self._say_gone(records[one], Gone("no longer in the source"))
        if missing := len(left_out):
            self.reading.complete[rules.kind] = False
            self.reading.problems.append(f"{missing} {rules.kind}s that had to be looked at again could not be read")
        await self._decide_again(rules, self._told(rules, present, records), records)

    async def _decide_again(
        self, rules: KindRules, entries: Sequence[Entry], records: Mapping[SourceId, Record]
    ) -> None:
        memberships = await self.staging.memberships(rules, [entry.id for entry in entries])
        work = []
        for entry, print_ in self._fitting.prints(entries, memberships, self._fingerprint[rules.kind]):
            of = memberships.get(entry.id, NO_MEMBERSHIPS)
            work.append((entry, records.get(entry.id) or Record(rules.kind, entry.id), of, print_))
        if work:
            await self._deciding.page(rules, self.staging.named, work)

    def _told(self, rules: KindRules, entries: Sequence[Entry], records: Mapping[SourceId, Record]) -> Sequence[Entry]:
        """Return those who are not said to be gone; the others are noted, where anything is known of them."""
        for entry in entries:
            record = records.get(entry.id)
            if (entry.gone or entry.purged) and record is not None:
                why = "deleted for good in the source" if entry.purged else "deleted in the source"
                self._say_gone(record, Gone(why, entry.purged))
        return [entry for entry in entries if not (entry.gone or entry.purged)]

    def _say_gone(self, record: Record, gone: Gone) -> None:
        if self._canary.lets_record(record):
            self.reading.gone[record.key] = gone
            if record.link is not None and record.verdict is not Verdict.GONE:
                self._left_behind.add(record.link.target_id)
        if record.row_id is not None:
            self.reading.seen[record.kind].add(record.row_id)

    async def read_memberships(self) -> None:
        """Take in who is in which group, as the source says now, and nothing else."""
        wanted = replace(self._wanted(), users=False, groups=False)
        if not wanted.memberships:
            return
        async for event in self._source.read(wanted, None):
            match event:
                case AssignmentPage() | MembershipPage():
                    await self.staging.take(event)
                case ReadEnd(part="assignments", complete=complete, problems=problems):
                    self.reading.complete["assignments"] = complete
                    self.reading.problems += problems
                    await self.staging.end_assignments(complete=complete)
                case ReadEnd(part="memberships", complete=complete, problems=problems):
                    complete = complete and "memberships" not in self._fitting.short
                    self.reading.complete["memberships"], self.reading.delta["memberships"] = complete, False
                    self.reading.problems += problems
                    await self._end_memberships(complete=complete, delta=False)
                case _:
                    pass

    async def _end_memberships(self, *, complete: bool, delta: bool) -> None:
        self.reading.unknown_groups = await self.staging.end_memberships(complete=complete, delta=delta)
        self.reading.missing_groups = self.staging.missing

    async def fetch(
        self, rules: KindRules, ids: Sequence[SourceId], *, last: bool = True
    ) -> Mapping[SourceId, Entry | None]:
        """Read these entries now, and decide on them; `last`: for the last time in this cycle.

        Returns what the source gave: None for whom it is sure not to have.
        """
        await self._journal.flush()
        entries = await self._source.fetch(rules.kind, ids, self._wanted())
        present = [entry for entry in entries.values() if entry is not None and self._canary.lets(entry)]
        memberships = await self.staging.memberships(rules, [entry.id for entry in present])
        records = await self._store.records(self._state.job_id, rules.kind, [entry.id for entry in present])
        work = []
        for entry, print_ in self._fitting.prints(present, memberships, self._fingerprint[rules.kind]):
            of = memberships.get(entry.id, NO_MEMBERSHIPS)
            work.append((entry, records.get(entry.id) or Record(rules.kind, entry.id), of, print_))
        await self._deciding.page(rules, self.staging.named, work, afresh=True, last=last)
        return entries

    def _wanted(self) -> Wanted:
        return self._beside.with_groups(wanted_of(self._rules))

    async def _page(self, rules: KindRules, entries: Sequence[Entry]) -> None:
        """Tell the changed from the unchanged, and decide on the changed."""
        kind = rules.kind
        if kind == "user":
            self.reading.users += len(entries)
            for entry in entries if self._singly.asks else ():
                self._singly.user(entry.id, entry.attributes)
        else:
            self.reading.groups += len(entries)
        if self._canary.restricted:
            entries = [entry for entry in entries if self._canary.lets(entry)]
        if any(entry.gone or entry.purged for entry in entries):
            deleted = [entry.id for entry in entries if entry.gone or entry.purged]
            entries = self._told(rules, entries, await self._store.records(self._state.job_id, kind, deleted))
        if kind == "group":
            self.reading.in_source += [entry.id for entry in entries] if self._full else []
        memberships = await self.staging.memberships(rules, [entry.id for entry in entries])
        printed = self._fitting.prints(entries, memberships, self._fingerprint[kind])
        prints = [(entry.id, print_) for entry, print_ in printed]
        records = dict(
            await self._store.compare(self._state.job_id, kind, prints, self.reading.seen[kind], self._clock.now())
        )
        if self.audit is not None:
            self.audit.shown(kind, records, prints)
        if self._full or rules.mapper.volatile:
            rest = [source_id for source_id, _ in prints if source_id not in records]
            more = await self._store.records(self._state.job_id, kind, rest)
            # a mapping that reads Now() changes what an account should be, not who has one, nor when a failure is due
            records.update({i: r for i, r in more.items() if self._full or (r.link is not None and r.escrow is None)})
        if records:
            work = [
                (entry, records[entry.id], memberships.get(entry.id, NO_MEMBERSHIPS), print_)
                for entry, print_ in printed
                if entry.id in records
            ]
            await self._deciding.page(rules, self.staging.named, work)
        if kind == "user":
            self._progress.advance("users", self.reading.users)
        else:
            self._progress.advance("groups", self.reading.groups)


async def _events(events: AsyncIterator[ReadEvent]) -> AsyncGenerator[ReadEvent]:
    """Yield what an iterator gives, in a generator that is closed together with it."""
    try:
        async for event in events:
            yield event
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
