"""The joined source holds some pages of each part and a place on disk, never everybody."""

from __future__ import annotations

import os
from pathlib import Path

from tests.sources.weighing import memory_max_kib, weighed

PEOPLE = int(os.environ.get("JOINED_PEOPLE", "40000"))
"""Two million take some minutes: JOINED_PEOPLE=2000000."""

READ_AND_WEIGH = """
import asyncio, sys
from pathlib import Path
from reconciler.core.model import Entry, Identity
from reconciler.ports import EntryPage, GroupMembers, MembershipPage, ReadEnd, Wanted, Watermark
from reconciler.sources.joined import JoinedSource
from reconciler.sources.joined_merging import Joining, Origin

PEOPLE, PLACE = int(sys.argv[1]), Path(sys.argv[2])

class Simulated:
    '''A source of any size that makes up each page when it is asked for.'''
    def __init__(self, name, make): self.identity, self._make = Identity("made up", name), make
    incremental = True
    async def read(self, wanted, since):
        first = 0 if since is None else PEOPLE
        if wanted.memberships:
            for n in range(first, PEOPLE, 1000):
                yield MembershipPage([GroupMembers(f"g{n}", f"g{n}", [f"d{m:08}" for m in range(n, n + 1000)])])
            yield ReadEnd("memberships", True, delta=since is not None)
        for n in range(first, PEOPLE, 1000):
            yield EntryPage("user", [self._make(m) for m in range(n, min(n + 1000, PEOPLE))])
        yield ReadEnd("user", True, delta=since is not None)
        if wanted.groups:
            yield ReadEnd("group", True, delta=since is not None)
        yield Watermark("token")
    async def close(self): ...

def account(n): return Entry("user", f"d{n:08}", {"number": f"{n:08}", "mail": f"person{n}@example.com"})
def record(n): return Entry("user", f"{n:08}", {"number": f"{n:08}", "title": "Zoë's job", "chief": f"{n // 10:08}"})

joining = Joining(("directory", "hr"), ("number", "number"),
                  {"title": (Origin(1, "title"),), "manager": (Origin(1, "chief"),)}, references=frozenset({"manager"}))
wanted = Wanted(frozenset({"mail", "title", "manager"}), frozenset(), memberships=True)

async def work():
    source = JoinedSource("people", [Simulated("a", account), Simulated("b", record)], joining, copy=PLACE / "copy.db")
    entries = members = 0
    token = None
    async for event in source.read(wanted, None):
        if isinstance(event, EntryPage):
            entries += len(event.entries)
            assert all(e.attributes["title"] and e.attributes["manager"] for e in event.entries)
        elif isinstance(event, MembershipPage):
            members += sum(len(group.members) for group in event.groups)
        elif isinstance(event, ReadEnd):
            assert event.complete and not event.problems, event
        elif isinstance(event, Watermark):
            token = event.token
    assert members == PEOPLE
    again = 0
    async for event in source.read(wanted, token):
        again += isinstance(event, EntryPage | MembershipPage)
    assert not again
    await source.close()
    return entries

entries = asyncio.run(work())
print(entries)
"""


def test_two_sources_of_any_size_are_joined_in_the_memory_of_a_few_pages(tmp_path: Path) -> None:
    read, peak_kib = weighed(READ_AND_WEIGH, PEOPLE, tmp_path)
    assert read == PEOPLE
    assert peak_kib <= memory_max_kib(PEOPLE)
