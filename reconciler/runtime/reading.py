"""Takes what the source gives in one cycle, page by page, to the decision."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.met import Keys
from reconciler.core.model import KINDS, Entry, Kind, SourceId, TargetId
from reconciler.core.outcomes import Failed
from reconciler.core.records import Record, Verdict
from reconciler.core.singly import AssignedSingly
from reconciler.ports import (
    AssignmentPage,
    EntryPage,
    GroupMembers,
    JobState,
    MembershipPage,
    PresentPage,
    ReadEnd,
    ReadEvent,
    Seen,
    Wanted,
    Watermark,
    chunks,
)
from reconciler.runtime.assigning import Assigning
from reconciler.runtime.auditing import Audit
from reconciler.runtime.beside import Beside
from reconciler.runtime.canary import Canary
from reconciler.runtime.course import Course
from reconciler.runtime.deciding import NO_MEMBERSHIPS, Deciding
from reconciler.runtime.fitting import Fitting
from reconciler.runtime.journal import Journal
from reconciler.runtime.rules import Fingerprint, KindRules, wanted_of
from reconciler.runtime.world import World

PAGE = 1000
LOOKED_AT_APART = 1000
"""More entries than so many that must be looked at although they did not change: everybody is read instead."""


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
    problems: list[str] = field(default_factory=list)
    watermark: str | None = None
    seen_groups: set[SourceId] = field(default_factory=set)
    in_source: list[SourceId] = field(default_factory=list)
    """In a full cycle: the groups that the source showed."""
    unknown_groups: set[SourceId] = field(default_factory=set)
    """Groups that the rules name and the source does not show any more: not known, so not gone."""
    named: KnownGroups = field(default_factory=lambda: KnownGroups({}, complete=True))

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
        world: World,
        state: JobState,
        rules: Mapping[Kind, KindRules],
        rules_version: str,
        journal: Journal,
        course: Course,
        deciding: Deciding,
        canary: Canary,
        singly: AssignedSingly,
        beside: Beside,
        *,
        job: str,
        full: bool,
    ) -> None:
        self._source, self._store, self._clock, self._progress = world.source, world.store, world.clock, world.progress
        self._job, self._state, self._rules, self._full = job, state, rules, full
        self._journal, self._course, self._deciding, self._canary = journal, course, deciding, canary
        self._singly, self._beside = singly, beside
        self._assigning = Assigning(world.store, state.job_id, rules.values())
        self.reading = Reading({kind: Seen(state.ceiling) for kind in KINDS})
        known = full and self._source.incremental and state.completed_rules == rules_version
        self.audit = Audit() if known and state.watermark is not None and not canary.restricted else None
        """In a cycle that reads everything although the source tells what changed."""
        self._is_back = False
        """Whether a group is there that was not, and its source says only that its members are as they were."""
        self._fitting = Fitting(self.reading.problems)
        self._left_behind: set[TargetId] = set()
        """Accounts of those who are gone: a directory clears what named them, and does not show that it did."""
        self._shown = {kind: Keys() for kind in KINDS}
        """Whom a delta has shown, or everything that a source gave instead of one."""
        self._fingerprint: dict[Kind, Fingerprint] = {
            kind: rules_of.fingerprinter(state.fingerprint_key, rules_version) for kind, rules_of in rules.items()
        }

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
        staged: list[GroupMembers] = []
        unknown: dict[Kind, list[SourceId]] = {kind: [] for kind in KINDS}
        async with aclosing(_events(self._source.read(self._wanted(), since))) as events:
            async for event in events:
                match event:
                    case AssignmentPage(assignments=assignments):
                        self._assigning.take(assignments)
                    case MembershipPage():
                        await self._stage(event, staged)
                    case ReadEnd(part=part, complete=complete, problems=problems, delta=delta, fault=fault):
                        complete = complete and part not in self._fitting.short
                        self.reading.complete[part], self.reading.delta[part] = complete, delta
                        self.reading.fault = self.reading.fault or fault
                        self.reading.problems += problems
                        if part == "assignments":
                            await self._take_assignments(complete=complete)
                        if part == "memberships":
                            await self._resolve_groups(staged)
                            if since is not None and complete and (self._is_back or await self._many_wait()):
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
        while page := await self._store.due(self._state.job_id, kind, self._clock.now(), after, PAGE):
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
        held = [one for hold in await self._store.held(self._job) for one in hold.operations]
        held += [one.operation for one in await self._store.decisions(self._job)]
        return ids + [one.source_id for one in held if one.kind == kind and one.operation != "members"]

    async def _take_again(self, rules: KindRules, ids: Sequence[SourceId], records: Mapping[SourceId, Record]) -> None:
        entries = await self._source.fetch(rules.kind, ids, self._wanted())
        present = [entry for entry in entries.values() if entry is not None]
        self._see(rules.kind, present, records)
        for one in ids:
            if one not in entries:
                self.reading.complete[rules.kind] = False
            elif entries[one] is None and one in records:
                self._say_gone(records[one], Gone("no longer in the source"))
        missing = sum(one not in entries for one in ids)
        if missing:
            self.reading.problems.append(f"{missing} {rules.kind}s that had to be looked at again could not be read")
        await self._decide_again(rules, self._told(rules, present, records), records)

    async def _decide_again(
        self, rules: KindRules, entries: Sequence[Entry], records: Mapping[SourceId, Record]
    ) -> None:
        memberships = await self._memberships(rules, [entry.id for entry in entries])
        work = []
        for entry, print_ in self._fitting.prints(entries, memberships, self._fingerprint[rules.kind]):
            of = memberships.get(entry.id, NO_MEMBERSHIPS)
            work.append((entry, records.get(entry.id) or Record(rules.kind, entry.id), of, print_))
        if work:
            await self._deciding.page(rules, self.reading.named, work)

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
        staged: list[GroupMembers] = []
        async for event in self._source.read(wanted, None) if wanted.memberships else _nothing():
            match event:
                case AssignmentPage(assignments=assignments):
                    self._assigning.take(assignments)
                case ReadEnd(part="assignments", complete=complete, problems=problems):
                    self.reading.complete["assignments"] = complete
                    self.reading.problems += problems
                    await self._take_assignments(complete=complete)
                case MembershipPage():
                    await self._stage(event, staged)
                case ReadEnd(part="memberships", complete=complete, problems=problems):
                    complete = complete and "memberships" not in self._fitting.short
                    self.reading.complete["memberships"], self.reading.delta["memberships"] = complete, False
                    self.reading.problems += problems
                    await self._resolve_groups(staged)
                case _:
                    pass

    async def fetch(
        self, rules: KindRules, ids: Sequence[SourceId], *, last: bool = True
    ) -> Mapping[SourceId, Entry | None]:
        """Read these entries now, and decide on them; `last`: for the last time in this cycle.

        Returns what the source gave: None for whom it is sure not to have.
        """
        await self._journal.flush()
        entries = await self._source.fetch(rules.kind, ids, self._wanted())
        present = [entry for entry in entries.values() if entry is not None and self._canary.lets(entry)]
        memberships = await self._memberships(rules, [entry.id for entry in present])
        records = await self._store.records(self._state.job_id, rules.kind, [entry.id for entry in present])
        work = []
        for entry, print_ in self._fitting.prints(present, memberships, self._fingerprint[rules.kind]):
            of = memberships.get(entry.id, NO_MEMBERSHIPS)
            work.append((entry, records.get(entry.id) or Record(rules.kind, entry.id), of, print_))
        await self._deciding.page(rules, self.reading.named, work, afresh=True, last=last)
        return entries

    def _wanted(self) -> Wanted:
        return self._beside.with_groups(wanted_of(self._rules))

    async def _take_assignments(self, *, complete: bool) -> None:
        changed = await self._assigning.end(complete=complete)
        if self.audit is not None:
            self.audit.moved(changed)
        self.reading.named = self._assigning.known(self.reading.named)

    async def _stage(self, page: MembershipPage, staged: list[GroupMembers]) -> None:
        """Write memberships. Who is missing from a list is taken out only when all of it was read well."""
        groups = self._fitting.groups(page.groups)
        self.reading.seen_groups.update(group.group_id for group in groups)
        for group in groups if self._singly.asks else ():
            if not group.partial and not group.gone:
                self._singly.group(group.group_id, group.name, group.members)
        job_id, again = self._state.job_id, self._source.incremental
        if gone := [group.group_id for group in groups if group.gone]:
            await self._store.forget_groups(job_id, gone, look_again=again)
        groups = [group for group in groups if not group.gone] if gone else groups
        if same := [group.group_id for group in groups if group.unchanged]:
            known = await self._store.known_groups(job_id, same)
            self._is_back = self._is_back or len(known) < len(same)
            groups = [group for group in groups if not group.unchanged or group.group_id in known]
        if moved := await self._store.stage_memberships(job_id, groups, additive=True, look_again=again):
            if self.audit is not None:
                self.audit.moved(moved)
            mixed = await self._store.mixed_groups(job_id, [group.group_id for group in groups])
            staged += [group for group in groups if group.group_id in mixed]

    async def _resolve_groups(self, staged: Sequence[GroupMembers]) -> None:
        complete = self.reading.complete["memberships"]
        if complete:
            for groups in chunks(staged, PAGE):
                await self._store.stage_memberships(
                    self._state.job_id, groups, additive=False, look_again=self._source.incremental
                )
        names = [name for rules in self._rules.values() for name in rules.scope.group_names]
        named = await self._store.groups_named(self._state.job_id, sorted(set(names)))
        shows_all = complete and not self.reading.delta["memberships"]
        if shows_all:
            staged_before = named
            # a group that a complete reading does not show is not there, whatever was staged earlier
            named = {name: tuple(i for i in ids if i in self.reading.seen_groups) for name, ids in named.items()}
        self.reading.named = self._assigning.known(KnownGroups(named, complete=complete))
        missing = self.reading.named.missing(tuple(sorted(set(names))))
        self.reading.problems += [f"the source has no group {name}: who is in it is unknown" for name in missing]
        if shows_all:
            unknown = {group_id for name in missing for group_id in staged_before.get(name, ())}
            await self._store.drop_groups(
                self._state.job_id, self.reading.seen_groups | unknown, look_again=self._source.incremental
            )
            self.reading.unknown_groups = unknown

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
        memberships = await self._memberships(rules, [entry.id for entry in entries])
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
            await self._deciding.page(rules, self.reading.named, work)
        if kind == "user":
            self._progress.advance("users", self.reading.users)
        else:
            self._progress.advance("groups", self.reading.groups)

    async def _memberships(self, rules: KindRules, ids: Sequence[SourceId]) -> Mapping[SourceId, Memberships]:
        """Return who of these is in which of the groups that the rules name."""
        assigned = {nested: self._assigning.groups(rules.kind, nested=nested) for nested in (False, True)}
        direct_groups = (*self.reading.named.ids(rules.scope.direct_groups), *assigned[False])
        nested_groups = (*self.reading.named.ids(rules.scope.nested_groups), *assigned[True])
        direct: Mapping[SourceId, frozenset[SourceId]] = {}
        nested: Mapping[SourceId, frozenset[SourceId]] = {}
        if direct_groups:
            direct = await self._store.memberships(self._state.job_id, ids, direct_groups, nested=False)
        if nested_groups:
            nested = await self._store.memberships(self._state.job_id, ids, nested_groups, nested=True)
        return self._assigning.memberships(ids, direct, nested)


async def _events(events: AsyncIterator[ReadEvent]) -> AsyncGenerator[ReadEvent]:
    """Yield what an iterator gives, in a generator that is closed together with it."""
    try:
        async for event in events:
            yield event
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()


async def _nothing() -> AsyncIterator[ReadEvent]:
    none: tuple[ReadEvent, ...] = ()
    for event in none:
        yield event
