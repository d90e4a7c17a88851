"""Ids that were met are known again, and no others, however many there are."""

from __future__ import annotations

import pytest

from reconciler.core.met import Keys


def test_the_positions_of_those_that_came_before_are_told() -> None:
    keys = Keys()
    assert keys.add(["ann", "bob", "ann", "cleo", "bob"]) == [2, 4]
    assert keys.add(["dan", "cleo"]) == [1]
    assert keys.add([]) == []


def test_whoever_was_added_is_within_and_nobody_else() -> None:
    keys = Keys()
    keys.add(["ann"])
    assert "ann" in keys
    assert "bob" not in keys


def test_what_one_remembers_another_does_not() -> None:
    first, second = Keys(), Keys()
    assert first.add(["ann"]) == second.add(["ann"]) == []
    assert "ann" not in Keys()


def test_many_ids_are_each_new_once_and_known_afterwards() -> None:
    keys = Keys()
    ids = [f"id-{number}" for number in range(20_000)]
    assert keys.add(ids) == []
    assert keys.add(ids) == list(range(20_000))
    assert all(one in keys for one in ids)
    assert not any(f"stranger-{number}" in keys for number in range(2_000))


class Text(str):
    """A text whose hash is chosen, for what happens where hashes meet."""

    __slots__ = ("chosen",)
    chosen: int

    def __new__(cls, chosen: int) -> Text:
        text = super().__new__(cls, str(chosen))
        text.chosen = chosen
        return text

    def __hash__(self) -> int:
        return self.chosen

    def __eq__(self, other: object) -> bool:
        return self is other


@pytest.mark.parametrize("chosen", [0, 256, -1, 2**62, -(2**62)])
def test_every_hash_can_be_held_also_that_of_a_free_slot(chosen: int) -> None:
    keys, text = Keys(), Text(chosen)
    assert text not in keys
    assert (keys.add([text]), keys.add([text]), text in keys) == ([], [0], True)


def test_hashes_that_meet_at_one_slot_and_at_the_end_of_a_table_are_told_apart() -> None:
    # all of table 7, all at its last slot, so that they go on at the first ones, also while the table grows
    keys, texts = Keys(), [Text(7 + (15 << 8) + (number << 40)) for number in range(100)]
    assert keys.add(texts) == []
    assert keys.add(texts) == list(range(100))
    assert all(text in keys for text in texts)
    assert Text(7 + (15 << 8) + (1000 << 40)) not in keys


def test_a_table_is_twice_as_large_when_two_thirds_are_taken_so_that_every_search_ends() -> None:
    keys, sizes = Keys(), []
    for number in range(1, 101):
        keys.add([Text(number << 8)])
        sizes.append(len(keys._tables[0]))
    assert [sizes.index(size) + 1 for size in sorted(set(sizes))] == [1, 11, 21, 43, 85]
    assert sorted(set(sizes)) == [16, 32, 64, 128, 256]
