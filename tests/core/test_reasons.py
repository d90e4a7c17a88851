"""The reasons: closed, each with its page, its category and what to do; and none that nothing comes to."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

import reconciler
from reconciler.core.outcomes import ERROR_CODES, Failed, Fault
from reconciler.core.reasons import MEANINGS, Category, Reason
from reconciler.net.statuses import fault_of
from tests.core.reasons_index import FOLDER, index

REASONS: tuple[Reason, ...] = get_args(Reason)
HEADINGS = ("## What happened", "## What to look at", "## What to do")


def test_every_reason_has_a_meaning_and_a_page_and_nothing_else_has() -> None:
    assert set(MEANINGS) == set(REASONS)
    assert len(set(REASONS)) == len(REASONS)
    assert {page.stem for page in FOLDER.glob("*.md")} == {*REASONS, "README"}


@pytest.mark.parametrize("reason", REASONS)
def test_a_page_says_what_happened_what_to_look_at_and_what_to_do(reason: Reason) -> None:
    text = (FOLDER / f"{reason}.md").read_text("utf-8")
    meaning = MEANINGS[reason]
    title, *parts = (part.strip() for part in text.split("\n## "))
    assert title.lower() == f"# {reason}: {meaning.what}".lower()
    assert [f"## {part.splitlines()[0]}" for part in parts] == list(HEADINGS)
    assert all(len(part.splitlines()) > 2 for part in parts)
    # what the log recommends is what its page begins with
    assert " ".join(parts[2].split()).startswith(f"What to do {meaning.action}")
    assert meaning.category in get_args(Category)


def test_the_index_is_up_to_date() -> None:
    assert (FOLDER / "README.md").read_text("utf-8") == index(), "python -m tests.core.reasons_index"


def test_something_comes_to_every_reason() -> None:
    """What is emitted is among them by its type; here: none of them is left over."""
    folder = Path(reconciler.__file__).parent
    written = {
        node.value
        for file in folder.rglob("*.py")
        if file.name != "reasons.py"
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(REASONS) - written == set()


def test_each_fault_has_a_reason_of_its_own() -> None:
    assert set(ERROR_CODES) == set(Fault)
    assert len(set(ERROR_CODES.values())) == len(Fault)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "UnprocessableEntity"),
        (401, "Unauthorized"),
        (403, "InsufficientRights"),
        (404, "InvalidAnchor"),
        (405, "MethodNotAllowed"),
        (409, "EntryConflict"),
        (412, "PreconditionFailed"),
        (413, "RequestTooLarge"),
        (422, "UnprocessableEntity"),
        (429, "TooManyRequests"),
        (500, "InternalServerError"),
        (501, "NotImplemented"),
        (503, "InternalServerError"),
        (302, "SystemForCrossDomainIdentityManagementServiceIncompatible"),
    ],
)
def test_a_status_has_the_name_that_entra_gives_it(status: int, reason: Reason) -> None:
    fault = fault_of(status)
    assert fault is not None
    assert Failed(fault, "refused", status).error_code == reason
