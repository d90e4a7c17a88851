"""The rows of the vendors' documents: each is shown, and nothing else claims to show one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler import config, vendors
from tests.vendors.rows import PAGE, checklists, page, shown

CODE = Path(vendors.__file__).parents[1]


def test_every_row_of_a_vendor_that_is_done_has_a_test() -> None:
    by_row = shown()
    missing = [
        f"{checklist.letter}{number}"
        for checklist in checklists()
        if checklist.done
        for number in range(1, len(checklist.rows) + 1)
        if f"{checklist.letter}{number}" not in by_row
    ]
    assert missing == []


def test_every_row_that_a_test_names_is_one() -> None:
    known = {f"{one.letter}{number}" for one in checklists() for number in range(1, len(one.rows) + 1)}
    assert set(shown()) - known == set()


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.vendors.rows"


def test_no_vendors_name_stands_in_code() -> None:
    """What is special about a vendor is data: no decision hangs on a name."""
    generic = {"scim", "graph", "entra", "rest"}
    names = {*vendors.names(), *vendors.source_names()} - generic
    titles = {str(vendors.tables(name, CODE).get("title", name)).lower() for name in vendors.names()}
    names |= titles - generic - {"microsoft entra id"}
    assert {"dialpad", "acall", "sightcall", "alexishr", "okta"} <= names
    found = [
        (file.relative_to(CODE).as_posix(), name)
        for file in CODE.rglob("*.py")
        # Entra's rules are the house's own everywhere, but what writes to such a directory goes by its profile alone
        for name in (names | {"entra"} if file.parent.name == "targets" and file.name.startswith("graph") else names)
        if re.search(rf"\b{re.escape(name)}\b", file.read_text("utf-8").lower())
    ]
    # what people bring along is a file of the one who wrote it: reading it is all that these do
    brought = {"cli.py", "commands/migrating.py", "migrate/__init__.py", "migrate/okta.py"}
    assert {(file, name) for file, name in found if not (name == "okta" and file in brought)} == set()


@pytest.mark.parametrize("name", sorted({*vendors.names()} - {"scim", "graph"}))
def test_each_vendors_profile_says_what_is_needed_and_where_its_facts_are_from(name: str) -> None:
    table = config.described_profile(name, CODE).table
    assert table.title
    assert table.prerequisites
    assert table.links
    assert {"unauthorized", "not_found"} <= table.hints.keys()
    assert {"stated", "assumed"} <= {one.tier for one in table.evidence}, "what nobody says is named as such"
    assert all(one.fact and one.source for one in table.evidence)
