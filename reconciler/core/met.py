"""Remembers which ids were met, in some twenty bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

_TABLES = 256
_FIRST_SLOTS = 16


class Keys:
    """A set of ids that can only be added to.

    It holds the 64-bit hash of an id (keyed anew in each process) and not the id: a set of a million ids would take
    130 MB. That two different ids of a million are taken for one happens once in 37 million readings; the second
    is then reported as a repeated key, and the next process tells them apart again. The hashes lie in many small open
    addressing tables, so that growing one never holds up the event loop.
    """

    __slots__ = ("_counts", "_tables")

    def __init__(self) -> None:
        self._tables = [array("q", bytes(8 * _FIRST_SLOTS)) for _ in range(_TABLES)]
        self._counts = [0] * _TABLES

    def add(self, ids: Sequence[str]) -> list[int]:
        """Add ids; return the positions of those that had been added before, here or in an earlier call."""
        repeated = []
        tables, counts = self._tables, self._counts
        for position, digest in enumerate(map(hash, ids)):
            number = digest & (_TABLES - 1)
            table = tables[number]
            last = len(table) - 1
            digest = digest or 1  # 0 marks a free slot
            slot = (digest >> 8) & last
            while (there := table[slot]) and there != digest:
                slot = (slot + 1) & last
            if there:
                repeated.append(position)
                continue
            table[slot] = digest
            counts[number] += 1
            if counts[number] * 3 > last * 2:
                tables[number] = _doubled(table)
        return repeated

    def __contains__(self, id_: str) -> bool:
        digest = hash(id_)
        table = self._tables[digest & (_TABLES - 1)]
        last = len(table) - 1
        digest = digest or 1
        slot = (digest >> 8) & last
        while (there := table[slot]) and there != digest:
            slot = (slot + 1) & last
        return bool(there)


def _doubled(table: array[int]) -> array[int]:
    larger = array("q", bytes(16 * len(table)))
    last = len(larger) - 1
    for digest in filter(None, table):
        slot = (digest >> 8) & last
        while larger[slot]:
            slot = (slot + 1) & last
        larger[slot] = digest
    return larger
