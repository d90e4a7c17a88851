"""Remembers which ids were met, in some twenty bytes each, and who spoke for which name, in some seventy."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Sequence

from reconciler.core.model import SourceId

_TABLES = 256
_FIRST_SLOTS = 16
_EMPTY = array("q", bytes(8 * _FIRST_SLOTS))
"""What all tables are until something is written into them."""
_EMPTY_PAIRS = array("q", bytes(16 * _FIRST_SLOTS))


class Keys:
    """A set of ids that can only be added to.

    It holds the 64-bit hash of an id (keyed anew in each process) and not the id: a set of a million ids would take
    130 MB. That two different ids of a million are taken for one happens once in 37 million readings; the second
    is then reported as a repeated key, and the next process tells them apart again. The hashes lie in many small open
    addressing tables, so that growing one never holds up the event loop.
    """

    __slots__ = ("_counts", "_tables")

    def __init__(self) -> None:
        self._tables = [_EMPTY] * _TABLES
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
            if not counts[number]:
                table = tables[number] = _EMPTY[:]
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


class Owners:
    """Who spoke first for each name: a dict of a million names and ids would take 300 MB.

    As `Keys` it holds the hashes of the names; the ids are texts one after the other.
    """

    __slots__ = ("_counts", "_ids", "_tables")

    def __init__(self) -> None:
        self._tables = [_EMPTY_PAIRS] * _TABLES
        """Of pairs: the hash of a name, 0 where the slot is free; where the id begins, 0 where nobody speaks for it."""
        self._counts = [0] * _TABLES
        self._ids = bytearray(b"\0")

    def get(self, name: Hashable) -> SourceId | None:
        """Return who speaks for a name."""
        number, slot = self._find(hash(name) or 1)
        return self._id_at(self._tables[number][slot + 1])

    def first(self, name: Hashable, id_: SourceId) -> SourceId:
        """Let an id speak for a name for which nobody does; return who does then."""
        digest = hash(name) or 1
        number, slot = self._find(digest)
        other = self._id_at(self._tables[number][slot + 1])
        if other is not None:
            return other
        self._put(digest, number, slot, id_)
        return id_

    def put(self, name: Hashable, id_: SourceId) -> None:
        """Let an id speak for a name, whoever did before."""
        digest = hash(name) or 1
        self._put(digest, *self._find(digest), id_)

    def drop(self, name: Hashable) -> None:
        """Let nobody speak for a name."""
        number, slot = self._find(hash(name) or 1)
        if self._tables[number][slot]:
            self._tables[number][slot + 1] = 0

    def _put(self, digest: int, number: int, slot: int, id_: SourceId) -> None:
        if not self._counts[number]:
            self._tables[number] = _EMPTY_PAIRS[:]
        table, text = self._tables[number], id_.encode(errors="surrogatepass")
        is_new = not table[slot]
        table[slot], table[slot + 1] = digest, len(self._ids)
        self._ids += len(text).to_bytes(4, "little") + text
        if is_new:
            self._counts[number] += 1
            if self._counts[number] * 6 > len(table) * 2:
                self._tables[number] = _doubled_pairs(table)

    def _find(self, digest: int) -> tuple[int, int]:
        """Return the table and the slot that a hash is in, or would be."""
        number = digest & (_TABLES - 1)
        table = self._tables[number]
        return number, _slot_of(table, digest)

    def _id_at(self, begin: int) -> SourceId | None:
        if not begin:
            return None
        length = int.from_bytes(self._ids[begin : begin + 4], "little")
        return SourceId(self._ids[begin + 4 : begin + 4 + length].decode(errors="surrogatepass"))


def _slot_of(table: array[int], digest: int) -> int:
    last = len(table) // 2 - 1
    slot = (digest >> 8) & last
    while (there := table[2 * slot]) and there != digest:
        slot = (slot + 1) & last
    return 2 * slot


def _doubled_pairs(table: array[int]) -> array[int]:
    larger = array("q", bytes(16 * len(table)))
    for at in range(0, len(table), 2):
        if table[at]:
            slot = _slot_of(larger, table[at])
            larger[slot], larger[slot + 1] = table[at], table[at + 1]
    return larger
