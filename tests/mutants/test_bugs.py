"""Each deliberate bug can still be made, and the test that must see it is there; `make mutants` shows that it does."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.mutants.bugs import ROOT, Bug, Moved, all_bugs

BUGS = all_bugs()


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of the test functions of a file, also of those in classes."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, functions)]
    return frozenset(name for name in found if name.startswith("test_"))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_deliberate_bug_can_be_made_and_its_test_is_there(bug: Bug) -> None:
    assert bug.written_into((ROOT / bug.path).read_text()) != ""
    assert bug.old != bug.new
    assert bug.promise
    assert bug.test_name in names_in(bug.test_path)


def test_each_has_a_name_and_a_promise_of_its_own() -> None:
    assert [name for name, times in Counter(bug.name for bug in BUGS).items() if times > 1] == []
    assert [promise for promise, times in Counter(bug.promise for bug in BUGS).items() if times > 1] == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = 3\n", "0 times"),
        ("a = 1\nb = 2\na = 1\n", "2 times"),
        ("if True:\n    a = 1\n", "no Python"),
    ],
)
def test_a_bug_whose_place_has_moved_is_no_bug(text: str, why: str) -> None:
    bug = Bug("a bug", "core/model.py", "a promise", "tests/x.py::test_x", "a = 1", "a = 1 +")
    with pytest.raises(Moved, match=why):
        bug.written_into(text)
