"""Takes what the source gives in one cycle, page by page, to the decision."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.core.assignments import KnownGroups, Memberships
from reconciler.core.model import KINDS, Entry, Kind, SourceId
from reconciler.core.records import Record
from reconciler.ports import (
    EntryPage,
    GroupMembers,
    JobState,
    MembershipPage,
    ReadEnd,
    ReadEvent,
    Seen,
    Wanted,
    Watermark,
    chunks,
)
from reconciler.runtime.apply import Applier
from reconciler.runtime.canary import Canary
from reconciler.runtime.deciding import NO_MEMBERSHIPS, Deciding
from reconciler.runtime.journal import Journal
from reconciler.runtime.rules import Fingerprint, KindRules
from reconciler.runtime.world import World

PAGE = 1000


@dataclass(slots=True)
class Reading:
    """What the source gave in this cycle."""

    seen: dict[Kind, Seen]
    """Which rows the reading has met."""
    users: int = 0
    groups: int = 0
    complete: dict[str, bool] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    watermark: str | None = None
    seen_groups: set[SourceId] = field(default_factory=set)
    in_source: list[SourceId] = field(default_factory=list)
    """In a full cycle: the groups that the source showed."""
    unknown_groups: set[SourceId] = field(default_factory=set)
    """Groups that the rules name and the source does not show any more: not known, so not gone."""
    named: KnownGroups = field(default_factory=lambda: KnownGroups({}, complete=True))

    ended: bool = False

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
        applier: Applier,
        deciding: Deciding,
        canary: Canary,
        *,
        full: bool,
    ) -> None:
        self._source, self._store, self._clock, self._progress = world.source, world.store, world.clock, world.progress
        self._state, self._rules, self._full = state, rules, full
        self._journal, self._applier, self._deciding, self._canary = journal, applier, deciding, canary
        self.reading = Reading({kind: Seen(state.ceiling) for kind in KINDS})
        self._fingerprint: dict[Kind, Fingerprint] = {
            kind: rules_of.fingerprinter(state.fingerprint_key, rules_version) for kind, rules_of in rules.items()
        }

    async def read(self, *, initial: bool) -> None:
        """Take what the source gives, part by part, and decide on each page as it comes."""
        since = self._state.watermark if self._source.incremental and not initial else None
        wanted = self._wanted()
        staged: list[GroupMembers] = []
        async for event in self._source.read(wanted, since):
            match event:
                case MembershipPage():
                    await self._stage(event, staged)
                case ReadEnd(part=part, complete=complete, problems=problems):
                    self.reading.complete[part] = complete
                    self.reading.problems += problems
                    if part == "memberships":
                        await self._resolve_groups(staged)
                case EntryPage(kind=kind, entries=entries):
                    await self._page(self._rules[kind], entries)
                case Watermark(token=token):
                    self.reading.watermark = token
            if self._applier.stopped is not None:
                return
        self.reading.ended = True

    async def read_memberships(self) -> None:
        """Take in who is in which group, as the source says now, and nothing else."""
        wanted = replace(self._wanted(), users=False, groups=False)
        staged: list[GroupMembers] = []
        async for event in self._source.read(wanted, None) if wanted.memberships else _nothing():
            match event:
                case MembershipPage():
                    await self._stage(event, staged)
                case ReadEnd(part="memberships", complete=complete, problems=problems):
                    self.reading.complete["memberships"] = complete
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
        fingerprint = self._fingerprint[rules.kind]
        work = []
        for entry in present:
            of = memberships.get(entry.id, NO_MEMBERSHIPS)
            record = records.get(entry.id) or Record(rules.kind, entry.id)
            work.append((entry, record, of, fingerprint(entry, of)))
        await self._deciding.page(rules, self.reading.named, work, afresh=True, last=last)
        return entries

    def _wanted(self) -> Wanted:
        users, groups = self._rules.get("user"), self._rules.get("group")
        names = [name for rules in self._rules.values() for name in rules.scope.group_names]
        return Wanted(
            user_attributes=users.reads if users is not None else frozenset(),
            group_attributes=groups.reads if groups is not None else frozenset(),
            users=users is not None,
            groups=groups is not None,
            memberships=groups is not None or bool(names),
        )

    async def _stage(self, page: MembershipPage, staged: list[GroupMembers]) -> None:
        """Write memberships. Who is missing from a list is taken out only when all of it was read well."""
        self.reading.seen_groups.update(group.group_id for group in page.groups)
        if await self._store.stage_memberships(self._state.job_id, page.groups, additive=True):
            mixed = await self._store.mixed_groups(self._state.job_id, [group.group_id for group in page.groups])
            staged += [group for group in page.groups if group.group_id in mixed]

    async def _resolve_groups(self, staged: Sequence[GroupMembers]) -> None:
        complete = self.reading.complete["memberships"]
        if complete:
            for groups in chunks(staged, PAGE):
                await self._store.stage_memberships(self._state.job_id, groups, additive=False)
        names = [name for rules in self._rules.values() for name in rules.scope.group_names]
        named = await self._store.groups_named(self._state.job_id, sorted(set(names)))
        if complete and not self._source.incremental:
            staged_before = named
            # a group that a complete reading does not show is not there, whatever was staged earlier
            named = {name: tuple(i for i in ids if i in self.reading.seen_groups) for name, ids in named.items()}
        self.reading.named = KnownGroups(named, complete=complete)
        missing = self.reading.named.missing(tuple(sorted(set(names))))
        self.reading.problems += [f"the source has no group {name}: who is in it is unknown" for name in missing]
        if complete and not self._source.incremental:
            unknown = {group_id for name in missing for group_id in staged_before.get(name, ())}
            await self._store.drop_groups(self._state.job_id, self.reading.seen_groups | unknown)
            self.reading.unknown_groups = unknown

    async def _page(self, rules: KindRules, entries: Sequence[Entry]) -> None:
        """Tell the changed from the unchanged, and decide on the changed."""
        kind = rules.kind
        if kind == "user":
            self.reading.users += len(entries)
        else:
            self.reading.groups += len(entries)
        if self._canary.restricted:
            entries = [entry for entry in entries if self._canary.lets(entry)]
        if kind == "group":
            self.reading.in_source += [entry.id for entry in entries] if self._full else []
        memberships = await self._memberships(rules, [entry.id for entry in entries])
        fingerprint = self._fingerprint[kind]
        prints = [(entry.id, fingerprint(entry, memberships.get(entry.id, NO_MEMBERSHIPS))) for entry in entries]
        records = dict(
            await self._store.compare(self._state.job_id, kind, prints, self.reading.seen[kind], self._clock.now())
        )
        if self._full or rules.mapper.volatile:
            rest = [source_id for source_id, _ in prints if source_id not in records]
            more = await self._store.records(self._state.job_id, kind, rest)
            # a mapping that reads Now() changes what an account should be, not who has one, nor when a failure is due
            records.update({i: r for i, r in more.items() if self._full or (r.link is not None and r.escrow is None)})
        if records:
            work = [
                (entry, records[entry.id], memberships.get(entry.id, NO_MEMBERSHIPS), print_)
                for entry, (_, print_) in zip(entries, prints, strict=True)
                if entry.id in records
            ]
            await self._deciding.page(rules, self.reading.named, work)
        if kind == "user":
            self._progress.advance("users", self.reading.users)
        else:
            self._progress.advance("groups", self.reading.groups)

    async def _memberships(self, rules: KindRules, ids: Sequence[SourceId]) -> Mapping[SourceId, Memberships]:
        """Return who of these is in which of the groups that the rules name."""
        direct_groups = self.reading.named.ids(rules.scope.direct_groups)
        nested_groups = self.reading.named.ids(rules.scope.nested_groups)
        direct: Mapping[SourceId, frozenset[SourceId]] = {}
        nested: Mapping[SourceId, frozenset[SourceId]] = {}
        if direct_groups:
            direct = await self._store.memberships(self._state.job_id, ids, direct_groups, nested=False)
        if nested_groups:
            nested = await self._store.memberships(self._state.job_id, ids, nested_groups, nested=True)
        none: frozenset[SourceId] = frozenset()
        return {one: Memberships(direct.get(one, none), nested.get(one, none)) for one in {*direct, *nested}}


async def _nothing() -> AsyncIterator[ReadEvent]:
    none: tuple[ReadEvent, ...] = ()
    for event in none:
        yield event
