"""The LDAP source holds a page and a place on disk for names, never the directory."""

from __future__ import annotations

import os

import pytest

from tests.sources.weighing import memory_max_kib, weighed

pytest.importorskip("ldap", reason="python-ldap is not installed (make ldap)")

PEOPLE = int(os.environ.get("LDAP_PEOPLE", "80000"))
"""Two million take some minutes: LDAP_PEOPLE=2000000."""

READ_AND_WEIGH = """
import sys
from pathlib import Path
from reconciler.ports import EntryPage, MembershipPage, ReadEnd, Wanted
from reconciler.runtime.clock import SystemClock
from reconciler.sources.ldap_generic import GenericDirectory
from reconciler.sources.ldap_layout import Layout, Place
from reconciler.sources.ldap_wire import Raw

PEOPLE = int(sys.argv[1])
BASE = "dc=example,dc=test"

class Simulated:
    '''A connection to a directory of any size that makes up each page when it is asked for.'''
    def open(self): return None
    def one(self, dn, attributes, text=""): return None
    def search(self, base, text, attributes, **more):
        if "group" in text:
            for first in range(0, PEOPLE, 1000):
                members = [self.dn(n).encode() for n in range(first, min(first + 1000, PEOPLE))]
                yield [Raw(f"cn=g{first},{BASE}", {"entryUUID": [b"g%d" % first], "cn": [b"g"], "member": members})]
            return
        for first in range(0, PEOPLE, 1000):
            yield [Raw(self.dn(n), self.person(n)) for n in range(first, min(first + 1000, PEOPLE))]
    def dn(self, n): return f"uid=person{n:08d},ou=people,{BASE}"
    def person(self, n):
        return {"entryUUID": [b"00000000-0000-4000-8000-%012d" % n], "mail": [b"person%d@example.com" % n],
                "displayName": ["Zoë Person".encode()], "manager": [self.dn(n // 10).encode()]}

wire = Simulated()
layout = Layout(Place(BASE, "(objectClass=user)"), Place(BASE, "(objectClass=group)"))
wanted = Wanted(frozenset({"mail", "displayName", "manager"}), frozenset({"cn"}), groups=True, memberships=True)
entries = members = 0
for event in GenericDirectory(wire, layout, changes="none", clock=SystemClock()).read(wanted, None):
    if isinstance(event, EntryPage):
        entries += len(event.entries)
        assert all(entry.attributes.get("manager") or event.kind == "group" for entry in event.entries)
    elif isinstance(event, MembershipPage):
        members += sum(len(group.members) for group in event.groups)
    elif isinstance(event, ReadEnd):
        assert event.complete, event
assert members == PEOPLE
print(entries - (PEOPLE + 999) // 1000)
"""


def test_a_directory_of_any_size_is_read_in_the_memory_of_a_few_pages() -> None:
    read, peak_kib = weighed(READ_AND_WEIGH, PEOPLE)
    assert read == PEOPLE
    assert peak_kib <= memory_max_kib(PEOPLE)
