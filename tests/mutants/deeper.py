"""What mutmut needs of pytest: room for its calls, and to know which functions run while tests are still collected.

A function that runs when a module is imported (a table that is built, a value that a test is parametrized with) runs in
no test. mutmut would count it to the test that happens to be the first; here all quick tests of its room count. Tests
by chance, which take long, try only what no other test runs.
"""

from __future__ import annotations

import os
import sys
from functools import cache

import pytest
from hypothesis import HealthCheck, settings

QUICK_SECONDS = 2.0
"""Far above what a test by example takes on a machine that is busy with other work."""

sys.setrecursionlimit(5 * sys.getrecursionlimit())  # each function that may be changed costs three calls and not one

# The same examples for every mutant, and a slow machine is no kill.
settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("mutants")

_ROOMS = ("reconciler.core.", "reconciler.language.")
_Kept = type(cache(str))
_at_import: set[str] = set()
_by_chance: set[str] = set()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and getattr(item.obj, "is_hypothesis_test", False):
            _by_chance.add(item.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(_ROOMS):
            for function in vars(module).values():
                if isinstance(function, _Kept):
                    function.cache_clear()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    if os.environ.get("MUTANT_UNDER_TEST") == "stats":
        from mutmut.state import state

        _at_import.update(state()._stats)
        state()._stats.clear()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    if os.environ.get("MUTANT_UNDER_TEST") == "stats":
        from mutmut.state import state

        known = state()
        for function, tests in known.tests_by_mangled_function_name.items():
            known.tests_by_mangled_function_name[function] = tests - _by_chance or tests
        quick = [test for test, seconds in known.duration_by_test.items() if seconds < QUICK_SECONDS]
        for function in sorted(_at_import):
            room = f"tests/{function.split('.')[1]}/"
            known.tests_by_mangled_function_name[function] |= {
                test for test in quick if test.startswith(room)
            } - _by_chance
