"""Takes of what a source gives what can be kept; says what it left out, by key and attribute, never the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.core.assignments import Memberships
from reconciler.core.characters import Odd, is_odd, levelled, plain
from reconciler.core.model import Entry, Kind, SourceId
from reconciler.ports import GroupMembers
from reconciler.runtime.deciding import NO_MEMBERSHIPS
from reconciler.runtime.rules import Fingerprint

TOLD_MAX = 20
"""So many entries are named one by one."""
_LEFT_OUT = "U+0000 or half of a surrogate pair, which no state can keep"


class Fitting:
    """What one reading gave that cannot be kept."""

    def __init__(self, problems: list[str]) -> None:
        self._problems, self._told = problems, 0
        self.short: set[str] = set()
        """The parts of which something had to be left out whole: absence says nothing there."""

    def entries(self, kind: Kind, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return those whose key can be kept."""
        odd = is_odd("".join([entry.id for entry in entries]))
        return self._of_keys(kind, entries) if odd else entries

    def _of_keys(self, kind: Kind, entries: Sequence[Entry]) -> Sequence[Entry]:
        kept = [entry for entry in entries if not is_odd(entry.id)]
        self._leave_out(kind, f"{kind}s whose keys hold {_LEFT_OUT}, were left out: {len(entries) - len(kept)}")
        return kept

    def ids(self, kind: Kind, ids: Sequence[SourceId]) -> Sequence[SourceId]:
        """Return the keys that can be kept."""
        kept = [one for one in ids if not is_odd(one)]
        if len(kept) < len(ids):
            self._leave_out(kind, f"{kind}s whose keys hold {_LEFT_OUT}, were left out: {len(ids) - len(kept)}")
        return kept

    def groups(self, groups: Sequence[GroupMembers]) -> Sequence[GroupMembers]:
        """Return the groups whose keys can be kept, with such members."""
        if not any(is_odd("".join((one.group_id, one.name, *one.members, *one.removed))) for one in groups):
            return groups
        kept = []
        for group in groups:
            members = [one for one in group.members if not is_odd(one)]
            if not is_odd(group.group_id):
                removed = [one for one in group.removed if not is_odd(one)]
                kept.append(replace(group, name=plain(group.name), members=members, removed=removed))
            if is_odd(group.group_id) or len(members) < len(group.members):
                why = f"a group, or a member of group {plain(group.group_id)}, was left out: the key holds {_LEFT_OUT}"
                self._leave_out("memberships", why)
        return kept

    def prints(
        self, entries: Sequence[Entry], memberships: Mapping[SourceId, Memberships], fingerprint: Fingerprint
    ) -> list[tuple[Entry, bytes]]:
        """Return each entry, as it can be kept, with its fingerprint."""
        found = []
        for entry in entries:
            of = memberships.get(entry.id, NO_MEMBERSHIPS)
            try:
                found.append((entry, fingerprint(entry, of)))
            except Odd:
                found.append(self._levelled(entry, of, fingerprint))
        return found

    def _levelled(self, entry: Entry, of: Memberships, fingerprint: Fingerprint) -> tuple[Entry, bytes]:
        entry, changed = levelled(entry)
        if changed:
            names = ", ".join(map(plain, sorted(changed)))
            self._tell(f"{entry.kind} {entry.id}: {names} held {_LEFT_OUT}; that was left out, mend it in the source")
        return entry, fingerprint(entry, of, levelled=True)

    def _leave_out(self, part: str, problem: str) -> None:
        self.short.add(part)
        self._tell(problem)

    def _tell(self, problem: str) -> None:
        self._told += 1
        if self._told <= TOLD_MAX:
            self._problems.append(problem)
        elif self._told == TOLD_MAX + 1:
            self._problems.append(f"more than {TOLD_MAX} entries hold {_LEFT_OUT}")
