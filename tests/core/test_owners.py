"""Who spoke for which name: what a dict says, in a quarter of its memory."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.met import Owners
from reconciler.core.model import SourceId

NAMES = st.integers(0, 400).map(lambda number: ("user", f"userName={number}"))
IDS = st.text(st.characters(), min_size=1, max_size=5).map(SourceId)
STEPS = st.lists(st.tuples(st.sampled_from(["first", "put", "drop", "get"]), NAMES, IDS), max_size=2000)
MANY = 100_000
BYTES_MAX = 100


@given(STEPS)
def test_they_say_what_a_dict_would_say(steps: list[tuple[str, tuple[str, str], SourceId]]) -> None:
    owners, expected = Owners(), dict[tuple[str, str], SourceId]()
    for step, name, id_ in steps:
        match step:
            case "first":
                assert owners.first(name, id_) == expected.setdefault(name, id_)
            case "put":
                owners.put(name, id_)
                expected[name] = id_
            case "drop":
                owners.drop(name)
                expected.pop(name, None)
            case _:
                assert owners.get(name) == expected.get(name)
    assert all(owners.get(name) == id_ for name, id_ in expected.items())


def test_many_of_them_are_small() -> None:
    tracemalloc.start()
    owners = Owners()
    for number in range(MANY):
        owners.put(("user", f"userName=user{number}@example.com"), SourceId(f"{number:036d}"))
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert current / MANY <= BYTES_MAX
    assert owners.get(("user", "userName=user99@example.com")) == f"{99:036d}"
